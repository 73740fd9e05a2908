"""Candidate operations, built from the recipes of a space, and the layers around them.

Every layer maps (B, C, H, W) to (B, C, H', W') with H' = ceil(H / stride). No convolution has a bias. `search=True`
is the form inside a supernet: BatchNorm without scale and shift, and one more BatchNorm after each pool.
"""

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.errors import InputError
from dartboard.spaces.darts import RECIPES

WORD = re.compile(r"(?P<kind>[a-z_]+?)(?P<height>\d+)?(?:x(?P<width>\d+))?(?P<strided>/)?")


class Zero(nn.Module):
    """The operation `none`: nothing goes through. Multiplies by zero, on every stride-th pixel."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


class FactorizedReduce(nn.Module):
    """Halves the map without losing half of it: two strided 1x1 convolutions, one pixel apart on the diagonal.

    ReLU, then both convolutions side by side, then BatchNorm. A map of odd size is padded by one row and column.
    The stride is taken before the convolutions, the same function: torch 2.13 writes outside of its memory in the
    backward of a strided 1x1 convolution of fewer than 8 channels in channels_last.
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool = True) -> None:
        super().__init__()
        if out_channels % 2:
            raise InputError(f"{out_channels} channels cannot be halved by a factorized reduce; give an even number")
        self.conv_1 = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.conv_2 = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        height, width = x.shape[-2:]
        even = x[:, :, ::2, ::2]
        odd = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1::2, 1::2]
        return self.bn(torch.cat([self.conv_1(even), self.conv_2(odd)], dim=1))  # type: ignore[no-any-return]


def relu_conv_norm(in_channels: int, out_channels: int, affine: bool = True) -> nn.Sequential:
    """ReLU, 1x1 convolution, BatchNorm: brings an input of a cell to the cell's width."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(out_channels, affine=affine))


def operation(name: str, channels: int, stride: int, *, search: bool = False) -> nn.Module:
    """The operation of that name as a module.

    name: a key of spaces.darts.RECIPES; stride: 1 or 2. Raises InputError for a name that has no recipe.
    """
    if name not in RECIPES:
        raise InputError(f"operation {name!r} can be read and drawn but not built; replace it in the cell")
    chain = [layer(word, channels, stride, search) for word in RECIPES[name]]
    if search and name.endswith("pool_3x3"):
        chain.append(nn.BatchNorm2d(channels, affine=False))
    return chain[0] if len(chain) == 1 else nn.Sequential(*chain)


def layer(word: str, channels: int, stride: int, search: bool) -> nn.Module:
    """One layer of a recipe: a kind, a kernel size where it has one, and "/" where it takes the stride."""
    match = WORD.fullmatch(word)
    if match is None:
        raise InputError(f"recipe word {word!r} is none of the kinds in layers.py")
    stride = stride if match["strided"] else 1
    height = int(match["height"] or 1)
    width = int(match["width"] or height)
    match match["kind"]:
        case "relu":
            return nn.ReLU()
        case "norm":
            return nn.BatchNorm2d(channels, affine=not search)
        case "pointwise" if match["strided"]:  # torch 2.13 writes outside of its memory there, see FactorizedReduce
            raise InputError(f"recipe word {word!r}: a pointwise layer takes no stride; give it to another layer")
        case "pointwise":
            return nn.Conv2d(channels, channels, 1, bias=False)
        case "depthwise":
            return nn.Conv2d(channels, channels, height, stride, height // 2, groups=channels, bias=False)
        case "dilated":
            return nn.Conv2d(channels, channels, height, stride, height - 1, 2, groups=channels, bias=False)
        case "conv":  # a 1xk convolution takes the stride along the width only, kx1 along the height only
            strides = (1 if height == 1 and width > 1 else stride, 1 if width == 1 and height > 1 else stride)
            return nn.Conv2d(channels, channels, (height, width), strides, (height // 2, width // 2), bias=False)
        case "max_pool":
            return nn.MaxPool2d(height, stride, height // 2)
        case "avg_pool":
            return nn.AvgPool2d(height, stride, height // 2, count_include_pad=False)
        case "skip":
            return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=not search)
        case "zero":
            return Zero(stride)
    raise InputError(f"recipe word {word!r} is none of the kinds in layers.py")


def drop_path(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Zeroes whole samples of x: (B, C, H, W) with the given probability and scales the others by 1 / (1 - p)."""
    if probability == 0.0:
        return x
    keep = 1.0 - probability
    mask = torch.rand(x.shape[0], 1, 1, 1, device=x.device, generator=generator) < keep
    return x * (mask.to(x.dtype) / keep)
