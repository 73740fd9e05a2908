"""The layers by which the latency of networks of cells of blocks is summed up, of ENAS micro and NASNet.

A block takes two states of its cell and applies an operation to each. What an operation takes decides its stride and,
in NASNet, its width; so a cell is here what its operations take, and not which of the blocks they stand in.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from dartboard.spaces.timed_cells import STEM_MULTIPLIER, Place, head, join, operation, places, stem
from dartboard.spaces.timed_layers import Layer, Sizes

Map = tuple[int, int]  # channels, side


def reductions(cells: int) -> tuple[int, int]:
    """The places of both reductions, of n + 2 cells."""
    third = (cells - 2) // 3
    return third, 2 * third + 1


@dataclass(frozen=True)
class State:
    """What an operation takes, or a cell joins. of: 0 or 1 for an input of the cell, None for a block; wide: a block
    that joins both sides instead of adding them up."""

    of: int | None = None
    wide: bool = False


@dataclass(frozen=True)
class Blocks:
    """What a cell computes. operations: each with what it takes; sums, joins: of two maps each; joined: the states in
    the output."""

    operations: Sequence[tuple[str, State]]
    sums: int
    joins: int
    joined: Sequence[State]


@dataclass(frozen=True)
class Entering:
    """What enters the cell at a place. older, newest: the maps before the last and behind the last cell; larger:
    whether the older one is twice as large; first: whether both are the stem's."""

    older: Map
    newest: Map
    larger: bool
    first: bool


OfCell = Callable[[Blocks, Place, Entering], Iterator[Layer]]


def of_network(of_cell: OfCell, normal: Blocks, reduce: Blocks, sizes: Sizes) -> Iterator[Layer]:
    """The layers of a network with these cells. of_cell: those of one cell, `enas_cell` or `nasnet_cell`."""
    width = STEM_MULTIPLIER * sizes["channels"]
    older = newest = (width, sizes["image_size"])
    yield stem(sizes, width)
    after = False  # whether the last cell was a reduction
    for number, place in enumerate(places(sizes, reductions(sizes["cells"]))):
        own = reduce if place.reduction else normal
        yield from of_cell(own, place, Entering(older, newest, after, number == 0))
        older, newest, after = newest, (len(own.joined) * place.channels, place.inner), place.reduction
    yield head(sizes, *newest)


def of_space(
    of_cell: OfCell, offered: Sequence[Sequence[str]], blocks: int, wide: bool, sizes: Sizes
) -> Iterator[Layer]:
    """The layers of all networks whose cells have so many blocks, some more than once. offered: operations of the
    normal and the reduction cell; wide: whether blocks may join."""
    states = [State(0), State(1), State(), *([State(wide=True)] if wide else [])]
    pairs = [[(name, state) for name in names for state in states] for names in offered]
    most = range(1, blocks + 2)  # states in an output: each block takes an input or a block, and all may take one input
    for *numbers, joins, state in product(most, most, range(blocks + 1 if wide else 1), states):
        own = [Blocks(pairs[kind], blocks - joins, joins, [state] * numbers[kind]) for kind in (0, 1)]
        yield from of_network(of_cell, own[0], own[1], sizes)
        pairs = [[], []]  # what operations take does not depend on the rest


# --- Layers of a cell -------------------------------------------------------------------------------------------------


def brought(before: Map, place: Place, stride: int) -> Layer:
    """What brings an input to the width of a cell, and with stride 2 to half its side."""
    return Layer("enter", *before, (("outputs", place.channels), ("stride", stride)))


def adjusted(before: Map, place: Place, larger: bool) -> Iterator[Layer]:
    """The same for an input that may be as it has to be."""
    if larger or before[0] != place.channels:
        yield brought(before, place, 2 if larger else 1)


def enas_cell(own: Blocks, place: Place, entering: Entering) -> Iterator[Layer]:
    """A cell of the final network of ENAS micro: its newest input passes one more convolution, and inputs that a
    reduction joins are halved."""
    yield from adjusted(entering.older, place, entering.larger)
    yield from adjusted(entering.newest, place, False)
    yield brought((place.channels, place.side), place, 1)
    for name, state in own.operations:
        yield from operation(place, name, state.of is not None)
    for state in own.joined if place.reduction else ():
        if state.of is not None:
            yield from operation(place, "identity", True)
    yield join(place, own.sums, len(own.joined))


def nasnet_cell(own: Blocks, place: Place, entering: Entering) -> Iterator[Layer]:
    """A cell of NASNet: operations make their width of what they take, and joined states are brought to it."""

    def taken(state: State) -> tuple[Map, int]:
        """The map of a state, and the stride of what takes it."""
        if state.of is None:
            return (2 * place.channels if state.wide else place.channels, place.inner), 1
        width = entering.older[0] if state.of == 1 and entering.first else place.channels
        return (width, place.side), 2 if place.reduction else 1

    yield brought(entering.newest, place, 1)
    if not entering.first:
        yield from adjusted(entering.older, place, entering.larger)
    for name, state in own.operations:
        before, stride = taken(state)
        if (name, stride, before[0]) != ("identity", 1, place.channels):
            settings = (("name", name), ("outputs", place.channels), ("stride", stride))
            yield Layer("operation", *before, settings)
    for state in own.joined:
        before, stride = taken(state)
        if stride == 2 or before[0] != place.channels:
            yield Layer("fit", *before, (("outputs", place.channels), ("stride", stride)))
    yield from [join(place, 0, 2)] * own.joins
    yield join(place, own.sums, len(own.joined))
