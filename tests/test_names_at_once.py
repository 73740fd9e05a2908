"""Runs without --out that begin in the same moment: each takes the next free name, none is told to stop another."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from dartboard import train
from dartboard.commands import transfer, work
from dartboard.config import Setup, flat
from dartboard.errors import TakenError
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.studies.protocol import Protocol
from dartboard.studies.study import Study

SETUP = Setup(device="cpu")
AT_ONCE = 6


def at_once(make: Callable[[], Any], number: int = AT_ONCE) -> list[Any]:
    """What so many threads make that begin together; an error where one raises."""
    start, made = threading.Barrier(number), []

    def one() -> None:
        start.wait()
        try:
            made.append(make())
        except BaseException as error:
            made.append(error)

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def names(start: str, number: int = AT_ONCE) -> list[str]:
    return sorted([start, *(f"{start}-{again}" for again in range(2, number + 1))])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dartboard.runs.run.describe", lambda device, parent: {})  # asks git, which takes its time


def test_searches_begun_at_once_take_the_next_free_names(tmp_path: Path) -> None:
    config = darts.Config(**tiny.SEARCH)
    runs = at_once(lambda: work.begin_run(work.NewRun(), "darts", SETUP, config, method="darts", space="darts"))
    assert sorted(run.folder.name for run in runs) == names("darts-digits-s0")
    for run in runs:
        run.close()
        assert Run.open(run.folder).method == "darts"


def test_trainings_begun_at_once_do_as_well_and_one_that_is_discarded_harms_none() -> None:
    config = train.Config(**tiny.TRAIN)

    def make() -> Run:
        run = work.begin_run(work.NewRun(), "train-X", SETUP, config, command="train")
        if run.folder.name.endswith("-2"):
            run.discard()
        return run

    runs = at_once(make)
    assert not [run for run in runs if isinstance(run, BaseException)]
    kept = [run.folder for run in runs if (run.folder / "config.toml").exists()]
    assert len(kept) == len({*kept}) == AT_ONCE - len([run for run in runs if not run.folder.exists()])
    for run in runs:
        run.close()


def test_a_folder_in_which_another_begins_is_no_free_one() -> None:
    """The moment between making the folder and taking its lock."""
    Path("runs/darts-digits-s0").mkdir(parents=True)
    config = darts.Config(**tiny.SEARCH)
    with work.begin_run(work.NewRun(), "darts", SETUP, config, method="darts", space="darts") as run:
        assert run.folder.name == "darts-digits-s0-2"


def test_a_folder_that_is_named_is_refused_to_all_but_one() -> None:
    config = darts.Config(**tiny.SEARCH)
    flags = work.NewRun(out="mine")
    runs = at_once(lambda: work.begin_run(flags, "darts", SETUP, config, method="darts", space="darts"))
    assert sorted(type(run).__name__ for run in runs if isinstance(run, Run)) == ["Run"]
    assert all(isinstance(run, Run | TakenError) for run in runs)
    next(run for run in runs if isinstance(run, Run)).close()


def test_studies_begun_at_once_take_the_next_free_names() -> None:
    settings = flat(darts.Config(**tiny.SEARCH)), flat(train.Config(**tiny.TRAIN))
    protocol = Protocol("digits", "digits-rotated", epochs=1, epochs_b=1, train_epochs=2)
    made = at_once(lambda: transfer.new_study(None, protocol, *settings, SETUP))
    assert sorted(study.folder.name for study in made) == names("transfer-digits-digits-rotated-s0")
    assert all(Study.open(study.folder).check_settings() for study in made)
