"""BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models (Yu, Jin, Liu, Bender, Kindermans, Tan,
Huang, Song, Pang, Le; ECCV 2020, arXiv 2003.11142). No code of it is public; numbers are also taken from AttentiveNAS
(Wang and others, CVPR 2021; facebookresearch/AttentiveNAS), whose supernet is trained in this way.

One supernet is trained so that its parts, slices of its layers, are good networks as they are, from the smallest to the
largest. A network under any limit is then cut out of it and used without further training.

The algorithm, as `search` runs it:
    for every minibatch (x, y):                                                        (sandwich rule, section 3.2)
        1. the largest network learns from the labels: add grad_w L(w, largest; x, y)
        2. N networks at random and the smallest learn from the largest one's answers on the same images: add
           grad_w H(softmax(logits of the largest), softmax(logits of a))             (in-place distillation)
        3. one step of SGD with the gradients that were added up
    4. the grid of the space: networks within the limit whose choices are all alike    (coarse-to-fine, section 3.3)
    5. score them, and, for some rounds, small changes of the best so far
    return the best

Symbols: a, a network, or part of the supernet; w, weights of the supernet; N, `sampled`; H, cross entropy.

Departures from the paper and from AttentiveNAS' code:
    1. SGD with momentum and a clipped global norm, as in all searches here; the paper has RMSProp, AttentiveNAS SGD and
       clips single values. The learning rate is that of searches here; its decay with a constant ending is the paper's.
    2. Weight decay acts once a step on all weights, which is that of the largest network, the only one regularised.
    3. Only the classifier drops out, in the largest network; AttentiveNAS drops blocks as well.
    4. The sandwich sees the images in the order largest, random ones, smallest, as in AttentiveNAS.
    5. The grid has three levels a sort of choice, and its largest networks within the limit are scored; the paper says
       neither how fine its grid is nor which of its networks it scores.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Literal

from torch import nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.runs.run import Run
from dartboard.scoring.limits import check_table, is_within, limits_from
from dartboard.search import coarse_to_fine, paths, sandwich, supernets
from dartboard.search.paths import Result
from dartboard.search.proposals import Trial
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks.task import Task
from dartboard.training import loop
from dartboard.training.epoch_work import EpochWork


@dataclass(frozen=True)
class Config(supernets.Settings):
    """Settings of BigNAS. Defaults: the paper's or AttentiveNAS', of the weights otherwise those of DARTS."""

    weight_decay: float = 1e-5
    """L2 penalty of the largest network (paper; AttentiveNAS 1e-5)"""
    sampled: int = 2
    """networks at random in a step (paper, AttentiveNAS)"""
    label_smoothing: float = 0.1
    """share of the label that is spread over all classes, for the largest network (AttentiveNAS)"""
    dropout: float = 0.2
    """share of the classifier's inputs that the largest network drops (paper, AttentiveNAS)"""
    zero_gamma: bool = True
    """the last BatchNorm of every block with a shortcut begins with scale 0 (paper, AttentiveNAS)"""
    lr_schedule: Literal["exponential", "cosine"] = "exponential"
    """falls by a factor with a constant ending (paper), or as a cosine (AttentiveNAS)"""
    lr_decay: float = 0.97
    """factor of the learning rate in every `lr_decay_epochs` (paper)"""
    lr_decay_epochs: float = 2.4
    """epochs in which the learning rate falls by the factor (paper)"""
    lr_min: float = 0.00125
    """least learning rate: the constant ending of the exponential schedule, 0 for none (paper: a twentieth)"""
    limit: str = ""
    """the largest cost of the network that is returned, such as macs<=400K or params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""
    coarse: int = 30
    """networks of the grid that are scored (the paper has no number)"""
    fine: int = 30
    """changes of the best ones that are scored in each round (the paper has no number)"""
    rounds: int = 2
    """rounds of changes (the paper has no number)"""
    kept: int = 5
    """best networks so far, which are changed (the paper has no number)"""
    mutation_chance: float = 0.1
    """chance of each choice to be drawn again in a change; it may get the value it had (SPOS)"""
    recalibrate: int = 2000
    """most images of train on which a network's statistics are collected (AttentiveNAS: 64 batches)"""
    val_images: int = 8000
    """most images of val on which a network is scored (as SPOS here)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, sampled="[0, 1000]", label_smoothing="[0, 1)", dropout="[0, 1)", lr_decay="(0, 1]")
        check_ranges(self, lr_decay_epochs="(0, inf)", coarse="[1, 1e6]", fine="[0, 1e6]")
        check_ranges(self, rounds="[0, 1e6]", kept="[1, 1e6]", mutation_chance="[0, 1]")
        check_ranges(self, recalibrate="[1, inf)", val_images="[1, inf)")
        check_table(self.limit, self.latency)


PRESETS = by_data(epochs=20, batch_size=64, cutout=0, lr_decay_epochs=0.16)  # its ending is reached after 16 epochs
CARRIED = {"weights": ("supernet", "w")}  # by --carry: names in a checkpoint


def scored_after(config: Config, data: Data) -> int:
    """Images that go through the supernet once its weights are trained."""
    each = min(config.recalibrate, len(data.train)) + min(config.val_images, len(data.val))
    return (config.coarse + config.rounds * config.fine) * each


WORK = EpochWork(learn_on=("train",), score_on="val", after=scored_after)


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its `forward(x, architecture)`, `head_prefix` and `residual_ends`.
    Raises InputError for a batch larger than a split, and for a limit that nothing is within; CannotContinueError if
    the loss is not finite.
    """
    first = check(config, space, data, paths.stream(run, "first", 0))
    count, limits = paths.costing(config, space, data, run), limits_from(config.limit)
    state, data, task = paths.begin_as(partial(state_of, config, space), config, space, data, run, CARRIED, supernet)
    with supernets.at_work(config, state, task, run) as progress:
        while state.place.epoch < config.epochs:
            lr = learning_rate(config, state.place)
            for minibatch in paths.of_epoch(state, task, run, progress, lr):
                # 1. the largest learns from the labels; 2. the others from its answers; 3. one step of SGD
                descend(config, state, task, run, minibatch)
            paths.log_epoch(state, task, run, progress, lr, losses(state.place))
            state.place.next_epoch()
            supernets.save(state, run)
    scored, fit = list[Trial](), partial(is_within, limits, count)
    with paths.judging(config.coarse + config.rounds * config.fine, state, run, count) as judge:
        f = paths.on_some_of_val(state.supernet, data, config.batch_size, config.recalibrate, config.val_images)
        # 4. the grid of the space within the limit; 5. score them, and small changes of the best so far
        for made, candidates in candidate_rounds(config, space, fit, count, run, first, scored):
            scored += [judge(len(scored) + i, a, f, made=made) for i, a in enumerate(candidates)]
    return paths.finish(state, run, count, paths.best_of(scored, 1)[0], scorings=len(scored))


