"""Every single change of a pair of cells: an input without its operation, with another one, or from another node."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

Change = Literal["removed", "replaced", "rewired"]


@dataclass(frozen=True)
class Variant:
    """The architecture with one input changed.

    kind, node, input: where, as in the genotype; before, after: (operation, predecessor) there. removed: the operation
    is `none`; replaced: another operation on the same edge; rewired: the same operation on the
    edge from another node that the node does not read yet.
    """

    kind: str
    node: int
    input: int
    change: Change
    before: darts.Edge
    after: darts.Edge
    architecture: Architecture

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.node}-{self.input}-{self.after[0]}-{self.after[1]}"

    @property
    def place(self) -> tuple[str, int, int]:
        return self.kind, self.node, self.input


def variants(architecture: Architecture, offered: darts.Mixed) -> Iterator[Variant]:
    """All of them. offered: what each edge of the supernet mixes (spaces.darts.mixed)."""
    for kind in darts.CELLS:
        cell = darts.cell(architecture, kind)
        for number, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS):
            for position, before in enumerate(inputs):
                for change, after in changes(inputs, position, darts.incoming(offered[kind], number)):
                    changed = with_input(architecture, kind, number, position, after)
                    yield Variant(kind, number, position, change, before, after, changed)


def changes(
    inputs: tuple[darts.Edge, ...], position: int, offered: Sequence[Sequence[str]]
) -> Iterator[tuple[Change, darts.Edge]]:
    """The possible changes of one input of a node. offered: the operations of the node's edges, by predecessor."""
    operation, pred = inputs[position]
    if operation != "none":
        yield "removed", ("none", pred)
    for name in offered[pred]:
        if name not in ("none", operation):
            yield "replaced", (name, pred)
    read = {source for _, source in inputs}
    for source, names in enumerate(offered):
        if source not in read and operation in names:
            yield "rewired", (operation, source)


def with_input(architecture: Architecture, kind: str, node: int, position: int, after: darts.Edge) -> Architecture:
    """The architecture with one input of one node replaced; everything else, including the order, is unchanged."""
    name = f"{kind}.{node}"
    inputs = architecture[name]
    changed = (*inputs[:position], after, *inputs[position + 1 :])
    choices = tuple((known, changed if known == name else value) for known, value in architecture.choices)
    return Architecture(architecture.space, choices)
