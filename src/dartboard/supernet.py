"""Mixed operations and mixed cells: the plain form, one module an edge and operation, as in the DARTS paper.

The choice is passed in at every call and stored nowhere. This form is the oracle of every faster one.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from dartboard.layers import FactorizedReduce, operation, relu_conv_norm
from dartboard.spaces import darts as space


class MixedOperation(nn.Module):
    """All candidate operations of one edge."""

    def __init__(self, operations: Sequence[str], channels: int, stride: int) -> None:
        super().__init__()
        self.operations = tuple(operations)
        self.ops = nn.ModuleList(operation(name, channels, stride, search=True) for name in operations)

    def forward(self, x: Tensor, choice: Tensor | str) -> Tensor:
        """x: (B, C, H, W); choice: weights (O,) that mix all operations (Eq. 2), or the name of a single one."""
        if isinstance(choice, str):
            return self.ops[self.operations.index(choice)](x)  # type: ignore[no-any-return]
        return reduce(add, (weight * op(x) for weight, op in zip(choice, self.ops, strict=True)))


class MixedCell(nn.Module):
    """A cell with every edge and every operation."""

    def __init__(
        self, operations: Sequence[str], num_nodes: int, widths: tuple[int, int, int], reduction: bool, after_reduction: bool
    ) -> None:
        """widths: channels of the cell before the last, of the last cell, and of this cell's nodes."""
        super().__init__()
        before_last, last, channels = widths
        self.preprocess0 = (
            FactorizedReduce(before_last, channels, affine=False)
            if after_reduction
            else relu_conv_norm(before_last, channels, affine=False)
        )
        self.preprocess1 = relu_conv_norm(last, channels, affine=False)
        self.reduction = reduction
        self.num_nodes = num_nodes
        self.edges = space.edges(num_nodes)
        self.ops = nn.ModuleList(
            MixedOperation(operations, channels, 2 if reduction and source < space.NUM_INPUTS else 1)
            for source, _ in self.edges
        )

    def forward(self, before_last: Tensor, last: Tensor, choice: Tensor | space.Cell) -> Tensor:
        """choice: weights (E, O), one row an edge in the order of spaces.darts.edges, or a cell to be cut out."""
        states = [self.preprocess0(before_last), self.preprocess1(last)]
        for node in range(space.NUM_INPUTS, space.NUM_INPUTS + self.num_nodes):
            states.append(self.mixed(states, node, choice) if isinstance(choice, Tensor) else self.cut(states, node, choice))
        concat = range(space.NUM_INPUTS, len(states)) if isinstance(choice, Tensor) else choice.concat
        return torch.cat([states[node] for node in concat], dim=1)

    def mixed(self, states: list[Tensor], node: int, weights: Tensor) -> Tensor:
        """Eq. 1 with Eq. 2 in it: the sum over all edges that enter the node of their mixed operations."""
        incoming = [edge for edge, (_, target) in enumerate(self.edges) if target == node]
        return reduce(add, (self.ops[edge](states[self.edges[edge][0]], weights[edge]) for edge in incoming))

    def cut(self, states: list[Tensor], node: int, cell: space.Cell) -> Tensor:
        """Eq. 1 for a discrete cell: only the chosen edges and operations are computed."""
        inputs = cell.nodes[node - space.NUM_INPUTS]
        return reduce(add, (self.ops[self.edges.index((pred, node))](states[pred], op) for op, pred in inputs))
