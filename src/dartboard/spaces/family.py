"""What the rest of the house asks of a family of spaces: a record, which lies in the family's file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.spaces.graph import Graph
from dartboard.spaces.places import Place
from dartboard.spaces.search_space import Architecture, SearchSpace, Value, quote
from dartboard.spaces.timed_layers import Sizes, TimedLayers

Mixed = Mapping[str, Sequence[Sequence[str]]]  # by kind of cell, of every edge: the columns of its mixture weights
Part = tuple[str, int, str]  # kind of cell, row of its mixture weights, operation


def nothing_mixed(space: SearchSpace) -> Mixed:
    """Of a family whose supernet mixes nothing."""
    return {}


def not_derived(weights: Mapping[str, Sequence[Sequence[float]]], mixed: Mixed) -> Architecture:
    """Raises InputError: the family has no architectures that are read off mixture weights."""
    raise InputError("the architectures of this family are not read off mixture weights; give a method that needs none")


def read_within(space: SearchSpace, values: Mapping[str, Value]) -> Architecture:
    """The architecture of {choice: value} for a family of one space: as `read`, `partial(read_within, SPACE)`.

    Raises InputError unless it is in the space.
    """
    architecture = space.walk(lambda choice: values.get(choice.name))
    if architecture not in space or len(values) != len(architecture.choices):
        example = space.smallest().to_json()["choices"]
        raise InputError(f"{quote(dict(values))} is not in the space {space.name}; give choices such as {example}")
    return architecture


def in_order(values: Mapping[str, Value], names: Sequence[str], whole: str) -> list[Value]:
    """The values of these choices, in their order. whole: what has the choices, for messages, such as "a cell".

    Raises InputError for a missing or unknown choice.
    """
    for name in values:
        if name not in names:
            raise unknown("choice", name, names)
    if missing := [name for name in names if name not in values]:
        raise InputError(f"the choice {missing[0]!r} is missing; {whole} has {', '.join(names)}")
    return [values[name] for name in names]


def of_operations(
    family: str, names: Sequence[str], operations: Sequence[Value], known: Sequence[str], what: str = ""
) -> Architecture:
    """The architecture with an operation for each name. known: all there are; what: stands before a name in messages.

    Raises InputError for an unknown operation.
    """
    for name, operation in zip(names, operations, strict=True):
        if not isinstance(operation, str):
            raise InputError(f"the choice {name!r} is {quote(operation)}; give one of {', '.join(known)}")
        if operation not in known:
            raise InputError(f"{what}{name}: {unknown('operation', operation, known)}")
    return Architecture(family, tuple(zip(names, operations, strict=True)))


def smallest_alone(space: SearchSpace) -> tuple[Architecture, ...]:
    return (space.smallest(),)


@dataclass(frozen=True)
class Family:
    """What the rest of the house asks of a family.

    read: what makes an architecture of {choice: value} as a file gives it, or raises InputError. notation: the one
    people write its architectures in (a key of formats.NOTATIONS). lines: an architecture in words; graphs: in
    pictures, one per part; note: what stands below them.
    sizes: of the networks whose counts papers report: channels, cells, num_classes, image_size by the network's name.
    kinds: of cells: what the tables of `mixed` are called, which no other family has -> in words. The first keeps the
    size of maps, and its skip connections are what num_skips counts. operations: all that its edges can be, in order.
    mixed: what each edge of a space has to choose from, which is what a relaxed form mixes; nothing if it has none.
    derive: (mixture weights, mixed) -> the architecture that is read off them. relaxed: (kind, number of rows) -> the
    relaxed cell whose table has that many rows, one per edge in their order, or None; if a family has none, its pages
    draw the architecture and not how it came about. is_learnable: whether an operation is a convolution.
    rivals: (source, target) of each row of a table of that many, if a node's edges compete to be in its architecture;
    None if every edge stays. training: settings of a training, and those of a search that has
    them, that its networks ask for; defaults: those that the preset of a data set overrides; recipe: the same, of
    trainings alone: how its authors trained what they found. layers: of the names of choices, what `cells` is in
    networks of these, if the choices say so. own_sizes: of a space or an architecture, the sizes of its networks, if
    they are not the same in the whole family. built_from: of a space, what its supernet is built from; None: from what
    its edges mix. counts: parameters, multiply-adds, numbers in the results of convolutions, and bytes of memory of a
    network in closed form, by the rules of scoring.cost and scoring.memory; None: its network is built and counted.
    counted: what `cells` counts, in words.
    parts: of a choice and its value, the operations that it puts on edges, as (kind, row of `mixed`, operation), if an
    architecture costs what these cost and a rest. covering: architectures of which some has each of a space's
    operations on each edge, if there are parts; the file of networks then has `edge_layers`.
    usual: of these names, which of `sizes` such an architecture has; the first, if the choices do not say so.
    cheapest: architectures of a space of which one costs least; its smallest, where options go from small to large.
    timed: the layers by which the latency of its networks is summed up; None: it has no tables of latency.
    places: of a space and sizes, the places of its networks, whose costs add up to theirs: many networks are then
    counted at once; None: each by itself.
    Of a package's family alone (ours are in spaces.SPACES, networks/ and scoring.tables.LAYOUTS): spaces: those that it
    offers; networks: the path of the module of its networks; layout: a scoring.tables.Layout, if somebody measured all
    its architectures.
    """

    read: Callable[[Mapping[str, Value]], Architecture]
    notation: str
    lines: Callable[[Architecture], list[str]]
    graphs: Callable[[Architecture], tuple[Graph, ...]]
    sizes: Mapping[str, Mapping[str, int]]
    kinds: Mapping[str, str]
    operations: tuple[str, ...]
    num_skips: Callable[[Architecture], int]
    is_learnable: Callable[[str], bool]
    mixed: Callable[[SearchSpace], Mixed] = nothing_mixed
    derive: Callable[[Mapping[str, Sequence[Sequence[float]]], Mixed], Architecture] = not_derived
    relaxed: Callable[[str, int], Graph | None] | None = None
    rivals: Callable[[int], Sequence[tuple[int, int]]] | None = None
    training: Mapping[str, object] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    recipe: Mapping[str, object] = field(default_factory=dict)
    layers: Callable[[Sequence[str]], int] | None = None
    own_sizes: Callable[[SearchSpace | Architecture], Mapping[str, int]] | None = None
    built_from: Callable[[SearchSpace], Mapping[str, object]] | None = None
    counts: Callable[..., tuple[int, int, int, int]] | None = None
    parts: Callable[[str, Value], Sequence[Part]] | None = None
    covering: Callable[[SearchSpace], Sequence[Architecture]] | None = None
    usual: Callable[[Sequence[str]], str] | None = None
    note: str = ""
    counted: str = "cells"
    cheapest: Callable[[SearchSpace], Sequence[Architecture]] = smallest_alone
    timed: TimedLayers | None = None
    places: Callable[[SearchSpace, Sizes], Sequence[Place]] | None = None
    spaces: tuple[SearchSpace, ...] = ()
    networks: str = ""
    layout: Any = None

    def needs(self, of: SearchSpace | Architecture) -> dict[str, object]:
        """Settings that the networks of a space, or of an architecture, ask for."""
        if self.own_sizes is not None:
            own = self.own_sizes(of)
            return {**self.training, "channels": own["channels"], "cells": own["cells"]}
        if self.layers is None:
            return dict(self.training)
        names = [name for name, _ in of.choices] if isinstance(of, Architecture) else [one.name for one in of.choices]
        return {**self.training, "cells": self.layers(names)}

    def sizes_of(self, architecture: Architecture, network: str) -> dict[str, int]:
        """The sizes that papers report of the network of that name, with the layers that the architecture has."""
        sizes = dict(self.sizes[network])
        if self.layers is not None:
            sizes["cells"] = self.layers([name for name, _ in architecture.choices])
        return sizes if self.own_sizes is None else {**sizes, **self.own_sizes(architecture)}

    def of_supernet(self, space: SearchSpace) -> dict[str, object]:
        """The arguments of a space's supernet, its sizes aside."""
        return {"operations": self.mixed(space)} if self.built_from is None else dict(self.built_from(space))

    def usual_network(self, architecture: Architecture) -> str:
        """The name of the network whose sizes are reported of an architecture, if nobody names another."""
        if self.usual is None:
            return next(iter(self.sizes))
        return self.usual([name for name, _ in architecture.choices])

    @property
    def main(self) -> str:
        """The first kind of cell, in words."""
        return next(iter(self.kinds.values()))
