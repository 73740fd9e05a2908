"""Means, intervals, rank correlation and p-values against definitions written out: pairs counted, orders enumerated."""

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dartboard.analysis import p_values
from dartboard.analysis import statistics as figures

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
    assert p_values.kendall_p([1, 1, 1], [1, 2, 3], 0) is None
    assert p_values.spearman_p([1, 1, 1], [1, 2, 3], 0) is None


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
        assert p_values.kendall_p(x, y, 0) is None
        return
    all_ = [abs(tau_by_pairs(x, list(order)) or 0.0) for order in permutations(y)]
    assert p_values.kendall_p(x, y, 0) == pytest.approx(sum(one >= abs(seen) - 1e-12 for one in all_) / len(all_))


STRATA = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("uvw")), min_size=2, max_size=6)


@settings(max_examples=40, deadline=None)
@given(STRATA)
def test_tau_within_strata_counts_their_pairs_alone_and_exchanges_only_within(rows: list[tuple[int, int, str]]) -> None:
    x, y, strata = [float(a) for a, _, _ in rows], [float(b) for _, b, _ in rows], [name for *_, name in rows]
    found = figures.kendall_tau_within(x, y, strata)
    seen = tau_within_by_pairs(x, y, strata)
    p = p_values.kendall_p_within(x, y, strata, 0)
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
    assert p_values.kendall_p_within(x, y, "aaabbb", 0) == pytest.approx(2 / 36)


def test_random_orders_within_strata_stay_within_them() -> None:
    groups = [np.array([0, 2, 4]), np.array([1, 3])]
    orders = np.concatenate(list(p_values.random_orders(groups, 7, 50, np.random.default_rng(0))))
    assert orders.shape == (50, 5) and len(np.unique(orders, axis=0)) > 5
    for group in groups:
        assert (np.sort(orders[:, group], axis=1) == group).all()


def test_spearmans_p_is_the_share_of_all_orders_as_extreme() -> None:
    x, y = [1.0, 2.0, 2.0, 4.0, 5.0], [2.0, 1.0, 3.0, 3.0, 9.0]
    seen = abs(figures.spearman(x, y) or 0)
    all_ = [abs(figures.spearman(x, order) or 0) for order in permutations(y)]
    assert p_values.spearman_p(x, y, 0) == sum(one >= seen - 1e-12 for one in all_) / 120


def test_the_least_p_of_an_ordered_list_is_two_in_all_orders() -> None:
    for n in (3, 5, 8):
        assert p_values.kendall_p(range(n), range(n), 0) == 2 / math.factorial(n)


def test_random_orders_come_near_the_exact_share_and_are_never_zero() -> None:
    x = [float(i) for i in range(9)]
    y = [2.0, 0.0, 1.0, 5.0, 3.0, 4.0, 8.0, 6.0, 7.0]
    signs = figures.pair_signs(np.array([x]))[0]
    seen = abs(float(signs @ figures.pair_signs(np.array([y]))[0]))
    orders = figures.pair_signs(np.array(list(permutations(y))))
    exact = float((np.abs(orders @ signs) >= seen).mean())  # all 362,880 orders
    found = p_values.kendall_p(x, y, 3, draws=20_000)
    assert found is not None and abs(found - exact) < 5 * math.sqrt(exact / 20_000) + 1 / 20_000
    assert p_values.kendall_p(range(40), range(40), 0, draws=99) == 1 / 100
    assert p_values.kendall_p(x, y, 3) == p_values.kendall_p(x, y, 3)
    assert p_values.kendall_p(x, y, 3) != p_values.kendall_p(x, y, 4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([k / 40 for k in range(41)]), min_size=1, max_size=6))
def test_holms_adjusted_values_reject_what_his_procedure_rejects(found: list[float]) -> None:
    adjusted = p_values.holm(found)
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected: set[int] = set()
        for step, index in enumerate(sorted(range(len(found)), key=lambda one: (found[one], one))):
            if found[index] > level / (len(found) - step) + 1e-12:
                break
            rejected.add(index)
        assert {index for index, value in enumerate(adjusted) if value <= level + 1e-9} == rejected


def test_holm_of_a_worked_example_and_of_nothing() -> None:
    assert p_values.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert p_values.holm([]) == []
    with pytest.raises(ValueError, match="outside"):
        p_values.holm([1.5])


