"""Comparisons whose methods are held to a latency, by a table that was made by formula."""

from pathlib import Path
from random import Random
from statistics import median

import pytest

import latency_table
import made_up_tables
from dartboard import Run
from dartboard.cli import main
from dartboard.scoring.cost import count
from dartboard.scoring.latency import own_sizes, read_table
from dartboard.scoring.tables import read_truth
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies.compare_on_table import known_of, trials_done
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.comparison_values import comparison_of

SIZES: dict[str, int] = {"channels": 2, "cells": 3, **latency_table.DIGITS}
TRAININGS = ["--train-epochs", "1", "--train-channels", "2", "--train-cells", "3", "--train-batch-size", "32"]
BEGIN = ["compare", "--space", "nasbench201", "--threads", "1", "--seeds", "1"]
ON_DATA = [*BEGIN, "--data", "digits", "--max-images", "64", "--epochs", "1", "--batch-size", "16", *TRAININGS]
ON_DATA += ["--channels", "2", "--cells", "3", "--budget", "5steps", "--methods", "darts"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return latency_table.by_formula("nasbench201", SIZES, tmp_path / "table.json")


def limited(table: Path, limit_ms: float) -> list[str]:
    return ["--latency", str(table), "--limit", f"latency_ms<={limit_ms:.9f}"]


def middle_ms(space: SearchSpace, sizes: dict[str, int]) -> float:
    """The latency that half of some networks are within."""
    macs = median([count(space.sample(Random(seed)), **sizes).macs for seed in range(21)])
    return latency_table.CONSTANT_MS + latency_table.MS_OF_MAC * macs + 1e-6


def test_methods_on_data_find_networks_within_the_latency(table: Path, tmp_path: Path) -> None:
    limit_ms, out = middle_ms(SPACES["nasbench201"], SIZES), tmp_path / "out"
    assert main([*ON_DATA, *limited(table, limit_ms), "--out", str(out)]) == 0
    for method in ("darts", "random_search"):
        run = Run.open(out / f"runs/{method}-s0")
        assert run.architecture is not None and run.settings["latency"] == str(table)
        found = run.metrics()[-1]["latency_ms"]
        assert found == read_table(str(table)).predict_ms(run.architecture) <= limit_ms
        assert run.environment["latency"]["file"] == str(table)
    assert comparison_of(ComparisonFolder.open(out)).conditions["table of latencies"] == str(table)


def test_trials_on_a_table_of_scores_are_within_the_latency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up_tables.put_in_place(monkeypatch)
    truth, space = made_up_tables.write(tmp_path / "truth.csv"), SPACES["nasbench201"]
    sizes = own_sizes(space)
    table = latency_table.by_formula("nasbench201", sizes, tmp_path / "table.json")
    limit_ms, out = middle_ms(space, sizes), tmp_path / "out"
    words = [*BEGIN, "--methods", "random_search,regularized_evolution", "--truth", str(truth), "--budget", "12trials"]
    words += [*limited(table, limit_ms), "--out", str(out)]
    assert main(words) == 0
    one = ComparisonFolder.open(out)
    known, read = known_of(one), read_table(str(table))
    for method in one.plan.searched:
        numbers = trials_done(one, method)["0"]["trials"]
        assert all(read.predict_ms(known.architectures[number]) <= limit_ms for number in numbers)
    assert any(read.predict_ms(other) > limit_ms for other in read_truth(str(truth), "nasbench201").seen)
    table.write_text(table.read_text() + "\n")
    capsys.readouterr()
    assert main(["resume", str(out)]) == 2
    assert "table.json is not that of the start of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--limit", "latency_ms<=3"], "--limit latency_ms needs a table of this device"),
        (["--latency", "TABLE"], "--latency has no effect without a limit on it; give --limit latency_ms<=..."),
        (["--latency", "TABLE", "--limit", "macs<=1G"], "--latency has no effect without a limit on it"),
        (["--latency", "TABLE", "--limit", "latency_ms<=0.01"], "the smallest architecture of nasbench201 has"),
        (["--latency", "TABLE", "--limit", "latency_ms<=9", "--channels", "4"], "this is 4 channels; build one"),
        (["--latency", "TABLE", "--limit", "latency_ms<=9", "--space", "darts"], "and this is the space darts"),
    ],
)
def test_what_does_not_serve_is_refused_before_anything_runs(
    change: list[str], message: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*ON_DATA, *(str(table) if word == "TABLE" else word for word in change)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
