"""Whether a run will take more than an hour, and the line that says so, once: from what this machine is known to do,
else from the first steps. Nothing here imports torch."""

import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.data.layouts import cache_folder
from dartboard.durable import replace_file
from dartboard.errors import CannotContinueError, InputError
from dartboard.json_files import as_json, read_json
from dartboard.metrics_file import METRICS, num_epochs

if TYPE_CHECKING:
    from dartboard.data import Data
    from dartboard.run import Run

LONG_S = 3600.0  # what takes longer says so
SURE_S = 10.0  # seconds of steps after which their number tells how long the whole takes
SLOW_S = 30.0  # a first step that takes so long is enough to tell
SPEED = "speed.json"  # in the user's cache: what earlier runs on this machine took
# What the seconds of a multiply-add depend on, beside the device, its threads and the size of the images.
DEPENDS_ON = ("channels", "batch_size", "second_order", "supernet", "network", "stem", "channels_last")


@dataclass
class Pace:
    """Watches the steps of a run. total_steps: of the whole run; most_s, most_steps: what a limit lets this process
    do; what: the run's name in a sentence; advice: what to do about it; said: whether the line has been said."""

    total_steps: int
    most_s: float = math.inf
    most_steps: float = math.inf
    what: str = "this run"
    advice: str = ""
    said: bool = False
    now: Callable[[], float] = time.monotonic
    began_s: float = field(default=0.0, init=False)
    first: int | None = field(default=None, init=False)
    first_s: float = field(default=0.0, init=False)

    def begin(self) -> None:
        """The steps begin now."""
        self.began_s = self.now()

    def line(self, step: int) -> str | None:
        """What to say after a step, counted from 1 through the whole run; None where there is nothing to say."""
        if self.said:
            return None
        if self.first is None:
            self.first, self.first_s = step, self.now()
        seconds = self.whole_s(step)
        if seconds is None or seconds <= LONG_S:
            return None
        self.said = True
        rest = "" if self.first == 1 else "the rest of "
        return long_words(f"{rest}{self.what}", seconds, self.advice)

    def whole_s(self, step: int) -> float | None:
        """Seconds that all steps of this process will take; None where that is not known yet."""
        assert self.first is not None
        made, since_s, first_s = step - self.first, self.now() - self.first_s, self.first_s - self.began_s
        if made >= 2 and since_s >= SURE_S:
            step_s = since_s / made
        elif first_s >= SLOW_S or (made and since_s >= SURE_S):
            step_s = since_s / made if made else first_s
        else:
            return None
        steps = min(self.total_steps - self.first, self.most_steps - 1)
        return min(first_s + steps * step_s, self.most_s)


def long_words(what: str, seconds: float, advice: str) -> str:
    return f"{what} will take about {seconds_in_words(seconds)} here; {advice}"


def seconds_in_words(seconds: float) -> str:
    """45 s, 12 min, 3.4 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def advice_for(settings: Mapping[str, Any]) -> str:
    """What a person can do about a long run with these settings."""
    told = "Ctrl-C stops it resumably, --budget 1h does so by itself, --dry-run says more"
    sizes = {"channels": 1, "cells": 3}
    known = {name: settings[name] for name in sizes if isinstance(settings.get(name), int)}
    smaller = [f"--{name} {max(sizes[name], size // 2)}" for name, size in known.items() if size > sizes[name]]
    return f"{told}; smaller: {' '.join(smaller)}" if smaller else f"{told}; shorter: fewer --epochs"


def pace_of(run: "Run", total_steps: int) -> Pace:
    """The pace of a run that goes on from where it stands, under the limits of this process."""
    is_stage = run.resumed_by != run.folder
    what = "this stage of the study" if is_stage else "this run"
    advice = "Ctrl-C stops the study resumably" if is_stage else advice_for(run.settings)
    most_steps = math.inf if run.limits.steps is None else run.limits.steps - run.limits.steps_done
    left_s = run.limits.seconds - (time.monotonic() - run.limits.started)
    return Pace(total_steps, left_s, most_steps, what, advice, said=run.said_long)


# --- What is known of this machine -----------------------------------------------------------------------------------


def kind_of(run: "Run", data: "Data") -> str:
    """A name for all runs that need as many seconds a multiply-add as this one."""
    environment = run.environment
    parts = [run.command, run.method, run.setup.precision, data.image_size, data.channels]
    parts += [environment.get(name) for name in ("device", "device_name", "threads", "torch", "dartboard")]
    parts += [run.settings.get(name) for name in DEPENDS_ON]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def known_speeds() -> dict[str, Any]:
    """Seconds of an epoch for each multiply-add of an image in it, by kind of run; {} where none can be read."""
    path = cache_folder() / SPEED
    try:
        return read_json(path) if path.is_file() else {}
    except InputError:
        return {}  # a cache that is damaged is none


def images_of(run: "Run", data: "Data") -> int:
    """Images of an epoch."""
    return len(data.train) + (len(data.val) if run.command == "train" else 0)


def say_known(run: "Run", data: "Data", count_macs: Callable[[], int]) -> None:
    """Says before the first step that a run takes more than an hour, where runs of its kind are known here.

    count_macs: multiply-adds of an image in the run's network; called only where its kind is known.
    """
    speed = known_speeds().get(kind_of(run, data))
    if not isinstance(speed, float):
        return
    begun = num_epochs(run.folder / METRICS)
    epochs = run.settings["epochs"] - begun
    seconds = min(speed * count_macs() * images_of(run, data) * epochs, run.limits.seconds)
    if seconds > LONG_S and run.limits.steps is None:
        run.said_long = True
        what = "the rest of this run" if begun else "this run"
        print(long_words(what, seconds, advice_for(run.settings)), flush=True)


def remember(run: "Run", data: "Data", macs: int) -> None:
    """Notes in the user's cache what an epoch of a finished run took; a cache that cannot be written stays as it is."""
    seconds = [line["epoch_s"] for line in run.metrics() if line.get("event") == "epoch" and line.get("epoch_s")]
    if not seconds or not macs:
        return
    speeds = {**known_speeds(), kind_of(run, data): statistics.median(seconds) / (macs * images_of(run, data))}
    path: Path = cache_folder() / SPEED
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, as_json(speeds))
    except (OSError, InputError, CannotContinueError):
        return
