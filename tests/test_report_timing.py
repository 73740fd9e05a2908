"""The bar that tells where a run's time went."""

import json
import re
from pathlib import Path

import pytest

import synthetic_runs
from dartboard.report.facts import read_facts
from dartboard.report.page import write
from dartboard.report.timing import parts_of, time_spent

TIMES = {"epoch_s": 10.0, "images_per_s": 500.0, "data_s": 1.0, "alpha_s": 4.0, "weights_s": 2.0, "scoring_s": 1.5}
INSIDE = {"forward_s": 2.0, "backward_s": 3.5, "optimizers_s": 0.5}


def run_with(folder: Path, times: dict[str, float]) -> Path:
    """A made-up search whose epochs have these times and no others."""
    synthetic_runs.write_search(folder, epochs=3)
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["event"] == "epoch":
            line.pop("epoch_s", None)
            line.update(times)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_parts_are_sums_over_the_epochs_and_the_rest_is_told(tmp_path: Path) -> None:
    facts = read_facts(run_with(tmp_path / "run", TIMES))
    found = [(name, seconds) for name, seconds, _, _ in parts_of(facts)]
    steps = [("steps of alpha", 12.0), ("steps of the weights", 6.0)]
    assert found == [("data", 3.0), *steps, ("scoring", 4.5), ("the rest", 4.5)]


def test_steps_are_told_apart_by_forward_backward_and_optimizers_where_that_is_known(tmp_path: Path) -> None:
    facts = read_facts(run_with(tmp_path / "run", {**TIMES, **INSIDE}))
    found = [name for name, *_ in parts_of(facts)]
    assert found == ["data", "forward", "backward", "optimizers", "scoring", "the rest"]


def test_the_bar_is_as_wide_as_all_the_time(tmp_path: Path) -> None:
    drawn = str(time_spent(read_facts(run_with(tmp_path / "run", {**TIMES, **INSIDE}))))
    bar = drawn.split("</svg>")[0]
    assert sum(float(width) for width in re.findall(r' width="([\d.]+)" height="26"', bar)) == pytest.approx(
        640, abs=0.1
    )
    assert "All epochs together: 30 s. 500 training images per second" in drawn


def test_a_run_from_before_these_times_has_its_page_without_the_bar(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {})
    assert time_spent(read_facts(run)) is None
    assert "Time by kind of work" not in write([run], None).read_text()
    assert "Time by kind of work" in write([run_with(tmp_path / "new", TIMES)], None).read_text()
