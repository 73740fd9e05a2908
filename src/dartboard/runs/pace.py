"""Whether a run will take more than an hour, by its first steps, and the line that says so, once. Imports no torch."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONG_S = 3600.0  # what takes longer says so
SURE_S = 10.0  # seconds of steps after which the time of the complete run is estimated
SLOW_S = 30.0  # a first step that takes this long is enough for an estimate


@dataclass
class Pace:
    """Watches the steps of a run. total_steps: of the complete run; most_s, most_steps: what a limit lets this process
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
        """What to say after a step, counted from 1 through the complete run; None if there is nothing to say."""
        if self.said:
            return None
        if self.first is None:
            self.first, self.first_s = step, self.now()
        seconds = self.total_s(step)
        if seconds is None or seconds <= LONG_S:
            return None
        self.said = True
        rest = "" if self.first == 1 else "the rest of "
        return long_words(f"{rest}{self.what}", seconds, self.advice)

    def total_s(self, step: int) -> float | None:
        """Seconds that all steps of this process will take; None if that is not known yet."""
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
    text = "Ctrl-C saves and stops it, as does --budget 1h; --dry-run prints more"
    sizes = {"channels": 1, "cells": 3}
    known = {name: settings[name] for name in sizes if isinstance(settings.get(name), int)}
    smaller = [f"--{name} {max(sizes[name], size // 2)}" for name, size in known.items() if size > sizes[name]]
    return f"{text}; smaller: {' '.join(smaller)}" if smaller else f"{text}; shorter: fewer --epochs"
