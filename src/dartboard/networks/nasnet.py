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

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from dartboard.networks import blocks, check_sizes, plain
from dartboard.networks.blocks import SMALLEST_AUXILIARY_MAP, STEM_MULTIPLIER, places, reductions, stem
from dartboard.networks.nasnet_layers import AuxiliaryHead, Cell, fitted, operation
from dartboard.spaces import nasnet as space
from dartboard.spaces.blocks import CELLS
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.task import Output


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
        parts = {kind: (space.blocks(architecture, kind), space.joined(architecture, kind)) for kind in CELLS}
        self.stem = stem(in_channels, channels)
        older, newest = None, STEM_MULTIPLIER * channels
        self.cells = nn.ModuleList()
        self.auxiliary_head = None
        self.auxiliary_position = reductions(cells)[1] - 1
        side = -(-image_size // 2)
        for place, (reduction, width, larger) in enumerate(places(cells, channels)):
            own, joined = parts["reduce" if reduction else "normal"]
            self.cells.append(Cell((older, newest, width), reduction, larger, own, joined))
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


# --- Layers that are timed --------------------------------------------------------------------------------------------


def timed_operation(channels: int, name: str, outputs: int, stride: int) -> nn.Module:
    return operation(name, channels, outputs, stride)


def timed_head(channels: int, classes: int) -> plain.PooledHead:
    return plain.PooledHead(nn.ReLU(), nn.Linear(channels, classes))


timed_layer = partial(
    plain.timed_layer, {**blocks.TIMED, "operation": timed_operation, "fit": fitted, "head": timed_head}
)


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


sized = partial(blocks.sized, Network)
sizes_of = partial(blocks.sizes_of, "cells.0.base.1.weight", "nasnet")
