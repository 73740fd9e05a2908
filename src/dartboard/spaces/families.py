"""What the rest of the house asks of a family of spaces, whatever its architectures are: one entry in a plain table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dartboard.errors import InputError
from dartboard.spaces import darts, nasbench201
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture, SearchSpace

Mixed = Mapping[str, Sequence[Sequence[str]]]  # by kind of cell, of every edge: the columns of its mixture weights


def nothing_mixed(space: SearchSpace) -> Mixed:
    """Of a family whose supernet mixes nothing."""
    return {}


def not_derived(weights: Mapping[str, Sequence[Sequence[float]]], mixed: Mixed) -> Architecture:
    """Raises InputError: the family has no architectures that are read off mixture weights."""
    raise InputError("the architectures of this family are not read off mixture weights; give a method that needs none")


@dataclass(frozen=True)
class Family:
    """What the rest of the house asks of a family.

    notation: the one people write its architectures in (a key of formats.NOTATIONS).
    sizes: of the networks whose counts papers report: channels, cells, num_classes, image_size by the network's name.
    kinds: of cells: what the tables of `mixed` are called, which no other family has -> in words. The first keeps the
    size of maps, and its skip connections are what num_skips counts. operations: all that its edges can be, in order.
    lines: an architecture in words; graphs: in pictures, one a part; note: what stands below them. mixed: what the
    relaxed form of a space mixes, nothing where it has none. derive: (mixture weights, mixed) -> the architecture that
    is read off them. relaxed: (kind, number of rows) -> the relaxed cell whose table has so many rows, an edge each in
    their order, or None; where a family has none, its pages draw the architecture and not how it came about.
    is_learnable: whether an operation is a convolution.
    rivals: (source, target) of each row of a table of so many, where a node's edges compete to be in its architecture;
    None where every edge stays. training: settings of a training that its networks ask for.
    """

    notation: str
    sizes: Mapping[str, Mapping[str, int]]
    kinds: Mapping[str, str]
    operations: tuple[str, ...]
    lines: Callable[[Architecture], list[str]]
    graphs: Callable[[Architecture], tuple[Graph, ...]]
    num_skips: Callable[[Architecture], int]
    is_learnable: Callable[[str], bool]
    mixed: Callable[[SearchSpace], Mixed] = nothing_mixed
    derive: Callable[[Mapping[str, Sequence[Sequence[float]]], Mixed], Architecture] = not_derived
    relaxed: Callable[[str, int], Graph | None] | None = None
    rivals: Callable[[int], Sequence[tuple[int, int]]] | None = None
    training: Mapping[str, object] = field(default_factory=dict)
    note: str = ""

    @property
    def main(self) -> str:
        """The first kind of cell, in words."""
        return next(iter(self.kinds.values()))


FAMILIES: dict[str, Family] = {
    "darts": Family(
        notation="quark0",
        sizes={
            "cifar": {"channels": 36, "cells": 20, "num_classes": 10, "image_size": 32},
            "imagenet": {"channels": 48, "cells": 14, "num_classes": 1000, "image_size": 224},
        },
        kinds=darts.TITLES,
        operations=tuple(darts.RECIPES),
        lines=darts.lines,
        graphs=darts.graphs,
        relaxed=darts.relaxed,
        note=darts.NOTE,
        mixed=darts.mixed,
        derive=darts.derive,
        num_skips=darts.num_skips,
        is_learnable=darts.is_learnable,
        rivals=darts.edges_of,
    ),
    "nasbench201": Family(
        notation="nasbench201",
        sizes={"cifar": {"channels": 16, "cells": 17, "num_classes": 10, "image_size": 32}},
        kinds={nasbench201.CELL: "cell"},
        operations=nasbench201.OPERATIONS,
        lines=nasbench201.lines,
        graphs=nasbench201.graphs,
        relaxed=nasbench201.relaxed,
        mixed=nasbench201.mixed,
        derive=nasbench201.derive,
        num_skips=nasbench201.num_skips,
        is_learnable=nasbench201.is_learnable,
        training={"auxiliary": False, "drop_path": 0.0},  # its networks have neither a second head nor drop path
    ),
}


def united(mixed: Mixed) -> tuple[str, ...]:
    """Every operation of any edge: one list as it is where all edges have the same, else in the family's order."""
    lists = {tuple(row) for rows in mixed.values() for row in rows}
    if len(lists) == 1:
        return lists.pop()
    return tuple(name for name in family_of(mixed).operations if any(name in row for row in lists))


def family_of(mixed: Mixed) -> Family:
    """The family whose relaxed form has tables of these names."""
    return next(family for family in FAMILIES.values() if set(family.kinds) == set(mixed))
