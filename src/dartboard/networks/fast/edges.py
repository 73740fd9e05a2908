"""What leaves a node of a mixed cell on a CPU, in pure torch: forward and backward as one function of autograd.

Computes what `mixed_cell.in_torch` does, but edge by edge: the maps of one edge stay in the cache, where torch's
convolutions of few channels are several times faster than grouped ones of all edges. For backward it stores the raw
result of every pointwise convolution with its statistics; the rest is computed again if a gradient needs it.

| function        | identity                                                                                         |
|-----------------|--------------------------------------------------------------------------------------------------|
| skipping        | dilation d at stride d is no dilation at stride 1 on every d-th pixel                            |
| through_norm    | the gradient through BatchNorm needs its input and statistics, not its result                    |
| tall_product    | a product over all pixels is the sum of those over some of them, which a CPU multiplies faster   |
| pool_backward   | all edges that leave a node read the same pools: their gradients are added up first              |

Second derivatives come from the differentiable form, computed again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.kernels.leaving import Norms, Operations, Round, share_of
from dartboard.networks.fast.depthwise import input_gradient, padding_of, phases, undilated_kernel_gradient

Differentiable = Callable[[Tensor, Tensor, Operations], Sequence[Tensor]]
LAST = torch.channels_last
WINDOW = [3, 3], [1, 1]  # of the pools: kernel and padding
PIECES = 8  # of a product over all pixels


class Raw(NamedTuple):
    """The raw result of a round (B, C, H', W'), its mean and its 1 / sqrt(variance + eps), (C,)."""

    y: Tensor
    mean: Tensor
    scale: Tensor


def leave(x: Tensor, weights: Tensor, operations: Operations, differentiable: Differentiable) -> tuple[Tensor, ...]:
    """Per edge the weighted sum of its operations: (B, C, H', W') each. x: (B, C, H, W); weights: (k, O).

    differentiable: the same function out of differentiable operations, running statistics included.
    """
    x = x.contiguous(memory_format=LAST)
    return cast(tuple[Tensor, ...], Leaving.apply(x, weights, operations, differentiable, *operations.kernels))  # type: ignore[no-untyped-call]


class Leaving(torch.autograd.Function):
    """Keeps x; of every pool its normalised map and scale; of every round of every edge raw result, mean, scale."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weights: Tensor, operations: Operations, differentiable: Differentiable, *kernels: Tensor
    ) -> tuple[Tensor, ...]:
        pools = [pooled(x, largest, norms, operations.stride) for _, largest, norms in operations.pools]
        out = mixed(x, weights, operations, pools)
        entries, made = entrances(F.relu(x), operations), cast(list[Raw], [])
        for edge, (total, row) in enumerate(zip(out, weights.tolist(), strict=True)):
            for entry, (column, chain) in zip(entries, operations.chains, strict=True):
                made += chain_forward(entry, chain, edge)
                total.add_(normalised(made[-1]), alpha=row[column])
        count_batch(operations)
        ctx.operations, ctx.differentiable = operations, differentiable
        ctx.save_for_backward(x, weights, *kernels, *(part for group in (*pools, *made) for part in group))
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        operations: Operations = ctx.operations
        x, weights, *rest = ctx.saved_tensors
        count, wanted = len(operations.kernels), ctx.needs_input_grad
        if torch.is_grad_enabled():  # create_graph=True
            needs_gradient = [*wanted[:2], *wanted[4:]]
            inputs = [x, weights, *rest[:count]]
            found = differentiable_gradients(ctx.differentiable, operations, inputs, needs_gradient, gradients)
            return *found[:2], None, None, *found[2:]
        gradients = tuple(gradient.contiguous(memory_format=LAST) for gradient in gradients)
        kept = iter(rest[count:])
        pools = [(next(kept), next(kept)) for _ in operations.pools]
        made = [Raw(next(kept), next(kept), next(kept)) for _ in range(count // 2)]  # two kernels each
        dx = torch.zeros_like(x) if wanted[0] else None
        dweights = shared_weight_gradients(x, weights, operations, pools, gradients) if wanted[1] else None
        dkernels = chains_backward(x, weights, operations, iter(made), gradients, dx, dweights, any(wanted[4:]))
        if dx is not None:
            pools_backward(x, weights, operations, pools, gradients, dx)
        return dx, dweights, None, None, *dkernels


def differentiable_gradients(
    differentiable: Differentiable,
    operations: Operations,
    inputs: Sequence[Tensor],
    needs_gradient: Sequence[bool],
    gradients: Sequence[Tensor],
) -> list[Tensor | None]:
    """The gradients once more, out of differentiable operations. The running statistics stay as they are."""
    buffers = [buffer for norm in all_norms(operations) for buffer in norm.buffers()]
    before = [buffer.clone() for buffer in buffers]
    out = differentiable(inputs[0], inputs[1], operations)
    with torch.no_grad():
        for buffer, kept in zip(buffers, before, strict=True):
            buffer.copy_(kept)
    wanted = [tensor for tensor, one in zip(inputs, needs_gradient, strict=True) if one]
    found = iter(torch.autograd.grad(out, wanted, gradients, create_graph=True, materialize_grads=True))
    return [next(found) if one else None for one in needs_gradient]


def all_norms(operations: Operations) -> list[nn.BatchNorm2d]:
    rounds = [step.norms for _, chain in operations.chains for step in chain]
    return [norm for norms in (*rounds, *(norms for *_, norms in operations.pools)) for norm in norms]


def count_batch(operations: Operations) -> None:
    if norms := all_norms(operations):
        torch._foreach_add_([cast(Tensor, norm.num_batches_tracked) for norm in norms], 1)


# --- What all edges share: pools and identity ------------------------------------------------------------------------


def statistics(y: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Mean and 1 / sqrt(variance + eps) of each channel (C,); the running statistics move."""
    mean, variance = torch.batch_norm_update_stats(y, norm.running_mean, norm.running_var, share_of(norm))
    return mean, (variance + norm.eps).rsqrt()


def normalised(raw: Raw) -> Tensor:
    """(y - mean) * scale: (B, C, H', W')."""
    return raw.y.sub(raw.mean.view(1, -1, 1, 1)).mul_(raw.scale.view(1, -1, 1, 1))


def pooled(x: Tensor, largest: bool, norms: Norms, stride: int) -> tuple[Tensor, Tensor]:
    """The pool's normalised map (B, C, H', W') and its scale (C,): one for all edges, each with its own norm."""
    y = F.max_pool2d(x, 3, stride, 1) if largest else F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
    raw = Raw(y, *statistics(y, norms[0]))
    for name in ("running_mean", "running_var"):
        every = [cast(Tensor, getattr(norm, name)) for norm in norms]
        torch._foreach_copy_(every, every[:1] * len(every))
    return normalised(raw), raw.scale


def shared_maps(x: Tensor, operations: Operations, pools: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[int, Tensor]]:
    """(column, map) of what every edge adds with a weight of its own: the pools, the node itself."""
    maps = [(column, z) for (column, *_), (z, _) in zip(operations.pools, pools, strict=True)]
    return maps if operations.skip is None else [*maps, (operations.skip, x)]


def mixed(x: Tensor, weights: Tensor, operations: Operations, pools: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Per edge the weighted sum of the shared maps; zeros (B, C, H', W') if there are none."""
    (batch, channels, *sides), out = x.shape, []
    height, width = ((side - 1) // operations.stride + 1 for side in sides)
    for row in weights.tolist():
        total = x.new_zeros(batch, channels, height, width).contiguous(memory_format=LAST)
        for column, map_ in shared_maps(x, operations, pools):
            total.add_(map_, alpha=row[column])
        out.append(total)
    return out


def shared_weight_gradients(
    x: Tensor,
    weights: Tensor,
    operations: Operations,
    pools: Sequence[tuple[Tensor, Tensor]],
    gradients: Sequence[Tensor],
) -> Tensor:
    """Gradients of the weights (k, O), of the columns of the shared maps; zero in the others."""
    found = torch.zeros_like(weights)
    for column, map_ in shared_maps(x, operations, pools):
        for edge, gradient in enumerate(gradients):
            found[edge, column] = torch.dot(flat(gradient).flatten(), flat(map_).flatten())
    return found


def pools_backward(
    x: Tensor,
    weights: Tensor,
    operations: Operations,
    pools: Sequence[tuple[Tensor, Tensor]],
    gradients: Sequence[Tensor],
    dx: Tensor,
) -> None:
    """Adds to dx what comes back through the pools and the identity."""
    columns = weights.T.tolist()
    for (column, largest, norms), (z, scale) in zip(operations.pools, pools, strict=True):
        total = gradients[0] * columns[column][0]
        for gradient, weight in zip(gradients[1:], columns[column][1:], strict=True):
            total.add_(gradient, alpha=weight)
        # z is its own normalised map: mean 0, scale 1
        own = Raw(z, torch.zeros_like(scale), torch.ones_like(scale))
        dy = through_norm(total, own, scale, norms[0])[0]
        dx.add_(pool_backward(dy, x, largest, operations.stride))
    if operations.skip is not None:
        for gradient, weight in zip(gradients, columns[operations.skip], strict=True):
            dx.add_(gradient, alpha=weight)


def pool_backward(gradient: Tensor, x: Tensor, largest: bool, stride: int) -> Tensor:
    """The gradient of a pool's input; which pixel was the largest is found again."""
    (size, padding), steps = WINDOW, [stride] * 2
    if largest:
        indices, call = F.max_pool2d(x, 3, stride, 1, return_indices=True)[1], torch.ops.aten
        found = call.max_pool2d_with_indices_backward(gradient, x, size, steps, padding, [1, 1], False, indices)
    else:
        found = torch.ops.aten.avg_pool2d_backward(gradient, x, size, steps, padding, False, False, None)
    return cast(Tensor, found)


# --- What every edge has for itself: chains of (ReLU, depthwise, pointwise, BatchNorm) --------------------------------


class Entry(NamedTuple):
    """What a depthwise convolution reads: a rectified map (B, C, H, W); its stride and dilation."""

    map: Tensor
    stride: int = 1
    dilation: int = 1
    apart: Tensor | None = None  # the map's phases, if they are known


def entrances(rectified: Tensor, operations: Operations, apart: bool = False) -> list[Entry]:
    """What the first convolution of every chain reads: one for all of one dilation. apart: with its phases."""
    dilations = [chain[0].depthwise[0].dilation[0] for _, chain in operations.chains]
    found = {dilation: skipping(rectified, operations.stride, dilation) for dilation in dict.fromkeys(dilations)}
    if apart:
        found = {number: entry._replace(apart=phases(entry.map, entry.dilation)) for number, entry in found.items()}
    return [found[dilation] for dilation in dilations]


def skipping(x: Tensor, stride: int, dilation: int) -> Entry:
    if stride == 1 or stride != dilation:
        return Entry(x, stride, dilation)
    return Entry(x[:, :, ::stride, ::stride].contiguous(memory_format=LAST))


def flat(x: Tensor) -> Tensor:
    """(B, C, H, W) as (B * H * W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def depthwise(entry: Entry, kernel: Tensor) -> Tensor:
    padding = padding_of(kernel, entry.dilation)
    return F.conv2d(entry.map, kernel, None, entry.stride, padding, entry.dilation, kernel.shape[0])


def rectified(raw: Raw) -> Entry:
    """What the next round reads."""
    return Entry(normalised(raw).relu_())


def chain_forward(entry: Entry, chain: Sequence[Round], edge: int) -> list[Raw]:
    """One of every round."""
    made: list[Raw] = []
    for step in chain:
        read = rectified(made[-1]) if made else entry
        y = F.conv2d(depthwise(read, step.depthwise[edge].weight), step.pointwise[edge].weight)
        made.append(Raw(y, *statistics(y, step.norms[edge])))
    return made


def through_norm(
    gradient: Tensor, raw: Raw, factor: Tensor | None, norm: nn.BatchNorm2d, wanted: bool = True
) -> tuple[Tensor, Tensor]:
    """Gradients of y and of factor (C,), from that of factor * (y - mean) * scale; that of y only where wanted."""
    needs_gradient = [wanted, factor is not None, False]
    running = (norm.running_mean, norm.running_var)
    call, rest = torch.ops.aten.native_batch_norm_backward, (raw.mean, raw.scale, True, norm.eps, needs_gradient)
    found = call(gradient, raw.y, factor, *running, *rest)
    return found[0], found[1]


Pair = tuple[Tensor, Tensor]  # gradients of a depthwise and of a pointwise kernel


def chains_backward(
    x: Tensor,
    weights: Tensor,
    operations: Operations,
    made: Iterator[Raw],
    gradients: Sequence[Tensor],
    dx: Tensor | None,
    dweights: Tensor | None,
    wanted: bool,
) -> list[Tensor | None]:
    """Adds to dx and dweights, unless None; returns the gradients of operations.kernels where wanted."""
    entries = entrances(F.relu(x), operations, apart=wanted)
    sums = {id(entry.map): torch.zeros_like(entry.map) for entry in entries} if dx is not None else {}
    factors = weights[..., None].repeat(1, 1, x.shape[1])
    dfactors: list[Tensor] = []  # by edge, chain
    found: list[list[list[Pair]]] = [[] for _ in operations.chains]  # by chain, edge, round
    for edge, gradient in enumerate(gradients):
        for number, (column, chain) in enumerate(operations.chains):
            results = [next(made) for _ in chain]
            factor, norm = factors[edge, column], chain[-1].norms[edge]
            dy, dfactor = through_norm(gradient, results[-1], factor, norm, wanted or dx is not None)
            dfactors.append(dfactor)
            target = sums.get(id(entries[number].map))
            if wanted or target is not None:
                found[number].append(chain_backward(entries[number], chain, edge, results, dy, target, wanted))
    if dweights is not None and dfactors:
        columns = [column for column, _ in operations.chains]
        dweights[:, columns] = torch.stack(dfactors).sum(1).view(len(weights), -1)
    if dx is not None:
        entrances_backward(entries, sums, x, dx, operations.stride)
    if not wanted:
        return [None] * len(operations.kernels)
    rounds = [list(zip(*edges, strict=True)) for edges in found]  # by chain, round, edge
    return [pair[part] for chain in rounds for step in chain for part in (0, 1) for pair in step]


def entrances_backward(entries: Sequence[Entry], sums: dict[int, Tensor], x: Tensor, dx: Tensor, stride: int) -> None:
    """Adds to dx what was added up behind the ReLU."""
    for map_ in {id(entry.map): entry.map for entry in entries}.values():
        step = 1 if map_.shape == x.shape else stride
        part, to = x[:, :, ::step, ::step], dx[:, :, ::step, ::step]
        to.add_(torch.ops.aten.threshold_backward(sums[id(map_)], part, 0.0))


def chain_backward(
    entry: Entry,
    chain: Sequence[Round],
    edge: int,
    results: Sequence[Raw],
    dy: Tensor,
    target: Tensor | None,
    wanted: bool,
) -> list[Pair]:
    """dy: gradient of the last raw result. Adds the gradient of the chain's rectified map to target, unless None."""
    found: list[Pair] = []
    for number in reversed(range(len(chain))):
        step, before = chain[number], results[number - 1] if number else None
        kernel, across = step.depthwise[edge].weight, step.pointwise[edge].weight
        read = rectified(before) if before else entry
        middle = F.conv2d(dy, across.transpose(0, 1))
        if wanted:
            dacross = tall_product(flat(dy), flat(depthwise(read, kernel)))
            dkernel = depthwise_kernel_gradient(read, middle, kernel.shape[-1])
            found.insert(0, (dkernel, dacross.view_as(across)))
        if before:
            gradient = depthwise_input_gradient(read, middle, kernel)
            gradient = torch.ops.aten.threshold_backward(gradient, read.map, 0.0)
            dy = through_norm(gradient, before, None, chain[number - 1].norms[edge])[0]
        elif target is not None:
            target.add_(depthwise_input_gradient(read, middle, kernel))
    return found


def tall_product(one: Tensor, other: Tensor) -> Tensor:
    """one.T @ other. one: (N, C'); other: (N, C), of many rows."""
    pieces = PIECES if len(one) % PIECES == 0 else 1
    return torch.bmm(one.view(pieces, -1, one.shape[1]).mT, other.view(pieces, -1, other.shape[1])).sum(0)


def depthwise_input_gradient(entry: Entry, gradient: Tensor, kernel: Tensor) -> Tensor:
    if entry.stride == 1:
        return input_gradient(gradient, kernel, entry.dilation)
    return strided_gradient(entry, gradient, kernel, 0)


def depthwise_kernel_gradient(entry: Entry, gradient: Tensor, side: int) -> Tensor:
    x, stride, dilation, apart = entry
    if stride == 1:
        apart = phases(x, dilation) if apart is None else apart
        return undilated_kernel_gradient(apart, phases(gradient, dilation), side)
    return strided_gradient(entry, gradient, x.new_empty(x.shape[1], 1, side, side), 1)


def strided_gradient(entry: Entry, gradient: Tensor, kernel: Tensor, which: int) -> Tensor:
    """torch's own gradient, of the input (which 0) or of the kernel (1)."""
    x, stride, dilation, _ = entry
    steps = [stride] * 2, [padding_of(kernel, dilation)] * 2, [dilation] * 2
    needs_gradient = [which == 0, which == 1, False]
    how = (None, *steps, False, [0, 0], x.shape[1], needs_gradient)
    found = torch.ops.aten.convolution_backward(gradient, x, kernel, *how)
    return cast(Tensor, found[which])
