"""The depthwise convolution with its own backward is torch's, and so are its gradients of both orders."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dartboard.depthwise import depthwise, padding_of


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


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("side", "dilation"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_gradcheck_and_gradgradcheck(side, dilation, stride, global_rng):
    inputs = made(1, 2, 5, 4, seed=0), made(2, 1, side, side, seed=1)
    assert torch.autograd.gradcheck(lambda x, w: depthwise(x, w, stride, dilation), inputs)
    assert torch.autograd.gradgradcheck(lambda x, w: depthwise(x, w, stride, dilation), inputs)
