"""The convolutional space of NAS with reinforcement learning, as plain data (Zoph, Le: Neural Architecture Search with
Reinforcement Learning, ICLR 2017, arXiv 1611.01578; sections 3.3 and 4.1).

An architecture is a number of layers, and for each of them: height and width of its filter, its stride if the space has
strides, its number of filters, and one yes or no for each earlier layer, whether its output is an input. A layer
without inputs takes the image. Outputs that no layer takes are joined before the classifier.

`depth` comes first, and later layers exist by it. As text a layer is height x width x filters, `/` and the stride in a
space that has strides, `:` and its inputs by number: "3x5x36 7x7x48:1 1x3x24:1,2 out"; what is cut off lacks the end.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from dartboard.errors import InputError, unknown
from dartboard.spaces import nas_rl_timed
from dartboard.spaces.family import Family
from dartboard.spaces.graph import Graph
from dartboard.spaces.nas_rl_timed import LEAST, width_of
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_layers import Between, Sizes, TimedLayers, halved
from dartboard.spaces.timed_layers import Layer as Timed

SIDES = (1, 3, 5, 7)  # of a filter: its heights, its widths
FILTERS = (LEAST, 36, 48, 64)
STRIDES = (1, 2, 3)  # of the space that has them; otherwise all are 1
DEPTHS = tuple(range(6, 40))  # where the paper's search begins, to the layers of its largest network
END = "out"  # of a text
MOST_LINES = 150  # thin lines of a picture
FEWEST, MOST = 3, 39  # layers of any architecture that is read
LAYER = re.compile(
    r"(?P<height>\d+)x(?P<width>\d+)x(?P<filters>\d+)(?:/(?P<stride>\d+))?(?::(?P<inputs>\d+(?:,\d+)*))?"
)
WORD = re.compile(r"\d{1,3}x\d{1,3}x\d{1,3}[/:,\d-]{0,200}")  # what is taken for a layer
OPERATIONS = tuple(
    f"conv_{height}x{width}{f'_stride_{stride}' if stride > 1 else ''}"
    for stride in STRIDES
    for height in SIDES
    for width in SIDES
)


class Layer(NamedTuple):
    """inputs: numbers of earlier layers, from 1, in order; none: the image. stride: None in a space without strides."""

    height: int
    width: int
    filters: int
    stride: int | None
    inputs: tuple[int, ...]

    @property
    def step(self) -> int:
        """By what it divides the sides of a map."""
        return self.stride or 1

    @property
    def operation(self) -> str:
        return f"conv_{self.height}x{self.width}{f'_stride_{self.step}' if self.step > 1 else ''}"


def space(
    name: str,
    source: str,
    depths: Sequence[int] = DEPTHS,
    strides: Sequence[int] = (),
    sides: Sequence[int] = SIDES,
    filters: Sequence[int] = FILTERS,
) -> SearchSpace:
    """All networks of so many layers. strides: none where all are 1. The order within a layer is the controller's."""
    choices = [Choice("depth", tuple(depths))]
    for number in range(1, max(depths) + 1):
        deep = tuple(depth for depth in depths if depth >= number)
        when = None if len(deep) == len(depths) else ("depth", deep)
        own: list[tuple[str, Sequence[int]]] = [("height", sides), ("width", sides)]
        own += [("stride", strides)] if strides else []
        own += [("filters", filters), *((f"skip.{earlier}", (0, 1)) for earlier in range(1, number))]
        choices += [Choice(f"layer.{number}.{part}", tuple(options), when) for part, options in own]
    return SearchSpace(name, source, tuple(choices), family="nas_rl")


SOURCE = "Zoph, Le, NAS with RL, ICLR 2017"
SPACE = space("nas_rl", SOURCE)
SPACE_STRIDES = space("nas_rl-strides", SOURCE, strides=STRIDES)
SPACE_12 = space("nas_rl-12", f"{SOURCE}, scaled down: at most 12 layers", depths=range(6, 13))


