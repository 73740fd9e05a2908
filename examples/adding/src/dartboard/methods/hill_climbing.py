"""First-choice hill climbing (Russell, Norvig: Artificial Intelligence, section 4.1), over architectures as in
White, Nolen, Savani: Exploring the Loss Landscape in Neural Architecture Search (UAI 2021, arXiv 2005.02960).

It begins with an architecture at random, and goes to the first neighbour that it finds to be better. Two architectures
are neighbours where one choice has another value.

The algorithm, as `search` runs it:
    1. draw a at random; score it: f(a)
    for i = 2 ... n:
        2. draw b, a neighbour of a; score it: f(b)
        3. if f(b) > f(a): a = b
    return a

Symbols: a, the architecture where the climb stands; b, a neighbour; f, the scorer; n, the number of trials.

Departures from White, Nolen and Savani:
    1. Their climb scores all neighbours and goes to the best of them; here it goes to the first better one.
    2. Their climb ends where no neighbour is better; here it ends after n trials, so that two methods can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from, sample_within
from dartboard.scoring.scorers import Scorer
from dartboard.search import trials
from dartboard.search.trials import Result, Trial
from dartboard.spaces.search_space import SearchSpace

PRESETS = trials.PRESETS


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of a climb: how many trials, and a trial's training, without what only a long one needs."""

    trials: int = 100
    """architectures that are scored (ours)"""
    epochs: int = 50
    """passes over the training split, of each trial (ours)"""
    drop_path: float = 0.0
    """chance to drop an operation's output at the end; rises linearly from 0 with the epoch (ours)"""
    auxiliary: bool = False
    """train a second classifier after the second reduction (ours)"""


def search(
    config: Config,
    space: SearchSpace,
    data: Data | None,
    run: Run,
    *,
    supernet: nn.Module | None = None,
    scorer: Scorer | None = None,
    limits: Sequence[Limit] = (),
) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    data: None where a table scores; supernet: one whose weights score; scorer: another f; limits: beside those of the
    config. Raises InputError where nothing fits the limits and for what cannot score.
    """
    scoring = trials.scoring_of(config, space, data, run, supernet, scorer)
    f, within = scoring.scorer, (*limits_from(config.limit), *limits)
    state = trials.begin(run)
    with trials.at_work(config, run) as progress:
        for i in range(state.done, config.trials):
            # 1. draw a at random; then 2. draw b, a neighbour of a
            a = state.best  # the climb stands at the best trial so far
            draw = space.sample if a is None else lambda rng, a=a: space.mutate(a.architecture, rng)
            b = sample_within(space, trials.stream(run, i), within, scoring.cost, draw)
            score = f(b, i)
            # 3. if f(b) > f(a): a = b
            trials.record(config, run, state, Trial(i, b, score), scoring.cost(b), progress)
    return trials.finish(run, state, scoring)
