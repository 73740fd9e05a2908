"""The cell of a path, or of a draw of one operation an edge, computed fast: the function of `MixedCell` for a choice
that names operations, on the same parameters.

| function | identity                                                                                              |
|----------|-------------------------------------------------------------------------------------------------------|
| arriving | what arrives at a node is normalised, weighted and added in one pass, and of a round of a convolution   |
|          | only its raw result is stored (kernels.arriving); `none` adds nothing                                   |
| entering | ReLU, pointwise convolution and BatchNorm of an input in one pass (kernels.entering)                    |

The strided skips, and operations of another shape than those of the DARTS space, are computed by their module, inside
the same sum. Nothing that the choice does not name is computed or stored. Where there are no compiled kernels (on a
GPU, in bf16, without a compiler), and where second derivatives are wanted, the plain cell computes: the identities of
the mixture in pure torch bring less than a tenth to a path.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dartboard.kernels.arriving import Edge, arrive, reached
from dartboard.networks.fast.mixed_cell import POOLS, SEPARABLE, compiled, entering, recipe_of, rounds_of
from dartboard.networks.mixed_cell import MixedCell, MixedOperation
from dartboard.networks.rows import BARE, Row
from dartboard.spaces import darts as space

Named = str | Mapping[str, Tensor]  # a row that names what is computed of an edge


class Term(NamedTuple):
    """An operation on the way to a node. edge: its number in the cell; source: the node it reads; weight: (), or 1."""

    edge: int
    source: int
    name: str
    weight: Tensor | None


def computes(x: Tensor, choice: Sequence[Row] | space.Cell) -> bool:
    """Whether this form computes the cell: of a choice that names operations, by the compiled kernels."""
    named = isinstance(choice, space.Cell) or not any(isinstance(row, Tensor) for row in choice)
    return named and compiled(x)


def path_cell(cell: MixedCell, before_last: Tensor, last: Tensor, choice: Sequence[Row] | space.Cell) -> Tensor:
    """What `cell(before_last, last, choice)` computes, where `computes` says that it can."""
    states = [entering(cell.preprocess0, before_last), entering(cell.preprocess1, last)]
    for node in range(space.NUM_INPUTS, space.NUM_INPUTS + cell.num_nodes):
        states.append(arriving(cell, states, *incoming(cell, node, choice)))
    concat = choice.concat if isinstance(choice, space.Cell) else range(space.NUM_INPUTS, len(states))
    return torch.cat([states[node] for node in concat], dim=1)


def incoming(cell: MixedCell, node: int, choice: Sequence[Row] | space.Cell) -> tuple[list[Term], list[Tensor]]:
    """The operations whose results are added up in a node, and the bare numbers that are added to them."""
    if isinstance(choice, space.Cell):
        chosen = choice.nodes[node - space.NUM_INPUTS]
        return [Term(cell.edges.index((pred, node)), pred, name, None) for name, pred in chosen], []
    terms, bare = list[Term](), list[Tensor]()
    for edge, (source, target) in enumerate(cell.edges):
        if target == node:
            row = cast(Named, choice[edge])
            named: Mapping[str, Tensor | None] = {row: None} if isinstance(row, str) else row
            terms += [Term(edge, source, name, weight) for name, weight in named.items() if name != BARE]
            bare += [] if isinstance(row, str) or BARE not in row else [row[BARE]]
    return terms, bare


def arriving(cell: MixedCell, states: Sequence[Tensor], terms: Sequence[Term], bare: Sequence[Tensor]) -> Tensor:
    """The state of a node: (B, C, H', W')."""
    adding = [term for term in terms if recipe_of(term.name) != "zero/"] or terms[:1]
    maps, edges = zip(*(brought(cell, term, states[term.source]) for term in adding), strict=True)
    one = maps[0].new_ones(())
    weights = torch.stack([one if term.weight is None else term.weight for term in adding])
    total = arrive(maps, edges, weights, reduce(add, bare) if bare else None)
    return reached(total, [states[term.source] for term in terms if all(term is not one for one in adding)])


def brought(cell: MixedCell, term: Term, x: Tensor) -> tuple[Tensor, Edge]:
    """A map, and what the compiled kernels compute of it: all of the operation, or nothing more."""
    mixed = cast(MixedOperation, cell.ops[term.edge])
    operation = mixed.ops[mixed.operations.index(term.name)]
    edge = edge_of(term.name, operation, 2 if cell.reduction and term.source < space.NUM_INPUTS else 1)
    return (operation(x), Edge()) if edge is None else (x, edge)


def edge_of(name: str, operation: nn.Module, stride: int) -> Edge | None:
    """An operation as the compiled kernels compute it; None for one of which they know nothing."""
    recipe = recipe_of(name)
    if SEPARABLE.fullmatch(recipe):
        return Edge(chain=rounds_of([operation]), stride=stride)
    if recipe in POOLS and isinstance(operation, nn.Sequential):  # followed by a BatchNorm
        return Edge(pool=(recipe == POOLS[0], [cast(nn.BatchNorm2d, operation[1])]), stride=stride)
    return Edge() if recipe == "skip/" and stride == 1 else None
