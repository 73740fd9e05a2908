"""Controllers on a small space with conditional choices: enumeration, autograd, Monte Carlo; Adam and the baseline."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dartboard.methods import reinforce
from dartboard.search.controllers import Adam, IndependentLogits
from dartboard.search.learners import Baseline, controller_of
from dartboard.search.lstm import LstmController, initial, objective
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace

CHOICES = (
    Choice("a", (0, 1, 2)),
    Choice("b", ("x", "y"), ("a", (1, 2))),
    Choice("c", (3, 5, 7), ("b", ("y",))),
    Choice("d", (0, 1)),
)
SPACE = SearchSpace("small", "made up", CHOICES, family="toy")
ALL = list(SPACE.enumerate())
REWARDS = np.random.default_rng(1).uniform(size=len(ALL))


def logits() -> IndependentLogits:
    """A controller whose logits are anything."""
    found = IndependentLogits(SPACE, 1, lr=0.1)
    found.logits = np.random.default_rng(0).normal(size=found.logits.shape)
    return found


def lstm(units: int = 4) -> Any:
    return initial(SPACE, Random(0), units, layers=2, init=1.0)


def log_p_by_torch(logits: Tensor, architecture: Architecture) -> Tensor:
    """log p(a) by its definition, from logits (C, O)."""
    total = torch.zeros((), dtype=torch.double)
    for number, choice in enumerate(CHOICES):
        if choice.name in architecture:
            row = logits[number, : len(choice.options)].log_softmax(-1)
            total = total + row[choice.options.index(architecture[choice.name])]
    return total


def expectations(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Expected reward and entropy by enumeration, from log p of all architectures."""
    p = log_p.exp()
    return (p * torch.from_numpy(REWARDS)).sum(), -(p * log_p).sum()


def by_enumeration() -> Iterator[tuple[np.ndarray, float, np.ndarray, np.ndarray]]:
    """Of the independent logits: p of all, H, and the gradients of the expected reward and of H, by autograd."""
    theta = torch.tensor(logits().logits[0], requires_grad=True)
    log_p = torch.stack([log_p_by_torch(theta, one) for one in ALL])
    reward, entropy = expectations(log_p)
    gradients = [torch.autograd.grad(one, theta, retain_graph=True)[0].numpy() for one in (reward, entropy)]
    return log_p.exp().detach().numpy(), entropy.item(), gradients[0], gradients[1]


def test_the_probabilities_of_all_architectures_sum_to_1() -> None:
    assert len(ALL) == SPACE.size == 2 * (1 + 2 * (1 + 3))
    controller = logits()
    found = [np.exp(controller.log_probability([one]))[0] for one in ALL]
    assert found == pytest.approx(by_enumeration()[0], abs=1e-12)
    assert sum(found) == pytest.approx(1.0, abs=1e-12)
    network = lstm()
    assert sum(network.log_probabilities(one)[0].sum().exp().item() for one in ALL) == pytest.approx(1.0, abs=1e-12)


def test_entropy_and_gradients_of_independent_logits_are_those_of_the_enumeration() -> None:
    controller = logits()
    p, entropy, of_reward, of_entropy = by_enumeration()
    assert controller.entropy()[0] == pytest.approx(entropy, abs=1e-10)
    none = np.zeros((1, 1))
    assert np.allclose(controller.gradient([[ALL[0]]], none, 1.0)[0], of_entropy, rtol=0, atol=1e-10)
    parts = [
        chance * controller.gradient([[one]], np.array([[reward]]), 0.0)[0]
        for one, chance, reward in zip(ALL, p, REWARDS, strict=True)
    ]
    assert np.allclose(sum(parts), of_reward, rtol=0, atol=1e-10)
    both = controller.gradient([[ALL[3], ALL[5]]], np.array([[0.5, -2.0]]), 0.3)
    singly = [controller.gradient([[ALL[n]]], np.array([[a]]), 0.3) for n, a in ((3, 0.5), (5, -2.0))]
    assert np.allclose(both, (singly[0] + singly[1]) / 2, rtol=0, atol=1e-12)


def test_entropy_and_gradients_of_an_lstm_are_those_of_the_enumeration() -> None:
    network = lstm()
    weights = list(network.parameters())
    parts = [network.log_probabilities(one) for one in ALL]
    log_p = torch.stack([one.sum() for one, _ in parts])
    p = log_p.exp().detach()
    reward, entropy = expectations(log_p)
    assert sum(p * torch.stack([own.sum() for _, own in parts])).item() == pytest.approx(entropy.item(), abs=1e-10)
    for expected, advantages, beta in ((reward, REWARDS, 0.0), (entropy, np.zeros(len(ALL)), 1.0)):
        own = [objective(network, one, float(value), beta) for one, value in zip(ALL, advantages, strict=True)]
        found = torch.autograd.grad((p * torch.stack(own)).sum(), weights, materialize_grads=True)
        exact = torch.autograd.grad(expected, weights, retain_graph=True, materialize_grads=True)
        assert all(torch.allclose(one, other, rtol=0, atol=1e-10) for one, other in zip(found, exact, strict=True))
        assert any(one.abs().max() > 1e-3 for one in exact)


