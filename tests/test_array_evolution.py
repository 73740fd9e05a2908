"""The evolution over candidates in arrays: what it proposes, what it finds, when it ends."""

import numpy as np
import pytest

from dartboard.errors import InterruptedRunError
from dartboard.scoring import array_costs
from dartboard.scoring.latency import own_sizes
from dartboard.scoring.limits import limits_from
from dartboard.search import array_evolution
from dartboard.search.array_evolution import Candidates, evolved
from dartboard.spaces import SPACES
from dartboard.spaces.columns import Columns, Flags, Rows, keys
from dartboard.spaces.search_space import Choice, SearchSpace

SPACE = SPACES["ofa-8"]
COLUMNS = Columns(SPACE)
ADDED = np.random.default_rng(5).normal(size=COLUMNS.starts[-1])


def planted(rows: Rows) -> np.ndarray:
    """A sum of a number for each option."""
    return np.asarray(COLUMNS.one_hot(rows) @ ADDED)


def anything(rows: Rows) -> Flags:
    return np.ones(len(rows), dtype=np.bool_)


def found(number: int, seed: int = 0) -> Candidates:
    first = COLUMNS.rows([SPACE.smallest()])
    return evolved(COLUMNS, first, planted, anything, number, np.random.default_rng(seed))


def test_as_many_candidates_as_are_wanted_are_predicted_each_once() -> None:
    made = found(1234)
    rows = np.concatenate(made.rows)
    assert len(rows) == len(set(keys(rows))) == len(made.known) == 1234
    assert COLUMNS.contains(rows).all()
    assert np.allclose(np.concatenate(made.predicted), planted(rows), rtol=0, atol=1e-5)  # sums of several sizes


def test_the_best_are_those_with_the_highest_predictions() -> None:
    made = found(500)
    rows, predicted = made.best(7)
    everything = np.sort(np.concatenate(made.predicted))[::-1]
    assert (predicted == everything[:7]).all() and np.allclose(planted(rows), predicted, rtol=0, atol=1e-5)


def test_a_planted_optimum_is_found_that_as_many_random_draws_miss() -> None:
    """The best option of each choice that exists, of the best depth; no sum is higher."""
    draws = planted(COLUMNS.sample(3000, np.random.default_rng(0)))
    best = found(3000).best(1)[1][0]
    optimum = found(20_000, seed=1).best(1)[1][0]
    assert best > draws.max() + 0.5 * (optimum - draws.max()) and best <= optimum + 1e-6


def test_every_candidate_is_within_the_limits() -> None:
    limits = limits_from("macs<=800K,params<=70K")
    counts = array_costs.counting(COLUMNS, own_sizes(SPACE), None)  # type: ignore[arg-type]
    fit = array_costs.within(counts, limits)
    first = COLUMNS.rows([SPACE.smallest()])
    made = evolved(COLUMNS, first, planted, fit, 600, np.random.default_rng(0))
    costs = counts(np.concatenate(made.rows))
    assert len(made.known) == 600 and costs["macs"].max() <= 800_000 and costs["params"].max() <= 70_000


def test_the_same_seed_makes_the_same_candidates_and_another_one_others() -> None:
    one, again, other = (np.concatenate(found(400, seed).rows) for seed in (1, 1, 2))
    assert (one == again).all() and (one != other).any()


def test_a_small_space_is_gone_through_to_the_end() -> None:
    choices = (Choice("depth", (1, 2)), Choice("a", (0, 1, 2)), Choice("b", (0, 1, 2), ("depth", (2,))))
    columns = Columns(SearchSpace("small", "made up", choices, family="toy"))

    def predict(rows: Rows) -> np.ndarray:
        return rows.sum(axis=1).astype(np.float64)

    first = columns.rows([columns.space.smallest()])
    made = evolved(columns, first, predict, anything, 50_000, np.random.default_rng(0))
    assert len(made.known) == columns.space.size == 12
    assert made.best(1)[0].tolist() == [[1, 2, 2]]


def test_only_the_first_candidate_is_left_where_nothing_else_is_within_the_limits() -> None:
    first = COLUMNS.rows([SPACE.smallest()])

    def only(rows: Rows) -> Flags:
        return (rows == first).all(axis=1)

    made = evolved(COLUMNS, first, planted, only, 1000, np.random.default_rng(0))
    assert (np.concatenate(made.rows) == first).all() and len(made.known) == 1


def test_the_resolution_has_a_chance_of_its_own() -> None:
    names = [choice.name for choice in SPACE.choices]
    chances = array_evolution.chances(COLUMNS)
    assert chances[names.index("resolution")] == 0.5 and set(chances) == {0.1, 0.5} and chances.count(0.5) == 1


def test_it_says_the_size_of_each_generation_and_can_be_stopped_behind_each() -> None:
    sizes: list[int] = []
    evolved(COLUMNS, COLUMNS.rows([SPACE.smallest()]), planted, anything, 250, np.random.default_rng(0), sizes.append)
    assert sizes == [100, 100, 50]

    def stop(fresh: int) -> None:
        raise InterruptedRunError("stopped", 130)

    with pytest.raises(InterruptedRunError):
        evolved(COLUMNS, COLUMNS.rows([SPACE.smallest()]), planted, anything, 1000, np.random.default_rng(0), stop)
