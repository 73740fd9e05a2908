"""The largest eigenvalue by products against dense Hessians, and how much work it is."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dartboard.methods.darts import mixture
from dartboard.networks.darts import Supernet
from dartboard.networks.fast.mixed_cell import twice_differentiable
from dartboard.search import early_stopping
from dartboard.search.early_stopping import SHARE, num_images
from dartboard.search.hessian import MOST_PRODUCTS, lanczos, largest_eigenvalue
from dartboard.tasks.images import cross_entropy

S2 = ("skip_connect", "sep_conv_3x3")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(operations: tuple[str, ...], seed: int, form: str) -> tuple[Supernet, dict[str, Tensor], Tensor, Tensor]:
    """A small supernet in double, two nodes a cell, with its alpha and a batch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = {"channels": 2, "cells": 3, "num_classes": 3, "in_channels": 1, "num_nodes": 2}
        module = Supernet(**sizes, operations=operations, form=form).double()
    alpha = {
        kind: (0.3 * torch.randn(shape, generator=rng(seed), dtype=torch.float64)).requires_grad_()
        for kind, shape in module.choice_shapes().items()
    }
    return module, alpha, torch.randn(6, 1, 8, 8, generator=rng(seed), dtype=torch.float64), torch.arange(6) % 3


@pytest.mark.parametrize(
    ("operations", "seed"),
    [(S2, 0), (("none", *S2), 1), (("max_pool_3x3", "avg_pool_3x3", "dil_conv_3x3"), 2)],
)
def test_the_eigenvalue_in_alpha_is_that_of_the_dense_hessian(operations: tuple[str, ...], seed: int) -> None:
    module, alpha, x, y = small(operations, seed, "plain")
    shapes = [tensor.shape for tensor in alpha.values()]

    def loss(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        named = {kind: part.view(shape) for kind, part, shape in zip(alpha, parts, shapes, strict=True)}
        return cross_entropy(module(x, mixture(named)), y)

    flat = torch.cat([tensor.detach().flatten() for tensor in alpha.values()])
    dense = torch.autograd.functional.hessian(loss, flat)  # type: ignore[no-untyped-call]
    expected = float(torch.linalg.eigvalsh(dense)[-1])
    found = largest_eigenvalue(
        cross_entropy(module(x, mixture(alpha)), y), list(alpha.values()), rng(9), tolerance=1e-7, most=len(flat)
    )
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert expected > 0
    coarse = largest_eigenvalue(cross_entropy(module(x, mixture(alpha)), y), list(alpha.values()), rng(9))
    assert coarse.value == pytest.approx(expected, rel=0.02)
    assert coarse.products <= MOST_PRODUCTS


def test_a_quadratic_has_the_eigenvalue_it_was_made_with() -> None:
    """L = x' A x / 2 with eigenvalues -9, 1, 2, 5: the largest, not the one of largest size."""
    turned, _ = torch.linalg.qr(torch.randn(4, 4, generator=rng(), dtype=torch.float64))
    matrix = turned @ torch.diag(torch.tensor([-9.0, 1.0, 2.0, 5.0], dtype=torch.float64)) @ turned.T
    one, other = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    x = torch.cat([one, other])
    found = largest_eigenvalue(0.5 * x @ matrix @ x, [one, other], rng(1), tolerance=1e-9)
    assert found.value == pytest.approx(5.0, rel=1e-12)
    assert found.products == 4


@pytest.mark.parametrize("seed", range(4))
def test_the_residual_bounds_the_error(seed: int) -> None:
    half = torch.randn(40, 40, generator=rng(seed), dtype=torch.float64)
    matrix = half + half.T
    values = torch.linalg.eigvalsh(matrix)
    for most in (3, 6, 12, 40):
        found = lanczos(lambda v: matrix @ v, torch.randn(40, generator=rng(7), dtype=torch.float64), 0.0, most)
        assert float((values - found.value).abs().min()) <= found.residual + 1e-12
        assert found.value <= float(values[-1]) + 1e-12
    assert found.value == pytest.approx(float(values[-1]), rel=1e-12)


def test_what_is_no_number_is_told_and_not_decomposed() -> None:
    assert math.isnan(lanczos(lambda v: v * math.nan, torch.ones(3, dtype=torch.float64), 0.1, 5).value)


def test_a_loss_that_is_linear_has_no_curvature() -> None:
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    unused = torch.ones(2, dtype=torch.float64, requires_grad=True)
    assert largest_eigenvalue((x * torch.arange(3)).sum() + 0 * x.square().sum(), [x, unused], rng()).value == 0.0


def test_the_fast_form_can_be_differentiated_twice_without_its_kernels() -> None:
    values = []
    for form in ("fast", "plain"):
        module, alpha, x, y = small(("none", "max_pool_3x3", *S2), 0, form)
        with twice_differentiable():
            loss = cross_entropy(module(x, mixture(alpha)), y)
            values.append(largest_eigenvalue(loss, list(alpha.values()), rng(), tolerance=1e-6, most=40).value)
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_a_reading_counts_a_tenth_of_the_passes_between_two_at_most() -> None:
    """Passes of one image forward and backward: the most that Lanczos' method may take, against two an epoch."""
    for batch_size, every, num_train in [(64, 2, 25_000), (64, 2, 719), (96, 1, 5_000), (256, 5, 2_000)]:
        images = num_images(batch_size, every, num_train)
        assert images * (1 + 2 * MOST_PRODUCTS) <= SHARE * every * 2 * num_train
        assert 8 <= images <= batch_size // 4
    assert num_images(64, 2, 25_000) == 16
    assert num_images(64, 1, 40) == early_stopping.FEWEST


def test_the_passes_of_a_reading_are_those_that_are_counted() -> None:
    """One graph of the gradient, then one pass through it for each product: what PASSES rests on."""
    passes: list[int] = []

    def product(v: Tensor) -> Tensor:
        passes.append(1)
        return torch.from_numpy(np.linspace(1, 3, len(v))) * v

    found = lanczos(product, torch.randn(50, generator=rng(), dtype=torch.float64), 0.0, MOST_PRODUCTS)
    assert len(passes) == found.products == MOST_PRODUCTS
