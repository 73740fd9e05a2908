"""Counting by full shapes: what is cut, joined or multiplied by `@` has the multiply-adds of its closed form."""

import subprocess
import sys
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import tiny
from dartboard import networks
from dartboard.errors import InputError
from dartboard.networks import darts as darts_networks
from dartboard.scoring import cost
from dartboard.scoring.cost import count, count_module, count_supernet
from dartboard.scoring.multiplications import Multiplications
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

SIZES = {"channels": 4, "cells": 3, "image_size": 16}


def made(make: Any, *args: Any, **settings: Any) -> Any:
    """make(...) without moving torch's global random state."""
    with torch.random.fork_rng(devices=[]):
        return make(*args, **settings)


def counted(module: nn.Module, *shape: int) -> int:
    with torch.no_grad(), Multiplications() as multiplications:
        module(torch.zeros(shape))
    return multiplications.macs


class Shuffle(nn.Module):
    """A block as ShuffleNetV2's: half of the channels pass, the other half is computed, then both are interleaved."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, 3 * half, 1, bias=False),
            nn.BatchNorm2d(3 * half),
            nn.ReLU(inplace=True),
            nn.Conv2d(3 * half, 3 * half, kernel, 1, kernel // 2, groups=3 * half, bias=False),
            nn.BatchNorm2d(3 * half),
            nn.Conv2d(3 * half, half, 1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        passed, computed = x.chunk(2, dim=1)
        x = torch.cat([passed, self.branch(computed)], dim=1)
        batch, channels, height, width = x.shape
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class Shuffled(nn.Module):
    def __init__(self, channels: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, 2, 1)
        self.blocks = nn.Sequential(Shuffle(channels, 3), Shuffle(channels, 7))
        self.head = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))  # type: ignore[no-any-return]


def test_a_network_that_cuts_shuffles_and_joins_channels_has_the_counts_of_its_closed_form() -> None:
    found = count_module(made(Shuffled), 14)
    half, pixels = 6, 7 * 7
    blocks = sum(2 * half * 3 * half + 3 * half * kernel**2 for kernel in (3, 7))
    assert found.macs == pixels * (12 * 3 * 9 + blocks) + 12 * 5
    assert found.map_values == pixels * (12 + 2 * (3 * half + 3 * half + half))
    assert found.params == 12 * 3 * 9 + 12 + blocks + 2 * 4 * 3 * half + 12 * 5 + 5


class Attention(nn.Module):
    """Every product that is none of a layer: `@`, matmul of four sides, bmm, einsum; and a scale that is a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(6, 8)
        self.matrix = nn.Parameter(torch.ones(8, 10))
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)  # (1, 16, 6)
        keys = self.key(x) * self.scale
        weights = (keys @ keys.transpose(1, 2)).softmax(-1)  # (1, 16, 16)
        heads = torch.matmul(weights.unsqueeze(1), (keys @ self.matrix).unsqueeze(1))  # (1, 1, 16, 10)
        return torch.bmm(torch.einsum("bpk,bqk->bpq", keys, keys), heads[:, 0])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_products_of_matrices_are_counted_wherever_the_weights_lie(device: str) -> None:
    with torch.device(device):
        module = made(Attention)
    found = counted(module, 1, 6, 4, 4)
    assert found == 16 * (6 * 8 + 8 * 16 + 8 * 10 + 16 * 10 + 8 * 16 + 16 * 10)


def test_products_with_vectors_are_counted() -> None:
    x, matrix = torch.ones(7), torch.ones(3, 7)
    with Multiplications() as multiplications:
        shapes = [tuple(found.shape) for found in (x @ x, matrix @ x, torch.addmv(x[:3], matrix, x))]
    assert shapes == [(), (3,), (3,)]
    assert multiplications.macs == 7 + 21 + 21


@given(
    groups=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    transposed=st.booleans(),
)
def test_a_convolution_has_the_shape_that_torch_gives_it_and_half_the_flops(
    groups: int,
    channels: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    dilation: int,
    transposed: bool,
) -> None:
    make = nn.ConvTranspose2d if transposed else nn.Conv2d
    more = {"output_padding": min(1, stride - 1)} if transposed else {}
    module = make(groups * channels[0], groups * channels[1], kernel, stride, padding, groups=groups, dilation=dilation,
                  device="meta", **more).to_empty(device="cpu")  # fmt: skip
    x = torch.zeros(2, groups * channels[0], 7, 9)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        result = module(x)
    with torch.no_grad(), Multiplications() as multiplications:
        assert module(x).shape == result.shape
    assert 2 * multiplications.macs == counter.get_total_flops()
    assert multiplications.map_values == result.numel()


def test_convolutions_of_sequences_and_volumes_are_counted() -> None:
    assert counted(made(nn.Conv1d, 3, 4, 5), 1, 3, 9) == 5 * 3 * 4 * 5
    assert counted(made(nn.Conv3d, 2, 3, 2), 1, 2, 4, 4, 4) == 27 * 2 * 3 * 8


