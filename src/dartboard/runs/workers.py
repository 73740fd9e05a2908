"""Independent pieces of work: one after another in this process, by worker processes, or by workers of a Ray cluster.

A piece is a function, named as "package.module:name", and its keyword arguments, which JSON can hold; so is its result.
The function also takes `limits`: it looks at them after every step, as `Run.pulse` does, and where they say so it saves
and raises InterruptedRunError. A piece is sent again if its worker is killed, so what it does must resume: it lies in a
run folder, or it is short. docs/workers.md tells people of it.
"""

import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.runs.limits import Limits, catching_signals
from dartboard.runs.processes import Processes
from dartboard.runs.worker import Event, as_error, named, use_threads

LOOK_EVERY_S = 0.1
MOST_WORKERS = 1024
MOST_DEATHS = 3  # of workers of one piece that makes no progress
MARGIN_S = 5.0  # a worker's own time limit is later than that of the process that sends the work, which stops it
ADDRESS = re.compile(r"ray://[^/\s:]+(:\d{1,5})?|ray://\[[0-9a-fA-F:]+\](:\d{1,5})?")

Piece = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a piece. index: its number; error: why it has no result, or None."""

    index: int
    result: Any = None
    error: Exception | None = None


class Crew(Protocol):
    """Workers, each of which works on one piece at a time."""

    def has_room(self) -> bool:
        """Whether a worker is free, or can be started."""

    def send(self, index: int, order: Mapping[str, Any]) -> None:
        """Gives a piece to a free worker."""

    def events(self, wait_s: float) -> list[Event]:
        """What has happened; waits that long for the first."""

    def stop(self) -> None:
        """Tells all that are at work to save and stop."""

    def kill(self) -> None:
        """Ends all workers at once."""


def check_workers(text: str | None) -> None:
    """Raises InputError for words that name no workers."""
    if text is None or text == "ray" or ADDRESS.fullmatch(text):
        return
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= MOST_WORKERS:
        most = f"a number from 1 to {MOST_WORKERS}"
        raise InputError(
            f"--workers is {text[:60]!r}; give {most}, ray, or the address of a cluster, ray://HOST[:PORT]"
        )


def on_this_machine(workers: str) -> bool:
    """Whether the workers are processes that have this one's folder."""
    return workers.isdigit()


def check_there(workers: str | None) -> None:
    """Raises InputError for a Ray cluster that cannot be reached, or if Ray is not installed."""
    if workers is not None and not on_this_machine(workers):
        from dartboard.runs.ray_workers import check_cluster

        check_cluster(workers)


# --- The verb ---------------------------------------------------------------------------------------------------------


def done(
    function: str, pieces: Iterable[Piece], workers: str | Crew | None = None, threads: int | None = None, **more: Any
) -> Generator[tuple[int, Any], None, None]:
    """(number of the piece, result) of each piece, as they end. Arguments and errors: as for `outcomes`; besides, the
    error of the first piece that fails ends the others, saved, and is raised.

    The caller closes the iterator if it does not read to its end (`contextlib.closing`): that saves and stops the rest.
    """
    found = outcomes(function, pieces, workers, threads, **more)
    try:
        for outcome in found:
            if outcome.error is not None:
                raise outcome.error
            yield outcome.index, outcome.result
    finally:
        found.close()


def outcomes(
    function: str,
    pieces: Iterable[Piece],
    workers: str | Crew | None = None,
    threads: int | None = None,
    *,
    limits: Limits | None = None,
    label: Callable[[int], str] = lambda index: f"piece {index + 1}",
    progress: Callable[[Piece], object] = lambda piece: None,
    resume: Callable[[], str] = lambda: "",
    here: Callable[..., Any] | None = None,
    sees: str | None = None,
    gpu: bool = False,
) -> Generator[Outcome, None, None]:
    """What became of each piece, as they end. One that fails leaves the others at work.

    function: "package.module:name"; workers: None for this process, "3" processes, "ray" or "ray://HOST[:PORT]", or
    those that `hired` has; threads: of torch in each piece, None leaves that to the function; limits: when all of it is
    to stop; label: of a piece by its number, for messages; progress: of a piece, something that changes when it has
    come further, so that a worker that is killed again and again is noticed; resume: the command that continues what
    was stopped; here: what does the same in this process, with what it has at hand; sees: a folder that every worker
    must see; gpu: each worker of a cluster needs a GPU.
    Raises InterruptedRunError after a signal or at a limit: the pieces at work are saved; InputError for workers that
    cannot be had; CannotContinueError if a cluster is lost.
    """
    limits = limits or Limits()
    if workers is None:
        use_threads(threads)
        yield from in_this_process(here or named(function), pieces, limits)
        return
    order = {"function": function, "threads": threads, "sees": sees, "argv": sys.argv}
    with hired(workers, threads or 1, gpu) as crew, catching_signals(limits):
        yield from Dispatch(crew, order, iter(enumerate(pieces)), limits, label, progress, resume).run()


