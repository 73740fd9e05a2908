"""A table of accuracies that is made up: 64 cells of NAS-Bench-201 with random numbers, in place of the 15,625."""

import csv
from pathlib import Path
from random import Random

import pytest

from dartboard.scoring import tables
from dartboard.scoring.tables import Layout
from dartboard.spaces import SPACES, nasbench201

SMALL = nasbench201.space("nasbench201", "made up", ("none", "nor_conv_3x3"))
COLUMNS = {"cifar10": ("cifar10-val", "cifar10-test")}
LAYOUT = Layout(SMALL, "arch", nasbench201.from_string, nasbench201.to_string, COLUMNS)


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the small space the one that is called nasbench201."""
    monkeypatch.setitem(tables.LAYOUTS, "nasbench201", LAYOUT)
    monkeypatch.setitem(SPACES, "nasbench201", SMALL)


def write(path: Path, seed: int = 0) -> Path:
    """A table whose two columns agree up to a few points, and have equal values here and there."""
    rng = Random(seed)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "cifar10-val", "cifar10-test"])
        for cell in SMALL.enumerate():
            seen = rng.randrange(40, 90)
            writer.writerow([nasbench201.to_string(cell), seen, round(seen + rng.uniform(-5, 5), 2)])
    return path
