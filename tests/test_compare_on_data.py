"""`dartboard compare` on data: searches at equal cost, trainings of what they found, budgets of each kind."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dartboard import formats
from dartboard.cli import main
from dartboard.commands import compare_budgets
from dartboard.config import Setup
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import METHODS, darts, random_search
from dartboard.report import write_report
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.studies import compare_on_data
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.comparison_values import comparison_of
from dartboard.studies.contenders import Comparison
from dartboard.studies.equal_settings import of_runs
from dartboard.training import dry_run

DATA = ["--data", "digits", "--max-images", "64", "--device", "cpu"]  # half of the images to train on, half is val
SIZES = ["--epochs", "1", "--channels", "2", "--cells", "3", "--batch-size", "16"]  # two steps a trial
TRAININGS = ["--train-epochs", "1", "--train-channels", "2", "--train-cells", "3", "--train-batch-size", "32"]
BEGIN = ["compare", "--space", "nasbench201", *DATA, *SIZES, *TRAININGS]


@pytest.fixture(autouse=True)
def no_timing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is measured: a trial takes a second, an epoch of a supernet two."""
    seconds = dry_run.Seconds(begin=0.0, steps=(0.5, 0.5), score=0.0, scored=1, save=0.0)
    monkeypatch.setattr(dry_run, "measure_steps", lambda job, batch_size, *more: (seconds, 0))
    yield
    compare_on_data.data_of.cache_clear()


def words(out: Path, budget: str, *more: str, methods: str = "random_search", seeds: int = 1) -> list[str]:
    return [*BEGIN, "--methods", methods, "--budget", budget, "--seeds", str(seeds), "--out", str(out), *more]


def found(folder: Path) -> Comparison:
    return comparison_of(ComparisonFolder.open(folder))


def lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run without what is only time."""
    return [{name: v for name, v in line.items() if not name.endswith("_s")} for line in Run.open(folder).metrics()]


def refused(capsys: pytest.CaptureFixture[str], given: list[str]) -> str:
    """The one line of an exit with code 2."""
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("dartboard: ")
    return said


# --- Trials, steps ---------------------------------------------------------------------------------------------------


def test_every_search_is_a_run_and_its_architecture_is_trained_and_scored_on_test(tmp_path: Path) -> None:
    assert main(words(tmp_path / "out", "2trials", "--seed", "3")) == 0
    one = found(tmp_path / "out")
    search = Run.open(tmp_path / "out/runs/random_search-s3")
    training = Run.open(tmp_path / "out/trainings/random_search-s3")
    assert (search.command, search.method, search.space, search.seed) == ("search", "random_search", "nasbench201", 3)
    assert training.architecture == search.architecture and training.command == "train" and training.seed == 3
    assert not any("test" in name for line in search.metrics() for name in line)
    [repetition] = one.contenders[0].repetitions
    assert (repetition.result, repetition.cost) == (training.metrics()[-1]["test_accuracy"], 2.0)
    scores = [line["score"] for line in search.metrics() if line["event"] == "trial"]
    assert repetition.costs == (1.0, 2.0) and repetition.best == (scores[0], max(scores))
    assert repetition.peak_memory_mb == search.environment["peak_memory_mb"] > 1.0
    assert repetition.folder == "runs/random_search-s3" and repetition.seconds is not None
    config = random_search.Config(**search.settings)
    with Run.create(tmp_path / "alone", config, setup=Setup(**vars(search.setup)), space="nasbench201") as run:
        random_search.search(config, SPACES["nasbench201"], compare_on_data.data_of(search.setup), run)
    assert lines(tmp_path / "alone") == lines(search.folder)  # as `dartboard search` would have made it


def test_the_largest_of_the_random_draws_is_trained_too(tmp_path: Path) -> None:
    assert main(words(tmp_path / "out", "3trials")) == 0
    drawn = [line for line in lines(tmp_path / "out/runs/random_search-s0") if line["event"] == "trial"]
    largest = max(drawn, key=lambda line: line["macs"])
    training = Run.open(tmp_path / "out/trainings/most-macs-s0")
    assert training.architecture == formats.read(largest["architecture"])[0]
    assert training.environment["drawn"] == largest["trial"]
    [repetition] = found(tmp_path / "out").contenders[1].repetitions
    assert repetition.result == training.metrics()[-1]["test_accuracy"] and repetition.cost == 3.0


def test_trainings_are_compared_in_groups_of_their_searches_settings(tmp_path: Path) -> None:
    assert main(words(tmp_path / "out", "2trials", seeds=2)) == 0
    folders = sorted((tmp_path / "out" / "trainings").iterdir())
    found = of_runs(folders)
    assert [(one.label, len(one.repetitions)) for one in found.contenders] == [
        ("most multiply-adds", 2),
        ("random_search", 2),
    ]
    by_seed = [
        [each.result for each in one.repetitions]
        for one in comparison_of(ComparisonFolder.open(tmp_path / "out")).contenders
    ]
    assert [[each.result for each in one.repetitions] for one in found.contenders] == by_seed[::-1]
    assert (found.unit, found.result_is) == ("seconds", "test accuracy of the found architecture")
    with pytest.raises(InputError, match=r"is a search on data, .*; give the training: dartboard train"):
        of_runs([tmp_path / "out/runs/random_search-s0"])


def test_steps_are_those_of_all_trainings_and_alpha_is_counted(tmp_path: Path) -> None:
    """32 images in batches of 16: a trial is two steps, an epoch of DARTS two of the weights and two of alpha."""
    assert main(words(tmp_path / "out", "9steps", methods="darts")) == 0
    one = found(tmp_path / "out")
    assert [contender.label for contender in one.contenders] == ["darts", "random_search", "most multiply-adds"]
    by_darts, by_random, largest = (contender.repetitions[0] for contender in one.contenders)
    assert (by_darts.cost, by_random.cost, largest.cost) == (8.0, 8.0, 0.0)
    assert darts.WORK.updates == 2 and random_search.Config().epochs == 50
    assert Run.open(tmp_path / "out/runs/darts-s0").settings["epochs"] == 2
    assert Run.open(tmp_path / "out/runs/random_search-s0").settings["trials"] == 4
    assert by_random.costs == (2.0, 4.0, 6.0, 8.0) and by_darts.costs == ()
    assert None not in (by_darts.result, by_random.result, largest.result)


def test_supernets_of_single_paths_are_compared_by_steps_and_candidates_are_held_to_the_limit(tmp_path: Path) -> None:
    """An epoch is two steps of the weights; what is scored after it is no step."""
    (tmp_path / "ws.toml").write_text("candidates = 2\nbatches = 1\n")
    (tmp_path / "spos.toml").write_text("population = 2\ngenerations = 1\n")
    (tmp_path / "enas.toml").write_text("controller_steps = 1\ncontroller_samples = 1\nderive = 2\n")
    files = f"random_search_ws={tmp_path / 'ws.toml'},spos={tmp_path / 'spos.toml'},enas={tmp_path / 'enas.toml'}"
    given = words(tmp_path / "out", "5steps", "--config", files, methods="random_search_ws,spos,enas")
    assert main(given) == 0
    by_label = {contender.label: contender.repetitions[0] for contender in found(tmp_path / "out").contenders}
    for method in ("random_search_ws", "spos", "enas"):
        assert Run.open(tmp_path / f"out/runs/{method}-s0").settings["epochs"] == 2
        assert by_label[method].cost == 4.0 and by_label[method].result is not None
    limited = words(tmp_path / "limited", "5steps", "--limit", "macs<=1M", methods="spos")
    assert main([*limited, "--print-config"]) == 0


def test_a_comparison_that_was_stopped_anywhere_ends_as_one_that_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(words(tmp_path / "whole", "2trials")) == 0
    pulse, steps = Run.pulse, []

    def stopping(self: Run, save: Any, step: int) -> None:
        steps.append(step)
        if len(steps) % 4 == 3:
            self.limits.seconds = 0.0
        pulse(self, save, step)

    given = words(tmp_path / "cut", "2trials")
    with monkeypatch.context() as patched:
        patched.setattr(Run, "pulse", stopping)
        stops = 0
        while not (tmp_path / "cut" / "table.csv").exists():
            assert main(given if stops % 2 else ["resume", str(tmp_path / "cut")] if stops else given) == 0
            stops += 1
        assert 3 <= stops < 12
    assert f"resume with: dartboard resume {tmp_path / 'cut'}" in capsys.readouterr().err
    for name in ("runs/random_search-s0", "trainings/random_search-s0", "trainings/most-macs-s0"):
        assert lines(tmp_path / "whole" / name) == lines(tmp_path / "cut" / name)


# --- Time ------------------------------------------------------------------------------------------------------------


def test_a_time_is_as_many_epochs_of_a_supernet_as_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A step of the loop takes half a second, as `no_timing` has it, and two of them are an epoch."""
    assert main([*words(tmp_path / "out", "3s", methods="darts"), "--print-config"]) == 0
    said = capsys.readouterr().out
    assert "epochs = 3" in said.partition("[searches.darts]")[2].partition("[searches.random_search]")[0]
    assert not (tmp_path / "out").exists()


def test_trials_that_end_after_the_time_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_on_data, "all_trials", timed(compare_on_data.all_trials, each_s=4.0))
    monkeypatch.setattr(Run, "pulse", ending_after(9))  # three trials of two steps, and a pulse for the end of each
    assert main(words(tmp_path / "out", "10s")) == 0
    assert "trial 1  score " in capsys.readouterr().out  # of how many is not known
    run = Run.open(tmp_path / "out/runs/random_search-s0")
    [repetition] = found(tmp_path / "out").contenders[0].repetitions
    trials = [line for line in run.metrics() if line["event"] == "trial"]
    assert len(trials) == 3 and run.done
    assert "10,000,000" not in write_report([run.folder], out=tmp_path / "page.html").read_text()
    assert repetition.costs == (4.0, 8.0) and repetition.cost == 8.0
    assert run.metrics()[-1]["trial"] == max((0, 1), key=lambda number: trials[number]["score"])


