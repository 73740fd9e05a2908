"""The search of a method by trials that says all in its proposer: `search = partial(plain.search, proposer)`."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from
from dartboard.scoring.scorers import Scorer
from dartboard.search import trials
from dartboard.search.proposals import Proposer, drawing
from dartboard.search.trials import Result
from dartboard.spaces.search_space import SearchSpace


def search(
    proposer: Callable[..., Proposer],
    config: Any,
    space: SearchSpace,
    data: Data | None,
    run: Run,
    *,
    supernet: nn.Module | None = None,
    scorer: Scorer | None = None,
    limits: Sequence[Limit] = (),
) -> Result:
    """Asks, scores and tells, batch by batch; the best trial is the result. Begins, or resumes from the checkpoint.

    config: a trials.Settings; its batches have one trial unless it has a field `batch`. data: None if a table scores;
    supernet: one whose weights score; scorer: another one; limits: beside those of the config. Raises InputError if
    nothing fits the limits and for what cannot score, CannotContinueError if the loss of a training is not finite.
    """
    scoring = trials.scoring_of(config, space, data, run, supernet, scorer)
    draw = drawing(space, (*limits_from(config.limit), *limits), scoring.cost)
    state = trials.begin(run, proposer(config, space, draw, trials.first_stream(run.seed)))
    with trials.at_work(config, run, state, scoring) as score_all:
        for numbers in trials.batches(state, config.trials, getattr(config, "batch", 1)):
            asked = state.proposer.ask(trials.streams(run, numbers))
            state.proposer.tell(score_all(numbers, asked))
    return trials.finish(run, state, scoring)
