"""How seconds and memory grow with one size while the others stay: points, and the line or power fitted to them."""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import forms
import numpy as np
import torch
from forms import FIRST, FORWARD_BACKWARD, Size
from torch.autograd.graph import saved_tensors_hooks

from dartboard import spaces
from dartboard.config import Setup
from dartboard.data import load_data
from dartboard.methods import darts
from dartboard.run import Run

BASE = Size(8, 5, 32, 16)
POINTS = {
    "channels": (4, 8, 16, 24),
    "cells": (3, 5, 8, 11, 14),
    "batch_size": (16, 32, 64, 96),
    "image_size": (8, 16, 24, 32),
}
QUICK_BASE, QUICK_POINTS = Size(2, 3, 8, 8), {"channels": (2, 4), "cells": (3, 4)}
LINEAR = ("cells", "batch_size", "epochs")  # what the cost is expected to be a straight line in


@dataclass
class Series:
    """values: what was varied; seconds: of one first-order step (of the search so far, for epochs); bytes: saved for
    backward, () where not counted; exponent: slope of log(seconds) over log(value) between the two largest values;
    slope, start, r2: of the straight line through the seconds."""

    name: str
    size: str
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    bytes: tuple[int, ...] = ()
    n: int = 1
    slope: float = 0.0
    start: float = 0.0
    r2: float = 0.0
    exponent: float = 0.0

    def fitted(self) -> "Series":
        x, y = np.array(self.values, float), np.array(self.seconds, float)
        slope, start = np.polyfit(x, y, 1)
        rest, spread = float(((y - slope * x - start) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
        exponent = float(np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2]))
        r2 = 1.0 - rest / spread if spread else 1.0
        return replace(self, slope=float(slope), start=float(start), r2=r2, exponent=exponent)


def measured(budget_s: float, quick: bool, threads: int) -> dict[str, Series]:
    """By what was varied. Each step is the median of up to five, within the budget."""
    base, points = (QUICK_BASE, QUICK_POINTS) if quick else (BASE, POINTS)
    count = sum(len(values) for values in points.values()) + threads
    each_s, found = 0.75 * budget_s / count, {}
    with forms.best().chosen():
        for name, values in points.items():
            sizes = [replace(base, **{name: value}) for value in values]
            steps = [timed(size, each_s) for size in sizes]
            found[name] = series(name, base, values, steps)
        found["epochs"] = epochs(2, 80) if quick else epochs(6, 400)
        if threads > 1:
            found["threads"] = by_threads(base, threads, each_s)
    return found


def series(name: str, base: Size, values: Sequence[float], steps: Sequence[tuple[float, int, int]]) -> Series:
    """The points with their lines; n: the fewest repeats of a point."""
    seconds, saved, repeats = zip(*steps, strict=True)
    return Series(name, str(base), tuple(values), seconds, saved, n=min(repeats)).fitted()


def timed(size: Size, budget_s: float) -> tuple[float, int, int]:
    """Median seconds of a first-order step, the bytes it saves for backward, and how many steps were timed."""
    works = forms.searched(forms.best(), size).works
    saved = saved_bytes(works[FORWARD_BACKWARD])
    works[FIRST]()
    seconds: list[float] = []
    end = time.perf_counter() + budget_s
    while len(seconds) < 5 and (not seconds or time.perf_counter() + seconds[-1] < end):
        before = time.perf_counter()
        works[FIRST]()
        seconds.append(time.perf_counter() - before)
    return statistics.median(seconds), saved, len(seconds)


def saved_bytes(work: forms.Work) -> int:
    """Bytes of the tensors that are kept for the backward pass, each piece of memory once."""
    pieces: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        pieces[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    return sum(pieces.values())


def epochs(count: int, images: int) -> Series:
    """Seconds since the start of a real search on the digits, at the end of each epoch."""
    with tempfile.TemporaryDirectory() as folder:
        data = load_data("digits", max_images=images)
        config = darts.Config(channels=2, cells=3, epochs=count, batch_size=images // 8)
        with Run.create(Path(folder) / "run", config, setup=Setup(device="cpu")) as run:
            darts.search(config, spaces.SPACES["darts"], data, run)
            lines = [line for line in run.metrics() if line["event"] == "epoch"]
    seconds = tuple(float(line["elapsed_s"]) for line in lines)
    size = f"digits, {images} images, C=2, 3 cells"
    return Series("epochs", size, tuple(range(1, count + 1)), seconds).fitted()


def by_threads(base: Size, threads: int, budget_s: float) -> Series:
    before, steps = torch.get_num_threads(), []
    counts = list(powers(threads))
    try:
        for count in counts:
            torch.set_num_threads(count)
            steps.append(timed(base, budget_s))
    finally:
        torch.set_num_threads(before)
    return series("threads", base, counts, steps)


def powers(threads: int) -> Iterator[int]:
    """1, 2, 4 ... and `threads`."""
    count = 1
    while count < threads:
        yield count
        count *= 2
    yield threads
