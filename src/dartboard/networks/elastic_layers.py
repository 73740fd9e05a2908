"""Layers of which a network takes a part: the first channels of a convolution, of BatchNorm, of a linear layer.

The module holds the weights of the largest; how much of it is computed is passed in at each call, and stored nowhere.
What a call does not take has a gradient of zeros where it lies in a tensor of which other parts are taken, and none at
all where nothing of the tensor is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Norm(nn.BatchNorm2d):
    """BatchNorm. A channel of a single number has no spread: then it takes the running statistics, in training, too."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)"""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def sliced_conv(conv: nn.Conv2d, x: Tensor, outputs: int, stride: int | None = None) -> Tensor:
    """The convolution from the first channels, those of x: (B, C, H, W), to its first `outputs` -> (B, outputs, ...).

    A depthwise one has as many outputs as inputs. stride: another than its own.
    """
    groups = x.shape[1] if conv.groups > 1 else 1
    weight = conv.weight[:outputs, : 1 if groups > 1 else x.shape[1]]
    bias = None if conv.bias is None else conv.bias[:outputs]
    return F.conv2d(x, weight, bias, conv.stride if stride is None else stride, conv.padding, 1, groups)


def sliced_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """BatchNorm of the first channels, those of x: (B, C, H, W), whose statistics alone it moves in training."""
    count, mean, variance = x.shape[1], norm.running_mean, norm.running_var
    weight = None if norm.weight is None else norm.weight[:count]
    bias = None if norm.bias is None else norm.bias[:count]
    if mean is not None and variance is not None:
        mean, variance = mean[:count], variance[:count]
    learns = norm.training and x.numel() > count  # a channel of a single number has no spread
    return F.batch_norm(x, mean, variance, weight, bias, learns, momentum_of(norm) if learns else 0.0, norm.eps)


def momentum_of(norm: nn.BatchNorm2d) -> float:
    """How far the next batch moves the statistics; with momentum None so that they are the mean of all batches."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:
            return 1.0 / float(norm.num_batches_tracked)
    return 0.0 if norm.momentum is None else norm.momentum


class SlicedLinear(nn.Linear):
    """A linear layer of the first inputs, as many as there are."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C) -> (B, outputs)"""
        return F.linear(x, self.weight[:, : x.shape[1]], self.bias)


def centre(kernels: Tensor, size: int) -> Tensor:
    """The middle of square kernels: (..., k, k) -> (..., size, size); both odd."""
    cut = (kernels.shape[-1] - size) // 2
    return kernels[..., cut : cut + size, cut : cut + size]


def transformed(kernels: Tensor, matrix: Tensor) -> Tensor:
    """The middle of square kernels (C, 1, k, k), of m numbers, times a matrix (m, m) that all channels share.

    w' = M vec(middle of w) for each channel (Once-for-All, section 3.3).
    """
    size = round(len(matrix) ** 0.5)
    middle = centre(kernels, size)
    return F.linear(middle.flatten(2), matrix).view_as(middle)


def identity(size: int) -> nn.Parameter:
    """The matrix that leaves kernels of size x size as they are."""
    return nn.Parameter(torch.eye(size * size))
