"""Blocks of mobile networks: of a fixed size, and elastic, of which an architecture takes a part.

A block: 1x1 convolution to more channels, BatchNorm, activation (not at expansion 1); depthwise convolution, BatchNorm,
activation; squeeze and excitation; 1x1 convolution, BatchNorm; and a shortcut around all of it. Fixed and elastic
blocks name their tensors alike.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.networks.elastic_layers import (
    SlicedNorm,
    centre,
    identity,
    sliced_conv,
    transformed,
)
from dartboard.spaces.mobilenet import Block

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "h_swish": F.hardswish, "swish": F.silu}
Part = Callable[[Tensor, nn.Conv2d, int, Tensor | None], Tensor]  # elastic_layers.sliced_conv, in some form
SMALLER = {7: 5, 5: 3}  # the kernel that a transform makes of the middle of a larger one


def resized(x: Tensor, resolution: int | None) -> Tensor:
    """Images (B, C, H, W) with this height and width; None: as they are."""
    if resolution is None or x.shape[-2:] == (resolution, resolution):
        return x
    return F.interpolate(x, (resolution, resolution), mode="bicubic", align_corners=False)


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of a map, or halves it upwards by stride 2."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


class Squeeze(nn.Module):
    """Squeeze and excitation: channels are weighed by what all of them are on average over the map."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, middle, 1), nn.Conv2d(middle, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)"""
        weights: Tensor = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(weights)

    def part(self, x: Tensor, middle: int) -> Tensor:
        """The same with the first channels, those of x, and the first `middle` of the squeezed ones."""
        weights = F.relu(sliced_conv(x.mean((2, 3), keepdim=True), self.reduce, middle))
        return x * F.hardsigmoid(sliced_conv(weights, self.expand, x.shape[1]))


def pooled(x: Tensor, stride: int) -> Tensor:
    """What a shortcut by pooling carries: means over squares of the stride; odd sides are padded, the zeros count."""
    return x if stride == 1 else F.avg_pool2d(x, stride, stride, padding=x.shape[-1] % 2)


class Layers(nn.Module):
    """The tensors of a block."""

    def __init__(self, block: Block, has_expand: bool, has_shortcut: bool) -> None:
        """has_expand, has_shortcut: whether there is a convolution to more channels, and one on the shortcut."""
        super().__init__()
        self.expand = conv(block.inputs, block.middle) if has_expand else None
        self.expand_norm = SlicedNorm(block.middle) if has_expand else None
        self.depth = conv(block.middle, block.middle, block.kernel, block.stride, groups=block.middle)
        self.depth_norm = SlicedNorm(block.middle)
        self.squeeze = Squeeze(block.middle, block.squeeze) if block.squeeze else None
        self.project, self.project_norm = conv(block.middle, block.outputs), SlicedNorm(block.outputs)
        self.shortcut = conv(block.inputs, block.outputs) if has_shortcut else None
        self.activation = ACTIVATIONS[block.activation]


class FixedBlock(Layers):
    """A block of one size."""

    def __init__(self, block: Block) -> None:
        brings = block.shortcut == "pool" and block.inputs != block.outputs
        super().__init__(block, block.middle != block.inputs, brings)
        self.kind, self.stride = block.shortcut, block.stride

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)"""
        inner = x
        if self.expand is not None and self.expand_norm is not None:
            inner = self.activation(self.expand_norm(self.expand(inner)))
        inner = self.activation(self.depth_norm(self.depth(inner)))
        if self.squeeze is not None:
            inner = self.squeeze(inner)
        out: Tensor = self.project_norm(self.project(inner))
        if self.kind:
            around = pooled(x, self.stride)
            out = out + (around if self.shortcut is None else self.shortcut(around))
        return out


class ElasticBlock(Layers):
    """The largest block of a place; which part of it is computed is passed in.

    transforms: of each kernel that is made from the next larger one by a learned matrix, the matrix, by its size; none
    where a smaller kernel is the middle of the largest.
    """

    def __init__(self, largest: Block, can_widen: bool, kernels: tuple[int, ...], part: Part = sliced_conv) -> None:
        """largest: all of it; can_widen: whether the input may have another width than the output; kernels: those that
        transforms make, from large to small; part: what computes the first channels of a depthwise convolution."""
        super().__init__(largest, largest.middle != largest.inputs, largest.shortcut == "pool" and can_widen)
        self.transforms = nn.ParameterDict({str(size): identity(size) for size in kernels})
        self.depth_part = part

    def kernel(self, size: int, channels: int) -> Tensor:
        """The depthwise kernels (channels, 1, size, size) of the first channels."""
        weight: Tensor = self.depth.weight[:channels]
        if not self.transforms:
            return centre(weight, size)
        while weight.shape[-1] > size:
            weight = transformed(weight, self.transforms[str(SMALLER[weight.shape[-1]])])
        return weight

    def forward(self, x: Tensor, block: Block) -> Tensor:
        """x: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride), of the block's sizes."""
        inner = x
        if self.expand is not None and self.expand_norm is not None:
            inner = self.activation(self.expand_norm(sliced_conv(inner, self.expand, block.middle)))
        kernel = self.kernel(block.kernel, block.middle)
        inner = self.activation(self.depth_norm(self.depth_part(inner, self.depth, block.middle, kernel)))
        if self.squeeze is not None:
            inner = self.squeeze.part(inner, block.squeeze)
        out: Tensor = self.project_norm(sliced_conv(inner, self.project, block.outputs))
        if not block.shortcut:
            return out
        around = pooled(x, block.stride)
        if block.inputs != block.outputs:
            assert self.shortcut is not None
            around = sliced_conv(around, self.shortcut, block.outputs)
        return out + around
