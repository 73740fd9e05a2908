"""What searches have in common whose supernet computes one path at a time, and no paper claims: the batches of an epoch
with all that surrounds a step, the step, and the scores of candidates once the weights are trained.

The path is passed in at every step. What it does not use has no gradient, so that neither momentum nor weight decay
moves it. Which paths are drawn, and which candidates are scored, is the method's.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from dartboard.data import Data
from dartboard.data.splits import picked
from dartboard.networks.layers import renew
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.runs.streams import stream_seed
from dartboard.runs.timer import Timer
from dartboard.scoring.cost import Cost, cost_of
from dartboard.scoring.evaluate import choice_score
from dartboard.scoring.latency import sizes_on, table_for, with_latency
from dartboard.scoring.limits import MOST_DRAWS
from dartboard.scoring.scorers import Score, Scorer, by_shared_weights
from dartboard.search import epoch_log, supernets, trial_log
from dartboard.search.given_tables import note_latency
from dartboard.search.proposals import Trial
from dartboard.search.supernets import Settings, State
from dartboard.search.warm_start import Carried
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch, Sums, Task
from dartboard.training import from_scratch, loop

Count = Callable[[Architecture], Cost]
Fit = Callable[[Architecture], bool]
Begun = TypeVar("Begun", bound=State)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Minibatch(NamedTuple):
    """What a step learns from, and the learning rate it is made with."""

    batch: Batch
    lr: float


@dataclass(frozen=True)
class Result:
    """The candidate with the best score, its number from 0, its counts at the sizes of the search, and the weights."""

    architecture: Architecture
    number: int
    score: Score
    cost: Cost
    supernet: nn.Module


# --- Training the weights ---------------------------------------------------------------------------------------------


def begin(
    config: Settings, space: SearchSpace, data: Data, run: Run, carried: Carried, supernet: nn.Module | None
) -> tuple[State, Data, Task]:
    """The supernet with its optimizer, as at the start or as in the run's checkpoint; data on its device; their task.

    Raises InputError for a batch larger than a split, and for data other than the run began with.
    """

    def state_of(supernet: nn.Module, place: loop.Place) -> State:
        return State(space, supernet, supernets.sgd(config, supernet), place)

    return begin_as(state_of, config, space, data, run, carried, supernet)


def begin_as(
    state_of: Callable[[nn.Module, loop.Place], Begun],
    config: Settings, space: SearchSpace, data: Data, run: Run, carried: Carried, supernet: nn.Module | None,
) -> tuple[Begun, Data, Task]:  # fmt: skip
    """As `begin`, with a state of the method's own. state_of: makes it as it is at the start."""
    task_of(config, data).check("train", "val")
    run.check_data(data)
    supernet = supernets.placed(config, space, data, run, supernet)
    data = data.to(run.device)
    state = state_of(supernet, loop.Place(timer=Timer(run.device.type)))
    supernets.start(state, config, run, carried)
    return state, data, task_of(config, data)


def minibatches(config: Settings, state: State, task: Task, run: Run, progress: Progress) -> Iterator[Minibatch]:
    """The batches still to come of all epochs. After each it shows the step and saves if it is time to; after the last
    of an epoch it scores one path on val, the same in every epoch, and writes the line of the epoch and a checkpoint.

    A stopped run continues with its next batch. Raises as `Run.pulse`.
    """
    place = state.place
    while place.epoch < config.epochs:
        lr = supernets.learning_rate(config, place, place.epoch)
        yield from of_epoch(state, task, run, progress, lr)
        log_epoch(state, task, run, progress, lr)
        place.next_epoch()
        supernets.save(state, run)


def of_epoch(state: State, task: Task, run: Run, progress: Progress, lr: float) -> Iterator[Minibatch]:
    """The batches still to come of an epoch. After each it shows the step and saves if it is time to."""
    place = state.place
    order = task.order("train", run, place.epoch)[place.step_in_epoch :]
    task.announce("train", order)
    for index in order:
        with place.timer("data"):
            batch = task.batch("train", index, run, place.step, state.supernet)
        renew(state.noises, place.step)
        yield Minibatch(batch, lr * batch.lr_scale)
        loop.note_step(run, place, progress)
        run.pulse(partial(supernets.save, state, run), place.step)


def log_epoch(
    state: State, task: Task, run: Run, progress: Progress, lr: float, numbers: Mapping[str, float] = NOTHING,
    tables: Mapping[str, epoch_log.Table] = NOTHING,
) -> None:  # fmt: skip
    """Scores one path on val, the same in every epoch, and writes the line of the epoch.

    numbers, tables: of the method.
    """
    watched = state.space.sample(stream(run, "watched-path", 0))
    with state.place.timer("scoring"):
        found = {"lr": lr, **numbers, **state.place.means(task), **choice_score(state.supernet, watched, task)}
    epoch_log.log_epoch(run, state.place, found, progress, tables)


def stream(run: Run, name: str, number: int) -> Random:
    """The randomness of a step, or of what else has a number: a resumed run draws the same."""
    return Random(stream_seed(run.seed, name, number))


def descend(config: Settings, state: State, task: Task, run: Run, path: Architecture, given: Minibatch) -> None:
    """One step of SGD on the weights of a path. The others stay as they are, bit for bit, and their momentum too."""
    with state.place.timer("weights"):
        outcome = task.loss(loop.model_of(run, state.supernet, path), given.batch)
        from_scratch.step(outcome.loss, state.w_optimizer, given.lr, config.grad_clip)
    sums: Sums = outcome.sums
    state.place.advance(outcome.count, sums, given.lr)


