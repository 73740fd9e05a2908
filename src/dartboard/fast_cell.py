"""The mixed cell, computed fast: the function of `supernet.MixedCell`, by identities, on the same parameters.

Everything that leaves a node is computed together, since all its edges see the same input:

| function      | identity                                                                                          |
|---------------|---------------------------------------------------------------------------------------------------|
| leaving       | one ReLU a node; `none` adds nothing                                                               |
| pooled        | a pool and its BatchNorm without scale are the same tensor for every edge that leaves the node     |
| pools_and_skip| the weighted sums of pools and identity over all edges are one matrix product                      |
| convolved     | convolutions of k edges that read one map are one convolution with k times the output channels     |
|               | of k edges that read k maps: one grouped convolution                                               |
| composed      | depthwise, then pointwise, is one dense convolution: cheaper where channels are few                |
| matrix_convolved | a convolution of a small map is a matrix product                                                |
| normalised    | BatchNorm without scale, times a number, is BatchNorm with that number as its scale                |

Operations of another shape than those of the DARTS space run plain, inside the same sum.
"""

import re
from collections.abc import Sequence
from functools import cache, reduce
from operator import add
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.layers import FactorizedReduce
from dartboard.spaces import darts as space
from dartboard.supernet import MixedCell, MixedOperation

# Up to so many channels times pixels a side, a dense convolution beats depthwise, then pointwise (measured on a CPU).
SMALL_WORK = 256
# Up to so many numbers a sample, a convolution is faster as a matrix product (measured on a CPU).
SMALL_MAP = 256
SEPARABLE = re.compile(r"relu (depthwise|dilated)\d+/ pointwise norm( relu depthwise\d+ pointwise norm)*")


def mixed_cell(cell: MixedCell, before_last: Tensor, last: Tensor, weights: Tensor) -> Tensor:
    """What `cell(before_last, last, weights)` computes. weights: (E, O)."""
    states = [cell.preprocess0(before_last), cell.preprocess1(last)]
    terms: dict[int, list[Tensor]] = {}
    for node in range(space.NUM_INPUTS + cell.num_nodes):
        if node >= space.NUM_INPUTS:
            states.append(reduce(add, terms.pop(node)))
        for target, term in leaving(cell, node, states[node], weights):
            terms.setdefault(target, []).append(term)
    return torch.cat(states[space.NUM_INPUTS :], dim=1)


def leaving(cell: MixedCell, node: int, x: Tensor, weights: Tensor) -> list[tuple[int, Tensor]]:
    """(target, what arrives there) of every edge that leaves a node with state x: (B, C, H, W)."""
    numbers = [edge for edge, (source, _) in enumerate(cell.edges) if source == node]
    if not numbers:
        return []
    edges = [cast(MixedOperation, cell.ops[number]) for number in numbers]
    weights, names = weights[numbers], edges[0].operations
    rectified = F.relu(x)
    together = []  # (B, k * C, H', W') each, the edges one after another
    shared: list[tuple[Tensor, int]] = []  # (B, C, H', W'), the same for every edge, with its operation
    apart: list[list[Tensor]] = [[] for _ in edges]
    for index, name in enumerate(names):
        operations = [edge.ops[index] for edge in edges]
        recipe = " ".join(space.RECIPES.get(name, ()))
        if recipe == "zero/":
            continue
        if SEPARABLE.fullmatch(recipe):
            together.append(separable(rectified, operations, weights[:, index]))
        elif recipe == "skip/" and isinstance(operations[0], FactorizedReduce):
            together.append(factorized_reduce(rectified, cast(list[FactorizedReduce], operations), weights[:, index]))
        elif recipe == "skip/":
            shared.append((x, index))
        elif recipe in ("max_pool3/", "avg_pool3/"):
            shared.append((pooled(x, operations), index))
        else:
            for terms, operation, weight in zip(apart, operations, weights[:, index], strict=True):
                terms.append(weight * operation(x))
    if together:
        for terms, part in zip(apart, reduce(add, together).chunk(len(edges), dim=1), strict=True):
            terms.append(part)
    if shared:
        for terms, part in zip(apart, pools_and_skip(shared, weights), strict=True):
            terms.append(part)
    targets = [cell.edges[number][1] for number in numbers]
    return [(target, reduce(add, terms)) for target, terms in zip(targets, apart, strict=True) if terms]


def pooled(x: Tensor, operations: Sequence[nn.Module]) -> Tensor:
    """One pool and one BatchNorm for all edges; every edge's running statistics move as if it had its own."""
    first = cast(nn.Sequential, operations[0])
    norms = [cast(nn.Sequential, operation)[1] for operation in operations]
    return normalised(first[0](x), cast(list[nn.BatchNorm2d], norms), None, shared=True)


def pools_and_skip(shared: list[tuple[Tensor, int]], weights: Tensor) -> list[Tensor]:
    """Per edge the weighted sum of the shared maps: weights (k, S) times maps (S, everything), one matrix product."""
    maps = torch.stack([tensor.permute(0, 2, 3, 1) for tensor, _ in shared])
    mixed = weights[:, [index for _, index in shared]] @ maps.flatten(1)
    return [part.permute(0, 3, 1, 2) for part in mixed.view(-1, *maps.shape[1:])]


