"""A picture of an architecture as plain data, for any family; report/drawing.py draws it, and knows nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

Edge = tuple[str, str, str]  # (source, target, operation)


@dataclass(frozen=True)
class Bar:
    """A block of a chain that is drawn as a strip. channels: that it gives; inside: lines of a few letters on
    what is in it; stage: its number, for those that stand together."""

    operation: str
    channels: int
    inside: tuple[str, ...]
    stage: int


@dataclass(frozen=True)
class Graph:
    """A part of an architecture, such as one of its cells.

    kind: its short name, which no other part has; title: in words. nodes: names, of which the first `num_inputs` lead
    in and the last leads out; "c_{k-2}" is written with the index k-2 set low. edges: (source, target, operation), in
    the order in which a node adds them up. joined: the nodes that the last one joins; none if it adds up, too.
    passed: (source, target) of what goes on as it is, as thin lines: skip connections of a chain.
    vacant: (source, target) of the edges that carry nothing and are not drawn. strip: of a chain of
    blocks whose widths differ, a bar for each, in place of nodes and edges. caption: what stands below the picture.
    """

    kind: str
    title: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    num_inputs: int = 1
    joined: tuple[str, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    vacant: tuple[tuple[str, str], ...] = ()
    strip: tuple[Bar, ...] = ()
    caption: str = ""

    @property
    def places(self) -> list[tuple[int, int]]:
        """(source, target) of each edge, as places in `nodes`."""
        return [(self.nodes.index(source), self.nodes.index(target)) for source, target, _ in self.edges]

    @property
    def ports(self) -> tuple[str, ...]:
        """The nodes that lead in or out."""
        return (*self.nodes[: self.num_inputs], self.nodes[-1])


def name_and_index(node: str) -> tuple[str, str]:
    """A node's name in two parts: ("c", "k-2") of "c_{k-2}"; without an index ("n1", "")."""
    found = re.fullmatch(r"(\w+)_\{([\w+-]+)\}", node)
    return (found[1], found[2]) if found else (node, "")


def skips_and_pools(operations: Sequence[str]) -> str:
    """How many there are of both in words, for a caption: "1 skip connection, 2 pools"."""
    skips = operations.count("skip_connect")
    pools = sum("pool" in operation for operation in operations)
    return f"{skips} skip connection{'s' * (skips != 1)}, {pools} pool{'s' * (pools != 1)}"
