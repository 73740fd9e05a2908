"""The macro space of ENAS, as plain data (Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via
Parameters Sharing, ICML 2018, arXiv 1802.03268; melodyguan/enas).

An architecture is a chain of L layers. Each layer has one of six operations on the output of the layer before, and adds
to it the outputs of any set of earlier layers: its skip connections. The authors write it as an arc: of each layer its
operation, then a bit for each earlier layer, L (L + 1) / 2 integers in all. As in their code the bit of layer 1 stands
for the stem, that of layer 2 for the output of layer 1, and so on: the layer right before is read in any case.
"""

from collections.abc import Iterator, Mapping, Sequence

from dartboard.errors import InputError
from dartboard.spaces.family import Family, Mixed
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_cells import distinct, head, stem
from dartboard.spaces.timed_layers import Layer as Timed
from dartboard.spaces.timed_layers import Sizes, TimedLayers, halved

OPERATIONS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool", "max_pool")  # by their ids
LAYERS = "macro_layers"  # the one kind of place: the name of its list in `mixed`
MOST_LAYERS = 100
SIZES = {12: 78, 24: 300}  # integers of the arcs of the spaces here

Layer = tuple[str, tuple[int, ...]]  # its operation, the bits of its skip connections


def space(name: str, source: str, layers: int = 12, operations: Sequence[str] = OPERATIONS) -> SearchSpace:
    """All chains of so many layers with these operations."""
    choices = []
    for number in range(1, layers + 1):
        choices.append(Choice(f"layer.{number}.operation", tuple(operations)))
        choices += [Choice(f"layer.{number}.skip.{earlier}", (0, 1)) for earlier in range(1, number)]
    return SearchSpace(name, source, tuple(choices), family="enas_macro", kinds=frozenset({"path"}))


SOURCE = "Pham et al., ENAS, ICML 2018; melodyguan/enas"
SPACE = space("enas_macro", SOURCE)
SPACE_24 = space("enas_macro-24", SOURCE, layers=24)

# --- Reading and writing ---------------------------------------------------------------------------------------------


def architecture(layers: Sequence[Layer]) -> Architecture:
    """The architecture of these layers, checked. Raises InputError, which names the layer."""
    if not 3 <= len(layers) <= MOST_LAYERS:
        raise InputError(f"a chain of {len(layers)} layers; give 3 to {MOST_LAYERS}")
    found: list[tuple[str, Value]] = []
    for number, (operation, skips) in enumerate(layers, 1):
        if operation not in OPERATIONS:
            raise InputError(f"layer {number} has the operation {quote(operation)}; known: {', '.join(OPERATIONS)}")
        if len(skips) != number - 1:
            raise InputError(
                f"layer {number} has {len(skips)} bits; give one for each of the {number - 1} earlier layers"
            )
        for earlier, bit in enumerate(skips, 1):
            if isinstance(bit, bool) or bit not in (0, 1):
                told = f"layer {number} has {quote(bit)} for its skip.{earlier}, from {state_name(earlier)}"
                raise InputError(f"{told}; a skip connection is 0 or 1")
        found.append((f"layer.{number}.operation", operation))
        found += [(f"layer.{number}.skip.{earlier}", bit) for earlier, bit in enumerate(skips, 1)]
    return Architecture("enas_macro", tuple(found))


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"layer.1.operation": ..., "layer.2.operation": ..., "layer.2.skip.1": 0, ...}, checked.

    Raises InputError for a missing or unknown choice, and for what `architecture` refuses.
    """
    layers: list[Layer] = []
    while f"layer.{len(layers) + 1}.operation" in values:
        number = len(layers) + 1
        names = [f"layer.{number}.skip.{earlier}" for earlier in range(1, number)]
        if missing := [name for name in names if name not in values]:
            raise InputError(f"the choice {missing[0]!r} is missing; layer {number} has a bit for each earlier layer")
        layers.append((values[f"layer.{number}.operation"], tuple(values[name] for name in names)))
    if len(values) != len(layers) * (len(layers) + 1) // 2:
        known = {f"layer.{n}.operation" for n in range(1, len(layers) + 1)}
        known |= {f"layer.{n}.skip.{e}" for n in range(1, len(layers) + 1) for e in range(1, n)}
        other = next(name for name in values if name not in known)
        raise InputError(
            f"unknown choice {quote(other)}; known: layer.1.operation, layer.2.operation, layer.2.skip.1, ..."
        )
    return architecture(layers)


def num_layers(length: int) -> int | None:
    """Layers of an arc of so many integers; None if no arc has that number."""
    layers = int((2 * length) ** 0.5)
    return layers if layers * (layers + 1) // 2 == length else None


def from_arc(arc: Sequence[int]) -> Architecture:
    """The architecture of an arc: of each layer its operation, then a bit for each earlier layer. Raises InputError."""
    if (count := num_layers(len(arc))) is None:
        told = ", ".join(f"{length} for {layers} layers" for layers, length in SIZES.items())
        raise InputError(f"an arc of ENAS macro of L layers has L (L + 1) / 2 integers, {told}; this has {len(arc)}")
    layers: list[Layer] = []
    for number in range(1, count + 1):
        start = number * (number - 1) // 2
        index = arc[start]
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(OPERATIONS):
            told = f"the operation {quote(index)}; operations are 0 to {len(OPERATIONS) - 1}"
            raise InputError(f"layer {number} has {told}")
        layers.append((OPERATIONS[index], tuple(arc[start + 1 : start + number])))
    return architecture(layers)


def to_arc(architecture: Architecture) -> list[int]:
    """The arc of an architecture."""
    return [one for name, skips in layers_of(architecture) for one in (OPERATIONS.index(name), *skips)]


def to_text(architecture: Architecture) -> str:
    """The arc as the authors' scripts have it: integers with spaces between."""
    return " ".join(map(str, to_arc(architecture)))


