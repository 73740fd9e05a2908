"""The controllers of ENAS: golden files of the authors' code, and enumeration of small spaces."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dartboard.methods import enas
from dartboard.search import enas_learning
from dartboard.search.enas_controllers import (
    Controller,
    ControllerSettings,
    Decided,
    Decisions,
    OfLayers,
    drawn,
    given,
    initial,
    met,
    options_of,
)
from dartboard.spaces import enas_macro, enas_micro, nasbench201
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace

micro = partial(enas_micro.space, "micro", "made up")
macro = partial(enas_macro.space, "macro", "made up")

# What the variables of the authors' graph are called here.
NAMES = {
    "lstm/layer_0/w": "lstm.w.0", "g_emb": "start", "emb/w": "embedding", "softmax/w": "softmax", "softmax/b": "bias",
    "attention/w_1": "attention.w_1", "attention/w_2": "attention.w_2", "attention/v": "attention.v",
}  # fmt: skip


CONDITIONAL = SearchSpace(
    "conditional", "made up",
    (Choice("depth", (2, 3)), Choice("a", ("x", "y", "z")), Choice("b", ("x", "y", "z"), when=("depth", (3,)))),
    family="toy",
)  # fmt: skip
MICRO_SIZES = ControllerSettings(controller_units=8, tanh=1.1, operation_tanh=2.5)
MACRO_SIZES = ControllerSettings(controller_units=8, tanh=1.5, skip_target=0.4)
WALKED = ControllerSettings(controller_units=8, controller_layers=2, tanh=2.5, temperature=5.0)
SMALL = {
    "micro": (micro(1, enas_micro.OPERATIONS[1:3]), MICRO_SIZES),  # 2^8 cells
    "macro": (macro(3, enas_macro.OPERATIONS[:3]), MACRO_SIZES),  # 27 * 8
    "choices": (
        nasbench201.space("two", "made up", ("none", "nor_conv_3x3")),
        WALKED,
    ),  # 2^6
    "conditional": (CONDITIONAL, WALKED),  # 3 + 9
}


def spread(space: SearchSpace, sizes: ControllerSettings, seed: int = 0) -> Controller:
    """A controller with large weights, so that its decisions depend on each other."""
    controller = initial(space, sizes, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.uniform_(-1.5, 1.5, generator=torch.Generator().manual_seed(seed + parameter.numel()))
    return controller


def of(controller: Controller, architecture: Architecture) -> Decided:
    return controller(given(architecture, controller.space))


# --- Golden files -----------------------------------------------------------------------------------------------------


def arcs_of_micro(golden: Mapping[str, Any], prefix: str) -> list[list[int]]:
    """Of each, the places of the choices in the space's order: stored are index1 op1 index2 op2."""
    kinds = [np.atleast_2d(golden[f"{prefix}/arc_{kind}"]).reshape(-1, 4, 4)[:, :, [0, 2, 1, 3]] for kind in KINDS]
    return [[int(one) for kind in pair for one in kind.flatten()] for pair in zip(*kinds, strict=True)]


def arcs_of_macro(golden: Mapping[str, Any], prefix: str) -> list[list[int]]:
    return [[int(one) for one in arc] for arc in np.atleast_2d(golden[f"{prefix}/arc"])]


KINDS = ("normal", "reduce")
GOLDEN = {
    "micro": (micro(4), MICRO_SIZES, "enas_micro_controller.npz", arcs_of_micro),
    "macro": (macro(6), MACRO_SIZES, "enas_macro_controller.npz", arcs_of_macro),
}


def of_places(space: SearchSpace, places: Sequence[int]) -> Architecture:
    return space.at(places)[0]


def golden_controller(kind: str, reference: Path) -> tuple[Controller, dict[str, Any]]:
    space, sizes, file, _ = GOLDEN[kind]
    with np.load(reference / "reference" / file) as stored:
        golden = dict(stored)
    controller = initial(space, sizes, torch.Generator())
    controller.load_state_dict(named(golden, "state/controller/", controller))
    return controller, golden


