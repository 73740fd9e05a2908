"""A toy space, to show how a family is added: chains of two or three layers, each of one of three operations.

The choice "depth" says how many layers there are; "layer.3", the operation of the third one, exists only where it is 3.
"""

from collections.abc import Mapping

from dartboard.errors import InputError
from dartboard.spaces.family import Family, Mixed
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote

OPERATIONS = ("skip_connect", "conv_3x3", "conv_5x5")  # from small to large
LAYERS = ("layer.1", "layer.2", "layer.3")
CHOICES = (
    Choice("depth", (2, 3)),
    Choice("layer.1", OPERATIONS),
    Choice("layer.2", OPERATIONS),
    Choice("layer.3", OPERATIONS, when=("depth", (3,))),
)
SPACE = SearchSpace("toy", "the example of CONTRIBUTING.md", CHOICES, family="toy", kinds=frozenset({"path"}))


def operations_of(architecture: Architecture) -> tuple[str, ...]:
    """The operations of a chain, from its first layer to its last."""
    return tuple(value for name, value in architecture.choices if name in LAYERS)


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"depth": 2, "layer.1": "conv_3x3", ...}. Raises InputError for one that is not in SPACE."""
    architecture = SPACE.walk(lambda choice: values.get(choice.name))
    if architecture not in SPACE or len(values) != len(architecture.choices):
        example = SPACE.largest().to_json()["choices"]
        raise InputError(f"{quote(dict(values))} is no chain of the toy space; give choices such as {example}")
    return architecture


def lines(architecture: Architecture) -> list[str]:
    """The chain in words."""
    return ["", "chain", f"  {' -> '.join(('in', *operations_of(architecture), 'out'))}"]


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """The chain as a picture: its layers are edges between numbered nodes."""
    operations = operations_of(architecture)
    nodes = ("in", *map(str, range(1, len(operations))), "out")
    return (Graph("chain", "chain", nodes, tuple(zip(nodes, nodes[1:], operations, strict=False))),)


def mixed(space: SearchSpace) -> Mixed:
    """What each layer has to choose from."""
    return {"chain": tuple(choice.options for choice in space.choices if choice.name in LAYERS)}


def num_skips(architecture: Architecture) -> int:
    """Layers that do nothing."""
    return operations_of(architecture).count("skip_connect")


FAMILY = Family(
    read=from_choices,
    notation="json",
    lines=lines,
    graphs=graphs,
    sizes={"cifar": {"channels": 16, "cells": 3, "num_classes": 10, "image_size": 32}},
    kinds={"chain": "chain"},
    operations=OPERATIONS,
    mixed=mixed,
    num_skips=num_skips,
    is_learnable=lambda operation: operation != "skip_connect",
    training={"auxiliary": False, "drop_path": 0.0},
)
