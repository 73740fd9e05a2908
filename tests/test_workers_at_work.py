"""Runs by workers end as those of one process, bit for bit: killed, stopped, resumed. Real searches and trainings."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from dartboard.cli import main
from dartboard.runs.checkpoint import Checkpoint, newest_name
from dartboard.runs.run import Run
from dartboard.search import trials_by_workers
from pieces_for_workers import check_that_a_killed_worker_loses_nothing

SIZES = ["--data", "digits", "--max-images", "64", "--channels", "2", "--cells", "3", "--batch-size", "16"]
TINY = [*SIZES, "--epochs", "2", "--device", "cpu", "--threads", "1"]
SEARCH = ["search", "darts", *TINY, "--seeds", "3"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("global_rng")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of three searches, made one after the other."""
    import torch

    folder = tmp_path_factory.mktemp("alone")
    with torch.random.fork_rng():
        assert main([*SEARCH, "--out", str(folder / "run")]) == 0
    return folder


def check_same(one: Path, other: Path) -> None:
    """Bit for bit: metrics without times, architecture, last checkpoint, of three seeds."""
    for seed in (0, 1, 2):
        runs = [Run.open(folder / f"run-s{seed}") for folder in (one, other)]
        first, second = (run.load() for run in runs)
        assert all(run.done for run in runs) and first is not None and second is not None
        assert tiny.history(runs[0].folder) == tiny.history(runs[1].folder)
        assert runs[0].architecture == runs[1].architecture
        assert tiny.same_tensors(first.tensors, second.tensors)


def test_three_processes_of_which_one_is_killed_end_as_one_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check_that_a_killed_worker_loses_nothing(tmp_path, "3")
    assert "its worker was killed by SIGKILL" in capfd.readouterr().err


