"""Ways to compute the same thing that were compared for the fast supernet in pure torch, each beside torch's own way.

Usage: python benchmarks/alternatives.py [--threads 1] [--batch-size 64] [--repeats 5]
Prints Markdown: milliseconds, the least of the repeats, of the gradient of a depthwise kernel and of the pointwise
convolutions of four edges, in channels_last, at the sizes of the paper's search.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard.networks.fast import depthwise

SIZES = ((16, 32), (32, 16), (64, 8))  # channels of an edge, pixels a side
EDGES = 4


def least_ms(work: Callable[[], object], repeats: int) -> float:
    work()
    found = []
    for _ in range(repeats):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return 1000 * min(found)


def images(batch: int, channels: int, side: int) -> Tensor:
    return torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last)


def by_taps(x: Tensor, gradient: Tensor, side: int) -> Tensor:
    """The gradient of a depthwise kernel as one product and sum a tap."""
    padded, (height, width) = F.pad(x, (side // 2,) * 4), x.shape[-2:]
    taps = [(row, column) for row in range(side) for column in range(side)]
    return torch.stack([(padded[..., i : i + height, j : j + width] * gradient).sum((0, 2, 3)) for i, j in taps], 1)


def kernel_gradients(batch: int, channels: int, side: int, repeats: int) -> None:
    x, gradient = images(batch, channels, side), images(batch, channels, side)
    for size, dilation in ((3, 1), (5, 1), (3, 2), (5, 2)):
        phases = depthwise.phases(x, dilation), depthwise.phases(gradient, dilation)
        kernel, padding = torch.empty(channels, 1, size, size), [dilation * (size // 2)] * 2

        def native(kernel: Tensor = kernel, padding: list[int] = padding, dilation: int = dilation) -> object:
            call, one, none = torch.ops.aten.convolution_backward, [1, 1], [0, 0]
            dilations, wanted = [dilation] * 2, [False, True, False]
            return call(gradient, x, kernel, None, one, padding, dilations, False, none, channels, wanted)

        ways = {
            "torch": native,
            "used": lambda s=size, d=dilation: depthwise.kernel_gradient(x, gradient, s, d),
            "blocks": lambda p=phases, s=size: depthwise.blocks(*p, s) if s == 5 else None,
            "a product a tap": lambda p=phases, s=size: by_taps(*p, s),
        }
        told = [f"{least_ms(way, repeats):.1f}" for way in ways.values()]
        print(f"| {channels} | {side}x{side} | {size}x{size} | {dilation} | {' | '.join(told)} |", flush=True)


def pointwise(batch: int, channels: int, side: int, repeats: int) -> None:
    x, kernel = images(batch, EDGES * channels, side), torch.randn(EDGES * channels, channels, 1, 1)
    rows = x.permute(0, 2, 3, 1).reshape(-1, EDGES * channels)
    parts, kernels = rows.split(channels, 1), kernel.view(EDGES, channels, channels)
    block = torch.block_diag(*kernels)
    stacked = rows.view(-1, EDGES, channels).transpose(0, 1)
    apart = [part.contiguous() for part in parts]
    ways = [
        lambda: [part @ kernel.T for part, kernel in zip(apart, kernels, strict=True)],
        lambda: F.conv2d(x, kernel, groups=EDGES),
        lambda: torch.cat([part @ kernel.T for part, kernel in zip(parts, kernels, strict=True)], 1),
        lambda: torch.bmm(stacked, kernels.transpose(1, 2)).transpose(0, 1).contiguous(),
        lambda: rows @ block.T,
    ]
    print(f"| {channels} | {side}x{side} | {' | '.join(f'{least_ms(way, repeats):.1f}' for way in ways)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("threads", 1), ("batch-size", 64), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    print("| channels | map | kernel | dilation | torch | used | blocks | a product a tap |\n" + "|---" * 8 + "|")
    for channels, side in SIZES:
        kernel_gradients(words.batch_size, 2 * channels, side, words.repeats)
    ways = "a map and a product an edge (used) | grouped convolution | a product an edge | bmm | dense"
    print(f"\n| channels, {EDGES} edges | map | {ways} |")
    print("|---" * 7 + "|")
    for channels, side in SIZES:
        pointwise(words.batch_size, channels, side, words.repeats)


if __name__ == "__main__":
    main()
