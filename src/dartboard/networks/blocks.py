"""What the networks of cells of blocks share, of ENAS micro and NASNet: stem, places of cells, sizes, drop path."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import darts_timed, plain
from dartboard.networks.layers import FactorizedReduce, relu_conv_norm
from dartboard.networks.same_padding import Depthwise
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_blocks import reductions as reductions
from dartboard.spaces.timed_cells import STEM_MULTIPLIER as STEM_MULTIPLIER

SMALLEST_AUXILIARY_MAP = 5
SIDES = 2  # of a block
Network = TypeVar("Network", bound=nn.Module)


def places(cells: int, channels: int) -> Iterator[tuple[bool, int, bool]]:
    """Of each cell: whether it is a reduction, its channels, whether it follows a reduction. Raises InputError."""
    if cells < 3:
        raise InputError(f"--cells {cells}: give 3 or more, two of them are reduction layers")
    after = False
    for place in range(cells):
        reduction = place in reductions(cells)
        channels = 2 * channels if reduction else channels
        yield reduction, channels, after
        after = reduction


def stem(in_channels: int, channels: int) -> nn.Sequential:
    """3x3 convolution to 3C channels, BatchNorm."""
    width = STEM_MULTIPLIER * channels
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


def separable(before: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Two rounds of ReLU, depthwise and pointwise convolution, BatchNorm; the first round has the stride."""
    rounds: list[nn.Module] = []
    for width, own in ((before, stride), (channels, 1)):
        rounds += [nn.ReLU(), Depthwise(width, kernel, own)]
        rounds += [nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*rounds)


def adjusted(before: int, channels: int, halved: bool) -> nn.Module:
    """Brings an input to a cell's width, and to half its size where it is too large; else leaves it as it is."""
    if halved:
        return FactorizedReduce(before, channels)
    return relu_conv_norm(before, channels) if before != channels else nn.Identity()


def drawn(network: Any, x: Tensor, chance: float, generator: torch.Generator | None) -> Tensor | None:
    """The drop-path factors (N, B, 1, 1, 1) of all N operations but identities, in order, in one draw.

    The chance of a cell grows linearly with its depth, to `chance` in the last one. None for chance 0, and for a
    network that does not train.
    """
    if chance == 0.0 or not network.training:
        return None
    chances: list[float] = []
    for place, cell in enumerate(network.cells, 1):
        names = [name for block in cell.blocks for name in block[SIDES : 2 * SIDES] if name != "identity"]
        chances += [chance * place / len(network.cells)] * len(names)
    keep = 1.0 - torch.tensor(chances, device=x.device, dtype=x.dtype).view(-1, 1, 1, 1, 1)
    uniform = torch.rand(len(chances), x.shape[0], 1, 1, 1, device=x.device, generator=generator)
    return (uniform < keep).to(x.dtype) / keep


def sized(make: Callable[..., Network], architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data. make: the family's `Network`.

    torch's global random state stays: a training draws new weights from its run's seed. Raises InputError for a stem.
    """
    if config.stem != "cifar":
        raise InputError(f"a network of {architecture.space} has no stem {config.stem!r}; leave out --stem")
    sizes = {"channels": config.channels, "cells": config.cells, "auxiliary": config.auxiliary}
    sizes |= {"num_classes": data.num_classes, "in_channels": data.channels, "image_size": data.image_size}
    with torch.random.fork_rng(devices=[]):
        return make(architecture, **sizes)


def sizes_of(inside: str, family: str, tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The sizes that a network's tensors say; image_size is that of CIFAR. inside: a tensor that every network has.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of the family.
    """
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    if first is None or first.dim() != 4 or classifier is None or inside not in tensors:
        wanted = f"stem.0.weight, {'.'.join(inside.split('.')[:3])} and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of {family}, which has {wanted}")
    auxiliary = any(name.startswith("auxiliary_head.") for name in tensors)
    return {**sizes_in(tensors), "image_size": 32, "auxiliary": auxiliary}


def sizes_in(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes that the shapes of a network's weights, or a supernet's, say."""
    width, in_channels = weights["stem.0.weight"].shape[:2]
    cells = len({name.split(".")[1] for name in weights if name.startswith("cells.")})
    classes = len(weights["classifier.weight"])
    return {"channels": width // STEM_MULTIPLIER, "cells": cells, "num_classes": classes, "in_channels": in_channels}


def masked(x: Tensor, name: str, masks: Iterator[Tensor] | None) -> Tensor:
    """What an operation gives, times its drop-path factor; an identity has none."""
    return x if masks is None or name == "identity" else x * next(masks).to(x.dtype)


def joined(states: Sequence[Tensor], nodes: Sequence[int], fit: nn.ModuleDict) -> Tensor:
    """These states side by side, each through its module in `fit`, if it has one."""
    return torch.cat([fit[str(node)](states[node]) if str(node) in fit else states[node] for node in nodes], dim=1)


# What both have of layers that are timed by themselves (spaces/timed_blocks.py).
TIMED: Mapping[str, Callable[..., nn.Module]] = {
    "stem": darts_timed.stem,
    "enter": darts_timed.enter,
    "join": plain.Join,
}
