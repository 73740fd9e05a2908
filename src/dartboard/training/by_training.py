"""Trainings that serve as scores: they learn on train, are scored on val, and never touch the test images.

The training of trial number N lies in RUN/trials/NNNN with checkpoints of its own, and is resumed there. What remains
of it after the trial is the business of who asked for the score (search/trials.py).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dartboard import networks
from dartboard.config import build, field_names
from dartboard.data import Data
from dartboard.data.sources import load_setup
from dartboard.runs.limits import Limits
from dartboard.runs.run import CONFIG, Run
from dartboard.scoring.scorers import Score, Scorer
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, from_json
from dartboard.training import from_scratch
from dartboard.training.epoch_work import EpochWork

TRIALS = "trials"  # the folder in a run
WORK = EpochWork(learn_on=("train",), score_on="val")
COMMAND = "trial"  # of the run of such a training: not to be resumed by itself


def folder_of(run: Run, number: int) -> Path:
    """Where the training of a trial lies."""
    return run.folder / TRIALS / f"{number:04d}"


def by_training(config: from_scratch.Config, data: Data, run: Run, best_of_last: int = 1) -> Scorer:
    """Trains each architecture from scratch with these settings and the run's seed: the accuracy on data.val.

    best_of_last: the score is the best accuracy after one of so many epochs at the end; 1: that after the last.
    A signal or a limit of the run ends a training saved, and the same call resumes it. The scorer raises
    InterruptedRunError then, CannotContinueError if a loss is not finite.
    """

    def scorer(architecture: Architecture, number: int) -> Score:
        own = fitted(config, architecture)
        with trial_run(own, architecture, number, run) as trial:
            network = networks.module(architecture.space).sized(architecture, own, data)
            found = from_scratch.fit(own, network, data, trial, learn_on="train", score_on="val")
            lines = trial.metrics()
        numbers = {"val_accuracy": found.val_accuracy, "val_loss": found.val_loss}
        numbers |= {"train_accuracy": found.train_accuracy}
        length = f"{config.epochs} epoch{'s' * (config.epochs != 1)}"
        epochs = [line["val_accuracy"] for line in lines if line["event"] == "epoch"][-best_of_last:]
        which = "val" if best_of_last == 1 else f"best val of the last {len(epochs)}"
        return Score(max(epochs), numbers, f"training of {length}, {which}", lines[-1]["elapsed_s"])

    return scorer


def fitted(config: from_scratch.Config, architecture: Architecture) -> from_scratch.Config:
    """The settings of one architecture's training, where those of the search have as many layers as any may have."""
    needs = FAMILIES[architecture.space].needs(architecture)
    return build(from_scratch.Config, {**vars(config), "cells": needs.get("cells", config.cells)})


BY_WORKER = "dartboard.training.by_training:score_by_worker"


def score_by_worker(folder: str, number: int, architecture: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """What a worker does: the score of a trial of the run in `folder`, as JSON. Raises as the scorer."""
    run, config, data = in_folder(folder)
    run.limits = limits
    best_of_last = run.settings.get("best_of_last", 1)  # which older runs do not have
    return asdict(by_training(config, data, run, best_of_last)(from_json(architecture), number))


@lru_cache(maxsize=1)
def in_folder(folder: str) -> tuple[Run, from_scratch.Config, Data]:
    """The run, the settings of its trainings and its data, loaded once by a worker. Raises InputError."""
    run = Run.open(folder)
    names = field_names(from_scratch.Config)
    config = build(from_scratch.Config, {name: value for name, value in run.settings.items() if name in names})
    data = load_setup(run.setup)
    run.check_data(data)
    return run, config, data


@contextmanager
def trial_run(config: from_scratch.Config, architecture: Architecture, number: int, run: Run) -> Iterator[Run]:
    """The run of one training, new or resumed, under the limits of the whole run."""
    folder = folder_of(run, number)
    if (folder / CONFIG).exists():
        trial = Run.open(folder, write=True)
    else:
        threads = run.setup.threads or run.environment.get("threads")
        setup = replace(run.setup, budget=None, until=None, threads=threads)
        trial = Run.create(
            folder, config, setup=setup, command=COMMAND, space=run.space, parent=run, architecture=architecture
        )
    trial.limits, trial.resumed_by, trial.label = run.limits, run.folder, f"trial {number + 1}"
    trial.length_announced = True
    with trial:
        yield trial
