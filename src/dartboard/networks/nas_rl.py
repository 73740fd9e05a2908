"""The networks of NAS with reinforcement learning: `Network`. There is no supernet: each child trains its own weights.

A layer is a convolution without bias, BatchNorm, ReLU. Its inputs are joined along the channels; smaller maps get zeros
on the right and below until they are as large as the largest. A layer without inputs takes the image. The outputs that
no layer takes are joined the same way; global average pooling, a linear classifier. `cells` counts the layers.

`channels` is what 24 filters become, 36, 48 and 64 in proportion: 24 is the paper's network.

What the paper (section 3.3) does not say, and is ours:
    1. BatchNorm stands before the ReLU, as its authors have it (Ioffe, Szegedy, ICML 2015, section 3.2).
    2. Zeros are on the right and below. A map is padded by half a filter, so that stride 1 keeps its size.
    3. The final hidden state is averaged over its pixels before the classifier.
    4. Convolutions have no bias, since BatchNorm follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.errors import InputError
from dartboard.networks import check_sizes, plain
from dartboard.spaces import nas_rl as space
from dartboard.spaces.nas_rl_timed import width_of
from dartboard.spaces.search_space import Architecture

FIRST = "cells.0.conv.weight"


def joined(maps: Sequence[Tensor]) -> Tensor:
    """Maps (B, C_i, H_i, W_i) side by side, (B, sum of C_i, H, W), with zeros up to the largest sides."""
    if len(maps) == 1:
        return maps[0]
    height, width = (max(one.shape[side] for one in maps) for side in (2, 3))
    return torch.cat([padded(one, height, width) for one in maps], dim=1)


def padded(x: Tensor, height: int, width: int) -> Tensor:
    """A map with zeros on the right and below up to these sides; one that has them is not copied."""
    more = (0, width - x.shape[3], 0, height - x.shape[2])
    return F.pad(x, more) if any(more) else x


class Convolution(nn.Module):
    """A layer: convolution, BatchNorm, ReLU. The sides of its map are ceil(side / stride).

    The stride of a 1x1 filter is taken before the convolution, the same function (see layers.FactorizedReduce).
    """

    def __init__(self, in_channels: int, width: int, layer: space.Layer) -> None:
        super().__init__()
        sides = (layer.height, layer.width)
        self.early = layer.step if sides == (1, 1) else 1
        stride, padding = layer.step // self.early, (layer.height // 2, layer.width // 2)
        self.conv = nn.Conv2d(in_channels, width, sides, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x[:, :, :: self.early, :: self.early])).relu()  # type: ignore[no-any-return]


class Network(nn.Module):
    """The network of one architecture, an ordinary module. base: `channels`, which the shapes of weights do not say."""

    base: Tensor

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 24,
        cells: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        """cells: the architecture's layers, which is what it is if it is not given. Raises InputError."""
        super().__init__()
        self.architecture, self.layers = architecture, space.layers_of(architecture)
        check_layers(len(self.layers) if cells is None else cells, len(self.layers))
        widths = [in_channels, *(width_of(layer.filters, channels) for layer in self.layers)]  # the image is number 0
        self.cells = nn.ModuleList(
            Convolution(sum(widths[one] for one in layer.inputs or (0,)), width, layer)
            for layer, width in zip(self.layers, widths[1:], strict=True)
        )
        self.loose = space.dangling(self.layers)
        self.classifier = nn.Linear(sum(widths[one] for one in self.loose), num_classes)
        self.register_buffer("base", torch.tensor(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        states = [x]
        for layer, cell in zip(self.layers, self.cells, strict=True):
            states.append(cell(joined([states[one] for one in layer.inputs or (0,)])))
        return self.classifier(joined([states[one] for one in self.loose]).mean((2, 3)))  # type: ignore[no-any-return]


def check_layers(cells: int, number: int) -> None:
    """Raises InputError for another number of layers than the architecture has."""
    if cells != number:
        raise InputError(f"--cells {cells}: this architecture has {number} layers; give --cells {number}")


# --- Layers that are timed --------------------------------------------------------------------------------------------


class Joined(nn.Module):
    """Maps side by side, by themselves: parts of the map that it is given."""

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.maps = min(maps, channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), and so is what comes out."""
        return joined(x.tensor_split(self.maps, dim=1))


def timed_convolution(channels: int, height: int, width: int, stride: int, outputs: int) -> Convolution:
    return Convolution(channels, outputs, space.Layer(height, width, outputs, stride, ()))


def timed_head(channels: int, classes: int) -> plain.PooledHead:
    return plain.PooledHead(nn.Identity(), nn.Linear(channels, classes))


timed_layer = partial(plain.timed_layer, {"convolution": timed_convolution, "join": Joined, "head": timed_head})


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 24
    cells: int = 15
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32

    def __post_init__(self) -> None:
        check_sizes(self)


def reported(architecture: Architecture, network: str, image_size: int, cells: int, **sizes: Any) -> Network:
    """The network whose counts papers report. There is one; its layers are the architecture's, it takes any image."""
    return Network(architecture, **sizes)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description; it takes images of any size."""
    return reported(architecture, "cifar", **vars(sizes))


sized = partial(plain.sized, Network)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of CIFAR.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    if "base" not in tensors:
        raise InputError(
            f"{origin} has no weights of a network of nas_rl, which has {FIRST}, base and classifier.weight"
        )
    found = plain.sizes_of(FIRST, tensors, origin)
    return {**found, "channels": int(tensors["base"]), "image_size": 32}
