"""Candidate operations, built from the recipes of a space, and the layers around them.

Every layer maps (B, C, H, W) to (B, C, H', W') with H' = ceil(H / stride). No convolution has a bias. `search=True`
is the form inside a supernet: BatchNorm without scale and shift, and one more BatchNorm after each pool.
"""

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.errors import InputError, unknown
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

    ReLU, unless it is left out, then both convolutions side by side, then BatchNorm. A map of odd size is padded by one
    row and column.
    The stride is taken before the convolutions, the same function: torch 2.13 writes outside of its memory in the
    backward of a strided 1x1 convolution of fewer than 8 channels in channels_last.
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool = True, relu: bool = True) -> None:
        super().__init__()
        self.relu = relu
        if out_channels % 2:
            raise InputError(f"{out_channels} channels cannot be halved by a factorized reduce; give an even number")
        self.conv_1 = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.conv_2 = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x) if self.relu else x
        height, width = x.shape[-2:]
        even = x[:, :, ::2, ::2]
        odd = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1::2, 1::2]
        return self.bn(torch.cat([self.conv_1(even), self.conv_2(odd)], dim=1))  # type: ignore[no-any-return]


class Noise(nn.Module):
    """The operation `noise` of the space S4: normal noise of standard deviation 1 in place of every stride-th pixel.

    It is a function of the shape and of `key`: (seed of this layer, step), whole numbers. `renew` moves the step;
    until then every pass meets the same noise, as finite differences and repeated scores need it. The noise is drawn
    in the order (B, C, H, W), whatever the memory layout.
    """

    key: Tensor

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("key", torch.zeros(2, dtype=torch.int64))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Another seed, from torch's global generator, and step 0."""
        self.key.copy_(torch.stack([torch.randint(2**31, ()), torch.zeros((), dtype=torch.int64)]))

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        if self.key.is_meta:  # only shapes are asked for, as in cost.py
            return torch.zeros_like(x)
        seed, step = self.key.tolist()
        generator = torch.Generator(x.device).manual_seed((seed + ODD * step) % 2**63)
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return torch.empty_like(x).copy_(noise)


ODD = 0x9E3779B97F4A7C15  # so that the seeds of successive steps lie far apart


def renew(noises: Iterable[Noise], step: int) -> None:
    """From now on the noise of that step."""
    for noise in noises:
        noise.key[1] = step


def noises_of(module: nn.Module) -> list[Noise]:
    """Every noise layer inside a module."""
    return [part for part in module.modules() if isinstance(part, Noise)]


def conv_norm(in_channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
    """3x3 convolution and BatchNorm: of stems."""
    return [nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False), nn.BatchNorm2d(out_channels)]


def relu_conv_norm(in_channels: int, out_channels: int, affine: bool = True) -> nn.Sequential:
    """ReLU, 1x1 convolution, BatchNorm: brings an input of a cell to the cell's width."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(out_channels, affine=affine))


def operation(name: str, channels: int, stride: int, *, search: bool = False) -> nn.Module:
    """The operation of that name as a module.

    name: a key of spaces.darts.RECIPES; stride: 1 or 2. Raises InputError for a name that has no recipe.
    """
    if name not in RECIPES:
        raise unknown("operation", name, RECIPES)
    chain = [layer(word, channels, stride, search) for word in RECIPES[name]]
    if search and name.endswith("pool_3x3"):
        chain.append(nn.BatchNorm2d(channels, affine=False))
    return chain[0] if len(chain) == 1 else nn.Sequential(*chain)


def layer(word: str, channels: int, stride: int, search: bool) -> nn.Module:
    """One layer of a recipe: a kind, a kernel size if it has one, and "/" if it takes the stride."""
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
        case "noise":
            return Noise(stride)
    raise InputError(f"recipe word {word!r} is none of the kinds in layers.py")