def at_depth(space: SearchSpace, depth: int) -> SearchSpace:
    """The part of a space whose networks have so many layers."""
    values = {"depth": depth}
    there = [replace(choice, when=None) for choice in space.choices[1:] if choice.exists(values)]
    return replace(space, name=f"{space.name} with {depth} layers", choices=(Choice("depth", (depth,)), *there))


def cheapest(space: SearchSpace) -> tuple[Architecture, ...]:
    """Fewest layers, smallest filters, largest strides: all layers take the image, or each takes the one before it.

    One of the two costs least. Let layers take the image and the others form a chain: a layer on the image costs the
    same each time, and one more at the end of the chain no more than the one before it, since its map is no larger.
    So what layers save on the chain grows with the chain, and it pays for all layers or for none.
    """

    def pick(choice: Choice, chained: bool) -> Value:
        if choice.name not in known:
            return choice.options[-1 if choice.name.endswith(".stride") else 0]
        layer, earlier = known[choice.name]
        return int(chained and earlier == layer - 1)

    known = anchors(space)
    return tuple(space.walk(partial(pick, chained=chained)) for chained in (False, True))


# --- Reading and writing ---------------------------------------------------------------------------------------------


def architecture(layers: Sequence[Layer]) -> Architecture:
    """The architecture of these layers, checked. Raises InputError, which names the layer."""
    if not FEWEST <= len(layers) <= MOST:
        raise InputError(f"a network of {len(layers)} layers; give {FEWEST} to {MOST}")
    found: list[tuple[str, Value]] = [("depth", len(layers))]
    for number, layer in enumerate(layers, 1):
        check_layer(number, layer, strided=layers[0].stride is not None)
        parts = [("height", layer.height), ("width", layer.width)]
        parts += [] if layer.stride is None else [("stride", layer.stride)]
        parts += [("filters", layer.filters)]
        parts += [(f"skip.{earlier}", int(earlier in layer.inputs)) for earlier in range(1, number)]
        found += [(f"layer.{number}.{part}", value) for part, value in parts]
    return Architecture("nas_rl", tuple(found))