FUNCTIONS = {
    "padding": lambda x: F.pad(x, (1, 0, 2, 1)),
    "padding channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
    "average pool": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "maximum pool": lambda x: F.max_pool2d(x, 2),
    "pool to a size": lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
    "joining along a side from the end": lambda x: torch.cat([x, x[:, :, :2]], dim=-2),
    "stacking": lambda x: torch.stack([x, x], dim=2),
    "slices": lambda x: x[:, 1:3, ::2, 1::2],
    "sums of unequal shapes": lambda x: x + x.mean((2, 3), keepdim=True),
    "a number less": lambda x: 1.0 - x.sigmoid(),
    "a condition": lambda x: torch.where(x > 0, x, x.new_zeros(())),
    "a mask": lambda x: x * (x > 0),
    "two masks": lambda x: (x > 0) & (x[:, :1] > 1) | (x[0, 0] > 2),
    "in place": lambda x: F.hardswish(x + 1, inplace=True).mul_(2).unsqueeze_(0),
    "writing into a part": lambda x: put_in(torch.zeros(1, 6, *x.shape[2:]), x),
    "resizing": lambda x: F.interpolate(x, scale_factor=2.0),
    "normalising": lambda x: F.layer_norm(x, x.shape[1:]),
    "an index": lambda x: x[:, torch.arange(4).flip(0)[:3]],
    "numbers of the shape": lambda x: x.new_zeros(int(torch.tensor([2, 3]).sum()), 2),
    "splitting": lambda x: torch.cat(x.split([1, 3], dim=1)[::-1], dim=1),
    "half precision": lambda x: x.half() + x.half(),
}


def put_in(whole: Tensor, part: Tensor) -> Tensor:
    whole[:, :4] = part
    return whole


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_what_is_not_counted_has_the_shape_and_type_it_has(name: str) -> None:
    expected = FUNCTIONS[name](torch.zeros(1, 4, 6, 5))
    with torch.no_grad(), Multiplications() as multiplications:
        found = FUNCTIONS[name](F.relu(torch.zeros(1, 4, 6, 5)))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert multiplications.macs == 0


def test_maps_take_no_memory_and_the_module_stays_as_it_was() -> None:
    module = made(Shuffled)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad(), Multiplications():
        found = module.blocks[0](module.stem(torch.zeros(1, 3, 64, 64)))
        assert F.relu(found).untyped_storage().nbytes() == 4
    count_module(module, 8)
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_counts_of_supernets_and_networks_of_every_space_are_those_of_torchs_counter() -> None:
    for space in SPACES.values():
        architecture = space.sample(Random(0))
        sizes = {**SIZES, **tiny.fixed(space), "image_size": 32, "num_classes": 10}
        module = made(networks.module(space.family).reported, architecture, "cifar", **sizes).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, 3, 32, 32))
        assert 2 * count_module(module, 32).macs == counter.get_total_flops()
        assert count(architecture, **sizes).macs == count_module(module, 32).macs
        assert "mixture" not in space.kinds or count_supernet(space, **SIZES).macs > 0


def test_what_was_counted_is_remembered_by_architecture_and_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    cost.counted.cache_clear()
    built: list[tuple[Architecture, int]] = []
    network = darts_networks.Network

    def building(architecture: Architecture, **sizes: Any) -> nn.Module:
        built.append((architecture, sizes["channels"]))
        return network(architecture, **sizes)

    monkeypatch.setattr(darts_networks, "Network", building)
    one, other = (SPACES["darts"].sample(Random(seed)) for seed in (1, 2))
    first = count(one, **SIZES)
    assert count(one, **SIZES) is first
    assert count(one, "cifar", **SIZES) is first
    assert count(other, **SIZES) != first
    assert count(one, **{**SIZES, "channels": 6}) != first
    assert count(one, **SIZES, in_channels=1).macs < first.macs
    assert built == [(one, 4), (other, 4), (one, 6), (one, 4)]
    cost.counted.cache_clear()


@pytest.mark.slow
def test_counting_imports_no_compiler() -> None:
    program = (
        "import sys; from random import Random; from dartboard.scoring.cost import count, count_supernet; "
        "from dartboard.spaces import SPACES; space = SPACES['darts']; "
        "count(space.sample(Random(0)), cells=3); count_supernet(space, 4, 3); "
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("more", [{}, {"channels": 24, "num_classes": 7, "in_channels": 1, "image_size": 67}])
@pytest.mark.parametrize(
    "name", ["shufflenetv2-8-channels", "shufflenetv2-8-bits", "shufflenetv2", "nasbenchmacro", "ofa-8", "bignas-8"]
)
def test_costs_of_layers_in_a_row_are_those_of_the_network(name: str, more: dict[str, int]) -> None:
    """Independent answer: the network that is built, all of it computed at once."""
    space, rng = SPACES[name], Random(3)
    family = FAMILIES[space.family]
    sizes = {**family.sizes_of(space.smallest(), family.usual_network(space.smallest())), "in_channels": 3, **more}
    assert family.timed is not None and family.timed.in_a_row
    for architecture in [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(2))]:
        with torch.device("meta"):
            network = networks.module(space.family).reported(architecture, family.usual_network(architecture), **sizes)
        whole = cost.count_module(network, sizes["image_size"], sizes["in_channels"])
        found = cost.in_a_row(space.family, family.timed.of_network(architecture, sizes))
        assert vars(found) == vars(whole)


def test_layers_in_a_row_are_counted_once_and_impossible_sizes_are_still_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space, built, own = SPACES["shufflenetv2-8-channels"], list[object](), networks.module("shufflenetv2").reported

    def noting(architecture: Architecture, *words: Any, **sizes: Any) -> Any:
        built.append(architecture)
        return own(architecture, *words, **sizes)

    monkeypatch.setattr(networks.module("shufflenetv2"), "reported", noting)
    rng = Random(4)
    for _ in range(20):
        count(space.sample(rng), channels=4, num_classes=9)
    assert len(built) == 1
    for _ in range(2):
        with pytest.raises(InputError, match="divides an image's side by 4"):
            count(space.sample(rng), channels=4, image_size=3)
