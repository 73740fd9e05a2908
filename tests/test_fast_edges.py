"""Edge by edge in pure torch: each identity alone, then against the plain operations, gradients of both orders."""

import copy

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dartboard.kernels.leaving import Operations
from dartboard.networks.fast import edges, mixed_cell
from dartboard.networks.layers import operation
from dartboard.networks.mixed_cell import MixedOperation

NAMES = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def edges_of(names: tuple[str, ...], count: int, channels: int, stride: int) -> list[MixedOperation]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return [MixedOperation(names, channels, stride).double() for _ in range(count)]


def known(edges: list[MixedOperation], stride: int) -> Operations:
    operations = mixed_cell.grouped(edges, stride).known
    assert operations is not None
    return operations


def leave(x: torch.Tensor, weights: torch.Tensor, operations: Operations) -> tuple[torch.Tensor, ...]:
    return edges.leave(x, weights, operations, mixed_cell.in_torch)


def without_skip(names: tuple[str, ...], stride: int) -> tuple[str, ...]:
    return tuple(name for name in names if name != "skip_connect" or stride == 1)


def raw_of(y: torch.Tensor, norm: nn.BatchNorm2d) -> edges.Raw:
    return edges.Raw(y, *edges.statistics(y, norm))


@pytest.mark.parametrize("side", [7, 8])
def test_dilation_at_the_same_stride_is_none_on_every_second_pixel(side):
    x, kernel = random(2, 3, side, side), random(3, 1, 5, 5, seed=1)
    entry = edges.skipping(x, 2, 2)
    assert (entry.stride, entry.dilation) == (1, 1)
    torch.testing.assert_close(edges.depthwise(entry, kernel), F.conv2d(x, kernel, None, 2, 4, 2, 3), **CLOSE)


def test_the_gradient_through_a_norm_needs_its_input_and_statistics_only():
    norm, y, factor = nn.BatchNorm2d(3, affine=False).double(), random(4, 3, 5, 5), random(3, seed=1)
    gradient = random(4, 3, 5, 5, seed=2)
    leaves = [y.clone().requires_grad_(), factor.clone().requires_grad_()]
    wanted = torch.autograd.grad(leaves[1].view(1, 3, 1, 1) * copy.deepcopy(norm)(leaves[0]), leaves, gradient)
    found = edges.through_norm(gradient, raw_of(y, norm), factor, norm)
    torch.testing.assert_close(found, wanted, **CLOSE)


@pytest.mark.parametrize("rows", [24, 25])
def test_a_product_over_all_pixels_is_the_sum_of_those_over_some(rows):
    one, other = random(rows, 3), random(rows, 5, seed=1)
    torch.testing.assert_close(edges.tall_product(one, other), one.T @ other, **CLOSE)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_of_a_pool_needs_its_input_only(largest, stride):
    x = random(2, 3, 5, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = operation("max_pool_3x3" if largest else "avg_pool_3x3", 3, stride)(x)
    gradient = random(*y.shape, seed=1)
    (wanted,) = torch.autograd.grad(y, x, gradient)
    torch.testing.assert_close(edges.pool_backward(gradient, x.detach(), largest, stride), wanted, **CLOSE)


@settings(max_examples=25)
@given(
    names=st.sets(st.sampled_from([*NAMES, "sep_conv_7x7"]), min_size=1).map(lambda names: ("none", *sorted(names))),
    count=st.integers(1, 3),
    channels=st.integers(1, 5),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    stride=st.sampled_from([1, 2]),
    leaf=st.booleans(),
)
@example(names=("none", "dil_conv_3x3"), count=1, channels=1, size=(1, 3), stride=2, leaf=True)  # one row of pixels
@example(names=("none", "dil_conv_3x3"), count=1, channels=1, size=(2, 1), stride=2, leaf=True)
def test_what_leaves_a_node_and_all_gradients_are_those_of_the_plain_operations(
    names, count, channels, size, stride, leaf
):
    names = without_skip(names, stride)
    if len(names) == 1:
        return
    edges = edges_of(names, count, channels, stride)
    plain = copy.deepcopy(edges)
    x = random(3, channels, *size).requires_grad_(leaf)
    weights = random(count, len(names), seed=1).requires_grad_()
    found = leave(x, weights, known(edges, stride))
    wanted = [edge(x, row) for edge, row in zip(plain, weights, strict=True)]
    for one, other in zip([*found, *gradients_of(found, x, weights, edges)],
                          [*wanted, *gradients_of(wanted, x, weights, plain)], strict=True):  # fmt: skip
        scale = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(one / scale, other / scale, rtol=1e-10, atol=1e-10)
    for edge, other in zip(edges, plain, strict=True):
        for one, two in zip(edge.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(one, two, **CLOSE)


def gradients_of(
    out: list[torch.Tensor], x: torch.Tensor, weights: torch.Tensor, edges: list[MixedOperation]
) -> tuple[torch.Tensor, ...]:
    loss = sum((part * random(*part.shape, seed=4)).sum() for part in out)
    inputs = [weights, *(p for edge in edges for p in edge.parameters()), *([x] if x.requires_grad else [])]
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_hand_written_backward_passes_gradcheck_and_gradgradcheck(stride, global_rng):
    names = without_skip(("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"), stride)
    operations = known(edges_of(names, 2, 2, stride), stride)
    x, weights = random(2, 2, 4, 3).requires_grad_(), random(2, len(names), seed=1).requires_grad_()
    inputs = (x, weights, *operations.kernels)
    assert torch.autograd.gradcheck(lambda x, w, *_: leave(x, w, operations), inputs)
    assert torch.autograd.gradgradcheck(lambda x, w, *_: leave(x, w, operations), inputs, fast_mode=True)


def test_a_second_derivative_moves_running_statistics_no_further():
    edges = edges_of(NAMES, 1, 2, 1)
    x, weights = random(3, 2, 4, 4).requires_grad_(), torch.full((1, len(NAMES)), 0.2, dtype=torch.float64)
    (out,) = leave(x, weights, known(edges, 1))
    before = [buffer.clone() for buffer in edges[0].buffers()]
    torch.autograd.grad(out.square().sum(), x, create_graph=True)
    assert all(torch.equal(one, other) for one, other in zip(before, edges[0].buffers(), strict=True))


def test_weights_that_want_no_gradient_get_none_and_change_no_other_gradient():
    operations = known(edges_of(NAMES, 2, 4, 1), 1)
    x, weights = random(3, 4, 8, 8).requires_grad_(), torch.full((2, len(NAMES)), 0.2, dtype=torch.float64)
    weights.requires_grad_()

    def gradients() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(sum(part.square().sum() for part in leave(x, weights, operations)), [x, weights])

    whole = gradients()
    for kernel in operations.kernels:
        kernel.requires_grad_(False)
    assert all(torch.equal(one, other) for one, other in zip(whole, gradients(), strict=True))
