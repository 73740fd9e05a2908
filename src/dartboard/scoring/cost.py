"""Exact counts of a network: parameters and multiply-adds. Its weights are never made, only their shapes.

Counting rule: parameters are trainable tensors; a multiply-add (MAC) is one multiplication with its addition, two
FLOPs. MACs are those of convolutions, linear layers and matrix products, for one image, in evaluation mode (no
auxiliary head); what biases, BatchNorm, pools and sums of maps cost is left out. Bit operations (bitops) are each
MAC times the bits of its weight times those of its input, 32 each but in layers that say otherwise. Memory: as
scoring/memory.py says.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dartboard import networks
from dartboard.errors import InputError, unknown
from dartboard.networks.outputs import auxiliary_head
from dartboard.networks.quantised_layers import FLOAT, QuantisedConv
from dartboard.scoring.memory import LiveMaps, is_view, weight_bytes
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace

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
    own, closed = dict(sizes), FAMILIES[architecture.space].counts
    if closed is not None:
        params, macs, map_values, memory = closed(architecture, in_channels, **own)
        return Cost(params, params, macs, map_values, FLOAT**2 * macs, memory / MB)
    with torch.device("meta"):
        module = networks.module(architecture.space).reported(architecture, network, in_channels=in_channels, **own)
    return count_module(module, own["image_size"], in_channels)


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
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), Multiplications() as multiplications, with_bits(module, multiplications):
            module(torch.zeros(1, in_channels, image_size, image_size), *inputs)
    finally:
        module.train(was_training)
    memory_mb = (weight_bytes(module) + multiplications.live.peak_bytes) / MB
    found = multiplications
    return Cost(params, everything, found.macs, found.map_values, found.bitops, memory_mb)


@contextmanager
def with_bits(module: nn.Module, multiplications: "Multiplications") -> Iterator[None]:
    """Inside, what a quantised convolution computes counts as bit operations with the bits that it is called with."""

    def enters(conv: nn.Module, args: tuple[Any, ...]) -> None:
        multiplications.bits = math.prod(args[-1])

    def leaves(conv: nn.Module, args: tuple[Any, ...], result: object) -> None:
        multiplications.bits = FLOAT**2

    convs = [part for part in module.modules() if isinstance(part, QuantisedConv)]
    hooks = [
        hook for conv in convs for hook in (conv.register_forward_pre_hook(enters), conv.register_forward_hook(leaves))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


aten = torch.ops.aten
# Matrix products, each with the place of its left factor among the arguments; the right one follows.
PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.mv: 0, aten.dot: 0, aten.addmm: 1, aten.baddbmm: 1, aten.addmv: 1}
# What does the same to every channel of a map. The second argument has a number for each side of it, or each end.
CHANNELWISE = {
    aten.constant_pad_nd,
    aten.max_pool2d_with_indices,
    aten.avg_pool2d,
    aten._adaptive_avg_pool2d,
    aten.adaptive_max_pool2d,
    aten.reflection_pad2d,
    aten.replication_pad2d,
}


class Multiplications(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the multiply-adds of convolutions and matrix products in `macs` instead of computing them, the numbers
    that convolutions would give in `map_values`, and each multiply-add times `bits` at that time in `bitops`.

    It sees the operators that torch's functions are made of, so that linear layers, `@` and einsum are matrix products.
    Every map has its full shape, so that what is cut out of it and put together has its own; but it holds a single
    zero, expanded, and takes no memory. (The meta device would do the same, but imports a compiler: a second, 100 MB.)
    Whole numbers, and what has no rule here, are computed. Torch's fused attention and LSTM are not counted.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.map_values = self.bitops = 0
        self.bits = FLOAT**2
        self.live = LiveMaps()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: to leave this class out of torch.compile, torch would import the compiler on first use."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = self.computed(func, args, kwargs or {})
        self.live.operator(func, (*args, *(kwargs or {}).values()), result)
        return result

    def computed(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What an operator gives, without its numbers."""
        operator = func.overloadpacket
        if operator is aten.convolution:
            return self.convolution(*args)
        if operator in PRODUCTS:
            return self.product(*args[PRODUCTS[operator] :][:2])
        if operator is aten.native_batch_norm:
            return zeros(args[0].shape, args[0].dtype), zeros((0,)), zeros((0,))
        if operator is aten.cat:
            return joined(*args)
        if operator in CHANNELWISE and args[0].dim() == 4 and len(args[1]) <= 4:
            return on_one_channel(func, args[0], args[1:], kwargs)
        if func._schema.is_mutable and operator.__name__.endswith("_"):  # in place
            return func(*args, **kwargs) if torch.Tag.inplace_view in func.tags else args[0]
        if torch.Tag.pointwise in func.tags and "out" not in kwargs:
            tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
            if all(tensor.is_floating_point() for tensor in tensors):
                return elementwise(func, tensors, args, kwargs)
        result = func(*each(on_cpu, args), **each(on_cpu, kwargs))
        return result if is_view(func) else each(without_numbers, result)

    def convolution(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        transposed: bool,
        output_padding: Sequence[int],
        groups: int,
    ) -> Tensor:
        """x: (B, C, *sides), weight: (C', C / groups, *kernel), or (C, C' / groups, *kernel) -> (B, C', *sides')."""
        spans = [d * (kernel - 1) + 1 for kernel, d in zip(weight.shape[2:], dilation, strict=True)]
        sides = zip(x.shape[2:], spans, stride, padding, output_padding, strict=True)
        if transposed:
            channels = weight.shape[1] * groups
            size = [(length - 1) * s + span - 2 * p + more for length, span, s, p, more in sides]
        else:
            channels = weight.shape[0]
            size = [(length + 2 * p - span) // s + 1 for length, span, s, p, _ in sides]
        self.add(len(x) * weight.numel() * math.prod(x.shape[2:] if transposed else size))
        self.map_values += len(x) * channels * math.prod(size)
        return zeros((len(x), channels, *size), x.dtype)

    def add(self, macs: int) -> None:
        self.macs += macs
        self.bitops += macs * self.bits

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """left: (..., K), right: (..., K, N) -> (..., N), or (K,) -> (...)."""
        columns = right.shape[-1:] if right.dim() > 1 else ()
        self.add(left.numel() * math.prod(columns))
        return zeros((*left.shape[:-1], *columns), left.dtype)


def zeros(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros that share the memory of one."""
    return torch.zeros((), dtype=dtype).expand(shape)


def each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The value with every tensor in it changed; lists, tuples and mappings are looked into."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(each(change, item) for item in value)
    if isinstance(value, Mapping):
        return {name: each(change, item) for name, item in value.items()}
    return value


def on_cpu(value: Tensor) -> Tensor:
    """A tensor of its shape that can be computed with; parameters may lie on the meta device."""
    return value if value.is_cpu else zeros(value.shape, value.dtype)


def without_numbers(value: Tensor) -> Tensor:
    return zeros(value.shape, value.dtype) if value.is_floating_point() else value


def joined(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """What concatenation gives, without its numbers."""
    shape = list(tensors[0].shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return zeros(shape, tensors[0].dtype)


def on_one_channel(func: Any, x: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The results of func(x: (B, C, H, W), ...), of which one channel is computed and stands for all."""
    results = func(zeros((len(x), 1, *x.shape[2:]), x.dtype), *args, **kwargs)
    return each(lambda result: result.expand(-1, x.shape[1], -1, -1), results)


def elementwise(func: Any, tensors: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of func, of which one number is computed and stands for all."""
    numbers = [each(lambda tensor: zeros((), tensor.dtype), values) for values in (args, kwargs)]
    return func(*numbers[0], **numbers[1]).expand(np.broadcast_shapes(*(tensor.shape for tensor in tensors)))
