"""Which choices of a derived cell were close: what would be derived if alpha were a little other. No torch.

Gaussian noise of a stated standard deviation is added to every logit of alpha, the cell is derived anew, and counted is
in which share of the draws an edge is still in the cell, and in which it still has its operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dartboard.spaces import darts

DRAWS = 1000
INPUTS_KEPT = 2  # strongest predecessors that DARTS keeps of each node (section 2.4)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Survival:
    """An input of a derived cell, and how it fared.

    edge: share of the draws in which the node still reads this predecessor; whole: in which it does so by the same
    operation; rival: the input of the same node, none of this cell's, that came up most often, with its share.
    """

    source: int
    target: int
    operation: str
    edge: float
    whole: float
    rival: tuple[str, int, float] | None


@dataclass(frozen=True)
class CloseCalls:
    """One kind of cell under noise; unchanged: share of the draws that gave the very same inputs."""

    inputs: tuple[Survival, ...]
    unchanged: float
    scale: float
    draws: int


def derive_many(alpha: Floats, operations: Sequence[str]) -> Ints:
    """Section 2.4 of DARTS for many alphas at once: the operation of every edge in the cell, -1 for an edge dropped.

    alpha: (draws, edges, operations), logits, minus infinity where an edge does not offer an operation; edges in the
    order of `darts.edges`. Returns (draws, edges). An edge is as strong as its strongest operation other than `none`,
    by softmax over the row. Ties: the operation with the lower id, the earlier predecessor.
    """
    powers = np.exp(alpha - alpha.max(axis=2, keepdims=True))
    weights = powers / powers.sum(axis=2, keepdims=True)
    weights[:, :, [name == "none" for name in operations]] = -1.0
    chosen, strength = weights.argmax(axis=2), weights.max(axis=2)
    kept = np.zeros(chosen.shape, dtype=bool)
    first = 0
    for number in range(darts.NUM_INPUTS, darts.NUM_INPUTS + num_nodes(alpha.shape[1])):
        order = np.argsort(-strength[:, first : first + number], axis=1, kind="stable")[:, :INPUTS_KEPT]
        np.put_along_axis(kept[:, first : first + number], order, True, axis=1)
        first += number
    return np.where(kept, chosen, -1)


def num_nodes(edges: int) -> int:
    """Intermediate nodes of a relaxed cell of so many edges. Raises ValueError where no cell has so many."""
    known = {len(darts.edges(nodes)): nodes for nodes in range(1, darts.MAX_NODES + 1)}
    if edges not in known:
        raise ValueError(f"no relaxed cell has {edges} edges")
    return known[edges]


def close_cell(
    alpha: Sequence[Sequence[float]], operations: Sequence[str], scale: float, *, draws: int = DRAWS, seed: int = 0
) -> CloseCalls:
    """How the cell derived from alpha fares under noise of standard deviation `scale` on every logit.

    alpha: (edges, operations) logits, as in metrics.jsonl. The same seed draws the same noise. Raises ValueError for
    an alpha with a NaN, or of no cell's number of edges.
    """
    table = np.asarray(alpha, dtype=np.float64)
    if np.isnan(table).any():
        raise ValueError("alpha is not a number somewhere")
    noise = np.random.default_rng(seed).standard_normal((draws, *table.shape))
    own, drawn = derive_many(table[None], operations)[0], derive_many(table + scale * noise, operations)
    edges = darts.edges(num_nodes(len(table)))
    kept = [row for row in range(len(edges)) if own[row] >= 0]
    inputs = tuple(survival(row, own, drawn, edges, operations) for row in kept)
    return CloseCalls(inputs, float((drawn == own).all(axis=1).mean()), scale, draws)


def survival(row: int, own: Ints, drawn: Ints, edges: Sequence[tuple[int, int]], operations: Sequence[str]) -> Survival:
    """One edge of the cell; own: (edges,) what was derived, drawn: (draws, edges) what came of the draws."""
    source, target = edges[row]
    return Survival(
        source=source,
        target=target,
        operation=operations[own[row]],
        edge=float((drawn[:, row] >= 0).mean()),
        whole=float((drawn[:, row] == own[row]).mean()),
        rival=rival_of(target, own, drawn, edges, operations),
    )


def rival_of(
    target: int, own: Ints, drawn: Ints, edges: Sequence[tuple[int, int]], operations: Sequence[str]
) -> tuple[str, int, float] | None:
    """(operation, source, share) of the input of a node that came up most often and is none of its own; or None."""
    best = None
    for row, (source, node) in enumerate(edges):
        if node != target:
            continue
        counts = np.bincount(drawn[:, row] + 1, minlength=len(operations) + 1)[1:] / len(drawn)
        if own[row] >= 0:
            counts[own[row]] = 0.0
        index = int(counts.argmax())
        if counts[index] > (best[2] if best else 0.0):
            best = (operations[index], source, float(counts[index]))
    return best


def as_cell(alpha: Sequence[Sequence[float]], operations: Sequence[str]) -> darts.Cell:
    """The cell that alpha gives without noise, inputs by predecessor."""
    rows = derive_many(np.asarray(alpha, dtype=np.float64)[None], operations)[0]
    edges = darts.edges(num_nodes(len(rows)))
    numbers = range(darts.NUM_INPUTS, darts.NUM_INPUTS + num_nodes(len(rows)))
    return darts.Cell(
        tuple(
            tuple(
                (operations[int(rows[row])], source)
                for row, (source, target) in enumerate(edges)
                if target == number and rows[row] >= 0
            )
            for number in numbers
        ),
        tuple(numbers),
    )
