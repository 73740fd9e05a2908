"""Exact counts of a network: parameters and multiply-adds. Its weights are never made, only their shapes.

Counting rule: parameters are trainable tensors; a multiply-add (MAC) is one multiplication with its addition, two
FLOPs. MACs are those of convolutions and linear layers, for one image, in evaluation mode (no auxiliary head);
what biases, BatchNorm, pools and sums of maps cost is left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dartboard import networks
from dartboard.errors import unknown
from dartboard.search_space import Architecture, SearchSpace
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES

# The networks of DARTS cells whose counts papers report, each at the sizes of the official code.
SIZES = FAMILIES["darts"].sizes


@dataclass(frozen=True)
class Cost:
    """params: trainable numbers without the auxiliary head; params_with_auxiliary: with it, equal where the network
    has none; macs: multiply-adds of one image; map_values: numbers in the results of its convolutions, which is what
    the memory of a training step grows with."""

    params: int
    params_with_auxiliary: int
    macs: int
    map_values: int = field(default=0, compare=False)


def count(
    architecture: Architecture,
    network: str = "cifar",
    channels: int | None = None,
    cells: int | None = None,
    num_classes: int | None = None,
    image_size: int | None = None,
    in_channels: int = 3,
) -> Cost:
    """Counts of the network of an architecture; None takes the size that its family has for `network`.

    image_size: height and width in pixels. Raises InputError for another network, for a cell that cannot be built.
    """
    known = FAMILIES[architecture.space].sizes
    if network not in known:
        raise unknown("network", network, known)
    given = {"channels": channels, "cells": cells, "num_classes": num_classes, "image_size": image_size}
    sizes = {**known[network]} | {name: size for name, size in given.items() if size is not None}
    with torch.device("meta"):
        module = networks.module(architecture.space).reported(architecture, network, in_channels=in_channels, **sizes)
    return count_module(module, sizes["image_size"], in_channels)


def count_supernet(
    space: SearchSpace = darts.SPACE,
    channels: int = 16,
    cells: int = 8,
    num_classes: int = 10,
    image_size: int = 32,
    in_channels: int = 3,
) -> Cost:
    """Counts of the supernet of a space, every edge computing every operation once, as in the paper."""
    operations = FAMILIES[space.family].mixed(space)
    with torch.device("meta"):
        module = networks.module(space.family).Supernet(
            channels=channels, cells=cells, num_classes=num_classes, in_channels=in_channels, operations=operations
        )
    mixture = {kind: torch.zeros(shape) for kind, shape in module.choice_shapes().items()}
    return count_module(module, image_size, in_channels, mixture)


def count_module(module: nn.Module, image_size: int, in_channels: int = 3, *inputs: object) -> Cost:
    """Counts of a module of images (B, in_channels, image_size, image_size); inputs: further ones of its forward.

    The module may lie on any device, the meta device included; it is left as it was.
    """
    auxiliary = getattr(module, "auxiliary_head", None)
    everything = num_params(module)
    params = everything - (num_params(auxiliary) if isinstance(auxiliary, nn.Module) else 0)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), Multiplications() as multiplications:
            module(torch.zeros(1, in_channels, image_size, image_size), *inputs)
    finally:
        module.train(was_training)
    return Cost(params, everything, multiplications.macs, multiplications.map_values)


def num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


class Multiplications(TorchFunctionMode):
    """Counts the multiply-adds of convolutions and linear layers in `macs` instead of computing them, and the numbers
    that convolutions would give in `map_values`.

    Their results have the right map size and a single channel, which is all that the layers between them need: what
    a layer multiplies is told by its weight and its map. (Running on the meta device imports a compiler: seconds.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = self.map_values = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.conv2d:
            return self.conv(*args, **(kwargs or {}))
        if func is F.linear:
            return self.linear(*args, **(kwargs or {}))
        if func is F.batch_norm:
            return args[0]
        return func(*args, **(kwargs or {}))

    def conv(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Tensor:
        """x: (1, any, H, W), weight: (C', C / groups, h, w) -> (1, 1, H', W')."""
        sides = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
        size = [(length + 2 * p - d * (kernel - 1) - 1) // s + 1 for length, kernel, s, p, d in sides]
        self.macs += weight.numel() * math.prod(size)
        self.map_values += weight.shape[0] * math.prod(size)
        return x.new_zeros(1, 1, *size)

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x: (..., any), weight: (C', C) -> (..., 1)."""
        self.macs += x.shape[:-1].numel() * weight.numel()
        return x.new_zeros(*x.shape[:-1], 1)
