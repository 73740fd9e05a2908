"""The mixed cell, computed fast: the function of `MixedCell`, by identities, on the same parameters.

Everything that leaves a node is computed together, since all its edges see the same input:

| function      | identity                                                                                          |
|---------------|---------------------------------------------------------------------------------------------------|
| leaving       | one ReLU a node; `none` adds nothing                                                               |
| pooled        | a pool and its BatchNorm without scale are the same tensor for every edge that leaves the node     |
| convolved     | convolutions of k edges that read one map are one convolution with k times the output channels     |
|               | of k edges that read k maps: one grouped convolution                                               |
| composed      | depthwise, then pointwise, is one dense convolution: cheaper if channels are few                   |
| normalised    | BatchNorm without scale, times a number, is BatchNorm with that number as its scale                |
| depthwise.py  | gradients of depthwise convolutions by means that are fast on a CPU                                |

Operations of another shape than those of the DARTS space run plain, inside the same sum.

If there is a C++ compiler, `kernels.leaving` and `kernels.entering` compute all of this but the strided skips in
compiled code (CPU, float32 and float64). Else, on a CPU, `edges` computes large maps edge by edge; what is left,
and other devices, the functions below do, in pure torch.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, reduce
from operator import add
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard import kernels
from dartboard.kernels.entering import enter
from dartboard.kernels.leaving import SIDES, Operations, Round, leave, share_of
from dartboard.networks.fast import edges
from dartboard.networks.fast.depthwise import depthwise as depthwise_convolution
from dartboard.networks.layers import FactorizedReduce
from dartboard.networks.mixed_cell import MixedCell, MixedOperation
from dartboard.spaces import darts as space

# Up to this many channels times pixels a side, a dense convolution beats depthwise, then pointwise (measured on a CPU).
SMALL_WORK = 256
TWICE: ContextVar[bool] = ContextVar("twice", default=False)
POOLS = ("max_pool3/", "avg_pool3/")
SEPARABLE = re.compile(
    r"relu (depthwise|dilated)[{0}]/ pointwise norm( relu depthwise[{0}] pointwise norm)*".format(
        "".join(map(str, SIDES))
    )
)


def mixed_cell(cell: MixedCell, before_last: Tensor, last: Tensor, weights: Tensor) -> Tensor:
    """What `cell(before_last, last, weights)` computes. weights: (E, O)."""
    states = [entering(cell.preprocess0, before_last), entering(cell.preprocess1, last)]
    terms: dict[int, list[Tensor]] = {}
    for node in range(space.NUM_INPUTS + cell.num_nodes):
        if node >= space.NUM_INPUTS:
            states.append(reduce(add, terms.pop(node)))
        for target, term in leaving(cell, node, states[node], weights):
            terms.setdefault(target, []).append(term)
    return torch.cat(states[space.NUM_INPUTS :], dim=1)


def entering(preprocess: nn.Module, x: Tensor) -> Tensor:
    """An input of the cell, at the cell's width."""
    if isinstance(preprocess, FactorizedReduce) or not compiled(x):
        return preprocess(x)  # type: ignore[no-any-return]
    _, conv, norm = cast(nn.Sequential, preprocess)
    return enter(x, cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm))


def leaving(cell: MixedCell, node: int, x: Tensor, weights: Tensor) -> list[tuple[int, Tensor]]:
    """(target, what arrives there) of every edge that leaves a node with state x: (B, C, H, W)."""
    return [one for numbers, groups in plan(cell)[node] for one in together(cell, numbers, groups, x, weights)]


def together(
    cell: MixedCell, numbers: list[int], groups: "Groups", x: Tensor, weights: Tensor
) -> list[tuple[int, Tensor]]:
    """The same of edges that mix the same operations: in most spaces all."""
    weights = weights[numbers]
    apart = [[weight * op(x) for op, weight in zip(ops, weights[:, i], strict=True)] for i, ops in groups.others]
    if groups.reduces:
        index, reduces = groups.reduces
        apart.append(list(factorized_reduce(F.relu(x), reduces, weights[:, index]).chunk(len(numbers), dim=1)))
    if groups.known:
        apart.append(list(known(x, weights, groups.known)))
    targets = [cell.edges[number][1] for number in numbers]
    return [(target, reduce(add, terms)) for target, *terms in zip(targets, *apart, strict=True) if terms]


