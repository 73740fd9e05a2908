"""The network of NASNet: `Network`. There is no supernet: every child of the paper's search trains its own weights.

As in TensorFlow's slim models: a 3x3 stem of 3F channels with BatchNorm; `cells` cells, two of them reductions, which
double F, of n + 2 cells those numbered n // 3 and 2 (n // 3) + 1; ReLU, global average pooling, a linear classifier.
Of a cell's inputs, state 0 is the newest map after ReLU, a 1x1 convolution and BatchNorm. State 1 is the map before it:
halved by a factorized reduction if it is larger, ReLU, 1x1 convolution, BatchNorm if it is wider; in the first cell it
is the stem's map as it is. Pools get a 1x1 convolution only where the widths differ, the identity also at stride 2. A
joined state of another width or size is brought to F by a factorized reduction without ReLU, which at stride 1 is a 1x1
convolution and BatchNorm.

What those models do not have, here by the same rules: a block that joins has 2F channels, which what reads it brings to
F; the other convolutions are rounds of ReLU, convolution, BatchNorm, the dilated one with full kernels of dilation 2.
Departure: dropout before the classifier is not part of the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_sizes
from dartboard.networks.enas_micro import STEM_MULTIPLIER, places, reductions, sizes_in, stem
from dartboard.networks.nasnet_layers import AuxiliaryHead, Cell
from dartboard.spaces import nasnet as space
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.task import Output

SMALLEST_AUXILIARY_MAP = 5


class Network(nn.Module):
    """The network of one architecture.

    The auxiliary head, before the second reduction, is left out if the map there is smaller than 5x5.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 32,
        cells: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        auxiliary: bool = True,
    ) -> None:
        """Raises InputError for fewer than 3 cells."""
        super().__init__()
        self.architecture = architecture
        parts = {kind: (space.blocks(architecture, kind), space.joined(architecture, kind)) for kind in space.CELLS}
        self.stem = stem(in_channels, channels)
        older, newest = None, STEM_MULTIPLIER * channels
        self.cells = nn.ModuleList()
        self.auxiliary_head = None
        self.auxiliary_position = reductions(cells)[1] - 1
        side = -(-image_size // 2)
        for place, (reduction, width, larger) in enumerate(places(cells, channels)):
            blocks, joined = parts["reduce" if reduction else "normal"]
            self.cells.append(Cell((older, newest, width), reduction, larger, blocks, joined))
            older, newest = newest, len(joined) * width
            if place == self.auxiliary_position and auxiliary and side >= SMALLEST_AUXILIARY_MAP:
                self.auxiliary_head = AuxiliaryHead(newest, num_classes, side)
        self.classifier = nn.Linear(newest, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        return self.output(x).logits

    def output(self, x: Tensor, state: Any = None, drop: Tensor | None = None) -> Output:
        """Logits (B, classes) and, if the head exists and the network trains, the auxiliary head's.

        state: there is none; drop: drop-path factors (N, B, 1, 1, 1) of all N operations but identities, in order.
        """
        masks, auxiliary = None if drop is None else iter(drop.unbind()), None
        older = newest = self.stem(x)
        for place, cell in enumerate(self.cells):
            older, newest = newest, cell(older, newest, masks)
            if place == self.auxiliary_position and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(newest)
        return Output(self.classifier(newest.relu().mean((2, 3))), auxiliary=auxiliary)


def drawn(network: Network, x: Tensor, chance: float, generator: torch.Generator | None) -> Tensor | None:
    """The drop-path factors of `Network.output`, in one draw. The chance of a cell grows linearly with its depth, to
    `chance` in the last one. None for chance 0, and for a network that does not train."""
    if chance == 0.0 or not network.training:
        return None
    chances = []
    for place, cell in enumerate(network.cells, 1):
        names = [name for block in cell.blocks for name in block[2:4] if name != "identity"]  # type: ignore[union-attr]
        chances += [chance * place / len(network.cells)] * len(names)
    keep = 1.0 - torch.tensor(chances, device=x.device, dtype=x.dtype).view(-1, 1, 1, 1, 1)
    uniform = torch.rand(len(chances), x.shape[0], 1, 1, 1, device=x.device, generator=generator)
    return (uniform < keep).to(x.dtype) / keep


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 32
    cells: int = 20
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    auxiliary: bool = False

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description."""
    return Network(architecture, **vars(sizes))


def reported(architecture: Architecture, network: str, **sizes: Any) -> Network:
    """The network whose counts papers report, with its auxiliary head. There is one."""
    return Network(architecture, auxiliary=True, **sizes)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data.

    torch's global random state stays: a training draws new weights from its run's seed. Raises InputError for a stem.
    """
    if config.stem != "cifar":
        raise InputError(f"a network of nasnet has no stem {config.stem!r}; leave out --stem")
    sizes = {"channels": config.channels, "cells": config.cells, "auxiliary": config.auxiliary}
    sizes |= {"num_classes": data.num_classes, "in_channels": data.channels, "image_size": data.image_size}
    with torch.random.fork_rng(devices=[]):
        return Network(architecture, **sizes)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of CIFAR.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    if first is None or first.dim() != 4 or classifier is None or "cells.0.base.1.weight" not in tensors:
        wanted = "stem.0.weight, cells.0.base and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of nasnet, which has {wanted}")
    auxiliary = any(name.startswith("auxiliary_head.") for name in tensors)
    return {**sizes_in(tensors), "image_size": 32, "auxiliary": auxiliary}
