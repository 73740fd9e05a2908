"""What families share whose networks come in one form: one stem, any number of cells, and no more than logits.

The functions take the family's `Network` first; the file of a family binds it: `sized = partial(plain.sized, Network)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_sizes
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_layers import Layer

Network = TypeVar("Network", bound=nn.Module)
Make = Callable[..., Network]


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


def of_sizes(make: Make[Network], architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description; it takes images of any size."""
    return reported(make, architecture, "cifar", **vars(sizes))


def reported(make: Make[Network], architecture: Architecture, network: str, image_size: int, **sizes: int) -> Network:
    """The network whose counts are reported. There is one; it takes images of any size."""
    return make(architecture, **sizes)


def sized(make: Make[Network], architecture: Architecture, config: Any, data: Any) -> Network:
    """The network at the sizes of a training's config and of a Data; torch's global random state stays.

    Raises InputError for settings that this network has no part for.
    """
    if config.auxiliary or config.drop_path > 0.0 or config.stem != "cifar":
        has = f"a network of {architecture.space} has one stem, no auxiliary head, and drops no paths"
        raise InputError(f"{has}; give --no-auxiliary --drop-path 0, and leave out --stem")
    sizes = {"channels": config.channels, "cells": config.cells}
    with torch.random.fork_rng(devices=[]):
        return make(architecture, num_classes=data.num_classes, in_channels=data.channels, **sizes)


class PooledHead(nn.Module):
    """The last convolution, global average pooling and the classifier by themselves."""

    def __init__(self, last: nn.Module, classifier: nn.Linear) -> None:
        super().__init__()
        self.last, self.classifier = last, classifier

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, classes)"""
        return self.classifier(self.last(x).mean((2, 3)))  # type: ignore[no-any-return]


class Join(nn.Module):
    """What a cell computes besides its operations, by itself: sums of two maps, and its output of some maps. It has the
    one map for all of them: what numbers they hold does not decide its time."""

    def __init__(self, channels: int, sums: int, joined: int) -> None:
        super().__init__()
        self.sums, self.joined = sums, joined

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, joined C, H, W); one map alone is not copied."""
        nodes = [x, *(x + x for _ in range(self.sums))]
        return torch.cat((nodes * self.joined)[-self.joined :], dim=1) if self.joined > 1 else nodes[-1]


def timed_layer(kinds: Mapping[str, Callable[..., nn.Module]], layer: Layer) -> nn.Module:
    """The module of a layer, with weights as torch draws them: (B, channels, side, side) -> its result. kinds: what
    makes one, by the kind of layer; the file of a family binds it."""
    return kinds[layer.kind](layer.channels, **dict(layer.settings))


def check_side(name: str, stride: int, side: int) -> None:
    """Raises InputError for images smaller than what a network divides their sides by. name: of its family or form."""
    if side < stride:
        needs = f"a network of {name} divides an image's side by {stride}"
        raise InputError(f"{needs}, and these have {side} pixels; give larger images, or a space for small ones")


def sizes_of(first: str, tensors: Mapping[str, Tensor], origin: str) -> dict[str, int]:
    """The fields of Sizes as far as tensors determine them, for networks of `cells` and a linear `classifier`.

    first: the name of the first convolution's weight. Raises InputError, naming the origin, for other weights.
    """
    convolution, classifier = tensors.get(first), tensors.get("classifier.weight")
    if convolution is None or convolution.dim() != 4 or classifier is None:
        raise InputError(f"{origin} has no weights of such a network, which has {first} and classifier.weight")
    (channels, in_channels), classes = convolution.shape[:2], len(classifier)
    cells = len({name.split(".")[1] for name in tensors if name.startswith("cells.")})
    return {"channels": channels, "cells": cells, "num_classes": classes, "in_channels": in_channels}


def inherit(make: Make[Network], first: str, supernet: nn.Module, architecture: Architecture) -> Network:
    """The network with its weights copied out of the supernet: both name their tensors alike. first: as in sizes_of."""
    weights = supernet.state_dict()
    network = make(architecture, **sizes_of(first, weights, "the supernet")).to(next(supernet.parameters()))
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.train(supernet.training)
