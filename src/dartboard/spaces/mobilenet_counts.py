"""Exact counts of mobile networks in closed form, by the rule of scoring/cost.py, which builds and counts networks.

Elastic searches ask for the costs of thousands of networks; this takes microseconds where a network takes milliseconds.
"""

from dataclasses import dataclass

from dartboard.spaces.mobilenet import Block, Net, net_of
from dartboard.spaces.places import NUMBER_BYTES
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_layers import halved


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

    def enter(self, in_channels: int, image_size: int, resolution: int, stem: int, stride: int) -> int:
        """The resize, where images have another size, and the stem; returns the side of its map."""
        side = halved(resolution, stride)
        images, first = in_channels * resolution**2, stem * side * side
        self.at_once(images, in_channels * image_size**2 if resolution != image_size else 0)
        self.at_once(max(images, first), first)
        self.conv(in_channels, stem, side * side, 3)
        self.norm(stem)
        return side

    def leave(self, net: Net, last: int, side: int, num_classes: int) -> None:
        """What follows the last block, from a map of `last` channels: convolution, pooling, head, classifier."""
        expand = net.expand * side * side
        self.at_once(max(last * side * side, expand, net.expand), expand)
        self.conv(last, net.expand, side * side)
        self.norm(net.expand)
        if net.head:
            self.at_once(max(net.expand, net.head), net.head)
            self.conv(net.expand, net.head, 1, bias=net.biased)
        features = net.head or net.expand
        self.at_once(features, num_classes)
        self.params += (features + 1) * num_classes
        self.macs += features * num_classes

    @property
    def memory(self) -> int:
        """Bytes of weights, statistics and live maps."""
        return NUMBER_BYTES * (self.params + self.statistics + self.live)


def counts(
    architecture: Architecture, in_channels: int, channels: int, num_classes: int, image_size: int, cells: int
) -> tuple[int, int, int, int]:
    """Parameters, multiply-adds, numbers in the results of convolutions, and bytes of memory of an architecture's
    network."""
    return of_net(net_of(architecture, channels), in_channels, num_classes, image_size)


def of_net(net: Net, in_channels: int, num_classes: int, image_size: int) -> tuple[int, int, int, int]:
    """As `counts`. image_size: of the images, where the network has no resolution of its own."""
    sums = Sums()
    side = sums.enter(in_channels, image_size, net.resolution or image_size, net.stem, net.stem_stride)
    for block in net.blocks:
        side = sums.block(block, side)
    sums.leave(net, net.blocks[-1].outputs, side, num_classes)
    return sums.params, sums.macs, sums.values, sums.memory
