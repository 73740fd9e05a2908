"""Layers of which a call uses a part: the first channels of their weights and statistics, as many as the map has."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sliced_conv(x: Tensor, conv: nn.Conv2d, out_channels: int, weight: Tensor | None = None) -> Tensor:
    """What the first channels of a convolution compute of a map: (B, C, H, W) -> (B, out_channels, H', W').

    Its input channels are the map's, C; a depthwise one has as many groups. weight: another one than its own, of its
    shape, such as a smaller kernel, whose padding keeps the size of the map in the same way.
    """
    depthwise = conv.groups > 1
    weight = sliced_weight(conv.weight if weight is None else weight, out_channels, 1 if depthwise else x.shape[1])
    bias = None if conv.bias is None else conv.bias[:out_channels]
    padding = tuple(side // 2 for side in weight.shape[2:])
    return F.conv2d(x, weight, bias, conv.stride, padding, conv.dilation, out_channels if depthwise else 1)


def sliced_weight(weight: Tensor, out_channels: int, in_channels: int) -> Tensor:
    """The first channels of a convolution's weight (C', C, k, k) on both sides; itself, where that is all of it."""
    if weight.shape[:2] == (out_channels, in_channels):
        return weight
    return weight[:out_channels, :in_channels]


class SlicedNorm(nn.BatchNorm2d):
    """BatchNorm of the first channels, as many as the map has; it moves the running statistics of these alone.

    A channel of a single number has no spread: then it takes the running statistics, in training, too.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), C at most num_features"""
        number = x.shape[1]
        mean, variance = self.running_mean, self.running_var
        assert mean is not None and variance is not None and self.num_batches_tracked is not None
        weight, bias = (self.weight[:number], self.bias[:number]) if self.affine else (None, None)
        learns = self.training and x.numel() > number
        momentum = 0.0
        if learns:
            self.num_batches_tracked.add_(1)
            momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        return F.batch_norm(x, mean[:number], variance[:number], weight, bias, learns, momentum, self.eps)


def inherited(weights: dict[str, Tensor], network: nn.Module) -> None:
    """Gives a network the first channels of every tensor of the same name, as many as its own has.

    Raises KeyError for a tensor that is not among the weights.
    """
    own = network.state_dict()
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name][tuple(slice(0, size) for size in tensor.shape)])


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
