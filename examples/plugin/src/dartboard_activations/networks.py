"""What computes the activations: convolutions, each followed by the activation of its layer, those of three in turn."""

from functools import partial
from itertools import cycle, pairwise

import torch
from torch import Tensor, nn

from dartboard.networks import plain
from dartboard.networks.plain import Sizes as Sizes
from dartboard.spaces.search_space import Architecture


class Supernet(nn.Module):
    """All networks of the space in one: activations have no weights."""

    def __init__(self, operations=None, channels: int = 16, cells: int = 3, num_classes=10, in_channels: int = 3):
        super().__init__()
        widths = [in_channels, *[channels] * cells]
        layers = [nn.Sequential(nn.Conv2d(*pair, 3, padding=1), nn.BatchNorm2d(channels)) for pair in pairwise(widths)]
        self.cells, self.classifier = nn.ModuleList(layers), nn.Linear(channels, num_classes)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        for layer, (_, name) in zip(self.cells, cycle(choice.choices), strict=False):
            x = getattr(torch, name)(layer(x))
        return self.classifier(x.mean((2, 3)))


class Network(Supernet):
    def __init__(self, architecture: Architecture, **sizes: int):
        super().__init__(**sizes)
        self.architecture = architecture

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, self.architecture)


FIRST = "cells.0.0.weight"
inherit, sizes_of = partial(plain.inherit, Network, FIRST), partial(plain.sizes_of, FIRST)
sized, of_sizes, reported = (partial(one, Network) for one in (plain.sized, plain.of_sizes, plain.reported))
