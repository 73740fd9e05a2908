"""The largest eigenvalue of the Hessian of a loss in few parameters (alpha), without ever making the Hessian.

Lanczos' method asks only for products of the Hessian with vectors, H v = d/dx (v . dL/dx), and those come from
differentiating a loss twice: one graph of the gradient, then one pass through it for each product. A handful of
products is enough; the dense Hessian takes one for each parameter (224 in the DARTS space).

Differences of gradients, (dL(x + r v) - dL(x - r v)) / 2 r, would do with the first derivatives of the compiled
kernels, but do not measure the same: a ReLU that flips between the two points makes a jump, and the result depends on
r (docs/early-stopping.md has figures; benchmarks/hessian_products.py makes them).

Sources: Lanczos 1950; an eigenvalue lies within the residual beta_k |s_k| of the Ritz value (Parlett, The Symmetric
Eigenvalue Problem, chapter 13). Zela et al. (RobustDARTS, ICLR 2020; automl/RobustDARTS, src/search/analyze.py) make
the complete Hessian, row by row, and take its largest eigenvalue.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # (n,) float64 on the CPU -> (n,)
TOLERANCE = 0.05  # of the residual, as a share of the eigenvalue; the eigenvalue's own error is of its square
MOST_PRODUCTS = 10


@dataclass(frozen=True)
class Eigenvalue:
    """value: the largest one; residual: ||H v - value v|| of the unit vector found; products: with H that it took."""

    value: float
    residual: float
    products: int


def largest_eigenvalue(
    loss: Tensor,
    parameters: Sequence[Tensor],
    generator: torch.Generator,
    *,
    tolerance: float = TOLERANCE,
    most: int = MOST_PRODUCTS,
) -> Eigenvalue:
    """Of the Hessian of a loss () in parameters that require gradients; the loss must be differentiable twice.

    generator: of the CPU, for the vector to begin with; tolerance, most: as of `lanczos`.
    """
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    sizes = [tensor.numel() for tensor in parameters]

    def product(v: Tensor) -> Tensor:
        parts = [part.view_as(like).to(like) for part, like in zip(torch.split(v, sizes), gradients, strict=True)]
        found = torch.autograd.grad(gradients, parameters, parts, retain_graph=True, materialize_grads=True)
        return torch.cat([one.to("cpu", torch.float64).flatten() for one in found])

    return lanczos(product, torch.randn(sum(sizes), generator=generator, dtype=torch.float64), tolerance, most)


def lanczos(product: Product, start: Tensor, tolerance: float, most: int) -> Eigenvalue:
    """The largest eigenvalue of a symmetric operator. start: (n,) float64, not zero.

    Ends when the residual is at most tolerance * |value|, after `most` products, or when the space is exhausted; with
    NaN if a product is not finite.
    Every vector is made orthogonal to all before, twice: with few vectors that is cheap, and nothing is found twice.
    """
    basis = [start / start.norm()]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        w = product(basis[-1])
        if not w.isfinite().all():
            return Eigenvalue(math.nan, math.nan, len(basis))
        diagonal.append(w @ basis[-1])
        known = torch.stack(basis)
        for _ in range(2):
            w = w - known.T @ (known @ w)
        length = w.norm()
        found = ritz(diagonal, beside, length)
        exhausted = len(basis) == len(start) or float(length) <= 1e-13 * abs(found.value)
        if exhausted or len(basis) >= most or found.residual <= tolerance * abs(found.value):
            return found
        beside.append(length)
        basis.append(w / length)


def ritz(diagonal: Sequence[Tensor], beside: Sequence[Tensor], next_length: Tensor) -> Eigenvalue:
    """The largest eigenvalue of the tridiagonal matrix, and its residual beta_k |s_k|."""
    matrix = torch.diag(torch.stack(list(diagonal)))
    if beside:
        off = torch.stack(list(beside))
        matrix = matrix + torch.diag(off, 1) + torch.diag(off, -1)
    values, vectors = torch.linalg.eigh(matrix)
    return Eigenvalue(float(values[-1]), float(next_length * vectors[-1, -1].abs()), len(diagonal))
