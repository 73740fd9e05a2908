"""Depthwise convolution whose gradients are computed by means that are fast on a CPU; the same function, in pure torch.

torch's own backward of a depthwise convolution takes many times its forward. Each identity replaces a slow one:

| function        | identity                                                                                          |
|-----------------|---------------------------------------------------------------------------------------------------|
| upsampled       | a gradient at stride s is one at stride 1 of a map with zeros between its pixels                   |
| input_gradient  | a convolution with the kernel turned by 180 degrees                                                |
| phases          | dilation d is no dilation on each of the d * d maps that hold every d-th pixel                     |
| blocks          | the gradient of a 5x5 kernel consists of those of two 5x3 kernels, for shifted maps                |

Kernels are square, of odd side, padded so that stride 1 keeps the map.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

# Up to this many numbers per image, the gradient of a large kernel is faster by blocks (measured on a CPU with AVX2).
CACHED = 2**15


def depthwise(x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    """Each channel convolved alone. x: (B, C, H, W); kernel: (C, 1, k, k). Returns (B, C, H', W')."""
    if x.device.type == "cpu":
        return cast(Tensor, Depthwise.apply(x, kernel, stride, dilation))  # type: ignore[no-untyped-call]
    return F.conv2d(x, kernel, None, stride, padding_of(kernel, dilation), dilation, x.shape[1])


def padding_of(kernel: Tensor, dilation: int) -> int:
    return dilation * (kernel.shape[-1] // 2)


class Depthwise(torch.autograd.Function):
    """Its backward is made of differentiable operations, so that it can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.stride, ctx.dilation = stride, dilation
        return F.conv2d(x, kernel, None, stride, padding_of(kernel, dilation), dilation, x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        gradient = upsampled(gradient, x.shape[-2:], ctx.stride)
        dx = input_gradient(gradient, kernel, ctx.dilation) if ctx.needs_input_grad[0] else None
        dkernel = kernel_gradient(x, gradient, kernel.shape[-1], ctx.dilation) if ctx.needs_input_grad[1] else None
        return dx, dkernel, None, None


def upsampled(gradient: Tensor, size: torch.Size, stride: int) -> Tensor:
    """The gradient (B, C, ceil(H / s), ceil(W / s)) on a map of `size` (H, W), zero if the stride skips a pixel."""
    if stride == 1:
        return gradient
    spaced = F.pad(gradient[..., None, :, None], (0, stride - 1, 0, 0, 0, stride - 1))
    spaced = spaced.flatten(4, 5).flatten(2, 3)[..., : size[0], : size[1]]
    return like_images(spaced, gradient)


def input_gradient(gradient: Tensor, kernel: Tensor, dilation: int) -> Tensor:
    """At stride 1, from the gradient of the result (B, C, H, W)."""
    padding = padding_of(kernel, dilation)
    return F.conv2d(gradient, kernel.flip(2, 3), None, 1, padding, dilation, kernel.shape[0])


def kernel_gradient(x: Tensor, gradient: Tensor, side: int, dilation: int) -> Tensor:
    """(C, 1, side, side) at stride 1, from input and gradient of the result (B, C, H, W)."""
    return undilated_kernel_gradient(phases(x, dilation), phases(gradient, dilation), side)


def undilated_kernel_gradient(x: Tensor, gradient: Tensor, side: int) -> Tensor:
    """The same without dilation, or of the phases of both."""
    if side > 3 and x[0].numel() <= CACHED:
        return blocks(x, gradient, side)
    return native_kernel_gradient(x, gradient, (side, side), side // 2)


def blocks(x: Tensor, gradient: Tensor, side: int) -> Tensor:
    """The gradient of a kernel at stride 1 without dilation: (C, 1, side, side)."""
    half, whole = side // 2, x.shape[2] > side  # of few rows, a kernel as high as the map is slow, too
    rows = [(0, side)] if whole else threes(side)
    found = []
    for top, height in rows:
        parts = []
        for left, width in threes(side):
            margins = (half - left, left + width - 1 - half, half - top, top + height - 1 - half)
            part = like_images(F.pad(x, margins), x)
            block = native_kernel_gradient(part, gradient, (height, width), 0)
            parts.append(block[..., 1 if top else 0 :, 1 if left else 0 :])
        found.append(torch.cat(parts, dim=3))
    return torch.cat(found, dim=2)


def threes(side: int) -> list[tuple[int, int]]:
    """First and number of rows or columns that cover a kernel three at a time, neighbours with one in common."""
    return [(first, 3) for first in range(0, side - 2, 2)]


def native_kernel_gradient(x: Tensor, gradient: Tensor, sides: tuple[int, int], padding: int) -> Tensor:
    """torch's own, at stride 1 without dilation. sides: rows and columns of the kernel."""
    channels = x.shape[1]
    kernel = x.new_empty(channels, 1, *sides)  # only its shape is read
    one, none = [1, 1], [0, 0]
    wanted = [False, True, False]
    found = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, one, [padding, padding], one, False, none, channels, wanted
    )
    return cast(Tensor, found[1])


def phases(x: Tensor, dilation: int) -> Tensor:
    """(B, C, H, W) -> (d * d * B, C, ceil(H / d), ceil(W / d)): every d-th pixel, filled up with zeros."""
    if dilation == 1:
        return x
    x = F.pad(x, (0, -x.shape[3] % dilation, 0, -x.shape[2] % dilation))
    return torch.cat([x[:, :, row::dilation, left::dilation] for row in range(dilation) for left in range(dilation)])


def like_images(x: Tensor, like: Tensor) -> Tensor:
    """x dense, in the memory layout of `like`."""
    last = like.is_contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