def separable(x: Tensor, operations: Sequence[nn.Module], weights: Tensor) -> Tensor:
    """Rounds of (ReLU, depthwise, pointwise, BatchNorm) of k edges that read the rectified x: (B, C, H, W).

    Returns (B, k * C, H', W'), each edge's part times its weight: weights (k,).
    """
    chains = [list(cast(nn.Sequential, operation)) for operation in operations]
    rounds = len(chains[0]) // 4
    for number in range(rounds):
        _, depthwise, pointwise, norms = zip(*(chain[4 * number : 4 * number + 4] for chain in chains), strict=True)
        x = convolved(x if number == 0 else F.relu(x), depthwise, pointwise, shared=number == 0)
        x = normalised(x, norms, weights if number == rounds - 1 else None)
    return x


def convolved(x: Tensor, depthwise: Sequence[nn.Conv2d], pointwise: Sequence[nn.Conv2d], shared: bool) -> Tensor:
    """Depthwise, then pointwise, of k edges. x: (B, C, H, W) that all read, or (B, k * C, H, W), a part for each."""
    first, count = depthwise[0], len(depthwise)
    spatial = torch.cat([conv.weight for conv in depthwise])
    across = torch.cat([conv.weight for conv in pointwise])
    groups = 1 if shared else count
    if first.in_channels * x.shape[2] * x.shape[3] <= SMALL_MAP:
        return matrix_convolved(x, composed(spatial, across), first, groups)
    if first.in_channels * x.shape[2] <= SMALL_WORK:
        return F.conv2d(x, composed(spatial, across), None, first.stride, first.padding, first.dilation, groups)
    x = x.repeat(1, count, 1, 1) if shared else x
    x = F.conv2d(x, spatial, None, first.stride, first.padding, first.dilation, x.shape[1])
    return F.conv2d(x, across, groups=count)


def composed(spatial: Tensor, across: Tensor) -> Tensor:
    """The dense kernels (k * C, C, h, w) that do depthwise (k * C, 1, h, w), then pointwise (k * C, C, 1, 1)."""
    channels = across.shape[1]
    per_edge = spatial.view(-1, 1, channels, *spatial.shape[2:])
    return (across.view(-1, channels, channels, 1, 1) * per_edge).flatten(0, 1)


def matrix_convolved(x: Tensor, kernel: Tensor, like: nn.Conv2d, groups: int) -> Tensor:
    """A convolution of a small map as one matrix product: every pixel of every channel to every pixel of every other.

    x: (B, groups * C, H, W); kernel: (k * C, C, h, w); like: a convolution with the stride, padding and dilation.
    """
    size = (x.shape[2], x.shape[3])
    taps = reached(size, kernel.shape[-1], like.stride[0], cast(int, like.padding[0]), like.dilation[0]).to(kernel)
    outputs, inputs = kernel.shape[:2]
    height, width = ((side - 1) // like.stride[0] + 1 for side in size)
    # (k*C, C, taps) x (taps, HW * H'W') -> per group (C * HW, k*C/groups * H'W')
    matrix = (kernel.flatten(2) @ taps).view(groups, outputs // groups, inputs, size[0] * size[1], height * width)
    matrix = matrix.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
    result = x.reshape(x.shape[0], groups, -1).transpose(0, 1) @ matrix
    return result.transpose(0, 1).reshape(x.shape[0], outputs, height, width)


@cache
def reached(size: tuple[int, int], side: int, stride: int, padding: int, dilation: int) -> Tensor:
    """(side * side, HW * H'W') of 0 and 1: which tap of a kernel leads from which pixel to which. Bytes."""
    taps = torch.eye(side * side, dtype=torch.float64).view(side * side, 1, side, side)
    pixels = torch.eye(size[0] * size[1], dtype=torch.float64).view(-1, 1, *size)
    return F.conv2d(pixels, taps, None, stride, padding, dilation).flatten(2).transpose(0, 1).flatten(1).to(torch.uint8)


def factorized_reduce(rectified: Tensor, operations: Sequence[FactorizedReduce], weights: Tensor) -> Tensor:
    """The strided skips of k edges: two convolutions for all, one pixel apart. Returns (B, k * C, H', W')."""
    height, width = rectified.shape[-2:]
    # strided before the convolutions, as in layers.FactorizedReduce
    even, odd = rectified[:, :, ::2, ::2], F.pad(rectified, (0, width % 2, 0, height % 2))[:, :, 1::2, 1::2]
    one = F.conv2d(even, torch.cat([op.conv_1.weight for op in operations]))
    other = F.conv2d(odd, torch.cat([op.conv_2.weight for op in operations]))
    pairs = zip(one.chunk(len(operations), dim=1), other.chunk(len(operations), dim=1), strict=True)
    return normalised(
        torch.cat([half for pair in pairs for half in pair], dim=1), [op.bn for op in operations], weights
    )


def normalised(x: Tensor, norms: Sequence[nn.BatchNorm2d], weights: Tensor | None, shared: bool = False) -> Tensor:
    """BatchNorm with batch statistics of k edges side by side, each times its weight; running statistics move.

    x: (B, k * C, H, W), or (B, C, H, W) where all edges share it.
    """
    first = norms[0]
    means = [cast(Tensor, norm.running_mean) for norm in norms]
    variances = [cast(Tensor, norm.running_var) for norm in norms]
    mean, variance = (means[0].clone(), variances[0].clone()) if shared else (torch.cat(means), torch.cat(variances))
    scale = None if weights is None else weights.repeat_interleave(first.num_features)
    result = F.batch_norm(x, mean, variance, scale, None, True, first.momentum or 0.0, first.eps)
    torch._foreach_copy_(means, [mean] * len(norms) if shared else list(torch.chunk(mean, len(norms))))
    torch._foreach_copy_(variances, [variance] * len(norms) if shared else list(torch.chunk(variance, len(norms))))
    torch._foreach_add_([cast(Tensor, norm.num_batches_tracked) for norm in norms], 1)
    return result
