"""Stopping and going on: kill -9 at any moment, signals, limits, full disks, want of memory. With a plain loop."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import plain_loop
from dartboard.config import Setup
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.runs.checkpoint import checkpoints
from dartboard.runs.run import Run


def whole(folder: Path) -> list[dict[str, object]]:
    """The metrics of a loop that was never stopped."""
    plain_loop.resume(plain_loop.begin(folder))
    return Run.open(folder).metrics()


def in_child(work: Callable[[], None]) -> int:
    """Starts a process that does the work, and returns its id."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = 1
        try:
            work()
            code = 0
        except InterruptedRunError as error:
            code = error.exit_code
        except CannotContinueError:
            code = 3
        except KeyboardInterrupt:
            code = 99
        finally:
            os._exit(code)
    return child


def loop_in(folder: Path, pause_s: float) -> Callable[[], None]:
    """Begins a loop, or goes on with it where it was begun."""

    def work() -> None:
        begun = (folder / "config.toml").exists()
        plain_loop.resume(Run.open(folder, write=True) if begun else plain_loop.begin(folder), pause_s)

    return work


def test_killed_at_random_moments_a_run_ends_as_if_it_had_never_been_stopped(tmp_path: Path) -> None:
    rng, folder, killed = Random(0), tmp_path / "killed", 0
    for _ in range(60):
        child = in_child(loop_in(folder, 0.01))
        time.sleep(rng.uniform(0.0, 0.5))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if (folder / "config.toml").exists() and Run.open(folder).done:
            break
    assert killed >= 2
    if not Run.open(folder).done:
        plain_loop.resume(Run.open(folder, write=True))
    assert Run.open(folder).metrics() == whole(tmp_path / "whole")


def started(folder: Path) -> None:
    """Waits until a loop in another process has made its first steps."""
    end = time.monotonic() + 60
    while not (folder / "metrics.jsonl").exists() or (folder / "metrics.jsonl").stat().st_size < 300:
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_step_saved_and_the_run_goes_on(tmp_path: Path, number: int, code: int) -> None:
    folder = tmp_path / "stopped"
    child = in_child(loop_in(folder, 0.01))
    started(folder)
    os.kill(child, number)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    newest = checkpoints(folder / "checkpoint")[-1]
    steps = [line for line in Run.open(folder).metrics() if line["event"] == "step"]
    assert int(newest.name.split("-")[1].split(".")[0]) == len(steps)  # nothing that was done is lost
    plain_loop.resume(Run.open(folder, write=True))
    assert Run.open(folder).metrics() == whole(tmp_path / "whole")


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    child = in_child(loop_in(folder, 1.0))
    started(folder)
    os.kill(child, signal.SIGINT)
    time.sleep(0.3)  # on a busy machine, too, the first has arrived, and its step has not ended
    os.kill(child, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 99
    plain_loop.resume(Run.open(folder, write=True))
    assert Run.open(folder).metrics() == whole(tmp_path / "whole")


def test_handlers_of_signals_are_put_back_after_the_loop(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    whole(tmp_path / "run")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_loop_works_outside_of_the_main_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=whole, args=(tmp_path / "run",))
    thread.start()
    thread.join()
    assert Run.open(tmp_path / "run").done


@pytest.mark.parametrize("limit", [{"budget": "7steps"}, {"budget": "0.05s"}, {"until": "0.05s"}])
def test_a_limit_stops_saved_with_exit_code_0_and_the_words_to_go_on(tmp_path: Path, limit: dict[str, str]) -> None:
    run = plain_loop.begin(tmp_path / "run", Setup(device="cpu", **limit))
    with pytest.raises(InterruptedRunError, match="resume with: dartboard resume") as caught:
        plain_loop.resume(run, 0.002)
    assert caught.value.exit_code == 0
    if "steps" in str(limit):
        assert len(run.metrics()) == 7
    plain_loop.resume(Run.open(tmp_path / "run", write=True))  # a resumed run has no limit of its own
    assert Run.open(tmp_path / "run").metrics() == whole(tmp_path / "whole")


def test_save_every_says_how_often_checkpoints_are_written_inside_an_epoch(tmp_path: Path) -> None:
    def saves(folder: Path, save_every: str) -> int:
        setup = Setup(device="cpu", save_every=save_every, budget="20steps")
        run, written = plain_loop.begin(folder, setup), []
        keep = run.save
        run.save = lambda *state, **place: (written.append(place), keep(*state, **place))[1]  # type: ignore[method-assign]
        with pytest.raises(InterruptedRunError):
            plain_loop.resume(run, 0.005)
        return len(written)

    assert saves(tmp_path / "often", "0.01s") >= 5
    assert saves(tmp_path / "seldom", "10m") == 1


def test_a_file_that_may_not_grow_stops_the_run_with_its_last_checkpoint_intact(tmp_path: Path) -> None:
    folder = tmp_path / "full"

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        loop_in(folder, 0.0)()

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1]) == 3
    assert not Run.open(folder).done
    plain_loop.resume(Run.open(folder, write=True))
    assert Run.open(folder).metrics() == whole(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_stops_the_run_with_its_last_checkpoint_intact(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        run = plain_loop.begin(disk / "run")
        (disk / "ballast").write_bytes(b"x" * 20_000)
        with pytest.raises(CannotContinueError, match=r"disk is full.*dartboard resume"):
            plain_loop.resume(run)
        assert Run.open(disk / "run").load() is not None
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        plain_loop.resume(Run.open(disk / "run", write=True))
        assert Run.open(disk / "run").metrics() == whole(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate"), RuntimeError("can't allocate memory")],
)
def test_want_of_memory_is_told_with_what_to_try(tmp_path: Path, error: Exception) -> None:
    run = plain_loop.begin(tmp_path / "run")
    with pytest.raises(CannotContinueError, match=r"smaller --batch-size.*dartboard resume"), run.guarded():
        raise error


def test_other_errors_pass_through_unchanged(tmp_path: Path) -> None:
    run = plain_loop.begin(tmp_path / "run")
    for error in (RuntimeError("a defect"), InputError("wrong"), ZeroDivisionError(), FileNotFoundError(2, "gone")):
        with pytest.raises(type(error)) as caught, run.guarded():
            raise error
        assert caught.value is error


def test_an_error_that_stops_the_work_always_tells_how_to_go_on(tmp_path: Path) -> None:
    run = plain_loop.begin(tmp_path / "a folder")
    with pytest.raises(CannotContinueError) as caught, run.guarded():
        raise CannotContinueError("train_loss is nan at step 3")
    assert str(caught.value) == f"train_loss is nan at step 3; then resume with: dartboard resume '{tmp_path}/a folder'"
    assert "\n" not in str(caught.value)
    assert sys.exc_info() == (None, None, None)
