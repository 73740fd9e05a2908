"""When a run stops before its end: signals, `--budget`, `--until`."""

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from dartboard.config import parse_budget, parse_duration

MOST_TRIALS = 10_000_000  # of a search by trials; one that is to have as many is ended by a time
SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Terminated(BaseException):
    """SIGTERM outside of a loop that saves; as KeyboardInterrupt is Ctrl-C."""


@dataclass
class Limits:
    """What ends the work of this process early. seconds: of budget or until, the nearer; steps: of budget."""

    seconds: float = math.inf
    steps: int | None = None
    started: float = field(default_factory=time.monotonic)
    steps_done: int = 0
    first_step_ended: float = math.nan
    last_step_ended: float = math.nan
    caught: signal.Signals | None = None
    lost: str = ""  # why this process must not write into its run any more

    def note_step(self) -> None:
        """One more step is done."""
        self.steps_done += 1
        self.last_step_ended = time.monotonic()
        if self.steps_done == 1:
            self.first_step_ended = self.last_step_ended

    @property
    def step_s(self) -> float | None:
        """Seconds per step, without the first one; None after fewer than two."""
        if self.steps_done < 2:
            return None
        return (self.last_step_ended - self.first_step_ended) / (self.steps_done - 1)

    def reason(self) -> tuple[str, int] | None:
        """(why to stop, exit code), or None to continue."""
        if self.caught is not None:
            return SIGNALS[self.caught], 128 + self.caught
        if self.steps is not None and self.steps_done >= self.steps:
            return f"budget of {self.steps} steps", 0
        if time.monotonic() - self.started >= self.seconds:
            return "time limit", 0
        return None


def limits_of(budget: str | None, until: str | None) -> Limits:
    """The limits of a process that starts now, from the words of --budget and --until. Raises InputError."""
    budget_s, steps = parse_budget(budget) if budget else (math.inf, None)
    until_s = parse_duration(until, "--until") if until else math.inf
    return Limits(min(budget_s, until_s), steps)


@contextmanager
def catching_signals(limits: Limits) -> Iterator[None]:
    """SIGINT and SIGTERM only leave a note in `limits`; a second one raises KeyboardInterrupt at once.

    Outside of the main thread, where Python allows no handlers, signals keep their meaning.
    """

    def note(number: int, frame: FrameType | None) -> None:
        if limits.caught is not None:
            raise KeyboardInterrupt
        limits.caught = signal.Signals(number)
        if sys.stderr.isatty():
            print(f"{SIGNALS[limits.caught]}: saving after this step; a second signal stops at once", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
