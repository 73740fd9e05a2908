"""The networks of SPOS: `Supernet` holds every chain, `Network` is one, `inherit` cuts it out.

Layout (megvii-model/SinglePathOneShot): a 3x3 stem of C channels and stride 2; stages of 4, 4, 8 and 4 blocks with 4C,
10C, 20C and 40C channels, the first block of each of stride 2; a 1x1 convolution to 64C channels; global average
pooling; a linear classifier without bias. No convolution has a bias; BatchNorm follows each. In the paper C = 16.
The two smaller chains of this house have the layouts of `LAYOUTS` in spaces/shufflenetv2.py. `cells` counts the blocks.

The supernet's BatchNorms have no scale and shift; those of a network that is trained by itself have them. A factor
takes the first channels in the middle of a block; bits are those of its convolutions and of their inputs, and stem,
last convolution and classifier stay as they are (quantised_layers.py).

Departures from the authors' code:
    1. It takes images as BGR from 0 to 255; here they are RGB and normalised, as for every family.
    2. Its dropout of 0.1 before the classifier is no part of the network: a search has the setting --dropout.
    3. It has neither factors nor bits; both are made after the paper's text. Channels are rounded to the nearest.
    4. BatchNorm of a single number takes its running statistics in training, too, where torch's fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_sizes, plain
from dartboard.networks.elastic_layers import SlicedNorm, inherited
from dartboard.networks.quantised_layers import Bits
from dartboard.networks.shufflenetv2_layers import Block, middle
from dartboard.spaces import shufflenetv2 as space
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture

Form = Literal["final", "search"]


@dataclass(frozen=True)
class Offered:
    """What a block offers: operations, the largest factor of its channels, and bits."""

    operations: tuple[str, ...]
    factor: float
    bits: tuple[Bits, ...]


def conv_norm(in_channels: int, channels: int, kernel: int, stride: int, affine: bool) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, SlicedNorm(channels, affine=affine), nn.ReLU())


class Trunk(nn.Module):
    """What supernet and network share: everything but what their blocks offer."""

    def __init__(
        self, offered: Sequence[Offered], layout: space.Layout, affine: bool,
        channels: int, num_classes: int, in_channels: int,
    ) -> None:  # fmt: skip
        """offered: of every block; what of it is computed is passed in."""
        super().__init__()
        self.layout = layout
        self.stem = conv_norm(in_channels, channels, 3, layout.stem_stride, affine)
        self.cells = nn.ModuleList()
        self.middles: list[int] = []  # of each block, at factor 1
        before = channels
        for (wide, stride), one in zip(layout.blocks, offered, strict=True):
            width = (before, wide * channels)
            most = middle(width[1] // 2, one.factor)
            made = {name: Block(name, width, most, stride, affine, one.bits) for name in one.operations}
            self.cells.append(nn.ModuleDict(made))
            self.middles.append(width[1] // 2)
            before = width[1]
        self.last = conv_norm(before, layout.head * channels, 1, 1, affine)
        self.classifier = nn.Linear(layout.head * channels, num_classes, bias=False)

    def logits(self, x: Tensor, architecture: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W). Raises InputError for images that are too small."""
        check_image(self.layout, min(x.shape[-2:]))
        x = self.stem(x)
        chosen = space.chosen(architecture)
        for cell, channels, (operation, factor, bits) in zip(self.cells, self.middles, chosen, strict=True):
            x = cell[operation](x, middle(channels, factor), bits)  # type: ignore[index]
        return self.classifier(self.last(x).mean((2, 3)))  # type: ignore[no-any-return]


class Supernet(Trunk):
    """All chains of a space with shared weights, as wide as the largest factor makes them."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        operations: Mixed | None = None,
        channels: int = 16,
        cells: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        layout: space.Layout | None = None,
    ) -> None:
        """operations: what each block offers, as `mixed` of a space gives it; SPOS' blocks if not given.

        cells: the number of blocks, which is the space's; layout: another than that of its number. Raises InputError.
        """
        mixed = space.mixed(space.SPACE) if operations is None else operations
        offered = [
            Offered(tuple(names), max(map(float, factors)), tuple(map(bits_of, bits)))
            for names, factors, bits in zip(*(mixed[kind] for kind in space.FAMILY.kinds), strict=True)
        ]
        check_blocks(cells, len(offered))
        self.offered = offered
        super().__init__(offered, layout or space.LAYOUTS[len(offered)], False, channels, num_classes, in_channels)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture names is computed."""
        return self.logits(x, choice)


