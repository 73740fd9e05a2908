"""The weights of a training's run: those of its end, or, where it is not finished, those of its newest checkpoint.

A run is only read here, and may be at work at the same time. Importing this imports no torch.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dartboard import formats
from dartboard.errors import InputError
from dartboard.formats.files import check_file, shown
from dartboard.runs import held_settings
from dartboard.runs.checkpoint import checkpoints, newest
from dartboard.runs.run import CHECKPOINTS, Run

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"
OF_NETWORK = "network/"  # what the names of a network's tensors begin with in a checkpoint


@dataclass(frozen=True)
class Unfinished:
    """Where a training stood whose weights are those of its last checkpoint: so many of its epochs were over."""

    epoch: int
    epochs: int
    step: int

    def in_words(self) -> str:
        return f"not finished: epoch {self.epoch} of {self.epochs}, step {self.step}"


def check_has_weights(run: Run) -> None:
    """Raises InputError, with what to do, where a run has neither its last weights nor a training's checkpoint."""
    if os.path.lexists(run.folder / WEIGHTS):
        return check_file(run.folder / WEIGHTS)
    if run.command == "search":
        raise InputError(f"{shown(run.folder)} has no {WEIGHTS}; train what it found first")
    if not checkpoints(run.folder / CHECKPOINTS):
        text = f"{shown(run.folder)} has no {WEIGHTS} and no checkpoint yet"
        raise InputError(f"{text}; wait for its first epoch, or resume with: {run.resume_command}")


def weights_of(run: Run) -> "tuple[dict[str, Tensor], Unfinished | None]":
    """The weights by name, and where the training stood if it is not finished.

    Raises InputError where there are none, none that is intact, or those of another run.
    """
    check_has_weights(run)
    if (run.folder / WEIGHTS).is_file():
        return formats.load_weights(run.folder / WEIGHTS), None
    checkpoint = newest(run.folder / CHECKPOINTS)
    if checkpoint is None:
        raise InputError(f"{shown(run.folder)} has lost its checkpoints; resume with: {run.resume_command}")
    if checkpoint.place is not None:
        held_settings.check_own(run.environment, checkpoint.settings, checkpoint.place)
    found = checkpoint.tensors.items()
    weights = {name.removeprefix(OF_NETWORK): tensor for name, tensor in found if name.startswith(OF_NETWORK)}
    return weights, Unfinished(checkpoint.epoch, run.settings.get("epochs", 0), checkpoint.step)
