"""Counts of cells against every way enumerated, built modules, and published figures."""

import subprocess
import sys
from itertools import product
from random import Random

import pytest
import torch

from dartboard import formats
from dartboard.analysis import motifs, p_values
from dartboard.networks.darts import Network
from dartboard.networks.layers import operation
from dartboard.scoring.cost import num_params
from dartboard.scoring.multiplications import Multiplications
from dartboard.spaces import SPACES, darts
from dartboard.spaces.search_space import Architecture

SPACE = SPACES["darts"]
BUILT = [name for name in darts.RECIPES if name != "none"]


def drawn(number: int) -> list[Architecture]:
    rng = Random(5)
    return [SPACE.sample(rng) for _ in range(number)]


def with_none(cell: darts.Cell, rng: Random) -> darts.Cell:
    """The cell with some operations turned into `none`."""
    nodes = tuple(tuple(("none" if rng.random() < 0.4 else name, pred) for name, pred in node) for node in cell.nodes)
    return darts.Cell(nodes, cell.concat)


def ways(cell: darts.Cell) -> list[list[str]]:
    """Every way from an input of the cell to its output, as the operations on it, by brute force."""

    def into(node: int) -> list[list[str]]:
        if node < darts.NUM_INPUTS:
            return [[]]
        inputs = cell.nodes[node - darts.NUM_INPUTS]
        return [[*way, name] for name, pred in inputs if name != "none" for way in into(pred)]

    return [way for node in cell.concat for way in into(node)]


CONVOLUTIONS = {"sep_conv_3x3": 2, "sep_conv_5x5": 2, "dil_conv_3x3": 1, "dil_conv_5x5": 1}


def test_depth_and_longest_path_are_those_of_all_ways_enumerated() -> None:
    rng = Random(1)
    for architecture in drawn(30):
        for kind in darts.CELLS:
            whole = darts.cell(architecture, kind)
            for cell in (whole, with_none(whole, rng)):
                found = ways(cell)
                assert motifs.depth(cell) == max((len(way) + 1 for way in found), default=0)
                counted = [sum(CONVOLUTIONS.get(name, 0) for name in way) for way in found]
                assert motifs.longest_path(cell) == max(counted, default=0)


def test_the_normal_cell_of_darts_v2_has_the_published_depth_and_width() -> None:
    """Shu, Wang and Cai (ICLR 2020): the cell of DARTS has width 3.5 c and depth 3."""
    found = motifs.of_cell(darts.cell(formats.published()["DARTS_V2"].architecture, "normal"), "normal")
    assert (found.width, found.depth) == (3.5, 3)
    assert (found.skips, found.pools, found.separable, found.dilated) == (2, 0, 5, 1)
    assert found.longest_path == 3 and found.receptive_field == 1 + 4 + 4


def test_the_kinds_of_operations_of_a_cell_add_up_to_its_inputs() -> None:
    for architecture in drawn(10):
        for kind in darts.CELLS:
            found = motifs.of_cell(darts.cell(architecture, kind), kind)
            assert found.skips + found.pools + found.separable + found.dilated == 8
            assert 1.5 <= found.width <= 4 and 2 <= found.depth <= 5


def test_the_widest_and_the_narrowest_cell_of_the_space_have_the_least_and_the_greatest_depth() -> None:
    wide = darts.Cell(tuple((("skip_connect", 0), ("skip_connect", 1)) for _ in range(4)), (2, 3, 4, 5))
    chain = darts.Cell(tuple((("skip_connect", n), ("skip_connect", n + 1)) for n in range(4)), (2, 3, 4, 5))
    assert (motifs.of_cell(wide, "normal").width, motifs.depth(wide)) == (4.0, 2)
    assert (motifs.of_cell(chain, "normal").width, motifs.depth(chain)) == (1.5, 5)


@pytest.mark.parametrize(("name", "stride"), [(n, s) for n, s in product(BUILT, (1, 2))])
def test_parameters_and_multiply_adds_of_an_operation_are_those_of_its_module(name: str, stride: int) -> None:
    with torch.random.fork_rng():
        module = operation(name, 6, stride)
    assert motifs.params(name, 6, stride) == num_params(module)
    for side in (7, 8):
        with torch.no_grad(), Multiplications() as counted:
            module.eval()(torch.zeros(1, 6, side, side))
        assert motifs.macs(name, 6, stride, side) == counted.macs


