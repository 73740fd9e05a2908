"""The latency of networks that were found by a table, measured: a limit counts as met by the measurement alone.

The best networks are timed as a whole, several in the same rounds; the best of those within the limit is taken.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dartboard.errors import InputError
from dartboard.scoring.latency import LatencyTable
from dartboard.scoring.limits import Limit
from dartboard.scoring.stopwatch import Clock, calls_of, clock_words, medians, one_round, seconds_of_call
from dartboard.search.proposals import Trial
from dartboard.studies.latency_tables import timed_network
from dartboard.studies.specialise import Answer, Trained

ROUNDS = 20
TOGETHER = 4  # networks in the same rounds


@dataclass(frozen=True)
class Measured:
    """A network that was timed: median and distance of the quartiles over the rounds, beside what the table says."""

    trial: Trial
    predicted_ms: float
    measured_ms: float
    spread_ms: float

    def record(self) -> dict[str, Any]:
        """As the answer has it."""
        times = {name: getattr(self, name) for name in ("predicted_ms", "measured_ms", "spread_ms")}
        return {"architecture": self.trial.architecture.to_json(), "score": self.trial.score.value, **times}


@dataclass(frozen=True)
class Latencies:
    """limit_ms: None without a limit on latency; taken: the network of the answer; missed: better ones beyond the
    limit; is_met: whether the one that is taken is within it."""

    limit_ms: float | None
    taken: Measured
    missed: tuple[Measured, ...]
    runtime: str
    clock: str
    load_average: float

    @property
    def is_met(self) -> bool:
        return self.limit_ms is None or self.taken.measured_ms <= self.limit_ms


def measured(table: LatencyTable, found: Sequence[Trial], clock: Clock) -> list[Measured]:
    """The networks, timed in the same rounds under the conditions of the table."""
    with torch.random.fork_rng(devices=[]):
        things = [timed_network(one.architecture, table.sizes, table.conditions) for one in found]
    calls = calls_of(things, clock)
    middle, spread = medians([one_round(things, calls, number, clock) for number in range(ROUNDS)])
    predicted = [table.predict_ms(one.architecture) for one in found]
    return [Measured(*row) for row in zip(found, predicted, middle, spread, strict=True)]


def held(
    one: Trained, answer: Answer, limits: Sequence[Limit], is_given: bool, check: Callable[[], None],
    clock: Clock = seconds_of_call,
) -> tuple[Answer, Latencies]:  # fmt: skip
    """The answer with the best network whose measured latency is within the limits, and the measurements.

    is_given: a person has chosen the network, which is taken whatever it takes. check: raises where the work is to
    stop. Raises InputError if every network that was scored takes longer, or if the table's runtime is not installed.
    """
    assert one.table is not None
    limit_ms = min((limit.at_most for limit in limits if limit.name == "latency_ms"), default=None)
    conditions, load = one.table.conditions, os.getloadavg()[0]
    by = (conditions.runtime, clock_words(conditions.device, conditions.threads))
    missed: list[Measured] = []
    for first in range(0, len(answer.ranked), TOGETHER):
        check()
        for found in measured(one.table, answer.ranked[first : first + TOGETHER], clock):
            if limit_ms is None or found.measured_ms <= limit_ms or is_given:
                chosen = replace(answer, best=found.trial, cost=one.count(found.trial.architecture))
                return chosen, Latencies(limit_ms, found, tuple(missed), *by, load)
            missed.append(found)
    fastest = min(missed, key=lambda found: found.measured_ms)
    times = f"{fastest.measured_ms:.4g} ms (by the table {fastest.predicted_ms:.4g})"
    why = f"all {len(missed)} networks that were scored take more than {limit_ms:g} ms when measured"
    raise InputError(f"{why}, the fastest {times}; give a larger limit, or more --scorings")
