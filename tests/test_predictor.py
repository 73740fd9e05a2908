"""The predictor of accuracy, a linear model and a line: what they learn, and what they depend on."""

from random import Random

import numpy as np
import pytest
import torch

from dartboard.analysis.statistics import kendall_tau
from dartboard.scoring import predictor
from dartboard.spaces import SPACES
from dartboard.spaces.columns import Columns

SPACE = SPACES["bignas-8"]
COLUMNS = Columns(SPACE)


def planted(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Networks, and accuracies that are sums of a number for each option."""
    rng = np.random.default_rng(seed)
    rows = COLUMNS.sample(number, rng)
    added = np.random.default_rng(99).normal(size=COLUMNS.starts[-1])
    return rows, 0.7 + 0.01 * COLUMNS.one_hot(rows) @ added


def tau(model: predictor.Model, rows: np.ndarray, accuracies: np.ndarray) -> float:
    found = kendall_tau(model(rows).tolist(), accuracies.tolist())
    assert found is not None
    return found


def test_both_models_recover_a_planted_sum() -> None:
    rows, accuracies = planted(400)
    unseen = planted(200, seed=1)
    perceptron = predictor.trained(COLUMNS, rows, accuracies, seed=0)
    linear = predictor.linear_model(COLUMNS, rows, accuracies)
    assert tau(perceptron, *unseen) > 0.9 and tau(linear, *unseen) > 0.95
    assert np.abs(perceptron(unseen[0]) - unseen[1]).mean() < 0.01


def test_the_predictor_learns_what_no_sum_can() -> None:
    """An exclusive or of two choices: a linear model ranks nothing."""
    rows = COLUMNS.sample(300, np.random.default_rng(0))
    unseen = COLUMNS.sample(200, np.random.default_rng(1))
    names = [choice.name for choice in SPACE.choices]
    one, other = names.index("head.width"), names.index("resolution")

    def truth(rows: np.ndarray) -> np.ndarray:
        return 0.5 + 0.1 * (rows[:, one] != rows[:, other])

    perceptron = predictor.trained(COLUMNS, rows, truth(rows), seed=0)
    linear = predictor.linear_model(COLUMNS, rows, truth(rows))
    right = (perceptron(unseen) > 0.55) == (truth(unseen) > 0.55)
    assert right.mean() > 0.9 and tau(linear, unseen, truth(unseen)) < 0.3


def test_the_predictor_is_a_function_of_its_seed_and_moves_no_other_randomness() -> None:
    rows, accuracies = planted(40)
    before = torch.get_rng_state()
    first, again, other = (predictor.trained(COLUMNS, rows, accuracies, seed)(rows) for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_number_of_threads_changes_nothing_and_stays() -> None:
    rows, accuracies = planted(40)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(predictor.trained(COLUMNS, rows, accuracies, 3)(rows))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert (found[0] == found[1]).all()


def test_the_perceptron_has_three_hidden_layers_of_400_and_no_last_bias() -> None:
    with torch.device("meta"):
        perceptron = predictor.perceptron_of(128)
    number = sum(one.numel() for one in perceptron.parameters())
    assert number == 128 * 400 + 400 + 2 * (400 * 400 + 400) + 400


def test_equal_accuracies_are_predicted_as_they_are() -> None:
    rows, _ = planted(30)
    found = predictor.trained(COLUMNS, rows, [0.25] * 30, seed=0)(rows)
    assert found == pytest.approx([0.25] * 30, abs=0.05) and np.isfinite(found).all()


def test_the_scorer_gives_what_the_predictor_predicts() -> None:
    rows, accuracies = planted(30)
    model = predictor.trained(COLUMNS, rows, accuracies, seed=0)
    architecture = SPACE.sample(Random(2))
    score = predictor.by_predictor(model)(architecture, 0)
    assert score.value == model(COLUMNS.rows([architecture]))[0] and score.source == "predictor"


def test_the_linear_model_is_the_ridge_regression_of_stacked_least_squares() -> None:
    """|X b - y|^2 + r |b|^2 is the squared distance of [X; sqrt(r) 1] b from [y; 0]."""
    rows, accuracies = planted(60)
    x = COLUMNS.one_hot(rows).astype(np.float64)
    centred, mean = x - x.mean(axis=0), accuracies.mean()
    stacked = np.vstack([centred, np.sqrt(predictor.RIDGE) * np.eye(x.shape[1])])
    b = np.linalg.lstsq(stacked, np.concatenate([accuracies - mean, np.zeros(x.shape[1])]), rcond=None)[0]
    unseen, _ = planted(20, seed=1)
    wanted = mean + (COLUMNS.one_hot(unseen) - x.mean(axis=0)) @ b
    assert predictor.linear_model(COLUMNS, rows, accuracies)(unseen) == pytest.approx(wanted, abs=1e-9)


def test_the_line_is_that_of_least_squares() -> None:
    x, y = np.array([1e6, 2e6, 4e6, 9e6]), np.array([0.4, 0.5, 0.55, 0.8])
    slope, constant = np.polyfit(x / 1e6, y, 1)
    assert predictor.line(x, y)([3e6, 5e6]) == pytest.approx([constant + 3 * slope, constant + 5 * slope])
    assert predictor.line([2.0, 2.0], [0.2, 0.4])([7.0]) == pytest.approx([0.3])
