"""NAS with RL, the method: the controller by enumeration and numeric gradients, reward, depth, resumes, workers."""

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from dartboard.config import Setup
from dartboard.data.sources import load_setup
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import nas_rl
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost
from dartboard.search import trials
from dartboard.search.anchors import OfAnchors
from dartboard.search.learners import Learner
from dartboard.search.lstm import initial, objective
from dartboard.search.proposals import Trial, drawing
from dartboard.spaces import SPACES
from dartboard.spaces import nas_rl as space
from dartboard.spaces.search_space import Architecture
from dartboard.testing import tiny
from trial_settings import chance

SMALL = space.space("three or four layers", "made up", (3, 4), (), (3,), (24, 36))
THREE = space.at_depth(SMALL, 3)
ALL = list(THREE.enumerate())  # 2^3 filters, 2^3 anchors
GROWING = space.space("three to six layers", "made up", (3, 4, 5, 6), (1, 2), (1, 3), (24, 36))


def network(units: int = 5, init: float = 1.0, of: Any = SMALL) -> OfAnchors:
    found = initial(of, Random(0), units, 2, init, OfAnchors)
    assert isinstance(found, OfAnchors)
    return found


# --- The controller --------------------------------------------------------------------------------------------------


def test_the_probabilities_of_all_networks_of_a_depth_sum_to_1() -> None:
    net = network()
    found = torch.stack([net.log_probabilities(one)[0].sum() for one in ALL]).exp()
    assert len(ALL) == 64
    assert found.sum().item() == pytest.approx(1, abs=1e-12)
    assert found.max() > 2 * found.min()  # far from uniform


def test_draws_follow_the_probabilities_anchors_included() -> None:
    net, rng, number = network(), Random(1), 300
    drawn = [net.propose(THREE, rng) for _ in range(number)]
    for name in ("layer.3.skip.1", "layer.3.skip.2", "layer.2.filters"):
        value = SMALL.choices[[one.name for one in SMALL.choices].index(name)].options[1]
        share = sum(one[name] == value for one in drawn) / number
        p = sum(net.log_probabilities(one)[0].sum().exp().item() for one in ALL if one[name] == value)
        assert abs(share - p) < 5 * (p * (1 - p) / number) ** 0.5


def test_an_anchor_is_the_sigmoid_of_both_states() -> None:
    """Section 3.3, by hand, for a network whose layers take nothing: the LSTM is then run in one sweep."""
    net, a = network(), space.architecture([space.Layer(3, 3, 24, None, ())] * 3)
    inputs, own = [], [net.embeddings[part].weight[0] for part in ("height", "width", "filters")]
    for _ in range(3):
        inputs += [net.start, *own]
    h = net.lstm(torch.stack(inputs))[0][3::4]  # at the anchor points
    attention = net.attention
    expected = []
    for i, j in ((1, 0), (2, 0), (2, 1)):
        x = torch.tanh(h[j] @ attention.w_1 + h[i] @ attention.w_2) @ attention.v[:, 0]
        expected.append(1 - torch.sigmoid(x))
    found = net.log_probabilities(a)[0].exp()
    skips = found[[6, 10, 11]]  # after 3 decisions of layer 1, 3 of layer 2, its anchor, 3 of layer 3
    torch.testing.assert_close(skips, torch.stack(expected), rtol=1e-12, atol=1e-12)


def mean(net: OfAnchors) -> float:
    """Of A(a) log p(a) over a batch, without autograd."""
    with torch.no_grad():
        log_p = [float(net.log_probabilities(ALL[one])[0].sum()) for one in BATCH]
    return float(np.mean(np.array(ADVANTAGES) * log_p))


BATCH, ADVANTAGES = [3, 17, 40], [0.5, -2.0, 1.0]


def test_the_step_goes_up_the_numeric_gradient_of_the_objective() -> None:
    """Section 3.2: of  1/m sum A log p, anchors included."""
    net = network(units=3)
    weights = list(net.parameters())
    parts = [objective(net, ALL[one], value, 0.0) for one, value in zip(BATCH, ADVANTAGES, strict=True)]
    gradients = torch.autograd.grad(torch.stack(parts).mean(), weights)
    assert check_numeric(net, gradients) > 20
    names = [name for name, _ in net.named_parameters()]
    assert all(gradients[names.index(f"attention.{one}")].abs().max() > 1e-3 for one in ("w_1", "w_2", "v"))


