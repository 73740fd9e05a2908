"""The networks of ENAS micro: `Supernet`, the search child; `Network`, the published final one; `inherit`.

Layers (melodyguan/enas, src/cifar10/micro_child.py): a 3x3 stem of 3C channels with BatchNorm; `cells` layers, two of
them reductions, which double the channels; ReLU, global average pooling, a linear classifier without bias. `cells`
counts the reductions: of n + 2 layers they are the layers n // 3 and 2 (n // 3) + 1. No convolution has a bias. A
separable convolution is two rounds of ReLU, depthwise, pointwise, BatchNorm. Padding is TensorFlow's SAME, which at
stride 2 on an even size pads more behind than before; an average pool leaves padding out of the mean.

The search child and the final network differ, as in the authors' code (docs/enas-micro.md has a table):
    weights       search: a set for each block, side, operation and node that is read; final: each operation its own
    reduction     search: halves the newest map first, then a cell of stride 1; final: stride 2 in what reads the inputs
    newest input  search: as it is, brought to the width if need be; final: one more ReLU, 1x1 convolution, BatchNorm
    loose ends    search: joined, ReLU, 1x1 convolution to C channels, BatchNorm; final: joined; an input is halved
                  where it is larger

Departures from the authors' code:
    1. BatchNorm has running statistics in the search child, too (momentum 0.1), so that they can be collected again.
    2. Of a layer's statistics the code keeps a share of 0.9 without bias towards their start; here as everywhere in
       this house. Both take the batch's own in training.
    3. The auxiliary head's second convolution has the kernel of the map that it reads, 2x2 on CIFAR; maps smaller than
       5x5 have no such head.
    4. Dropout before the classifier is not part of the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import blocks, check_sizes, plain
from dartboard.networks.blocks import (
    SIDES,
    SMALLEST_AUXILIARY_MAP,
    STEM_MULTIPLIER,
    places,
    reductions,
    sizes_in,
    stem,
)
from dartboard.networks.enas_micro_layers import AuxiliaryHead, FinalLayer, OwnLayer, SharedLayer, operation
from dartboard.spaces import enas_micro as space
from dartboard.spaces.blocks import CELLS, TITLES, loose_ends
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.task import Output

Form = Literal["final", "search"]


# --- Networks --------------------------------------------------------------------------------------------------------


class Supernet(nn.Module):
    """The search child: all pairs of cells with shared weights. It has no auxiliary head."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        operations: Mixed | None = None,
        channels: int = 20,
        cells: int = 8,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        """operations: as `mixed` of a space gives them; all of ENAS' if not given. Raises InputError."""
        super().__init__()
        offered = space.mixed(space.SPACE) if operations is None else operations
        self.stem = stem(in_channels, channels)
        older = newest = STEM_MULTIPLIER * channels
        self.cells = nn.ModuleList()
        for reduction, width, _ in places(cells, channels):
            own = offered[space.BLOCKS["reduce" if reduction else "normal"]]
            self.cells.append(SharedLayer((older, newest, width), reduction, own))
            older, newest = (width if reduction else newest), width
        self.classifier = nn.Linear(newest, num_classes, bias=False)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture names is computed."""
        parts = {kind: space.blocks(choice, kind) for kind in CELLS}
        older = newest = self.stem(x)
        for cell in self.cells:
            older, newest = cell(older, newest, parts["reduce" if cell.reduction else "normal"])
        return self.classifier(newest.relu().mean((2, 3)))  # type: ignore[no-any-return]

    def output(self, x: Tensor, choice: Architecture, state: Any = None, drop: Tensor | None = None) -> Output:
        """The logits, and nothing besides: the search child drops no paths."""
        return Output(self(x, choice))


class Network(nn.Module):
    """The network of one architecture, an ordinary module with no trace of the search.

    form: "final", the published network, or "search", its part of the search child. The auxiliary head is left out if
    the map after the second reduction is smaller than 5x5 (then `self.auxiliary_head is None`).
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 36,
        cells: int = 17,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        auxiliary: bool = True,
        form: Form = "final",
    ) -> None:
        super().__init__()
        self.architecture, self.form = architecture, form
        parts = {kind: space.blocks(architecture, kind) for kind in CELLS}
        self.stem = stem(in_channels, channels)
        older = newest = STEM_MULTIPLIER * channels
        self.cells = nn.ModuleList()
        self.auxiliary_head = None
        side = -(-image_size // 4)
        for place, (reduction, width, after) in enumerate(places(cells, channels)):
            own = parts["reduce" if reduction else "normal"]
            if form == "search":
                self.cells.append(OwnLayer((older, newest, width), reduction, own))
                older, newest = (width if reduction else newest), width
            else:
                self.cells.append(FinalLayer((older, newest, width), reduction, after, own))
                older, newest = newest, len(loose_ends(own)) * width
            if place == reductions(cells)[1] + 1 and auxiliary and side >= SMALLEST_AUXILIARY_MAP:
                self.auxiliary_head = AuxiliaryHead(newest, num_classes, side)
        self.auxiliary_position = reductions(cells)[1] + 1
        self.classifier = nn.Linear(newest, num_classes, bias=False)

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
            older, newest = cell(older, newest, masks)
            if place == self.auxiliary_position and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(newest)
        return Output(self.classifier(newest.relu().mean((2, 3))), auxiliary=auxiliary)


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture in its search form with its weights copied out of the supernet, with which it computes the same.

    Raises InputError if the architecture does not lie inside the supernet.
    """
    weights = supernet.state_dict()
    sizes = {**sizes_in(weights), "auxiliary": False, "form": "search"}
    check_inside(supernet, architecture)
    network = Network(architecture, **sizes).to(next(supernet.parameters()))
    network.stem.load_state_dict(supernet.stem.state_dict())
    network.classifier.load_state_dict(supernet.classifier.state_dict())
    for own, shared in zip(network.cells, supernet.cells, strict=True):
        own.take(shared)  # type: ignore[operator]
    return network.train(supernet.training)


def check_inside(supernet: Supernet, architecture: Architecture) -> None:
    """Raises InputError unless the supernet has every block and operation of the architecture."""
    for cell in supernet.cells:
        kind = "reduce" if cell.reduction else "normal"
        found, sides = space.blocks(architecture, kind), cell.sides
        if len(found) * SIDES != len(sides):  # type: ignore[arg-type]
            raise InputError(f"the {TITLES[kind]} has {len(found)} blocks, the supernet another number")
        for number, block in enumerate(found):
            for side, name in enumerate(block[2:]):
                if name not in sides[SIDES * number + side][0]:  # type: ignore[index]
                    raise InputError(f"the supernet has no operation {name!r} in block {number + 1}")


# --- Layers that are timed --------------------------------------------------------------------------------------------


def timed_operation(channels: int, name: str, stride: int) -> nn.Module:
    return operation(name, channels, stride)


def timed_head(channels: int, classes: int) -> plain.PooledHead:
    return plain.PooledHead(nn.ReLU(), nn.Linear(channels, classes, bias=False))


timed_layer = partial(plain.timed_layer, {**blocks.TIMED, "operation": timed_operation, "head": timed_head})


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 36
    cells: int = 17
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    auxiliary: bool = False
    form: Form = "final"

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description."""
    return Network(architecture, **vars(sizes))


def reported(architecture: Architecture, network: str, **sizes: Any) -> Network:
    """The network whose counts papers report, with its auxiliary head. There is one."""
    return Network(architecture, auxiliary=True, **sizes)


sized = partial(blocks.sized, Network)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of CIFAR.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    sizes = blocks.sizes_of("cells.0.adjust.0.1.weight", "enas_micro", tensors, origin)
    if any(name.startswith("cells.0.sides.") for name in tensors):
        raise InputError(
            f"{origin} holds the weights of a search's supernet; give those of a network of one pair of cells"
        )
    form: Form = "search" if "cells.0.join.bn.weight" in tensors else "final"
    return {**sizes, "form": form}
