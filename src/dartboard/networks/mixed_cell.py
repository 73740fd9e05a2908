"""Mixed operations and mixed cells: the plain form, one module an edge and operation, as in the DARTS paper.

The choice is passed in at every call and stored nowhere. This form is the oracle of every faster one.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from dartboard.networks.layers import FactorizedReduce, operation, relu_conv_norm
from dartboard.networks.rows import Row, Rows, brought
from dartboard.spaces import darts as space


class MixedOperation(nn.Module):
    """All candidate operations of one edge."""

    def __init__(self, operations: Sequence[str], channels: int, stride: int) -> None:
        super().__init__()
        self.operations = tuple(operations)
        self.ops = nn.ModuleList(operation(name, channels, stride, search=True) for name in operations)

    def forward(self, x: Tensor, choice: Row) -> Tensor:
        """x: (B, C, H, W); choice: weights (O,) that mix all operations (Eq. 2), the name of a single one, or weights
        of some by their names."""
        return brought(choice, self.operations, self.ops, x)


class MixedCell(nn.Module):
    """A cell with every edge and every operation."""

    def __init__(
        self,
        operations: Sequence[Sequence[str]],
        num_nodes: int,
        widths: tuple[int, int, int],
        reduction: bool,
        after_reduction: bool,
    ) -> None:
        """operations: of each edge; widths: channels of the cell before the last, of the last, of this one's nodes."""
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
            MixedOperation(offered, channels, 2 if reduction and source < space.NUM_INPUTS else 1)
            for (source, _), offered in zip(self.edges, operations, strict=True)
        )

    def forward(self, before_last: Tensor, last: Tensor, choice: Rows | space.Cell) -> Tensor:
        """choice: one row an edge in the order of spaces.darts.edges, such as weights (E, O), or a cell to be cut
        out."""
        states = [self.preprocess0(before_last), self.preprocess1(last)]
        for node in range(space.NUM_INPUTS, space.NUM_INPUTS + self.num_nodes):
            states.append(reduce(add, self.incoming(states, node, choice)))
        concat = choice.concat if isinstance(choice, space.Cell) else range(space.NUM_INPUTS, len(states))
        return torch.cat([states[node] for node in concat], dim=1)

    def incoming(self, states: list[Tensor], node: int, choice: Rows | space.Cell) -> Iterator[Tensor]:
        """The terms of Eq. 1: what each edge brings into the node. Of a discrete cell only the chosen are computed."""
        if isinstance(choice, space.Cell):
            for name, pred in choice.nodes[node - space.NUM_INPUTS]:
                yield self.ops[self.edges.index((pred, node))](states[pred], name)
        else:
            for edge, (source, target) in enumerate(self.edges):
                if target == node:
                    yield self.ops[edge](states[source], choice[edge])
