"""The depthwise convolution with its own backward is torch's, and so are its gradients of both orders."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dartboard.networks.fast.depthwise import blocks, depthwise, native_kernel_gradient, padding_of, phases, upsampled


def made(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    side=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 2]),
    last=st.booleans(),
)
def test_result_and_gradients_are_those_of_conv2d(size, side, stride, dilation, last):
    layout = torch.channels_last if last else torch.contiguous_format
    x, kernel = made(2, 3, *size, seed=0), made(3, 1, side, side, seed=1)
    images = x.contiguous(memory_format=layout)
    found = depthwise(images, kernel, stride, dilation)
    wanted = F.conv2d(images, kernel, None, stride, padding_of(kernel, dilation), dilation, 3)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    weights = made(*wanted.shape, seed=2).detach()
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), [x, kernel]),
        torch.autograd.grad((wanted * weights).sum(), [x, kernel]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 4)])
def test_a_gradient_at_a_stride_is_one_of_a_map_with_zeros_between_its_pixels(size):
    rows, columns = -(-size[0] // 2), -(-size[1] // 2)
    gradient = made(2, 3, rows, columns, seed=0).detach()
    wanted = torch.zeros(2, 3, *size, dtype=torch.float64)
    wanted[:, :, ::2, ::2] = gradient
    assert torch.equal(upsampled(gradient, torch.Size(size), 2), wanted)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("size", [(8, 6), (7, 9)])
def test_dilation_is_none_on_each_map_of_every_second_pixel(size, side):
    x, kernel = made(2, 3, *size, seed=0).detach(), made(3, 1, side, side, seed=1).detach()
    whole = F.conv2d(x, kernel, None, 1, padding_of(kernel, 2), 2, 3)
    apart = F.conv2d(phases(x, 2), kernel, None, 1, padding_of(kernel, 1), 1, 3).view(2, 2, 2, 3, -1, -(-size[1] // 2))
    for row in range(2):
        for column in range(2):
            wanted = whole[:, :, row::2, column::2]
            found = apart[row, column, :, :, : wanted.shape[2], : wanted.shape[3]]
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", [5, 7])
@pytest.mark.parametrize("size", [(8, 9), (5, 6), (3, 3)])
def test_the_gradient_of_a_large_kernel_consists_of_those_of_narrow_ones(size, side):
    x, gradient = made(2, 3, *size, seed=0).detach(), made(2, 3, *size, seed=1).detach()
    wanted = native_kernel_gradient(x, gradient, (side, side), side // 2)
    torch.testing.assert_close(blocks(x, gradient, side), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("side", "dilation"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_gradcheck_and_gradgradcheck(side, dilation, stride, global_rng):
    inputs = made(1, 2, 5, 4, seed=0), made(2, 1, side, side, seed=1)
    assert torch.autograd.gradcheck(lambda x, w: depthwise(x, w, stride, dilation), inputs)
    assert torch.autograd.gradgradcheck(lambda x, w: depthwise(x, w, stride, dilation), inputs)