def layers_of(architecture: Architecture) -> list[Layer]:
    """The operation of every layer, and the bits of its skip connections."""
    values = dict(architecture.choices)
    found: list[Layer] = []
    while (operation := values.get(f"layer.{len(found) + 1}.operation")) is not None:
        number = len(found) + 1
        found.append((operation, tuple(values[f"layer.{number}.skip.{earlier}"] for earlier in range(1, number))))
    return found


# --- Words and pictures ----------------------------------------------------------------------------------------------


def mixed(space: SearchSpace) -> Mixed:
    """What each layer has to choose from."""
    return {LAYERS: tuple(choice.options for choice in space.choices if choice.name.endswith("operation"))}


def num_skips(architecture: Architecture) -> int:
    """Skip connections of all layers."""
    return sum(sum(skips) for _, skips in layers_of(architecture))


def is_learnable(operation: str) -> bool:
    """Whether it is a convolution. A pool has a 1x1 convolution before it."""
    return "conv" in operation


def cheapest(space: SearchSpace) -> tuple[Architecture, ...]:
    """The chain that costs least: without skip connections, and with pools as far as they are among its operations."""

    def pick(choice: Choice) -> Value:
        return next((one for one in choice.options if one in ("avg_pool", "max_pool")), choice.options[0])

    return (space.walk(pick),)


def state_name(number: int) -> str:
    """What the bit of that number stands for: stem, then layer 1, layer 2 ..."""
    return "stem" if number == 1 else f"layer {number - 1}"


def lines(architecture: Architecture) -> list[str]:
    """The arc, and the chain in words, one line a layer."""
    found = [to_text(architecture), ""]
    for number, (operation, skips) in enumerate(layers_of(architecture), 1):
        joined = [state_name(earlier) for earlier, bit in enumerate(skips, 1) if bit]
        found.append(f"layer {number}: {operation}" + (f", and {', '.join(joined)}" if joined else ""))
    return found


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """The chain as a picture: operations on the way from layer to layer, skip connections around them."""
    layers = layers_of(architecture)
    names = ("stem", *(str(number) for number in range(1, len(layers) + 1)))
    edges, passed = [], []
    for number, (operation, skips) in enumerate(layers, 1):
        edges.append((names[number - 1], names[number], operation))
        passed += [(names[earlier - 1], names[number]) for earlier, bit in enumerate(skips, 1) if bit]
    number = num_skips(architecture)
    skipping = f"{number} skip connection{'s' * (number != 1)}"
    caption = f"{len(layers)} layers, {skipping}; a number is the output of that layer."
    return (Graph("chain", "chain", names, tuple(edges), passed=tuple(passed), caption=caption),)


# --- Layers that are timed --------------------------------------------------------------------------------------------


def reductions(layers: int) -> tuple[int, int]:
    """The places of the layers behind which all states are halved."""
    third = layers // 3
    return third - 1, 2 * third - 1


def in_layers(options: Sequence[tuple[Sequence[str], Sequence[int]]], sizes: Sizes) -> Iterator[Timed]:
    """The layers of final networks. options: of each layer its operations and numbers of skip connections."""
    channels, side = sizes["channels"], sizes["image_size"]
    yield stem(sizes, channels)
    for place, (operations, skips) in enumerate(options):
        for name in operations:
            yield Timed("operation", channels, side, (("name", name),))
        for number in skips if place else ():
            yield Timed("join", channels, side, (("joined", 1 + number),))
        if place in reductions(len(options)):
            yield from [Timed("halve", channels, side, (("outputs", 2 * channels),))] * (place + 2)
            channels, side = 2 * channels, halved(side, 2)
    yield head(sizes, channels, side)


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Timed]:
    """The layers of an architecture's final network, from images to logits."""
    return list(in_layers([([name], [sum(skips)]) for name, skips in layers_of(architecture)], sizes))


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Timed]:
    """All layers that final networks of the space have, each once."""
    offered = enumerate(mixed(space)[LAYERS])
    return distinct(in_layers([(operations, range(place + 1)) for place, operations in offered], sizes))


FAMILY = Family(
    read=from_choices,
    notation="enas_macro",
    lines=lines,
    graphs=graphs,
    sizes={"cifar": {"channels": 96, "cells": 24, "num_classes": 10, "image_size": 32}},
    kinds={LAYERS: "chain"},
    operations=OPERATIONS,
    mixed=mixed,
    cheapest=cheapest,
    num_skips=num_skips,
    is_learnable=is_learnable,
    training={"auxiliary": False, "drop_path": 0.0},
    recipe={"channels": 96, "epochs": 310, "batch_size": 100, "lr": 0.05, "lr_min": 0.001, "weight_decay": 4e-4},
    layers=lambda names: sum(name.endswith(".operation") for name in names),
    counted="layers",
    timed=TimedLayers(layers_of_network, layers_of_space),
)
