"""The operations and the cell of NASNet's network; networks/nasnet.py has the network."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.networks.blocks import SIDES, adjusted, joined, masked, separable
from dartboard.networks.layers import FactorizedReduce, relu_conv_norm
from dartboard.networks.same_padding import AvgPool, MaxPool, padding
from dartboard.spaces import nasnet as space
from dartboard.spaces.blocks import NUM_INPUTS

KERNELS = {  # of convolutions: height and width of each round
    "conv_1x1": ((1, 1),),
    "conv_3x3": ((3, 3),),
    "conv_1x3_3x1": ((1, 3), (3, 1)),
    "conv_1x7_7x1": ((1, 7), (7, 1)),
    "dil_conv_3x3": ((3, 3),),
}
SEPARABLE = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "sep_conv_7x7": 7}
MAX_POOLS = {"max_pool_3x3": 3, "max_pool_5x5": 5, "max_pool_7x7": 7}

# --- Operations ------------------------------------------------------------------------------------------------------


class Convolution(nn.Module):
    """A convolution without bias, with TensorFlow's padding. Of 1xk kernels the stride is along the width alone, of kx1
    along the height.

    The stride of 1x1 kernels is taken before the convolution, the same function: see layers.FactorizedReduce.
    """

    def __init__(self, before: int, channels: int, kernel: tuple[int, int], stride: int, dilation: int = 1) -> None:
        super().__init__()
        self.strides = (1 if kernel[0] < kernel[1] else stride, 1 if kernel[1] < kernel[0] else stride)
        own = (1, 1) if kernel == (1, 1) else self.strides
        self.conv = nn.Conv2d(before, channels, kernel, own, dilation=dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.kernel_size == (1, 1):
            return self.conv(x[:, :, :: self.strides[0], :: self.strides[1]])  # type: ignore[no-any-return]
        reach = [1 + self.conv.dilation[0] * (side - 1) for side in self.conv.kernel_size]
        rows, columns = (padding(*one) for one in zip(x.shape[-2:], reach, self.strides, strict=True))
        return self.conv(F.pad(x, (*columns, *rows)))  # type: ignore[no-any-return]


def convolutions(name: str, before: int, channels: int, stride: int) -> nn.Sequential:
    """One round, or two, of ReLU, convolution, BatchNorm."""
    rounds: list[nn.Module] = []
    for kernel in KERNELS[name]:
        conv = Convolution(before, channels, kernel, stride, 2 if name.startswith("dil") else 1)
        rounds += [nn.ReLU(), conv, nn.BatchNorm2d(channels)]
        before = channels
    return nn.Sequential(*rounds)


def operation(name: str, before: int, channels: int, stride: int = 1) -> nn.Module:
    """An operation as a module that makes `channels` of `before`."""
    if name in SEPARABLE:
        return separable(before, channels, SEPARABLE[name], stride)
    if name in KERNELS:
        return convolutions(name, before, channels, stride)
    if name == "identity":
        if stride == 1 and before == channels:
            return nn.Identity()
        return nn.Sequential(nn.ReLU(), Convolution(before, channels, (1, 1), stride), nn.BatchNorm2d(channels))
    pool = AvgPool(stride) if name == "avg_pool_3x3" else MaxPool(stride, MAX_POOLS[name])
    return pool if before == channels else nn.Sequential(pool, *conv_norm(before, channels))


def conv_norm(before: int, channels: int) -> nn.Sequential:
    """1x1 convolution, BatchNorm."""
    return nn.Sequential(nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels))


def fitted(before: int, outputs: int, stride: int) -> nn.Module:
    """Brings a joined state to a cell's width, and with stride 2 to half its side."""
    return FactorizedReduce(before, outputs, relu=False) if stride == 2 else conv_norm(before, outputs)


# --- The cell --------------------------------------------------------------------------------------------------------


class Cell(nn.Module):
    """A cell of one architecture.

    widths: channels of the map before the last (none for the first cell, whose both inputs are the stem's), of the last
    one, and of this cell's states; larger: whether the map before the last is twice as large as the last.
    """

    def __init__(
        self,
        widths: tuple[int | None, int, int],
        reduction: bool,
        larger: bool,
        blocks: Sequence[space.Block],
        joined: Sequence[int],
    ) -> None:
        super().__init__()
        older, newest, channels = widths
        self.blocks, self.joined, self.reduction = blocks, joined, reduction
        self.base = relu_conv_norm(newest, channels)
        self.adjust = nn.Identity() if older is None else adjusted(older, channels, larger)
        states = [channels, newest if older is None else channels]
        strides = [2 if reduction else 1] * NUM_INPUTS + [1] * len(blocks)
        self.ops = nn.ModuleList()
        for first, second, one, other, combine in blocks:
            for state, name in ((first, one), (second, other)):
                self.ops.append(operation(name, states[state], channels, strides[state]))
            states.append(channels if combine == "add" else SIDES * channels)
        self.fit = nn.ModuleDict()
        for state in joined:
            if strides[state] == 2 or states[state] != channels:
                self.fit[str(state)] = fitted(states[state], channels, strides[state])

    def forward(self, older: Tensor, newest: Tensor, masks: Iterator[Tensor] | None = None) -> Tensor:
        """masks: as `Network.output` takes them."""
        states = [self.base(newest), self.adjust(older)]
        for number, (*sources, one, other, combine) in enumerate(self.blocks):
            sides = []
            for side, (state, name) in enumerate(zip(sources, (one, other), strict=True)):
                x = self.ops[SIDES * number + side](states[state])
                sides.append(masked(x, name, masks))
            states.append(sides[0] + sides[1] if combine == "add" else torch.cat(sides, dim=1))
        return joined(states, self.joined, self.fit)


class AuxiliaryHead(nn.Module):
    """A second classifier on the map before the second reduction; helps training, is not part of the result."""

    def __init__(self, in_channels: int, num_classes: int, map_size: int) -> None:
        super().__init__()
        side = (map_size - 5) // 3 + 1
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 3),
            *conv_norm(in_channels, 128),
            nn.ReLU(),
            nn.Conv2d(128, 768, side, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return]
