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
       all of val.
    3. Their draws for the recurrent and the convolutional cell may take `none`; here the space says what there is.
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
    """Settings of a random search. Those of a trial's training are the sizes of a DARTS search (quark0/darts,
    cnn/train_search.py), without what only a long training needs; the rest are those of `dartboard train`."""

    trials: int = 100
    """architectures that are drawn and scored (dartboard's choice; the papers give no number for every budget)"""
    channels: int = 16
    """channels of the first cell's nodes (--init_channels 16)"""
    cells: int = 8
    """number of cells, two of them reductions (--layers 8)"""
    epochs: int = 50
    """passes over the training split, of each trial (--epochs 50)"""
    batch_size: int = 64
    """images per batch, in training and in scores by shared weights (--batch_size 64)"""
    drop_path: float = 0.0
    """chance to drop an operation's output at the end; rises linearly from 0 with the epoch (off in the search)"""
    auxiliary: bool = False
    """train a second classifier after the second reduction (off in the search)"""
    cutout: int = 0
    """side of the square hole in pixels, 0 for none (off in the search)"""


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
    scoring = trials.scoring_of(config, space, data, run, supernet, scorer)
    f, within = scoring.scorer, (*limits_from(config.limit), *limits)
    state = trials.begin(run)
    with trials.at_work(config, run) as progress:
        for i in range(state.done, config.trials):
            # 1. draw a_i: every choice uniformly at random from its options
            a = sample_within(space, trials.stream(run, i), within, scoring.cost)
            # 2. score a_i: f(a_i), on the validation images
            score = f(a, i)
            trials.record(config, run, state, Trial(i, a, score), scoring.cost(a), progress)
    # return the a_i with the largest f(a_i)
    return trials.finish(run, state, scoring)
