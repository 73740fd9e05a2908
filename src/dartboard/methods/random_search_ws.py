"""Random search with weight sharing (Li, Talwalkar: Random Search and Reproducibility for Neural Architecture Search,
UAI 2019, arXiv 1902.07638; liamcli/randomNAS_release).

The weights of a supernet are trained by architectures at random, one a minibatch. Then architectures are drawn and
scored by these weights, and the best one is the result. Nothing is learned of which architectures are good: what a
method that learns it adds, it adds to this.

The algorithm (section 3.3), as `search` runs it:
    for every minibatch:
        1. draw a: every choice uniformly at random from its options
        2. update w by descending  grad_w L_train(w, a): the weights of a alone move
    for every round:
        3. draw n architectures, and score each on the same few batches of val
        4. score the best k of them on all of val
    return the one that is best on all of val

Symbols: a, an architecture; w, weights of the supernet; n, `round`; k, `finalists`; N = `candidates`, those that are
drawn in all rounds together.

The defaults are the paper's setting "Random(1)", which is that of DARTS; `--preset paper` is "Random(5)", its best one:
150 epochs, 24 channels, gradients clipped to 1, 5,000 architectures.
Departures from the paper's text and from the released code:
    1. The released code draws `none`, too, on purpose; here the space says what there is: on DARTS cells no `none`.
    2. The text says that architectures are ranked on test images, the code ranks on val, and so does this.
    3. BatchNorm takes the statistics of each batch, as in the released code, or with `recalibrate` running statistics
       that are collected again for each architecture; never those of the supernet, which are those of no architecture.
    4. All candidates of a round are scored on the same batches; those of the next round on others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.runs.run import Run
from dartboard.scoring.limits import check_table, limits_from, sample_within
from dartboard.scoring.scorers import Scorer, by_shared_weights
from dartboard.search import paths, supernets, trials
from dartboard.search.paths import Result
from dartboard.search.proposals import Trial
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks.task import Task
from dartboard.training.epoch_work import EpochWork


@dataclass(frozen=True)
class Config(supernets.Settings):
    """Settings of a random search with weight sharing. Defaults: the paper's "Random(1)", the settings of DARTS."""

    candidates: int = 1000
    """architectures that are drawn once the weights are trained (released code: 1,000 a round)"""
    round: int = 1000
    """architectures that are scored on the same few batches (released code)"""
    batches: int = 10
    """batches of val on which each architecture of a round is scored (released code)"""
    finalists: int = 10
    """best architectures of a round, which are scored on all of val (released code)"""
    recalibrate: int | None = None
    """images of train to collect BatchNorm's statistics on for each architecture; none: those of each batch"""
    limit: str = ""
    """the largest cost of an architecture that is scored, such as params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, candidates="[1, 1e7]", round="[1, 1e7]", batches="[1, inf)", finalists="[1, inf)")
        check_ranges(self, recalibrate="[1, inf)")
        check_table(self.limit, self.latency)


PAPER = {"epochs": 150, "channels": 24, "grad_clip": 1.0, "candidates": 5000}  # --preset paper: "Random(5)"
PRESETS = by_data(channels=4, cells=4, epochs=20, batch_size=64, cutout=0)
CARRIED = {"weights": ("supernet", "w")}  # by --carry: names in a checkpoint


def scored_after(config: Config, data: Data) -> int:
    """Images that go through the supernet once its weights are trained."""
    rounds, again = -(-config.candidates // config.round), min(config.recalibrate or 0, len(data.train))
    few = min(config.batches * config.batch_size, len(data.val))
    return config.candidates * (few + again) + rounds * config.finalists * (len(data.val) + again)


WORK = EpochWork(learn_on=("train",), score_on="val", after=scored_after)


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its `forward(x, architecture)`. Raises InputError for a batch larger
    than a split and for a limit that nothing is within, CannotContinueError if the loss is no longer finite.
    """
    check(config, space, data, paths.stream(run, "first", 0))
    state, data, task = paths.begin(config, space, data, run, CARRIED, supernet)
    with supernets.at_work(config, state, task, run) as progress:
        for minibatch in paths.minibatches(config, state, task, run, progress):
            # 1. draw a: every choice uniformly at random from its options
            a = space.sample(paths.stream(run, "path", state.place.step))
            # 2. update w by descending grad_w L_train(w, a)
            paths.descend(config, state, task, run, a, minibatch)
    count, best = paths.costing(config, space, data, run), list[tuple[Trial, Trial]]()
    with paths.judging(num_scores(config), state, run, count) as judge:
        for number, n in enumerate(rounds(config)):
            # 3. draw n architectures (those within the limit), and score each on the same few batches of val
            few, full = on_few(config, state.supernet, data, task, run, number), on_all(config, state.supernet, data)
            within = (sample_within(space, trials.stream(run.seed, i), limits_from(config.limit), count) for i in n)
            drawn = [judge(i, a, few, round=number) for i, a in zip(n, within, strict=True)]
            # 4. score the best k of them on all of val
            for one in paths.best_of(drawn, config.finalists):
                best.append((judge(one.number, one.architecture, full, "finalist", round=number), one))
    # return the one that is best on all of val
    return finish(config, state, run, count, best)


# --- Selection --------------------------------------------------------------------------------------------------------


def rounds(config: Config) -> Iterator[range]:
    """The numbers of the architectures of each round; the last may have fewer."""
    for first in range(0, config.candidates, config.round):
        yield range(first, min(first + config.round, config.candidates))


def check(config: Config, space: SearchSpace, data: Data, rng: Random) -> Architecture:
    """An architecture at random within the limit. Raises InputError for a limit that nothing is within."""
    return sample_within(space, rng, limits_from(config.limit), paths.costing(config, space, data))


def num_scores(config: Config) -> int:
    """How many scores are asked for, at most."""
    return config.candidates + sum(min(config.finalists, len(numbers)) for numbers in rounds(config))


def on_few(config: Config, supernet: nn.Module, data: Data, task: Task, run: Run, number: int) -> Scorer:
    """Scores on the few batches of val of a round. number: of the round, from 0."""
    chosen = task.order("val", run, number)[: config.batches]
    words = f"{len(chosen)} {'batch' if len(chosen) == 1 else 'batches'} of val"
    few = paths.with_val(data, torch.cat(chosen))
    return by_shared_weights(supernet, few, config.batch_size, config.recalibrate, words)


def on_all(config: Config, supernet: nn.Module, data: Data) -> Scorer:
    """Scores on all of val."""
    return by_shared_weights(supernet, data, config.batch_size, config.recalibrate, "all of val")


def finish(
    config: Config, state: supernets.State, run: Run, count: paths.Count, pairs: list[tuple[Trial, Trial]]
) -> Result:
    """Writes the result, with the score that selected it and the one on the few batches before."""
    best, before = max(pairs, key=lambda pair: (pair[0].score.value, -pair[0].number))
    statistics = "of each batch" if config.recalibrate is None else f"collected on {config.recalibrate} images of train"
    more = {"score_on_batches": before.score.value, "statistics": statistics, "candidates": config.candidates}
    return paths.finish(state, run, count, best, **more)
