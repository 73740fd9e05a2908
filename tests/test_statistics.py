"""Means, intervals, rank correlation and p-values against definitions written out: pairs counted, orders enumerated."""

import math
import subprocess
import sys
from fractions import Fraction
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dartboard import statistics as figures

NUMBERS = st.lists(st.integers(-4, 4), min_size=2, max_size=7)
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=6)


def tau_by_pairs(x: list[float], y: list[float]) -> float | None:
    """Kendall's tau-b as its definition counts: every pair of items looked at."""
    agree = oppose = only_x = only_y = 0
    for i in range(len(x)):
        for j in range(i):
            if x[i] == x[j] and y[i] == y[j]:
                continue
            if x[i] == x[j]:
                only_x += 1
            elif y[i] == y[j]:
                only_y += 1
            elif (x[i] < x[j]) == (y[i] < y[j]):
                agree += 1
            else:
                oppose += 1
    scale = math.sqrt((agree + oppose + only_x) * (agree + oppose + only_y))
    return (agree - oppose) / scale if scale else None


def test_the_mean_and_the_spread_are_those_of_a_worked_example() -> None:
    assert figures.mean([2, 4, 4, 4, 5, 5, 7, 9]) == 5
    assert figures.sample_spread([2, 4, 4, 4, 5, 5, 7, 9]) == pytest.approx(math.sqrt(32 / 7), abs=1e-15)
    assert figures.sample_spread([3.0]) is None


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_kendalls_tau_is_what_counting_the_pairs_gives(pairs: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    expected = tau_by_pairs(x, y)
    found = figures.kendall_tau(x, y)
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-12)


def test_kendalls_tau_of_all_orders_of_five_is_what_counting_the_pairs_gives() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0]
    for y in permutations(x):
        assert figures.kendall_tau(x, y) == pytest.approx(tau_by_pairs(x, list(y)), abs=1e-12)


def test_rank_correlations_of_constant_values_are_none() -> None:
    for measure in (figures.kendall_tau, figures.spearman):
        assert measure([1, 1, 1], [1, 2, 3]) is None
        assert measure([1, 2, 3], [5, 5, 5]) is None
    assert figures.kendall_p([1, 1, 1], [1, 2, 3], 0) is None
    assert figures.spearman_p([1, 1, 1], [1, 2, 3], 0) is None


def test_spearmans_rho_without_ties_is_one_minus_six_sums_of_squares() -> None:
    for y in permutations([1.0, 2.0, 3.0, 4.0]):
        squares = sum((a - b) ** 2 for a, b in zip([1, 2, 3, 4], y, strict=True))
        assert figures.spearman([10, 20, 30, 40], y) == pytest.approx(1 - 6 * squares / (4 * 15), abs=1e-12)


def test_tied_values_share_the_mean_of_their_ranks() -> None:
    assert list(figures.ranks([30, 10, 20, 20])) == [4, 1, 2.5, 2.5]
    assert list(figures.ranks([7, 7, 7])) == [2, 2, 2]


@settings(max_examples=25, deadline=None)
@given(PAIRS)
def test_kendalls_p_is_the_share_of_all_orders_as_extreme(pairs: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    seen = tau_by_pairs(x, y)
    if seen is None:
        assert figures.kendall_p(x, y, 0) is None
        return
    all_ = [abs(tau_by_pairs(x, list(order)) or 0.0) for order in permutations(y)]
    assert figures.kendall_p(x, y, 0) == pytest.approx(sum(one >= abs(seen) - 1e-12 for one in all_) / len(all_))


STRATA = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("uvw")), min_size=2, max_size=6)


@settings(max_examples=40, deadline=None)
@given(STRATA)
def test_tau_within_strata_counts_their_pairs_alone_and_exchanges_only_within(rows: list[tuple[int, int, str]]) -> None:
    x, y, strata = [float(a) for a, _, _ in rows], [float(b) for _, b, _ in rows], [name for *_, name in rows]
    found = figures.kendall_tau_within(x, y, strata)
    seen = tau_within_by_pairs(x, y, strata)
    p = figures.kendall_p_within(x, y, strata, 0)
    if seen is None:
        assert found is None and p is None
        return
    assert found == pytest.approx(seen, abs=1e-12)
    places = range(len(y))
    orders = [order for order in permutations(places) if all(strata[i] == strata[order[i]] for i in places)]
    all_ = [abs(tau_within_by_pairs(x, [y[j] for j in order], strata) or 0.0) for order in orders]
    assert p == pytest.approx(sum(one >= abs(seen) - 1e-12 for one in all_) / len(all_))


def tau_within_by_pairs(x: list[float], y: list[float], strata: list[str]) -> float | None:
    """Kendall's tau-b by a loop over the pairs of one stratum."""
    agree = of_x = of_y = 0
    for i, j in combinations(range(len(x)), 2):
        if strata[i] == strata[j]:
            a, b = (x[i] > x[j]) - (x[i] < x[j]), (y[i] > y[j]) - (y[i] < y[j])
            agree, of_x, of_y = agree + a * b, of_x + abs(a), of_y + abs(b)
    return agree / math.sqrt(of_x * of_y) if of_x and of_y else None


