"""Where the cells of a network stand, and the layers by which the latency of such a network is summed up: stem, what
enters a cell, the operations of its edges, what joins its nodes, head.

A cell is no chain, but on a device its operations are computed one after another, so their times add up.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from dartboard.spaces.timed_layers import Layer, Sizes, halved

NOTHING = ("skip_connect", "identity")  # with stride 1
STEM_MULTIPLIER = 3  # channels of the stem of networks with two inputs a cell, in those of the first cell's nodes


def reductions(cells: int) -> tuple[int, int]:
    """Positions, from 0, of what halves the map and doubles the channels."""
    return cells // 3, 2 * cells // 3


@dataclass(frozen=True)
class Place:
    """Where a cell stands. channels: of its nodes; side: of the maps that enter; inner: of those of its nodes."""

    reduction: bool
    channels: int
    side: int
    inner: int


def places(sizes: Sizes, at: Collection[int] | None = None) -> Iterator[Place]:
    """The places of all cells of a network, from the stem to the head. at: positions of the reductions, if they are not
    those of `reductions`."""
    channels, side = sizes["channels"], sizes["image_size"]
    halving = reductions(sizes["cells"]) if at is None else at
    for position in range(sizes["cells"]):
        reduction = position in halving
        channels, inner = (2 * channels, halved(side, 2)) if reduction else (channels, side)
        yield Place(reduction, channels, side, inner)
        side = inner


@dataclass(frozen=True)
class Edges:
    """What a cell with two inputs computes. operations: of its edges, with whether an edge leaves an input; sums: of
    two maps each; joined: maps side by side in its output."""

    operations: Sequence[tuple[str, bool]]
    sums: int
    joined: int


def of_cells(normal: Edges, reduce: Edges, sizes: Sizes) -> Iterator[Layer]:
    """The layers of a network whose cells have two inputs, the outputs of the two cells before, as DARTS has them."""
    width = STEM_MULTIPLIER * sizes["channels"]
    before = last = (width, sizes["image_size"])  # channels and side
    yield stem(sizes, width)
    after = False  # whether the last cell was a reduction
    for place in places(sizes):
        edges = reduce if place.reduction else normal
        for (channels, side), stride in ((before, 2 if after else 1), (last, 1)):
            yield Layer("enter", channels, side, (("outputs", place.channels), ("stride", stride)))
        for name, leaves_input in edges.operations:
            yield from operation(place, name, leaves_input)
        yield join(place, edges.sums, edges.joined)
        before, last, after = last, (edges.joined * place.channels, place.inner), place.reduction
    yield head(sizes, *last)


def stem(sizes: Sizes, width: int) -> Layer:
    return Layer("stem", sizes["in_channels"], sizes["image_size"], (("outputs", width),))


def operation(place: Place, name: str, leaves_input: bool) -> Iterator[Layer]:
    """The operation of an edge; a skip connection that changes nothing is no layer."""
    stride = 2 if place.reduction and leaves_input else 1
    if name not in NOTHING or stride > 1:
        side = place.side if leaves_input else place.inner
        yield Layer("operation", place.channels, side, (("name", name), ("stride", stride)))


def join(place: Place, sums: int, joined: int) -> Layer:
    """All sums of a cell, and its output."""
    return Layer("join", place.channels, place.inner, (("sums", sums), ("joined", joined)))


def head(sizes: Sizes, width: int, side: int) -> Layer:
    return Layer("head", width, side, (("classes", sizes["num_classes"]),))


def distinct(layers: Iterator[Layer]) -> list[Layer]:
    """Each layer once, in the order in which they come first."""
    return list(dict.fromkeys(layers))