def named(golden: Mapping[str, Any], prefix: str, controller: Controller) -> dict[str, Tensor]:
    """The variables with this prefix by our names, each in our shape."""
    shapes = {name: parameter.shape for name, parameter in controller.named_parameters()}
    found = {NAMES[name.removeprefix(prefix)]: one for name, one in golden.items() if name.startswith(prefix)}
    return {name: torch.from_numpy(one).reshape(shapes[name]) for name, one in found.items()}


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_arcs_have_the_log_probabilities_entropies_and_penalties_of_the_authors_code(
    kind: str, reference: Path
) -> None:
    controller, golden = golden_controller(kind, reference)
    for number, places in enumerate(GOLDEN[kind][3](golden, "arcs")):
        with torch.no_grad():
            found = of(controller, of_places(controller.space, places))
        entropy = found.taken_entropy if kind == "macro" else found.entropy
        assert -float(found.log_p) == pytest.approx(golden["arcs/sample_log_prob"][number], abs=1e-8)
        assert entropy == pytest.approx(golden["arcs/sample_entropy"][number], abs=1e-8)
        if kind == "macro":
            assert float(found.penalty) == pytest.approx(golden["arcs/skip_penaltys"][number], abs=1e-8)


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_golden_step_has_its_reward_baseline_loss_and_gradients(kind: str, reference: Path) -> None:
    controller, golden = golden_controller(kind, reference)
    config = enas.Config(**enas.ON_FAMILY.get(f"enas_{kind}", {}))
    found = of(controller, of_places(controller.space, GOLDEN[kind][3](golden, "grad_run")[0]))
    reward = enas_learning.reward(config, float(golden["grad_run/valid_acc"]), found)
    baseline = enas_learning.moved(
        config, torch.tensor(float(golden["grad_run/baseline_before"]), dtype=torch.double), reward
    )
    loss = enas_learning.loss(config, found, reward, float(baseline))
    loss.backward()
    assert reward == pytest.approx(float(golden["grad_run/reward"]), abs=1e-8)
    assert float(baseline) == pytest.approx(float(golden["grad_run/baseline_after"]), abs=1e-8)
    assert float(loss.detach()) == pytest.approx(float(golden["grad_run/loss"]), abs=1e-8)
    gradients = {name: parameter.grad for name, parameter in controller.named_parameters()}
    wanted = named(golden, "grad/controller/", controller)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=0, atol=1e-8)


def test_the_log_probability_of_golden_paths_is_that_of_their_edges(reference: Path) -> None:
    with np.load(reference / "reference" / "nb201_supernet.npz") as golden:
        alphas = torch.from_numpy(golden["alphas"])
        architectures = [nasbench201.from_string(str(golden[f"path/{i}/arch"])) for i in range(3)]
        wanted = golden["path_log_prob"].tolist()
    space = nasbench201.SPACE
    for architecture, log_p in zip(architectures, wanted, strict=True):
        decisions = Decisions(options_of(space), given(architecture, space))
        decisions.take([choice.name for choice in space.choices], alphas)
        found = decisions.end(space, alphas.sum())
        assert found.architecture == architecture
        assert float(found.log_p) == pytest.approx(log_p, abs=1e-8)


# --- Enumeration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SMALL)
def test_the_probabilities_of_all_architectures_sum_to_one(kind: str) -> None:
    controller = spread(*SMALL[kind])
    with torch.no_grad():
        found = [of(controller, architecture) for architecture in controller.space.enumerate()]
    total = math.fsum(math.exp(one.log_p) for one in found)
    assert total == pytest.approx(1.0, abs=1e-12)
    # the entropy of all is the mean, over architectures, of the entropies met on the way to them
    entropy = -math.fsum(math.exp(one.log_p) * float(one.log_p) for one in found)
    assert math.fsum(math.exp(one.log_p) * one.entropy for one in found) == pytest.approx(entropy, abs=1e-10)


