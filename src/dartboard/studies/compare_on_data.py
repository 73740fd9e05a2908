"""A comparison on data: a search for each method and seed, and a training from scratch of what each has found.

A piece of work is a method with a seed: its search in runs/, which sees train and val alone, then the training of the
architecture that it found, in trainings/, which is scored on test. The piece of random search has one training more:
of the largest architecture that it drew.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard import formats
from dartboard.config import Setup, build
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import METHODS, method_module
from dartboard.runs.checkpoint import newest, newest_name
from dartboard.runs.limits import Limits
from dartboard.runs.metrics_file import METRICS
from dartboard.runs.peak_memory import recorded_peak
from dartboard.runs.run import CHECKPOINTS, CONFIG, Run, is_done
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies import compare_pieces
from dartboard.studies.comparison_folder import BASELINE, ComparisonFolder
from dartboard.studies.countdown import Countdown

if TYPE_CHECKING:
    from dartboard.data import Data

RUNS, TRAININGS = "runs", "trainings"
MOST_MACS = "most-macs"  # what the training of the largest of the random draws is called


def search_folder(one: ComparisonFolder, method: str, seed: int) -> Path:
    return one.folder / RUNS / f"{method}-s{seed}"


def training_folder(one: ComparisonFolder, name: str, seed: int) -> Path:
    """Where what a method found is trained, or, by the name MOST_MACS, the largest of the random draws."""
    return one.folder / TRAININGS / f"{name}-s{seed}"


def work_on(one: ComparisonFolder, limits: Limits, workers: str | None = None) -> None:
    """Does what is left. Raises InputError, CannotContinueError, InterruptedRunError (all is saved)."""
    pieces = list(pieces_left(one))
    shown = Countdown(len(pieces), "searches", every_s=0.0)
    come = partial(come_to, one)
    parts = compare_pieces.done(
        one, f"{__name__}:run_piece", pieces, workers, limits, lambda index: label(pieces[index]), come
    )
    with closing(parts) as ended:
        for index, _ in ended:
            shown.advance(label(pieces[index]))


def label(piece: Mapping[str, Any]) -> str:
    return f"{piece['method']}, seed {piece['seed']}"


def come_to(one: ComparisonFolder, piece: Mapping[str, Any]) -> object:
    """Something that changes when a piece has come further: checkpoints and lines."""
    search = search_folder(one, piece["method"], piece["seed"])
    folders = [search, *(training_folder(one, name, piece["seed"]) for name in (piece["method"], MOST_MACS))]
    names = [newest_name(folder / CHECKPOINTS) for folder in (*folders, *sorted((search / "trials").glob("[0-9]*")))]
    return names, [(folder / METRICS).stat().st_size for folder in folders if (folder / METRICS).is_file()]


def pieces_left(one: ComparisonFolder) -> Iterator[dict[str, Any]]:
    """The work that is not done yet, seed by seed, so that the first seeds can be compared early."""
    for seed in one.plan.all_seeds:
        for method in one.plan.searched:
            names = (method, MOST_MACS) if method == BASELINE else (method,)
            if not all(is_done(training_folder(one, name, seed)) for name in names):
                yield {"folder": str(one.folder.absolute()), "method": method, "seed": seed}


def run_piece(folder: str, method: str, seed: int, limits: Limits) -> None:
    """The search of a method with a seed, and the training of what it found. Raises as `work_on`."""
    one = ComparisonFolder.open(Path(folder))
    one.check_limits(limits)
    data = data_of(setup_of(one, seed))
    found = searched(one, method, seed, data, limits)
    train(one, method, seed, data, found, limits)
    if method == BASELINE:
        lines = trial_lines(Run.open(search_folder(one, method, seed)), one)
        largest = max(lines, key=lambda line: float(line["macs"]))  # the first of equal ones
        train(one, MOST_MACS, seed, data, formats.read(largest["architecture"])[0], limits, drawn=largest["trial"])


def setup_of(one: ComparisonFolder, seed: int) -> Setup:
    return replace(one.setup, seed=seed, threads=one.threads)


@lru_cache(maxsize=1)
def data_of(setup: Setup) -> "Data":
    """The data with the splits of a seed. Raises InputError."""
    from dartboard.data.sources import load_setup

    return load_setup(setup)


# --- Searches ---------------------------------------------------------------------------------------------------------


def searched(one: ComparisonFolder, method: str, seed: int, data: "Data", limits: Limits) -> Architecture:
    """The architecture that a search has found, after what is left of it. Raises as `work_on`."""
    folder = search_folder(one, method, seed)
    if not is_done(folder):
        print(f"search {method} on {data.name}, seed {seed}, in {folder}", flush=True)
        with opened(one, folder, seed, one.config_of(method), method=method, space=one.plan.space) as run:
            run.limits = limits
            search(one, method, data, run, limits)
    found = Run.open(folder).architecture
    if found is None:
        raise InputError(f"{folder} has a result but no architecture.json; restore it, or remove the folder")
    return found


def search(one: ComparisonFolder, method: str, data: "Data", run: Run, limits: Limits) -> None:
    """A search from its beginning or its checkpoint. One by trials ends when a budget in time is used up."""
    config, space = one.config_of(method), SPACES[one.plan.space]
    if one.plan.unit != "seconds" or not METHODS[method].by_trials:
        method_module(method).search(config, space, data, run)
        return
    left_s = one.plan.amount - worked_s(run)
    if left_s > 0:
        with within(limits, left_s):
            method_module(method).search(config, space, data, run)
    finish_in_time(one, run)


@contextmanager
def within(limits: Limits, seconds: float) -> Iterator[None]:
    """Ends the work inside after so many seconds, which is no interruption. Raises InterruptedRunError for others."""
    before = limits.seconds
    limits.seconds = min(before, time.monotonic() - limits.started + seconds)
    try:
        yield
    except InterruptedRunError:
        limits.seconds = before
        if limits.reason():
            raise
    finally:
        limits.seconds = before


def finish_in_time(one: ComparisonFolder, run: Run) -> None:
    """The best of the trials that ended in time is the result. Raises InputError if none did."""
    if run.done:
        return
    lines = trial_lines(run, one)
    if not lines:
        text = f"no trial of {run.folder} ended within {one.plan.budget}"
        raise InputError(f"{text}; start a new comparison with a larger --budget or smaller trainings")
    best = max(lines, key=lambda line: float(line["score"]))  # the first of equal ones
    told = {name: best[name] for name in ("trial", "score", "source", "params", "macs")}
    run.finish(formats.read(best["architecture"])[0], **told, elapsed_s=run.elapsed_s)
    shutil.rmtree(run.folder / "trials" / f"{len(all_trials(run)):04d}", ignore_errors=True)  # was at work, half done


def all_trials(run: Run) -> list[dict[str, Any]]:
    """The lines of a search's trials; `worked_s`: what was worked on this and those before it.

    A line's `elapsed_s` lacks what was worked on a trial before a stop; the seconds of its score have it.
    """
    found, before, worked = [], 0.0, 0.0
    for line in run.metrics():
        if line.get("event") == "trial":
            worked += max(line["elapsed_s"] - before, line["score_s"])
            before = line["elapsed_s"]
            found.append({**line, "worked_s": worked})
    return found


def trial_lines(run: Run, one: ComparisonFolder) -> list[dict[str, Any]]:
    """The trials of a search that count: of a budget in time those that ended within it."""
    most = one.plan.amount if one.plan.unit == "seconds" else float("inf")
    return [line for line in all_trials(run) if line["worked_s"] <= most]


def worked_s(run: Run) -> float:
    """Seconds worked on a search by trials, those on a trial that was stopped halfway included."""
    lines = all_trials(run)
    halfway = newest(run.folder / "trials" / f"{len(lines):04d}" / CHECKPOINTS)
    return (lines[-1]["worked_s"] if lines else 0.0) + (0.0 if halfway is None else halfway.elapsed_s)


# --- Trainings --------------------------------------------------------------------------------------------------------


def train(
    one: ComparisonFolder, name: str, seed: int, data: "Data", architecture: Architecture, limits: Limits,
    drawn: int | None = None,
) -> None:  # fmt: skip
    """What is left of a training from scratch. name: of the method that found the architecture, or MOST_MACS."""
    from dartboard import networks
    from dartboard.training.by_training import fitted
    from dartboard.training.from_scratch import Config, fit

    folder = training_folder(one, name, seed)
    if is_done(folder):
        return
    what = "the largest architecture that was drawn" if name == MOST_MACS else f"what {name} found"
    print(f"train {what} on {data.name}, seed {seed}, in {folder}", flush=True)
    config = fitted(build(Config, dict(one.train)), architecture)
    parent = search_folder(one, BASELINE if name == MOST_MACS else name, seed)
    more = {"command": "train", "parent": parent, "architecture": architecture, "drawn": drawn}
    with opened(one, folder, seed, config, **more) as run:
        run.limits = limits
        fit(config, networks.module(architecture.space).sized(architecture, config, data), data, run)


@contextmanager
def opened(one: ComparisonFolder, folder: Path, seed: int, config: Any, **more: Any) -> Iterator[Run]:
    """A run of the comparison, new or resumed; the most memory that its process holds meanwhile is recorded."""
    if (folder / CONFIG).is_file():
        run = Run.open(folder, write=True)
    else:
        run = Run.create(folder, config, setup=setup_of(one, seed), **more)
    run.resumed_by = one.folder
    with run, recorded_peak(run):
        yield run
