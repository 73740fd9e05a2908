"""Texts with numbers are read back: each number is the one that was measured, in the unit that stands behind it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartboard import devices
from dartboard.analysis.statistics import Interval
from dartboard.commands import transfer, work
from dartboard.report import (
    epoch_slider,
    search_page,
    sensitivity_page,
    train_page,
    transfer_page,
    transfer_words,
    why_words,
    words,
)
from dartboard.report.measures import spread
from dartboard.search.stop_rules import score_words
from dartboard.studies import headlines
from dartboard.studies.comparisons import Contrast, Move, Rank
from dartboard.studies.matrix import Entry, Findings
from dartboard.training import loop

NUMBER = re.compile(r"(?<![\w.\]])[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")
TAG = re.compile(r"<[^>]*>")
shares = st.floats(0.0, 1.0)
several = st.lists(shares, min_size=2, max_size=5)
NAMES: Any = {"a": "one", "b": "other"}


def numbers(text: object) -> list[float]:
    """The numbers in a text or a page, in their order."""
    plain = TAG.sub(" ", str(text)).replace("−", "-")
    return [float(found.replace(",", "")) for found in NUMBER.findall(plain)]


def near(*wanted: float, decimals: int = 1) -> Any:
    return pytest.approx(list(wanted), abs=0.5001 * 10**-decimals)


def percent(*shares: float) -> list[float]:
    return [100 * share for share in shares]


# --- Means with their spreads ----------------------------------------------------------------------------------------


@given(several)
def test_mean_and_spread_are_both_in_percent(values: list[float]) -> None:
    wanted = near(*percent(mean(values), stdev(values)))
    for text in (transfer_words.entry_words(Entry(tuple(values))), words.spread_words(spread(values))):
        assert numbers(text) == wanted and re.fullmatch(r"[\d.]+ ± [\d.]+ %", text)


@given(shares)
def test_a_value_alone_is_in_percent_and_has_no_spread(value: float) -> None:
    for text in (transfer_words.entry_words(Entry((value,))), words.spread_words(spread([value]))):
        assert numbers(text) == near(100 * value) and text.endswith(" %") and "±" not in text


MATRIX = {
    ("a", "a"): Entry((0.5, 0.6, 0.7)),
    ("a", "b"): Entry((0.2, 0.25, 0.3)),
    ("ab", "a"): Entry((0.44, 0.46)),
    ("ab", "b"): Entry((0.813,)),
}
ROWS = {"a": [60.0, 10.0, 25.0, 5.0], "ab": [45.0, 1.414, 81.3]}  # mean, spread on A; mean, spread on B


def found(contrasts: Sequence[Contrast] = ()) -> Findings:
    return Findings(7, 9, (), MATRIX, tuple(contrasts), (), (), {})  # type: ignore[arg-type]


def test_the_transfer_matrix_of_the_page_holds_means_and_spreads_in_percent() -> None:
    page = str(transfer_page.matrix(found(), NAMES, {"a": None, "b": None}))
    table = page[page.index("<table") : page.index("</table")]
    rows = [numbers(row) for row in table.split("<tr")[2:]]
    assert rows == [near(*ROWS["a"], 3), near(*ROWS["ab"], 1, 2)]  # and n, or the least and the most of both


def test_the_transfer_matrix_that_is_printed_holds_means_and_spreads_in_percent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Contrast("swap", "ab", "bb", "b", Interval(0.015, -0.002, 0.032, 3, "Student's t"), (3, 3), (0.1,) * 3)
    monkeypatch.setattr("dartboard.studies.matrix.findings", lambda study: found([one]))
    monkeypatch.setattr("dartboard.report.transfer_page.write", lambda study: Path("report.html"))
    study: Any = SimpleNamespace(stages=[], protocol=SimpleNamespace(a="one", b="other"))
    transfer.print_findings(study)
    head, *lines = capsys.readouterr().out.splitlines()
    assert numbers(head) == [7, 9]
    assert [numbers(line) for line in lines[:2]] == [near(*ROWS["a"]), near(*ROWS["ab"])]
    assert all(line.count("%") == 2 for line in lines[:2])
    assert numbers(lines[2]) == near(1.5, 95, -0.2, 3.2, 3, decimals=2)


# --- Differences, intervals, correlations ----------------------------------------------------------------------------

signed = st.floats(-1.0, 1.0)


@given(signed, signed, signed)
def test_differences_and_their_intervals_are_in_points(estimate: float, low: float, high: float) -> None:
    one = Contrast("found", "a", "random", "a", Interval(estimate, low, high, 4, "Welch's t"), (4, 6))
    assert numbers(transfer_words.interval(one)) == near(*percent(low, high), decimals=2)
    wanted = near(*percent(estimate), 95, *percent(low, high), 4, 6, decimals=2)
    assert numbers(transfer_words.sentence(one, NAMES)) == wanted
    row = {"low": low, "high": high, "how": "bootstrap"}
    assert numbers(why_words.points(estimate)) == numbers(headlines.points(estimate)) == near(*percent(estimate))
    assert numbers(why_words.interval(row)) == near(*percent(low, high))
    assert numbers(headlines.span(row)) == near(95, *percent(low, high))


@given(signed, st.floats(0.0, 1.0), st.integers(2, 500))
def test_correlations_are_as_they_are_with_n_and_p(tau: float, p: float, n: int) -> None:
    row = {"tau": tau, "p": p, "n": n}
    wanted = [near(tau, n, decimals=2), pytest.approx(p, rel=0.06)]
    for text in (why_words.tau_words(row), headlines.tau_words(row)):
        *first, last = numbers(text)
        assert [first, last] == wanted
    cells = transfer_words.tau_words(Rank("sides", "", n, tau, p))
    assert [float(str(cells[1])), cells[3]] == near(tau, n, decimals=2)
    assert float(str(cells[2])) == pytest.approx(p, rel=0.06)
    assert p < 0.0001 or numbers(why_words.p_words(p)) == [pytest.approx(p, rel=0.06)]


def test_moves_are_mean_least_most_of_how_many_and_n() -> None:
    told = transfer_words.move_words([Move("ab", seed, changed, 16) for seed, changed in enumerate((3, 4, 8))])
    assert [float(str(cell)) for cell in told] == [5.0, 3, 8, 16, 3]


# --- Shares ----------------------------------------------------------------------------------------------------------

SHARES: dict[str, tuple[Callable[[float], str], int]] = {
    "percent": (words.percent, 1),
    "percent of many images": (lambda share: words.percent(share, 5000), 2),
    "sensitivity": (sensitivity_page.share_words, 1),
    "weights": (epoch_slider.points, 0),
    "held out": (lambda share: score_words({"held_out_accuracy": share}), 1),
    "progress": (lambda share: loop.in_words({"val_accuracy": share}), 1),
}


@pytest.mark.parametrize("name", SHARES)
@given(share=shares)
def test_shares_are_in_percent(name: str, share: float) -> None:
    text, decimals = SHARES[name]
    assert numbers(text(share)) == near(100 * share, decimals=decimals) and "%" in text(share)


def facts(numbers: dict[str, float], **data: int) -> Any:
    chance = 1 / data["num_classes"] if "num_classes" in data else None
    return SimpleNamespace(number=numbers.get, done=True, data=data, chance=chance)


@given(shares, shares)
def test_the_gap_of_a_search_is_the_difference_in_points_of_what_stands_before_it(whole: float, cut: float) -> None:
    text = search_page.gap_words(facts({"val_accuracy": whole, "derived_val_accuracy": cut}, num_classes=8))
    assert numbers(text) == near(*percent(whole, cut, whole - cut), 12.5)


def test_the_sampling_error_is_a_binomial_standard_error_in_points() -> None:
    assert numbers(train_page.sampling_words(facts({"test_accuracy": 0.9}, test=10_000))) == [10_000, 0.3]


# --- Seconds, bytes, counts ------------------------------------------------------------------------------------------

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "days": 86400}
SIZES = {"MB": 1e6, "GB": 1e9, "": 1, "k": 1e3, "M": 1e6, "G": 1e9}


def read(text: str, units: dict[str, float]) -> float:
    """A quantity like "2 h 05 min" in seconds, "3.2 GB" in bytes."""
    parts = text.split()
    named = zip(parts[::2], parts[1::2] if len(parts) > 1 else [""], strict=True)
    return sum(float(number) * units[unit] for number, unit in named)


@given(st.floats(-1.0, 6.0).map(lambda power: 10.0**power))
def test_durations_are_the_seconds_they_stand_for(seconds: float) -> None:
    assert read(words.duration(seconds), SECONDS) == pytest.approx(seconds, rel=0.051, abs=0.051)  # days and hours
    text = work.seconds_in_words(seconds)
    half = {"s": 0.5, "min": 30, "h": 180, "days": 4320}[text.split()[1]]  # of the last digit
    assert read(text, SECONDS) == pytest.approx(seconds, abs=1.001 * half)


@given(st.floats(0.0, 12.0).map(lambda power: round(10.0**power)))
def test_bytes_and_counts_are_as_many_as_they_stand_for(number: int) -> None:
    assert read(devices.in_words(number), SIZES) == pytest.approx(number, rel=0.051, abs=0.51e6)
    assert read(words.short_count(number), SIZES) == pytest.approx(number, rel=0.0051)
    assert numbers(words.count(number)) == [number]


def test_the_numbers_of_a_progress_line_stand_behind_their_names() -> None:
    text = loop.in_words({"lr": 0.025, "train_loss": 1.23456, "train_accuracy": 0.1234})
    assert text == "lr 0.025  train loss 1.235  train accuracy 12.3%"
