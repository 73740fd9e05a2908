"""Pieces of work for tests of workers: functions that a worker process imports by name."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dartboard.errors import CannotContinueError, InputError
from dartboard.runs.limits import Limits


def root(number: int, limits: Limits, killed: str = "", always: bool = False) -> list[float]:
    """The square root; the first time, or always, kills its own process if there is a folder to note it in."""
    if killed and (always or not Path(killed).exists()):
        Path(killed).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"root of {number}")
    return [number, number**0.5]


def wrong(kind: str, limits: Limits) -> None:
    """Fails in one of the known ways, or by a defect."""
    if kind == "input":
        raise InputError("there is no such thing; give another")
    if kind == "stopped":
        raise CannotContinueError("train_loss is nan")
    raise ZeroDivisionError("a defect")


def walk(folder: str, limits: Limits, pause_s: float = 0.0, die_at: int | None = None) -> list[float]:
    """The loop of plain_loop.py in a run folder, resumed where it is; the first time it dies at a step."""
    import plain_loop  # brings torch
    from dartboard.runs.run import Run

    path = Path(folder)
    run = Run.open(path, write=True) if (path / "config.toml").exists() else plain_loop.begin(path)
    run.limits = limits
    if die_at is not None and not (mark := path / "died").exists():
        mark.touch()
        pulse = run.pulse

        def killing(save: object, step: int) -> None:
            pulse(save, step)  # type: ignore[arg-type]
            if step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        run.pulse = killing  # type: ignore[method-assign]
    plain_loop.resume(run, pause_s)
    place: list[float] = run.metrics()[-1]["place"]
    return place


def wait(folder: str, limits: Limits) -> None:
    """Notes its process in a folder, and waits until it is stopped."""
    Path(folder, str(os.getpid())).touch()
    while limits.reason() is None:
        time.sleep(0.02)


def score(folder: str, number: int, architecture: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """The score of a trial; the first time that the second trial is trained, its process dies at the second step."""
    from dartboard.runs.run import Run
    from dartboard.training.by_training import score_by_worker

    if number == 1 and not (mark := Path(folder, "died")).exists():
        pulse = Run.pulse

        def killing(self: Run, save: Callable[[], None], step: int) -> None:
            pulse(self, save, step)
            if step == 2:
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        Run.pulse = killing  # type: ignore[method-assign]
    return score_by_worker(folder, number, architecture, limits)


def check_that_a_killed_worker_loses_nothing(folder: Path, workers: str) -> None:
    """Three walks by workers, of which one is killed, end as those of one process."""
    import tiny
    from dartboard.runs.workers import done

    pieces = [{"folder": str(folder / f"alone-{number}")} for number in range(3)]
    alone = dict(done(f"{__name__}:walk", pieces, threads=1))
    again: list[dict[str, Any]] = [
        {"folder": str(folder / f"workers-{number}"), "pause_s": 0.01} for number in range(3)
    ]
    again[1] |= {"die_at": 60}
    assert dict(done(f"{__name__}:walk", again, workers, 1)) == alone
    for one, other in zip(pieces, again, strict=True):
        assert tiny.history(Path(one["folder"])) == tiny.history(Path(other["folder"]))