def test_seeds_by_workers_find_what_each_finds_alone(
    tmp_path: Path, alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SEARCH, "--workers", "3", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "seed 1  epoch 2/2" in said and "seed 2 is done" in said and said.count("report: ") == 3
    check_same(tmp_path, alone)
    command = Run.open(tmp_path / "run-s1").environment["command_line"]
    assert command == Run.open(alone / "run-s1").environment["command_line"]


def test_seeds_of_a_training_by_workers_are_those_of_one_process(tmp_path: Path) -> None:
    words = ["train", "DARTS_V2", *TINY, "--no-auxiliary", "--seeds", "2", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    assert main([*words, str(tmp_path / "workers"), "--workers", "2"]) == 0
    for seed in (0, 1):
        folders = [tmp_path / f"{name}-s{seed}" for name in ("alone", "workers")]
        assert tiny.history(folders[0]) == tiny.history(folders[1])
        weights = [(folder / "weights.safetensors").read_bytes() for folder in folders]
        assert weights[0] == weights[1]


# --- Trials ----------------------------------------------------------------------------------------------------------


def check_same_trials(one: Path, other: Path) -> None:
    """Bit for bit: metrics without times, the checkpoint without times, the best training's weights."""
    assert tiny.history(one) == tiny.history(other)
    states = [without_times(Run.open(folder).load()) for folder in (one, other)]
    assert states[0] == states[1]
    assert sorted(path.name for path in (one / "trials").iterdir()) == [
        path.name for path in (other / "trials").iterdir()
    ]
    for path in (one / "trials").iterdir():
        theirs = other / "trials" / path.name
        assert tiny.history(path) == tiny.history(theirs)
        assert (path / "weights.safetensors").read_bytes() == (theirs / "weights.safetensors").read_bytes()


def without_times(checkpoint: Checkpoint | None) -> object:
    """What a checkpoint of a search by trials holds, but for seconds."""
    assert checkpoint is not None

    def cut(value: object) -> object:
        if isinstance(value, dict):
            return {name: cut(one) for name, one in value.items() if name != "seconds"}
        return [cut(one) for one in value] if isinstance(value, list) else value

    return checkpoint.step, cut(checkpoint.extra), sorted(checkpoint.tensors)


@pytest.mark.parametrize("method", [["random_search"], ["regularized_evolution", "--batch", "3", "--population", "2"]])
def test_trials_by_three_workers_of_which_one_is_killed_are_those_of_one_process(
    method: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["search", *method, *TINY, "--trials", "5", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    monkeypatch.setattr(trials_by_workers, "BY_WORKER", "pieces_for_workers:score")
    assert main([*words, str(tmp_path / "workers"), "--workers", "3"]) == 0
    assert "trial 2: its worker was killed by SIGKILL; the piece is sent again" in capfd.readouterr().err
    check_same_trials(tmp_path / "alone", tmp_path / "workers")


def stopped_once_a_training_has_saved(trials: Path) -> threading.Thread:
    """Sends this process a SIGTERM when a trial below this folder has its first checkpoint, within two minutes."""

    def watch() -> None:
        for _ in range(2400):
            if list(trials.glob("*/checkpoint")):
                return os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_search_by_trials_stopped_with_workers_is_resumed_without_and_with_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "random_search", *TINY, "--epochs", "80", "--trials", "3", "--save-every", "1s", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    watching = stopped_once_a_training_has_saved(tmp_path / "cut" / "trials")
    assert main([*words, str(tmp_path / "cut"), "--workers", "2"]) == 143
    watching.join()
    assert f"saved; resume with: dartboard resume {tmp_path}/cut" in capsys.readouterr().err
    assert main(["resume", str(tmp_path / "cut"), "--until", "1s"]) == 0
    assert main(["resume", str(tmp_path / "cut"), "--workers", "3"]) == 0
    check_same_trials(tmp_path / "whole", tmp_path / "cut")


# --- Studies ---------------------------------------------------------------------------------------------------------


def test_the_trainings_of_why_by_workers_are_those_of_one_process(tmp_path: Path) -> None:
    search = ["search", "darts", *TINY, "--space", "s3", "--out", str(tmp_path / "run")]
    assert main(search) == 0
    sizes = ["--batches=1", "--samples=2", "--random=1", "--top=1", "--seeds=1", "--epochs=2", "--few-steps=2"]
    words = ["why", str(tmp_path / "run"), *sizes, "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    assert main([*words, str(tmp_path / "workers"), "--workers", "2"]) == 0
    found = [(tmp_path / name / "pieces.jsonl").read_text() for name in ("alone", "workers")]
    assert found[0] == found[1]
    assert (tmp_path / "alone" / "why.json").read_text() == (tmp_path / "workers" / "why.json").read_text()


def test_the_stages_of_a_transfer_by_workers_are_those_of_one_process(tmp_path: Path) -> None:
    sizes = ["--channels", "2", "--cells", "3", "--batch-size", "16", "--train-channels", "2", "--train-cells", "3"]
    sizes += ["--train-epochs", "1", "--train-batch-size", "16", "--max-images", "64", "--seeds", "1", "--random", "1"]
    words = ["transfer", "--a", "digits", "--b", "digits-rotated", *sizes, "--epochs", "1", "--threads", "1", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    assert main([*words, str(tmp_path / "workers"), "--workers", "2"]) == 0
    stages = sorted(path.name for path in (tmp_path / "alone" / "stages").iterdir())
    assert stages == sorted(path.name for path in (tmp_path / "workers" / "stages").iterdir())
    for stage in stages:
        histories = [tiny.history(tmp_path / name / "stages" / stage) for name in ("alone", "workers")]
        assert histories[0] == histories[1]


# --- What stops runs -------------------------------------------------------------------------------------------------


def started(words: list[str], folder: Path, epochs: int = 1) -> "subprocess.Popen[str]":
    """A process that runs a command, once each of the runs in the folder has saved so many epochs."""
    program = [sys.executable, "-m", "dartboard", *words]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)

    def under_way() -> bool:
        runs = [path for path in folder.glob("run-s*") if (path / "checkpoint").is_dir()]
        return len(runs) == 3 and all(int(newest_name(path / "checkpoint")[5:14] or 0) >= epochs for path in runs)

    assert within(120, under_way), process.communicate()
    return process


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of three searches of six epochs, made one after the other."""
    import torch

    folder = tmp_path_factory.mktemp("longer")
    with torch.random.fork_rng():
        assert main([*SEARCH, "--epochs", "6", "--out", str(folder / "run")]) == 0
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_to_the_parent_saves_all_and_they_are_resumed(
    tmp_path: Path, longer: Path, number: int, code: int
) -> None:
    words = [*SEARCH, "--out", str(tmp_path / "long" / "run"), "--epochs", "6", "--workers", "3"]
    process = started(words, tmp_path / "long")
    process.send_signal(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code
    folders = [tmp_path / "long" / f"run-s{seed}" for seed in (0, 1, 2)]
    assert within(60, lambda: all(free(folder) for folder in folders))  # no worker works on
    assert not all(Run.open(folder).done for folder in folders)
    if number != signal.SIGKILL:
        assert f"dartboard resume {folders[0]}" in said
    for folder in folders:
        assert main(["resume", str(folder)]) == 0
    check_same(tmp_path / "long", longer)


def free(folder: Path) -> bool:
    """Whether no process works in a run folder."""
    try:
        Run.open(folder, write=True).close()
    except Exception:
        return False
    return True


def test_a_time_limit_stops_all_saved_with_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SEARCH, "--epochs", "500", "--until", "8s", "--workers", "2", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "stopped by time limit" in said
    for seed in (0, 1, 2):  # the last one has not begun
        assert f"dartboard resume {tmp_path}/run-s{seed}" in said


def test_what_no_seed_can_do_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run-s1").mkdir()
    (tmp_path / "run-s1" / "mine.txt").write_text("mine")
    assert main([*SEARCH, "--workers", "2", "--out", str(tmp_path / "run")]) == 2
    assert "run-s1 is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run-s1"]
