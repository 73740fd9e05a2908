"""The space of NAS-Bench-Macro, as plain data (Su et al.: Prioritized Architecture Sampling with Monte-Carlo Tree
Search, CVPR 2021, arXiv 2103.11922; xiusu/NAS-Bench-Macro).

An architecture is a chain of eight layers in three stages of 2, 3 and 3 layers. Each layer is an identity or one of two
blocks of MobileNetV2, which makes 3^8 = 6,561 chains. The first layer of a stage halves the map and changes the number
of channels; an identity in that place is a 1x1 convolution. The benchmark writes a chain as a code of eight digits, one
a layer: 0 for the identity, 1 for the block of kernel 3 and expansion 3, 2 for that of kernel 5 and expansion 6.
"""

from collections.abc import Mapping, Sequence

from dartboard.errors import InputError
from dartboard.spaces.family import Family, Mixed, in_order, of_operations
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_layers import Layer, Sizes, TimedLayers, halved

OPERATIONS = ("identity", "mb3_k3", "mb6_k5")  # by their digits
STAGES = (2, 3, 3)  # layers
NUM_LAYERS = sum(STAGES)
NAMES = tuple(f"layer.{number}" for number in range(1, NUM_LAYERS + 1))
FIRST = tuple(sum(STAGES[:stage]) for stage in range(len(STAGES)))  # places of the layers that begin a stage
LAYERS = "layers"  # the one kind of place: the name of its list in `mixed`
EXAMPLE = "01210212"


def space(name: str, source: str, operations: Sequence[str] = OPERATIONS) -> SearchSpace:
    """All chains with these operations in every layer."""
    choices = tuple(Choice(layer, tuple(operations)) for layer in NAMES)
    return SearchSpace(name, source, choices, family="nasbenchmacro", kinds=frozenset({"path"}))


SPACE = space("nasbenchmacro", "Su et al., NAS-Bench-Macro, CVPR 2021; xiusu/NAS-Bench-Macro")

# --- Reading and writing ---------------------------------------------------------------------------------------------


def architecture(operations: Sequence[str]) -> Architecture:
    """The chain of these operations, from the first layer to the last. Raises InputError for an unknown one."""
    return of_operations("nasbenchmacro", NAMES, operations, OPERATIONS)


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"layer.1": operation, ..., "layer.8": operation}, checked.

    Raises InputError for a missing or unknown choice and for an unknown operation.
    """
    return architecture(in_order(values, NAMES, "a chain"))


def from_code(text: str) -> Architecture:
    """The chain that the benchmark writes so, such as 01210212. Raises InputError that says what is wrong."""
    code = text.strip()
    wanted = f"a code of nasbenchmacro has {NUM_LAYERS} digits, each 0, 1 or 2, such as {EXAMPLE}"
    if wrong := code.strip("012"):
        raise InputError(f"{quote(code)} has {quote(wrong[0])}; {wanted}")
    if len(code) != NUM_LAYERS:
        raise InputError(f"{quote(code)} has {len(code)} digit{'s' * (len(code) != 1)}; {wanted}")
    return architecture([OPERATIONS[int(digit)] for digit in code])


def to_code(architecture: Architecture) -> str:
    """The chain as the benchmark writes it."""
    return "".join(str(OPERATIONS.index(operation)) for operation in operations_of(architecture))


def operations_of(architecture: Architecture) -> tuple[str, ...]:
    """The operation of every layer, from the first to the last."""
    values = dict(architecture.choices)
    return tuple(values[name] for name in NAMES)


def in_stages(architecture: Architecture) -> list[tuple[str, ...]]:
    """The operations of every layer, by stage."""
    operations = operations_of(architecture)
    return [operations[first : first + number] for first, number in zip(FIRST, STAGES, strict=True)]


# --- Chains that are equal -------------------------------------------------------------------------------------------


def layer_form(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    """The layers that compute something, by stage: equal for two chains that are the same function. 3,969 classes.

    An identity is nothing unless it begins a stage, so the others of a stage may stand in any place of it.
    """
    return tuple(
        (first, *(operation for operation in others if operation != "identity"))
        for first, *others in in_stages(architecture)
    )


# --- Words and pictures ----------------------------------------------------------------------------------------------


def mixed(space: SearchSpace) -> Mixed:
    """What each layer has to choose from."""
    return {LAYERS: tuple(choice.options for choice in space.choices)}


def num_skips(architecture: Architecture) -> int:
    """Layers that are an identity."""
    return operations_of(architecture).count("identity")


def is_learnable(operation: str) -> bool:
    """Whether it has weights wherever it stands: a block."""
    return operation != "identity"


def lines(architecture: Architecture) -> list[str]:
    """The chain in words: its code, and a line a stage."""
    stages = enumerate(in_stages(architecture), 1)
    return [to_code(architecture), "", *(f"stage {stage}: {' -> '.join(operations)}" for stage, operations in stages)]


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """A picture of each stage: layers are edges, and a node has the number of the layer that it comes from."""
    nodes = ("stem", *map(str, range(1, NUM_LAYERS + 1)))
    pictures = []
    for stage, operations in enumerate(in_stages(architecture)):
        first = FIRST[stage]
        own = nodes[first : first + len(operations) + 1]
        edges = tuple(zip(own, own[1:], operations, strict=False))
        caption = f"Layer {first + 1} halves the map and has {2 << stage} times the channels of the stem"
        caption += ", as a 1x1 convolution." if operations[0] == "identity" else "."
        pictures.append(Graph(f"stage{stage + 1}", f"stage {stage + 1}", own, edges, caption=caption))
    return tuple(pictures)


# --- Layers that are timed --------------------------------------------------------------------------------------------


def in_layers(offered: Sequence[Sequence[str]], sizes: Sizes) -> list[Layer]:
    """Stem, layers and head of networks whose layers have these operations, as entries of a table of latencies; an
    identity that changes nothing is none."""
    width, side = sizes["channels"], sizes["image_size"]
    layers = [Layer("stem", sizes["in_channels"], side, (("outputs", width),))]
    for place, operations in enumerate(offered):
        stride = 2 if place in FIRST else 1
        settings = (("outputs", stride * width), ("stride", stride))
        own = [Layer("layer", width, side, (("operation", one), *settings)) for one in operations]
        layers += [one for one in own if stride == 2 or one.settings[0] != ("operation", "identity")]
        width, side = stride * width, halved(side, stride)
    head = (("outputs", 40 * sizes["channels"]), ("classes", sizes["num_classes"]))
    return [*layers, Layer("head", width, side, head)]


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's network, from images to logits."""
    return in_layers([(one,) for one in operations_of(architecture)], sizes)


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that networks of the space have, each once."""
    return list(dict.fromkeys(in_layers(mixed(space)[LAYERS], sizes)))


FAMILY = Family(
    read=from_choices,
    notation="nasbenchmacro",
    lines=lines,
    graphs=graphs,
    sizes={"cifar": {"channels": 32, "cells": NUM_LAYERS, "num_classes": 10, "image_size": 32}},
    kinds={LAYERS: "chain"},
    operations=OPERATIONS,
    mixed=mixed,
    num_skips=num_skips,
    is_learnable=is_learnable,
    training={"cells": NUM_LAYERS, "auxiliary": False, "drop_path": 0.0},
    defaults={"channels": 32},
    counted="layers",
    timed=TimedLayers(layers_of_network, layers_of_space, in_a_row=True),
)