# By cell, by node: edges that mix the same operations, and these in groups. Holds modules, never tensors.
PLANS: "WeakKeyDictionary[MixedCell, list[list[tuple[list[int], Groups]]]]" = WeakKeyDictionary()


def plan(cell: MixedCell) -> "list[list[tuple[list[int], Groups]]]":
    """What `grouped` says of every node of the cell, found once a cell."""
    if (found := PLANS.get(cell)) is None:
        found = PLANS[cell] = [planned(cell, node) for node in range(space.NUM_INPUTS + cell.num_nodes)]
    return found


def planned(cell: MixedCell, node: int) -> "list[tuple[list[int], Groups]]":
    alike: dict[tuple[str, ...], list[int]] = {}
    for edge, (source, _) in enumerate(cell.edges):
        if source == node:
            alike.setdefault(cast(MixedOperation, cell.ops[edge]).operations, []).append(edge)
    stride = 2 if cell.reduction and node < space.NUM_INPUTS else 1
    edges = {names: [cast(MixedOperation, cell.ops[number]) for number in numbers] for names, numbers in alike.items()}
    return [(numbers, grouped(edges[names], stride)) for names, numbers in alike.items()]


@dataclass(frozen=True)
class Groups:
    """The operations of the edges that leave a node, by how they are computed; each with its column in the weights."""

    known: Operations | None  # all that is computed together
    reduces: tuple[int, list[FactorizedReduce]] | None  # the strided skips
    others: list[tuple[int, Sequence[nn.Module]]]  # one by one


def grouped(edges: Sequence[MixedOperation], stride: int) -> Groups:
    chains, pools = [], []
    others: list[tuple[int, Sequence[nn.Module]]] = []
    skip, reduces = None, None
    for index, name in enumerate(edges[0].operations):
        recipe, operations = recipe_of(name), [edge.ops[index] for edge in edges]
        if SEPARABLE.fullmatch(recipe):
            chains.append((index, rounds_of(operations)))
        elif recipe in POOLS and isinstance(operations[0], nn.Sequential):  # followed by a BatchNorm
            norms = [cast(nn.BatchNorm2d, cast(nn.Sequential, operation)[1]) for operation in operations]
            pools.append((index, recipe == POOLS[0], norms))
        elif recipe == "skip/" and stride == 1:
            skip = index
        elif recipe == "skip/":
            reduces = index, cast(list[FactorizedReduce], operations)
        elif recipe != "zero/":
            others.append((index, operations))
    known = Operations(chains, pools, skip, stride) if chains or pools or skip is not None else None
    return Groups(known, reduces, others)


@cache
def recipe_of(name: str) -> str:
    return " ".join(space.RECIPES.get(name, ()))


