"""What leaves a node of a mixed cell, by the compiled kernels: forward and backward as one function of autograd.

Computed together, for the k edges that leave the node: every separable and dilated convolution, both pools, the
identity; each normalised, times its weight, added up an edge. cell.cpp says how, networks/fast/mixed_cell.py by which
identities.
"""

import ctypes
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from dartboard.kernels import library

SIDES = (3, 5, 7)  # of the depthwise kernels that are compiled
Norms = Sequence[nn.BatchNorm2d]
# A map of every edge (k, B, C, H', W') or one for all (B, C, H', W'); its mean and scale (k, C) or (C,), None: as it is
Term = tuple[Tensor, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Round:
    """ReLU, depthwise, pointwise, BatchNorm of k edges."""

    depthwise: Sequence[nn.Conv2d]
    pointwise: Sequence[nn.Conv2d]
    norms: Norms

    @property
    def weights(self) -> tuple[list[Tensor], list[Tensor]]:
        """The k depthwise kernels and the k pointwise ones, as they now are."""
        return [conv.weight for conv in self.depthwise], [conv.weight for conv in self.pointwise]


@dataclass(frozen=True)
class Operations:
    """What the kernels compute of a node's k edges; each with its column in the mixture weights (k, O)."""

    chains: Sequence[tuple[int, Sequence[Round]]]
    pools: Sequence[tuple[int, bool, Norms]]  # column, the largest or the mean, the edges' norms
    skip: int | None
    stride: int

    @property
    def columns(self) -> list[int]:
        """Columns of the terms, in the order in which they are added."""
        skip = [] if self.skip is None else [self.skip]
        return [column for column, _ in self.chains] + [column for column, *_ in self.pools] + skip

    @property
    def kernels(self) -> list[Tensor]:
        """Per round the k depthwise kernels, then the k pointwise ones."""
        rounds = [step for _, chain in self.chains for step in chain]
        return [kernel for step in rounds for kernels in step.weights for kernel in kernels]


def leave(x: Tensor, weights: Tensor, operations: Operations) -> tuple[Tensor, ...]:
    """Per edge the weighted sum of its operations: (B, C, H', W') each. x: (B, C, H, W); weights: (k, O)."""
    return cast(tuple[Tensor, ...], Leaving.apply(x.contiguous(), weights, operations, *operations.kernels))  # type: ignore[no-untyped-call]


class Leaving(torch.autograd.Function):
    """Differentiable once; for second derivatives switch the kernels off (the pure torch form has them)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, operations: Operations, *kernels: Tensor) -> tuple[Tensor, ...]:
        made: list[Tensor] = []  # of every round, then of every pool: raw result, mean, scale
        for _, chain in operations.chains:
            convolve_chain(x, chain, operations.stride, made)
        for _, largest, norms in operations.pools:
            made += pool(x, norms, largest, operations.stride)
        ctx.operations = operations
        ctx.save_for_backward(x, weights, *made, *kernels)
        return mix(terms_of(x, operations, made), weights[:, operations.columns].contiguous())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError("the compiled kernels have no second derivatives; set DARTBOARD_KERNELS=0")
        x, weights, *rest = ctx.saved_tensors
        operations: Operations = ctx.operations
        gradients = tuple(gradient.contiguous() for gradient in gradients)
        mixed = weights[:, operations.columns].T.contiguous()  # (T, k)
        count = num_made(operations)
        made, kernels = rest[:count], rest[count:]
        g_mean, g_dot = mix_dots(terms_of(x, operations, made), gradients)  # (k, C), (T, k, C)
        dweights = torch.zeros_like(weights)
        dweights[:, operations.columns] = g_dot.sum(-1).T * (gradients[0].numel() // gradients[0].shape[1])
        wanted = any(ctx.needs_input_grad[3:])
        if not wanted and not ctx.needs_input_grad[0]:
            return None, dweights, None, *[None] * len(kernels)
        dx = torch.zeros_like(x)
        found = chains_backward(x, operations, made, mixed, gradients, (g_mean, g_dot), dx, wanted)
        dkernels: Sequence[Tensor | None] = found if wanted else [None] * len(kernels)
        pools_backward(x, operations, made, mixed, gradients, (g_mean, g_dot), dx)
        if operations.skip is not None:
            skip_backward(gradients, mixed[-1], dx)
        return dx, dweights, None, *dkernels


def num_made(operations: Operations) -> int:
    return 3 * (sum(len(chain) for _, chain in operations.chains) + len(operations.pools))


def terms_of(x: Tensor, operations: Operations, made: Sequence[Tensor]) -> list[Term]:
    """The maps that are weighted and added: the last round's of every chain, the pools, the node itself."""
    triples = iter(zip(*[iter(made)] * 3, strict=True))
    terms: list[Term] = [[next(triples) for _ in chain][-1] for _, chain in operations.chains]
    terms.extend(triples)
    return terms if operations.skip is None else [*terms, (x, None, None)]


# --- Calls of the kernels --------------------------------------------------------------------------------------------


def called(like: Tensor, name: str, *arguments: Any) -> None:
    """Calls a kernel of the number format of `like`; tensors go as addresses, lists of them as lists of addresses.

    Raises MemoryError if the kernel could not get the memory it needs.
    """
    lists = [listed(argument) if isinstance(argument, list | tuple) else argument for argument in arguments]
    if getattr(library(like.dtype), name)(*map(translated, lists)):  # `lists` holds the memory of the lists meanwhile
        raise MemoryError(f"not enough memory for the compiled kernel {name!r}")


def listed(values: Sequence[Any]) -> "array[int]":
    """A list of whole numbers as C longs, one of tensors (0 for None) as their addresses."""
    if values and isinstance(values[0], int):
        return array("l", values)
    return array("Q", [0 if one is None else one.data_ptr() for one in values])


def translated(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, array):
        return ctypes.c_void_p(argument.buffer_info()[0])
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return ctypes.c_void_p(None) if argument is None else ctypes.c_long(argument)


def shape_of(x: Tensor, side: int, stride: int, dilation: int, edges: int) -> list[int]:
    batch, channels, height, width = x.shape[-4:]
    return [batch, channels, height, width, side, stride, dilation, edges, torch.get_num_threads()]


def buffers(norms: Norms) -> tuple[list[Tensor], list[Tensor], float, float]:
    """Running means and variances, momentum, eps; and one more batch is counted."""
    torch._foreach_add_([cast(Tensor, norm.num_batches_tracked) for norm in norms], 1)
    means, variances = [norm.running_mean for norm in norms], [norm.running_var for norm in norms]
    return cast(list[Tensor], means), cast(list[Tensor], variances), share_of(norms[0], 0), norms[0].eps


def share_of(norm: nn.BatchNorm2d, ahead: int = 1) -> float:
    """Of a batch in the running statistics: the momentum or, where they are a plain mean, one of all batches so far.

    ahead: how many of them are not counted yet.
    """
    return norm.momentum if norm.momentum is not None else 1 / (int(cast(Tensor, norm.num_batches_tracked)) + ahead)


def convolve_chain(x: Tensor, chain: Sequence[Round], stride: int, made: list[Tensor]) -> None:
    """Appends raw results (k, B, C, H', W'), means and scales (k, C) of every round."""
    before: tuple[Tensor | None, Tensor | None] = (None, None)
    for number, step in enumerate(chain):
        x, stride, dilation = entrance(x, step, stride if number == 0 else 1)
        y, mean, scale = convolve(x, before, step, stride, dilation)
        made += [y, mean, scale]
        x, before = y, (mean, scale)


def entrance(x: Tensor, step: Round, stride: int) -> tuple[Tensor, int, int]:
    """What the round reads, with stride and dilation; dilation d at stride d is none on every d-th pixel."""
    dilation = step.depthwise[0].dilation[0]
    if stride == 1 or stride != dilation:
        return x, stride, dilation
    return x[..., ::stride, ::stride].contiguous(), 1, 1


def convolve(
    x: Tensor, before: tuple[Tensor | None, Tensor | None], step: Round, stride: int, dilation: int
) -> tuple[Tensor, Tensor, Tensor]:
    """One round. x: (B, C, H, W), read by all edges, or (k, B, C, H, W); before: its mean and scale, or nothing."""
    edges, conv = len(step.norms), step.depthwise[0]
    batch, channels, height, width = x.shape[-4:]
    y = x.new_empty(edges, batch, channels, (height - 1) // stride + 1, (width - 1) // stride + 1)
    mean, scale = x.new_empty(2, edges, channels)
    shape = shape_of(x, conv.kernel_size[0], stride, dilation, edges)
    spatial, across = step.weights
    x_step = 0 if x.dim() == 4 else x[0].numel()
    called(x, "convolve", shape, x, x_step, *before, spatial, across, y, mean, scale, *buffers(step.norms))
    return y, mean, scale


def pool(x: Tensor, norms: Norms, largest: bool, stride: int) -> list[Tensor]:
    """Raw result (B, C, H', W'), mean and scale (C,)."""
    batch, channels, height, width = x.shape
    y = x.new_empty(batch, channels, (height - 1) // stride + 1, (width - 1) // stride + 1)
    mean, scale = x.new_empty(2, channels)
    shape = shape_of(x, 3, stride, 1, len(norms))
    called(x, "pool", shape, int(largest), x, y, mean, scale, *buffers(norms))
    return [y, mean, scale]


def mix_arguments(terms: Sequence[Term], edges: int) -> tuple[object, ...]:
    *_, batch, channels, height, width = terms[0][0].shape
    own = [int(y.dim() == 5) for y, *_ in terms]
    sizes = [batch, channels, height * width, edges, len(terms), torch.get_num_threads(), *own]
    return sizes, *(list(column) for column in zip(*terms, strict=True))


def mix(terms: Sequence[Term], weights: Tensor) -> tuple[Tensor, ...]:
    """Per edge the sum of its normalised maps times their weights (k, T)."""
    out = tuple(weights.new_empty(terms[0][0].shape[-4:]) for _ in weights)
    called(weights, "mix", *mix_arguments(terms, len(weights)), weights, out)
    return out


def mix_dots(terms: Sequence[Term], gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Means over images and pixels of each edge's gradient (k, C), and of it times each normalised map (T, k, C)."""
    edges, channels = len(gradients), gradients[0].shape[1]
    g_mean, g_dot = gradients[0].new_empty(edges, channels), gradients[0].new_empty(len(terms), edges, channels)
    called(g_mean, "mix_dots", *mix_arguments(terms, edges), gradients, g_mean, g_dot)
    return g_mean, g_dot


def chains_backward(
    x: Tensor,
    operations: Operations,
    made: Sequence[Tensor],
    mixed: Tensor,
    gradients: Sequence[Tensor],
    means: tuple[Tensor, Tensor],
    dx: Tensor,
    wanted: bool,
) -> list[Tensor]:
    """Adds the convolutions' part to dx; returns the gradients of operations.kernels if they are wanted."""
    found: list[Tensor] = []
    start = 0
    for term, (_, chain) in enumerate(operations.chains):
        results = made[start : start + 3 * len(chain)]
        start += len(results)
        after = (gradients, mixed[term], means[0], means[1][term])
        found += chain_backward(x, chain, operations.stride, results, after, dx, wanted)
    return found


def chain_backward(
    x: Tensor,
    chain: Sequence[Round],
    stride: int,
    made: Sequence[Tensor],
    after: tuple[Sequence[Tensor], Tensor, Tensor, Tensor],
    dx: Tensor,
    wanted: bool,
) -> list[Tensor]:
    """after: gradients behind the last norm, a weight for each, their means, their means times the normalised map."""
    found: list[Tensor] = []
    for number in reversed(range(len(chain))):
        y, mean, scale = made[3 * number : 3 * number + 3]
        step, edges, channels = chain[number], len(after[0]), y.shape[2]
        read, first, dilation = entrance(x if number == 0 else made[3 * number - 3], step, 1 if number else stride)
        before = made[3 * number - 2 : 3 * number] if number else (None, None)
        shape = shape_of(read, step.depthwise[0].kernel_size[0], first, dilation, edges)
        whole = number == 0 and read is x  # else a part of dx is added up apart
        down = dx if whole else torch.zeros_like(read) if number == 0 else torch.empty_like(read)
        down_means = y.new_empty(2, edges, channels)
        spatial, across = step.weights
        grads = [y.new_zeros(edges, *kernel.shape) if wanted else None for kernel in (spatial[0], across[0])]
        x_step = read[0].numel() if number else 0
        arguments = (read, x_step, *before, spatial, across, y, mean, scale, *after, down, *down_means, *grads)
        called(y, "convolve_backward", shape, *arguments)
        if number == 0 and not whole:
            dx[..., ::stride, ::stride] += down
        found = [part for grad in grads if grad is not None for part in grad] + found
        after = (down.unbind() if number else (), y.new_ones(edges), down_means[0], down_means[1])
    return found


def pools_backward(
    x: Tensor,
    operations: Operations,
    made: Sequence[Tensor],
    mixed: Tensor,
    gradients: Sequence[Tensor],
    means: tuple[Tensor, Tensor],
    dx: Tensor,
) -> None:
    """Adds the pools' part to dx; what comes back from the edges is added up before it goes through norm and pool."""
    results: Iterator[Tensor] = iter(made[len(made) - 3 * len(operations.pools) :])
    for number, (_, largest, norms) in enumerate(operations.pools, start=len(operations.chains)):
        y, mean, scale = next(results), next(results), next(results)
        weight = mixed[number]
        g_mean, g_dot = weight @ means[0], (weight[:, None] * means[1][number]).sum(0)
        shape = shape_of(x, 3, operations.stride, 1, len(norms))
        called(x, "pool_backward", shape, int(largest), x, y, mean, scale, gradients, weight, g_mean, g_dot, dx)


def skip_backward(gradients: Sequence[Tensor], weight: Tensor, dx: Tensor) -> None:
    called(dx, "skip_backward", dx.numel(), len(gradients), gradients, weight, torch.get_num_threads(), dx)
