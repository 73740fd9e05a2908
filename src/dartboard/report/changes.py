"""How the derived cell and alpha changed over the epochs of a search: pure functions of its history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from random import Random
from statistics import fmean

from dartboard.analysis.edit_distance import Comparison
from dartboard.report.facts import Epoch, Table
from dartboard.report.forms import Input, form_for, form_of, has_form
from dartboard.report.measures import cell_of, strongest
from dartboard.spaces import SPACES, darts

BASELINE_PAIRS = 200  # pairs of random cells: the baseline of a distance

Points = list[tuple[int, float]]  # (epoch, value)


def with_cells(history: Sequence[Epoch]) -> list[Epoch]:
    """The epochs whose derived architecture has cells that can be drawn."""
    return [epoch for epoch in history if has_form(epoch.architecture)]


def apart(one: Epoch, other: Epoch, kind: str) -> Comparison:
    """The edit distance between the derived cells of two epochs, which both have one."""
    assert one.architecture is not None and other.architecture is not None
    return form_for(other.architecture).apart(one.architecture, other.architecture, kind)


def between_epochs(history: Sequence[Epoch], kind: str) -> Points:
    """Inputs of the derived cell that differ from those of the epoch before, at the best matching of nodes."""
    pairs = pairwise(with_cells(history))
    return [(after.epoch, apart(before, after, kind).inputs) for before, after in pairs]


def to_last(history: Sequence[Epoch], kind: str) -> Points:
    """Inputs of the derived cell that differ from those of the last epoch's cell, at the best matching of nodes."""
    known = with_cells(history)
    return [(epoch.epoch, apart(epoch, known[-1], kind).inputs) for epoch in known]


@dataclass(frozen=True)
class Change:
    """How one kind of derived cell changed over a history.

    times: at how many epochs it differed from the one before; moments: at how many it could have differed; inputs: the
    number of inputs that were exchanged at them, added up; last: the epoch of the last change; apart: inputs that
    differ between the first cell and the last; of: inputs of the last cell; renumbered: whether nodes of equal cells
    ever changed their numbers, so that a drawing changed and the cell did not.
    """

    times: int
    moments: int
    inputs: int
    last: int | None
    apart: int
    of: int
    renumbered: bool


def change_of(history: Sequence[Epoch], kind: str) -> Change | None:
    """None if fewer than two epochs have a cell."""
    known = with_cells(history)
    if len(known) < 2:
        return None
    steps = [(after.epoch, apart(one, after, kind).edits) for one, after in pairwise(known)]
    inputs = [inputs_of(epoch, kind) for epoch in known]
    drawn = sum(one != after for one, after in pairwise(inputs))
    times = sum(edits > 0 for _, edits in steps)
    return Change(
        times=times,
        moments=len(steps),
        inputs=sum(int(value) for _, value in between_epochs(known, kind)),
        last=next((epoch for epoch, edits in reversed(steps) if edits > 0), None),
        apart=apart(known[0], known[-1], kind).inputs,
        of=len(inputs[-1]),
        renumbered=drawn > times,
    )


def inputs_of(epoch: Epoch, kind: str) -> list[Input]:
    """What the epoch's cell adds up."""
    assert epoch.architecture is not None
    return form_for(epoch.architecture).inputs(epoch.architecture, kind)


@lru_cache(maxsize=64)
def random_distance(space: str, kind: str) -> float | None:
    """Mean number of inputs by which two cells drawn at random from a space differ: BASELINE_PAIRS pairs, seed 0.

    None for a space that is not known.
    """
    known = SPACES.get(space)
    form = form_of(known.family) if known is not None else None
    if known is None or form is None:
        return None
    rng = Random(0)
    drawn = [known.sample(rng) for _ in range(2 * BASELINE_PAIRS)]
    return fmean(form.apart(one, other, kind).inputs for one, other in zip(drawn[::2], drawn[1::2], strict=True))


# --- Margins ----------------------------------------------------------------------------------------------------------


def operation_margins(epoch: Epoch, kind: str, operations: Sequence[str]) -> list[float]:
    """For each edge of the derived cell: weight of its strongest operation minus that of the next.

    `none` is left out unless a cell may have it.
    """
    assert epoch.architecture is not None
    table, form = epoch.weights[kind], form_for(epoch.architecture)
    relaxed = form.relaxed(kind, len(table))
    edges = [] if relaxed is None else relaxed.places
    own = {(source, target) for source, target, _ in inputs_of(epoch, kind)}
    rows = [row for edge, row in zip(edges, table, strict=False) if edge in own]
    ranked = [ranks(row, operations) if form.competing else sorted(row, reverse=True) for row in rows]
    return [row[0] - row[1] for row in ranked if len(row) > 1]


def ranks(row: Sequence[float], operations: Sequence[str]) -> list[float]:
    """Weights of the operations besides `none`, the strongest first."""
    return sorted((weight for weight, name in zip(row, operations, strict=False) if name != "none"), reverse=True)


def edge_margins(epoch: Epoch, kind: str, operations: Sequence[str]) -> list[float]:
    """For each node that has a choice: strength of its weakest edge in the cell minus that of the strongest not in it.

    An edge is as strong as its strongest operation besides `none`.
    """
    table = epoch.weights[kind]
    found, first = [], 0
    for node, inputs in enumerate(cell_of(epoch, kind).nodes):
        rows = table[first : first + darts.NUM_INPUTS + node]
        first += len(rows)
        own = {source for _, source in inputs}
        strengths = [strongest(row, operations) for row in rows]
        inside = [value for source, value in enumerate(strengths) if source in own]
        outside = [value for source, value in enumerate(strengths) if source not in own]
        if inside and outside:
            found.append(min(inside) - max(outside))
    return found


def least(values: Sequence[float]) -> float:
    """The smallest margin; NaN if one is not known."""
    return min(values) if values and not any(map(math.isnan, values)) else math.nan


# --- Drift of alpha ---------------------------------------------------------------------------------------------------


def norm_between(one: Table, other: Table) -> float:
    """Euclidean norm of the difference of two alphas over all edges and operations that are finite in both."""
    pairs = [(a, b) for row, row_b in zip(one, other, strict=False) for a, b in zip(row, row_b, strict=False)]
    known = [a - b for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    return math.sqrt(sum(step * step for step in known))


def drift_from_start(history: Sequence[Epoch], kind: str) -> Points:
    """Norm of the difference between alpha at each epoch and at the first epoch of the history."""
    known = [epoch for epoch in history if kind in epoch.alpha]
    return [(epoch.epoch, norm_between(known[0].alpha[kind], epoch.alpha[kind])) for epoch in known]


def drift_between_epochs(history: Sequence[Epoch], kind: str) -> Points:
    """Norm of alpha's step from each epoch to the next."""
    known = [epoch for epoch in history if kind in epoch.alpha]
    return [(after.epoch, norm_between(one.alpha[kind], after.alpha[kind])) for one, after in pairwise(known)]


def root_mean_square_step(history: Sequence[Epoch], kind: str) -> float | None:
    """Root mean square of an entry's step in the last epoch; None if there are fewer than two epochs with alpha."""
    known = [epoch.alpha[kind] for epoch in history if kind in epoch.alpha][-2:]
    entries = sum(math.isfinite(value) for row in known[-1] for value in row) if known else 0
    return norm_between(*known) / math.sqrt(entries) if len(known) == 2 and entries else None
