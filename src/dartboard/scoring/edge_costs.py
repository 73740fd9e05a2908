"""What each operation of each edge adds to the costs of a network, counted at the network's place.

In some families an architecture's parameters, multiply-adds and bit operations are a rest, which all architectures of
the space have, and a sum over its edges. A few networks then give the costs of all. Latency by a table is such a sum,
too: in equation (1) of scoring/latency.py each layer belongs to an edge or to all networks. Memory is none.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dartboard import networks
from dartboard.errors import InputError
from dartboard.scoring.cost import count, num_params
from dartboard.scoring.latency import LatencyTable, timed_of
from dartboard.scoring.limits import LATENCY
from dartboard.scoring.multiplications import Multiplications, with_bits
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.family import Part
from dartboard.spaces.search_space import Architecture, SearchSpace

SUMMED = ("params", "macs", "bitops")  # the costs that are counted and sums


@dataclass(frozen=True)
class EdgeCosts:
    """By name of a cost: rest: what all architectures have; added: what an operation on an edge adds. Counts are whole
    numbers."""

    rest: Mapping[str, float]
    added: Mapping[Part, Mapping[str, float]]

    def total(self, name: str, parts: Iterable[Part]) -> float:
        """The cost of the architecture with these operations on its edges."""
        return self.rest[name] + self.of(name, parts)

    def of(self, name: str, parts: Iterable[Part]) -> float:
        """What these operations add."""
        return sum(self.added[part][name] for part in parts)


def parts_of(architecture: Architecture) -> list[Part]:
    """The operations that an architecture has on its edges."""
    parts = FAMILIES[architecture.space].parts
    assert parts is not None
    return [part for name, value in architecture.choices for part in parts(name, value)]


def edge_costs(
    space: SearchSpace, channels: int, cells: int, num_classes: int, image_size: int, in_channels: int
) -> EdgeCosts:
    """The costs of every operation of the space in its final networks of these sizes.

    Raises InputError for a family whose costs are no sums over edges.
    """
    family = FAMILIES[space.family]
    if family.parts is None or family.covering is None:
        raise InputError(f"the costs of {space.name} are no sums over edges; give a space of darts or nasbench201")
    sizes: dict[str, Any] = {"channels": channels, "cells": cells, "num_classes": num_classes, "image_size": image_size}
    added: dict[Part, dict[str, int]] = {}
    for architecture in family.covering(space):
        for part, costs in counted_edges(architecture, in_channels, sizes).items():
            added.setdefault(part, costs)
    first = space.smallest()
    whole, parts = count(first, in_channels=in_channels, **sizes), parts_of(first)
    rest = {name: getattr(whole, name) - sum(added[part][name] for part in parts) for name in SUMMED}
    return EdgeCosts(rest, added)


def with_latencies(edges: EdgeCosts, space: SearchSpace, table: LatencyTable) -> EdgeCosts:
    """The same, and what each operation adds to the latency that the table predicts, in milliseconds."""
    of_edge = timed_of(space).of_edge
    assert of_edge is not None  # of a family with parts
    added = {
        part: {**costs, LATENCY: sum(map(table.adds_ms, of_edge(part, table.sizes)))}
        for part, costs in edges.added.items()
    }
    first = space.smallest()
    own = sum(added[part][LATENCY] for part in parts_of(first))
    return EdgeCosts({**edges.rest, LATENCY: table.predict_ms(first) - own}, added)


def counted_edges(architecture: Architecture, in_channels: int, sizes: Mapping[str, int]) -> dict[Part, dict[str, int]]:
    """What each operation of an architecture costs, in all cells of its network together."""
    module = networks.module(architecture.space)
    network = FAMILIES[architecture.space].usual_network(architecture)
    with torch.device("meta"):
        built = module.reported(architecture, network, in_channels=in_channels, **sizes).eval()
    found: dict[Part, dict[str, int]] = {}
    layers = list(module.edge_layers(built))
    with torch.no_grad(), Multiplications() as counter, with_bits(built, counter), noting(layers, counter, found):
        built(torch.zeros(1, in_channels, sizes["image_size"], sizes["image_size"]))
    return found


@contextmanager
def noting(
    layers: Iterable[tuple[Part, nn.Module]], counter: Multiplications, found: dict[Part, dict[str, int]]
) -> Iterator[None]:
    """Inside, what each layer computes is added up by its part in `found`; parameters count at once."""
    hooks = []
    for part, layer in layers:
        costs = found.setdefault(part, dict.fromkeys(SUMMED, 0))
        costs["params"] += num_params(layer)

        def enters(layer: nn.Module, args: object, costs: dict[str, int] = costs) -> None:
            costs["macs"] -= counter.macs
            costs["bitops"] -= counter.bitops

        def leaves(layer: nn.Module, args: object, result: object, costs: dict[str, int] = costs) -> None:
            costs["macs"] += counter.macs
            costs["bitops"] += counter.bitops

        hooks += [layer.register_forward_pre_hook(enters), layer.register_forward_hook(leaves)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
