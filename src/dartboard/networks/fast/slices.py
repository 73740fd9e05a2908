"""The first channels of a convolution; of a depthwise one of a large kernel with faster gradients than torch's.

The same function as `elastic_layers.sliced_conv`, on the same parameters. The gradients are compiled, for maps that lie
channels-last on a CPU; elsewhere torch's own are taken: the identities of fast/depthwise.py bring slices nothing.
"""

from torch import Tensor, nn

from dartboard.kernels import channelwise
from dartboard.networks import elastic_layers
from dartboard.networks.fast.mixed_cell import compiled


def sliced_conv(x: Tensor, conv: nn.Conv2d, out_channels: int, weight: Tensor | None = None) -> Tensor:
    """As `elastic_layers.sliced_conv`. x: (B, C, H, W) -> (B, out_channels, H', W')"""
    kernel = conv.weight if weight is None else weight
    if conv.groups == 1 or not channelwise.takes(x, kernel) or not compiled(x):
        return elastic_layers.sliced_conv(x, conv, out_channels, weight)
    return channelwise.depthwise(x, elastic_layers.sliced_weight(kernel, out_channels, 1), conv.stride[0])
