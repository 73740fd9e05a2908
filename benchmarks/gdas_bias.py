"""How far GDAS's gradient in alpha is from the exact gradient of the expected loss, on a toy of two edges.

Two edges lead one after the other from an image of noise to its classes; each offers `none`, a skip connection and two
1x1 convolutions with a ReLU before them, 16 architectures in all. The exact gradient is that of the sum of
softmax(alpha) times loss over all of them. The estimator is what methods/gdas.py computes: the straight-through
gradient of one hard draw, here of N draws with their mean and standard error, at several temperatures, with and
without the bare numbers. Beside it REINFORCE's, loss times grad log p, on the same draws, which has no bias.

bias: norm of (mean - exact) over the norm of the exact gradient. error: what draws alone would make of it if there were
no bias, sqrt of the summed squared standard errors, over the same norm. cosine: of mean and exact. spread: root mean
square distance of a single draw from the mean, over the same norm.

Usage: python benchmarks/gdas_bias.py [--draws 20000] [--seed 0]
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.methods import gdas
from dartboard.networks.layers import Zero
from dartboard.networks.rows import Row, brought

OPERATIONS = ("none", "skip_connect", "conv_one", "conv_other")
CHANNELS, CLASSES, IMAGES = 4, 4, 16
TEMPERATURES = (10.0, 3.0, 1.0, 0.3, 0.1)
UNDRAWN: tuple[gdas.Undrawn, ...] = ("scalars", "none")


class Toy(nn.Module):
    """Two edges, one after the other; the mean of the last map gives the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.ModuleList(nn.ModuleList([Zero(1), nn.Identity(), conv(), conv()]) for _ in range(2))
        self.x = 6 * torch.randn(IMAGES, CHANNELS, 3, 3)
        self.y = torch.arange(IMAGES) % CLASSES

    def loss(self, rows: Sequence[Row]) -> Tensor:
        """Cross entropy of what the rows of both edges compute."""
        x = self.x
        for row, layers in zip(rows, self.edges, strict=True):
            x = brought(row, OPERATIONS, layers, x)  # type: ignore[arg-type]
        return F.cross_entropy(x.mean((2, 3)), self.y)


def conv() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False))


def exact(toy: Toy, alpha: Tensor) -> Tensor:
    """Gradient in alpha of the expected loss, by all architectures."""
    p = alpha.softmax(dim=-1)
    terms = [p[0, i] * p[1, j] * loss_of(toy, i, j) for i, j in product(range(len(OPERATIONS)), repeat=2)]
    return torch.autograd.grad(torch.stack(terms).sum(), alpha)[0]


@torch.no_grad()
def loss_of(toy: Toy, *places: int) -> Tensor:
    return toy.loss([OPERATIONS[place] for place in places])


def straight_through(toy: Toy, alpha: Tensor, tau: float, undrawn: gdas.Undrawn, generator: torch.Generator) -> Tensor:
    """GDAS's gradient of one draw."""
    rows = gdas.rows(gdas.hard_sample(alpha, tau, generator), (OPERATIONS,) * 2, undrawn)
    return torch.autograd.grad(toy.loss(rows), alpha)[0]


def reinforce(toy: Toy, alpha: Tensor, generator: torch.Generator) -> Tensor:
    """loss * grad log p of one draw."""
    with torch.no_grad():
        places = gdas.hard_sample(alpha, 1.0, generator).argmax(dim=-1)
    log_p = alpha.log_softmax(dim=-1).gather(-1, places[:, None]).sum()
    return loss_of(toy, *places.tolist()) * torch.autograd.grad(log_p, alpha)[0]


def line(name: str, tau: str, gradients: Tensor, truth: Tensor) -> str:
    """A row of the table. gradients: (draws, edges, operations)."""
    mean, size = gradients.mean(dim=0), truth.norm()
    spread = gradients.var(dim=0).sum().sqrt() / size
    bias, cosine = (mean - truth).norm() / size, F.cosine_similarity(mean.flatten(), truth.flatten(), dim=0)
    error = spread / len(gradients) ** 0.5
    return f"| {name} | {tau} | {bias:.3f} | {error:.3f} | {cosine:.3f} | {mean.norm() / size:.3f} | {spread:.2f} |"


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    toy, alpha = Toy(), torch.randn(2, len(OPERATIONS)).requires_grad_()
    toy.requires_grad_(False)
    truth = exact(toy, alpha)
    print(f"{options.draws} draws, seed {options.seed}; norm of the exact gradient {truth.norm():.4f}\n")
    print("| estimator | tau | bias | error | cosine | length of the mean | spread |\n|---|---|---|---|---|---|---|")
    for undrawn in UNDRAWN:
        for tau in TEMPERATURES:
            generator = torch.Generator().manual_seed(options.seed)
            found = [straight_through(toy, alpha, tau, undrawn, generator) for _ in range(options.draws)]
            print(line(f"GDAS, `{undrawn}`", f"{tau:g}", torch.stack(found), truth), flush=True)
    generator = torch.Generator().manual_seed(options.seed)
    found = [reinforce(toy, alpha, generator) for _ in range(options.draws)]
    print(line("REINFORCE", "", torch.stack(found), truth))


if __name__ == "__main__":
    main(sys.argv[1:])
