"""How seconds and memory grow with one size while the others stay: points, and the line or power fitted to them."""

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
from dartboard.runs.run import Run
from dartboard.scoring.cost import count_supernet

BASE = Size(8, 5, 16, 16)
POINTS = {
    "channels": (4, 8, 16, 24),
    "cells": (3, 5, 8, 11, 14),
    "batch_size": (16, 32, 64, 128),
    "image_size": (8, 16, 24, 32),
}
QUICK_BASE, QUICK_POINTS = Size(2, 3, 8, 8), {"channels": (2, 4), "cells": (3, 4)}
ROUNDS = 15  # at most, of all points in turn


@dataclass
class Series:
    """values: what was varied; seconds: of one first-order step, the least of n (of the search so far, for epochs);
    bytes: saved for backward, work: multiply-adds of a batch, () where not counted; exponent: slope of log(seconds)
    over log(value) between the two largest values, expected: that of the work; slope, start, r2: of the straight line
    through the seconds."""

    name: str
    size: str
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    bytes: tuple[int, ...] = ()
    work: tuple[int, ...] = ()
    n: int = 1
    slope: float = 0.0
    start: float = 0.0
    r2: float = 0.0
    exponent: float = 0.0
    expected: float | None = None

    def fitted(self) -> "Series":
        x, y = np.array(self.values, float), np.array(self.seconds, float)
        slope, start = np.polyfit(x, y, 1)
        rest, spread = float(((y - slope * x - start) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
        r2 = 1.0 - rest / spread if spread else 1.0
        expected = exponent(x, self.work) if self.work else None
        line = {"slope": float(slope), "start": float(start), "r2": r2}
        return replace(self, **line, exponent=exponent(x, y), expected=expected)  # type: ignore[arg-type]


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of log y over log x between the two largest x."""
    return float(np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2]))


@dataclass
class Point:
    """A size and so many threads, with the seconds of its steps so far."""

    size: Size
    threads: int
    step: forms.Work
    bytes: int
    seconds: list[float]

    @classmethod
    def made(cls, size: Size, threads: int) -> "Point":
        """After a step that is not counted."""
        works = forms.searched(forms.best(), size).works
        saved = saved_bytes(works[FORWARD_BACKWARD])
        works[FIRST]()
        return cls(size, threads, works[FIRST], saved, [])

    def timed(self) -> None:
        torch.set_num_threads(self.threads)
        before = time.perf_counter()
        self.step()
        self.seconds.append(time.perf_counter() - before)

    @property
    def work(self) -> int:
        """Multiply-adds of a forward pass of a batch."""
        sizes = {"num_classes": 10, "image_size": self.size.image_size, "in_channels": 3}
        cost = count_supernet(spaces.SPACES["darts"], self.size.channels, self.size.cells, **sizes)
        return cost.macs * self.size.batch_size


def measured(budget_s: float, quick: bool, threads: int) -> dict[str, Series]:
    """By what was varied. All points in turn, again and again within the budget."""
    base, varied = (QUICK_BASE, QUICK_POINTS) if quick else (BASE, POINTS)
    before, end = torch.get_num_threads(), time.perf_counter() + 0.85 * budget_s
    with forms.best().chosen():
        points = {
            name: [Point.made(replace(base, **{name: value}), threads) for value in values]
            for name, values in varied.items()
        }
        counts = list(powers(threads)) if threads > 1 else []
        by_threads = [Point.made(base, count) for count in counts]
        everyone = [*(point for line in points.values() for point in line), *by_threads]
        try:
            for _ in range(ROUNDS):
                began = time.perf_counter()
                for point in everyone:
                    point.timed()
                if 2 * time.perf_counter() - began > end:
                    break
        finally:
            torch.set_num_threads(before)
        found = {name: series(name, base, varied[name], line) for name, line in points.items()}
        found["epochs"] = epochs(2, 80) if quick else epochs(6, 400)
        if by_threads:
            found["threads"] = replace(series("threads", base, counts, by_threads), work=(), expected=None)
    return found


def series(name: str, base: Size, values: Sequence[float], points: Sequence[Point]) -> Series:
    """The least seconds of every point, with their lines."""
    seconds = tuple(min(point.seconds) for point in points)
    saved, work = tuple(point.bytes for point in points), tuple(point.work for point in points)
    n = min(len(point.seconds) for point in points)
    return Series(name, str(base), tuple(values), seconds, saved, work, n).fitted()


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
    return replace(Series("epochs", size, tuple(range(1, count + 1)), seconds).fitted(), expected=1.0)


def powers(threads: int) -> Iterator[int]:
    """1, 2, 4 ... and `threads`."""
    count = 1
    while count < threads:
        yield count
        count *= 2
    yield threads