def test_the_estimator_of_reinforce_is_the_exact_gradient_by_monte_carlo() -> None:
    """20,000 draws with a baseline: each entry within five standard errors."""
    controller, number, baseline = logits(), 20_000, 0.4
    (propose,) = controller.proposals()
    drawn = Counter(propose(Random(seed)) for seed in range(number))
    single = [controller.gradient([[a]], np.array([[reward - baseline]]), 0.0)[0] for a, reward in by_rewards()]
    counts = np.array([drawn[one] for one in ALL])
    mean = np.tensordot(counts, single, 1) / number
    spread = np.sqrt(np.tensordot(counts, np.square(single - mean), 1) / number / number)
    exact = by_enumeration()[2]
    assert np.all(np.abs(mean - exact) <= 5 * spread + 1e-15)
    assert np.abs(exact).max() > 20 * spread.max()


def by_rewards() -> list[tuple[Architecture, float]]:
    return list(zip(ALL, REWARDS, strict=True))


def test_draws_of_an_lstm_are_as_likely_as_it_says() -> None:
    """Chi-square over the architectures, 2,000 draws: mean 17, standard deviation 5.8."""
    network, number = lstm(), 2000
    drawn = Counter(network.propose(SPACE, Random(seed)) for seed in range(number))
    expected = {one: number * network.log_probabilities(one)[0].sum().exp().item() for one in ALL}
    assert sum((drawn[one] - mean) ** 2 / mean for one, mean in expected.items()) < 17 + 5 * 5.8


def test_steps_of_adam_are_torchs() -> None:
    theta, gradients = torch.zeros(3, dtype=torch.double), np.random.default_rng(0).normal(size=(9, 3))
    torchs, ours, moved = torch.optim.Adam([theta], lr=0.1, maximize=True), Adam(0.1, (3,)), np.zeros(3)
    for gradient in gradients:
        theta.grad = torch.from_numpy(gradient)
        torchs.step()
        moved += ours.step(gradient)
    assert moved == pytest.approx(theta.numpy(), abs=1e-12)


def test_searches_side_by_side_are_bit_for_bit_what_each_is_alone() -> None:
    rng = np.random.default_rng(2)
    together, alone = IndependentLogits(SPACE, 7, 0.1), [IndependentLogits(SPACE, 1, 0.1) for _ in range(7)]
    for _ in range(20):
        drawn = [[ALL[n] for n in rng.integers(len(ALL), size=3)] for _ in alone]
        advantages = rng.normal(size=(7, 3))
        together.ascend(drawn, advantages, 0.1)
        for number, one in enumerate(alone):
            one.ascend([drawn[number]], advantages[[number]], 0.1)
            assert np.array_equal(together.logits[number], one.logits[0])
    firsts = [propose(Random(5)) for propose in together.proposals()]
    assert firsts == [one.proposals()[0](Random(5)) for one in alone]


def test_the_baseline_is_the_mean_with_weights_that_fall_with_age() -> None:
    baseline = Baseline(np.zeros(1))
    for reward in (1.0, 0.0, 0.5):
        baseline = baseline.moved(np.array([reward]), 0.9)
    assert baseline.value[0] == pytest.approx((0.81 * 1.0 + 0.5) / (0.81 + 0.9 + 1.0))


def controller(kind: str, lr: float = 0.1) -> Any:
    if kind == "independent":
        return IndependentLogits(SPACE, 1, lr)
    return LstmController(SPACE, [Random(0)], lr, 4, 2, 0.08)


@pytest.mark.parametrize("kind", ["independent", "lstm"])
def test_what_scores_well_becomes_likely(kind: str) -> None:
    learner = controller(kind)
    for step in range(60):
        (propose,) = learner.proposals()
        drawn = [propose(Random(100 * step + number)) for number in range(4)]
        learner.ascend([drawn], np.array([[float(a == ALL[6]) - 0.1 for a in drawn]]), 0.01)
    (propose,) = learner.proposals()
    assert sum(propose(Random(seed)) == ALL[6] for seed in range(50)) > 40


@pytest.mark.parametrize("kind", ["independent", "lstm"])
def test_a_controller_goes_on_from_its_tensors_bit_for_bit_and_refuses_others(kind: str) -> None:
    first, second = controller(kind), controller(kind)
    for step in range(6):
        if step == 3:
            second.load({name: one.clone() for name, one in first.tensors().items()})
        for one in (first, second)[: 1 if step < 3 else 2]:
            one.ascend([ALL[step : step + 2]], np.array([[1.0, -0.5]]), 0.1)
    found, again = first.tensors(), second.tensors()
    assert found.keys() == again.keys() and all(found[name].equal(again[name]) for name in found)
    other = SearchSpace("other", "made up", CHOICES[:1], family="toy")
    stranger = controller_of(reinforce.Config(controller=kind), other, [Random(0)])  # type: ignore[arg-type]
    with pytest.raises((KeyError, ValueError)):
        first.load(stranger.tensors())


@pytest.mark.parametrize("kind", ["independent", "lstm"])
def test_the_page_is_given_the_probabilities_of_choices(kind: str) -> None:
    name, options, row = controller(kind).probabilities()[0]
    assert (name, options) == ("a", (0, 1, 2)) and sum(row) == pytest.approx(1.0)