class Network(Trunk):
    """The network of one architecture, an ordinary module with no trace of the search.

    form: "final", as it is trained by itself, or "search", its part of the supernet, whose BatchNorms do not scale.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 16,
        cells: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        form: Form = "final",
        layout: space.Layout | None = None,
    ) -> None:
        """cells, layout: as of the supernet. Raises InputError."""
        offered = [Offered((operation,), factor, (bits,)) for operation, factor, bits in space.chosen(architecture)]
        check_blocks(cells, len(offered))
        layout = layout or space.LAYOUTS[len(offered)]
        super().__init__(offered, layout, form == "final", channels, num_classes, in_channels)
        self.architecture, self.form = architecture, form

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        return self.logits(x, self.architecture)


def bits_of(words: str) -> Bits:
    """The bits of weights and activations in "2/4"."""
    of_weight, of_activation = words.split("/")
    return int(of_weight), int(of_activation)


def check_blocks(cells: int | None, number: int) -> None:
    """Raises InputError for another number of blocks than there are."""
    if cells not in (None, number):
        raise InputError(f"--cells {cells}: these architectures have {number} blocks; leave it out")


def check_image(layout: space.Layout, side: int) -> None:
    """Raises InputError for images smaller than what a network divides their sides by."""
    plain.check_side(f"{sum(layout.stages)} blocks", layout.stride, side)


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture in its search form with its weights copied out of the supernet, with which it computes the same.

    Raises InputError if the architecture does not lie inside the supernet.
    """
    chosen = space.chosen(architecture)
    check_blocks(len(supernet.cells), len(chosen))
    for number, (one, (operation, factor, bits)) in enumerate(zip(supernet.offered, chosen, strict=True), 1):
        if operation not in one.operations or factor > one.factor or (bits not in one.bits and bits != space.FLOAT):
            text = space.words(operation, factor, bits)
            raise InputError(f"the supernet has no {text} in block {number}, which the architecture uses")
    weights = supernet.state_dict()
    network = Network(architecture, **sizes_in(weights), form="search", layout=supernet.layout)
    network.to(next(supernet.parameters()))
    inherited(weights, network)
    return network.train(supernet.training)


# --- Layers that are timed --------------------------------------------------------------------------------------------


class TimedBlock(nn.Module):
    """A block by itself, as a network has it."""

    def __init__(
        self, channels: int, outputs: int, stride: int, operation: str, factor: float, bits: str
    ) -> None:  # fmt: skip
        super().__init__()
        self.middle, self.bits = middle(outputs // 2, factor), bits_of(bits)
        self.block = Block(operation, (channels, outputs), self.middle, stride, True, (self.bits,))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, outputs, H / stride, W / stride)"""
        return self.block(x, self.middle, self.bits)  # type: ignore[no-any-return]


def timed_stem(channels: int, outputs: int, stride: int) -> nn.Sequential:
    return conv_norm(channels, outputs, 3, stride, affine=True)


def timed_head(channels: int, outputs: int, classes: int) -> plain.PooledHead:
    return plain.PooledHead(conv_norm(channels, outputs, 1, 1, affine=True), nn.Linear(outputs, classes, bias=False))


timed_layer = partial(plain.timed_layer, {"stem": timed_stem, "block": TimedBlock, "head": timed_head})


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 16
    cells: int = 20
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    form: Form = "final"

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description; it takes images of any size."""
    return reported(architecture, "imagenet", **vars(sizes))


def reported(architecture: Architecture, network: str, image_size: int, **sizes: Any) -> Network:
    """The network whose counts are reported. Its layout is that of its number of blocks, for images of any size."""
    return Network(architecture, **sizes)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """As plain.sized; raises InputError for images that are too small, too."""
    network = plain.sized(Network, architecture, config, data)
    check_image(network.layout, data.image_size)
    return network


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of the chain's usual network.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    if first is None or first.dim() != 4 or classifier is None or not any(n.startswith("cells.0.") for n in tensors):
        wanted = "stem.0.weight, cells and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of shufflenetv2, which has {wanted}")
    if len({name.split(".")[2] for name in tensors if name.startswith("cells.0.")}) > 1:
        raise InputError(f"{origin} holds the weights of a search's supernet; give those of a network of one chain")
    sizes, form = sizes_in(tensors), "final" if "stem.1.weight" in tensors else "search"
    usual = space.FAMILY.sizes.get(space.NETWORKS.get(sizes["cells"], ""), {"image_size": 32})
    return {**sizes, "image_size": usual["image_size"], "form": form}


def sizes_in(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes that the shapes of a network's weights, or a supernet's, say."""
    channels, in_channels = weights["stem.0.weight"].shape[:2]
    cells = len({name.split(".")[1] for name in weights if name.startswith("cells.")})
    classes = len(weights["classifier.weight"])
    return {"channels": channels, "cells": cells, "num_classes": classes, "in_channels": in_channels}