@pytest.mark.parametrize("kind", ["macro", "conditional"])
def test_architectures_are_drawn_as_often_as_their_probabilities_say(kind: str) -> None:
    controller, draws = spread(*SMALL[kind]), 800
    with torch.no_grad():
        found = [controller(drawn(Random(seed))) for seed in range(draws)]
        counts = Counter(one.architecture for one in found)
        wanted = {one: draws * math.exp(of(controller, one).log_p) for one in controller.space.enumerate()}
        again = [of(controller, one.architecture).log_p for one in found[:5]]
    assert torch.stack(again).tolist() == pytest.approx([float(one.log_p) for one in found[:5]])
    rest = [one for one in wanted if wanted[one] < 5]  # too few each for chi-square
    pairs = [(counts[one], wanted[one]) for one in wanted if one not in rest]
    pairs += [(sum(counts[one] for one in rest), sum(wanted[one] for one in rest))] if rest else []
    chi_square = sum((seen - expected) ** 2 / expected for seen, expected in pairs if expected)
    free = len(pairs) - 1
    assert chi_square < free + 4 * math.sqrt(2 * free)


def test_the_gradient_of_the_expected_reward_is_that_of_log_p_times_reward() -> None:
    controller = spread(*SMALL["choices"])
    rewards = {one: 1.0 / (1 + number) for number, one in enumerate(controller.space.enumerate())}
    found = [(of(controller, one), reward) for one, reward in rewards.items()]
    expected = torch.stack([one.log_p.exp() * reward for one, reward in found]).sum()
    weights = list(controller.parameters())
    wanted = torch.autograd.grad(expected, weights, retain_graph=True)
    surrogate = torch.stack([one.log_p.exp().detach() * one.log_p * (reward - 0.3) for one, reward in found]).sum()
    for one, other in zip(torch.autograd.grad(surrogate, weights), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


# --- The parts --------------------------------------------------------------------------------------------------------


def test_separable_convolutions_are_likelier_at_the_start_and_in_normal_cells_more_so() -> None:
    controller = initial(micro(4), ControllerSettings(), torch.Generator().manual_seed(0))
    with torch.no_grad():
        rows = controller(drawn(Random(0))).rows
    normal, reduce = rows["normal.2.operation1"], rows["reduce.2.operation1"]
    low = 1.1 / 2.5
    high = [math.exp(low * math.tanh(10)), math.exp(0)]
    assert reduce[0] / reduce[4] == pytest.approx(high[0] / high[1], rel=0.3)
    assert normal[0] / normal[4] == pytest.approx(math.exp(0.5) * high[0] / high[1], rel=0.3)


def test_the_penalty_is_the_divergence_of_the_skips_of_each_layer_from_the_target() -> None:
    controller = spread(*SMALL["macro"])
    assert isinstance(controller, OfLayers)
    with torch.no_grad():
        found = controller(drawn(Random(3)))
    penalties = []
    for layer, before in ((2, 1), (3, 2)):
        total = 0.0
        for skip in range(1, before + 1):
            off, on = found.rows[f"layer.{layer}.skip.{skip}"].tolist()
            half = math.log(on / off) / 2  # logits -half and half
            for sign, target in ((-1, 0.6), (1, 0.4)):
                p = 1 / (1 + math.exp(-sign * half))
                total += p * math.log(p / target)
        penalties.append(total)
    assert float(found.penalty) == pytest.approx(sum(penalties) / 2, abs=1e-10)


def test_the_probabilities_shown_are_those_met_on_the_way() -> None:
    controller = spread(*SMALL["conditional"])
    rows = met(controller, [Random(seed) for seed in range(50)])
    assert list(rows) == ["depth", "a", "b"]
    assert all(float(row.sum()) == pytest.approx(1.0) for row in rows.values())
    with torch.no_grad():
        first = sum(math.exp(of(controller, one).log_p) for one in controller.space.enumerate() if one["depth"] == 2)
    assert float(rows["depth"][0]) == pytest.approx(first)
