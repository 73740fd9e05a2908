"""What a method writes of the architectures it scores: a line a trial, and the line of the result."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dartboard import formats
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost
from dartboard.scoring.scorers import Score
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture


def log_trial(run: Run, number: int, architecture: Architecture, score: Score, cost: Cost | None = None) -> None:
    """The line of one scored architecture in the metrics. number: of the trial, from 0."""
    text = formats.write(architecture, FAMILIES[architecture.space].notation)
    fields = fields_of(number, score, cost)
    run.log(event="trial", **fields, architecture=text, score_s=score.seconds, elapsed_s=run.elapsed_s)


def fields_of(number: int, score: Score, cost: Cost | None) -> dict[str, Any]:
    """A trial as a line of the metrics, without its architecture."""
    counts = {} if cost is None else {"params": cost.params, "macs": cost.macs}
    return {"trial": number, "score": score.value, "source": score.source, **score.numbers, **counts}


def write_result(
    run: Run, number: int, architecture: Architecture, score: Score, cost: Cost | None, more: Mapping[str, Any]
) -> None:
    """Writes the architecture that was found, and the line of the result, once. more: what that line has besides."""
    if not run.done:
        fields = fields_of(number, replace(score, numbers={}), cost)
        run.finish(architecture, **fields, **more, elapsed_s=run.elapsed_s)
