"""The expected cost of what alpha would give: against enumeration, finite differences, and searches without it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tiny
from dartboard import spaces
from dartboard.config import Setup
from dartboard.methods import darts, method_module
from dartboard.report import write_report
from dartboard.runs.run import Run
from dartboard.scoring.cost import count
from dartboard.scoring.edge_costs import edge_costs, parts_of
from dartboard.search.cost_goals import Goals
from dartboard.search.expected_cost import ExpectedCost, expected_cost
from dartboard.spaces import nasbench201
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace

SIZES: dict[str, Any] = {"channels": 2, "cells": 3, "num_classes": 10, "image_size": 8, "in_channels": 1}
FEW = nasbench201.space("few", "made up", ("skip_connect", "nor_conv_3x3"))
DOUBLE = torch.zeros((), dtype=torch.float64)


def term(space: SearchSpace, weight: float = 1.0) -> ExpectedCost:
    return expected_cost(space, edge_costs(space, **SIZES), weight, DOUBLE)


def alpha_of(space: SearchSpace, seed: int = 0) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    mixed = FAMILIES[space.family].mixed(space)
    return {
        kind: torch.randn(len(rows), len(rows[0]), generator=noise, dtype=torch.float64).requires_grad_()
        for kind, rows in mixed.items()
    }


def test_it_is_the_mean_over_all_architectures_by_their_probability() -> None:
    """64 networks, each counted by itself."""
    alpha = alpha_of(FEW)
    chances = alpha["cell"].softmax(-1).tolist()
    total = probability = 0.0
    for one in FEW.enumerate():
        chance = 1.0
        for row, (_, operation) in enumerate(one.choices):
            chance *= chances[row][FEW.choices[row].options.index(operation)]
        total, probability = total + chance * count(one, **SIZES).macs, probability + chance
    assert probability == pytest.approx(1.0)
    assert term(FEW).macs(alpha) == pytest.approx(total, rel=1e-9)
    assert term(FEW).largest == max(count(one, **SIZES).macs for one in FEW.enumerate())


def test_over_all_of_nasbench201_it_is_the_mean_too() -> None:
    space = nasbench201.SPACE
    alpha, edges = alpha_of(space, 1), edge_costs(space, **SIZES)
    chances = alpha["cell"].softmax(-1).tolist()
    total = 0.0
    for one in space.enumerate():
        chance = 1.0
        for _, row, operation in parts_of(one):
            chance *= chances[row][nasbench201.OPERATIONS.index(operation)]
        total += chance * edges.total("macs", parts_of(one))
    assert term(space).macs(alpha) == pytest.approx(total, rel=1e-9)


def differences(function: Any, alpha: Mapping[str, Tensor], step: float = 1e-6) -> list[Tensor]:
    """Central finite differences of a function of nothing, in every number of alpha."""
    found = []
    for logits in alpha.values():
        own = torch.zeros_like(logits)
        for place in range(logits.numel()):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    logits.view(-1)[place] += sign * step
                values.append(float(function()))
                with torch.no_grad():
                    logits.view(-1)[place] -= sign * step
            own.view(-1)[place] = (values[0] - values[1]) / (2 * step)
        found.append(own)
    return found


@pytest.mark.parametrize("name", ["nasbench201", "s3"])
def test_its_gradient_is_that_of_finite_differences_and_of_its_closed_form(name: str) -> None:
    space = spaces.SPACES[name]
    alpha, one = alpha_of(space), term(space, weight=0.7)
    before = [torch.ones_like(logits) for logits in alpha.values()]
    found = one.added(before, alpha)
    expected = differences(lambda: 0.7 * one.macs(alpha) / one.largest, alpha)
    for mine, other in zip(found, expected, strict=True):
        assert torch.allclose(mine - 1.0, other, rtol=0, atol=1e-8)
    kind, logits = next(iter(alpha.items()))
    p = logits.masked_fill(~one.possible[kind], -torch.inf).softmax(-1)
    c = one.relative[kind]
    closed = 0.7 * p * (c - (p * c).sum(-1, keepdim=True))  # d E / d alpha_eo = p_o (c_o - sum_o' p_o' c_o')
    assert torch.allclose(found[0] - 1.0, closed, rtol=0, atol=1e-12)


def test_what_is_never_derived_has_no_part_in_it() -> None:
    space = spaces.SPACES["darts"]
    alpha, one = alpha_of(space), term(space)
    none = space.only_mixed[0]
    column = FAMILIES["darts"].mixed(space)["normal"][0].index(none)
    found = one.added([torch.zeros_like(logits) for logits in alpha.values()], alpha)
    assert all(torch.equal(own[:, column], torch.zeros(len(own), dtype=torch.float64)) for own in found)
    before = one.macs(alpha)
    with torch.no_grad():
        alpha["normal"][:, column] += 5.0
    assert one.macs(alpha) == pytest.approx(before)


def test_the_second_order_gradient_with_it_is_that_of_the_unrolled_loss_with_it() -> None:
    """F(alpha) = L_val(w - xi grad_w L_train(w, alpha), alpha) + W E(alpha) / largest, on a toy in closed form."""
    alpha, one, xi = alpha_of(FEW, 2), term(FEW, weight=3.0), 0.1
    w = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    mix = torch.linspace(-1, 1, alpha["cell"].numel(), dtype=torch.float64).view_as(alpha["cell"])

    def loss_train(w: Tensor = w) -> Tensor:
        return ((w - (mix * alpha["cell"]).sum()) ** 2).sum() * 0.5

    def loss_val(w: Tensor = w) -> Tensor:
        return (w**2).sum() * (alpha["cell"] ** 2).sum()

    def unrolled() -> Tensor:
        inner = w.detach() - xi * (w.detach() - (mix * alpha["cell"]).sum().detach())
        return loss_val(inner).detach() + 3.0 * one.macs(alpha) / one.largest

    grads, _ = darts.second_order_gradient(
        [w], list(alpha.values()), loss_train, loss_val, xi=xi, momentum=0.0, weight_decay=0.0, buffers=(), epsilon=0.01
    )
    found = Goals(expected=one).added(grads, alpha)
    assert torch.allclose(found[0], differences(unrolled, alpha)[0], rtol=0, atol=1e-6)


# --- Searches ---------------------------------------------------------------------------------------------------------


def search(method: str, folder: Path, space: SearchSpace = nasbench201.SPACE, **settings: Any) -> Any:
    module = method_module(method)
    config = module.Config(**{**tiny.SEARCH, "epochs": 3, **settings})
    with Run.create(folder, config, setup=Setup(device="cpu"), method=method, space=space.name) as run:
        return module.search(config, space, tiny.digits(), run)


@pytest.mark.parametrize("settings", [{}, {"second_order": True}], ids=["first", "second"])
def test_without_a_weight_gradients_are_the_very_same_and_a_search_is_bit_for_bit(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    gradients = [torch.ones(2)]
    assert Goals().added(gradients, {}) is gradients
    one = search("darts", tmp_path / "one", cost_weight=0.0, **settings)
    other = search("darts", tmp_path / "other", limit="macs<=1G", **settings)
    assert tiny.same_tensors(one.alpha, other.alpha)
    assert tiny.history(tmp_path / "one") == tiny.history(tmp_path / "other")
    assert all("expected_macs" not in line for line in tiny.history(tmp_path / "one"))


@pytest.mark.parametrize("method", ["darts", "gdas"])
def test_a_weight_makes_cheaper_operations_more_probable_and_the_page_shows_it(method: str, tmp_path: Path) -> None:
    found = {}
    for weight in (1e-9, 20.0):
        search(method, tmp_path / f"{weight}", cost_weight=weight, alpha_lr=0.1)
        found[weight] = [
            line["expected_macs"] for line in tiny.history(tmp_path / f"{weight}") if "expected_macs" in line
        ]
    assert len(found[20.0]) == 3 and found[20.0] == sorted(found[20.0], reverse=True)
    assert found[20.0][-1] < 0.9 * found[1e-9][-1]
    page = write_report([tmp_path / "20.0"]).read_text(encoding="utf-8")
    assert "Expected cost" in page
