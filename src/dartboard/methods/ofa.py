"""Once-for-All: Train One Network and Specialize It for Efficient Deployment (Cai, Gan, Wang, Zhang, Han; ICLR 2020,
arXiv 1908.09791; mit-han-lab/once-for-all).

One supernet is trained once, from its largest network to smaller and smaller ones (progressive shrinking). A network
for any device is then cut out of it without further training.

The algorithm, as `search` runs it:
    for every minibatch (x, y) of the phase "full":
        1. draw a resolution; the largest network learns from the labels
    2. a copy of it is the teacher, and stays as it is
    for the phases kernel, depth 1, depth 2, width 1, width 2:                             (section 3.3)
        3. before elastic width: sort the channels inside blocks by their importance
        for every minibatch (x, y):
            4. draw a resolution and 1, 2 or 4 networks among those that are elastic by now
            5. add, for each,  grad_w [L(w, a; x, y) + kappa H(softmax(teacher(x)), softmax(logits of a))]
            6. one step of SGD with the gradients that were added up
    7. the networks of the grid within the limit are scored, and the best is the result

Symbols: a, a network, or part of the supernet; w, weights of the supernet; kappa, `distillation`; H, cross entropy.

Departures from the paper and from the authors' code:
    1. One run for all phases, in which `--epochs N` scales them in proportion; the code has a run for each. Momentum
       restarts with each phase, as there.
    2. The learning rate changes by epochs, not by steps; the longer phases begin with a rising one. The code warms up
       for 5 epochs of the 125, in addition to them.
    3. Weight decay is on all tensors; in the code none is on BatchNorm and biases.
    4. The resolution is the network's own, by which it resizes its images; the code loads them so.
    5. Statistics of a network are collected as plain means over equal batches, with unbiased variances; the code
       weighs batches by their sizes and takes biased ones.
    6. The search itself only scores the grid of the space; the paper's predictor and its evolution are no part of it.
       `dartboard specialise` asks the trained supernet, with an evolution if wished.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from random import Random

import torch
from torch import Tensor, nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.scoring.limits import check_table, is_within, limits_from
from dartboard.search import coarse_to_fine, paths, sandwich, shrinking, supernets
from dartboard.search.paths import Result
from dartboard.search.shrinking import Phase
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks.task import Task
from dartboard.training import from_scratch, loop, optimizers
from dartboard.training.epoch_work import EpochWork


@dataclass(frozen=True)
class Config(supernets.Settings):
    """Settings of Once-for-All. Defaults: the authors' code; of the weights otherwise those of DARTS."""

    epochs: int = 605
    """epochs of all phases together: 180, 125, 25, 125, 25, 125 (code); fewer are shared out in proportion"""
    weight_decay: float = 3e-5
    """L2 penalty (code)"""
    nesterov: bool = True
    """Nesterov's form of momentum (code)"""
    last_phase: str = "width 2"
    """the phase after which training ends: full, kernel, depth 1, depth 2, width 1 or width 2"""
    label_smoothing: float = 0.1
    """share of the label that is spread over all classes (code)"""
    distillation: float = 1.0
    """kappa, the weight of the cross entropy to the teacher (code)"""
    limit: str = ""
    """the largest cost of the network that is returned, such as macs<=400K or params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""
    scorings: int = 30
    """networks of the grid that are scored at the end (ours)"""
    recalibrate: int = 2000
    """most images of train on which a network's statistics are collected (code)"""
    val_images: int = 8000
    """most images of val on which a network is scored (as SPOS here)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule_epochs is not None:
            raise InputError("--schedule-epochs is not for ofa: each of its phases has a schedule; leave it out")
        check_ranges(self, label_smoothing="[0, 1)", distillation="[0, inf)", scorings="[1, 1e6]")
        check_ranges(self, recalibrate="[1, inf)", val_images="[1, inf)")
        shrinking.epochs_of(shrinking.phases_to(self.last_phase), self.epochs)
        check_table(self.limit, self.latency)


PRESETS = by_data(epochs=24, batch_size=64, cutout=0)
CARRIED = {"weights": ("supernet", "w")}  # by --carry: names in a checkpoint


def scored_after(config: Config, data: Data) -> int:
    """Images that go through the supernet once its weights are trained."""
    return config.scorings * (min(config.recalibrate, len(data.train)) + min(config.val_images, len(data.val)))


WORK = EpochWork(learn_on=("train",), score_on="val", after=scored_after)


@dataclass
class State(supernets.State):
    """The search, with the teacher, which is of use once the phase "full" is over."""

    teacher: nn.Module


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, of the same kind. Raises InputError for a batch larger than a split, and
    for a limit that nothing is within; CannotContinueError if the loss is not finite.
    """
    first = check(config, space, data, paths.stream(run, "first", 0))
    count, limits = paths.costing(config, space, data, run), limits_from(config.limit)
    state, data, task = paths.begin_as(partial(state_of, config, space), config, space, data, run, CARRIED, supernet)
    with supernets.at_work(config, state, task, run) as progress:
        while state.place.epoch < config.epochs:
            phase, place, length = phase_at(config, state.place.epoch)
            if place == 0 and state.place.step_in_epoch == 0:
                # 2. the teacher; 3. channels in the order of their importance
                enter(config, space, state, phase)
            lr = learning_rate(config, phase, place, length)
            for minibatch in paths.of_epoch(state, task, run, progress, lr):
                # 1. and 4. draw a resolution and networks; 5. add up their gradients; 6. one step of SGD
                descend(config, state, task, run, phase, minibatch)
            paths.log_epoch(state, task, run, progress, lr, {"phase": shrinking.NAMES.index(phase.name)})
            state.place.next_epoch()
            supernets.save(state, run)
    trained, fit = trained_space(config, space), partial(is_within, limits, count)
    with paths.judging(config.scorings, state, run, count) as judge:
        # 7. the networks of the grid within the limit are scored
        f = paths.on_some_of_val(state.supernet, data, config.batch_size, config.recalibrate, config.val_images)
        a = coarse_to_fine.skeletons(trained, fit, lambda one: count(one).macs, config.scorings) or [first]
        scored = [judge(number, one, f) for number, one in enumerate(a)]
    return paths.finish(state, run, count, paths.best_of(scored, 1)[0], scorings=len(scored))


