"""The layers by which the latency of networks of NAS with RL is summed up, and between which of them a layer lies.

What a convolution takes has as many widths as there are sums of its inputs' filters: too many to be timed. Its
time grows with its width, and with the pixels of its map, nearly in proportion. So some widths are timed, each three
times the one before, and some sides, each half of the one before; times between two of them lie on a straight line of
the width, and of the pixels; what joins maps takes longer the more they are, too.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from dartboard.spaces.search_space import SearchSpace, Value
from dartboard.spaces.timed_layers import Layer, Sizes, halved

LEAST = 24  # filters of a layer, which become `channels`
STEP = 3  # from one width that is timed to the next
SMALLEST_SIDE = 4  # from which one goes to the smallest side that there is


def width_of(filters: int, channels: int) -> int:
    """The maps of a layer of so many filters. channels: what 24 of them become."""
    return max(1, round(filters * channels / LEAST))


def convolution(channels: int, side: int, sides: tuple[int, int], stride: int, outputs: int) -> Layer:
    """A layer on a map that it takes. sides: of its filter."""
    settings = (("height", sides[0]), ("width", sides[1]), ("stride", stride), ("outputs", outputs))
    return Layer("convolution", channels, side, settings)


def joined(channels: int, side: int, maps: int) -> Layer:
    """Several maps side by side, so many channels together."""
    return Layer("join", channels, side, (("maps", maps),))


def head(channels: int, side: int, sizes: Sizes) -> Layer:
    return Layer("head", channels, side, (("classes", sizes["num_classes"]),))


# --- What is timed, and what lies between ----------------------------------------------------------------------------


def options(space: SearchSpace, part: str) -> Sequence[Value]:
    """What any layer of the space has for its height, width, filters or stride."""
    return sorted({option for one in space.choices if one.name.endswith(f".{part}") for option in one.options})


def widths_of(space: SearchSpace, channels: int) -> tuple[int, ...]:
    """Widths that are timed: from one layer of fewest filters to all layers of most."""
    filters = options(space, "filters")
    found, largest = [width_of(filters[0], channels)], max(space.choices[0].options) * width_of(filters[-1], channels)
    while STEP * found[-1] < largest:
        found.append(STEP * found[-1])
    return (*found, *([largest] if largest > found[-1] else []))


def sides_of(space: SearchSpace, image_size: int) -> tuple[int, ...]:
    """Sides of maps that are timed, from small to large: without strides the one that there is."""
    found = [image_size]
    while found[-1] > SMALLEST_SIDE:
        found.append(halved(found[-1], 2))
    return tuple(sorted({1, *found})) if options(space, "stride") else (image_size,)


@dataclass(frozen=True)
class Grid:
    """What is timed of a space. image: channels and side; widths, sides: of maps, from small to large;
    numbers: of maps that are joined."""

    space: SearchSpace
    sizes: Sizes
    image: tuple[int, int]
    widths: tuple[int, ...]
    sides: tuple[int, ...]
    numbers: tuple[int, ...]

    def layers(self) -> Iterator[Layer]:
        """All layers that are timed, each once."""
        maps = [*product(self.widths, self.sides)]
        strides = options(self.space, "stride") or (1,)
        filters = [*product(options(self.space, "height"), options(self.space, "width"), strides)]
        outputs = [width_of(number, self.sizes["channels"]) for number in options(self.space, "filters")]
        for (channels, side), (height, width, stride), own in product(
            dict.fromkeys([self.image, *maps]), filters, dict.fromkeys(outputs)
        ):
            yield convolution(channels, side, (height, width), stride, own)
        for channels, side in maps:
            yield from (joined(channels, side, number) for number in self.numbers)
            yield head(channels, side, self.sizes)

    def between(self, layer: Layer) -> list[tuple[Layer, float]]:
        """The layers that are timed between which a layer lies, with their weights."""
        if layer.kind == "convolution" and (layer.channels, layer.side) == self.image:
            return [(layer, 1.0)]
        found = product(places_on(self.widths, layer.channels, 1), places_on(self.sides, layer.side, 2))
        if layer.kind != "join":
            return [(replace(layer, channels=width, side=side), one * other) for (width, one), (side, other) in found]
        numbers = places_on(self.numbers, dict(layer.settings)["maps"], 1)
        return [
            (joined(width, side, number), one * other * third)
            for ((width, one), (side, other)), (number, third) in product(found, numbers)
        ]


def grid(space: SearchSpace, sizes: Sizes) -> Grid:
    """What is timed of a space at these sizes."""
    image = (sizes["in_channels"], sizes["image_size"])
    numbers = tuple(sorted({2, max(2, *space.choices[0].options)}))
    return Grid(space, sizes, image, widths_of(space, sizes["channels"]), sides_of(space, image[1]), numbers)


def places_on(known: Sequence[int], number: int, power: int) -> list[tuple[int, float]]:
    """One or two of the known numbers, from small to large, whose powers give the number's own with these weights.
    Beyond the last, the line through the last two goes on."""
    if number in known or len(known) == 1:
        return [(number if number in known else known[0], 1.0)]
    above = min(max(1, bisect_left(known, number)), len(known) - 1)
    low, high = known[above - 1], known[above]
    share = (number**power - low**power) / (high**power - low**power)
    return [(low, 1.0 - share), (high, share)]
