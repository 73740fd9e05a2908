"""Counts the multiply-adds of whatever a network computes, operator by operator, without computing it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dartboard.networks.quantised_layers import FLOAT, QuantisedConv
from dartboard.scoring.memory import LiveMaps, is_view

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
