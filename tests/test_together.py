"""--seeds N --together: every seed's result as if it had run alone, stopped together, gone on with alone."""

import os
import signal
import threading
from pathlib import Path

import pytest

import plain_loop
import tiny
from dartboard.cli import main
from dartboard.commands.together import side_by_side
from dartboard.config import Setup
from dartboard.errors import CannotContinueError, InterruptedRunError
from dartboard.runs.run import Run

TINY = ["--data", "digits", "--max-images", "64", "--channels", "2", "--cells", "3", "--batch-size", "16"]
WORDS = ["search", "darts", *TINY, "--epochs", "1", "--device", "cpu", "--threads", "1", "--seeds", "2"]

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two searches, made one after the other."""
    import torch

    folder = tmp_path_factory.mktemp("alone")
    with torch.random.fork_rng():
        assert main([*WORDS, "--out", str(folder / "run")]) == 0
    return folder


def check_same(one: Path, other: Path) -> None:
    """Bit for bit: metrics without times, architecture, last checkpoint."""
    for seed in (0, 1):
        runs = [Run.open(folder / f"run-s{seed}") for folder in (one, other)]
        first, second = (run.load() for run in runs)
        assert all(run.done for run in runs) and first is not None and second is not None
        assert tiny.history(runs[0].folder) == tiny.history(runs[1].folder)
        assert runs[0].architecture == runs[1].architecture
        assert tiny.same_tensors(first.tensors, second.tensors)


def test_seeds_searched_together_find_what_each_finds_alone(
    tmp_path: Path, alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--together", "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "seed 0  epoch 1/1" in out and "seed 1  epoch 1/1" in out and out.count("report: ") == 2
    check_same(tmp_path, alone)


@pytest.mark.slow
def test_stopped_together_each_is_gone_on_with_alone(
    tmp_path: Path, alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--together", "--budget", "1steps", "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().err
    for seed in (0, 1):
        assert f"dartboard resume {tmp_path}/run-s{seed}" in told
        assert not Run.open(tmp_path / f"run-s{seed}").done
        assert main(["resume", str(tmp_path / f"run-s{seed}")]) == 0
    check_same(tmp_path, alone)


def test_one_seed_is_not_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS[:-1], "1", "--together", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "--seeds 4" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_folder_in_the_way_of_one_seed_leaves_none_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run-s1").mkdir()
    (tmp_path / "run-s1" / "mine.txt").write_text("mine")
    assert main([*WORDS, "--together", "--out", str(tmp_path / "run")]) == 2
    assert "run-s1 is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run-s1"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_saved_and_each_goes_on(tmp_path: Path, number: int, code: int) -> None:
    runs = [plain_loop.begin(tmp_path / name) for name in ("one", "two")]
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    timer.start()
    with pytest.raises(InterruptedRunError) as caught:
        side_by_side(runs, lambda run: plain_loop.resume(run, 0.02))
    assert caught.value.exit_code == code
    plain_loop.resume(plain_loop.begin(tmp_path / "whole"))
    for run in runs:
        assert f"dartboard resume {run.folder}" in str(caught.value)
        assert 0 < len(run.metrics()) < len(Run.open(tmp_path / "whole").metrics())
        plain_loop.resume(Run.open(run.folder, write=True))
        assert run.metrics() == Run.open(tmp_path / "whole").metrics()


def test_one_that_fails_leaves_the_others_at_work(tmp_path: Path) -> None:
    runs = [plain_loop.begin(tmp_path / name, Setup(device="cpu")) for name in ("bad", "good")]

    def work(run: Run) -> None:
        if run.folder.name == "bad":
            raise CannotContinueError("train_loss is nan")
        plain_loop.resume(run, 0.002)

    with pytest.raises(CannotContinueError, match="train_loss is nan"):
        side_by_side(runs, work)
    assert Run.open(tmp_path / "good").done


def test_a_defect_of_one_is_raised_with_its_traceback_kept(tmp_path: Path) -> None:
    runs = [plain_loop.begin(tmp_path / name) for name in ("bad", "good")]

    def work(run: Run) -> None:
        if run.folder.name == "bad":
            raise ZeroDivisionError("a defect")
        plain_loop.resume(run)

    with pytest.raises(ZeroDivisionError):
        side_by_side(runs, work)
    assert "ZeroDivisionError" in (tmp_path / "bad" / "traceback.txt").read_text()
    assert Run.open(tmp_path / "good").done
