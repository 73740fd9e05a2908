"""The page of a comparison: who is best, what the tests support, every group in every picture, tables for others."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dartboard.analysis.statistics import Interval, bootstrap_mean, mean_bands, student_mean
from dartboard.errors import InputError
from dartboard.report import comparison_page
from dartboard.report.comparison_tables import interval_words
from dartboard.report.comparison_words import headline, support
from dartboard.report.looks import COLOURS, looks_of
from dartboard.report.page import resource
from dartboard.studies import comparison_file
from dartboard.studies.contenders import Comparison, Contender
from dartboard.studies.standings import curve, standing, standings_of
from synthetic_comparisons import on_a_table, on_data, plain, repeated
from test_drawing import SIGHTS, linear, oklab, times
from test_report_page import outline, words_of

BASELINES = ("random at equal cost", "most multiply-adds")


def page_of(comparison: Comparison, folder: Path) -> str:
    return words_of(comparison_page.write(comparison, folder))


# --- What is computed ------------------------------------------------------------------------------------------------


def test_the_test_of_a_pair_is_the_share_of_signs_that_are_as_extreme_corrected_for_all_pairs() -> None:
    results = {"a": [0.93, 0.95, 0.94, 0.96, 0.97, 0.92], "b": [0.90, 0.93, 0.95, 0.93, 0.94, 0.91], "c": [0.5] * 6}
    found = standings_of(plain(results))
    by_hand = {}
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        differences = [x - y for x, y in zip(results[one], results[other], strict=True)]
        sums = [abs(float(np.dot(signs, differences))) for signs in product((1, -1), repeat=6)]
        by_hand[one, other] = sum(value >= abs(sum(differences)) - 1e-9 for value in sums) / 64
    assert {(one.first, one.second): one.p for one in found.tests} == pytest.approx(by_hand)
    order = sorted(by_hand, key=lambda pair: by_hand[pair])
    stepped = [min(1.0, by_hand[pair] * (3 - place)) for place, pair in enumerate(order)]
    corrected = dict(zip(order, np.maximum.accumulate(stepped), strict=True))
    assert {(one.first, one.second): one.holm for one in found.tests} == pytest.approx(corrected)


def test_the_interval_of_a_difference_is_that_of_a_paired_t_test() -> None:
    a, b = [0.93, 0.95, 0.94, 0.96], [0.90, 0.93, 0.95, 0.93]
    (test,) = standings_of(plain({"a": a, "b": b})).tests
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert test.interval is not None
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high))


def test_only_seeds_that_both_have_finished_are_paired_and_order_does_not_matter() -> None:
    a = Contender("a", tuple(repeated(seed, 0.5 + seed / 10) for seed in (3, 1, 2, 0)))
    b = Contender("b", (repeated(0, 0.4), repeated(1, None), repeated(3, 0.6), repeated(7, 0.9)))
    found = standings_of(replace(plain({}), contenders=(a, b)))
    (test,) = found.tests
    assert test.n == 2 and test.interval is not None
    assert test.interval.estimate == pytest.approx((0.1 + 0.2) / 2) and test.first == "a"
    swapped = found.between(found.standings[1], found.standings[0])
    assert swapped is not None and swapped.interval is not None
    assert swapped.interval.estimate == -test.interval.estimate and swapped.holm == test.holm
    assert test.interval.low is not None and swapped.interval.high == -test.interval.low


@pytest.mark.parametrize(
    ("n", "pairs", "too_few"), [(3, 1, True), (5, 1, True), (6, 1, False), (6, 3, True), (9, 3, False)]
)
def test_too_few_seeds_are_those_with_which_no_difference_can_be_significant(n: int, pairs: int, too_few: bool) -> None:
    results = {str(place): [place / 4 + seed / 100 for seed in range(n)] for place in range(3 if pairs == 3 else 2)}
    found = standings_of(plain(results))
    assert all(test.too_few == too_few for test in found.tests)
    assert all(test.shown != too_few for test in found.tests)  # differences that are as clear as they can be


def test_a_standing_has_the_figures_of_the_finished_repetitions() -> None:
    values = (0.9, None, 0.94, 0.92)
    one = standing(
        Contender("a", tuple(repeated(s, v, 10.0 * s, peak_memory_mb=100.0 * s) for s, v in enumerate(values)))
    )
    assert (one.n, one.unfinished, one.mean) == (3, (1,), pytest.approx(0.92))
    assert one.spread == pytest.approx(0.02) and one.cost == pytest.approx(50 / 3) and one.peak_memory_mb == 300
    expected = stats.t.interval(0.95, 2, loc=0.92, scale=0.02 / math.sqrt(3))
    assert one.interval is not None and (one.interval.low, one.interval.high) == pytest.approx(expected)
    assert one.seconds is None


# --- Curves ----------------------------------------------------------------------------------------------------------


def test_a_mean_curve_is_the_mean_of_steps_from_where_all_have_a_value_to_where_the_last_ends() -> None:
    one = repeated(0, 0.8, costs=(1.0, 3.0), best=(0.6, 0.8))
    other = repeated(1, 0.9, costs=(2.0, 4.0), best=(0.5, 0.9))
    unfinished = repeated(2, None, costs=(1.0,), best=(0.1,))
    found = curve(standing(Contender("a", (one, other, unfinished))))
    assert found is not None
    assert (found.costs, found.n) == ((2.0, 3.0, 4.0), 2)
    assert found.mean == pytest.approx((0.55, 0.65, 0.85))
    low, high = student_mean([0.6, 0.5]).low, student_mean([0.6, 0.5]).high
    assert found.low is not None and found.low[0] == pytest.approx(low)
    assert found.high is not None and found.high[0] == pytest.approx(high)


def test_bands_of_few_rows_are_students_and_of_many_the_bootstraps() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.02, (40, 3))
    few = mean_bands(values[:5], 0)
    assert few is not None
    for column in range(3):
        expected = student_mean(list(values[:5, column]))
        assert (few[0][column], few[1][column]) == pytest.approx((expected.low, expected.high))
    many = mean_bands(values, 0, draws=20_000)
    assert many is not None
    for column in range(3):
        one = bootstrap_mean(list(values[:, column]), 1)
        assert (many[0][column], many[1][column]) == pytest.approx((one.low, one.high), abs=4e-4)
    assert mean_bands(values[:1], 0) is None


# --- Words -----------------------------------------------------------------------------------------------------------


def test_the_headline_names_the_best_only_if_the_tests_support_it_against_every_other() -> None:
    clear = [0.90 + seed / 1000 for seed in range(12)]
    better = [value + 0.02 for value in clear]
    close = [value + (0.021 if seed % 2 else 0.018) for seed, value in enumerate(clear)]
    alone = standings_of(plain({"a": clear, "b": better}))
    assert headline(alone) == "b is best: 92.55 %, 2.00 points above a"
    assert support(alone).startswith("Paired tests support it against a (p")
    three = standings_of(plain({"a": clear, "b": better, "c": close}))
    assert headline(three) == "No difference is shown: b has the highest mean, 0.05 points above c"
    assert support(three) == "Paired tests support that b is better than a, not that it is better than c."
    few = standings_of(plain({"a": clear[:3], "b": better[:3]}))
    assert headline(few) == "b has the highest mean, 2.00 points above a, but 3 pairs of seeds cannot show a difference"
    assert headline(standings_of(plain({"a": [None]}))) == "No repetition has finished yet"
    assert headline(standings_of(plain({"a": [0.5], "b": [None]}))) == "a: 50.00 %, and nothing to compare it with"
    assert "no pairs of seeds" in headline(standings_of(plain({"a": [0.5], "b": [0.6]})))


def test_equal_results_are_no_difference() -> None:
    found = standings_of(plain({"a": [0.5] * 20, "b": [0.5] * 20}))
    assert headline(found) == "No difference is shown between a and b: 50.00 %"
    assert [test.p for test in found.tests] == [1.0]


def test_the_page_of_three_seeds_says_what_they_cannot_show_and_what_is_unfinished(tmp_path: Path) -> None:
    said = page_of(on_data(), tmp_path)
    for part in (
        "regularized_evolution: 1 of 3 have no result (seed 2).",
        "So few seeds can show little", "cannot be below 0.25",
        "0.67 points above random search, but 2 pairs of seeds cannot",
        "baseline: random at equal cost", "baseline: most multiply-adds", "darts − random search:",
        "Best so far over seconds",
        "the result (the best score that a search has seen)", "Without a curve: darts.",
        "2 to 3 seeds finished", "820 MB",
        "device cpu, 2 threads", "runs/darts-s0", "not finished", "Student's t", "10 min 00 s",
    ):  # fmt: skip
        assert part in said, part
    assert "It is better" not in said and "is best" not in said


def test_the_page_of_a_table_names_every_group_in_every_picture_and_is_one_file(tmp_path: Path) -> None:
    comparison = on_a_table(seeds=20, trials=30)
    page = comparison_page.write(comparison, tmp_path)
    found, text = outline(page), page.read_text()
    assert not {"link", "iframe", "img", "object"} & found.names
    assert all(address.startswith("#") for address in found.addresses)
    pictures = re.findall(r"<svg [^>]*class=\"curves\".*?</svg>|<svg class=\"curves\".*?</svg>", text, flags=re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        written = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", picture))
        for one in comparison.contenders:
            for word in re.findall(r"\w+", one.label):
                assert word in written
    said = words_of(page)
    for part in (
        "of what the result would be if", "95 % interval of this mean by the bootstrap", "a dot is a contender without"
    ):  # fmt: skip
        assert part in said, part
    assert {path.name for path in tmp_path.iterdir()} == {"comparison.json", "report.html", "table.csv", "table.tex"}


def test_lines_differ_in_more_than_their_colour() -> None:
    looks = looks_of([False] * 5 + [True] * 2)
    assert len({look.dashes for look in looks}) == 7
    assert len({look.colour for look in looks}) == 7 and [look.colour for look in looks[5:]] == ["--four", "--ink"]
    assert len(set(looks_of([False] * 25))) == 25


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("indent", [2, 4])  # of the colours of the page.css: light, dark
def test_the_first_groups_and_the_baselines_differ_in_colour_for_every_kind_of_sight(sight: str, indent: int) -> None:
    colours = dict(re.findall(rf"^ {{{indent}}}(--\w+): (#\w{{6}});", resource("page.css"), re.MULTILINE))
    seen = [oklab(times(SIGHTS[sight], linear(colours[name]))) for name in (*COLOURS[:4], "--four")]
    assert min(100 * math.dist(one, other) for one, other in combinations(seen, 2)) > 8


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_a_page_of_almost_nothing_is_written(tmp_path: Path, seeds: int) -> None:
    assert "trials each" in page_of(on_a_table(seeds=seeds, trials=5), tmp_path)
    assert page_of(plain({}), tmp_path)


def test_names_stay_text(tmp_path: Path) -> None:
    bad = "</script><b>x & $y_1$ \\input{z}"
    comparison = plain({bad: [0.1, 0.2], "b": [0.3, None]}, title=bad, space=bad, scored_by=bad, conditions={bad: bad})
    page = comparison_page.write(comparison, tmp_path)
    assert "b" not in outline(page).names and bad in "".join(outline(page).words)


# --- Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "comparison", [on_data(), on_a_table(seeds=3, trials=9), plain({"ä": [None, 0.25]}), plain({})]
)
def test_a_comparison_comes_back_from_its_file_as_it_was(tmp_path: Path, comparison: Comparison) -> None:
    comparison_page.write(comparison, tmp_path)
    assert comparison_file.is_comparison(tmp_path) and comparison_file.read(tmp_path) == comparison


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0.1, 0.2, 0.30000000000000004])), max_size=12))
def test_any_curve_comes_back_from_its_file(points: list[tuple[int, float]]) -> None:
    costs = tuple(float(cost) for cost in np.cumsum([step for step, _ in points]))
    one = repeated(0, 0.5, costs=costs, best=tuple(best for _, best in points))
    comparison = replace(plain({}), contenders=(Contender("a", (one,)),))
    assert comparison_file.from_json(json.loads(comparison_file.as_text(comparison))) == comparison


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"unit":"seconds"', '"unit":"hours"'), ('"role":"method"', '"role":"x"'), ('"costs":1', '"costs":99'),
        ('"title"', '"titel"'), ('"label":"darts"', '"label":"random search"'), ('"contenders":[', '"contenders":[3,'),
        ("{", "["),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(tmp_path: Path, old: str, new: str) -> None:
    comparison_page.write(on_data(), tmp_path)
    path = tmp_path / comparison_file.COMPARISON
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=r"damaged .+ or compare again"):
        comparison_file.read(tmp_path)


def test_the_csv_has_a_row_for_each_contender_with_units_in_its_heads(tmp_path: Path) -> None:
    comparison = plain({'a, "b"\n': [0.9, 0.94], "c": [None]}, BASELINES[:1], unit="steps")
    comparison_page.write(comparison, tmp_path)
    raw = (tmp_path / "table.csv").read_bytes().decode()
    assert raw.count("\r\n") == 3
    first, second = csv.DictReader(io.StringIO(raw, newline=""))
    assert first["contender"] == 'a, "b"\n' and first["role"] == "method" and first["unfinished"] == "0"
    assert float(first["mean_accuracy"]) == pytest.approx(0.92) and float(first["mean_cost_steps"]) == 1.0
    assert float(first["std_accuracy"]) == pytest.approx(math.sqrt(8e-4)) and first["interval_by"] == "Student's t"
    assert second["role"] == "random at equal cost"
    assert {second[name] for name in ("mean_accuracy", "std_accuracy", "mean_time_s", "interval_by")} == {""}


@pytest.mark.slow
def test_five_hundred_seeds_of_five_contenders_make_a_small_page(tmp_path: Path) -> None:
    page = comparison_page.write(on_a_table(), tmp_path)
    assert page.stat().st_size < 1_500_000
    assert comparison_file.read(tmp_path) == on_a_table()


def test_the_ends_of_an_interval_have_the_sign_of_differences() -> None:
    assert interval_words(Interval(0.09, -0.031, 0.217, 2, "Student's t")) == "−3.10 to 21.70 %"


def test_who_is_worse_over_the_seeds_of_both_is_not_best() -> None:
    """Its mean is higher only by seeds that the other has not finished."""
    common = [0.900 + 0.001 * (seed % 3) for seed in range(10)]
    other = [value + 0.01 + 0.0001 * seed for seed, value in enumerate(common)]
    found = standings_of(plain({"a": [*common, *[0.95] * 10], "b": other}))
    assert found.ranking[0].label == "a" and found.tests[0].shown
    assert headline(found) == "a has the highest mean, but is 1.05 points below b over the seeds that both have"
    assert support(found) == "Paired tests do not support that a is better than b."


def test_who_is_not_tested_against_all_is_not_best() -> None:
    results = [0.900 + 0.001 * (seed % 3) for seed in range(10)]
    found = standings_of(plain({"a": results, "b": [value - 0.01 for value in results], "c": [0.85]}))
    expected = "a has the highest mean, 1.00 points above b; there are no pairs of seeds to test it against c"
    assert headline(found) == expected
