"""What the rest of the house asks of a family of spaces, whatever its architectures are: one entry in a plain table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dartboard.spaces import darts, nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace

Mixed = Mapping[str, Sequence[Sequence[str]]]  # by kind of cell, of every edge: the columns of its mixture weights


@dataclass(frozen=True)
class Family:
    """What the rest of the house asks of a family.

    notation: the one people write its architectures in (a key of formats.NOTATIONS).
    sizes: of the networks whose counts papers report: channels, cells, num_classes, image_size by the network's name.
    kinds: of cells: what the tables of `mixed` are called, which no other family has -> in words. The first keeps the
    size of maps, and its skip connections are what num_skips counts. operations: all that its edges can be, in order.
    lines: an architecture in words. mixed: what the relaxed form of a space mixes. derive: (mixture weights, mixed) ->
    the architecture that is read off them. is_learnable: whether an operation is a convolution.
    rivals: (source, target) of each row of a table of so many, where a node's edges compete to be in its architecture;
    None where every edge stays. training: settings of a training that its networks ask for.
    """

    notation: str
    sizes: Mapping[str, Mapping[str, int]]
    kinds: Mapping[str, str]
    operations: tuple[str, ...]
    lines: Callable[[Architecture], list[str]]
    mixed: Callable[[SearchSpace], Mixed]
    derive: Callable[[Mapping[str, Sequence[Sequence[float]]], Mixed], Architecture]
    num_skips: Callable[[Architecture], int]
    is_learnable: Callable[[str], bool]
    rivals: Callable[[int], Sequence[tuple[int, int]]] | None = None
    training: Mapping[str, object] = field(default_factory=dict)

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
        kinds={"normal": "normal cell", "reduce": "reduction cell"},
        operations=tuple(darts.RECIPES),
        lines=darts.lines,
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
