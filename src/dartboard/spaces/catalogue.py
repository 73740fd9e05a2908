"""The published architectures, shipped as data: what they are and where they come from (published.json), and what
their authors report of them (reported.json)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dartboard.spaces import darts, enas_macro, enas_micro, nasnet
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, as_tuples


@dataclass(frozen=True)
class Published:
    """An architecture somebody published.

    source: repository and file; published: what its authors report ("" if nothing is recorded), CIFAR-10 figures
    being test errors in percent unless said otherwise; counts: exact whole numbers that dartboard's networks reproduce,
    {"cifar10_params": ...}, of networks at the sizes that papers report, such as 36 channels and 20 cells (CIFAR) or 48
    and 14 (ImageNet) for cells of DARTS; note: remarks.
    """

    architecture: Architecture
    source: str
    published: str
    counts: Mapping[str, int]
    note: str


@dataclass(frozen=True)
class Reported:
    """A result that somebody reports of a published architecture.

    data: what it was trained on; error: test error in percent, on ImageNet the first answer's; spread: standard
    deviation over trainings; runs: "mean" or "single", empty where the source does not say; params, macs: in millions,
    by the source's own counter; gpu_days: of the search; note: conditions.
    """

    data: str
    error: float
    source: str
    runs: str = ""
    spread: float | None = None
    params: float | None = None
    macs: float | None = None
    gpu_days: float | None = None
    note: str = ""


@cache
def reported() -> Mapping[str, tuple[Reported, ...]]:
    """What is reported of published architectures, by name; those of which nothing is known are left out."""
    results = json.loads(Path(__file__).with_name("reported.json").read_text(encoding="utf-8"))["results"]
    return MappingProxyType({name: tuple(Reported(**row) for row in rows) for name, rows in results.items()})


@cache
def published() -> Mapping[str, Published]:
    """Every published architecture by its name, in the order of the file; the mapping cannot be changed."""
    text = Path(__file__).with_name("published.json").read_text(encoding="utf-8")
    content = json.loads(text)
    records = {**content["cells"], **content["arcs"], **content["networks"]}
    return MappingProxyType({name: entry(one) for name, one in records.items()})


BY_ARC = {"enas_micro": enas_micro.from_arc, "enas_macro": enas_macro.from_arc, "nasnet": nasnet.from_arc}


def entry(record: Mapping[str, Any]) -> Published:
    """One record of published.json as a value."""
    if "choices" in record:
        made = FAMILIES[record["family"]].read({name: as_tuples(value) for name, value in record["choices"].items()})
    else:
        made = BY_ARC[record["family"]](record["arc"]) if "arc" in record else of_cells(record)
    counts: Mapping[str, int] = MappingProxyType(record.get("counts", {}))
    text = record.get("published", "")
    return Published(made, record["source"], text, counts, record.get("note", ""))


def of_cells(record: Mapping[str, Any]) -> Architecture:
    """The cells of DARTS that a record gives node by node."""
    cells = {kind: darts.Cell(as_tuples(record[kind]), as_tuples(record[f"{kind}_concat"])) for kind in darts.CELLS}
    return darts.architecture(cells)
