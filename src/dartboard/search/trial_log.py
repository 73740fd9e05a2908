"""What a method writes of the architectures it scores: a line a trial, and the line of the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dartboard import formats
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost
from dartboard.scoring.scorers import Score
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, Value

Rows = Sequence[tuple[str, Sequence[Value], Sequence[float]]]  # of each choice: name, options, their probabilities
NEXT_BEST = "next_best"  # in the line of a result, architectures that come after it
FRAMES = 50  # lines with a controller's probabilities that a run has, at most


def log_trial(
    run: Run,
    number: int,
    architecture: Architecture,
    score: Score,
    cost: Cost | None = None,
    event: str = "trial",
    **more: object,
) -> None:
    """The line of one scored architecture in the metrics. number: of the trial, from 0; more: what it says besides."""
    text, fields = text_of(architecture), fields_of(number, score, cost)
    run.log(event=event, **fields, **more, architecture=text, score_s=score.seconds, elapsed_s=run.elapsed_s)


def text_of(architecture: Architecture) -> str:
    """The architecture as lines of the metrics have it."""
    return formats.write(architecture, FAMILIES[architecture.space].notation)


def fields_of(number: int, score: Score, cost: Cost | None) -> dict[str, Any]:
    """A trial as a line of the metrics, without its architecture."""
    counts = {} if cost is None else cost.numbers
    return {"trial": number, "score": score.value, "source": score.source, **score.numbers, **counts}


def write_result(
    run: Run, number: int, architecture: Architecture, score: Score, cost: Cost | None, more: Mapping[str, Any]
) -> None:
    """Writes the architecture that was found, and the line of the result, once. more: what that line has besides."""
    if not run.done:
        fields = fields_of(number, replace(score, numbers={}), cost)
        run.finish(architecture, **fields, **more, elapsed_s=run.elapsed_s)


def log_start(run: Run, rows: Rows) -> None:
    """The line before the first trial of a controller: its probabilities, with the names of choices and options."""
    names = [name for name, _, _ in rows]
    columns = [[str(option) for option in options] for _, options, _ in rows]
    labels = {"probabilities": {"rows": names, "columns": columns}}
    run.log(event="start", probabilities=[list(row) for _, _, row in rows], labels=labels)


def log_probabilities(run: Run, numbers: range, num_trials: int, rows: Callable[[], Rows]) -> None:
    """A line with a controller's probabilities after the trials of a batch, if it is time for one.

    That is each ten trials; of more than 500 trials less often. The page moves through them as through epochs.
    """
    every = max(10, num_trials // FRAMES)
    frame = (numbers[-1] + 1) // every
    if frame > numbers[0] // every:
        table = [list(row) for _, _, row in rows()]
        run.log(event="epoch", epoch=frame - 1, step=numbers[-1] + 1, probabilities=table)
