"""What a relaxed cell is told of an edge: weights of all its operations, the name of one, or weights of a few."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add

from torch import Tensor, nn

from dartboard.spaces.search_space import Architecture

BARE = ""  # the name, among operations with their weights, of no operation: its weight enters as a bare number
Row = Tensor | str | Mapping[str, Tensor]  # weights (O,); the name of one; {operation: weight of shape ()}
Rows = Tensor | Sequence[Row]  # of all edges of a cell: weights (E, O), or one row an edge
Choice = Mapping[str, Rows] | Architecture  # what a supernet is given: rows by kind of cell, or an architecture


def brought(row: Row, operations: Sequence[str], layers: nn.ModuleList, x: Tensor) -> Tensor:
    """What an edge brings of a map x: (B, C, H, W), computing no operation that the row does not name.

    A name gives its operation, weights (O,) the weighted sum of all, a mapping that of the operations it names. To the
    latter the weight that it has for BARE, if any, is added everywhere.
    """
    if isinstance(row, str):
        return layers[operations.index(row)](x)  # type: ignore[no-any-return]
    if isinstance(row, Tensor):
        pairs = list(zip(row, layers, strict=True))
    else:
        pairs = [(weight, layers[operations.index(name)]) for name, weight in row.items() if name != BARE]
    terms: Iterator[Tensor] = (weight * layer(x) for weight, layer in pairs)
    total = reduce(add, terms)
    return total if isinstance(row, Tensor) or BARE not in row else total + row[BARE]