def covered(made: Callable[[np.ndarray], figures.Interval], rows: np.ndarray) -> float:
    """The share of the rows whose interval holds zero, their true mean."""
    found = [made(row) for row in rows]
    return sum(one.low <= 0 <= one.high for one in found if one.low is not None and one.high is not None) / len(rows)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_an_interval_of_few_normal_values_covers_their_mean_as_often_as_it_says(n: int) -> None:
    rows = np.random.default_rng(n).normal(size=(4000, n))
    assert 0.93 <= covered(lambda row: figures.mean_interval(row, 0), rows) <= 0.97
    shifts = np.random.default_rng(n + 10).normal(size=rows.shape)  # what both of a pair have in common
    both = np.stack([rows + shifts, shifts], axis=1)
    assert 0.93 <= covered(lambda pair: figures.paired_difference(*pair, 0), both) <= 0.97
    resampled = covered(lambda row: figures.bootstrap_mean(row, 0, draws=1000), rows[:1000])
    assert resampled < 0.87, "the bootstrap of so few values is too narrow, which is why it is not taken"


@pytest.mark.parametrize(("sizes", "spreads"), [((3, 3), (1, 1)), ((3, 6), (1, 1)), ((3, 6), (2, 1)), ((5, 5), (1, 3))])
def test_the_difference_of_two_small_groups_is_covered_as_often_as_it_says(
    sizes: tuple[int, int], spreads: tuple[float, float]
) -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [spread * rng.normal(size=(4000, n)) for n, spread in zip(sizes, spreads, strict=True)], axis=1
    )
    share = covered(lambda row: figures.difference_of_means(row[: sizes[0]], row[sizes[0] :], 0), rows)
    assert 0.93 <= share <= 0.975


def test_means_of_few_values_have_students_interval_and_of_ten_the_bootstraps() -> None:
    values = [0.91, 0.93, 0.98, 0.90, 0.95, 0.99, 0.92, 0.94, 0.97, 0.96]
    few = figures.mean_interval(values[:3], 0)
    assert (few.how, few.n) == ("Student's t", 3)
    half = 4.302652729749 * np.std(values[:3], ddof=1) / math.sqrt(3)  # the table's t for two degrees of freedom
    assert (few.low, few.high) == pytest.approx((0.94 - half, 0.94 + half), abs=1e-12)
    assert figures.mean_interval(values[:9], 0).how == "Student's t"
    assert figures.mean_interval(values, 0) == figures.bootstrap_mean(values, 0)
    assert figures.bootstrap_mean(values, 0).how == "bootstrap"
    apart = figures.difference_of_means(values, values[:9], 0)
    assert (apart.how, figures.difference_of_means(values, values, 0).how) == ("Welch's t", "bootstrap")


