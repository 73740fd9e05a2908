"""ENAS: Efficient Neural Architecture Search via Parameter Sharing (Pham, Guan, Zoph, Le, Dean; ICML 2018,
arXiv 1802.03268; melodyguan/enas).

A controller draws architectures, all of which share the weights of one supernet. The weights learn from what it draws,
and it learns from how well its draws do with these weights: in turn, an epoch of the one and some steps of the other.

The algorithm, as `search` runs it:
    for every epoch:
        for every minibatch:
            1. draw an architecture a from p(a; theta)
            2. update w by descending  grad_w L_train(w, a): the weights of a alone move
        `controller_steps` times:
            3. draw `controller_samples` architectures; of each the reward R(a): its accuracy on one batch of val, by w,
               plus beta H(a); then b, the baseline, moves towards R(a)
            4. update theta with Adam by descending  mean of  -(R(a) - b) log p(a; theta) + gamma S(a)
    5. draw `derive` architectures, score each on val by w, and return the best

Symbols: a, an architecture; w, weights of the supernet; p, the distribution of the controller; theta, its weights; R,
the reward, in [0, 1]; b, the baseline, a moving average of rewards; H, the entropy met on the way to a; beta,
`entropy_weight`; S, how far the chances of skip connections are from a target (macro); gamma, `skip_weight`.

The defaults are those of the authors' micro search; ON_FAMILY has those of their macro search and of NAS-Bench-201.
Departures from the authors' code:
    1. Gradients are clipped. There, clipping computes clipped gradients and then applies the others.
    2. In its macro search all six branches compute the last one, max pooling; here each computes its own.
    3. The auxiliary head of its micro search is left out of training there; here the supernets have none.
    4. Drop path is a setting of its search that never acts there; here there is none.
    5. The derived architectures differ from each other and are scored on the same images; there they may be equal, and
       each is scored on the next batch. Nothing is ever scored on test; there, it is shown at every epoch.
    6. A weight that an architecture does not use stands still; there, the l2 term and momentum move it.
    7. It is Python 2 and TensorFlow 1; random numbers differ.
Of NAS-Bench-201's code: its gradient also flows through the entropy in R; b begins there at the first accuracy, here at
0; its validation images are augmented, here they are as they are; its learning rate falls within epochs, too.
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from random import Random
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor, nn

from dartboard.config import Idle, check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import running_path_score, shared_weights_score
from dartboard.scoring.limits import check_table, is_within, limits_from, sample_within
from dartboard.scoring.scorers import Score, Scorer
from dartboard.search import enas_learning, paths, supernets
from dartboard.search.enas_controllers import unread
from dartboard.search.enas_learning import LearningSettings, State, draw
from dartboard.search.paths import Result
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks.task import Task
from dartboard.training import from_scratch, loop, optimizers
from dartboard.training.epoch_work import EpochWork

TRIES = 20  # draws for each architecture that is wanted at the end


@dataclass(frozen=True)
class Config(LearningSettings, supernets.Settings):
    """Settings of ENAS. Defaults: the authors' micro search on CIFAR-10 (scripts/cifar10_micro_search.sh)."""

    channels: int = 20
    """channels of the first cell's nodes (--child_out_filters 20; macro 36)"""
    cells: int = 8
    """number of cells, two of them reductions (--child_num_layers 6, and the two; macro 12)"""
    epochs: int = 150
    """passes over the training split (--num_epochs 150; macro 310; NAS-Bench-201 250)"""
    batch_size: int = 160
    """images per batch, for the weights and for the reward (--batch_size 160; macro 128; NAS-Bench-201 64)"""
    lr: float = 0.05
    """learning rate of the weights at the start of each period (--child_lr_max)"""
    lr_min: float = 0.0005
    """learning rate of the weights at the end of each period (--child_lr_min)"""
    lr_period: int = 10
    """epochs of the first period of the cosine; 0: one cosine over all (--child_lr_T_0 10; NAS-Bench-201 0)"""
    lr_period_factor: int = 2
    """how many times as long each period is as the one before (--child_lr_T_mul 2)"""
    nesterov: bool = True
    """Nesterov's momentum for the weights (code)"""
    weight_decay: float = 2e-4
    """weight decay of the weights, twice the factor of their squares (--child_l2_reg 1e-4; macro 2.5e-4)"""
    dropout: float = 0.1
    """share of the classifier's inputs that is dropped (--child_keep_prob 0.9; NAS-Bench-201 0)"""
    statistics: Literal["batch", "running"] = "batch"
    """BatchNorm's statistics in scores: of each batch (micro), or running ones of all paths (macro, NAS-Bench-201)"""
    derive: int = 10
    """architectures that are drawn and scored at the end (code 10; NAS-Bench-201's code 100)"""
    val_images: int | None = None
    """images of val on which these are scored; none: one batch, as in the code"""
    limit: str = ""
    """the largest cost of an architecture that is derived, such as params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""

    def __post_init__(self) -> None:
        supernets.Settings.__post_init__(self)
        self.check()
        check_ranges(self, lr_period="[0, 1e6]", lr_period_factor="[1, 1e6]", dropout="[0, 1)", derive="[1, 1e6]")
        check_ranges(self, val_images="[1, inf)")
        check_table(self.limit, self.latency)
        if self.lr_period and self.schedule_epochs is not None:
            raise InputError("--schedule-epochs is for one cosine over all epochs; give --lr-period 0 with it")


ON_FAMILY = {  # in place of the defaults: macro by scripts/cifar10_macro_search.sh; NAS-Bench-201's settings
    "enas_macro": {
        "channels": 36, "cells": 12, "epochs": 310, "batch_size": 128, "weight_decay": 5e-4, "tanh": 1.5,
        "controller_lr": 1e-3, "controller_steps": 50, "controller_samples": 20, "entropy": "taken",
        "statistics": "running",
    },
    "nasbench201": {
        "channels": 16, "cells": 17, "epochs": 250, "batch_size": 64, "weight_decay": 5e-4, "lr_period": 0,
        "dropout": 0.0, "controller_units": 32, "controller_layers": 2, "tanh": 2.5, "temperature": 5.0,
        "controller_lr": 1e-3, "controller_steps": 50, "controller_samples": 20, "controller_clip": 5.0,
        "statistics": "running", "derive": 100,
    },
}  # fmt: skip
PRESETS = by_data(
    channels=4, cells=4, epochs=20, batch_size=64, cutout=0,
    controller_steps=10, controller_samples=5, controller_lr=0.01,
)  # fmt: skip
CARRIED = {"weights": ("supernet", "w")}  # by --carry: names in a checkpoint


def scored_each(config: Config, data: Data) -> int:
    """Images that go through the supernet for the controller's steps after an epoch."""
    return config.controller_steps * config.controller_samples * min(config.batch_size, len(data.val))