def trained_space(config: Config, space: SearchSpace) -> SearchSpace:
    """The networks that the finished phases have trained."""
    return shrinking.opened(space, shrinking.phases_to(config.last_phase)[-1])


def check(config: Config, space: SearchSpace, data: Data, rng: Random) -> Architecture:
    """A trained network at random within the limit. Raises InputError for a limit that nothing is within."""
    limits, count = limits_from(config.limit), paths.costing(config, space, data)
    return coarse_to_fine.one_within(trained_space(config, space), rng, limits, count)


def state_of(config: Config, space: SearchSpace, supernet: nn.Module, place: loop.Place) -> State:
    """The search at its start."""
    nesterov = config.nesterov and config.momentum > 0
    values = (config.lr, config.momentum, config.weight_decay)
    optimizer = optimizers.momentum_sgd(supernet.parameters(), *values, nesterov=nesterov)
    return State(space, supernet, optimizer, place, deepcopy(supernet).requires_grad_(False))


# --- Phases -----------------------------------------------------------------------------------------------------------


def phase_at(config: Config, epoch: int) -> tuple[Phase, int, int]:
    """The phase of an epoch, the place of the epoch in it, and how many epochs it has."""
    phases = shrinking.phases_to(config.last_phase)
    number, place, length = shrinking.at(phases, config.epochs, epoch)
    return phases[number], place, length


def enter(config: Config, space: SearchSpace, state: State, phase: Phase) -> None:
    """What happens before a phase: momentum restarts, the full network becomes the teacher, channels are sorted."""
    number = shrinking.NAMES.index(phase.name)
    state.w_optimizer.state.clear()
    if number == 1:
        state.teacher.load_state_dict(state.supernet.state_dict())
    if phase.sorts:
        state.supernet.sort_channels(shrinking.expansions_before(space, phase))  # type: ignore[operator]


def learning_rate(config: Config, phase: Phase, place: int, length: int) -> float:
    """Of an epoch of a phase: rising at first in the long phases, then a cosine."""
    warm, highest = round(phase.warm * length), phase.lr * config.lr
    if place < warm:
        return highest * (place + 1) / (warm + 1)
    return from_scratch.cosine(highest, min(config.lr_min, highest), place - warm, length - warm)


def drawn(config: Config, space: SearchSpace, phase: Phase, run: Run, step: int) -> list[Architecture]:
    """The networks of a step: all of one resolution, each by a stream of its own, whoever draws it."""
    small = shrinking.opened(space, phase)
    first = small.sample(paths.stream(run, "resolution", step))
    small = shrinking.at_resolution(small, first)
    return [small.sample(paths.stream(run, f"network-{number}", step)) for number in range(phase.networks)]


def descend(config: Config, state: State, task: Task, run: Run, phase: Phase, given: paths.Minibatch) -> None:
    """A step of a phase: gradients of its networks, added up."""
    batch, lr = given
    place, networks = state.place, drawn(config, state.space, phase, run, state.place.step)
    with place.timer("weights"):
        sandwich.begin(state)
        teacher = None if phase.name == "full" else answers(state, run, networks[0], batch.x)
        outcomes = [sandwich.learned(state, task, run, a, batch, teacher, config.distillation) for a in networks]
        sandwich.end(state, lr, config.grad_clip)
    sums = {name: torch.stack([one.sums[name] for one in outcomes]).double().mean() for name in outcomes[0].sums}
    place.advance(outcomes[0].count, sums, lr)


def answers(state: State, run: Run, like: Architecture, x: Tensor) -> Tensor:
    """The teacher's logits: of the largest network, at the resolution of this step."""
    largest = shrinking.at_resolution(state.space, like).largest()
    with torch.no_grad():
        return loop.model_of(run, state.teacher.train(), largest)(x, None).logits