@pytest.mark.filterwarnings("ignore:Precision loss")  # scipy's, of a group whose values are all the same
@settings(max_examples=40, deadline=None)
@given(*[st.lists(st.integers(0, 359), min_size=2, max_size=9) for _ in "xy"])
def test_intervals_of_few_values_are_those_of_scipys_tests(x: list[int], y: list[int]) -> None:
    one, other = [value / 359 for value in x], [value / 359 for value in y]
    for values in (one, other):
        if len(set(values)) > 1:
            expected = stats.ttest_1samp(values, 0).confidence_interval()
            found = figures.mean_interval(values, 0)
            assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    if len(set(one)) > 1 or len(set(other)) > 1:
        expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
        apart = figures.difference_of_means(one, other, 0)
        assert (apart.low, apart.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_one_value_has_no_interval_and_values_that_are_all_the_same_show_nothing() -> None:
    for alone in (figures.mean_interval([0.9], 0), figures.difference_of_means([0.9], [0.7, 0.8], 0)):
        assert (alone.low, alone.high, alone.how) == (None, None, "none")
        assert not alone.excludes_zero and not alone.has_no_width
    thirds = [0.1 + 0.2, 0.3, 0.3]  # the same, but for rounding
    for same in (figures.mean_interval(thirds, 0), figures.difference_of_means(thirds, [0.1, 0.1], 0)):
        assert same.has_no_width and not same.excludes_zero
        assert (same.low, same.high) == pytest.approx((same.estimate,) * 2, abs=1e-12)
    assert figures.mean_interval([0.3, 0.31, 0.32], 0).excludes_zero


def test_the_bootstrap_of_many_values_follows_the_seed_and_the_normal_width() -> None:
    values = [float(k % 2) for k in range(400)]
    one, again, other = (figures.bootstrap_mean(values, seed) for seed in (1, 1, 2))
    assert one == again
    uneven = [math.sqrt(k) for k in range(20)]
    assert figures.bootstrap_mean(uneven, 1) == figures.bootstrap_mean(uneven, 1) != figures.bootstrap_mean(uneven, 2)
    half = 1.96 * 0.5 / math.sqrt(400)  # of 0/1 values with share 1/2
    assert other.high - 0.5 == pytest.approx(half, rel=0.1)
    assert one.high - 0.5 == pytest.approx(half, rel=0.1) and 0.5 - one.low == pytest.approx(half, rel=0.1)


def test_values_that_repeat_are_drawn_as_counts_with_the_same_distribution() -> None:
    values = np.array([-1.0] * 5 + [0.0] * 40 + [0.5] * 3 + [1.0] * 12)
    rng = np.random.default_rng(0)
    rows = [values[rng.integers(0, 60, 60)].mean() for _ in range(4000)]
    found = figures.resampled_means(values, np.random.default_rng(1), 4000)
    assert len(found) == 4000
    assert found.mean() == pytest.approx(np.mean(rows), abs=0.005)
    assert found.std() == pytest.approx(values.std() / math.sqrt(60), rel=0.05) == pytest.approx(np.std(rows), rel=0.1)


def test_the_bootstrap_of_three_values_runs_from_the_least_to_the_greatest() -> None:
    interval = figures.bootstrap_mean([3.0, 1.0, 4.0], 0)
    assert (interval.low, interval.high, interval.level) == (1.0, 4.0, 0.95)


def test_a_paired_difference_turns_its_sign_with_its_sides_and_is_exactly_zero_of_equal_ones() -> None:
    first, second = [0.9, 0.8, 0.85], [0.7, 0.65, 0.68]
    one, other = figures.paired_difference(first, second, 0), figures.paired_difference(second, first, 0)
    assert one.estimate == pytest.approx(0.52 / 3) and (one.low, one.high) == (-other.high, -other.low)
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


def test_the_difference_of_two_large_groups_has_the_normal_width() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=100), rng.normal(size=60) + 1
    interval = figures.difference_of_means(first, second, 0)
    half = 1.96 * math.sqrt(first.var(ddof=1) / 100 + second.var(ddof=1) / 60)
    assert interval.estimate == pytest.approx(first.mean() - second.mean()) and interval.n == 160
    assert interval.estimate - interval.low == pytest.approx(half, rel=0.1)
    assert interval.high - interval.estimate == pytest.approx(half, rel=0.1)


def test_wilsons_bounds_solve_his_equation() -> None:
    for right, n in ((0, 5), (3, 10), (50, 100), (360, 360)):
        low, high = figures.wilson(right, n)
        assert 0 <= low <= right / n <= high <= 1
        for bound in (low, high):
            if 0 < bound < 1:  # |p - bound| = z sqrt(bound (1 - bound) / n)
                assert abs(right / n - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / n), rel=1e-6)
    with pytest.raises(ValueError, match="greater than n"):
        figures.wilson(3, 2)


def test_a_difference_of_shares_has_newcombes_interval() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10."""
    for first, second, low, high in (((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)):
        found = figures.difference_of_shares(first, second)
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
        assert found.estimate == pytest.approx(first[0] / first[1] - second[0] / second[1]) and found.excludes_zero


@settings(max_examples=25, deadline=None)
@given(NUMBERS)
def test_the_sign_flip_p_is_the_share_of_all_signs_as_extreme(values: list[int]) -> None:
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=len(values))
    ]
    share = sum(one >= abs(sum(values)) for one in sums) / len(sums)
    assert p_values.sign_flip_p([float(one) for one in values], 0) == share


def test_mcnemars_p_is_that_of_flipping_the_signs_of_what_differs() -> None:
    for lost, gained in product(range(6), repeat=2):
        differences = [1.0] * lost + [-1.0] * gained
        expected = p_values.sign_flip_p(differences, 0) if differences else 1.0
        assert p_values.mcnemar_p(lost, gained) == pytest.approx(expected, rel=1e-12)
    assert p_values.mcnemar_p(2000, 1000) < 1e-60
    with pytest.raises(ValueError, match="less than 0"):
        p_values.mcnemar_p(-1, 2)


def test_sign_flips_of_many_differences_are_random_but_of_a_seed() -> None:
    values = [1.0] * 40
    assert p_values.sign_flip_p(values, 0, draws=500) == 1 / 501
    mixed = [1.0, -1.0] * 10
    assert p_values.sign_flip_p(mixed, 0) == p_values.sign_flip_p(mixed, 0) == 1.0


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


def test_statistics_load_no_torch_and_scipy_only_where_it_is_used() -> None:
    code = "import sys, dartboard.analysis.p_values; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
