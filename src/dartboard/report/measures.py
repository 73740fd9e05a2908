"""Numbers of the page that the run folder does not contain: pure functions of facts."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from dartboard.report.facts import Epoch, Table
from dartboard.report.forms import form_for, has_form
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

PARAMETER_FREE = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "none")


@dataclass(frozen=True)
class Spread:
    """n values; std with n - 1 in the denominator, None for one value."""

    n: int
    mean: float
    std: float | None
    minimum: float
    maximum: float


def spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(len(known), fmean(known), stdev(known) if len(known) > 1 else None, min(known), max(known))


def entropy_bits(table: Table) -> float:
    """Mean over the edges of the entropy of the operations' weights, in bits: 3 for eight equal weights, 0 for one.

    NaN if a weight is NaN.
    """
    if any(math.isnan(weight) for row in table for weight in row):
        return math.nan
    return fmean(-sum(weight * math.log2(weight) for weight in row if weight > 0) for row in table)


def operations_of(cell: darts.Cell) -> list[str]:
    return [operation for inputs in cell.nodes for operation, _ in inputs]


def num_skips(cell: darts.Cell) -> int:
    return operations_of(cell).count("skip_connect")


def has_cells(architecture: Architecture | None) -> bool:
    """Whether the architecture is a pair of DARTS cells, which can be drawn."""
    return architecture is not None and all(f"{kind}.concat" in architecture for kind in darts.CELLS)


def last_change(history: Sequence[Epoch], kind: str | None = None) -> int | None:
    """Epoch at which the derived cell (of one kind, or of any) last changed; None if it never did.

    A DARTS cell counts as unchanged if only the numbers of its nodes changed.
    """
    changed = None
    known = [(epoch, epoch.architecture) for epoch in history if epoch.architecture]
    for (_, one), (after, other) in pairwise(known):
        form = form_for(other)
        kinds = form.kinds if kind is None else (kind,)
        if any(form.apart(one, other, each).edits for each in kinds) if has_form(other) else one != other:
            changed = after.epoch
    return changed


def cell_of(epoch: Epoch, kind: str) -> darts.Cell:
    if epoch.architecture is None:
        raise ValueError(f"epoch {epoch.epoch} has no architecture")
    return darts.cell(epoch.architecture, kind)


STRONG = 0.68  # the share of its scale from which a box of a heat map is so full that its number has the other colour


@dataclass(frozen=True)
class Scale:
    """From the smallest weight of a complete run (share 0) to its largest (share 1)."""

    low: float
    high: float

    def share(self, weight: float) -> float:
        return min(max((weight - self.low) / (self.high - self.low), 0.0), 1.0)


NARROWEST_SCALE = 0.02  # two points of weight: a smaller range is not drawn from light to dark


def scale_of(weights: Iterable[float]) -> Scale:
    known = [weight for weight in weights if not math.isnan(weight)]
    if not known:
        return Scale(0.0, 1.0)
    return Scale(min(known), max(max(known), min(known) + NARROWEST_SCALE))


def offered(weight: float) -> bool:
    """Whether a weight can be shown: it is a number, and not the 0 of an operation that the edge does not offer."""
    return weight > 0.0


def strongest(row: Sequence[float], operations: Sequence[str]) -> float:
    """Weight of the strongest operation other than none: the score by which DARTS picks edges."""
    return max(weight for weight, name in zip(row, operations, strict=False) if name != "none")


@dataclass(frozen=True)
class Difference:
    """Inputs (source, target, operation) that two cells share, that only the first has, that only the second has."""

    shared: tuple[tuple[int, int, str], ...]
    removed: tuple[tuple[int, int, str], ...]
    added: tuple[tuple[int, int, str], ...]


def difference(one: darts.Cell, other: darts.Cell) -> Difference:
    before, after = counted(one), counted(other)
    parts = (before & after, before - after, after - before)
    return Difference(*(tuple(sorted(one.elements(), key=lambda edge: (edge[1], edge[0], edge[2]))) for one in parts))


def counted(cell: darts.Cell) -> Counter[tuple[int, int, str]]:
    return Counter(
        (source, target, operation)
        for target, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS)
        for operation, source in inputs
    )