def test_strata_that_differ_do_not_make_an_order_of_what_has_none_within_them() -> None:
    """Two groups, one above the other in both scores, and the opposite order inside each: pooled it looks like one."""
    x, y = [1.0, 2.0, 3.0, 11.0, 12.0, 13.0], [3.0, 2.0, 1.0, 13.0, 12.0, 11.0]
    assert figures.kendall_tau(x, y) == pytest.approx((9 - 6) / 15)
    assert figures.kendall_tau_within(x, y, "aaabbb") == -1.0
    assert figures.kendall_p_within(x, y, "aaabbb", 0) == pytest.approx(2 / 36)


def test_random_orders_within_strata_stay_within_them() -> None:
    groups = [np.array([0, 2, 4]), np.array([1, 3])]
    orders = np.concatenate(list(figures.random_orders(groups, 7, 50, np.random.default_rng(0))))
    assert orders.shape == (50, 5) and len(np.unique(orders, axis=0)) > 5
    for group in groups:
        assert (np.sort(orders[:, group], axis=1) == group).all()


def test_spearmans_p_is_the_share_of_all_orders_as_extreme() -> None:
    x, y = [1.0, 2.0, 2.0, 4.0, 5.0], [2.0, 1.0, 3.0, 3.0, 9.0]
    seen = abs(figures.spearman(x, y) or 0)
    all_ = [abs(figures.spearman(x, order) or 0) for order in permutations(y)]
    assert figures.spearman_p(x, y, 0) == sum(one >= seen - 1e-12 for one in all_) / 120


def test_the_least_p_of_an_ordered_list_is_two_in_all_orders() -> None:
    for n in (3, 5, 8):
        assert figures.kendall_p(range(n), range(n), 0) == 2 / math.factorial(n)


def test_random_orders_come_near_the_exact_share_and_are_never_zero() -> None:
    x = [float(i) for i in range(9)]
    y = [2.0, 0.0, 1.0, 5.0, 3.0, 4.0, 8.0, 6.0, 7.0]
    signs = figures.pair_signs(np.array([x]))[0]
    seen = abs(float(signs @ figures.pair_signs(np.array([y]))[0]))
    orders = figures.pair_signs(np.array(list(permutations(y))))
    exact = float((np.abs(orders @ signs) >= seen).mean())  # all 362,880 orders
    found = figures.kendall_p(x, y, 3, draws=20_000)
    assert found is not None and abs(found - exact) < 5 * math.sqrt(exact / 20_000) + 1 / 20_000
    assert figures.kendall_p(range(40), range(40), 0, draws=99) == 1 / 100
    assert figures.kendall_p(x, y, 3) == figures.kendall_p(x, y, 3)
    assert figures.kendall_p(x, y, 3) != figures.kendall_p(x, y, 4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([k / 40 for k in range(41)]), min_size=1, max_size=6))
def test_holms_adjusted_values_reject_what_his_procedure_rejects(p_values: list[float]) -> None:
    adjusted = figures.holm(p_values)
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected: set[int] = set()
        for step, index in enumerate(sorted(range(len(p_values)), key=lambda one: (p_values[one], one))):
            if p_values[index] > level / (len(p_values) - step) + 1e-12:
                break
            rejected.add(index)
        assert {index for index, value in enumerate(adjusted) if value <= level + 1e-9} == rejected


def test_holm_of_a_worked_example_and_of_nothing() -> None:
    assert figures.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert figures.holm([]) == []
    with pytest.raises(ValueError, match="outside"):
        figures.holm([1.5])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=4))
def test_the_bootstrap_of_few_values_is_that_of_all_resamples(values: list[int]) -> None:
    n = len(values)
    means = sorted(Fraction(sum(resample), n) for resample in product(values, repeat=n))
    interval = figures.bootstrap_mean([float(one) for one in values], 0)
    tail = Fraction(1, 40) * len(means)
    low = next(one for k, one in enumerate(means, 1) if k >= tail)
    high = next(one for k, one in enumerate(reversed(means), 1) if k >= tail)
    assert interval.exact and interval.n == n
    assert (interval.estimate, interval.low, interval.high) == pytest.approx(
        (sum(values) / n, float(low), float(high)), abs=1e-12
    )


def test_the_bootstrap_of_many_values_follows_the_seed_and_the_normal_width() -> None:
    values = [float(k % 2) for k in range(400)]
    one, again, other = (figures.bootstrap_mean(values, seed) for seed in (1, 1, 2))
    assert one == again and not one.exact
    uneven = [math.sqrt(k) for k in range(20)]
    assert figures.bootstrap_mean(uneven, 1) == figures.bootstrap_mean(uneven, 1) != figures.bootstrap_mean(uneven, 2)
    half = 1.96 * 0.5 / math.sqrt(400)  # of 0/1 values with share 1/2
    assert other.high - 0.5 == pytest.approx(half, rel=0.1)
    assert one.high - 0.5 == pytest.approx(half, rel=0.1) and 0.5 - one.low == pytest.approx(half, rel=0.1)