def rounds_of(operations: Sequence[nn.Module]) -> list[Round]:
    """Rounds of (ReLU, depthwise, pointwise, BatchNorm) of the same separable operation of every edge."""
    chains = [list(cast(nn.Sequential, operation)) for operation in operations]
    steps = range(0, len(chains[0]), 4)
    return [Round(*(cast(Any, [chain[step + part] for chain in chains]) for part in (1, 2, 3))) for step in steps]


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Inside, all is computed by functions that can be differentiated twice: in pure torch, not by the kernels."""
    token = TWICE.set(True)
    try:
        yield
    finally:
        TWICE.reset(token)


def compiled(x: Tensor) -> bool:
    """Whether the compiled kernels take this map."""
    if TWICE.get():
        return False
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and kernels.available(x.dtype)


def laid_out(x: Tensor) -> Tensor:
    """A map that several cells read as their kernels do: copied once, and not by each of them."""
    return x.contiguous() if compiled(x) else x


def known(x: Tensor, weights: Tensor, operations: Operations) -> Sequence[Tensor]:
    """Per edge the weighted sum of its operations, by the fastest means at hand."""
    if compiled(x):
        return leave(x, weights, operations)
    if TWICE.get():
        return in_torch(x, weights, operations)
    alone = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and x.shape[1] * x.shape[2] > SMALL_WORK
    return edges.leave(x, weights, operations, in_torch) if alone else in_torch(x, weights, operations)


def in_torch(x: Tensor, weights: Tensor, operations: Operations) -> Sequence[Tensor]:
    """What kernels.leaving.leave computes, in pure torch: per edge the weighted sum of its operations."""
    parts: list[Sequence[Tensor]] = []
    if operations.chains:
        rectified = F.relu(x)
        chains = [separable(rectified, rounds, weights[:, index]) for index, rounds in operations.chains]
        parts.append(reduce(add, chains).chunk(len(weights), dim=1))
    shared = [(index, pooled(x, largest, norms, operations.stride)) for index, largest, norms in operations.pools]
    shared += [] if operations.skip is None else [(operations.skip, x)]
    # in the number format of the weights, even if convolutions are computed in a shorter one
    parts += [[weight * map_.to(weight.dtype) for weight in weights[:, index]] for index, map_ in shared]
    return [reduce(add, terms) for terms in zip(*parts, strict=True)]


def pooled(x: Tensor, largest: bool, norms: Sequence[nn.BatchNorm2d], stride: int) -> Tensor:
    """One pool and one BatchNorm for all edges; every edge's running statistics move as if it had its own."""
    y = F.max_pool2d(x, 3, stride, 1) if largest else F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
    return normalised(y, norms, None, shared=True)


def separable(x: Tensor, rounds: Sequence[Round], weights: Tensor) -> Tensor:
    """Rounds of (ReLU, depthwise, pointwise, BatchNorm) of k edges that read the rectified x: (B, C, H, W).

    Returns (B, k * C, H', W'), each edge's part times its weight: weights (k,).
    """
    for number, step in enumerate(rounds):
        x = convolved(x if number == 0 else F.relu(x), step.depthwise, step.pointwise, shared=number == 0)
        x = normalised(x, step.norms, weights if number == len(rounds) - 1 else None)
    return x


def convolved(x: Tensor, depthwise: Sequence[nn.Conv2d], pointwise: Sequence[nn.Conv2d], shared: bool) -> Tensor:
    """Depthwise, then pointwise, of k edges. x: (B, C, H, W) that all read, or (B, k * C, H, W), a part for each."""
    first, count = depthwise[0], len(depthwise)
    spatial = torch.cat([conv.weight for conv in depthwise])
    across = torch.cat([conv.weight for conv in pointwise])
    groups = 1 if shared else count
    if first.in_channels * x.shape[2] <= SMALL_WORK:
        return F.conv2d(x, composed(spatial, across), None, first.stride, first.padding, first.dilation, groups)
    x = torch.cat([x] * count, dim=1) if shared else x  # repeat would lose the memory layout
    x = depthwise_convolution(x, spatial, first.stride[0], first.dilation[0])
    return F.conv2d(x, across, groups=count)


def composed(spatial: Tensor, across: Tensor) -> Tensor:
    """The dense kernels (k * C, C, h, w) that do depthwise (k * C, 1, h, w), then pointwise (k * C, C, 1, 1)."""
    channels = across.shape[1]
    per_edge = spatial.view(-1, 1, channels, *spatial.shape[2:])
    return (across.view(-1, channels, channels, 1, 1) * per_edge).flatten(0, 1)


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

    x: (B, k * C, H, W), or (B, C, H, W) if all edges share it.
    """
    first = norms[0]
    means = [cast(Tensor, norm.running_mean) for norm in norms]
    variances = [cast(Tensor, norm.running_var) for norm in norms]
    mean, variance = (means[0].clone(), variances[0].clone()) if shared else (torch.cat(means), torch.cat(variances))
    scale = None if weights is None else weights.repeat_interleave(first.num_features)
    result = F.batch_norm(x, mean, variance, scale, None, True, share_of(first), first.eps)
    torch._foreach_copy_(means, [mean] * len(norms) if shared else list(torch.chunk(mean, len(norms))))
    torch._foreach_copy_(variances, [variance] * len(norms) if shared else list(torch.chunk(variance, len(norms))))
    torch._foreach_add_([cast(Tensor, norm.num_batches_tracked) for norm in norms], 1)
    return result