def check_layer(number: int, layer: Layer, strided: bool) -> None:
    """Raises InputError for a layer that cannot be. strided: whether the first layer has a stride."""
    known = {"height": SIDES, "width": SIDES, "filters": FILTERS, "stride": STRIDES if strided else (None,)}
    for part, options in known.items():
        value = getattr(layer, part)
        if isinstance(value, bool) or value not in options:
            told = f"give {', '.join(map(str, options))}" if options != (None,) else "the first layer has none"
            told = f"{told}, as the first layer has one" if part == "stride" and strided else told
            raise InputError(f"layer {number} has the {part} {quote(value)}; {told}")
    for earlier in layer.inputs:
        if not 1 <= earlier < number:
            able = "only the image" if number == 1 else f"layers 1 to {number - 1}"
            raise InputError(f"layer {number} takes layer {earlier}; it can take {able}")
    if list(layer.inputs) != sorted({*layer.inputs}):
        raise InputError(f"layer {number} takes layers {quote(layer.inputs)}; give each once, in order")


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"depth": 6, "layer.1.height": 3, ..., "layer.6.skip.5": 0}, checked. Raises InputError."""
    depth = values.get("depth")
    if type(depth) is not int or not FEWEST <= depth <= MOST:
        raise InputError(f"the depth is {quote(depth)}; give {FEWEST} to {MOST}")
    strided = "layer.1.stride" in values
    parts = ("height", "width", *(("stride",) if strided else ()), "filters")
    names = {n: [*parts, *(f"skip.{earlier}" for earlier in range(1, n))] for n in range(1, depth + 1)}
    known = ["depth", *(f"layer.{number}.{part}" for number, own in names.items() for part in own)]
    if missing := [name for name in known if name not in values]:
        raise InputError(f"the choice {missing[0]!r} is missing; a network of depth {depth} has {len(known)} choices")
    if others := [name for name in values if name not in known]:
        raise unknown(f"choice of a network of depth {depth}", others[0], known)
    for name in known:
        if ".skip." in name and (type(values[name]) is not int or values[name] not in (0, 1)):
            raise InputError(f"{name} is {quote(values[name])}; give 1 if that layer is an input, otherwise 0")
    return architecture(layers_in(values))


def layers_in(values: Mapping[str, Value]) -> list[Layer]:
    """The layers of choices that are all there."""
    found = []
    for number in range(1, values["depth"] + 1):
        height, width, filters = (values[f"layer.{number}.{part}"] for part in ("height", "width", "filters"))
        inputs = tuple(earlier for earlier in range(1, number) if values[f"layer.{number}.skip.{earlier}"])
        found.append(Layer(height, width, filters, values.get(f"layer.{number}.stride"), inputs))
    return found


def layers_of(architecture: Architecture) -> list[Layer]:
    """The layers of an architecture."""
    return layers_in(dict(architecture.choices))


def dangling(layers: Sequence[Layer]) -> list[int]:
    """The numbers of the layers that no other takes, from 1: the last one always."""
    taken = {earlier for layer in layers for earlier in layer.inputs}
    return [number for number in range(1, len(layers) + 1) if number not in taken]


def is_text(text: str) -> bool:
    """Whether the text is nothing but layers, right or wrong."""
    *words, last = text.split() or [""]
    return len(words) > 0 and all(map(WORD.fullmatch, [*words, *([last] if last != END else [])]))


def from_text(text: str) -> Architecture:
    """The architecture of layers such as 3x5x36 7x7x48:1 1x1x24:2 out, with spaces between. Raises InputError."""
    layers = []
    *words, last = text.split() or [""]
    if last != END:
        raise InputError(f"the layers do not end with {END!r}, so they may be cut off; give all, and {END} at the end")
    for number, word in enumerate(words, 1):
        match = LAYER.fullmatch(word)
        if match is None:
            raise InputError(f"layer {number} is {quote(word)}; give it as 3x5x36 or 3x5x36:1,2, with its inputs")
        height, width, filters = (int(match[part]) for part in ("height", "width", "filters"))
        inputs = tuple(int(one) for one in (match["inputs"] or "").split(",") if one)
        layers.append(Layer(height, width, filters, int(match["stride"]) if match["stride"] else None, inputs))
    return architecture(layers)


def to_text(architecture: Architecture) -> str:
    """The layers of an architecture, as `from_text` reads them."""
    return " ".join([*map(word_of, layers_of(architecture)), END])


def word_of(layer: Layer) -> str:
    stride = "" if layer.stride is None else f"/{layer.stride}"
    inputs = f":{','.join(map(str, layer.inputs))}" if layer.inputs else ""
    return f"{layer.height}x{layer.width}x{layer.filters}{stride}{inputs}"


# --- Words and pictures ----------------------------------------------------------------------------------------------


def anchors(space: SearchSpace) -> dict[str, tuple[int, int]]:
    """The choices that are anchors, by name: (layer i, earlier layer j), whether j is an input of i."""
    split = [(choice.name, choice.name.split(".")) for choice in space.choices if ".skip." in choice.name]
    return {name: (int(parts[1]), int(parts[3])) for name, parts in split}


def num_skips(architecture: Architecture) -> int:
    """Connections that pass over a layer or more."""
    layers = enumerate(layers_of(architecture), 1)
    return sum(earlier < number - 1 for number, layer in layers for earlier in layer.inputs)


def is_learnable(operation: str) -> bool:
    """Every layer is a convolution."""
    return "conv" in operation


def num_layers(names: Sequence[str]) -> int:
    return sum(name.endswith(".height") for name in names)


def lines(architecture: Architecture) -> list[str]:
    """The text, and a line a layer: what it is, and what it takes."""
    layers = layers_of(architecture)
    found = [to_text(architecture), ""]
    for number, layer in enumerate(layers, 1):
        inputs = f"layer{'s' * (len(layer.inputs) > 1)} {', '.join(map(str, layer.inputs))}"
        taken = inputs if layer.inputs else "the image"
        found.append(f"layer {number}: {layer.operation}, {layer.filters} filters, of {taken}")
    return [*found, f"out = concat({', '.join(f'layer {number}' for number in dangling(layers))})"]


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """The network as a picture: each layer on the way from its nearest input, its other inputs as thin lines.

    More than 150 of these would take minutes to lay out, and nobody could follow them: they are left to the words.
    """
    layers = layers_of(architecture)
    names = ("image", *(f"{number}_{{{layer.filters}}}" for number, layer in enumerate(layers, 1)), "out")
    edges, passed = [], []
    for number, layer in enumerate(layers, 1):
        *others, nearest = layer.inputs or (0,)
        edges.append((names[nearest], names[number], layer.operation))
        passed += [(names[earlier], names[number]) for earlier in others]
    loose = dangling(layers)
    joined = tuple(names[number] for number in loose)
    count = f"{len(passed)} more input{'s' * (len(passed) != 1)}"
    shown = (
        "as thin lines, which its convolution takes as well" if len(passed) <= MOST_LINES else "too many to be drawn"
    )
    caption = f"{len(layers)} layers, below each number its filters; {count}, {shown}. The output joins {len(loose)}."
    passed = passed if len(passed) <= MOST_LINES else []
    return (Graph("layers", "layers", names, tuple(edges), joined=joined, passed=tuple(passed), caption=caption),)


# --- Layers that are timed --------------------------------------------------------------------------------------------


def in_layers(layers: Sequence[Layer], sizes: Sizes) -> Iterator[Timed]:
    """The layers of a network, from images to logits."""

    def together(numbers: Sequence[int]) -> tuple[int, int]:
        """Width and side of these maps side by side."""
        return sum(maps[one][0] for one in numbers), max(maps[one][1] for one in numbers)

    maps = [(sizes["in_channels"], sizes["image_size"])]  # the image is number 0
    for layer in layers:
        width, side = together(layer.inputs or (0,))
        if len(layer.inputs) > 1:
            yield nas_rl_timed.joined(width, side, len(layer.inputs))
        outputs = width_of(layer.filters, sizes["channels"])
        yield nas_rl_timed.convolution(width, side, (layer.height, layer.width), layer.step, outputs)
        maps.append((outputs, halved(side, layer.step)))
    loose = dangling(layers)
    width, side = together(loose)
    if len(loose) > 1:
        yield nas_rl_timed.joined(width, side, len(loose))
    yield nas_rl_timed.head(width, side, sizes)


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Timed]:
    """The layers of an architecture's network; between which timed ones they lie says nas_rl_timed."""
    return list(in_layers(layers_of(architecture), sizes))


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Timed]:
    """The layers that are timed."""
    return list(nas_rl_timed.grid(space, sizes).layers())


def between(space: SearchSpace, sizes: Sizes) -> Between:
    """What says between which of them a layer lies."""
    return nas_rl_timed.grid(space, sizes).between


FAMILY = Family(
    read=from_choices,
    notation="nas_rl",
    lines=lines,
    graphs=graphs,
    sizes={"cifar": {"channels": 24, "cells": 15, "num_classes": 10, "image_size": 32}},
    kinds={"nas_rl_layers": "layers"},
    operations=OPERATIONS,
    num_skips=num_skips,
    is_learnable=is_learnable,
    training={"auxiliary": False, "drop_path": 0.0},
    defaults={"channels": 24},
    recipe={"lr": 0.1, "weight_decay": 1e-4},
    layers=num_layers,
    counted="layers",
    cheapest=cheapest,
    timed=TimedLayers(layers_of_network, layers_of_space, between=between),
)
