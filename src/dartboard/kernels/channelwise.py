"""A depthwise convolution of maps in the layout channels-last with compiled gradients, as one function of autograd."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard.kernels.leaving import called

SIDES = (5, 7)  # of kernels; those of 3 torch has as fast


def takes(x: Tensor, kernel: Tensor) -> bool:
    """Whether this function computes of such a map and kernel: a large one, channels-last."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return last and kernel.shape[-1] in SIDES and kernel.shape[-1] == kernel.shape[-2]


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """Each channel convolved alone, padded to keep the map at stride 1. x: (B, C, H, W); kernel: (C, 1, k, k)."""
    return cast(Tensor, Channelwise.apply(x, kernel, stride))  # type: ignore[no-untyped-call]


class Channelwise(torch.autograd.Function):
    """Differentiable once, as leaving.Leaving is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.stride = stride
        return F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError("the compiled kernels have no second derivatives; set DARTBOARD_KERNELS=0")
        x, kernel = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        taps = kernel.flatten(1).t().contiguous()  # (k * k, C)
        dx, dtaps = torch.empty_like(x), torch.empty_like(taps)
        sizes = [*x.shape, kernel.shape[-1], ctx.stride, torch.get_num_threads()]
        called(x, "depthwise_backward", sizes, x, gradient, taps, dx, dtaps)
        return dx, dtaps.t().reshape(kernel.shape), None
