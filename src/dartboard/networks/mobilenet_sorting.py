"""Channels inside the blocks of an elastic mobile network, brought into the order of their importance.

Before width becomes elastic, the channels that matter most must come first, since a narrow network takes the first ones
(Once-for-All, section 3.3). The importance of a channel is the L1 norm of the weights that the last 1x1 convolution of
the block has for it. The largest network computes the same as before; narrower ones become others.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dartboard.networks.mobilenet_layers import ElasticBlock
from dartboard.spaces.mobilenet_plans import divisible

Orders = tuple[Tensor, Tensor | None]  # new channel i was order[i]: of a block's channels, and of its squeezed ones


@torch.no_grad()
def sort_block(block: ElasticBlock, kept: Sequence[int]) -> Orders:
    """Sorts the channels inside a block, in place; it has a convolution to more channels.

    kept: expansions that are elastic already, the largest aside; channels are sorted within what they take, so that
    networks of these expansions take the same ones as before. Squeezed channels, by what excitation has for them, are
    all sorted together even then, as in the authors' code.
    """
    assert block.expand is not None and block.expand_norm is not None
    inputs = block.expand.in_channels
    middle = descending(importance(block.project), [divisible(inputs * one) for one in kept])
    for module in (block.expand, block.expand_norm, block.depth, block.depth_norm):
        reorder(module, middle)
    block.project.weight.copy_(block.project.weight[:, middle])
    if block.squeeze is None:
        return middle, None
    block.squeeze.reduce.weight.copy_(block.squeeze.reduce.weight[:, middle])
    reorder(block.squeeze.expand, middle)
    squeezed = descending(importance(block.squeeze.expand), [])
    reorder(block.squeeze.reduce, squeezed)
    block.squeeze.expand.weight.copy_(block.squeeze.expand.weight[:, squeezed])
    return middle, squeezed


def importance(conv: nn.Conv2d) -> Tensor:
    """The L1 norm of the weights for each input channel: (C,)."""
    return conv.weight.abs().sum((0, 2, 3))


def descending(values: Tensor, ends: Sequence[int]) -> Tensor:
    """The order from large to small within [0, end), [end, next end) and so on: (C,) indices."""
    edges = [0, *sorted(end for end in ends if end < len(values)), len(values)]
    parts = [low + values[low:high].argsort(descending=True, stable=True) for low, high in pairwise(edges)]
    return torch.cat(parts)


def reorder(module: nn.Module, order: Tensor) -> None:
    """Every tensor of a layer in this order of its outputs."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.dim():
            tensor.copy_(tensor[order])
