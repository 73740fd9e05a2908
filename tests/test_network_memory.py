"""Memory of a network: closed forms of small ones, storages of real tensors, and mobile networks without counting."""

import weakref
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from dartboard import networks, spaces
from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.networks.outputs import auxiliary_head
from dartboard.scoring.cost import count, count_module
from dartboard.scoring.limits import Limit, limits_from, sample_within
from dartboard.spaces import mobilenet
from dartboard.spaces.families import FAMILIES
from dartboard.testing import tiny

SIDE, BYTES = 12, 4


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with tiny.seeded():
        yield


def memory_bytes(module: nn.Module, side: int = SIDE) -> int:
    return round(1e6 * count_module(module.eval(), side).memory_mb)


def test_a_chain_of_convolutions_has_its_two_largest_neighbours_at_once() -> None:
    chain = nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.Conv2d(5, 11, 1), nn.Conv2d(11, 2, 3, 2, 1, bias=False))
    weights = 3 * 5 + 5 * 11 + 11 + 11 * 2 * 9
    assert memory_bytes(chain) == BYTES * (weights + (5 + 11) * SIDE**2)


def test_batch_norm_makes_a_map_and_has_statistics_and_what_is_in_place_makes_none() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    assert memory_bytes(layers) == BYTES * (3 * 8 + 4 * 8 + (8 + 8) * SIDE**2)
    separate = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(inplace=True), nn.ReLU(inplace=True))
    assert memory_bytes(separate) == BYTES * (3 * 2 + (3 + 2) * SIDE**2)


class Residual(nn.Module):
    """x + project(expand(x)), and before it a convolution that makes x."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1, bias=False)
        self.expand, self.project = nn.Conv2d(4, wide, 1, bias=False), nn.Conv2d(wide, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return x + self.project(self.expand(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize("wide", [2, 3, 9])
def test_a_shortcut_is_live_until_it_is_added(wide: int) -> None:
    most = max(4 + wide + 4, 4 + 4 + 4)  # at the projection, at the sum
    assert memory_bytes(Residual(wide)) == BYTES * (3 * 4 + 2 * 4 * wide + most * SIDE**2)


class Halves(nn.Module):
    """Convolutions of both halves of a map, one after the other: views, which are the map."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(5, 3, 1, bias=False), nn.Conv2d(5, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.cat([x, x, x, x[:, :1]], dim=1).chunk(2, dim=1)
        return torch.cat([self.one(first), self.other(second)], dim=1)


def test_a_view_is_the_map_it_shows_and_that_is_live_as_long_as_the_view() -> None:
    most = max(3 + 10, 10 + 3 + 4, 7 + 7)
    assert memory_bytes(Halves()) == BYTES * (5 * 7 + most * SIDE**2)


# --- Real tensors -----------------------------------------------------------------------------------------------------


