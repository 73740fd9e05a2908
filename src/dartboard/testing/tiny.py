"""The smallest runs that are still real: a few dozen digits, two channels, three cells, batches of 16."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dartboard import networks
from dartboard.data import Data, Split, load_data
from dartboard.runs.run import Run
from dartboard.spaces import darts, nasbench201
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace

SEARCH: dict[str, Any] = {
    "channels": 2,
    "cells": 3,
    "epochs": 1,
    "batch_size": 16,
    "crop_padding": 1,
    "flip": False,
    "alpha_lr": 0.01,
}
TRAIN: dict[str, Any] = {
    "channels": 2,
    "cells": 3,
    "epochs": 2,
    "batch_size": 16,
    "crop_padding": 1,
    "flip": False,
    "cutout": 2,
    "auxiliary": False,
}


@cache
def digits(num_images: int = 64) -> Data:
    """So many digits, half train and half val, and 32 to test on."""
    data = load_data("digits", max_images=num_images)
    return replace(data, test=Split(data.test.images[:32], data.test.labels[:32]))


def space_of(*operations: str) -> SearchSpace:
    """The DARTS space with fewer operations, to be quick."""
    return darts.space("a few operations", "made up", operations)


# Small spaces of dartboard, by family: methods are tried on those that they can search.
SEARCHED: dict[str, SearchSpace] = {
    "darts": space_of("skip_connect", "dil_conv_3x3"),
    "nasbench201": nasbench201.SPACE,
}


def fixed(of: SearchSpace | Architecture) -> dict[str, Any]:
    """The number of cells, where the networks of a space, or of an architecture, have no other; otherwise nothing."""
    family = FAMILIES[of.family if isinstance(of, SearchSpace) else of.space]
    return {name: value for name, value in family.needs(of).items() if name == "cells"}


def supernet(space: SearchSpace, *, num_classes: int = 10, **form: str) -> nn.Module:
    """A small supernet of any space, its weights from a fixed seed. form: "plain" or "fast", where it has several."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make, own = networks.supernet_of(space.family), FAMILIES[space.family].of_supernet(space)
        module: nn.Module = make(channels=2, num_classes=num_classes, **own, **{"cells": 3, **fixed(space)}, **form)
    return module


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """torch's global generator, seeded, and put back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def history(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what is only time."""
    lines = Run.open(folder).metrics()
    return [{name: value for name, value in line.items() if not name.endswith("_s")} for line in lines]


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)
