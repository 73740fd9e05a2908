"""What enters a mixed cell, compiled: ReLU, pointwise convolution, BatchNorm as one function of autograd."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from dartboard.kernels.leaving import buffers, called


def enter(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """norm(conv(ReLU(x))) with batch statistics. x: (B, C, H, W); conv: 1x1; norm: without scale and shift."""
    return cast(Tensor, Entering.apply(x.contiguous(), conv.weight, norm))  # type: ignore[no-untyped-call]


class Entering(torch.autograd.Function):
    """Differentiable once, as leaving.Leaving is. Keeps x, the result and the norm's scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        batch, _, height, width = x.shape
        z = x.new_empty(batch, len(kernel), height, width)
        mean, scale = x.new_empty(2, len(kernel))
        called(x, "enter", sizes_of(x, kernel), x, kernel.contiguous(), z, mean, scale, *buffers([norm]))
        ctx.save_for_backward(x, kernel, z, scale)
        return z

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError("the compiled kernels have no second derivatives; set DARTBOARD_KERNELS=0")
        x, kernel, z, scale = ctx.saved_tensors
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dkernel = kernel.new_zeros(kernel.shape) if ctx.needs_input_grad[1] else None
        arguments = (x, kernel.contiguous(), z, scale, gradient.contiguous(), dx, dkernel)
        called(x, "enter_backward", sizes_of(x, kernel), *arguments)
        return dx, dkernel, None


def sizes_of(x: Tensor, kernel: Tensor) -> list[int]:
    batch, channels, height, width = x.shape
    return [batch, channels, len(kernel), height * width, torch.get_num_threads()]
