"""Runs by workers end as those of one process, bit for bit: killed, stopped, resumed. Real searches and trainings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from dartboard.cli import main
from dartboard.runs.checkpoint import newest_name
from dartboard.runs.run import Run
from dartboard.runs.workers import done

SIZES = ["--data", "digits", "--max-images", "64", "--channels", "2", "--cells", "3", "--batch-size", "16"]
TINY = [*SIZES, "--epochs", "2", "--device", "cpu", "--threads", "1"]
SEARCH = ["search", "darts", *TINY, "--seeds", "3"]
WALK = "pieces_for_workers:walk"

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
    pieces = [{"folder": str(tmp_path / f"alone-{number}")} for number in range(3)]
    alone = dict(done(WALK, pieces, threads=1))
    again = [{"folder": str(tmp_path / f"workers-{number}"), "pause_s": 0.01} for number in range(3)]
    again[1] |= {"die_at": 60}
    assert dict(done(WALK, again, "3", 1)) == alone
    assert "its worker was killed by SIGKILL" in capfd.readouterr().err
    for one, other in zip(pieces, again, strict=True):
        assert tiny.history(Path(str(one["folder"]))) == tiny.history(Path(str(other["folder"])))


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_to_the_parent_saves_all_and_they_are_resumed(
    tmp_path: Path, alone: Path, number: int, code: int
) -> None:
    """With ten times the epochs, so that it is stopped in the middle."""
    words = [*SEARCH, "--out", str(tmp_path / "long" / "run"), "--epochs", "12", "--workers", "3"]
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
    whole = [*SEARCH, "--out", str(tmp_path / "whole" / "run"), "--epochs", "12"]
    assert main(whole) == 0
    check_same(tmp_path / "long", tmp_path / "whole")


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
