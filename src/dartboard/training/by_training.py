"""Trainings that serve as scores: they learn on train, are scored on val, and never touch the test images.

The training of trial number N lies in RUN/trials/NNNN with checkpoints of its own, and is resumed there. What remains
of it after the trial is the business of who asked for the score (search/trials.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dartboard import networks
from dartboard.data import Data
from dartboard.runs.run import CONFIG, Run
from dartboard.scoring.scorers import Score, Scorer
from dartboard.spaces.search_space import Architecture
from dartboard.training import from_scratch
from dartboard.training.epoch_work import EpochWork

TRIALS = "trials"  # the folder in a run
WORK = EpochWork(learn_on=("train",), score_on="val")
COMMAND = "trial"  # of the run of such a training: not to be resumed by itself


def folder_of(run: Run, number: int) -> Path:
    """Where the training of a trial lies."""
    return run.folder / TRIALS / f"{number:04d}"


def by_training(config: from_scratch.Config, data: Data, run: Run) -> Scorer:
    """Trains each architecture from scratch with these settings and the run's seed: the accuracy on data.val.

    A signal or a limit of the run ends a training saved, and the same call resumes it. The scorer raises
    InterruptedRunError then, CannotContinueError if a loss is not finite.
    """

    def scorer(architecture: Architecture, number: int) -> Score:
        with trial_run(config, architecture, number, run) as trial:
            network = networks.module(architecture.space).sized(architecture, config, data)
            found = from_scratch.fit(config, network, data, trial, learn_on="train", score_on="val")
            seconds = trial.metrics()[-1]["elapsed_s"]
        numbers = {"val_accuracy": found.val_accuracy, "val_loss": found.val_loss}
        numbers |= {"train_accuracy": found.train_accuracy}
        length = f"{config.epochs} epoch{'s' * (config.epochs != 1)}"
        return Score(found.val_accuracy, numbers, f"training of {length}, val", seconds)

    return scorer


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