def test_the_gradient_of_the_entropy_over_all_draws_is_that_of_enumeration() -> None:
    net = network(units=3)
    weights = list(net.parameters())
    found = [net.log_probabilities(one) for one in ALL]
    log_p = torch.stack([one.sum() for one, _ in found])
    p = log_p.exp().detach()
    total = sum(own * objective(net, one, 0.0, 1.0) for own, one in zip(p, ALL, strict=True))
    gradients = torch.autograd.grad(total, weights, materialize_grads=True)
    entropy = -(log_p.exp() * log_p).sum()
    exact = torch.autograd.grad(entropy, weights, materialize_grads=True)
    for one, other in zip(gradients, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    along = sum(float(own * entropies.detach().sum()) for own, (_, entropies) in zip(p, found, strict=True))
    assert along == pytest.approx(float(entropy), abs=1e-10)


def check_numeric(net: OfAnchors, gradients: Any) -> int:
    """Compares some numbers of each tensor with differences of the objective; how many."""
    compared = 0
    for tensor, gradient in zip(net.parameters(), gradients, strict=True):
        flat = tensor.data.view(-1)
        for place in range(0, len(flat), max(1, len(flat) // 2)):
            sides = []
            for step in (1e-5, -2e-5):
                flat[place] += step
                sides.append(mean(net))
            flat[place] += 1e-5
            assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(float(gradient.reshape(-1)[place]), abs=1e-7)
            compared += 1
    return compared


# --- Depth -----------------------------------------------------------------------------------------------------------


def made(**settings: Any) -> tuple[nas_rl.Config, Learner]:
    given = {"batch": 4, "depth_start": 3, "depth_step": 1, "depth_every": 6, "trials": 24, **settings}
    config = nas_rl.Config(**given)
    draw = drawing(GROWING, (), lambda architecture: Cost(0, 0, 0))
    return config, nas_rl.proposer(config, GROWING, draw, trials.first_stream(0))


def scored(numbers: range, found: list[Architecture]) -> list[Trial]:
    return [Trial(number, one, chance(one, number)) for number, one in zip(numbers, found, strict=True)]


def search(upto: int | None = None, **settings: Any) -> list[Architecture]:
    """What a search draws, in the order of the trials; without a run. upto: resumed after so many trials."""
    config, proposer = made(**settings)
    seen: list[Architecture] = []
    for start in range(0, config.trials, config.batch):
        if start == upto:
            kept, proposer = {name: tensor.clone() for name, tensor in proposer.tensors().items()}, made(**settings)[1]
            proposer.load(kept, {})
        numbers = range(start, min(start + config.batch, config.trials))
        found = proposer.ask([trials.stream(0, number) for number in numbers])
        seen += found
        proposer.tell(scored(numbers, found))
    return seen


def test_depth_grows_after_so_many_children_within_a_batch_and_no_further_than_the_space() -> None:
    assert [one["depth"] for one in search(**{**BASE, "trials": 32})] == [3] * 6 + [4] * 6 + [5] * 6 + [6] * 14
    assert [nas_rl.depth_of(nas_rl.Config(), number) for number in (0, 1599, 1600, 3199, 3200)] == [6, 6, 8, 8, 10]


@pytest.mark.parametrize("upto", [4, 8, 12])  # in the batch at 4 the depth changes; at 12 it changes with the batch
def test_a_resume_at_a_change_of_depth_draws_what_it_would_have_drawn(upto: int) -> None:
    assert search(upto=upto, **{**BASE, "trials": 16}) == search(**{**BASE, "trials": 16})


def test_the_first_depth_must_be_one_of_the_space() -> None:
    with pytest.raises(InputError, match="--depth-start is 8; networks of three to six layers have 3 to 6 layers"):
        made(depth_start=8)


BASE: dict[str, Any] = {"trials": 12, "controller_lr": 0.3, "lstm_units": 4}


@cache
def base() -> list[Architecture]:
    return search(**BASE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reward_power", 30.0),
        ("batch", 3),
        ("depth_start", 4),
        ("depth_step", 2),
        ("depth_every", 5),
        ("controller_lr", 0.01),
        ("baseline_decay", 0.0),
        ("entropy_weight", 10.0),
        ("lstm_units", 3),
        ("lstm_layers", 1),
        ("lstm_init", 3.0),
    ],
)
def test_every_setting_of_the_controller_changes_what_is_drawn(field: str, value: Any) -> None:
    assert search(**{**BASE, field: value}) != base()


@pytest.mark.parametrize(
    "field", ["depth_step", "depth_every", "batch", "controller_lr", "reward_power", "best_of_last"]
)
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} is 0"):
        nas_rl.Config(**{field: 0})


# --- Runs ------------------------------------------------------------------------------------------------------------

TINY: dict[str, Any] = {"channels": 1, "batch_size": 16, "crop_padding": 1, "flip": False, "cells": 6}


def run_of(folder: Path, workers: str | None = None, budget: str | None = None, **settings: Any) -> Any:
    config = nas_rl.Config(**{**TINY, "depth_start": 3, **settings})
    setup = Setup(device="cpu", data="digits", max_images=64, threads=1, budget=budget)
    with Run.create(folder, config, setup=setup, method="nas_rl") as run:
        run.workers = workers
        return nas_rl.search(config, GROWING, load_setup(setup), run)


def test_the_reward_is_the_cube_of_the_best_accuracy_of_the_last_epochs(tmp_path: Path) -> None:
    assert nas_rl.reward(np.array([[0.5, 0.9]]), 3.0) == pytest.approx(np.array([[0.125, 0.729]]))
    found = {}
    for last in (1, 2, 9):
        result = run_of(tmp_path / str(last), trials=1, epochs=3, best_of_last=last, lr=0.5)
        lines = Run.open(tmp_path / str(last) / "trials" / "0000").metrics()
        accuracies = [line["val_accuracy"] for line in lines if line["event"] == "epoch"]
        assert len(accuracies) == 3 and result.score.value == max(accuracies[-last:])
        assert result.score.numbers["val_accuracy"] == accuracies[-1]
        found[last] = (result.score.source, accuracies)
    assert found[1][1] == found[9][1] and len({*found[1][1]}) > 1
    assert [said for said, _ in found.values()] == [
        "training of 3 epochs, val",
        "training of 3 epochs, best val of the last 2",
        "training of 3 epochs, best val of the last 3",
    ]


def test_a_run_that_stops_at_a_change_of_depth_ends_as_one_that_does_not(tmp_path: Path) -> None:
    settings = {"trials": 4, "batch": 2, "depth_step": 1, "depth_every": 2, "epochs": 1, "controller_lr": 0.1}
    whole = run_of(tmp_path / "whole", **settings)
    with pytest.raises(InterruptedRunError):
        run_of(tmp_path / "cut", budget="6steps", **settings)  # two steps a child, and one more when it is over
    with Run.open(tmp_path / "cut", write=True) as run:
        assert len([line for line in run.metrics() if line["event"] == "trial"]) == 2
        again = nas_rl.search(nas_rl.Config(**run.settings), GROWING, load_setup(run.setup), run)
    assert (again.architecture, again.score.value) == (whole.architecture, whole.score.value)
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    depths = [
        line["architecture"].count("x") // 2 for line in tiny.history(tmp_path / "whole") if line["event"] == "trial"
    ]
    assert depths == [3, 3, 4, 4]


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    settings = {"trials": 6, "batch": 3, "depth_step": 1, "depth_every": 2, "epochs": 2, "controller_lr": 0.1}
    one, two = run_of(tmp_path / "one", **settings), run_of(tmp_path / "two", workers="2", **settings)
    assert (one.architecture, one.number, one.score.value) == (two.architecture, two.number, two.score.value)
    assert tiny.history(tmp_path / "one") == tiny.history(tmp_path / "two")


def test_a_dry_run_measures_a_child_of_the_middle_of_the_search() -> None:
    config = nas_rl.Config(trials=24, depth_every=8)
    assert nas_rl.middle(config, space.SPACE).choices[0].options == (8,)
    assert nas_rl.middle(nas_rl.Config(trials=4000, depth_every=1), space.SPACE_12).choices[0].options == (12,)
    assert nas_rl.middle(config, SPACES["nasbench201"]) == SPACES["nasbench201"]