class Storages(TorchDispatchMode):
    """The most bytes of storages of real numbers that operators have made and that are still there."""

    def __init__(self, first: Tensor, weights: set[int]) -> None:
        super().__init__()
        self.weights, self.peak = weights, 0
        self.made: list[Any] = [weakref.ref(first)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.made += [weakref.ref(one) for one in flat(result) if isinstance(one, Tensor)]
        self.made = [one for one in self.made if one() is not None]
        storages = [one().untyped_storage() for one in self.made if one().is_floating_point()]
        sizes = {one.data_ptr(): one.nbytes() for one in storages if one.data_ptr() not in self.weights}
        self.peak = max(self.peak, sum(sizes.values()))
        return result


def flat(result: Any) -> Any:
    return result if isinstance(result, list | tuple) else (result,)


def measured_bytes(module: nn.Module, side: int) -> int:
    """Weights and the peak of a real run of torch's operators, one by one, each result released after its last use."""
    auxiliary = auxiliary_head(module)
    left_out = set() if auxiliary is None else {id(one) for one in (*auxiliary.parameters(), *auxiliary.buffers())}
    weights = [one for one in (*module.parameters(), *module.buffers()) if one.is_floating_point()]
    with torch.no_grad():
        graph = make_fx(lambda x: module(x))(torch.zeros(1, 3, side, side))
        known = {one.untyped_storage().data_ptr() for one in weights}
        known |= {one.untyped_storage().data_ptr() for one in graph.buffers()}
        first = next(node for node in graph.graph.nodes if node.op == "placeholder")
        values = {first: torch.randn(1, 3, side, side)}
        with Storages(values[first], known) as storages:
            fx.Interpreter(graph).run(initial_env=values)
    return BYTES * sum(one.numel() for one in weights if id(one) not in left_out) + storages.peak


SIZES = {
    "darts": {"channels": 4, "cells": 3, "image_size": 16},
    "nasbench201": {"channels": 4, "cells": 5, "image_size": 16},
    "nasbenchmacro": {"channels": 8, "image_size": 16},
    "enas_micro": {"channels": 4, "cells": 3, "image_size": 16},
    "enas_macro": {"channels": 4, "image_size": 16},
    "nasnet": {"channels": 4, "cells": 3, "image_size": 32},
    "nas_rl": {"image_size": 16},
    "bignas-8": {},
    "ofa-8": {},
    "shufflenetv2-8": {},
    "shufflenetv2-8-bits": {},
}


SLOWLY_TRACED = ("darts", "enas_micro", "enas_macro", "nasnet", "shufflenetv2-8-bits")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOWLY_TRACED else ()) for name in SIZES]
)
def test_the_count_is_what_a_real_run_takes(name: str) -> None:
    space = spaces.SPACES[name]
    family = FAMILIES[space.family]
    architecture = space.sample(Random(1))
    network = family.usual_network(architecture)
    own = {**family.sizes_of(architecture, network), **SIZES[name]}
    module = networks.module(space.family).reported(architecture, network, in_channels=3, **own).eval()
    expected = measured_bytes(module, own["image_size"])
    assert round(1e6 * count(architecture, network, **SIZES[name]).memory_mb) == expected
    assert memory_bytes(module, own["image_size"]) == expected


# --- Closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", mobilenet.SPACES)
@pytest.mark.parametrize("side", [8, 37])
def test_the_closed_form_of_mobile_networks_is_the_count(plan: str, side: int) -> None:
    family, rng = FAMILIES["mobilenet"], Random(side)
    for _ in range(3):
        check_closed_form(mobilenet.SPACES[plan].sample(rng), family.sizes_of, side)


MOBILE = sorted(name for name, entry in published().items() if entry.architecture.space == "mobilenet")


@pytest.mark.parametrize("name", MOBILE)
def test_the_closed_form_of_published_mobile_networks_is_the_count(name: str) -> None:
    check_closed_form(published()[name].architecture, FAMILIES["mobilenet"].sizes_of, 64)


def check_closed_form(architecture: Any, sizes_of: Any, side: int) -> None:
    family = FAMILIES["mobilenet"]
    network = family.usual_network(architecture)
    own = {**sizes_of(architecture, network), "image_size": side}
    with torch.device("meta"):
        module = networks.module("mobilenet").reported(architecture, network, in_channels=3, **own)
    assert family.counts is not None
    assert family.counts(architecture, 3, **own)[3] == memory_bytes(module, side)


def test_published_cells_have_the_memory_that_is_counted() -> None:
    entry = published()["DARTS_V2"]
    assert entry.counts["cifar10_memory_bytes"] == round(1e6 * count(entry.architecture, "cifar").memory_mb)


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_draws_are_within_a_limit_on_memory_and_on_multiply_adds() -> None:
    space, limits = spaces.SPACES["bignas-32"], limits_from("memory_mb<=1,macs<=3M")
    drawn = {sample_within(space, rng, limits, count) for rng in map(Random, range(20))}
    assert len(drawn) > 10
    assert all(count(one).memory_mb <= 1 and count(one).macs <= 3e6 for one in drawn)


def test_a_limit_on_memory_that_nothing_is_within_is_refused_with_the_smallest() -> None:
    space = spaces.SPACES["bignas-32"]
    least = count(space.smallest()).memory_mb
    said = f"the smallest architecture of bignas-32 has {least:.4g} MB of float32 weights"
    with pytest.raises(InputError, match=said):
        sample_within(space, Random(0), [Limit("memory_mb", least - 1e-6)], count)
