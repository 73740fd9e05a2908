"""How well scores order items: every measure and its bootstrap against resamples written out, pairs counted, scipy."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dartboard.analysis import rankings
from dartboard.analysis import statistics as figures

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=7)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pairs, dtype=np.float64)
    return table[:, 0], table[:, 1]


def same(found: float, expected: float | None) -> bool:
    return bool(np.isnan(found)) if expected is None else found == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.integers(0, 99))
def test_measures_of_resamples_are_those_of_the_lists_with_copies(pairs: list[tuple[int, int]], seed: int) -> None:
    x, y = columns(pairs)
    counts = rankings.resampled_counts(len(x), seed, 5)
    assert (counts.sum(axis=1) == len(x)).all()
    taus, rhos = rankings.taus(x, y, counts), rankings.rhos(x, y, counts)
    for row, (tau, rho) in zip(counts.astype(int), zip(taus, rhos, strict=True), strict=True):
        a, b = list(np.repeat(x, row)), list(np.repeat(y, row))
        assert same(tau, figures.kendall_tau(a, b)) and same(rho, figures.spearman(a, b))


def test_tau_and_rho_of_many_values_are_those_of_scipy_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 40, 90).astype(float)
    y = x + rng.normal(0, 20, 90)
    whole = rankings.taus(x, y, rankings.resampled_counts(90, 1, 20))
    assert rankings.taus(x, y, rankings.once(90))[0] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert rankings.rhos(x, y, rankings.once(90))[0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    monkeypatch.setattr(rankings, "PIECE", 700)  # seven rows at a time
    assert rankings.taus(x, y, rankings.resampled_counts(90, 1, 20)) == pytest.approx(whole, abs=1e-12)


def overlap_by_lot(x: list[float], y: list[float], k: int) -> float:
    """The mean share over every order in which ties may fall, on either side by itself."""
    tops = [every_top(values, k) for values in (x, y)]
    return float(np.mean([len(one & other) / k for one, other in product(*tops)]))


def every_top(values: list[float], k: int) -> list[set[int]]:
    """Each set of the k highest that a lot among the ties can give, as often as the others."""
    edge = sorted(values, reverse=True)[k - 1]
    sure = {place for place, value in enumerate(values) if value > edge}
    tied = [place for place, value in enumerate(values) if value == edge]
    found = [sure | set(some) for some in product(tied, repeat=k - len(sure)) if len(set(some)) == k - len(sure)]
    return found


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.integers(1, 3))
def test_the_overlap_of_the_best_is_the_mean_over_all_lots_among_ties(pairs: list[tuple[int, int]], k: int) -> None:
    x, y = columns(pairs)
    found = rankings.overlaps(k)(x, y, rankings.once(len(x)))[0]
    assert found == pytest.approx(overlap_by_lot(list(x), list(y), k), abs=1e-12)


def test_the_overlap_of_a_resample_counts_copies() -> None:
    x, y, counts = np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]), np.array([[2.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    # two copies of the first: the best two by x are these, by y the third and by lot one of them
    assert rankings.overlaps(2)(x, y, counts) == pytest.approx([0.5, 0.5])
    assert rankings.overlaps(1)(x, y, counts) == pytest.approx([0.0, 0.0])


def test_the_interval_is_that_of_resamples_written_out() -> None:
    rng = np.random.default_rng(3)
    x, n = rng.normal(size=25), 25
    y = x + rng.normal(size=n)
    counts = rankings.resampled_counts(n, 7, 400)
    copies = [np.repeat(np.arange(n), row) for row in counts.astype(int)]
    by_hand = [stats.kendalltau(x[one], y[one]).statistic for one in copies]
    found = rankings.interval(rankings.drawn(rankings.taus, list(x), list(y), counts))
    assert found is not None and found.estimate == pytest.approx(stats.kendalltau(x, y).statistic)
    assert (found.low, found.high) == pytest.approx(figures.percentiles(np.array(by_hand), 0.95))
    assert found.n == n and found.how == "bootstrap"


def test_a_difference_is_paired_and_of_a_score_with_itself_zero() -> None:
    rng = np.random.default_rng(4)
    y = list(rng.normal(size=40))
    good, poor = [one + 0.3 * rng.normal() for one in y], list(rng.normal(size=40))
    counts = rankings.resampled_counts(40, 0)
    of_good, of_poor = (rankings.drawn(rankings.taus, one, y, counts) for one in (good, poor))
    none = rankings.difference(of_good, of_good)
    assert none is not None and (none.estimate, none.low, none.high) == (0, 0, 0) and not none.excludes_zero
    found = rankings.difference(of_good, of_poor)
    assert found is not None and found.excludes_zero and found.estimate > 0.3
    paired = rankings.taus(np.array(good), np.array(y), counts) - rankings.taus(np.array(poor), np.array(y), counts)
    assert (found.low, found.high) == figures.percentiles(paired, 0.95)


def test_the_interval_of_tau_covers_the_tau_of_all_as_often_as_it_says() -> None:
    """Samples of 60 out of a population whose tau is known: 95 % intervals, in 200 repetitions, cover it in 88 or more
    of 100."""
    rng = np.random.default_rng(5)
    all_x = rng.normal(size=3000)
    all_y = all_x + rng.normal(size=3000)
    true = stats.kendalltau(all_x, all_y).statistic
    hits = 0
    for repetition in range(200):
        some = rng.choice(3000, 60, replace=False)
        counts = rankings.resampled_counts(60, repetition, 200)
        found = rankings.interval(rankings.drawn(rankings.taus, list(all_x[some]), list(all_y[some]), counts))
        hits += found is not None and found.low is not None and found.low <= true <= (found.high or 0)
    assert hits >= 176


def test_scores_without_any_order_have_no_agreement() -> None:
    counts = rankings.resampled_counts(4, 0)
    for measure in (rankings.taus, rankings.rhos):
        assert rankings.interval(rankings.drawn(measure, [1, 1, 1, 1], [1, 2, 3, 4], counts)) is None
    with pytest.raises(ValueError, match="pairs are needed"):
        rankings.drawn(rankings.taus, [1, 2], [1, 2, 3], counts)
    seldom = rankings.interval(rankings.Drawn(0.5, np.array([np.nan, np.nan, np.nan, 0.5]), 4))
    assert seldom is not None and (seldom.estimate, seldom.low, seldom.how) == (0.5, None, "none")
