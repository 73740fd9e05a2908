"""Inference: BatchNorm folded into the convolution before it, and the fast form of the rest.

In evaluation mode BatchNorm is a constant scale and shift of each channel; a convolution that is followed by one
computes both at once with scaled weights and a bias. Exact up to rounding: 1e-10 in double, 1e-5 in float32.
"""

import copy
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from dartboard.networks import family_of
from dartboard.networks.layers import FactorizedReduce
from dartboard.networks.outputs import auxiliary_head, output
from dartboard.tasks.images import placed_like

Module = TypeVar("Module", bound=nn.Module)


def predictor(network: nn.Module, device: torch.device | str = "cpu") -> Callable[[Tensor], Tensor]:
    """The network as a function of images (B, C, H, W) to logits (B, classes), both on the device.

    It is folded, in its fast form, in channels_last. Later changes of the network's weights do not affect it.
    """
    inference = folded(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    place = placed_like(inference)
    return lambda images: output(inference, place(images), form="fast").logits


@torch.no_grad()
def folded(network: Module) -> Module:
    """A copy in evaluation mode without the BatchNorms that follow a convolution, and without the auxiliary head."""
    network = copy.deepcopy(network).eval()
    if family_of(network) is not None and auxiliary_head(network) is not None:
        network.auxiliary_head = None  # type: ignore[assignment]
    for layer in network.modules():
        if isinstance(layer, FactorizedReduce):
            scale, shift = scale_and_shift(layer.bn)
            half = layer.conv_1.out_channels
            absorb(layer.conv_1, scale[:half], shift[:half])
            absorb(layer.conv_2, scale[half:], shift[half:])
            layer.bn = nn.Identity()  # type: ignore[assignment]
        elif isinstance(layer, nn.Sequential):
            fold_chain(layer)
    return network


def fold_chain(chain: nn.Sequential) -> None:
    """Folds each BatchNorm that comes right after a convolution."""
    for index in range(1, len(chain)):
        conv, norm = chain[index - 1], chain[index]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats:
            absorb(conv, *scale_and_shift(norm))
            chain[index] = nn.Identity()


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """BatchNorm in evaluation mode is x * scale + shift; both (C,), in double."""
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    scale = (variance + norm.eps).rsqrt()
    if norm.affine:
        return scale * norm.weight.double(), norm.bias.double() - mean * scale * norm.weight.double()
    return scale, -mean * scale


def absorb(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> None:
    """Makes the convolution compute conv(x) * scale + shift. scale, shift: (C,)."""
    bias = shift if conv.bias is None else conv.bias.double() * scale + shift
    conv.weight = nn.Parameter((conv.weight.double() * scale.view(-1, 1, 1, 1)).to(conv.weight.dtype))
    conv.bias = nn.Parameter(bias.to(conv.weight.dtype))
