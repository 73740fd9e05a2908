"""The search under study, the study of it, and how a piece of its work is recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from dartboard.data import Data, Split
from dartboard.data.splits import picked
from dartboard.errors import InputError, InterruptedRunError
from dartboard.networks import family_of
from dartboard.networks.darts import Supernet
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import Answers
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.studies.pieces import Pieces
from dartboard.studies.questions import Config


@dataclass(frozen=True)
class Search:
    """A search under study. weights: the softmax of alpha, (E, O) by kind; architecture: what it found."""

    run: Run
    space: SearchSpace
    data: Data
    supernet: Supernet
    weights: dict[str, Tensor]
    architecture: Architecture
    batch_size: int


@dataclass
class Study:
    """The study of one search, in one folder. index: the training images for recalibration, batch by batch; val: the
    images for scoring; limits: the record of a signal; on_progress: prints a line."""

    search: Search
    config: Config
    folder: Path
    pieces: Pieces
    index: list[Tensor]
    val: Split
    limits: Limits
    on_progress: Callable[[str], None]


def supernet_of(module: nn.Module) -> Supernet:
    """Raises InputError for a module that is not dartboard's, of which no operation can be removed."""
    if family_of(module, "Supernet") is None:
        raise InputError("the search used a supernet of its own; `why` can only study that of the space")
    return cast(Supernet, module)


def val_images(search: Search, config: Config) -> Split:
    val = search.data.val
    if config.images is None or config.images >= len(val):
        return val
    order = torch.randperm(len(val), generator=search.run.generator("why-images"))
    return picked(val, np.sort(order[: config.images].numpy()))


def check_limits(one: Study) -> None:
    """Between two pieces of work. Raises InterruptedRunError after a signal or at a limit."""
    reason = one.limits.reason()
    if reason:
        raise InterruptedRunError(f"stopped by {reason[0]}, saved", reason[1])


def record_answers(one: Study, key: str, answer: Callable[[], Answers], **fields: Any) -> None:
    if key in one.pieces:
        return
    check_limits(one)
    found = answer()
    one.pieces.add(key, accuracy=found.accuracy, loss=found.loss, right=packed(found.right), **fields)


def packed(right: Tensor) -> str:
    """Which images are right, as hexadecimal digits of four images each."""
    return np.packbits(right.numpy()).tobytes().hex()
