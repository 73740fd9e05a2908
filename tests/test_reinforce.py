"""REINFORCE: settings, limits. Controllers are tried by test_controllers.py, the rest by test_contracts.py."""

from random import Random
from typing import Any

import pytest

from dartboard.errors import InputError
from dartboard.methods import reinforce
from dartboard.scoring.cost import Cost
from dartboard.scoring.limits import Limit
from dartboard.search import trials
from dartboard.search.proposals import Trial, drawing
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture
from trial_settings import chance

CELLS = nasbench201.SPACE


def search(limits: tuple[Limit, ...] = (), **settings: Any) -> list[Architecture]:
    """What a search scores, in the order of the trials; without a run."""
    config, seen = reinforce.Config(**settings), list[Architecture]()
    draw = drawing(CELLS, limits, lambda architecture: Cost(str(architecture).count("none"), 0, 0))
    proposer = reinforce.proposer(config, CELLS, draw, trials.first_stream(0))
    for start in range(0, config.trials, config.batch):
        numbers = range(start, min(start + config.batch, config.trials))
        found = proposer.ask([trials.stream(0, number) for number in numbers])
        seen += found
        proposer.tell([Trial(number, one, chance(one, number)) for number, one in zip(numbers, found, strict=True)])
    return seen


LSTM = {"controller": "lstm", "trials": 6, "controller_lr": 0.1}


@pytest.mark.parametrize(
    ("field", "value", "more"),
    [
        ("controller", "lstm", {}),
        ("controller_lr", 0.01, {}),
        ("baseline_decay", 0.0, {}),
        ("entropy_weight", 10.0, {}),
        ("batch", 3, {}),
        ("lstm_units", 3, LSTM),
        ("lstm_layers", 1, LSTM),
        ("lstm_init", 3.0, LSTM),
    ],
)
def test_every_setting_of_the_controller_changes_what_is_drawn(field: str, value: Any, more: dict[str, Any]) -> None:
    base = {"trials": 20, "controller_lr": 1.0, **more}
    assert search(**{**base, field: value}) != search(**base)


def test_architectures_are_within_the_limits() -> None:
    """Where the controller has come to draw nothing that is, they are drawn uniformly."""
    found = search((Limit("params", 1),), trials=30, controller_lr=3.0)
    assert len(found) == 30 and all(str(one).count("none") <= 1 for one in found)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"controller": "gru"}, "--controller is 'gru'"),
        ({"controller_lr": 0.0}, "--controller-lr is 0"),
        ({"baseline_decay": 1.0}, "--baseline-decay is 1"),
        ({"entropy_weight": -1.0}, "--entropy-weight is -1"),
        ({"batch": 0}, "--batch is 0"),
        ({"lstm_units": 0}, "--lstm-units is 0"),
        ({"lstm_layers": 0}, "--lstm-layers is 0"),
        ({"lstm_init": 0.0}, "--lstm-init is 0"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        reinforce.Config(**setting)


def test_the_paper_preset_is_the_lstm_of_zoph_and_le() -> None:
    config = reinforce.Config(**reinforce.PAPER)  # type: ignore[arg-type]
    assert (config.controller, config.controller_lr, config.batch, config.lstm_units) == ("lstm", 6e-4, 8, 35)
    assert reinforce.proposer(config, CELLS, drawing(CELLS, (), chance), Random(0))  # type: ignore[arg-type]