def scored_after(config: Config, data: Data) -> int:
    """Images that go through the supernet at the end."""
    return config.derive * min(config.val_images or config.batch_size, len(data.val))


WORK = EpochWork(
    learn_on=("train",), score_on="val", after=scored_after, each=scored_each, left_out={"controller_steps": 0},
    remark="the controller's own time is left out; its rewards count as scores",
)  # fmt: skip


def idle(config: Config, space: SearchSpace) -> Idle:
    """Settings that change nothing on a space, and why, in words."""
    return [((name,), f"the space is {space.name}") for name in unread(space)]


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its `forward(x, architecture)`, and `head_prefix` for dropout.
    Raises InputError for a batch larger than a split, and for a limit that nothing is within; CannotContinueError if
    the loss is not finite.
    """
    first = check(config, space, data, paths.stream(run, "first", 0))
    count = paths.costing(config, space, data, run)
    make = partial(state_of, config, space, run)
    state, data, task = paths.begin_as(make, config, space, data, run, CARRIED, supernet)
    with supernets.at_work(config, state, task, run) as progress:
        enas_learning.log_start(state, run)
        while state.place.epoch < config.epochs:
            lr = learning_rate(config, state.place)
            for minibatch in paths.of_epoch(state, task, run, progress, lr):
                # 1. draw an architecture a from p(a; theta)
                a = draw(state.controller, paths.stream(run, "path", state.place.step))
                # 2. update w by descending grad_w L_train(w, a)
                with paths.dropped(state.supernet, config.dropout, run, state.place.step):
                    paths.descend(config, state, task, run, a, minibatch)
            accuracy = partial(accuracy_of_draw, config, state.supernet, data, task, run)
            while state.told["steps"] < config.controller_steps:
                # 3. draw architectures, and their rewards; 4. update theta
                enas_learning.update(config, state, run, accuracy)
                run.pulse(partial(supernets.save, state, run), state.place.step)
            numbers, tables = enas_learning.numbers(config, state), enas_learning.tables(state, run)
            paths.log_epoch(state, task, run, progress, lr, numbers, tables)
            state.next_epoch()
            supernets.save(state, run)
    with paths.judging(config.derive, state, run, count) as judge:
        # 5. draw architectures, score each on val by w, and return the best
        f = scorer(config, state.supernet, data)
        scored = [judge(number, a, f) for number, a in enumerate(candidates(config, state, run, count) or [first])]
    return paths.finish(state, run, count, paths.best_of(scored, 1)[0], candidates=len(scored))


def check(config: Config, space: SearchSpace, data: Data, rng: Random) -> Architecture:
    """An architecture at random within the limit. Raises InputError for a limit that nothing is within."""
    return sample_within(space, rng, limits_from(config.limit), paths.costing(config, space, data))


def state_of(config: Config, space: SearchSpace, run: Run, supernet: nn.Module, place: loop.Place) -> State:
    """The search at its start."""
    nesterov = config.nesterov and config.momentum > 0
    values = (config.lr, config.momentum, config.weight_decay)
    optimizer = optimizers.momentum_sgd(supernet.parameters(), *values, nesterov=nesterov)
    return State(space, supernet, optimizer, place, *enas_learning.beginning(config, space, run))


def learning_rate(config: Config, place: loop.Place) -> float:
    """Of the weights in this epoch: a cosine that begins again with each period, or one cosine over all epochs."""
    if config.lr_period == 0:
        return supernets.learning_rate(config, place, place.epoch)
    epoch, period = place.epochs_before + place.epoch, config.lr_period
    while epoch >= period:
        epoch, period = epoch - period, period * config.lr_period_factor
    return from_scratch.cosine(config.lr, config.lr_min, epoch, period)


# --- Scores by shared weights -----------------------------------------------------------------------------------------


def measured(config: Config, supernet: nn.Module, data: Data, index: Tensor, a: Architecture) -> tuple[float, float]:
    """Loss and accuracy of an architecture on these images of val, in batches."""
    score = shared_weights_score if config.statistics == "batch" else running_path_score
    with torch.no_grad():
        return score(supernet, a, paths.with_val(data, index), config.batch_size)


def accuracy_of_draw(
    config: Config, supernet: nn.Module, data: Data, task: Task, run: Run, a: Architecture, number: int
) -> float:
    """Accuracy of a draw on one batch of val, the next one; after all batches they come in another order."""
    passes, place = divmod(number, len(task.order("val", run, 0)))
    return measured(config, supernet, data, task.order("val", run, passes)[place], a)[1]


def candidates(config: Config, state: State, run: Run, count: paths.Count) -> list[Architecture]:
    """Different architectures within the limit, drawn from p(a; theta); fewer, if no others are found."""
    draws = (draw(state.controller, paths.stream(run, "derive", i)) for i in range(TRIES * config.derive))
    fit = partial(is_within, limits_from(config.limit), count)
    return list(islice(paths.different(draws, (), fit), config.derive))


def scorer(config: Config, supernet: nn.Module, data: Data) -> Scorer:
    """Accuracy on so many images of val, which are the same for every architecture."""
    order = torch.randperm(len(data.val), generator=torch.Generator().manual_seed(0))
    index = order[: config.val_images or config.batch_size].sort().values
    source = f"shared weights, {config.statistics} statistics, {len(index)} images of val"

    def score(a: Architecture, number: int) -> Score:
        began = perf_counter()
        loss, accuracy = measured(config, supernet, data, index, a)
        return Score(accuracy, {"val_accuracy": accuracy, "val_loss": loss}, source, perf_counter() - began)

    return score
