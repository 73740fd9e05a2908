"""The largest eigenvalue of the Hessian in alpha of a searched supernet, by differentiating twice and by differences of
gradients at several radii: how the value settles with the number of products, what it makes of a radius, seconds.

Usage: python benchmarks/hessian_products.py [--space s2] [--images 64] [--epochs 3]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from dartboard.config import Setup
from dartboard.data import load_data, normalise
from dartboard.methods import darts
from dartboard.networks.fast.mixed_cell import twice_differentiable
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import restored_buffers
from dartboard.search.hessian import Product, lanczos, largest_eigenvalue
from dartboard.spaces import SPACES
from dartboard.tasks.images import cross_entropy
from dartboard.training import optimizers

RADII = (1e-1, 1e-2, 5e-3, 1e-3, 1e-4, 1e-5)
COUNTS = (2, 3, 4, 5, 6, 8, 10, 15)
Loss = Callable[[], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="s2", choices=list(SPACES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data("digits")
    config = darts.Config(channels=8, cells=4, epochs=options.epochs, crop_padding=1, flip=False, alpha_lr=0.003)
    with tempfile.TemporaryDirectory() as folder, Run.create(f"{folder}/run", config, setup=Setup(device="cpu")) as run:
        found = darts.search(config, SPACES[options.space], data, run)
    for dtype in (torch.float32, torch.float64):
        net = found.supernet.to(dtype)
        alpha = {kind: tensor.to(dtype).requires_grad_() for kind, tensor in found.alpha.items()}
        x = normalise(data.val.images[torch.arange(options.images)], data.mean, data.std).to(dtype)
        loss = partial(loss_of, net, alpha, x, data.val.labels[: options.images])
        with restored_buffers(net), optimizers.frozen(list(net.parameters())):
            compare(list(alpha.values()), loss, str(dtype))


def loss_of(net: nn.Module, alpha: Mapping[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(net(x, darts.mixture(alpha)), y)


def compare(alpha: list[Tensor], loss: Loss, title: str) -> None:
    rng = partial(torch.Generator().manual_seed, 1)
    print(f"\n{title}\none gradient, compiled: {seconds(lambda: torch.autograd.grad(loss(), alpha))}")
    with twice_differentiable():
        graph = loss()
        for count in COUNTS:
            started = time.perf_counter()
            one = largest_eigenvalue(graph, alpha, rng(), tolerance=0.0, most=count)
            took = time.perf_counter() - started
            print(f"twice, {count:2} products: {one.value:.6f}, residual {one.residual:.2e}, {took:.3f} s")
    start = torch.randn(sum(tensor.numel() for tensor in alpha), generator=rng(), dtype=torch.float64)
    for radius in RADII:
        value = lanczos(by_differences(alpha, loss, radius), start, 0.0, 15).value
        print(f"differences, radius {radius:g}: {value:.6f}")


def by_differences(alpha: list[Tensor], loss: Loss, radius: float) -> Product:
    """H v as (gradient(x + r v) - gradient(x - r v)) / (2 r)."""
    original = [tensor.detach().clone() for tensor in alpha]

    def gradient(v: Tensor, step: float) -> Tensor:
        parts = torch.split(v, [tensor.numel() for tensor in alpha])
        with torch.no_grad():
            for tensor, before, part in zip(alpha, original, parts, strict=True):
                tensor.copy_(before.double() + step * part.view_as(before))
        found = torch.cat([one.double().flatten() for one in torch.autograd.grad(loss(), alpha)])
        optimizers.restore(alpha, original)
        return found

    return lambda v: (gradient(v, radius) - gradient(v, -radius)) / (2 * radius)


def seconds(work: Callable[[], object]) -> str:
    times = []
    for _ in range(4):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return f"{statistics.median(times[1:]):.3f} s ({min(times[1:]):.3f} to {max(times[1:]):.3f}, n = 3)"


if __name__ == "__main__":
    main()
