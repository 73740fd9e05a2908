"""Exact counts of a network: parameters and multiply-adds. Its weights are never made, only their shapes.

Counting rule: parameters are trainable tensors; a multiply-add (MAC) is one multiplication with its addition, two
FLOPs. MACs are those of convolutions, linear layers and matrix products, for one image, in evaluation mode (no
auxiliary head); what biases, BatchNorm, pools and sums of maps cost is left out. Bit operations (bitops) are each
MAC times the bits of its weight times those of its input, 32 each but in layers that say otherwise. Memory: as
scoring/memory.py says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dartboard import networks
from dartboard.errors import InputError, unknown
from dartboard.networks.outputs import auxiliary_head
from dartboard.networks.quantised_layers import FLOAT
from dartboard.scoring.memory import weight_bytes
from dartboard.scoring.multiplications import Multiplications, with_bits
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.spaces.timed_layers import Layer

if TYPE_CHECKING:
    from dartboard.data import Data

# The networks of DARTS cells whose counts papers report, each at the sizes of the official code.
SIZES = FAMILIES["darts"].sizes
MB = 10**6  # bytes


@dataclass(frozen=True)
class Cost:
    """params: trainable numbers without the auxiliary head; params_with_auxiliary: with it, equal if the network
    has none; macs: multiply-adds of one image; map_values: numbers in the results of its convolutions, which is what
    the memory of a training step grows with; bitops: multiply-adds times bits of weights times bits of activations;
    memory_mb: weights and the most that maps take at one time, in evaluation at batch 1, in 10^6 bytes; latency_ms:
    predicted by a table of latencies, if there is one."""

    params: int
    params_with_auxiliary: int
    macs: int
    map_values: int = field(default=0, compare=False)
    bitops: int = field(default=0, compare=False)
    memory_mb: float = field(default=0.0, compare=False)
    latency_ms: float | None = field(default=None, compare=False)

    @property
    def numbers(self) -> dict[str, Any]:
        """What runs write of it: bit operations only where some layer has fewer bits than all others, latency only by
        a table."""
        found: dict[str, Any] = {"params": self.params, "macs": self.macs, "memory_mb": self.memory_mb}
        if 0 < self.bitops < FLOAT**2 * self.macs:
            found["bitops"] = self.bitops
        return found if self.latency_ms is None else found | {"latency_ms": self.latency_ms}


def count(
    architecture: Architecture,
    network: str | None = None,
    channels: int | None = None,
    cells: int | None = None,
    num_classes: int | None = None,
    image_size: int | None = None,
    in_channels: int = 3,
) -> Cost:
    """Counts of the network of an architecture; None takes the size that its family has for `network`.

    network: a name of the family's `sizes`, such as cifar or imagenet; None: the architecture's usual one.
    image_size: height and width in pixels. Raises InputError for another network, for a cell that cannot be built.
    What was counted at the same sizes before is remembered: a search may ask for the same architecture again and again.
    """
    family = FAMILIES[architecture.space]
    known = family.sizes
    network = family.usual_network(architecture) if network is None else network
    if network not in known:
        raise unknown("network", network, known)
    given = {"channels": channels, "cells": cells, "num_classes": num_classes, "image_size": image_size}
    usual = family.sizes_of(architecture, network)
    sizes = usual | {name: size for name, size in given.items() if size is not None}
    return counted(architecture, network, in_channels, tuple(sizes.items()))


def cost_of(channels: int, cells: int, data: "Data", architecture: Architecture) -> Cost:
    """Counts of an architecture's network at these sizes, on images of this data."""
    classes, side, maps = data.num_classes, data.image_size, data.channels
    return count(architecture, channels=channels, cells=cells, num_classes=classes, image_size=side, in_channels=maps)


@lru_cache(maxsize=2**15)
def counted(architecture: Architecture, network: str, in_channels: int, sizes: tuple[tuple[str, int], ...]) -> Cost:
    """What `count` gives, by all that it depends on."""
    own, family = dict(sizes), FAMILIES[architecture.space]
    if family.counts is not None:
        params, macs, map_values, memory = family.counts(architecture, in_channels, **own)
        return Cost(params, params, macs, map_values, FLOAT**2 * macs, memory / MB)
    kind = (architecture.space, len(architecture.choices), network, in_channels, sizes)
    if family.timed is not None and family.timed.in_a_row and kind in COUNTED:
        return in_a_row(architecture.space, family.timed.of_network(architecture, {**own, "in_channels": in_channels}))
    with torch.device("meta"):
        module = networks.module(architecture.space).reported(architecture, network, in_channels=in_channels, **own)
    found = count_module(module, own["image_size"], in_channels)
    COUNTED.add(kind)
    return found


