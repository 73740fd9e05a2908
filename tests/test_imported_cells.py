"""Cells that no search finds and people bring: any number of inputs and nodes, any concat in any order, `none` as well.

What is computed of them by several means is the same by all; and the plain form is what the notation says.
"""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cell_strategies import architectures
from dartboard import formats
from dartboard.export.folding import predictor
from dartboard.export.weights import load_network, write_torch
from dartboard.networks.darts import Network, NetworkCell
from dartboard.scoring.cost import count
from dartboard.spaces.search_space import Architecture
from test_fast_network import assert_same, made, random

# Nodes 2, 3 and 4 with two inputs each, and what is joined: not in ascending order, and not all.
INPUTS = {
    "normal": [
        *[("sep_conv_3x3", 1), ("skip_connect", 0)],
        *[("none", 2), ("dil_conv_3x3", 0)],
        *[("max_pool_3x3", 3), ("skip_connect", 2)],
    ],
    "reduce": [
        *[("skip_connect", 1), ("avg_pool_3x3", 1)],
        *[("conv_7x1_1x7", 0), ("sep_conv_5x5", 2)],
        *[("max_pool_3x3", 2), ("skip_connect", 0)],
    ],
}
CONCAT = {"normal": [3, 2], "reduce": [4, 2]}
TEXT = ", ".join(f"{kind}={INPUTS[kind]}, {kind}_concat={CONCAT[kind]}" for kind in INPUTS)
ODD = formats.read(f"Genotype({TEXT})")[0]


def as_written(cell: NetworkCell, before_last: Tensor, last: Tensor) -> Tensor:
    """The cell's output by the letter of TEXT: each node the sum of two inputs, joined in the order of the concat."""
    kind = "reduce" if cell.reduction else "normal"
    inputs = INPUTS[kind]
    states = [cell.preprocess0(before_last), cell.preprocess1(last)]
    for first in range(0, len(inputs), 2):
        one, other = (cell.ops[number](states[inputs[number][1]]) for number in (first, first + 1))
        states.append(one + other)
    return torch.cat([states[node] for node in CONCAT[kind]], dim=1)


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_a_cell_whose_concat_does_not_ascend_is_joined_in_the_order_that_is_written(form: str) -> None:
    network, x = made(ODD).eval(), random(3, 3, 8, 8)
    before_last = last = network.stem(x)
    for cell in network.cells:
        assert isinstance(cell, NetworkCell)
        before_last, last = last, as_written(cell, before_last, last)
    wanted = network.classifier(last.mean((2, 3)))
    torch.testing.assert_close(network.logits(x, form=form)[0], wanted, rtol=1e-10, atol=1e-10)


def lived_in(network: Network) -> Network:
    """In evaluation mode, with running statistics, scales and shifts that are nowhere 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                assert tensor is not None
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


@settings(max_examples=12)
@example(architecture=ODD, side=8, chance=0.5, layout=torch.channels_last)
@given(
    architecture=architectures(),
    side=st.sampled_from([6, 7]),
    chance=st.sampled_from([0.0, 0.5]),
    layout=st.sampled_from([torch.channels_last, torch.contiguous_format]),
)
def test_the_fast_form_and_what_is_folded_agree_on_every_cell_that_can_be_imported(
    architecture: Architecture, side: int, chance: float, layout: Any
) -> None:
    network = made(architecture, channels=2, image_size=side).to(memory_format=layout)  # type: ignore[call-overload]
    x = random(3, 3, side, side).contiguous(memory_format=layout)
    assert_same(network, x, chance)
    wanted = lived_in(network)(x).detach()
    scale = max(1.0, float(wanted.abs().max()))
    torch.testing.assert_close(predictor(network)(x) / scale, wanted / scale, rtol=1e-10, atol=1e-10)


@settings(max_examples=8)
@example(architecture=ODD)
@given(architecture=architectures())
def test_what_is_counted_and_exported_of_an_imported_cell_is_its_network(architecture: Architecture) -> None:
    network = lived_in(made(architecture, channels=2, image_size=8))
    x = random(2, 3, 8, 8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x[:1])
    cost = count(architecture, channels=2, cells=3, num_classes=3, image_size=8)
    assert 2 * cost.macs == counter.get_total_flops()
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    with tempfile.TemporaryDirectory() as folder:
        again = load_network(write_torch(network, Path(folder) / "out"))
    assert again.architecture == architecture and torch.equal(again(x), network(x))
