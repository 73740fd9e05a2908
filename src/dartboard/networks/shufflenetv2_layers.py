"""The blocks of SPOS' networks: shuffle blocks of kernel 3, 5 and 7, and the one like Xception's.

A block of stride 1 passes the even channels on and computes the odd ones; one of stride 2 computes all of them twice,
by its main branch and by a shorter one. What both give is joined. In the main branch every convolution is followed by
BatchNorm, and every 1x1 convolution by ReLU, too; there is none behind a depthwise one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dartboard.networks.elastic_layers import SlicedNorm
from dartboard.networks.quantised_layers import Bits, QuantisedConv

KERNELS = {"shuffle_3x3": 3, "shuffle_5x5": 5, "shuffle_7x7": 7, "xception": 3}


def middle(width: int, factor: float) -> int:
    """Channels in the middle of a block, of `width` at factor 1: rounded to the nearest, at least one."""
    return max(1, int(width * factor + 0.5))


class Branch(nn.Sequential):
    """Convolutions with what follows them, of which a call uses the first channels in the middle.

    ends: the places of the convolutions whose channels are not those of the middle.
    """

    def __init__(self, layers: Sequence[nn.Module], ends: Sequence[int] = ()) -> None:
        super().__init__(*layers)
        self.ends = frozenset(ends)

    def forward(self, x: Tensor, channels: int, bits: Bits) -> Tensor:  # type: ignore[override]
        """x: (B, C, H, W); channels: of the middle."""
        for place, layer in enumerate(self):
            if not isinstance(layer, QuantisedConv):
                x = layer(x)
            elif layer.kernel_size[0] > 1:  # depthwise
                x = layer(x, x.shape[1], bits)
            else:
                x = layer(x, layer.out_channels if place in self.ends else channels, bits)
        return x


class Block(nn.Module):
    """A block, as large as it can be; how much of it is used is said at each call."""

    def __init__(
        self,
        operation: str,
        width: tuple[int, int],
        channels: int,
        stride: int,
        affine: bool,
        offered: tuple[Bits, ...],
    ) -> None:
        """width: of the map before and after it; channels: of the middle; offered: the bits that it may have."""
        super().__init__()
        self.stride = stride
        own = width[0] if stride == 2 else width[0] // 2  # what enters the main branch
        kernel = KERNELS[operation]

        def conv(inner: int, outer: int, side: int = 1, step: int = 1) -> list[nn.Module]:
            groups = inner if side > 1 else 1
            return [QuantisedConv(inner, outer, side, step, groups, offered), SlicedNorm(outer, affine=affine)]

        def pointwise(inner: int, outer: int) -> list[nn.Module]:
            return [*conv(inner, outer), nn.ReLU()]

        given = width[1] - own  # what leaves the main branch
        if operation == "xception":
            first = [*conv(own, own, kernel, stride), *pointwise(own, channels)]
            second = [*conv(channels, channels, kernel), *pointwise(channels, channels)]
            main = [*first, *second, *conv(channels, channels, kernel), *pointwise(channels, given)]
        else:
            main = [*pointwise(own, channels), *conv(channels, channels, kernel, stride), *pointwise(channels, given)]
        self.main = Branch(main, ends=(len(main) - 3,))
        self.proj = Branch([*conv(own, own, kernel, 2), *pointwise(own, own)], ends=(2,)) if stride == 2 else None

    def forward(self, x: Tensor, channels: int, bits: Bits) -> Tensor:
        """x: (B, C, H, W) -> (B, C', H', W'); channels: of the middle."""
        if self.proj is not None:
            return torch.cat([self.proj(x, channels, bits), self.main(x, channels, bits)], dim=1)
        return torch.cat([x[:, ::2], self.main(x[:, 1::2], channels, bits)], dim=1)