def test_parameters_of_an_architecture_are_those_of_its_networks_operations() -> None:
    for architecture in drawn(3):
        with torch.device("meta"):
            network = Network(architecture, channels=4, cells=5, auxiliary=False)
        inside = sum(num_params(cell.ops) for cell in network.cells)  # type: ignore[arg-type]
        assert motifs.of_architecture(architecture, channels=4, cells=5)["params"] == inside


def test_differences_of_multiply_adds_are_those_of_the_whole_networks() -> None:
    from dartboard.scoring.cost import count

    one, other = drawn(2)
    sizes = {"channels": 4, "cells": 5, "image_size": 9}
    whole = count(one, **sizes).macs - count(other, **sizes).macs
    assert motifs.of_architecture(one, **sizes)["macs"] - motifs.of_architecture(other, **sizes)["macs"] == whole


def seen_by_gradient(cell: darts.Cell, kind: str) -> int:
    """Side of what reaches one pixel of a cell's output: where the gradient of a positive network is not zero."""
    side = 96
    inputs = [torch.ones(1, 2, side, side, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    states = list(inputs)
    for node in cell.nodes:
        terms = []
        for name, pred in node:
            with torch.random.fork_rng():
                module = operation(name, 2, 2 if kind == "reduce" and pred < 2 else 1).double().eval()
            for parameter in module.parameters():
                torch.nn.init.ones_(parameter)
            terms.append(module(states[pred]))
        states.append(terms[0] + terms[1])
    out = torch.cat([states[node] for node in cell.concat], 1)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].sum().backward()
    spans = []
    for one in inputs:
        hit = (one.grad != 0).nonzero() if one.grad is not None else torch.zeros(0, 4)
        spans += [int(hit[:, axis].max() - hit[:, axis].min()) + 1 for axis in (2, 3) if len(hit)]
    return max(spans)


def test_the_receptive_field_is_where_gradients_come_from() -> None:
    rng = Random(3)
    names = ("skip_connect", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
    space = darts.space("without max pool", "its gradient is of one pixel", names)
    for architecture in [space.sample(rng) for _ in range(4)]:
        for kind in darts.CELLS:
            cell = darts.cell(architecture, kind)
            assert motifs.receptive_field(cell, kind) == seen_by_gradient(cell, kind)
    one = darts.Cell((((("conv_7x1_1x7"), 0), ("skip_connect", 1)),), (2,))
    assert motifs.receptive_field(one, "normal") == seen_by_gradient(one, "normal") == 7
    assert motifs.receptive_field(one, "reduce") == seen_by_gradient(one, "reduce")


def test_a_cell_without_a_way_through_has_no_depth_and_sees_nothing() -> None:
    dead = darts.Cell(((("none", 0), ("none", 1)), (("sep_conv_3x3", 2), ("none", 0))), (2, 3))
    found = motifs.of_cell(dead, "normal")
    assert (found.depth, found.longest_path, found.receptive_field, found.width) == (0, 0, 0, 0.0)


def test_a_planted_relation_is_found_and_its_p_value_is_that_of_all_orders() -> None:
    counts = [{"skips": float(k), "same": 1.0, "noise": float(n)} for k, n in enumerate((2, 5, 1, 4, 3))]
    scores = [0.9, 0.8, 0.7, 0.6, 0.5]
    found = {one.motif: one for one in motifs.correlations(counts, scores, 0)}
    assert found["skips"].rho == pytest.approx(-1.0) and found["skips"].p == 2 / 120
    assert found["same"].rho is None and found["same"].p_holm is None
    p_noise = p_values.spearman_p([2, 5, 1, 4, 3], scores, 0)
    assert found["noise"].p == p_noise and found["skips"].p_holm == 2 * 2 / 120  # two motifs vary
    assert {one.n for one in found.values()} == {5}
    assert motifs.correlations(counts[:2], scores[:2], 0) == []


def test_of_scores_without_relation_few_are_called_significant() -> None:
    rng = Random(0)
    table = [motifs.of_architecture(architecture) for architecture in drawn(12)]
    false_calls = 0
    for seed in range(20):
        found = motifs.correlations(table, [rng.random() for _ in table], seed, draws=400)
        false_calls += any(one.p_holm is not None and one.p_holm <= 0.05 for one in found)
    assert false_calls <= 4  # of 20 sets at 5 %: more than 4 in one case of 400


def test_motifs_load_no_torch() -> None:
    code = "import sys, dartboard.analysis.motifs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
