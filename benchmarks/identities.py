"""What each identity of the fast forms brings: seconds without it, by seconds with it, both sides interleaved.

Without: the function that uses the identity is replaced, while it is timed, by one that computes the same in the way a
person would write it first. That both compute the same is checked before: the loss and all gradients, in double, of a
network of three cells and two images.
Usage: python benchmarks/identities.py [--threads 1] [--repeats 5] [--batch-size 32] [--only NAME ...] [--quick]
Prints Markdown.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import forms
import torch
from forms import PURE, Size
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.kernels.leaving import Operations, Round
from dartboard.networks.darts import Supernet
from dartboard.networks.fast import depthwise, edges, fast_network, mixed_cell
from dartboard.networks.fast.edges import Entry
from dartboard.spaces import SPACES
from dartboard.spaces.darts import mixed
from dartboard.tasks.images import cross_entropy
from dartboard.training import optimizers

Gradients = Callable[[], list[Tensor]]  # of one pass forward and backward; the loss first


@dataclass(frozen=True)
class Identity:
    """where: the work that shows it; changes: (owner, name, replacement) of what is computed without it."""

    name: str
    where: str
    what: str
    changes: Sequence[tuple[Any, str, Any]]

    @contextmanager
    def left_out(self) -> Iterator[None]:
        patches = [patch.object(*change) for change in self.changes]
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in patches:
                one.stop()


# --- Without: mixed_cell.py -------------------------------------------------------------------------------------------


def edge_by_edge(x: Tensor, rounds: Sequence[Round], weights: Tensor) -> Tensor:
    """`separable`, a convolution an edge."""
    parts = []
    for edge, weight in enumerate(weights):
        own = [Round([one.depthwise[edge]], [one.pointwise[edge]], [one.norms[edge]]) for one in rounds]
        parts.append(SEPARABLE(x, own, weight[None]))
    return torch.cat(parts, dim=1)


def pools_apart(x: Tensor, weights: Tensor, operations: Operations) -> Sequence[Tensor]:
    """`in_torch`, with a pool and a BatchNorm for every edge."""
    rest = Operations(operations.chains, (), operations.skip, operations.stride)
    found = list(IN_TORCH(x, weights, rest)) if operations.chains or operations.skip is not None else []
    for index, largest, norms in operations.pools:
        own = [mixed_cell.pooled(x, largest, [norm], operations.stride) for norm in norms]
        terms = [weight * one for weight, one in zip(weights[:, index], own, strict=True)]
        found = [a + b for a, b in zip(found, terms, strict=True)] if found else terms
    return found


def norm_then_weight(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], weights: Tensor | None, shared: bool = False
) -> Tensor:
    """`normalised`, with the weight after the norm."""
    result = NORMALISED(x, norms, None, shared)
    return result if weights is None else result * weights.repeat_interleave(norms[0].num_features).view(1, -1, 1, 1)


SEPARABLE, IN_TORCH, NORMALISED = mixed_cell.separable, mixed_cell.in_torch, mixed_cell.normalised


# --- Without: edges.py and depthwise.py -------------------------------------------------------------------------


def all_edges(x: Tensor, weights: Tensor, operations: Operations, differentiable: Any) -> Any:
    """`edges.leave`: all edges side by side."""
    return differentiable(x, weights, operations)


def pools_backward_an_edge(
    x: Tensor, weights: Tensor, operations: Operations, pools: Any, gradients: Any, dx: Tensor
) -> None:
    """`pools_backward`, edge by edge."""
    for gradient, row in zip(gradients, weights, strict=True):
        POOLS_BACKWARD(x, row[None], operations, pools, [gradient], dx)


def torchs_own(entry: Entry, gradient: Tensor, side: int) -> Tensor:
    """`depthwise_kernel_gradient`, as torch computes it."""
    return edges.strided_gradient(entry, gradient, entry.map.new_empty(entry.map.shape[1], 1, side, side), 1)


def torchs_own_input(entry: Entry, gradient: Tensor, kernel: Tensor) -> Tensor:
    """`depthwise_input_gradient`, as torch computes it."""
    return edges.strided_gradient(entry, gradient, kernel, 0)


POOLS_BACKWARD = edges.pools_backward


SMALL, LARGE, TRAINING = "pure torch, small maps", "pure torch, large maps", "training"
IDENTITIES = (
    Identity("pooled", SMALL, "one pool and BatchNorm for all edges", [(mixed_cell, "in_torch", pools_apart)]),
    Identity("convolved", SMALL, "one convolution for the edges of a node", [(mixed_cell, "separable", edge_by_edge)]),
    Identity("composed", SMALL, "depthwise and pointwise as one dense convolution",
             [(mixed_cell, "SMALL_WORK", 0), (edges, "leave", all_edges)]),
    Identity("normalised", SMALL, "the weight as BatchNorm's scale", [(mixed_cell, "normalised", norm_then_weight)]),
    Identity("leave", LARGE, "edge by edge, and little kept", [(edges, "leave", all_edges)]),
    Identity("skipping", LARGE, "dilation 2 at stride 2 is none", [(edges, "skipping", Entry)]),
    Identity("tall_product", LARGE, "a product over all pixels in pieces",
             [(edges, "tall_product", lambda one, other: one.T @ other)]),
    Identity("pool_backward", LARGE, "the edges' gradients added before the pool",
             [(edges, "pools_backward", pools_backward_an_edge)]),
    Identity("input_gradient", LARGE, "a convolution with the turned kernel",
             [(edges, "depthwise_input_gradient", torchs_own_input)]),
    Identity("phases", LARGE, "depthwise kernels' gradients of every d-th pixel, by blocks",
             [(edges, "depthwise_kernel_gradient", torchs_own)]),
    Identity("blocks", LARGE, "a 5x5 kernel's gradient as two of 5x3", [(depthwise, "CACHED", 0)]),
    Identity("dilated", TRAINING, "a dilated convolution as a plain one on every second pixel",
             [(fast_network, "dilated", lambda conv, x: conv(x))]),
)  # fmt: skip


# --- The works -------------------------------------------------------------------------------------------------------


def of_search(size: Size, dtype: torch.dtype = torch.float32) -> Gradients:
    """Loss and all gradients of one pass of the supernet."""
    torch.manual_seed(0)
    sizes = {"channels": size.channels, "cells": size.cells, "num_classes": 10, "in_channels": 3}
    supernet = Supernet(**sizes, form="fast", operations=mixed(SPACES["darts"])).to(memory_format=torch.channels_last)
    supernet = supernet.to(dtype)
    shapes = supernet.choice_shapes().items()
    alpha = {kind: torch.randn(shape, dtype=dtype, requires_grad=True) for kind, shape in shapes}
    x, y = images(size, dtype)
    inputs = [*supernet.parameters(), *alpha.values()]

    def work() -> list[Tensor]:
        loss = F.cross_entropy(supernet(x, {kind: logits.softmax(-1) for kind, logits in alpha.items()}), y)
        return [loss.detach(), *optimizers.gradient(loss, inputs)]

    return work


def images(size: Size, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x = torch.randn(size.batch_size, 3, size.image_size, size.image_size, dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last), torch.arange(size.batch_size) % 10


def of_training(size: Size, dtype: torch.dtype = torch.float32) -> Gradients:
    """Loss and all gradients of one pass of DARTS_V2, drop path included."""
    torch.manual_seed(0)
    network = forms.drawn(size).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    network = network.to(dtype)
    x, y = images(size, dtype)

    def work() -> list[Tensor]:
        logits, auxiliary = network.logits(x, 0.2, torch.Generator().manual_seed(1), "fast")
        loss = cross_entropy(logits, y)
        loss = loss if auxiliary is None else loss + cross_entropy(auxiliary, y)
        return [loss.detach(), *optimizers.gradient(loss, list(network.parameters()))]

    return work


def works(batch_size: int, quick: bool) -> dict[str, tuple[Size, Callable[..., Gradients]]]:
    if quick:
        small, large = Size(2, 3, batch_size, 8), Size(16, 3, batch_size, 32)
        return {
            SMALL: (small, of_search),
            LARGE: (large, of_search),
            TRAINING: (Size(4, 3, batch_size, 32), of_training),
        }
    small, large, trained = Size(4, 4, 64, 8), Size(16, 8, batch_size, 32), Size(36, 20, batch_size, 32)
    return {SMALL: (small, of_search), LARGE: (large, of_search), TRAINING: (trained, of_training)}


def difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """The greatest relative distance of two results, tensor by tensor, in the norm of all of them."""
    norm = max(float(tensor.norm()) for tensor in one)
    return max(float((a - b).norm()) for a, b in zip(one, other, strict=True)) / norm


def apart(identity: Identity, work: Gradients) -> float:
    """How far the results with and without lie apart."""
    found = work()
    with identity.left_out():
        return difference(found, work())


def measured(identity: Identity, work: Gradients, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds with and without, after a pass of each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    work()
    with identity.left_out():
        work()
    for _ in range(repeats):
        seconds[0].append(timed(work))
        with identity.left_out():
            seconds[1].append(timed(work))
    return seconds


def timed(work: Gradients) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--only", nargs="+", default=[one.name for one in IDENTITIES])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    flags = parser.parse_args(words)
    torch.set_num_threads(flags.threads)
    print("| work | identity | what it says | s with | s without | ratio, lowest to highest | apart |")
    print("|---|---|---|---|---|---|---|")
    for where, (size, make) in works(flags.batch_size, flags.quick).items():
        chosen = [one for one in IDENTITIES if one.where == where and one.name in flags.only]
        if not chosen:
            continue
        with PURE.chosen():
            work, small = make(size), make(replace(size, cells=3, batch_size=2), torch.float64)
            for one in chosen:
                distance = apart(one, small)
                if not distance < CLOSE:
                    raise SystemExit(f"{one.name}: not the same function ({distance})")
                with_, without = measured(one, work, flags.repeats)
                ratios = sorted(b / a for a, b in zip(with_, without, strict=True))
                middle = statistics.median(without) / statistics.median(with_)
                span = f"{middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
                told = f"{statistics.median(with_):.3g} | {statistics.median(without):.3g} | {span} | {distance:.0e}"
                print(f"| {where}: {size} | {one.name} | {one.what} | {told} |", flush=True)


CLOSE = 1e-8  # in double, through many norms of few numbers

if __name__ == "__main__":
    main()
