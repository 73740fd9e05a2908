"""How sensitive a derived cell is to alpha: which cells result if alpha is slightly different. No torch.

Gaussian noise of a stated standard deviation is added to every logit of alpha, and the cell is derived again. For each
edge of the cell, counts say in which share of the draws it is still in the cell, and in which with its operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dartboard.spaces import darts

DRAWS = 1000
INPUTS_PER_NODE = 2  # strongest predecessors that DARTS selects for each node (section 2.4)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class InputShare:
    """An input of a derived cell, and the shares of the draws in which it remained.

    edge: share of the draws in which the node still reads this predecessor; same_operation: in which it does so by the
    same operation; rival: the most frequent input of the same node that is not in this cell, with its share.
    """

    source: int
    target: int
    operation: str
    edge: float
    same_operation: float
    rival: tuple[str, int, float] | None


@dataclass(frozen=True)
class Sensitivity:
    """One kind of cell under noise; unchanged: share of the draws with exactly the same inputs."""

    inputs: tuple[InputShare, ...]
    unchanged: float
    scale: float
    draws: int


def derive_many(alpha: Floats, operations: Sequence[str]) -> Ints:
    """Section 2.4 of DARTS for many alphas at once: the operation of each edge of the cell, -1 for all others.

    alpha: (draws, edges, operations), logits, minus infinity if an edge does not offer an operation; edges in the
    order of `darts.edges`. Returns (draws, edges). An edge is as strong as its strongest operation other than `none`,
    by softmax over the row. Ties: the operation with the lower id, the earlier predecessor.
    """
    powers = np.exp(alpha - alpha.max(axis=2, keepdims=True))
    weights = powers / powers.sum(axis=2, keepdims=True)
    weights[:, :, [name == "none" for name in operations]] = -1.0
    chosen, strength = weights.argmax(axis=2), weights.max(axis=2)
    selected = np.zeros(chosen.shape, dtype=bool)
    first = 0
    for number in range(darts.NUM_INPUTS, darts.NUM_INPUTS + num_nodes(alpha.shape[1])):
        order = np.argsort(-strength[:, first : first + number], axis=1, kind="stable")[:, :INPUTS_PER_NODE]
        np.put_along_axis(selected[:, first : first + number], order, True, axis=1)
        first += number
    return np.where(selected, chosen, -1)


def num_nodes(edges: int) -> int:
    """Intermediate nodes of a relaxed cell with this number of edges. Raises ValueError if no cell has this number."""
    known = {len(darts.edges(nodes)): nodes for nodes in range(1, darts.MAX_NODES + 1)}
    if edges not in known:
        raise ValueError(f"no relaxed cell has {edges} edges")
    return known[edges]


def cell_sensitivity(
    alpha: Sequence[Sequence[float]], operations: Sequence[str], scale: float, *, draws: int = DRAWS, seed: int = 0
) -> Sensitivity:
    """The shares of the cell derived from alpha under noise of standard deviation `scale` on every logit.

    alpha: (edges, operations) logits, as in metrics.jsonl. The same seed draws the same noise. Raises ValueError for
    an alpha with a NaN, or of no cell's number of edges.
    """
    table = np.asarray(alpha, dtype=np.float64)
    if np.isnan(table).any():
        raise ValueError("alpha is not a number somewhere")
    noise = np.random.default_rng(seed).standard_normal((draws, *table.shape))
    own, drawn = derive_many(table[None], operations)[0], derive_many(table + scale * noise, operations)
    edges = darts.edges(num_nodes(len(table)))
    selected = [row for row in range(len(edges)) if own[row] >= 0]
    inputs = tuple(input_share(row, own, drawn, edges, operations) for row in selected)
    return Sensitivity(inputs, float((drawn == own).all(axis=1).mean()), scale, draws)


def input_share(
    row: int, own: Ints, drawn: Ints, edges: Sequence[tuple[int, int]], operations: Sequence[str]
) -> InputShare:
    """One edge of the cell; own: (edges,) the derived cell, drawn: (draws, edges) the cells of the draws."""
    source, target = edges[row]
    return InputShare(
        source=source,
        target=target,
        operation=operations[own[row]],
        edge=float((drawn[:, row] >= 0).mean()),
        same_operation=float((drawn[:, row] == own[row]).mean()),
        rival=rival_of(target, own, drawn, edges, operations),
    )


def rival_of(
    target: int, own: Ints, drawn: Ints, edges: Sequence[tuple[int, int]], operations: Sequence[str]
) -> tuple[str, int, float] | None:
    """(operation, source, share) of the most frequent input of a node that is not in its cell; or None."""
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
