"""What earlier runs on this machine took, in the user's cache, and what that says of a run before its first step."""

import hashlib
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.data.layouts import cache_folder
from dartboard.errors import CannotContinueError, InputError
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.metrics_file import METRICS, num_epochs
from dartboard.runs.pace import LONG_S, advice_for, long_words
from dartboard.runs.run import Run

if TYPE_CHECKING:
    from dartboard.data import Data

SPEED = "speed.json"  # in the user's cache: what earlier runs on this machine took
# What the seconds of a multiply-add depend on, beside the device, its threads and the size of the images.
DEPENDS_ON = ("channels", "batch_size", "second_order", "supernet", "network", "stem", "channels_last")


def kind_of(run: Run, data: "Data") -> str:
    """A name for all runs that need as many seconds a multiply-add as this one."""
    environment = run.environment
    parts = [run.command, run.method, run.setup.precision, data.image_size, data.channels]
    parts += [environment.get(name) for name in ("device", "device_name", "threads", "torch", "dartboard")]
    parts += [run.settings.get(name) for name in DEPENDS_ON]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def known_speeds() -> dict[str, Any]:
    """Seconds of an epoch for each multiply-add of an image in it, by kind of run; {} if none can be read."""
    path = cache_folder() / SPEED
    try:
        return read_json(path) if path.is_file() else {}
    except InputError:
        return {}  # a cache that is damaged is none


def images_of(run: Run, data: "Data") -> int:
    """Images of an epoch."""
    return len(data.train) + (len(data.val) if run.command == "train" else 0)


def say_known(run: Run, data: "Data", count_macs: Callable[[], int]) -> None:
    """Says before the first step that a run takes more than an hour, where runs of its kind are known here.

    count_macs: multiply-adds of an image in the run's network; called only if its kind is known.
    """
    speed = known_speeds().get(kind_of(run, data))
    if not isinstance(speed, float):
        return
    begun = num_epochs(run.folder / METRICS)
    epochs = run.settings["epochs"] - begun
    seconds = min(speed * count_macs() * images_of(run, data) * epochs, run.limits.seconds)
    if seconds > LONG_S and run.limits.steps is None:
        run.length_announced = True
        what = "the rest of this run" if begun else "this run"
        print(long_words(what, seconds, advice_for(run.settings)), flush=True)


def remember(run: Run, data: "Data", macs: int) -> None:
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
