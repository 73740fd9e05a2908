"""The networks of the toy space: a convolution, equal chains one after another, global average pooling, a classifier.

`Supernet` holds every operation of every layer, `Network` those of one architecture, `inherit` cuts it out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_sizes
from dartboard.spaces import toy as space
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture


def convolution(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU; the map keeps its size."""
    conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


LAYERS: dict[str, Callable[[int], nn.Module]] = {  # of channels
    "skip_connect": lambda channels: nn.Identity(),
    "conv_3x3": lambda channels: convolution(channels, channels, 3),
    "conv_5x5": lambda channels: convolution(channels, channels, 5),
}


class Chain(nn.Module):
    """Layers one after another. offered: the operations of each; which of them is computed is passed in."""

    def __init__(self, offered: Sequence[Sequence[str]], channels: int) -> None:
        super().__init__()
        rows = ({name: LAYERS[name](channels) for name in names} for names in offered)
        self.layers = nn.ModuleList(nn.ModuleDict(row) for row in rows)

    def forward(self, x: Tensor, operations: Sequence[str]) -> Tensor:
        """x: (B, C, H, W); operations: of the first layers; a chain that is less deep leaves the last ones out."""
        for layer, name in zip(self.layers, operations, strict=False):
            x = layer[name](x)  # type: ignore[index]
        return x


class Trunk(nn.Module):
    """What supernet and network share: everything but what their chains offer."""

    def __init__(
        self, offered: Sequence[Sequence[str]], channels: int, cells: int, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.stem = convolution(in_channels, channels, 3)
        self.cells = nn.ModuleList(Chain(offered, channels) for _ in range(cells))
        self.classifier = nn.Linear(channels, num_classes)

    def logits(self, x: Tensor, operations: Sequence[str]) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x, operations)
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


class Supernet(Trunk):
    """All chains of the space with shared weights; every chain of the network has its own."""

    def __init__(
        self, *, operations: Mixed, channels: int = 16, cells: int = 3, num_classes: int = 10, in_channels: int = 3
    ) -> None:
        super().__init__(operations["chain"], channels, cells, num_classes, in_channels)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture names is computed."""
        return self.logits(x, space.operations_of(choice))


class Network(Trunk):
    """The network of one architecture, an ordinary module with no trace of the search."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 16,
        cells: int = 3,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        self.operations = space.operations_of(architecture)
        super().__init__([(name,) for name in self.operations], channels, cells, num_classes, in_channels)
        self.architecture = architecture

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        return self.logits(x, self.operations)


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture with its weights copied out of the supernet: both name their tensors alike."""
    weights = supernet.state_dict()
    network = Network(architecture, **sizes_of(weights, "the supernet")).to(weights["classifier.weight"])
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.train(supernet.training)


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 16
    cells: int = 3
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at these sizes; it takes images of any size."""
    return reported(architecture, "cifar", **vars(sizes))


def reported(architecture: Architecture, network: str, image_size: int, **sizes: int) -> Network:
    """The network whose counts are told. There is one; it takes images of any size."""
    return Network(architecture, **sizes)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network at the sizes of a training's config and of a Data; torch's global random state stays.

    Raises InputError for settings that this network has no part for.
    """
    if config.auxiliary or config.drop_path > 0.0 or config.stem != "cifar":
        raise InputError("a network of toy is plain; give --no-auxiliary --drop-path 0, and leave --stem away")
    sizes = {"channels": config.channels, "cells": config.cells}
    with torch.random.fork_rng(devices=[]):
        return Network(architecture, num_classes=data.num_classes, in_channels=data.channels, **sizes)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors tell them. Raises InputError, naming their origin, for other weights."""
    stem, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    if stem is None or stem.dim() != 4 or classifier is None:
        raise InputError(f"{origin} holds no weights of a network of toy, which begins with stem.0.weight")
    numbers = [int(name.split(".")[1]) for name in tensors if name.startswith("cells.")]
    found = {"channels": len(stem), "num_classes": len(classifier), "in_channels": stem.shape[1]}
    return found | ({"cells": max(numbers) + 1} if numbers else {})
