"""The network of an architecture, computed fast: the function of `networks.darts.Network`, on the same parameters.

It is the plain form but for three things:

| function      | identity                                                                                          |
|---------------|---------------------------------------------------------------------------------------------------|
| Map.rectified | one ReLU a map, however many read it: operations of a cell, the next cell and the one after         |
| dilated       | a convolution dilated by 2 is a plain one on every second pixel: the pixels of one parity never     |
|               | meet those of the other                                                                             |
| drawn         | the masks of drop path of all cells are one draw, made before the network runs                      |
"""

from collections.abc import Iterator
from functools import cached_property, reduce
from operator import add
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


def logits(network: Network, x: Tensor, factors: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What `network.logits(x, ...)` computes, in training and evaluation mode. factors: of drop path, see `drawn`."""
    before_last = last = Map(network.stem(x))
    if network.stem1 is not None:
        last = Map(network.stem1(before_last.value))
    masks = None if factors is None else iter(factors.unbind())
    auxiliary = None
    for position, cell in enumerate(network.cells):
        before_last, last = last, Map(output(cell, before_last, last, masks))
        if position == network.auxiliary_position and network.training and network.auxiliary_head is not None:
            auxiliary = network.auxiliary_head(last.value)
    return network.classifier(last.value.mean((2, 3))), auxiliary


def output(cell: Cell, before_last: Map, last: Map, masks: Iterator[Tensor] | None) -> Tensor:
    """What the cell computes; takes a mask from `masks` for each operation that is not an identity."""
    states = [Map(applied(cell.preprocess0, before_last)), Map(applied(cell.preprocess1, last))]
    ops = iter(cell.ops)
    for node in cell.cell.nodes:
        results = []
        for (_, pred), op in zip(node, ops, strict=False):
            result = applied(op, states[pred])
            mask = None if masks is None or isinstance(op, nn.Identity) else next(masks)
            results.append(result if mask is None else result * mask.to(result.dtype))
        states.append(Map(reduce(add, results)))
    return torch.cat([states[node].value for node in cell.cell.concat], dim=1)


def applied(op: nn.Module, node: Map) -> Tensor:
    """op(node.value), with the ReLU at its start taken from the map, and dilated convolutions by `dilated`."""
    first, *layers = op if isinstance(op, nn.Sequential) else [op]
    x = node.rectified if isinstance(first, nn.ReLU) else first(node.value)
    for layer in layers:
        x = dilated(layer, x) if isinstance(layer, nn.Conv2d) and layer.dilation == (2, 2) else layer(x)
    return x


# --- Every second pixel ----------------------------------------------------------------------------------------------


def every_second(x: Tensor) -> Tensor:
    """x[:, :, ::2, ::2], with a gradient in channels_last. x: (B, C, H, W) in channels_last."""
    return x.permute(0, 2, 3, 1)[:, ::2, ::2].permute(0, 3, 1, 2)


def dilated(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """conv(x) for a convolution of dilation 2, odd kernel and padding that keeps the size, without its dilation.

    On a CPU the backward of a dilated depthwise convolution takes many times that of a plain one. Maps that cannot be
    parted evenly, other devices and layouts take the convolution as it is.
    """
    padding = tuple(int(side) // 2 for side in conv.padding)
    if x.device.type != "cpu" or not x.is_contiguous(memory_format=torch.channels_last):
        return conv(x)  # type: ignore[no-any-return]
    if conv.stride == (2, 2):  # only even rows and columns are read
        return F.conv2d(every_second(x), conv.weight, conv.bias, 1, padding, 1, conv.groups)
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
