"""Exact counts of mobile networks in closed form, by the rule of scoring/cost.py, which builds and counts networks.

Elastic searches ask for the costs of thousands of networks; this takes microseconds where a network takes milliseconds.
"""

from dataclasses import dataclass

from dartboard.spaces.mobilenet import Block, Net, net_of
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_layers import halved


@dataclass
class Sums:
    """params: trainable numbers; macs: multiply-adds of an image; values: numbers in the results of convolutions."""

    params: int = 0
    macs: int = 0
    values: int = 0

    def conv(self, inputs: int, outputs: int, area: int, kernel: int = 1, groups: int = 1, bias: bool = False) -> None:
        """One convolution whose result has `area` pixels."""
        weights = inputs * outputs // groups * kernel * kernel
        self.params += weights + (outputs if bias else 0)
        self.macs += weights * area
        self.values += outputs * area

    def norm(self, channels: int) -> None:
        """The scales and shifts of BatchNorm."""
        self.params += 2 * channels

    def block(self, block: Block, side: int) -> int:
        """One block, from a map of that side; returns the side of its result."""
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
) -> tuple[int, int, int]:
    """Parameters, multiply-adds, and numbers in the results of convolutions of the network of an architecture."""
    return of_net(net_of(architecture, channels), in_channels, num_classes, image_size)


def of_net(net: Net, in_channels: int, num_classes: int, image_size: int) -> tuple[int, int, int]:
    """As `counts`. image_size: of the images, where the network has no resolution of its own."""
    sums, side = Sums(), halved(net.resolution or image_size, net.stem_stride)
    sums.conv(in_channels, net.stem, side * side, 3)
    sums.norm(net.stem)
    for block in net.blocks:
        side = sums.block(block, side)
    sums.conv(net.blocks[-1].outputs, net.expand, side * side)
    sums.norm(net.expand)
    if net.head:
        sums.conv(net.expand, net.head, 1, bias=net.biased)
    last = (net.head or net.expand) * num_classes
    return sums.params + last + num_classes, sums.macs + last, sums.values
