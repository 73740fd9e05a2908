"""PPO: the clipped surrogate, its gradient, settings. The rest is tried by test_contracts.py."""

from random import Random
from typing import Any

import numpy as np
import pytest

from dartboard.errors import InputError
from dartboard.methods import ppo
from dartboard.scoring.cost import Cost
from dartboard.search import trials
from dartboard.search.controllers import Array, IndependentLogits
from dartboard.search.learners import Learner
from dartboard.search.proposals import Trial, drawing
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace
from trial_settings import chance

CELLS = nasbench201.SPACE
SPACE = SearchSpace("small", "made up", (Choice("a", (0, 1, 2)), Choice("b", (0, 1), ("a", (1, 2)))), family="toy")
ALL = list(SPACE.enumerate())
ADVANTAGES = np.array([[0.5, -2.0, 1.0, -0.3, 0.7]])


def logits() -> IndependentLogits:
    found = IndependentLogits(SPACE, 1, lr=0.1)
    found.logits = np.random.default_rng(0).normal(size=found.logits.shape)
    return found


def surrogate(controller: IndependentLogits, old: Array) -> float:
    """Eq. 7 by its definition."""
    ratio = np.exp(controller.log_probabilities([ALL]) - old)
    return float(np.minimum(ratio * ADVANTAGES, np.clip(ratio, 0.8, 1.2) * ADVANTAGES).mean())


def gradient(controller: IndependentLogits, old: Array) -> Array:
    ratio = np.exp(controller.log_probabilities([ALL]) - old)
    return controller.gradient([ALL], ppo.weights(ratio, ADVANTAGES, 0.2), 0.0)


def test_with_ratio_1_the_gradient_is_that_of_reinforce() -> None:
    controller = logits()
    found = gradient(controller, controller.log_probabilities([ALL]))
    assert np.allclose(found, controller.gradient([ALL], ADVANTAGES, 0.0), rtol=0, atol=1e-10)
    assert np.abs(found).max() > 1e-2


def test_beyond_the_clip_the_gradient_is_0_only_in_the_direction_of_the_advantage() -> None:
    ratio, advantage = np.array([1.3, 1.3, 0.7, 0.7, 1.1, 0.9]), np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    assert ppo.weights(ratio, advantage, 0.2).tolist() == [0.0, -1.3, 0.7, 0.0, 1.1, -0.9]


def test_the_gradient_is_the_numeric_one_of_the_surrogate() -> None:
    controller, ratio = logits(), np.array([[1.3, 1.3, 0.7, 0.7, 1.1]])  # the first and the fourth are clipped
    old = controller.log_probabilities([ALL]) - np.log(ratio)
    assert (ppo.weights(ratio, ADVANTAGES, 0.2) == 0).tolist() == [[True, False, False, True, False]]
    found, start = gradient(controller, old)[0], controller.logits
    for place in np.argwhere(controller.there):
        moved = np.zeros_like(start)
        moved[0, *place] = 1e-6
        sides = []
        for sign in (1, -1):
            controller.logits = start + sign * moved
            sides.append(surrogate(controller, old))
        assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(found[*place], abs=1e-7)


def made(**settings: Any) -> tuple[ppo.Config, Learner]:
    config = ppo.Config(**{"batch": 4, **settings})
    draw = drawing(CELLS, (), lambda architecture: Cost(0, 0, 0))
    return config, ppo.proposer(config, CELLS, draw, trials.first_stream(0))


def search(**settings: Any) -> list[Architecture]:
    """What a search scores, in the order of the trials; without a run."""
    config, proposer = made(**settings)
    seen: list[Architecture] = []
    for start in range(0, config.trials, config.batch):
        numbers = range(start, min(start + config.batch, config.trials))
        found = proposer.ask([trials.stream(0, number) for number in numbers])
        seen += found
        proposer.tell([Trial(number, one, chance(one, number)) for number, one in zip(numbers, found, strict=True)])
    return seen


LSTM = {"controller": "lstm", "trials": 8, "controller_lr": 0.1}


@pytest.mark.parametrize(
    ("field", "value", "more"),
    [
        ("controller", "lstm", {}),
        ("controller_lr", 0.01, {}),
        ("clip", 0.9, {}),
        ("inner_epochs", 1, {}),
        ("baseline_decay", 0.0, {}),
        ("entropy_weight", 10.0, {}),
        ("batch", 3, {}),
        ("lstm_units", 3, LSTM),
        ("lstm_layers", 2, LSTM),
        ("lstm_init", 3.0, LSTM),
    ],
)
def test_every_setting_of_the_controller_changes_what_is_drawn(field: str, value: Any, more: dict[str, Any]) -> None:
    base = {"trials": 20, "controller_lr": 1.0, **more}
    assert search(**{**base, field: value}) != search(**base)


@pytest.mark.parametrize("field", ["clip", "inner_epochs", "batch", "controller_lr"])
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} is 0"):
        ppo.Config(**{field: 0})


@pytest.mark.parametrize("controller", ["independent", "lstm"])
def test_old_log_probabilities_survive_a_resume_within_a_batch(controller: str) -> None:
    """A search that is put back after it has drawn a batch learns from it as the other does, bit for bit."""
    _, one = made(controller=controller, lstm_units=5)
    _, other = made(controller=controller, lstm_units=5)
    streams = [Random(number) for number in range(4)]
    scored = [Trial(number, a, chance(a, number)) for number, a in enumerate(one.ask(streams))]
    other.load({name: tensor.clone() for name, tensor in one.tensors().items()}, {})
    assert (other.searches.held["old"] == one.searches.held["old"]).all() and one.searches.held["old"].shape == (1, 4)
    one.tell(scored)
    other.tell(scored)
    assert all((tensor == other.tensors()[name]).all() for name, tensor in one.tensors().items())


def test_a_search_that_stops_between_inner_epochs_learns_from_the_whole_batch_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A checkpoint is that of before the first inner epoch: what a stopped search did after it leaves no trace."""
    (_, one), (_, stopped), (_, resumed) = made(), made(), made()
    streams = [Random(number) for number in range(4)]
    scored = [Trial(number, a, chance(a, number)) for number, a in enumerate(one.ask(streams))]
    stopped.ask(streams)
    kept, steps, ascend = stopped.tensors(), [], stopped.searches.controller.ascend

    def stops(*given: Any) -> None:
        steps.append(None)
        if len(steps) == 3:
            raise KeyboardInterrupt
        ascend(*given)

    monkeypatch.setattr(stopped.searches.controller, "ascend", stops)
    with pytest.raises(KeyboardInterrupt):
        stopped.tell(scored)
    resumed.load(kept, {})
    one.tell(scored)
    resumed.tell(scored)
    assert all((tensor == resumed.tensors()[name]).all() for name, tensor in one.tensors().items())
    assert any((tensor != stopped.tensors()[name]).any() for name, tensor in one.tensors().items())


def test_the_paper_preset_is_the_lstm_of_nasnet() -> None:
    config = ppo.Config(**ppo.PAPER)  # type: ignore[arg-type]
    assert (config.controller, config.controller_lr, config.batch, config.clip) == ("lstm", 3.5e-4, 20, 0.2)
    assert (config.lstm_units, config.lstm_layers, config.lstm_init) == (100, 1, 0.1)
    assert (config.entropy_weight, config.baseline_decay) == (1e-5, 0.95)
