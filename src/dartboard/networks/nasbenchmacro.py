"""The networks of NAS-Bench-Macro: `Supernet` holds every chain, `Network` is one, `inherit` cuts it out.

Layout (xiusu/NAS-Bench-Macro): a 3x3 stem of C channels; stages of 2, 3 and 3 layers with 2C, 4C and 8C channels, whose
first layers have stride 2; a 1x1 convolution to 40C channels; global average pooling; a linear classifier. Every
convolution is followed by BatchNorm, and by ReLU but for the last one of a block and that of an identity. The benchmark
has C = 32. `cells` counts the layers, as everywhere in this house all between stem and classifier; there are always 8.

Departures from the benchmark's code: an identity that halves the map drops pixels before its convolution and not in it,
the same function (layers.py tells why); BatchNorm of a single number (one image, a map of one pixel) takes its running
statistics in training, too, where torch's fails.
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
from dartboard.spaces import nasbenchmacro as space
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture

BLOCKS = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}  # expansion, kernel


class Norm(nn.BatchNorm2d):
    """BatchNorm. A channel of a single number has no spread: then it takes the running statistics, in training, too."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)"""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution and BatchNorm; a map keeps its size, or is halved upwards by stride 2."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, Norm(out_channels)]


class Halve(nn.Module):
    """Every second pixel of a map, in both directions."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2, ::2]


class Block(nn.Sequential):
    """A block of MobileNetV2: 1x1 convolution to more channels, depthwise convolution, 1x1 convolution; a shortcut
    around them if map and channels stay as they are."""

    def __init__(self, in_channels: int, channels: int, stride: int, expansion: int, kernel: int) -> None:
        wide = expansion * in_channels
        super().__init__(
            *conv_norm(in_channels, wide, 1),
            nn.ReLU(),
            *conv_norm(wide, wide, kernel, stride, groups=wide),
            nn.ReLU(),
            *conv_norm(wide, channels, 1),
        )
        self.has_shortcut = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + inner if self.has_shortcut else inner


def layer(operation: str, in_channels: int, channels: int, stride: int) -> nn.Module:
    """An operation in its place."""
    if operation in BLOCKS:
        return Block(in_channels, channels, stride, *BLOCKS[operation])
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return nn.Sequential(Halve(), *conv_norm(in_channels, channels, 1))


class Trunk(nn.Module):
    """What supernet and network share: everything but what their layers offer."""

    def __init__(
        self, offered: Sequence[Sequence[str]], channels: int, cells: int, num_classes: int, in_channels: int
    ) -> None:
        """offered: the operations of every layer; which of them is computed is passed in. Raises InputError."""
        super().__init__()
        check_layers(cells)
        self.stem = nn.Sequential(*conv_norm(in_channels, channels, 3), nn.ReLU())
        self.cells = nn.ModuleList()
        before = channels
        for place, operations in enumerate(offered):
            stride = 2 if place in space.FIRST else 1
            width = stride * before
            self.cells.append(nn.ModuleDict({name: layer(name, before, width, stride) for name in operations}))
            before = width
        self.last = nn.Sequential(*conv_norm(before, 40 * channels, 1), nn.ReLU())
        self.classifier = nn.Linear(40 * channels, num_classes)

    def logits(self, x: Tensor, operations: Sequence[str]) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); operations: the one of every layer."""
        x = self.stem(x)
        for cell, operation in zip(self.cells, operations, strict=True):
            x = cell[operation](x)  # type: ignore[index]
        return self.classifier(self.last(x).mean((2, 3)))  # type: ignore[no-any-return]


