"""The fast form of a network computes what the plain one does: each identity alone, then whole networks in double."""

import copy
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dartboard.formats import published
from dartboard.networks.darts import Network, Supernet, inherit
from dartboard.networks.fast import fast_network
from dartboard.networks.layers import operation
from dartboard.spaces import darts as space
from dartboard.spaces.search_space import Architecture

V2 = published()["DARTS_V2"].architecture
LAYOUTS = [torch.channels_last, torch.contiguous_format]
WIDE = space.space("every operation", "made up", tuple(name for name in space.RECIPES if name != "none"))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def made(architecture: Architecture, **sizes: Any) -> Network:
    """A small network in double with weights from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(architecture, **{"channels": 4, "cells": 3, "num_classes": 3, **sizes}).double().train()


def results(network: Network, form: str, x: Tensor, chance: float) -> dict[str, Tensor]:
    """Both logits, all gradients (the images' too) and all buffers after one step of a copy of the network."""
    network, x = copy.deepcopy(network), x.clone(memory_format=torch.preserve_format).requires_grad_()
    logits, auxiliary = network.logits(x, chance, torch.Generator().manual_seed(3), form)
    loss = logits.square().sum() + (0.0 if auxiliary is None else auxiliary.square().sum())
    loss.backward()  # type: ignore[no-untyped-call]
    found = {"logits": logits, "loss": loss, "images": x.grad, **dict(network.named_buffers())}
    found |= {f"gradient of {name}": parameter.grad for name, parameter in network.named_parameters()}
    return {name: tensor.detach() for name, tensor in found.items() if tensor is not None}


def assert_same(network: Network, x: Tensor, chance: float) -> None:
    plain, fast = results(network, "plain", x, chance), results(network, "fast", x, chance)
    assert plain.keys() == fast.keys()
    for name, wanted in plain.items():
        scale = max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(fast[name] / scale, wanted / scale, rtol=1e-10, atol=1e-10, msg=name)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["channels-last", "channels-first"])
@pytest.mark.parametrize(("stem", "side"), [("cifar", 20), ("cifar", 9), ("imagenet", 40)])
@pytest.mark.parametrize("chance", [0.0, 0.3])
def test_darts_v2_agrees_in_logits_gradients_and_buffers(layout: Any, stem: str, side: int, chance: float) -> None:
    network = made(V2, stem=stem, image_size=side).to(memory_format=layout)  # type: ignore[call-overload]
    assert (network.auxiliary_head is not None) == (side == 20)
    assert_same(network, random(4, 3, side, side).contiguous(memory_format=layout), chance)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6), side=st.sampled_from([7, 8, 12]), chance=st.sampled_from([0.0, 0.5]), last=st.booleans()
)
def test_random_cells_of_every_operation_agree(seed: int, side: int, chance: float, last: bool) -> None:
    layout = torch.channels_last if last else torch.contiguous_format
    network = made(WIDE.sample(Random(seed)), channels=2, image_size=side).to(memory_format=layout)  # type: ignore
    assert_same(network, random(3, 3, side, side, seed=seed).contiguous(memory_format=layout), chance)


def test_a_network_that_inherits_from_a_supernet_agrees() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        supernet = Supernet(channels=4, cells=3, num_classes=3).double()
        network = inherit(supernet, V2)
    assert_same(network, random(4, 3, 8, 8), 0.3)


def test_in_evaluation_nothing_is_dropped_and_running_statistics_are_used() -> None:
    network, x = made(V2, image_size=8), random(4, 3, 8, 8)
    network.logits(x)
    network.eval()
    (plain, none), (fast, nothing) = (network.logits(x, 0.9, None, form) for form in ("plain", "fast"))
    assert none is nothing is None
    torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)


def test_in_single_precision_it_is_as_near_to_double_as_the_plain_form() -> None:
    double, x = made(V2, image_size=8, channels=8).to(memory_format=torch.channels_last), random(16, 3, 8, 8)  # type: ignore
    x = x.contiguous(memory_format=torch.channels_last)
    truth, network = results(double, "plain", x, 0.2), copy.deepcopy(double).float()
    errors = {}
    for form in ("plain", "fast"):
        found = results(network, form, x.float(), 0.2)
        gaps = [(found[name].double() - truth[name]).norm() / truth[name].norm() for name in truth if "grad" in name]
        errors[form] = float(torch.stack(gaps).median())
    assert 0.0 < errors["fast"] < 2.0 * errors["plain"] < 1e-4


# --- The identities --------------------------------------------------------------------------------------------------


def test_a_map_is_rectified_once() -> None:
    node = fast_network.Map(random(2, 4, 6, 6))
    assert node.rectified is node.rectified and torch.equal(node.rectified, node.value.relu())


@pytest.mark.parametrize("side", [6, 7])
def test_every_second_pixel_has_its_gradient_in_the_layout_of_the_map(side: int) -> None:
    x = random(2, 4, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    found = fast_network.every_second(x)
    assert torch.equal(found, x[:, :, ::2, ::2])
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(gradient[:, :, ::2, ::2], torch.ones_like(found)) and gradient.sum() == found.numel()


@pytest.mark.parametrize("name", ["dil_conv_3x3", "dil_conv_5x5"])
@pytest.mark.parametrize(("stride", "side"), [(1, 8), (1, 7), (2, 8), (2, 7)])
def test_a_dilated_convolution_is_one_on_every_second_pixel(name: str, stride: int, side: int) -> None:
    with torch.random.fork_rng():
        conv = operation(name, 4, stride)[1].double()  # type: ignore[index]
    x = random(3, 4, side, side).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fast_network.dilated(conv, x), conv(x), rtol=1e-12, atol=1e-12)


def test_what_is_parted_is_joined_again_and_its_parts_are_the_four_parities() -> None:
    x = random(3, 2, 4, 6)
    parts = fast_network.parted(x).unflatten(0, (2, 2, 3))
    assert all(torch.equal(parts[i, j], x[:, :, i::2, j::2]) for i in (0, 1) for j in (0, 1))
    assert torch.equal(fast_network.joined(fast_network.parted(x)), x)


def test_one_draw_gives_the_masks_of_one_draw_an_operation() -> None:
    network, x = made(V2), random(7, 3, 8, 8)
    factors = fast_network.drawn(network, x, 0.3, torch.Generator().manual_seed(5))
    assert factors is not None
    masks = list(factors)
    generator = torch.Generator().manual_seed(5)
    wanted = [torch.rand(7, 1, 1, 1, generator=generator) < 0.7 for _ in masks]
    assert len(masks) == sum(not isinstance(op, nn.Identity) for cell in network.cells for op in cell.ops)  # type: ignore
    assert all(torch.equal(mask, one.double() / 0.7) for mask, one in zip(masks, wanted, strict=True))


def test_under_autocast_it_computes_what_the_plain_form_does() -> None:
    network, x = made(V2, image_size=8).float(), random(7, 3, 8, 8).float()
    network, x = (one.to(memory_format=torch.channels_last) for one in (network, x))  # type: ignore
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast, plain = (network.logits(x, 0.3, torch.Generator().manual_seed(5), form)[0] for form in ("fast", "plain"))
    assert fast.dtype == plain.dtype == torch.bfloat16
    torch.testing.assert_close(fast, plain, rtol=0.1, atol=0.1)
