"""Lines that say how much of a study's work is done, and how long the rest will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dartboard.runs.pace import seconds_in_words

EVERY_S = 10.0  # between two lines


@dataclass
class Countdown:
    """Counts work that is done. total: of this process; what: is counted, in the plural; every_s: seconds between
    two lines at least."""

    total: int
    what: str
    every_s: float = EVERY_S
    now: Callable[[], float] = time.monotonic
    done: int = 0
    began_s: float = field(init=False)
    said_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.began_s = self.said_s = self.now()

    def advance(self, last: str, number: int = 1) -> None:
        """So much more is done, the last of it `last`; a line says so if the one before is some seconds ago."""
        self.done += number
        if self.done < self.total and self.now() - self.said_s >= self.every_s:
            self.said_s = self.now()
            print(self.line(last), flush=True)

    def line(self, last: str) -> str:
        left_s = (self.now() - self.began_s) / self.done * (self.total - self.done)
        text = f"{self.done:,} of {self.total:,} {self.what} done, the last one {last}"
        return f"{text}; about {seconds_in_words(left_s)} left"
