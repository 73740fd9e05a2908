"""Regularized evolution (Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search,
AAAI 2019, arXiv 1802.01548), as in NAS-Bench-201 (Dong, Yang, ICLR 2020; D-X-Y/AutoDL-Projects, R_EA.py).

A population of scored architectures ages: the best of a few of its members has a child, and the oldest member is
removed, even if it is the best. So what was lucky once does not stay, and only what does well again spreads.

Algorithm 1, as `search` runs it:
    1. the population: P architectures at random, each scored
    until there are n trials:
        2. the sample: S members of the population, drawn with replacement
        3. the parent: the best of the sample
        4. the child: the parent with one choice that has another value; score it
        5. the child joins the population, and the oldest member is removed
    return the best of all trials, whether it is in the population or not

Symbols: P, `population`; S, `sample`; n, `trials`; f, the scorer.

Departures from the paper and from NAS-Bench-201's code:
    1. The paper's mutations are those of its cells (another input, another operation, or none at all with chance 0.05);
       here one choice of the space, each as likely as another, gets another value, and the choices that exist by it
       are drawn. NAS-Bench-201's code draws the node first, then one of its edges, so an early edge changes more often.
    2. The paper's workers add children as they end; here `batch` children are bred from one population, and join it in
       the order of their numbers. With a batch of 1 that is the algorithm above.
    3. The first batches are random until the population has P members.
    4. With limits, members are drawn and mutations repeated until one is within them; after 1,000 mutations that are
       not, the child is drawn at random.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from torch import Tensor, nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from
from dartboard.scoring.scorers import Scorer
from dartboard.search import trials
from dartboard.search.proposals import Draw, Trial, drawing
from dartboard.search.trials import Result
from dartboard.spaces.search_space import Architecture, SearchSpace

PRESETS = trials.PRESETS
PAPER = {"population": 100, "sample": 25}  # --preset paper: AmoebaNet's, for 20,000 trials


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of an evolution. The defaults are those of NAS-Bench-201's code, for a few hundred trials."""

    population: int = 10
    """members of the population (NAS-Bench-201 --ea_population 10; AmoebaNet 100)"""
    sample: int = 3
    """members among which the parent is the best one (NAS-Bench-201 --ea_sample_size 3; AmoebaNet 25)"""
    batch: int = 1
    """children that are bred before the first of them is scored (1 in NAS-Bench-201's code)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, population="[1, 1e6]", sample="[1, 1e6]", batch="[1, 1e6]")


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
    """Algorithm 1. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    data: None if a table scores; supernet: one whose weights score; scorer: another f; limits: beside those of the
    config. Raises InputError if nothing fits the limits and for what cannot score, CannotContinueError if the
    loss of a training is not finite.
    """
    f = trials.scoring_of(config, space, data, run, supernet, scorer)
    draw = drawing(space, (*limits_from(config.limit), *limits), f.cost)
    population = proposer(config, space, draw, trials.first_stream(run.seed))
    state = trials.begin(run, population)
    with trials.at_work(config, run, state, f) as score_all:
        for numbers in trials.batches(state, config.trials, config.batch):
            # 1. at random, while the population is not complete; then 2. to 4. children of the best of samples
            children = population.ask(trials.streams(run, numbers))
            scored = score_all(numbers, children)
            # 5. each joins the population, and the oldest member is removed
            population.tell(scored)
    # return the best of all trials
    return trials.finish(run, state, f)


class Population:
    """The last P trials, the oldest first, and the children that they have."""

    def __init__(self, config: Config, space: SearchSpace, draw: Draw) -> None:
        self.config, self.space, self.draw = config, space, draw
        self.members: deque[Trial] = deque(maxlen=config.population)

    def ask(self, rngs: Sequence[Random]) -> list[Architecture]:
        """Children, or architectures at random while members are missing; within the limits."""
        if len(self.members) < self.config.population or self.space.size == 1:
            return [self.draw(rng) for rng in rngs]
        return [self.child(rng) for rng in rngs]

    def child(self, rng: Random) -> Architecture:
        """2. to 4.: a mutation of the best of a sample."""
        sample = [rng.choice(self.members) for _ in range(self.config.sample)]
        parent = max(sample, key=lambda member: member.score.value)
        return self.draw(rng, lambda rng: self.space.mutate(parent.architecture, rng))

    def tell(self, scored: Sequence[Trial]) -> None:
        """5.: they join, and for each that is too many the oldest is removed."""
        self.members.extend(scored)

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def extra(self) -> dict[str, Any]:
        return {"population": [member.to_json() for member in self.members]}

    def load(self, tensors: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
        self.members.clear()
        self.members.extend(Trial.from_json(record) for record in extra["population"])


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> Population:
    """A population without members. draw: within the limits."""
    return Population(config, space, draw)
