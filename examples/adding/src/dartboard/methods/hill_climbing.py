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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from torch import Tensor, nn

from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from
from dartboard.scoring.scorers import Scorer
from dartboard.search import trials
from dartboard.search.proposals import Draw, Trial, drawing
from dartboard.search.trials import Result
from dartboard.spaces.search_space import Architecture, SearchSpace

PRESETS = trials.PRESETS


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of a climb: it has none of its own."""


@dataclass
class Climb:
    """Where the climb stands, at trial a, and its next steps."""

    space: SearchSpace
    draw: Draw
    a: Trial | None = None

    def ask(self, rngs: Sequence[Random]) -> list[Architecture]:
        """The first architecture, at random; then neighbours of a."""
        return [self.draw(rng, None if self.a is None else self.neighbour) for rng in rngs]

    def neighbour(self, rng: Random) -> Architecture:
        assert self.a is not None
        return self.space.mutate(self.a.architecture, rng)

    def tell(self, scored: Sequence[Trial]) -> None:
        """Goes to each that is better."""
        for b in scored:
            if self.a is None or b.score.value > self.a.score.value:
                self.a = b

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def extra(self) -> dict[str, Any]:
        return {"stands_at": None if self.a is None else self.a.to_json()}

    def load(self, tensors: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
        self.a = None if extra["stands_at"] is None else Trial.from_json(extra["stands_at"])


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> Climb:
    """A climb at its beginning. draw: within the limits."""
    return Climb(space, draw)


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
    f = trials.scoring_of(config, space, data, run, supernet, scorer)
    draw = drawing(space, (*limits_from(config.limit), *limits), f.cost)
    state = trials.begin(run, proposer(config, space, draw, trials.first_stream(run.seed)))
    with trials.at_work(config, run, state, f) as score_all:
        for i in trials.batches(state, config.trials):
            # 1. draw a at random; then 2. draw b, a neighbour of a; score it: f(b)
            b = state.proposer.ask(trials.streams(run, i))
            # 3. if f(b) > f(a): a = b
            state.proposer.tell(score_all(i, b))
    return trials.finish(run, state, f)
