"""Random search (Bergstra, Bengio: Random Search for Hyper-Parameter Optimization, JMLR 13, 2012), over architectures
as in Li, Talwalkar: Random Search and Reproducibility for Neural Architecture Search (UAI 2019, arXiv 1902.07638).

Architectures are drawn independently of each other and of their scores; the best one is the result. It has no
parameter to tune but how many there are, and it is what every other method must beat at equal cost.

The algorithm, as `search` runs it:
    for i = 1 ... n:
        1. draw a_i: every choice uniformly at random from its options
        2. score a_i: f(a_i), on the validation images
    return the a_i with the largest f(a_i)

Symbols: A, the search space; a_i, the architecture of trial i; f, the scorer; n, the number of trials.

What f is differs between the two papers and here, by a setting each:
    a table that somebody measured (truth); the weights of a supernet that another search has trained (shared_weights);
    or else a training from scratch of its own, that learns on train and is scored on val.
Departures from Li and Talwalkar:
    1. Their trainings stop early by successive halving (ASHA) in the baseline without shared weights; here every trial
       has the same budget.
    2. With shared weights they train the supernet by random paths; here it is the supernet of a search that is there.
       They score 1,000 architectures on ten batches, and the best ten of these on all of val; here each is scored on
       all of val. random_search_ws.py does as they do.
    3. Their draws for the recurrent and the convolutional cell may take `none`; here the space says what there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from torch import nn

from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from
from dartboard.scoring.scorers import Scorer
from dartboard.search import trials
from dartboard.search.proposals import Draw, Independent, Proposer, drawing
from dartboard.search.trials import Result
from dartboard.spaces.search_space import SearchSpace

PRESETS = trials.PRESETS


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of a random search: it has none of its own."""


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> Proposer:
    """What draws the architectures. draw: uniformly, within the limits."""
    return Independent(draw)


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

    data: None if a table scores; supernet: one whose weights score; scorer: another f; limits: beside those of the
    config. Raises InputError if nothing fits the limits and for what cannot score, CannotContinueError if the
    loss of a training is not finite.
    """
    f = trials.scoring_of(config, space, data, run, supernet, scorer)
    draw = drawing(space, (*limits_from(config.limit), *limits), f.cost)
    state = trials.begin(run, proposer(config, space, draw, trials.first_stream(run.seed)))
    with trials.at_work(config, run, state, f) as score_all:
        n = range(state.done, config.trials)
        # 1. draw a_i: every choice uniformly at random from its options
        a = (a_i for i in n for a_i in state.proposer.ask(trials.streams(run, [i])))
        # 2. score a_i: f(a_i), on the validation images
        score_all(n, a, independent=True)
    # return the a_i with the largest f(a_i)
    return trials.finish(run, state, f)
