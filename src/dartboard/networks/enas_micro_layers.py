"""The layers of both networks of ENAS micro; networks/enas_micro.py tells how the two differ."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.networks.blocks import SIDES, adjusted, joined, masked, separable
from dartboard.networks.layers import FactorizedReduce, relu_conv_norm
from dartboard.networks.same_padding import AvgPool, MaxPool
from dartboard.spaces import enas_micro as space
from dartboard.spaces.blocks import NUM_INPUTS, loose_ends

KERNELS = {"sep_conv_3x3": 3, "sep_conv_5x5": 5}

# --- Operations ------------------------------------------------------------------------------------------------------


def operation(name: str, channels: int, stride: int = 1) -> nn.Module:
    """An operation as a module."""
    if name in KERNELS:
        return separable(channels, channels, KERNELS[name], stride)
    if name == "identity":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, relu=False)
    return AvgPool(stride) if name == "avg_pool_3x3" else MaxPool(stride)


# --- The layers of the search child ----------------------------------------------------------------------------------


class Join(nn.Module):
    """Joins loose ends: ReLU, a 1x1 convolution to C channels, BatchNorm. Each node has kernels of its own.

    nodes: those that can be loose.
    """

    def __init__(self, nodes: Sequence[int], channels: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict({str(node): nn.Conv2d(channels, channels, 1, bias=False) for node in nodes})
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, states: Sequence[Tensor], loose: Sequence[int]) -> Tensor:
        kernels = torch.cat([cast(Tensor, self.nodes[str(node)].weight) for node in loose], dim=1)
        joined = torch.cat([states[node] for node in loose], dim=1).relu()
        return self.bn(F.conv2d(joined, kernels))  # type: ignore[no-any-return]


class SearchLayer(nn.Module):
    """A layer of the search child: of all cells (the supernet's), or of one."""

    def __init__(self, widths: tuple[int, int, int], reduction: bool, nodes: Sequence[int]) -> None:
        """widths: channels of the layer before the last, of the last one, and of this one; nodes: those that can be
        loose."""
        super().__init__()
        older, newest, channels = widths
        self.reduction = reduction
        self.halve = FactorizedReduce(newest, channels, relu=False) if reduction else None
        if reduction:
            older, newest = newest, channels
        self.adjust = nn.ModuleList([adjusted(older, channels, reduction), adjusted(newest, channels, False)])
        self.join = Join(nodes, channels)

    def inputs(self, older: Tensor, newest: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the next layer takes for the layer before it, and both inputs of this one's cell."""
        if self.halve is not None:
            older, newest = newest, self.halve(newest)
        return newest, [adjust(x) for adjust, x in zip(self.adjust, (older, newest), strict=True)]


class SharedLayer(SearchLayer):
    """A layer of the supernet: for each block and side, weights of each convolution for each node that can be read."""

    def __init__(self, widths: tuple[int, int, int], reduction: bool, offered: Sequence[Sequence[str]]) -> None:
        """offered: the operations of each side of each block."""
        last = NUM_INPUTS + len(offered) // SIDES
        super().__init__(widths, reduction, range(last))
        self.sides = nn.ModuleList()
        for number, names in enumerate(offered):
            sources = range(NUM_INPUTS + number // SIDES)
            self.sides.append(
                nn.ModuleList(nn.ModuleDict({n: operation(n, widths[2]) for n in names}) for _ in sources)
            )

    def forward(self, older: Tensor, newest: Tensor, blocks: Sequence[space.Block]) -> tuple[Tensor, Tensor]:
        """What the next layer takes for the layer before it, and this one's output."""
        before, states = self.inputs(older, newest)
        for block, ops in zip(blocks, self.chosen(blocks), strict=True):
            one, other = (op(states[node]) for op, node in zip(ops, block[:2], strict=True))
            states.append(one + other)
        return before, self.join(states, loose_ends(blocks))

    def chosen(self, blocks: Sequence[space.Block]) -> Iterator[list[nn.Module]]:
        """Both operations of each block."""
        for number, (first, second, one, other) in enumerate(blocks):
            pairs = ((first, one), (second, other))
            yield [self.sides[SIDES * number + side][node][name] for side, (node, name) in enumerate(pairs)]  # type: ignore[index]


class OwnLayer(SearchLayer):
    """A layer of the search child of one architecture."""

    def __init__(self, widths: tuple[int, int, int], reduction: bool, blocks: Sequence[space.Block]) -> None:
        super().__init__(widths, reduction, loose_ends(blocks))
        self.blocks = blocks
        self.ops = nn.ModuleList(operation(name, widths[2]) for block in blocks for name in block[2:])

    def take(self, shared: SharedLayer) -> None:
        """Copies its weights out of the supernet's layer."""
        pairs: list[tuple[nn.Module, nn.Module]] = [(self.adjust, shared.adjust), (self.join.bn, shared.join.bn)]
        pairs += [(self.join.nodes[node], shared.join.nodes[node]) for node in self.join.nodes]
        if self.halve is not None and shared.halve is not None:
            pairs.append((self.halve, shared.halve))
        pairs += zip(self.ops, (op for ops in shared.chosen(self.blocks) for op in ops), strict=True)
        for target, source in pairs:
            target.load_state_dict(source.state_dict())

    def forward(self, older: Tensor, newest: Tensor, masks: Iterator[Tensor] | None) -> tuple[Tensor, Tensor]:
        """As SharedLayer; masks: as `Network.output` takes them."""
        before, states = self.inputs(older, newest)
        add_blocks(states, self.blocks, self.ops, masks)
        return before, self.join(states, loose_ends(self.blocks))


def add_blocks(
    states: list[Tensor], blocks: Sequence[space.Block], ops: nn.ModuleList, masks: Iterator[Tensor] | None
) -> None:
    """Adds the output of each block to the states of a cell's inputs."""
    for number, block in enumerate(blocks):
        sums = []
        for side in range(SIDES):
            x = ops[SIDES * number + side](states[int(block[side])])
            sums.append(masked(x, str(block[SIDES + side]), masks))
        states.append(sums[0] + sums[1])


# --- The layer of the final network ----------------------------------------------------------------------------------


class FinalLayer(nn.Module):
    """A layer of the published final network."""

    def __init__(
        self, widths: tuple[int, int, int], reduction: bool, larger: bool, blocks: Sequence[space.Block]
    ) -> None:
        """widths: as in SearchLayer; larger: whether the map before the last is twice as large as the last."""
        super().__init__()
        older, newest, channels = widths
        self.blocks, self.loose = blocks, loose_ends(blocks)
        self.adjust = nn.ModuleList([adjusted(older, channels, larger), adjusted(newest, channels, False)])
        self.base = relu_conv_norm(channels, channels)
        strides = {node: 2 if reduction and node < NUM_INPUTS else 1 for node in range(len(blocks) + 2)}
        pairs = [pair for block in blocks for pair in zip(block[:2], block[2:], strict=True)]
        self.ops = nn.ModuleList(operation(name, channels, strides[node]) for node, name in pairs)
        large = [node for node in self.loose if strides[node] == 2]
        self.halve = nn.ModuleDict({str(node): FactorizedReduce(channels, channels, relu=False) for node in large})

    def forward(self, older: Tensor, newest: Tensor, masks: Iterator[Tensor] | None) -> tuple[Tensor, Tensor]:
        """What the next layer takes for the layer before it, and this one's output."""
        one, other = (adjust(x) for adjust, x in zip(self.adjust, (older, newest), strict=True))
        states = [one, self.base(other)]
        add_blocks(states, self.blocks, self.ops, masks)
        return newest, joined(states, self.loose, self.halve)


class AuxiliaryHead(nn.Module):
    """A second classifier on the map after the second reduction; helps training, is not part of the result."""

    def __init__(self, in_channels: int, num_classes: int, map_size: int) -> None:
        super().__init__()
        side = (map_size - 5) // 3 + 1
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 3),
            nn.Conv2d(in_channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.ZeroPad2d((*before_and_behind(side), *before_and_behind(side))),
            nn.Conv2d(128, 768, side, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


def before_and_behind(kernel: int) -> tuple[int, int]:
    """SAME padding at stride 1."""
    return (kernel - 1) // 2, kernel // 2
