"""What arrives at a node of a cell along the edges of a path or of a draw, by the compiled kernels: forward and
backward as one function of autograd.

An edge brings one operation of the map of an earlier node: a separable or dilated convolution, a pool, the map as it
is; normalised, times its weight. Nothing else of the edge is computed or stored. All that arrives is normalised,
weighted and added in one pass. cell.cpp says how; the kernels are those of leaving.py, for one edge at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor

from dartboard.kernels.leaving import (
    Norms,
    Round,
    Term,
    called,
    chain_backward,
    convolve_chain,
    mix,
    mix_dots,
    pool,
    shape_of,
    skip_backward,
)


@dataclass(frozen=True)
class Edge:
    """What an edge computes of a map: rounds of a convolution, or a pool (the largest or the mean, its norm); nothing
    where there is neither: then the map arrives as it is."""

    chain: Sequence[Round] = ()
    pool: tuple[bool, Norms] | None = None
    stride: int = 1

    @property
    def kernels(self) -> list[Tensor]:
        """Of each round the depthwise kernel, then the pointwise one."""
        return [kernel for step in self.chain for kernels in step.weights for kernel in kernels]

    @property
    def num_made(self) -> int:
        """Tensors that are stored for backward, the map aside."""
        return 3 * (len(self.chain) + (self.pool is not None))


def arrive(maps: Sequence[Tensor], edges: Sequence[Edge], weights: Tensor, bare: Tensor | None = None) -> Tensor:
    """The weighted sum of what the edges bring, plus a bare number: (B, C, H', W').

    maps: (B, C, H, W) of each edge; weights: (T,), one an edge; bare: (), added everywhere.
    """
    kernels = [kernel for edge in edges for kernel in edge.kernels]
    dense = [map_.contiguous() for map_ in maps]
    return cast(Tensor, Arriving.apply(edges, weights, bare, *dense, *kernels))  # type: ignore[no-untyped-call]


def reached(total: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """What arrives at a node, where `none` of these maps arrives, too: it has zeros for their gradient, as `Zero`."""
    return cast(Tensor, Reached.apply(total, *maps)) if maps else total  # type: ignore[no-untyped-call]


class Arriving(torch.autograd.Function):
    """Differentiable once, as leaving.Leaving is. Keeps the maps; of every round and pool raw result, mean, scale."""

    @staticmethod
    def forward(ctx: Any, edges: Sequence[Edge], weights: Tensor, bare: Tensor | None, *tensors: Tensor) -> Tensor:
        maps, made = tensors[: len(edges)], list[Tensor]()
        for x, edge in zip(maps, edges, strict=True):
            convolve_chain(x, edge.chain, edge.stride, made)
            if edge.pool is not None:
                made += pool(x, edge.pool[1], edge.pool[0], edge.stride)
        ctx.edges, ctx.bare = edges, bare is not None
        ctx.save_for_backward(weights, *tensors, *made)
        total = mix(terms_of(maps, edges, made), weights[None].contiguous())[0]
        return total if bare is None else total.add_(bare)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError("the compiled kernels have no second derivatives; set DARTBOARD_KERNELS=0")
        weights, *rest = ctx.saved_tensors
        edges, count = cast(Sequence[Edge], ctx.edges), len(ctx.edges)
        of_maps, of_kernels = ctx.needs_input_grad[3 : 3 + count], ctx.needs_input_grad[3 + count :]
        maps, made = rest[:count], rest[count + len(of_kernels) :]
        gradient = gradient.contiguous()
        g_mean, g_dot = mix_dots(terms_of(maps, edges, made), [gradient])  # (1, C), (T, 1, C)
        pixels = gradient.numel() // gradient.shape[1]
        dweights = g_dot.sum((1, 2)) * pixels if ctx.needs_input_grad[1] else None
        dbare = g_mean.sum() * pixels if ctx.bare and ctx.needs_input_grad[2] else None
        dmaps, dkernels = list[Tensor | None](), list[Tensor | None]()
        for number, (edge, results) in enumerate(zip(edges, parts(made, edges), strict=True)):
            after = ([gradient], weights[number : number + 1], g_mean, g_dot[number])
            wanted = any(of_kernels[len(dkernels) : len(dkernels) + len(edge.kernels)])
            dx = torch.zeros_like(maps[number]) if of_maps[number] or wanted else None
            dkernels += edge_backward(maps[number], edge, results, after, dx, wanted)
            dmaps.append(dx if of_maps[number] else None)
        return None, dweights, dbare, *dmaps, *dkernels


class Reached(torch.autograd.Function):
    """A map as it is, and gradients of zero for those that add nothing to it: the weights they come from are used."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, *maps: Tensor) -> Tensor:
        ctx.shapes = [map_.shape for map_ in maps]
        return total.view_as(total)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return gradient, *(gradient.new_zeros(()).expand(shape) for shape in ctx.shapes)


def parts(made: Sequence[Tensor], edges: Sequence[Edge]) -> list[Sequence[Tensor]]:
    """What was made, by edge."""
    ends = [*accumulate(edge.num_made for edge in edges)]
    return [made[end - edge.num_made : end] for edge, end in zip(edges, ends, strict=True)]


def terms_of(maps: Sequence[Tensor], edges: Sequence[Edge], made: Sequence[Tensor]) -> list[Term]:
    """What is weighted and added: of each edge the last thing it made, or its map as it is."""
    found = zip(maps, parts(made, edges), strict=True)
    return [(results[-3], results[-2], results[-1]) if results else (x, None, None) for x, results in found]


After = tuple[Sequence[Tensor], Tensor, Tensor, Tensor]  # gradient, weight (1,), means (1, C) of it and times the map


def edge_backward(
    x: Tensor, edge: Edge, made: Sequence[Tensor], after: After, dx: Tensor | None, wanted: bool
) -> Sequence[Tensor | None]:
    """Adds what comes back through the edge to dx; returns the gradients of its kernels if they are wanted."""
    gradients, weight, g_mean, g_dot = after
    if dx is None:
        return [None] * len(edge.kernels)
    if edge.chain:
        found = chain_backward(x, edge.chain, edge.stride, made, after, dx, wanted)
        return found if wanted else [None] * len(edge.kernels)
    if edge.pool is not None:
        shape, largest = shape_of(x, 3, edge.stride, 1, 1), int(edge.pool[0])
        means = (weight * g_mean[0], weight * g_dot[0])
        called(x, "pool_backward", shape, largest, x, *made, gradients, weight, *means, dx)
        return ()
    skip_backward(gradients, weight, dx)
    return ()
