"""What methods share that score architectures one by one: their settings, the scorer, and what a run stores of trials.

An architecture is scored by a table (`truth`), by the weights of another search's supernet (`shared_weights`), or else
by a training of its own, which learns on train and is scored on val.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from random import Random
from typing import Any

from torch import Tensor, nn

from dartboard.config import check_ranges, field_names
from dartboard.data import Data
from dartboard.errors import InputError
from dartboard.networks import check_layers
from dartboard.runs.checkpoint import Checkpoint, checkpoints, newest
from dartboard.runs.limits import MOST_TRIALS
from dartboard.runs.progress import Progress
from dartboard.runs.run import CHECKPOINTS, Run
from dartboard.runs.start import START, keep_start
from dartboard.runs.streams import stream_seed
from dartboard.scoring.cost import Cost, cost_of, count
from dartboard.scoring.latency import own_sizes, sizes_on, table_for, with_latency
from dartboard.scoring.limits import check_table
from dartboard.scoring.scorers import Score, Scorer, by_shared_weights, by_table
from dartboard.search import supernets, trial_log
from dartboard.search.given_tables import note_latency, note_table, table_of
from dartboard.search.proposals import Proposer, Trial
from dartboard.search.supernets import OF_SUPERNET
from dartboard.search.trials_by_workers import crew_of, scored
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks import task_of
from dartboard.training import from_scratch, loop, presets
from dartboard.training.by_training import TRIALS, by_training, folder_of

# Of a method's trainings there are many: on the digits they are shorter than a training by itself.
SHORT = {"epochs": 5, "batch_size": 64, "cutout": 0}
PRESETS = {kind: {**values, **(SHORT if values else {})} for kind, values in presets.PRESETS.items()}


@dataclass(frozen=True)
class Settings(from_scratch.Config):
    """The settings of a method that scores architectures one by one: its own, and those of a trial's training.

    A trial's training has the sizes of a DARTS search (quark0/darts, cnn/train_search.py), without what only a long
    training needs; the rest is that of `dartboard train`.
    """

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
    best_of_last: int = 1
    """a trained trial's score is the best validation accuracy of so many epochs at its end (1: the last; Zoph, Le 5)"""
    trials: int = 100
    """architectures that are scored (dartboard's choice; the papers give no number for every budget)"""
    truth: str | None = None
    """a table with the scores, instead of --data: FILE or FILE:COLUMN (docs/tables.md)"""
    shared_weights: str | None = None
    """the folder of a search; its supernet scores, instead of a data set"""
    limit: str = ""
    """the largest cost of an architecture, such as params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, trials=f"[1, {MOST_TRIALS}]", best_of_last="[1, 1e6]")
        check_table(self.limit, self.latency)
        if self.truth is not None and self.shared_weights is not None:
            raise InputError("--truth and --shared-weights are two ways to score; give one of them")


@dataclass(frozen=True)
class Scoring:
    """How the architectures of a run are scored. cost: their counts, at the sizes that are scored; shown: what the
    line of the result says of the best one besides its score; trains: whether it is trained for its score."""

    scorer: Scorer
    cost: Callable[[Architecture], Cost]
    shown: Callable[[Architecture], Mapping[str, Any]] = lambda architecture: {}
    trains: bool = False


@dataclass(frozen=True)
class Result:
    """The best architecture, the number of its trial from 0, its score, and its counts at the sizes of the trials."""

    architecture: Architecture
    number: int
    score: Score
    cost: Cost


# --- By what architectures are scored --------------------------------------------------------------------------------


def scoring_of(
    config: Settings,
    space: SearchSpace,
    data: Data | None,
    run: Run,
    supernet: nn.Module | None = None,
    scorer: Scorer | None = None,
) -> Scoring:
    """What the settings say. supernet: one whose weights score; scorer: another one altogether; both come before them.

    Raises InputError if a table, the search or the data do not serve.
    """
    found = plain_scoring(config, space, data, run, supernet, scorer)
    note_latency(run, config.latency)
    return replace(found, cost=timed_costs(found.cost, config, space, data))


def timed_costs(
    cost: Callable[[Architecture], Cost], config: Settings, space: SearchSpace, data: Data | None
) -> Callable[[Architecture], Cost]:
    """Costs with latencies, if there is a table of them. Raises InputError for one that is not of these networks."""
    if config.latency is None:
        return cost
    parent = None if config.shared_weights is None or data is None else Run.open(config.shared_weights)
    channels, cells = (config.channels, config.cells) if parent is None else sizes_of(parent)
    sizes = own_sizes(space) if data is None else sizes_on(data, channels, cells)
    return with_latency(cost, table_for(config.latency, space, sizes))


def plain_scoring(
    config: Settings, space: SearchSpace, data: Data | None, run: Run, supernet: nn.Module | None, scorer: Scorer | None
) -> Scoring:
    """How architectures are scored, without latencies."""
    if config.truth is not None and scorer is None and supernet is None:
        return of_table(config.truth, space, run)
    if data is None:
        if scorer is None:
            raise InputError("there is nothing to score with; give data, or a table with truth")
        return Scoring(scorer, count)
    run.check_data(data)
    cost = partial(cost_of, config.channels, config.cells, data)
    if scorer is not None:
        return Scoring(scorer, cost)
    if supernet is not None:
        return Scoring(by_supernet(supernet, config, data, run), cost)
    if config.shared_weights is not None:
        parent = Run.open(config.shared_weights)
        found = supernet_of(parent, space, data, run)
        return Scoring(by_supernet(found, config, data, run), partial(cost_of, *sizes_of(parent), data))
    task_of(config, data).check("train")
    check_layers(space, config.cells)
    return Scoring(by_training(training_of(config), data, run, config.best_of_last), cost, trains=True)


def training_of(config: Settings) -> from_scratch.Config:
    """The settings of a trial's training."""
    return from_scratch.Config(**{one: getattr(config, one) for one in field_names(from_scratch.Config)})