def test_values_that_repeat_are_drawn_as_counts_with_the_same_distribution() -> None:
    values = np.array([-1.0] * 5 + [0.0] * 40 + [0.5] * 3 + [1.0] * 12)
    rng = np.random.default_rng(0)
    rows = [values[rng.integers(0, 60, 60)].mean() for _ in range(4000)]
    found, exact = figures.resampled_means(values, np.random.default_rng(1), 4000)
    assert not exact and len(found) == 4000
    assert found.mean() == pytest.approx(np.mean(rows), abs=0.005)
    assert found.std() == pytest.approx(values.std() / math.sqrt(60), rel=0.05) == pytest.approx(np.std(rows), rel=0.1)


def test_the_interval_of_three_values_runs_from_the_least_to_the_greatest() -> None:
    interval = figures.bootstrap_mean([3.0, 1.0, 4.0], 0)
    assert (interval.low, interval.high, interval.level) == (1.0, 4.0, 0.95)


def test_a_paired_difference_turns_its_sign_with_its_sides_and_is_exactly_zero_of_equal_ones() -> None:
    first, second = [0.9, 0.8, 0.85], [0.7, 0.75, 0.8]
    one, other = figures.paired_difference(first, second, 0), figures.paired_difference(second, first, 0)
    assert one.estimate == pytest.approx(0.1) and (one.low, one.high) == (-other.high, -other.low)
    assert one.excludes_zero
    same = figures.paired_difference(first, first, 0)
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0) and not same.excludes_zero


def test_pairing_narrows_the_interval_where_pairs_vary_together() -> None:
    rng = np.random.default_rng(0)
    first = list(rng.normal(size=30))
    second = [one + 0.1 + 0.01 * step for one, step in zip(first, rng.normal(size=30), strict=True)]
    paired = figures.paired_difference(second, first, 0)
    apart = figures.difference_of_means(second, first, 0)
    assert paired.estimate == pytest.approx(apart.estimate)
    assert paired.high - paired.low < 0.1 * (apart.high - apart.low)


def test_the_difference_of_two_groups_is_that_of_all_pairs_of_resamples() -> None:
    first, second = [0.0, 1.0], [0.0, 0.5, 0.75]
    all_ = sorted(
        sum(one) / 2 - sum(other) / 3 for one in product(first, repeat=2) for other in product(second, repeat=3)
    )
    interval = figures.difference_of_means(first, second, 0, level=0.5, draws=40_000)
    assert interval.low == pytest.approx(all_[math.ceil(len(all_) / 4) - 1], abs=0.09)  # the next steps are so near
    assert interval.high == pytest.approx(all_[-math.ceil(len(all_) / 4)], abs=0.09)


def test_wilsons_bounds_solve_his_equation() -> None:
    for right, n in ((0, 5), (3, 10), (50, 100), (360, 360)):
        low, high = figures.wilson(right, n)
        assert 0 <= low <= right / n <= high <= 1
        for bound in (low, high):
            if 0 < bound < 1:  # |p - bound| = z sqrt(bound (1 - bound) / n)
                assert abs(right / n - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / n), rel=1e-6)
    with pytest.raises(ValueError, match="no share"):
        figures.wilson(3, 2)


@settings(max_examples=25, deadline=None)
@given(NUMBERS)
def test_the_sign_flip_p_is_the_share_of_all_signs_as_extreme(values: list[int]) -> None:
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=len(values))
    ]
    share = sum(one >= abs(sum(values)) for one in sums) / len(sums)
    assert figures.sign_flip_p([float(one) for one in values], 0) == share


def test_mcnemars_p_is_that_of_flipping_the_signs_of_what_differs() -> None:
    for lost, gained in product(range(6), repeat=2):
        differences = [1.0] * lost + [-1.0] * gained
        expected = figures.sign_flip_p(differences, 0) if differences else 1.0
        assert figures.mcnemar_p(lost, gained) == expected
    assert figures.mcnemar_p(2000, 1000) < 1e-60
    with pytest.raises(ValueError, match="no counts"):
        figures.mcnemar_p(-1, 2)


def test_sign_flips_of_many_differences_are_random_but_of_a_seed() -> None:
    values = [1.0] * 40
    assert figures.sign_flip_p(values, 0, draws=500) == 1 / 501
    mixed = [1.0, -1.0] * 10
    assert figures.sign_flip_p(mixed, 0) == figures.sign_flip_p(mixed, 0) == 1.0


@pytest.mark.parametrize("wrong", [[], [float("nan"), 1.0], [float("inf")], [[1.0, 2.0]]])
def test_values_that_are_none_or_not_finite_are_refused(wrong: list[float]) -> None:
    for of in (figures.mean, lambda values: figures.bootstrap_mean(values, 0)):
        with pytest.raises(ValueError):
            of(wrong)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs are needed"):
        figures.kendall_tau([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="between 0 and 1"):
        figures.bootstrap_mean([1.0], 0, level=1.0)


def test_statistics_load_no_torch() -> None:
    code = "import sys, dartboard.statistics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