@contextmanager
def dropped(supernet: nn.Module, share: float, run: Run, step: int) -> Iterator[None]:
    """Inside, this share of the classifier's inputs is 0, and the others are as much larger, as drawn for this step.

    The supernet has `head_prefix`; what is computed outside drops nothing.
    """

    def drop(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        generator = run.generator("dropout", step, device=str(inputs[0].device))
        chances = torch.full_like(inputs[0], 1 - share, memory_format=torch.contiguous_format)
        return inputs[0] * torch.bernoulli(chances, generator=generator) / (1 - share)

    if share == 0.0:
        yield
        return
    handle = supernet.get_submodule(str(supernet.head_prefix).rstrip(".")).register_forward_pre_hook(drop)
    try:
        yield
    finally:
        handle.remove()


# --- Scoring candidates -----------------------------------------------------------------------------------------------


def counting(config: Settings, data: Data) -> Count:
    """Counts of an architecture's network at the sizes of the search."""
    return partial(cost_of, config.channels, config.cells, data)


def costing(config: Any, space: SearchSpace, data: Data, run: Run | None = None) -> Count:
    """The same with latencies, if the settings name a table of them, which the run notes. Raises InputError."""
    if config.latency is None:
        return counting(config, data)
    table = table_for(config.latency, space, sizes_on(data, config.channels, config.cells))
    if run is not None:
        note_latency(run, config.latency)
    return with_latency(counting(config, data), table)


def with_val(data: Data, index: Tensor) -> Data:
    """The data with these images of val alone."""
    return replace(data, val=picked(data.val, index.cpu().numpy()))


def on_some_of_val(supernet: nn.Module, data: Data, batch_size: int, recalibrate: int, most: int) -> Scorer:
    """Accuracy on val, or on so many of its images, which are the same for every candidate; recalibrated for each."""
    order = some_of_val(data, most)
    part = with_val(data, order)
    words = "val" if len(order) == len(data.val) else f"{len(order)} images of val"
    return by_shared_weights(supernet, part, batch_size, recalibrate, words)


def some_of_val(data: Data, most: int) -> Tensor:
    """Indices of so many images of val, in order; always the same ones."""
    return torch.randperm(len(data.val), generator=torch.Generator().manual_seed(0))[:most].sort().values


class Judge:
    """Scores candidates and writes a line for each. What was scored before the run stopped is read from those lines.

    Call it with a number, the candidate, what scores it, the event of its line, and what that says besides.
    """

    def __init__(self, state: State, run: Run, count: Count, progress: Progress) -> None:
        self.state, self.run, self.count, self.progress = state, run, count, progress
        self.best: dict[str, float] = {}  # by event
        self.known = {(line["event"], line["trial"]): line for line in run.metrics() if "trial" in line}
        self.done = 0

    def __call__(
        self, number: int, candidate: Architecture, scorer: Scorer, event: str = "trial", **more: object
    ) -> Trial:
        """Raises as `Run.pulse`."""
        self.done += 1
        line = self.known.get((event, number), {})
        if line.get("architecture") == trial_log.text_of(candidate):
            self.best[event] = max(line["score"], self.best.get(event, -1.0))
            return Trial(number, candidate, Score(line["score"], source=line["source"]))
        score = scorer(candidate, number)
        trial_log.log_trial(self.run, number, candidate, score, self.count(candidate), event, **more)
        self.show(event, number, score.value)
        self.run.pulse(partial(supernets.save, self.state, self.run), self.state.place.step + self.done)
        return Trial(number, candidate, replace(score, numbers={}, seconds=0.0))

    def show(self, event: str, number: int, score: float) -> None:
        """Moves the progress, and says it if no line of this event has a better score."""
        self.progress.step(self.done, score=score)
        if score > self.best.get(event, -1.0):
            self.best[event] = score
            what = "candidate" if event == "trial" else event
            self.progress.say(f"{what} {number + 1}  score {100 * score:.2f} %, the best so far")


@contextmanager
def judging(total: int, state: State, run: Run, count: Count) -> Iterator[Judge]:
    """Surrounds the scoring of so many candidates: signals, memory, progress. Raises as `Run.guarded`."""
    shown = run.progress(total_steps=total, total_epochs=total, unit="candidate")
    with run.guarded(), shown as progress, torch.no_grad():
        yield Judge(state, run, count, progress)
        if not run.done:
            supernets.save(state, run)


def different(
    drawn: Iterable[Architecture], known: Collection[Architecture], fit: Callable[[Architecture], bool]
) -> Iterator[Architecture]:
    """Those of what is drawn that are new and fit, until 1,000 in a row are not."""
    seen, misses = set(known), 0
    for architecture in drawn:
        misses += 1
        if architecture not in seen and fit(architecture):
            seen.add(architecture)
            misses = 0
            yield architecture
        if misses == MOST_DRAWS:
            return


def best_of(trials: Sequence[Trial], number: int) -> list[Trial]:
    """The trials with the highest scores, of different architectures, the best first; of equal ones the earliest."""
    different = {trial.architecture: trial for trial in reversed(trials)}
    ranked = sorted(different.values(), key=lambda trial: (-trial.score.value, trial.number))
    return ranked[:number]


def finish(state: State, run: Run, count: Count, best: Trial, **more: Any) -> Result:
    """Writes the result, once, and returns it. more: what its line says besides the score and the counts."""
    cost = count(best.architecture)
    trial_log.write_result(run, best.number, best.architecture, best.score, cost, more)
    return Result(best.architecture, best.number, best.score, cost, state.supernet)