class Supernet(Trunk):
    """All chains of the space with shared weights."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        operations: Mixed | None = None,
        channels: int = 32,
        cells: int = space.NUM_LAYERS,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        """operations: what each layer offers, as `mixed` of a space gives it; all of the benchmark's if not given."""
        offered = (space.mixed(space.SPACE) if operations is None else operations)[space.LAYERS]
        super().__init__(offered, channels, cells, num_classes, in_channels)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture names is computed."""
        return self.logits(x, space.operations_of(choice))


class Network(Trunk):
    """The benchmark's network of one architecture, an ordinary module with no trace of the search."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 32,
        cells: int = space.NUM_LAYERS,
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
    """The architecture with its weights copied out of the supernet: both name their tensors alike.

    Raises InputError if the architecture does not lie inside the supernet.
    """
    for name, operation, cell in zip(space.NAMES, space.operations_of(architecture), supernet.cells, strict=True):
        if operation not in cell:  # type: ignore[operator]
            raise InputError(f"the supernet has no operation {operation!r} in {name}, which the architecture uses")
    weights = supernet.state_dict()
    network = Network(architecture, **sizes_in(weights)).to(weights["classifier.weight"])
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.train(supernet.training)


# --- Layers that are timed --------------------------------------------------------------------------------------------


def timed_stem(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm(channels, outputs, 3), nn.ReLU())


def timed_operation(channels: int, operation: str, outputs: int, stride: int) -> nn.Module:
    return layer(operation, channels, outputs, stride)


def timed_head(channels: int, outputs: int, classes: int) -> plain.PooledHead:
    last = nn.Sequential(*conv_norm(channels, outputs, 1), nn.ReLU())
    return plain.PooledHead(last, nn.Linear(outputs, classes))


timed_layer = partial(plain.timed_layer, {"stem": timed_stem, "layer": timed_operation, "head": timed_head})


# --- Sizes -----------------------------------------------------------------------------------------------------------


def check_layers(cells: int) -> None:
    """Raises InputError for another number of layers than the benchmark's."""
    if cells != space.NUM_LAYERS:
        raise InputError(f"--cells {cells}: a network of nasbenchmacro has {space.NUM_LAYERS} layers; leave it out")


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 32
    cells: int = space.NUM_LAYERS
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32

    def __post_init__(self) -> None:
        check_sizes(self)
        check_layers(self.cells)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description; it takes images of any size."""
    return reported(architecture, "cifar", **vars(sizes))


def reported(architecture: Architecture, network: str, image_size: int, **sizes: int) -> Network:
    """The network whose counts papers report. There is one; it takes images of any size."""
    return Network(architecture, **sizes)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data.

    torch's global random state stays: a training draws new weights from its run's seed. Raises InputError for
    settings that this network has no part for.
    """
    if config.auxiliary:
        raise InputError("a network of nasbenchmacro has no auxiliary head; give --no-auxiliary")
    if config.stem != "cifar":
        raise InputError(f"a network of nasbenchmacro has no stem {config.stem!r}; leave out --stem")
    if config.drop_path > 0.0:
        raise InputError(f"--drop-path is {config.drop_path}; a network of nasbenchmacro drops no paths, give 0")
    sizes = {"channels": config.channels, "cells": config.cells}
    with torch.random.fork_rng(devices=[]):
        return Network(architecture, num_classes=data.num_classes, in_channels=data.channels, **sizes)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is the benchmark's.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    stem, last, classifier = (tensors.get(f"{name}.weight") for name in ("stem.0", "last.0", "classifier"))
    if stem is None or stem.dim() != 4 or last is None or classifier is None:
        wanted = "stem.0.weight, last.0.weight and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of nasbenchmacro, which has {wanted}")
    operations = {tuple(name.split(".")[:3]) for name in tensors if name.startswith("cells.")}
    if len(operations) > space.NUM_LAYERS:
        raise InputError(f"{origin} holds the weights of a search's supernet; give those of a network of one chain")
    return sizes_in(tensors)


def sizes_in(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """The arguments of a Network, its architecture aside, that the shapes of its weights, or a supernet's, say."""
    classes, (channels, in_channels) = len(weights["classifier.weight"]), weights["stem.0.weight"].shape[:2]
    return {"channels": channels, "cells": space.NUM_LAYERS, "num_classes": classes, "in_channels": in_channels}
