"""Convolutions whose weights and inputs have few bits. The quantiser is of our choice.

Weights are symmetric: in each output channel the largest magnitude is the largest of 2^(b-1) - 1 steps on each side of
0; a weight of one bit is its sign times the channel's mean magnitude. Inputs are unsigned: 2^b - 1 equal steps from 0
to a learned clip, so what is below 0 becomes 0 and what is above the clip becomes the clip. Backwards both
are what they stand for (straight through): the gradient of a weight is that of its quantised value; that of an input
passes inside the clip, and outside it is 0, above the clip the clip's instead (Choi et al., PACT, arXiv 1805.06085).
At 32 bits nothing is changed at all.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dartboard.networks.elastic_layers import sliced_conv, sliced_weight

Bits = tuple[int, int]  # of weights, of activations
FLOAT = 32
FIRST_CLIP = 4.0  # where the clip begins: four deviations of a normalised map
LEAST_CLIP = 1e-3  # a clip that is learned away stays this large


class StraightThrough(torch.autograd.Function):
    """`exact` forwards, and backwards `smooth`, which it stands for."""

    @staticmethod
    def forward(ctx: Any, smooth: Tensor, exact: Tensor) -> Tensor:
        return exact

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None]:
        return gradients[0], None


def straight_through(smooth: Tensor, exact: Tensor) -> Tensor:
    """The numbers of `exact`, with the gradient of `smooth`."""
    found: Tensor = StraightThrough.apply(smooth, exact.detach())  # type: ignore[no-untyped-call]
    return found


def quantised_weight(weight: Tensor, bits: int) -> Tensor:
    """The weight (C', C, k, k) with at most 2^bits values in each output channel."""
    if bits >= FLOAT:
        return weight
    magnitude = weight.detach().abs().flatten(1)
    if bits == 1:
        scale = magnitude.mean(1).view(-1, 1, 1, 1)
        return straight_through(weight, torch.where(weight.detach() < 0, -scale, scale))
    steps = 2 ** (bits - 1) - 1
    scale = (magnitude.amax(1) / steps).clamp(min=torch.finfo(weight.dtype).tiny).view(-1, 1, 1, 1)
    return straight_through(weight, (weight.detach() / scale).round() * scale)


def quantised_activation(x: Tensor, clip: Tensor, bits: int) -> Tensor:
    """The map with at most 2^bits values, 0 to clip."""
    if bits >= FLOAT:
        return x
    bounded = torch.minimum(x.relu(), clip.clamp(min=LEAST_CLIP))
    scale = clip.detach().clamp(min=LEAST_CLIP) / (2**bits - 1)
    return straight_through(bounded, (bounded.detach() / scale).round() * scale)


class Clips(nn.Module):
    """The clips of the inputs of a layer, learned, one for each number of bits."""

    def __init__(self, offered: Sequence[int]) -> None:
        super().__init__()
        for bits in offered:
            self.register_parameter(f"of_{bits}", nn.Parameter(torch.tensor(FIRST_CLIP)))

    def reset_parameters(self) -> None:
        """Back to where they begin."""
        for clip in self.parameters():
            nn.init.constant_(clip, FIRST_CLIP)


class QuantisedConv(nn.Conv2d):
    """A convolution that is told at each call how many channels it has and how many bits; both are stored nowhere.

    It has a clip of its own for each number of bits that activations may have.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, offered: tuple[Bits, ...]
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.clips = Clips(sorted({own for _, own in offered if own < FLOAT}))

    def forward(self, x: Tensor, out_channels: int, bits: Bits) -> Tensor:  # type: ignore[override]
        """x: (B, C, H, W) -> (B, out_channels, H', W')"""
        of_weight, of_activation = bits
        if of_activation < FLOAT:
            x = quantised_activation(x, self.clips.get_parameter(f"of_{of_activation}"), of_activation)
        if of_weight >= FLOAT:
            return sliced_conv(x, self, out_channels)
        own = sliced_weight(self.weight, out_channels, 1 if self.groups > 1 else x.shape[1])
        return sliced_conv(x, self, out_channels, quantised_weight(own, of_weight))