def by_supernet(supernet: nn.Module, config: Settings, data: Data, run: Run) -> Scorer:
    """Scores by the weights of a supernet, on the run's device."""
    device, dtype = loop.prepare(run)
    placed = loop.place_module(supernet, device, dtype, config.channels_last)
    return by_shared_weights(placed, data.to(device), config.batch_size)


def of_table(truth: str, space: SearchSpace, run: Run) -> Scoring:
    """Scores from a table, counts at the published sizes. Raises InputError if it is another than at the start."""
    table = table_of(truth, space)
    note_table(run, truth, table)

    def shown(architecture: Architecture) -> Mapping[str, Any]:
        return {"shown": table.shown[architecture], "shown_by": table.shown_column}

    return Scoring(by_table(table), count, shown)


def sizes_of(parent: Run) -> tuple[int, int]:
    """Channels and cells of a search's supernet."""
    return parent.settings["channels"], parent.settings["cells"]


def supernet_of(parent: Run, space: SearchSpace, data: Data, run: Run) -> nn.Module:
    """The supernet of a search as its newest checkpoint has it, or had it when this run started: the run has a copy.

    Raises InputError if there is none of this space.
    """
    if not checkpoints(run.folder / START):
        keep_start(run.folder, check_parent(parent, space))
    kept = newest(run.folder / START)
    supernet = supernet_like(parent, space, data)
    load_shared(supernet, parent, {} if kept is None else kept.tensors, space)
    return supernet


def supernet_like(parent: Run, space: SearchSpace, data: Data) -> nn.Module:
    """A supernet as the search's own was at its start."""
    channels, cells = sizes_of(parent)
    make = partial(supernets.built, space, data, channels, cells, parent.settings.get("supernet", "plain"))
    return loop.seeded(parent, "weights", make)


def load_shared(supernet: nn.Module, parent: Run, tensors: Mapping[str, Tensor], space: SearchSpace) -> None:
    """Puts the supernet's weights in a checkpoint of the search into it. Raises InputError if they do not fit."""
    weights = {name.removeprefix(OF_SUPERNET): value for name, value in tensors.items() if name.startswith(OF_SUPERNET)}
    if not loop.fits(supernet, weights):
        raise InputError(f"{parent.folder} has no supernet of the space {space.name}; give the folder of one")
    supernet.load_state_dict(weights)


def check_parent(parent: Run, space: SearchSpace, named: str = "--shared-weights") -> Checkpoint:
    """The newest checkpoint of a search of this space. named: what a person gave it as.

    Raises InputError if it is none, or trained no supernet.
    """
    if parent.command != "search":
        raise InputError(f"{named} {parent.folder} is not a search; give the folder of one with a supernet")
    if parent.space is not None and parent.space != space.name:
        hint = f"searched the space {parent.space}; give --space {parent.space}"
        raise InputError(f"{named} {parent.folder} {hint}")
    found = newest(parent.folder / CHECKPOINTS)
    if found is None and not parent.done:
        raise InputError(f"{named} {parent.folder} has no checkpoint; resume it with: {parent.resume_command}")
    if found is None or not any(name.startswith(OF_SUPERNET) for name in found.tensors):
        raise InputError(f"{named} {parent.folder} trained no supernet; give the folder of a search that did")
    return found


# --- What a run stores of its trials ----------------------------------------------------------------------------------


@dataclass
class TrialState:
    """Where a run by trials stands: how many are done, and the best of them; of equal scores the earliest.

    proposer: as it was before the batch at work; batch: those trials of this batch that are over.
    """

    proposer: Proposer
    done: int = 0
    best: Trial | None = None
    batch: list[Trial] = field(default_factory=list)

    def note(self, trial: Trial) -> bool:
        """One more trial is done; whether it is the best so far."""
        self.done = trial.number + 1
        self.batch = [*self.batch, trial]
        better = self.best is None or trial.score.value > self.best.score.value
        self.best = trial if better else self.best
        return better


def begin(run: Run, proposer: Proposer) -> TrialState:
    """Where the run stands, by its newest checkpoint. Removes what is left of later trials.

    proposer: as at the start of a run; it is put back to where it was before the batch at work.
    """
    checkpoint = run.load()
    state = TrialState(proposer) if checkpoint is None else restored(checkpoint, proposer)
    tidy(run, state)
    return state


