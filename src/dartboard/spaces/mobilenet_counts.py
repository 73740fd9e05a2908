"""Exact counts of mobile networks in closed form, by the rule of scoring/cost.py, which builds and counts networks.

Elastic searches ask for the costs of thousands of networks; this takes microseconds where a network takes milliseconds.
"""

from dataclasses import dataclass

from dartboard.spaces.mobilenet import Block, Net, net_of
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_layers import halved

NUMBER_BYTES = 4  # float32

NUMBER_BYTES = 4  # float32


@dataclass
class Sums:
    """params: trainable numbers; macs: multiply-adds of an image; values: numbers in the results of convolutions;
    statistics: of BatchNorm; live: the most numbers in maps at one time, by the rule of scoring/memory.py."""

    params: int = 0
    macs: int = 0
    values: int = 0
    statistics: int = 0
    live: int = 0

    def conv(self, inputs: int, outputs: int, area: int, kernel: int = 1, groups: int = 1, bias: bool = False) -> None:
        """One convolution whose result has `area` pixels."""
        weights = inputs * outputs // groups * kernel * kernel
        self.params += weights + (outputs if bias else 0)
        self.macs += weights * area
        self.values += outputs * area

    def norm(self, channels: int) -> None:
        """The scales and shifts of BatchNorm."""
        self.params += 2 * channels
        self.statistics += 2 * channels

    def at_once(self, *maps: int) -> None:
        """Maps of so many numbers that are live at one operator."""
        self.live = max(self.live, sum(maps))

    def live_in(self, block: Block, before: int, after: int) -> None:
        """The maps of a block at its operators, from a map of `before` pixels to one of `after`.

        BatchNorm and an activation make a map each, beside the one that they read. x is live until the end only for
        a shortcut.
        """
        x, wide, narrow, out = (
            block.inputs * before, block.middle * before, block.middle * after, block.outputs * after
        )  # fmt: skip
        kept = x if block.shortcut else 0
        if block.middle != block.inputs:
            self.at_once(x, wide)
            self.at_once(kept, wide, wide)
            self.at_once(kept, wide, narrow)
        else:
            self.at_once(x, narrow)
        self.at_once(kept, narrow, narrow)
        if block.squeeze:  # the map times its channels' weights, beside what comes before these weights
            self.at_once(kept, narrow, narrow, block.middle)
            self.at_once(kept, narrow, block.middle, max(block.middle, block.squeeze))
            self.at_once(kept, narrow, 2 * block.squeeze)
        self.at_once(kept, narrow, out)
        self.at_once(kept, out, out)
        if block.shortcut == "pool":
            pooled = block.inputs * after
            if block.stride != 1:
                self.at_once(kept, out, pooled)
            if block.inputs != block.outputs:
                self.at_once(pooled, out, out)
            self.at_once(out, out, out)

    def block(self, block: Block, side: int) -> int:
        """One block, from a map of that side; returns the side of its result."""
        self.live_in(block, side * side, halved(side, block.stride) ** 2)
        if block.middle != block.inputs:
            self.conv(block.inputs, block.middle, side * side)
            self.norm(block.middle)
        side = halved(side, block.stride)
        self.conv(block.middle, block.middle, side * side, block.kernel, groups=block.middle)
        self.norm(block.middle)
        if block.squeeze:
            self.conv(block.middle, block.squeeze, 1, bias=True)
            self.conv(block.squeeze, block.middle, 1, bias=True)
        self.conv(block.middle, block.outputs, side * side)
        self.norm(block.outputs)
        if block.shortcut == "pool" and block.inputs != block.outputs:
            self.conv(block.inputs, block.outputs, side * side)
        return side


def counts(
    architecture: Architecture, in_channels: int, channels: int, num_classes: int, image_size: int, cells: int
) -> tuple[int, int, int, int]:
    """Parameters, multiply-adds, numbers in the results of convolutions, and bytes of memory of an architecture's
    network."""
    return of_net(net_of(architecture, channels), in_channels, num_classes, image_size)


def of_net(net: Net, in_channels: int, num_classes: int, image_size: int) -> tuple[int, int, int, int]:
    """As `counts`. image_size: of the images, where the network has no resolution of its own."""
    resolution = net.resolution or image_size
    sums, side = Sums(), halved(resolution, net.stem_stride)
    images, stem = in_channels * resolution**2, net.stem * side * side
    sums.at_once(images, in_channels * image_size**2 if resolution != image_size else 0)
    sums.at_once(max(images, stem), stem)
    sums.conv(in_channels, net.stem, side * side, 3)
    sums.norm(net.stem)
    for block in net.blocks:
        side = sums.block(block, side)
    last, expand = net.blocks[-1].outputs, net.expand * side * side
    sums.at_once(max(last * side * side, expand, net.expand), expand)
    sums.conv(last, net.expand, side * side)
    sums.norm(net.expand)
    if net.head:
        sums.at_once(max(net.expand, net.head), net.head)
        sums.conv(net.expand, net.head, 1, bias=net.biased)
    features = net.head or net.expand
    sums.at_once(features, num_classes)
    params = sums.params + (features + 1) * num_classes
    memory = NUMBER_BYTES * (params + sums.statistics + sums.live)
    return params, sums.macs + features * num_classes, sums.values, memory
