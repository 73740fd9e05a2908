"""The parts of a mobile network by themselves, as its latency is summed up of them (spaces/mobilenet_timed.py). In
their order they compute what the network computes."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from dartboard.networks import plain
from dartboard.networks.elastic_layers import SlicedNorm
from dartboard.networks.mobilenet_layers import ACTIVATIONS, FixedBlock, conv, resized
from dartboard.spaces.mobilenet import Block


class Resize(nn.Module):
    """Images brought to the network's own resolution."""

    def __init__(self, channels: int, to: int) -> None:
        super().__init__()
        self.to_side = to

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, to, to)"""
        return resized(x, self.to_side)


class Stem(nn.Module):
    """The first convolution with BatchNorm and activation."""

    def __init__(self, channels: int, outputs: int, stride: int, activation: str) -> None:
        super().__init__()
        self.stem, self.stem_norm = conv(channels, outputs, 3, stride), SlicedNorm(outputs)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, outputs, H / stride, W / stride)"""
        return self.activation(self.stem_norm(self.stem(x)))


class Head(nn.Module):
    """The last convolution, pooling, and the classifier with the layer before it."""

    def __init__(self, channels: int, expand: int, activation: str, head: int, biased: bool, classes: int) -> None:
        super().__init__()
        self.last, self.last_norm = conv(channels, expand), SlicedNorm(expand)
        self.head = nn.Conv2d(expand, head, 1, bias=biased) if head else None
        self.classifier = nn.Linear(head or expand, classes)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, classes)"""
        x = self.activation(self.last_norm(self.last(x))).mean((2, 3), keepdim=True)
        if self.head is not None:
            x = self.activation(self.head(x))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


def block(channels: int, **settings: Any) -> FixedBlock:
    return FixedBlock(Block(inputs=channels, **settings))


timed_layer = partial(plain.timed_layer, {"resize": Resize, "stem": Stem, "block": block, "head": Head})