# Parameters, multiply-adds, numbers in the results of convolutions, bit operations, bytes of weights, and bytes of maps
# that live at one time.
Counts = tuple[int, int, int, int, int, int]
COUNTED = set[tuple[Any, ...]]()  # networks that were built, by their sizes: these are possible


def in_a_row(family: str, layers: Sequence[Layer]) -> Cost:
    """Counts of a network by those of its layers."""
    params, macs, map_values, bitops, weights, live = summed(family, layers)
    return Cost(params, params, macs, map_values, bitops, (weights + live) / MB)


def summed(family: str, layers: Sequence[Layer]) -> Counts:
    """What layers in a row count together: sums, and for maps the layer that needs the most of them."""
    *added, live = zip(*(counted_layer(family, layer) for layer in layers), strict=True)
    params, macs, map_values, bitops, weights = map(sum, added)
    return params, macs, map_values, bitops, weights, max(live)


@lru_cache(maxsize=2**15)
def counted_layer(family: str, layer: Layer) -> Counts:
    """The counts of one layer."""
    with torch.device("meta"):
        module = networks.module(family).timed_layer(layer)
    found = multiplied(module, layer.side, layer.channels)
    return num_params(module), found.macs, found.map_values, found.bitops, weight_bytes(module), found.live.peak_bytes


def count_supernet(
    space: SearchSpace = darts.SPACE,
    channels: int = 16,
    cells: int = 8,
    num_classes: int = 10,
    image_size: int = 32,
    in_channels: int = 3,
    *,
    drawn: bool = False,
) -> Cost:
    """Counts of the supernet of a space, every edge computing every operation once, as in the paper.

    drawn: every edge computes one operation, as in GDAS: of middling size, the first that the seed 0 draws.
    Raises InputError for a space without a supernet, and for one whose supernet computes one path at a time.
    """
    module = shape_of_supernet(space, channels, cells, num_classes, in_channels)
    if "mixture" not in space.kinds:
        raise InputError(f"the supernet of {space.name} computes one path at a time; count an architecture of it")
    rng = Random(0)
    choice = (
        {kind: [rng.choice(row) for row in rows] for kind, rows in FAMILIES[space.family].mixed(space).items()}
        if drawn
        else {kind: torch.zeros(shape) for kind, shape in module.choice_shapes().items()}
    )
    return count_module(module, image_size, in_channels, choice)


def count_path(
    space: SearchSpace, channels: int, cells: int, num_classes: int, image_size: int, in_channels: int = 3
) -> Cost:
    """Counts of a supernet that computes a path: the parameters of all, and the multiply-adds and maps of one path of
    middling size, the first that is drawn by the seed 0."""
    module = shape_of_supernet(space, channels, cells, num_classes, in_channels)
    return count_module(module, image_size, in_channels, space.sample(Random(0)))


def shape_of_supernet(
    space: SearchSpace, channels: int, cells: int, num_classes: int, in_channels: int
) -> Any:  # an nn.Module with what supernets have besides
    """The supernet of a space without its weights. Raises InputError for a family that has none."""
    own = FAMILIES[space.family].of_supernet(space)
    with torch.device("meta"):
        return networks.supernet_of(space.family)(
            channels=channels, cells=cells, num_classes=num_classes, in_channels=in_channels, **own
        )


def count_module(module: nn.Module, image_size: int, in_channels: int = 3, *inputs: object) -> Cost:
    """Counts of a module of images (B, in_channels, image_size, image_size); inputs: further ones of its forward.

    The module may lie on any device, the meta device included; it is left as it was.
    """
    auxiliary, everything = auxiliary_head(module), num_params(module)
    params = everything if auxiliary is None else everything - num_params(auxiliary)
    found = multiplied(module, image_size, in_channels, *inputs)
    memory_mb = (weight_bytes(module) + found.live.peak_bytes) / MB
    return Cost(params, everything, found.macs, found.map_values, found.bitops, memory_mb)


def multiplied(module: nn.Module, side: int, channels: int, *inputs: object) -> Multiplications:
    """What a module of maps (1, channels, side, side) computes in evaluation mode; it is left as it was."""
    found, was_training = Multiplications(), module.training
    module.eval()
    try:
        with torch.no_grad(), found, with_bits(module, found):
            module(torch.zeros(1, channels, side, side), *inputs)
    finally:
        module.train(was_training)
    return found


def num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
