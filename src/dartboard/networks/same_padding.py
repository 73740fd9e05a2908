"""Layers with TensorFlow's SAME padding: a map of side n becomes one of side ceil(n / stride), and where the padding is
odd there is one pixel more of it behind than before. With stride 1 and odd kernels it is the usual padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 3  # of most pools


def padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and behind."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def padded(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """x: (B, C, H, W), with that padding."""
    rows, columns = (padding(side, kernel, stride) for side in x.shape[-2:])
    return F.pad(x, (*columns, *rows), value=value) if any((*rows, *columns)) else x


class Depthwise(nn.Module):
    """A depthwise convolution without bias."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        own = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(channels, channels, kernel, stride, own, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        return self.conv(padded(x, kernel, stride) if stride > 1 else x)  # type: ignore[no-any-return]


class AvgPool(nn.Module):
    """The mean of 3x3 pixels, of those that lie in the map."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return F.avg_pool2d(x, KERNEL, 1, KERNEL // 2, count_include_pad=False)
        there = padded(torch.ones_like(x[:1, :1]), KERNEL, self.stride)
        total = F.avg_pool2d(padded(x, KERNEL, self.stride), KERNEL, self.stride)
        return total / F.avg_pool2d(there, KERNEL, self.stride)


class MaxPool(nn.Module):
    """The largest of kernel x kernel pixels."""

    def __init__(self, stride: int = 1, kernel: int = KERNEL) -> None:
        super().__init__()
        self.stride, self.kernel = stride, kernel

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return F.max_pool2d(x, self.kernel, 1, self.kernel // 2)
        return F.max_pool2d(padded(x, self.kernel, self.stride, float("-inf")), self.kernel, self.stride)
