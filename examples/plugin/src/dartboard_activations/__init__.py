"""A space of activations, one for each of three layers, and a method that searches any space; no torch in this file."""

from functools import partial

from dartboard.methods import Method
from dartboard.spaces.family import Family, read_within
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace

OPERATIONS = ("relu", "tanh", "sigmoid")
CHOICES = tuple(Choice(f"layer.{number}", OPERATIONS) for number in (1, 2, 3))
SPACE = SearchSpace("activations", "docs/plugins.md", CHOICES, family="activations", kinds=frozenset({"path"}))


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """The picture: the layers are edges between numbered nodes."""
    nodes, names = ("in", "1", "2", "out"), [name for _, name in architecture.choices]
    return (Graph("activations", "activations", nodes, tuple(zip(nodes, nodes[1:], names, strict=False))),)


FAMILY = Family(
    read=partial(read_within, SPACE),
    notation="json",
    lines=lambda architecture: ["", *(f"{layer}: {name}" for layer, name in architecture.choices)],
    graphs=graphs,
    sizes={"cifar": {"channels": 16, "cells": 3, "num_classes": 10, "image_size": 32}},
    kinds={"activations": "activations"},
    operations=OPERATIONS,
    num_skips=lambda architecture: 0,
    is_learnable=lambda operation: False,
    training={"auxiliary": False, "drop_path": 0.0},
    spaces=(SPACE,),
    networks="dartboard_activations.networks",
)
what, source = "draws each option as often as the best trials have it", "Mühlenbein, Paaß, PPSN 1996"
METHOD = Method(what, source, by_trials=True, space="activations", module="dartboard_activations.frequencies")
