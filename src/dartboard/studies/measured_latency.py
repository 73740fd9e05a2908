"""The latency of networks that were found by a table, measured: a limit counts as met by the measurement alone.

The best networks are timed as a whole, several in the same rounds; the best of those within the limit is taken. What a
search found stays its result; where it misses the limit, the next best lies in a file beside it.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dartboard import formats
from dartboard.devices import device_name, pick_device
from dartboard.errors import InputError
from dartboard.formats.files import LATENCY, MEASURED, WITHIN_LIMIT
from dartboard.runs.atomic_files import replace_file, writing
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.run import Run
from dartboard.scoring.latency import LatencyTable, read_table
from dartboard.scoring.limits import Limit
from dartboard.scoring.scorers import Score
from dartboard.scoring.stopwatch import Clock, Placing, calls_of, clock_words, medians, one_round, seconds_of_call
from dartboard.search import paths
from dartboard.search.given_tables import check_file_of
from dartboard.search.proposals import Trial
from dartboard.search.trial_log import NEXT_BEST
from dartboard.studies.latency_tables import timed_network
from dartboard.studies.specialise import Answer, Trained

ROUNDS = 20
TOGETHER = 4  # networks in the same rounds
MOST = 12  # networks of a search that are timed


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
        score = self.trial.score.value
        found = {"architecture": self.trial.architecture.to_json(), "score": score if math.isfinite(score) else None}
        return {**found, **times}


@dataclass(frozen=True)
class Latencies:
    """limit_ms: None without a limit on latency; taken: the network of the answer; missed: better ones beyond the
    limit; table: whose conditions they were timed under; is_met: whether the one that is taken is within the limit."""

    limit_ms: float | None
    taken: Measured
    missed: tuple[Measured, ...]
    table: LatencyTable
    load_average: float

    @property
    def is_met(self) -> bool:
        return self.limit_ms is None or self.taken.measured_ms <= self.limit_ms

    def record(self) -> dict[str, Any]:
        """As files have it."""
        under, sizes = self.table.conditions, self.table.sizes
        about: dict[str, Any] = {"limit_ms": self.limit_ms, "is_met": self.is_met, "runtime": under.runtime}
        about |= {"clock": clock_words(under.device, under.threads)}
        about |= {"batch_size": under.batch_size, "memory_format": under.memory_format}
        about |= {"channels": sizes["channels"], "cells": sizes["cells"]}
        about |= {"load_average": self.load_average, "cores": os.cpu_count() or 1}
        return {**self.taken.record(), **about, "missed": [one.record() for one in self.missed]}


def measured(table: LatencyTable, found: Sequence[Trial], clock: Clock) -> list[Measured]:
    """The networks, timed in the same rounds under the conditions of the table."""
    with torch.random.fork_rng(devices=[]):
        places = Placing(table.conditions)
        things = [timed_network(one.architecture, table.sizes, places) for one in found]
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
    limit_ms = limit_of(limits)
    missed, load = list[Measured](), os.getloadavg()[0]
    for found in one_by_one(one.table, answer.ranked, clock, check):
        if limit_ms is None or found.measured_ms <= limit_ms or is_given:
            chosen = replace(answer, best=found.trial, cost=one.count(found.trial.architecture))
            return chosen, Latencies(limit_ms, found, tuple(missed), one.table, load)
        missed.append(found)
    fastest = min(missed, key=lambda found: found.measured_ms)
    times = f"{fastest.measured_ms:.4g} ms (by the table {fastest.predicted_ms:.4g})"
    all_of = (
        f"all {len(missed)} networks that were scored take" if len(missed) > 1 else "the network that was scored takes"
    )
    why = f"{all_of} more than {limit_ms:g} ms when measured"
    raise InputError(f"{why}, the fastest {times}; give a larger limit, or more --scorings")


def limit_of(limits: Sequence[Limit]) -> float | None:
    """The limit on latency, in milliseconds."""
    return min((limit.at_most for limit in limits if limit.name == "latency_ms"), default=None)


def one_by_one(
    table: LatencyTable, ranked: Sequence[Trial], clock: Clock, check: Callable[[], None] = lambda: None
) -> Iterator[Measured]:
    """The networks in their order; the next few are timed when the first of them is asked for. check: is called before,
    and raises where the work is to stop."""
    for first in range(0, len(ranked), TOGETHER):
        check()
        yield from measured(table, ranked[first : first + TOGETHER], clock)


# --- What a search found ----------------------------------------------------------------------------------------------


def is_measured(run: Run) -> bool:
    return (run.folder / MEASURED / LATENCY).is_file()


def serves_here(run: Run, path: str) -> bool:
    """Whether a table is there, and of this device and number of threads: a finished run may lie on another one.

    Raises InputError for another table than that of the run's start.
    """
    if not Path(path).is_file():
        return False
    check_file_of(run.folder, run.environment, "latency", path)
    conditions = read_table(path).conditions
    here = (device_name(pick_device(conditions.device)), torch.get_num_threads())
    return here == (conditions.device_name, conditions.threads)


def of_search(
    run: Run, table: LatencyTable, limits: Sequence[Limit], clock: Clock = seconds_of_call
) -> dict[str, Any]:  # fmt: skip
    """The record of what a finished search found, or of the next best that is within the limit; it is measured once.

    Where the result misses the limit and another network that was scored does not, that one is written, too. If all
    miss it, the record is of the result. Raises InputError.
    """
    folder = run.folder / MEASURED
    if is_measured(run):
        return read_json(folder / LATENCY)
    with writing(run.folder):
        folder.mkdir(exist_ok=True)
    limit_ms, load, missed = limit_of(limits), os.getloadavg()[0], list[Measured]()
    for found in one_by_one(table, ranked(run, limit_ms), clock):
        if limit_ms is None or found.measured_ms <= limit_ms:
            break
        missed.append(found)
    else:
        found, *missed = missed
    record = Latencies(limit_ms, found, tuple(missed), table, load).record()
    (folder / WITHIN_LIMIT).unlink(missing_ok=True)  # of a measurement that was stopped
    if found.trial.architecture != run.architecture:
        replace_file(folder / WITHIN_LIMIT, as_json(found.trial.architecture.to_json()))
    replace_file(folder / LATENCY, as_json(record))
    return record


def ranked(run: Run, limit_ms: float | None) -> list[Trial]:
    """What a search found, then what else it scored, or would derive, that is within the limit by the table, the best
    first; a few."""
    lines = run.metrics()
    result, found = lines[-1], run.architecture
    assert found is not None
    scored = [
        Trial(line["trial"], formats.read(line["architecture"])[0], Score(line["score"]))
        for line in lines
        if is_near(line, limit_ms)
    ]
    others = [trial for trial in paths.best_of(scored, len(scored)) if trial.architecture != found]
    # Architectures that were derived have no score of their own.
    others += [Trial(0, formats.read(text)[0], Score(math.nan)) for text in result.get(NEXT_BEST, [])]
    score = result["score"] if "score" in result else result["derived_val_accuracy"]
    return [Trial(0, found, Score(score)), *others][:MOST]


def is_near(line: Mapping[str, Any], limit_ms: float | None) -> bool:
    """Whether a line of the metrics is of a network that was scored, within the limit by the table."""
    if line["event"] != "trial" or limit_ms is None or not math.isfinite(line["score"]):
        return False
    return bool(line.get("latency_ms", math.inf) <= limit_ms)
