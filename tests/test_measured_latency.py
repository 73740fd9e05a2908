"""The best network under a limit on latency: by the table first, then measured; what a front says of latency."""

import contextlib
import csv
import io
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elastic_runs
import latency_table
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.formats.files import LATENCY, MEASURED, WITHIN_LIMIT
from dartboard.report import latency_words
from dartboard.runs.run import Run
from dartboard.scoring.latency import read_table
from dartboard.scoring.limits import limits_from
from dartboard.scoring.runtimes import Call, Session
from dartboard.scoring.scorers import Score
from dartboard.scoring.stopwatch import Clock
from dartboard.search.proposals import Trial
from dartboard.studies import measured_latency, specialise
from dartboard.studies.pieces import Pieces
from dartboard.studies.specialise import Answer, Trained
from elastic_runs import FEW, SPACE
from test_runtimes import installed

LIMIT_MS = 0.6
pytestmark = pytest.mark.usefixtures("one_thread_throughout")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return latency_table.for_digits("bignas-8", 4, 4, tmp_path_factory.mktemp("latency") / "table.json")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search."""
    return elastic_runs.made(tmp_path_factory.mktemp("measured") / "run")


@pytest.fixture(scope="module")
def one(run: Path, table: Path) -> Trained:
    return elastic_runs.opened(run, str(table))


@pytest.fixture(scope="module")
def answer(one: Trained) -> Answer:
    """Six networks that the table says take less than the limit, with made-up scores that fall."""
    rng, ranked = Random(3), list[Trial]()
    while len(ranked) < 6:
        drawn = SPACE.sample(rng)
        if one.count(drawn).latency_ms <= LIMIT_MS and drawn not in [trial.architecture for trial in ranked]:  # type: ignore[operator]
            ranked.append(Trial(len(ranked), drawn, Score(0.9 - 0.1 * len(ranked))))
    return Answer(ranked[0], one.count(ranked[0].architecture), 6, 6, tuple(ranked))


def slower(places: Callable[[int], bool], answer: Answer) -> Clock:
    """The clock of the table, but networks at some places of the ranking take ten times as long."""
    known = latency_table.clock_of_macs()
    slow = [str(trial.architecture) for place, trial in enumerate(answer.ranked) if places(place)]

    def clock(module: nn.Module, maps: Sequence[Tensor], calls: int) -> float:
        return known(module, maps, calls) * (10 if str(module.architecture) in slow else 1)

    return clock


def held(one: Trained, answer: Answer, clock: Clock, limit: str = f"latency_ms<={LIMIT_MS}", is_given: bool = False):  # type: ignore[no-untyped-def]
    return measured_latency.held(one, answer, limits_from(limit), is_given, lambda: None, clock)


def test_the_best_is_taken_where_what_it_takes_is_within_the_limit(one: Trained, answer: Answer) -> None:
    found, timed = held(one, answer, slower(lambda place: False, answer))
    assert found == answer and timed.is_met and not timed.missed
    assert timed.taken.measured_ms == pytest.approx(timed.taken.predicted_ms, rel=1e-4)


@pytest.mark.parametrize("number", [1, 5])  # in the first rounds, and beyond them
def test_networks_that_miss_the_limit_are_named_and_the_next_best_is_taken(
    number: int, one: Trained, answer: Answer
) -> None:
    found, timed = held(one, answer, slower(lambda place: place < number, answer))
    assert found.best == answer.ranked[number] and found.cost == one.count(found.best.architecture)
    assert [missed.trial for missed in timed.missed] == list(answer.ranked[:number])
    assert all(missed.measured_ms > LIMIT_MS >= missed.predicted_ms for missed in timed.missed)
    assert timed.is_met and timed.taken.measured_ms <= LIMIT_MS


@pytest.fixture
def exported_table(table: Path, tmp_path: Path) -> Path:
    """The table as if onnxruntime had computed."""
    record = json.loads(table.read_text())
    record["conditions"]["runtime"] = "onnxruntime"
    record["layers"] = {f"{key} onnxruntime": value for key, value in record["layers"].items()}
    (tmp_path / "exported.json").write_text(json.dumps(record))
    return tmp_path / "exported.json"


@installed
def test_networks_are_measured_again_by_the_runtime_of_the_table(
    one: Trained, answer: Answer, exported_table: Path
) -> None:
    by_runtime = {}
    for path in (exported_table, None):
        seen = set[type]()

        def clock(call: Call, maps: Sequence[Tensor], calls: int, seen: set[type] = seen) -> float:
            seen.add(type(call))
            return 0.0001

        table = one.table if path is None else read_table(str(path))
        _, timed = held(replace(one, table=table), replace(answer, ranked=answer.ranked[:1]), clock)
        by_runtime[timed.table.conditions.runtime] = seen
    assert by_runtime.pop("onnxruntime") == {Session}
    assert Session not in by_runtime.pop("torch") and not by_runtime


def test_a_table_of_a_runtime_that_is_missing_is_refused_before_anything_is_scored(
    run: Path, exported_table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    words = ["specialise", str(run), "--latency", str(exported_table), "--limit", "latency_ms<=3", "--threads", "1"]
    assert main([*words, "--out", str(run.parent / "exported")]) == 2
    error = capsys.readouterr().err
    assert 'pip install "dartboard[onnxruntime]"' in error and error.count("\n") == 1
    assert not (run.parent / "exported").exists()


def test_a_limit_that_all_miss_is_refused_with_the_fastest(one: Trained, answer: Answer) -> None:
    with pytest.raises(InputError, match=r"all 6 networks that were scored take more than 0.6 ms when measured"):
        held(one, answer, slower(lambda place: True, answer))


def test_a_network_that_is_given_is_timed_and_taken_all_the_same(one: Trained, answer: Answer) -> None:
    alone = replace(answer, ranked=answer.ranked[:1])
    found, timed = held(one, alone, slower(lambda place: True, answer), is_given=True)
    assert found.best == answer.best and not timed.is_met
    found, timed = held(one, answer, slower(lambda place: True, answer), limit="")
    assert found.best == answer.best and timed.is_met and timed.limit_ms is None


def test_candidates_are_within_the_latency_by_the_table(one: Trained, tmp_path: Path) -> None:
    limits = limits_from(f"latency_ms<={LIMIT_MS},macs<=1M")
    question = specialise.Question(limits, "random", 5, 32, 40)
    found = specialise.answer(one, question, Pieces(tmp_path))
    assert [trial.score.value for trial in found.ranked] == sorted((t.score.value for t in found.ranked), reverse=True)
    assert all(one.count(trial.architecture).latency_ms <= LIMIT_MS for trial in found.ranked)  # type: ignore[operator]
    assert found.cost.numbers["latency_ms"] <= LIMIT_MS


def test_the_answer_has_what_the_network_takes(
    run: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["specialise", str(run), "--latency", str(table), "--scorings", "2", *FEW, "--out", str(tmp_path / "a")]
    assert main(words) == 0
    found = json.loads((tmp_path / "a/answer.json").read_text())["latency"]
    assert found["clock"] == "CPU time of the one thread" and found["measured_ms"] > 0.0 and found["is_met"]
    out = capsys.readouterr().out
    assert "ms of latency by the table" in out and "latency measured" in out
    assert ("the machine is busy" in out) == (found["load_average"] > found["cores"])
    assert main(words) == 0 and "answered before" in capsys.readouterr().out


def test_wrong_tables_are_refused_in_one_line(run: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--limit", "latency_ms<=3"], "--limit latency_ms needs a table of this device: dartboard latency build"),
        (["--latency", str(table), "--limit", "latency_ms<=0.001"], "ms of latency by the table; give a --limit above"),
        (["--latency", str(table), "--threads", "2"], "this is 2 threads; give --threads 1, or build one: dartboard"),
        (["--latency", "nowhere.json"], "there is no file nowhere.json"),
    ):
        assert main(["specialise", str(run), *FEW, *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    torch.set_num_threads(1)


def test_a_front_has_latencies_in_its_csv_and_on_its_page(run: Path, table: Path, tmp_path: Path) -> None:
    few = ["--samples", "3", "--targets", "1", "--scorings", "2", *FEW, "--out", str(tmp_path)]
    assert main(["front", str(run), *few, "--latency", str(table)]) == 0
    with (tmp_path / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        expected = latency_table.CONSTANT_MS + latency_table.MS_OF_MAC * int(row["macs"])
        assert float(row["latency_ms"]) == pytest.approx(expected, rel=1e-4)
    page = (tmp_path / "report.html").read_text()
    assert "Accuracy on val against ms of latency by the table" in page and "latency by the table</th>" in page
    assert main(["front", str(run), *few]) == 0
    assert "latency_ms" not in (tmp_path / "front.csv").read_text()


# --- What a search found ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def search(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A random search within a limit on latency that is measured when it ends, and what it printed."""
    out, limit = tmp_path_factory.mktemp("searched") / "run", f"latency_ms<={LIMIT_MS}"
    words = [
        "search",
        "random_search",
        "--space",
        "bignas-8",
        "--data",
        "digits",
        "--max-images",
        "64",
        "--epochs",
        "1",
    ]
    words += ["--trials", "4", "--channels", "4", "--batch-size", "16", "--threads", "1", "--latency", str(table)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*words, "--limit", limit, "--out", str(out)]) == 0
    return out, printed.getvalue()


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does nothing else."""
    monkeypatch.setattr(measured_latency.os, "getloadavg", lambda: (0.5, 0.5, 0.5))


def measured_anew(search: tuple[Path, str], table: Path, slow: Callable[[int], bool]) -> tuple[dict[str, Any], Run]:
    """What is measured of the search where networks at some places of its ranking take ten times as long."""
    shutil.rmtree(search[0] / MEASURED)
    run = Run.open(search[0])
    ranking = Answer(*[None] * 4, tuple(measured_latency.ranked(run, LIMIT_MS)))  # type: ignore[arg-type]
    clock = slower(slow, ranking)
    return measured_latency.of_search(run, read_table(str(table)), limits_from(f"latency_ms<={LIMIT_MS}"), clock), run


def test_what_a_search_found_is_measured_when_it_ends_and_only_once(search: tuple[Path, str], table: Path) -> None:
    out, printed = search
    record = json.loads((out / MEASURED / LATENCY).read_text())
    assert f"latency measured {record['measured_ms']:.4g} ms" in printed
    assert f"latency measured {record['measured_ms']:.4g} ms" in (out / "report.html").read_text()

    def broken(*words: Any) -> float:
        raise AssertionError("measured again")

    assert measured_latency.of_search(Run.open(out), read_table(str(table)), (), broken) == record


@pytest.mark.usefixtures("idle")
def test_a_search_that_meets_its_limit_says_so(search: tuple[Path, str], table: Path) -> None:
    record, run = measured_anew(search, table, lambda place: False)
    assert run.architecture is not None and record["is_met"] and record["missed"] == []
    (run.folder / MEASURED / LATENCY).rename(run.folder / MEASURED / WITHIN_LIMIT)  # as a stop would leave it
    again = measured_latency.of_search(run, read_table(str(table)), (), latency_table.clock_of_macs())
    assert again["architecture"] == record["architecture"] and not (run.folder / MEASURED / WITHIN_LIMIT).exists()
    record, run = measured_anew(search, table, lambda place: False)
    assert record["architecture"] == run.architecture.to_json()
    assert record["measured_ms"] == pytest.approx(record["predicted_ms"], rel=1e-4)
    (line,) = latency_words.of_run(run.folder)
    assert f"limit of {LIMIT_MS} ms met" in line


@pytest.mark.usefixtures("idle")
def test_where_a_search_misses_its_limit_the_next_best_is_written_and_can_be_trained(
    search: tuple[Path, str], table: Path, tmp_path: Path
) -> None:
    record, run = measured_anew(search, table, lambda place: place < 2)
    best = measured_latency.ranked(run, LIMIT_MS)
    assert record["is_met"] and record["architecture"] == best[2].architecture.to_json()
    assert [one["architecture"] for one in record["missed"]] == [one.architecture.to_json() for one in best[:2]]
    assert run.architecture == best[0].architecture, "what the search found stays"
    within = run.folder / MEASURED / WITHIN_LIMIT
    missed, other, met, train = latency_words.of_run(run.folder)
    assert missed.startswith("limit missed: ") and "the next best was taken" in other and " ms met" in met
    assert train.endswith(f"train it: dartboard train {within} --channels 4 --cells 4")
    words = ["train", str(within), "--data", "digits", "--max-images", "64", "--epochs", "1", "--channels", "4"]
    assert main([*words, "--batch-size", "16", "--out", str(tmp_path / "trained")]) == 0
    assert Run.open(tmp_path / "trained").architecture == best[2].architecture


def test_batches_and_the_layout_of_a_measurement_are_told(one: Trained, answer: Answer) -> None:
    assert one.table is not None
    conditions = replace(one.table.conditions, batch_size=3, memory_format="channels_last")
    other = replace(one, table=replace(one.table, conditions=conditions, known=one.table.known))
    _, timed = held(other, answer, slower(lambda place: False, answer))
    assert "; torch, batches of 3 images, channels last, " in next(latency_words.lines(timed.record(), ""))


@pytest.mark.usefixtures("idle")
def test_where_all_miss_the_limit_that_is_said_of_the_result(search: tuple[Path, str], table: Path) -> None:
    record, run = measured_anew(search, table, lambda place: True)
    assert run.architecture is not None and not record["is_met"]
    assert record["architecture"] == run.architecture.to_json() and len(record["missed"]) == 3
    assert not (run.folder / MEASURED / WITHIN_LIMIT).exists()
    *missed, last = latency_words.of_run(run.folder)
    assert f"limit of {LIMIT_MS} ms missed" in last and not any("was taken" in line for line in missed)


def test_a_finished_search_without_its_table_still_says_what_it_found(
    search: tuple[Path, str], table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_anew(search, table, lambda place: False)
    kept = table.read_bytes()
    table.unlink()
    assert main(["resume", str(search[0])]) == 0 and "latency measured" in capsys.readouterr().out
    shutil.rmtree(search[0] / MEASURED)
    assert main(["resume", str(search[0])]) == 0
    assert f"the latency was not measured: {table} is gone, or of another device" in capsys.readouterr().out
    table.write_bytes(kept.replace(b'"slope": ', b'"slope": 3'))
    assert main(["resume", str(search[0])]) == 2
    assert "is not that of the start of" in capsys.readouterr().err and not (search[0] / MEASURED).exists()
    table.write_bytes(kept)
    monkeypatch.setattr(measured_latency, "device_name", lambda device: "another")
    assert main(["resume", str(search[0])]) == 0 and "was not measured" in capsys.readouterr().out
    assert not (search[0] / MEASURED).exists()
