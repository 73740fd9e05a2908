"""The parts of a network of DARTS cells by themselves, as its latency is summed up of them (spaces/timed_cells.py)."""

from functools import partial

from torch import nn

from dartboard.networks import plain
from dartboard.networks.layers import FactorizedReduce, conv_norm, operation, relu_conv_norm


def stem(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm(channels, outputs))


def enter(channels: int, outputs: int, stride: int) -> nn.Module:
    """What brings an input of a cell to the cell's width, and behind a reduction to its side."""
    return FactorizedReduce(channels, outputs) if stride == 2 else relu_conv_norm(channels, outputs)


def of_edge(channels: int, name: str, stride: int) -> nn.Module:
    return operation(name, channels, stride)


def head(channels: int, classes: int) -> plain.PooledHead:
    return plain.PooledHead(nn.Identity(), nn.Linear(channels, classes))


timed_layer = partial(
    plain.timed_layer, {"stem": stem, "enter": enter, "operation": of_edge, "join": plain.Join, "head": head}
)
