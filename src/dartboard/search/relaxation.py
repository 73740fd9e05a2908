"""What searches over relaxed architectures have in common: parameters alpha, from which mixture weights follow.

alpha has a table for each kind of cell, a row an edge, a column an operation of it. How the weights follow from it is
the method's: its function `mixture`.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.networks.rows import Choice
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.scoring.limits import check_table
from dartboard.search import early_stopping, epoch_log, stop_rules, supernets
from dartboard.search.cost_goals import Goals
from dartboard.search.early_stopping import Mixture, Watch
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks import task_of
from dartboard.tasks.task import Task
from dartboard.training.epoch_work import EpochWork

WORK = EpochWork(
    learn_on=("train",),
    score_on="val",
    updates=2,  # alpha, then the weights
    left_out={"stop": ""},  # the images of a dry run would be too few
    remark="the rules of --stop are not in these times; eigenvalue takes at most a tenth of the run",
)


@dataclass(frozen=True)
class Settings(supernets.Settings):
    """Settings of a search over relaxed architectures: those of every supernet, and when to stop."""

    stop: str = ""
    """rules that say when to stop, such as skips:2,stable:10,eigenvalue,held-out (docs/early-stopping.md)"""
    stop_mode: Literal["stop", "report"] = "stop"
    """stop: end when the first rule fires, with its cell; report: run to the end, and report the cell of each rule"""
    limit: str = ""
    """the largest cost of an architecture that is derived, such as macs<=400K or params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""
    cost_weight: float = 0.0
    """weight of the expected multiply-adds, relative to the largest, in alpha's loss (ProxylessNAS: 0.1 for latency)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, cost_weight="[0, inf)")
        stop_rules.parse(self.stop)
        check_table(self.limit, self.latency)


@dataclass
class State(supernets.State):
    """What changes during such a search: alpha and its optimizer, beside what changes in every supernet's."""

    SAVED_AS: ClassVar[Mapping[str, str]] = {**supernets.State.SAVED_AS, "alpha_optimizer": "alpha_adam"}

    alpha: dict[str, Tensor]
    alpha_optimizer: torch.optim.Optimizer
    goals: Goals = field(default_factory=Goals)


@dataclass(frozen=True)
class Result:
    """What a search found, with its evidence: accuracies on the validation split, in [0, 1]."""

    architecture: Architecture
    alpha: dict[str, Tensor]
    supernet: nn.Module
    val_accuracy: float
    derived_val_accuracy: float


def watched_data(config: Settings, space: SearchSpace, data: Data, run: Run) -> tuple[Watch, Data, Task]:
    """What the stopping rules watch; the data on the run's device, without what is held out for them, and their task.

    Raises InputError for a batch larger than a split, and for data other than the run began with.
    """
    task_of(config, data).check("train", "val")
    run.check_data(data)
    watch, data = early_stopping.begin(config, space, data, run)
    data = data.to(run.device)
    task = task_of(config, data)
    task.check("train")
    return watch, data, task


def initial_alpha(supernet: nn.Module, run: Run, scale: float) -> dict[str, Tensor]:
    """Normal noise times the scale: for each kind of cell (edges, operations), in the supernet's number format."""
    noise, like = run.generator("alpha", 0), next(supernet.parameters())
    return {
        kind: (scale * torch.randn(shape, generator=noise)).to(like.device, like.dtype).requires_grad_()
        for kind, shape in supernet.choice_shapes().items()  # type: ignore[operator]
    }


def derived(state: State, mixture: Mixture) -> tuple[dict[str, Tensor], Architecture]:
    """The mixture weights as they stand, and the architecture they would give: by the family's own rule, and if that
    is not within the limits, the most probable one that is."""
    family = FAMILIES[state.space.family]
    with torch.no_grad():
        weights = mixture(state.alpha)
    rows = rows_of(weights)
    return weights, state.goals.within(rows, family.derive(rows, family.mixed(state.space)))


def rows_of(weights: Mapping[str, Tensor]) -> dict[str, list[list[float]]]:
    """Mixture weights as plain numbers: by kind of cell a row an edge, a column an operation."""
    return {kind: table.tolist() for kind, table in weights.items()}


def tables(state: State) -> dict[str, Tensor]:
    """What each line of the metrics holds of alpha, by kind of cell: edges x operations."""
    return {f"alpha_{kind}": logits for kind, logits in state.alpha.items()}


def log_start(state: State, mixture: Mixture, run: Run) -> None:
    """The line before the first step; a run that is resumed has it already."""
    if state.place.step == 0:
        epoch_log.log_start(run, tables(state), derived(state, mixture)[1], state.space)


def finish_epoch(
    state: State, mixture: Mixture, watch: Watch, task: Task, data: Data, run: Run, lr: float, progress: Progress,
    *, draw: Callable[[], Choice] | None = None, **numbers_of_method: float,
) -> None:  # fmt: skip
    """Scores the epoch, measures what the stopping rules ask for, and writes its line.

    draw: what the supernet is scored by, again for each batch; none: by the mixture of all operations.
    numbers_of_method: of the epoch, such as a temperature; they stand in its line.
    """
    place, (weights, architecture) = state.place, derived(state, mixture)
    with place.timer("scoring"):
        numbers = {"lr": lr, **numbers_of_method, **state.goals.numbers(state.alpha, architecture), **place.means(task)}
        numbers |= epoch_log.scores(state.supernet, draw or weights, architecture, task)
    with place.timer("stopping") if watch.rules else nullcontext():
        numbers |= early_stopping.readings(watch, place.epoch, state.supernet, state.alpha, mixture, data, run)
    epoch_log.log_epoch(run, place, numbers, progress, tables(state), architecture)


def finish(state: State, mixture: Mixture, watch: Watch, run: Run) -> Result:
    """Writes the result, once, and returns it."""
    weights, last = derived(state, mixture)
    of_result = partial(state.goals.of_result, rows_of(weights))
    architecture, numbers = epoch_log.write_result(run, last, watch, of_result)
    alpha = {kind: logits.detach() for kind, logits in state.alpha.items()}
    return Result(architecture, alpha, state.supernet, **numbers)
