"""The network of an architecture, computed fast: the function of `networks.darts.Network`, on the same parameters.

| function          | identity                                                                                      |
|-------------------|-----------------------------------------------------------------------------------------------|
| Map.rectified     | one ReLU a map, however many read it: operations of a cell, the next cell and the one after     |
| Map.halves        | strided skips of one map share the ReLU and the two strided maps                                |
| chained           | a ReLU behind a convolution or BatchNorm overwrites what nobody else needs                      |
| pooled            | pools of one node are the same map for every edge                                               |
| dilated           | a convolution dilated by 2 is a plain one on every second pixel: the pixels of one parity never |
|                   | meet those of the other                                                                         |
| summed            | drop path and the sum of a node are one pass; the masks of all cells are one draw                |
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.networks.layers import FactorizedReduce

Term = tuple[Tensor, Tensor | None]  # what arrives at a node, and the factor (B, 1, 1, 1) of its drop path


class Cell(Protocol):
    """What is asked of a cell. cell: its nodes and its output, a value of the space; ops: in the order of the nodes."""

    @property
    def cell(self) -> Any: ...

    preprocess0: Any
    preprocess1: Any
    ops: Any


class Network(Protocol):
    """What is asked of a network of cells."""

    training: bool
    stem: Any
    stem1: Any
    cells: Any
    classifier: Any
    auxiliary_head: Any
    auxiliary_position: int


class Map:
    """A map that several operations read. value: (B, C, H, W)."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    @cached_property
    def rectified(self) -> Tensor:
        return F.relu(self.value)

    @cached_property
    def halves(self) -> tuple[Tensor, Tensor]:
        """Every second pixel of the rectified map, from the first and from the second on the diagonal."""
        height, width = self.rectified.shape[-2:]
        padded = F.pad(self.rectified, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else self.rectified
        return every_second(self.rectified, 0), every_second(padded, 1)


def logits(network: Network, x: Tensor, factors: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What `network.logits(x, ...)` computes, in training and evaluation mode. factors: of drop path, see `drawn`."""
    before_last = last = Map(network.stem(x))
    if network.stem1 is not None:
        last = Map(applied(network.stem1, before_last))
    masks = None if factors is None else iter(factors.unbind())
    auxiliary = None
    for position, cell in enumerate(network.cells):
        before_last, last = last, output(cell, before_last, last, masks)
        if position == network.auxiliary_position and network.training and network.auxiliary_head is not None:
            auxiliary = second_opinion(network.auxiliary_head, last)
    return network.classifier(averaged(last.value)), auxiliary


def output(cell: Cell, before_last: Map, last: Map, masks: Iterator[Tensor] | None) -> Map:
    """What the cell computes; takes a mask from `masks` for each operation that is no identity."""
    states = [Map(applied(cell.preprocess0, before_last)), Map(applied(cell.preprocess1, last))]
    ops, pools = iter(cell.ops), dict[tuple[str, int], Tensor]()
    for node in cell.cell.nodes:
        terms: list[Term] = []
        for (name, pred), op in zip(node, ops, strict=False):
            mask = None if masks is None or isinstance(op, nn.Identity) else next(masks)
            if isinstance(op, nn.MaxPool2d | nn.AvgPool2d):
                terms.append((pooled(op, states[pred], (name, pred), pools), mask))
            else:
                terms.append((applied(op, states[pred]), mask))
        states.append(Map(summed(terms)))
    return Map(torch.cat([states[node].value for node in cell.cell.concat], dim=1))


def second_opinion(head: Any, last: Map) -> Tensor:
    return head.classifier(applied(head.features, last).flatten(1))  # type: ignore[no-any-return]


def applied(op: nn.Module, node: Map) -> Tensor:
    """op(node.value), with the ReLU at its start taken from the map."""
    if isinstance(op, FactorizedReduce):
        even, odd = node.halves
        return op.bn(torch.cat([op.conv_1(even), op.conv_2(odd)], dim=1))  # type: ignore[no-any-return]
    if isinstance(op, nn.Sequential) and isinstance(op[0], nn.ReLU):
        return chained(list(op)[1:], node.rectified)
    return op(node.value)  # type: ignore[no-any-return]


def averaged(x: Tensor) -> Tensor:
    """x.mean((2, 3)), with a gradient in the memory layout of x: (B, C, H, W)."""
    if not x.is_contiguous(memory_format=torch.channels_last):
        return x.mean((2, 3))
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(1)


def chained(layers: list[nn.Module], start: Tensor) -> Tensor:
    """The layers one after another; a ReLU overwrites what came before it, but never `start`."""
    x = start
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            x = F.relu(x, inplace=x is not start)
        elif isinstance(layer, nn.Conv2d) and layer.dilation == (2, 2):
            x = dilated(layer, x)
        else:
            x = layer(x)
    return x


def pooled(op: nn.Module, node: Map, key: tuple[str, int], pools: dict[tuple[str, int], Tensor]) -> Tensor:
    """The pool of that name and node, from the pools that the cell has computed where it is there."""
    if key not in pools:
        pools[key] = op(node.value)
    return pools[key]


# --- Every second pixel ----------------------------------------------------------------------------------------------


def every_second(x: Tensor, first: int) -> Tensor:
    """x[:, :, first::2, first::2], with a gradient in the memory layout of x: (B, C, H, W)."""
    if not x.is_contiguous(memory_format=torch.channels_last):
        return x[:, :, first::2, first::2]
    return x.permute(0, 2, 3, 1)[:, first::2, first::2].permute(0, 3, 1, 2)


def dilated(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """conv(x) for a convolution of dilation 2, odd kernel and padding that keeps the size, without its dilation.

    On a CPU the backward of a dilated depthwise convolution takes many times that of a plain one. Maps that cannot be
    parted evenly, other devices and layouts take the convolution as it is.
    """
    padding = tuple(int(side) // 2 for side in conv.padding)
    if x.device.type != "cpu" or not x.is_contiguous(memory_format=torch.channels_last):
        return conv(x)  # type: ignore[no-any-return]
    if conv.stride == (2, 2):  # only even rows and columns are read
        return F.conv2d(every_second(x, 0), conv.weight, conv.bias, 1, padding, 1, conv.groups)
    if conv.stride != (1, 1) or x.shape[2] % 2 or x.shape[3] % 2:
        return conv(x)  # type: ignore[no-any-return]
    return joined(F.conv2d(parted(x), conv.weight, conv.bias, 1, padding, 1, conv.groups))


def parted(x: Tensor) -> Tensor:
    """x: (B, C, H, W) of even sides -> (4 * B, C, H / 2, W / 2): the four maps of every second pixel."""
    batch, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    return pixels.permute(2, 4, 0, 1, 3, 5).reshape(-1, height // 2, width // 2, channels).permute(0, 3, 1, 2)


def joined(x: Tensor) -> Tensor:
    """What `parted` took apart."""
    count, channels, height, width = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(2, 2, count // 4, height, width, channels)
    return parts.permute(2, 3, 0, 4, 1, 5).reshape(-1, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


# --- Drop path -------------------------------------------------------------------------------------------------------


def drawn(network: nn.Module, x: Tensor, chance: float, generator: torch.Generator | None) -> Tensor | None:
    """The drop-path factors (N, B, 1, 1, 1) of all N operations but identities, in order, in one draw.

    None for chance 0, and for a network that does not train.
    """
    if chance == 0.0 or not network.training:
        return None
    count = sum(not isinstance(op, nn.Identity) for cell in network.cells for op in cell.ops)  # type: ignore
    keep = 1.0 - chance
    uniform = torch.rand(count, x.shape[0], 1, 1, 1, device=x.device, generator=generator)
    return (uniform < keep).to(x.dtype) / keep


def summed(terms: list[Term]) -> Tensor:
    """The sum of the terms, each times its factor."""
    total: Tensor | None = None
    for x, mask in sorted(terms, key=lambda term: term[1] is not None):  # identities first
        if total is None:
            total = x if mask is None else x * mask.to(x.dtype)
        elif mask is not None and x.dtype == total.dtype:
            total = torch.addcmul(total, x, mask.to(x.dtype))
        else:
            total = total + (x if mask is None else x * mask.to(x.dtype))
    assert total is not None  # a node has at least one input
    return total