def check(config: Config, space: SearchSpace, data: Data, rng: Random) -> Architecture:
    """An architecture at random within the limit. Raises InputError for a limit that nothing is within."""
    return coarse_to_fine.one_within(space, rng, limits_from(config.limit), paths.costing(config, space, data))


def state_of(config: Config, space: SearchSpace, supernet: nn.Module, place: loop.Place) -> supernets.State:
    """The search at its start."""
    if config.zero_gamma:
        for norm in supernet.residual_ends():  # type: ignore[operator]
            nn.init.zeros_(norm.weight)
    return supernets.State(space, supernet, supernets.sgd(config, supernet), place)


# --- Training ---------------------------------------------------------------------------------------------------------


def learning_rate(config: Config, place: loop.Place) -> float:
    """Of this epoch: exponential, with a constant ending (section 3.2)."""
    if config.lr_schedule == "cosine":
        return supernets.learning_rate(config, place, place.epoch)
    times = (place.epochs_before + place.epoch) / config.lr_decay_epochs
    return max(config.lr * math.pow(config.lr_decay, times), config.lr_min)


def drawn(config: Config, space: SearchSpace, run: Run, step: int) -> list[Architecture]:
    """What learns from the largest network in a step: N at random, then the smallest."""
    rng = paths.stream(run, "sandwich", step)
    return [*(space.sample(rng) for _ in range(config.sampled)), space.smallest()]


def descend(config: Config, state: supernets.State, task: Task, run: Run, given: paths.Minibatch) -> None:
    """A step by the sandwich rule: gradients of the largest, of N at random and of the smallest, added up."""
    batch, lr = given
    place = state.place
    with place.timer("weights"):
        sandwich.begin(state)
        with paths.dropped(state.supernet, config.dropout, run, place.step):
            largest = sandwich.learned(state, task, run, state.space.largest(), batch)
        teacher = largest.output.logits.detach()
        others = [
            sandwich.learned_from_teacher(state, task, run, a, batch, teacher)
            for a in drawn(config, state.space, run, place.step)
        ]
        sandwich.end(state, lr, config.grad_clip)
    sums = {**largest.sums, "smallest": others[-1].sums["loss"]}
    if others[:-1]:
        sums["random"] = sandwich.mean_loss(others[:-1])
    place.advance(largest.count, sums, lr)


def losses(place: loop.Place) -> dict[str, float]:
    """Training losses of the epoch with the labels: of the largest network, of those at random, of the smallest."""
    place.read()
    names = {"loss": "largest_loss", "random": "random_loss", "smallest": "smallest_loss"}
    return {words: place.sums[name] / place.count for name, words in names.items() if name in place.sums}


# --- Selection --------------------------------------------------------------------------------------------------------


def candidate_rounds(
    config: Config, space: SearchSpace, fit: paths.Fit, count: paths.Count, run: Run, first: Architecture,
    scored: list[Trial],
) -> Iterator[tuple[str, list[Architecture]]]:  # fmt: skip
    """The candidates of every round, each made when those before were scored: the grid, then changes of the best."""
    yield "grid", coarse_to_fine.skeletons(space, fit, lambda a: count(a).macs, config.coarse) or [first]
    for number in range(config.rounds):
        parents = [trial.architecture for trial in paths.best_of(scored, config.kept)]
        known, rng = {trial.architecture for trial in scored}, paths.stream(run, "refined", number)
        found = coarse_to_fine.refinements(space, parents, known, fit, config.mutation_chance, config.fine, rng)
        yield "change", list(found)