def in_this_process(work: Callable[..., Any], pieces: Iterable[Piece], limits: Limits) -> Iterator[Outcome]:
    """One piece after another. Raises InterruptedRunError if one is interrupted."""
    for index, piece in enumerate(pieces):
        try:
            outcome = Outcome(index, work(**piece, limits=limits))
        except (InputError, CannotContinueError) as error:
            outcome = Outcome(index, error=error)
        yield outcome


@contextmanager
def hired(workers: "str | Crew", threads: int, gpu: bool = False) -> Iterator[Crew]:
    """The workers that the words name, for several calls of the verb; they end with the context. Those that are there
    already go on. Arguments and errors: as for `outcomes`."""
    if not isinstance(workers, str):
        yield workers
        return
    check_workers(workers)
    crew: Crew
    if on_this_machine(workers):
        crew = Processes(int(workers))
    else:
        from dartboard.runs.ray_workers import RayActors

        crew = RayActors(workers, threads, gpu)
    try:
        yield crew
    finally:
        crew.kill()


@dataclass
class Dispatch:
    """Pieces on their way to workers. order: what is the same for all; waiting: those that nobody has worked on;
    again: those whose worker was killed; at_work: those sent; deaths: of each, and its progress then."""

    crew: Crew
    order: Mapping[str, Any]
    waiting: Iterator[tuple[int, Piece]]
    limits: Limits
    label: Callable[[int], str]
    progress: Callable[[Piece], object]
    resume: Callable[[], str]
    again: deque[tuple[int, Piece]] = field(default_factory=deque)
    at_work: dict[int, Piece] = field(default_factory=dict)
    deaths: dict[int, tuple[int, object]] = field(default_factory=dict)
    stopping: bool = False
    unfinished: bool = False  # whether a piece was stopped before its end

    def run(self) -> Iterator[Outcome]:
        """Sends the pieces, and gives what became of them. Raises InterruptedRunError."""
        try:
            while self.send() or self.at_work:
                for event in self.crew.events(LOOK_EVERY_S):
                    yield from self.after(event)
        except GeneratorExit:  # the caller reads no further
            self.save()
            raise
        reason = self.limits.reason()
        if reason and (self.unfinished or self.following() is not None):
            again = self.resume()
            text = f"stopped by {reason[0]}, saved"
            raise InterruptedRunError(f"{text}; resume with: {again}" if again else text, reason[1])

    def send(self) -> bool:
        """Gives every free worker a piece, or at a limit tells all to save; whether anything was sent."""
        if self.limits.reason():
            self.stop()
            return False
        sent = False
        while self.crew.has_room() and (following := self.following()) is not None:
            index, piece = following
            seconds = self.limits.seconds - (time.monotonic() - self.limits.started)
            self.at_work[index] = piece
            self.crew.send(index, {**self.order, "piece": piece, "seconds": seconds + MARGIN_S})
            sent = True
        return sent

    def following(self) -> tuple[int, Piece] | None:
        """The number and the arguments of the piece that is sent next; None if all are sent."""
        return self.again.popleft() if self.again else next(self.waiting, None)

    def stop(self) -> None:
        """Tells the workers to save and stop, once."""
        if not self.stopping:
            self.stopping = True
            self.crew.stop()

    def save(self) -> None:
        """Has all pieces at work saved, and waits for that."""
        self.stop()
        while self.at_work:
            for event in self.crew.events(LOOK_EVERY_S):
                for _ in self.after(event):
                    pass

    def after(self, event: Event) -> Iterator[Outcome]:
        """What follows from an event."""
        if event.said is not None:
            label = self.label(event.index)
            print(event.said if event.said.startswith(label) else f"{label}  {event.said}", flush=True)
            return
        piece = self.at_work.pop(event.index)
        if event.ended is None:
            yield from self.after_death(event.index, piece, event.died or "ended")
            return
        found = json.loads(event.ended)
        error = as_error(found["error"]) if "error" in found else None
        if isinstance(error, InterruptedRunError):  # somebody has stopped this worker alone, or we all of them
            yield from self.after_death(event.index, piece, "was stopped")
        else:
            yield Outcome(event.index, found.get("result"), error)

    def after_death(self, index: int, piece: Piece, how: str) -> Iterator[Outcome]:
        """A piece without an end is sent again, unless all is to stop, or its workers end again and again."""
        if self.stopping:
            self.unfinished = True
            return
        number, before = self.deaths.get(index, (0, None))
        now = self.progress(piece)
        number = number + 1 if now == before else 1
        self.deaths[index] = (number, now)
        what = f"{self.label(index)}: its worker {how}"
        if number < MOST_DEATHS:
            print(f"note: {what}; the piece is sent again", file=sys.stderr, flush=True)
            self.again.append((index, piece))
            return
        text = f"{what}, {number} times without any progress; give fewer --workers if memory is short"
        again = self.resume()
        yield Outcome(index, error=CannotContinueError(f"{text}; then resume with: {again}" if again else text))