def restored(checkpoint: Checkpoint, proposer: Proposer) -> TrialState:
    """Raises InputError for a checkpoint of another kind of run."""
    extra = checkpoint.extra
    try:
        best = None if extra["best"] is None else Trial.from_json(extra["best"])
        batch = [Trial.from_json(record) for record in extra.get("batch", ())]
        proposer.load(checkpoint.tensors, extra)
        return TrialState(proposer, extra["done"], best, batch)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"checkpoint {checkpoint.place} is of another run; restore this run's own") from error


def save(run: Run, state: TrialState) -> None:
    """Writes a checkpoint, then removes what it makes needless: trainings of trials that are over."""
    best = None if state.best is None else state.best.to_json()
    extra = {"done": state.done, "best": best, "batch": [trial.to_json() for trial in state.batch]}
    extra |= state.proposer.extra()
    run.save(state.proposer.tensors(), step=state.done, epoch=0, extra=extra)
    tidy(run, state)


# --- The loop ---------------------------------------------------------------------------------------------------------

ScoreAll = Callable[..., list[Trial]]  # see `at_work`


def batches(state: TrialState, num_trials: int, size: int = 1) -> Iterator[range]:
    """The numbers of the trials of each batch, from the one at work on. The last may be smaller."""
    for first in range(state.done - len(state.batch), num_trials, size):
        yield range(first, min(first + size, num_trials))


def streams(run: Run, numbers: Sequence[int]) -> list[Random]:
    """The randomness of each trial: a function of the run's seed and its number; a resumed run draws the same."""
    return [stream(run.seed, number) for number in numbers]


def stream(seed: int, number: int) -> Random:
    """The randomness of a trial of a run of this seed."""
    return Random(stream_seed(seed, "trial", number))


def first_stream(seed: int) -> Random:
    """The randomness of what a proposer draws before the first trial, such as initial weights."""
    return Random(stream_seed(seed, "proposer"))


@contextmanager
def at_work(config: Settings, run: Run, state: TrialState, scoring: Scoring) -> Iterator[ScoreAll]:
    """Surrounds the loop: handles signals and memory, shows the progress. Raises as `Run.guarded`.

    Gives `score_all(numbers, candidates)`: the trials of a batch in the order of their numbers. Each is recorded when
    it and those before it are over; those that were over before the run stopped are not scored again. A method that
    learns nothing from a trial gives all of them at once, drawn one by one, and `independent=True`.
    """

    def score_all(numbers: Sequence[int], candidates: Iterable[Architecture], independent: bool = False) -> list[Trial]:
        state.batch = [trial for trial in state.batch if trial.number in numbers]
        left = islice(zip(numbers, candidates, strict=True), len(state.batch), None)
        with closing(scored(run, scoring.scorer, left, crew)) as found:
            for trial in found:
                state.batch = [] if independent else state.batch
                record(config, run, state, trial, scoring.cost(trial.architecture), progress)
        return state.batch

    progress_ = run.progress(total_steps=config.trials, total_epochs=config.trials, unit="trial")
    with crew_of(run, scoring.trains) as crew, run.guarded(), progress_ as progress:
        yield score_all


def record(config: Settings, run: Run, state: TrialState, trial: Trial, cost: Cost, progress: Progress) -> None:
    """A trial is over: writes its line, notes whether it is the best so far, shows it, and saves as `settle`."""
    trial_log.log_trial(run, trial.number, trial.architecture, trial.score, cost)
    number, value = trial.number + 1, trial.score.value
    if state.note(trial):
        of = f"/{config.trials}" if config.trials < MOST_TRIALS else ""
        progress.say(f"trial {number}{of}  score {100 * value:.2f} %, the best so far")
    progress.step(number, score=value)
    settle(run, state, config.trials)


def finish(run: Run, state: TrialState, scoring: Scoring) -> Result:
    """Writes the result, once, and returns it: the best trial."""
    best = state.best
    assert best is not None  # there is one trial or more
    cost = scoring.cost(best.architecture)
    shown = scoring.shown(best.architecture)
    trial_log.write_result(run, best.number, best.architecture, best.score, cost, shown)
    return Result(best.architecture, best.number, best.score, cost)


def settle(run: Run, state: TrialState, num_trials: int) -> None:
    """After a trial: saves at once if it left a training behind, and after the last; otherwise when it is time to.

    num_trials: how many there are in all. Raises as `Run.pulse`.
    """
    now = folder_of(run, state.done - 1).exists() or state.done == num_trials
    if now:
        save(run, state)
    run.pulse(lambda: None if now else save(run, state), state.done)


def tidy(run: Run, state: TrialState) -> None:
    """Of the trials that are over only their lines stay, and of the best one the run with its weights."""
    kept = None if state.best is None else folder_of(run, state.best.number)
    for folder in sorted((run.folder / TRIALS).glob("[0-9]*")):
        if folder == kept:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        elif int(folder.name) < state.done:
            shutil.rmtree(folder)