def timed(read: Any, each_s: float) -> Any:
    """`all_trials`, with trials of so many seconds each."""

    def lines_of(run: Run) -> list[dict[str, Any]]:
        return [{**line, "worked_s": each_s * (number + 1)} for number, line in enumerate(read(run))]

    return lines_of


def ending_after(steps: int) -> Any:
    """`Run.pulse`, which ends the work after so many steps, as at the end of the time."""
    pulse, seen = Run.pulse, []

    def ending(self: Run, save: Any, step: int) -> None:
        pulse(self, save, step)
        seen.append(step)
        if len(seen) == steps:
            raise InterruptedRunError("the time is used up", 0)

    return ending


def test_the_seconds_before_a_stop_halfway_count_too(tmp_path: Path) -> None:
    config = random_search.Config(trials=3)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        run.log(event="trial", trial=0, elapsed_s=5.0, score_s=4.0)
        run.log(event="trial", trial=1, elapsed_s=7.0, score_s=6.0)  # four of the six before a stop
        run.log(event="trial", trial=2, elapsed_s=9.5, score_s=2.0)
        assert [line["worked_s"] for line in compare_on_data.all_trials(run)] == [5.0, 11.0, 13.5]
        assert compare_on_data.worked_s(run) == 13.5


def test_a_limit_of_our_own_is_no_interruption() -> None:
    limits = Limits()
    with compare_on_data.within(limits, 0.0):
        assert limits.reason() == ("time limit", 0)
        raise InterruptedRunError("stopped", 0)
    assert limits.seconds == Limits().seconds and limits.reason() is None
    over = Limits(seconds=0.0)
    with pytest.raises(InterruptedRunError), compare_on_data.within(over, 100.0):
        raise InterruptedRunError("stopped", 0)


# --- Refusals, dry run -----------------------------------------------------------------------------------------------

REFUSED = {
    "a supernet has no trials": (["3trials"], {"methods": "darts"}, "darts makes no trials"),
    "less than a trial": (["1steps"], {}, "1 step is smaller than one trial of random_search, which takes 2 steps"),
    "less than an epoch": (["3steps"], {"methods": "darts"}, "smaller than one epoch of darts, which takes 4 steps"),
    "less than a trial's time": (["0.5s"], {}, "smaller than one trial of random_search, which takes about 1 s"),
    "a batch too large": (["2trials", "--batch-size", "33"], {}, "33"),
    "a training's batch": (["2trials", "--train-batch-size", "65"], {}, "65"),
    "unknown data": (["2trials", "--data", "digit"], {}, "digit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, more, text = REFUSED[name]
    assert text in refused(capsys, words(tmp_path / "out", *given, **more))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_space_that_a_method_cannot_search_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPACES, "nasbench201", replace(SPACES["nasbench201"], kinds=frozenset()))
    said = refused(capsys, words(tmp_path / "out", "9steps", methods="random_search,darts"))
    assert "darts needs a supernet that computes a mixture" in said


def test_a_limit_is_refused_for_a_method_that_holds_nothing_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of a package may be."""
    monkeypatch.setitem(METHODS, "darts", replace(METHODS["darts"], limits=False))
    given = words(tmp_path / "out", "9steps", "--limit", "macs<=1M", methods="darts")
    assert "no effect on darts" in refused(capsys, given)


def test_a_file_has_settings_of_one_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.toml").write_text("lr = 0.125\n")
    assert (
        main([*words(tmp_path / "out", "2trials", "--config", f"random_search={tmp_path}/one.toml"), "--print-config"])
        == 0
    )
    assert "lr = 0.125" in capsys.readouterr().out
    (tmp_path / "one.toml").write_text('shared_weights = "runs/x"\n')
    given = words(tmp_path / "out", "2trials", "--config", f"random_search={tmp_path}/one.toml")
    assert "scores by shared weights" in refused(capsys, given)


def test_a_dry_run_says_what_would_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words(tmp_path / "out", "9steps", methods="darts", seeds=2), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "search darts: 2 epochs" in said and "search random_search: 4 trials" in said
    assert "3 trainings from scratch for each seed" in said and not (tmp_path / "out").exists()


def test_a_time_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"channels": 2, "cells": 3, "epochs": 1, "batch_size": 16}
    known: Any = type("Known", (), {"searches": {"darts": {"epochs": 7}}})
    monkeypatch.setattr(compare_budgets, "seconds_of", lambda method, job: pytest.fail("it was measured before"))
    from dartboard.studies.budgets import Budget

    data = compare_on_data.data_of(Setup(max_images=64))
    sized = compare_budgets.sized(Budget(9.0, "seconds"), "darts", "nasbench201", settings, Setup(), data, known)
    assert sized == {**settings, "epochs": 7}
