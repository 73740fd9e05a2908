"""REINFORCE: settings, limits. Controllers are tried by test_controllers.py, the rest by test_contracts.py."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

import tiny
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.methods import reinforce
from dartboard.report import write_report
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost, count
from dartboard.scoring.limits import Limit
from dartboard.scoring.scorers import Score
from dartboard.search import trials
from dartboard.search.proposals import Trial, drawing
from dartboard.spaces import SPACES, nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace
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


def test_the_page_shows_how_the_probabilities_move(tmp_path: Path) -> None:
    config = reinforce.Config(trials=23, batch=2, controller_lr=0.1)
    space = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), space=CELLS.name) as run:
        reinforce.search(config, space, None, run, scorer=chance)
    lines = [line for line in tiny.history(tmp_path / "run") if line["event"] in ("start", "epoch")]
    assert [(line["event"], line.get("epoch"), line.get("step")) for line in lines] == [
        ("start", None, None), ("epoch", 0, 10), ("epoch", 1, 20)
    ]  # fmt: skip
    assert lines[0]["labels"]["probabilities"]["columns"] == [["none", "nor_conv_3x3"]] * 6
    assert lines[0]["probabilities"] == [[0.5, 0.5]] * 6 != lines[2]["probabilities"]
    page = write_report([tmp_path / "run"]).read_text()
    assert "Table probabilities" in page and "The best of 23 architectures" in page


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
@pytest.mark.parametrize("controller", ["independent", "lstm"])
def test_every_space_is_walked(space: SearchSpace, controller: Any) -> None:
    config = reinforce.Config(controller=controller, batch=2, entropy_weight=0.1, lstm_units=3)
    proposer = reinforce.proposer(config, space, drawing(space, (), count), Random(0))
    found = proposer.ask([Random(0), Random(1)])
    proposer.tell([Trial(number, one, Score(number / 2)) for number, one in enumerate(found)])
    assert all(one in space for one in [*found, *proposer.ask([Random(0), Random(1)])])
