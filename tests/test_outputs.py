"""What a network computes, as an Output, whatever family it is of."""

from random import Random

import pytest
import torch
from torch import Tensor, nn

import tiny
from dartboard import networks
from dartboard.export.folding import predictor
from dartboard.networks import outputs
from dartboard.spaces import SPACES
from dartboard.tasks.task import Output

pytestmark = pytest.mark.usefixtures("global_rng")
SIZES = {"channels": 2, "cells": 3, "num_classes": 5}


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", networks.FAMILIES)
def test_a_network_and_a_supernet_of_every_family_give_their_logits_as_people_get_them(family: str) -> None:
    module, x = networks.module(family), images()
    space = next(one for one in SPACES.values() if one.family == family)
    architecture = space.sample(Random(0))
    network = module.Network(architecture, **{**SIZES, **tiny.fixed(architecture)}).eval()
    for found in given(network, x):
        assert type(found) is Output and found.logits.equal(network(x))
        assert (found.state, found.auxiliary, found.penalty) == (None, None, None)
    torch.testing.assert_close(outputs.output(network, x, form="fast").logits, network(x), rtol=1e-4, atol=1e-5)
    if space.kinds:
        supernet = tiny.supernet(space, num_classes=5).eval()
        for found in given(supernet, x, architecture):
            assert type(found) is Output and found.logits.equal(supernet(x, architecture))


def given(network: nn.Module, x: Tensor, *choice: object) -> list[Output]:
    """What the network says it computes, where it has `output`, and what everybody is told."""
    own = getattr(network, "output", None)
    return [outputs.output(network, x, *choice), *([own(x, *choice)] if own else [])]


def test_a_family_whose_networks_give_logits_only_needs_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Network(nn.Sequential):
        pass

    monkeypatch.setattr(networks.module("nasbench201"), "Network", Network)
    network, x = Network(nn.Flatten(), nn.Linear(3072, 5)), images()
    assert networks.family_of(network) == "nasbench201"
    found = outputs.output(network, x)
    assert type(found) is Output and found.logits.equal(network(x)) and found.auxiliary is None


def test_a_module_of_ones_own_gives_its_logits_drops_nothing_and_is_not_recorded() -> None:
    module, x = nn.Sequential(nn.Flatten(), nn.Linear(3072, 5)), images()
    found = outputs.output(module, x, form="fast", drop=torch.zeros(1))
    assert type(found) is Output and found.logits.equal(module(x)) and found.auxiliary is None
    assert outputs.drawn(module, x, 0.5, torch.Generator()) is None
    assert not outputs.is_recordable(module, "fast") and outputs.auxiliary_head(module) is None
    assert predictor(module)(x).equal(module(x))


def test_both_forms_of_a_network_drop_by_the_same_factors() -> None:
    network = (
        networks.module("darts").Network(SPACES["darts"].sample(Random(0)), image_size=20, **SIZES).double().train()
    )
    x = images().double()
    factors = outputs.drawn(network, x, 0.6, torch.Generator().manual_seed(1))
    assert factors is not None and (factors == 0).any()
    plain, fast = (outputs.output(network, x, drop=factors, form=form) for form in ("plain", "fast"))
    assert plain.auxiliary is not None and fast.auxiliary is not None
    torch.testing.assert_close(fast.logits, plain.logits, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(fast.auxiliary, plain.auxiliary, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(plain.logits, outputs.output(network, x).logits)
    assert outputs.auxiliary_head(network) is network.auxiliary_head and outputs.is_recordable(network, "fast")
    assert not outputs.is_recordable(network, "plain")
