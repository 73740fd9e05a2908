"""What gives an architecture a score: a table, the weights of a supernet; by_training.py: a training of its own.

A scorer is a function of an architecture and of the number of its trial, and higher scores are better. (The number
names the folder of a training; the other scorers have no use for it.) Importing this imports no torch.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dartboard.errors import InputError
from dartboard.spaces.search_space import Architecture

if TYPE_CHECKING:
    from torch import nn

    from dartboard.data import Data
    from dartboard.scoring.tables import Table


@dataclass(frozen=True)
class Score:
    """value: what is compared, higher is better, an accuracy in [0, 1]; numbers: what else was measured, by name;
    source: the origin of the value, in words; seconds: what it took."""

    value: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    seconds: float = 0.0


Scorer = Callable[[Architecture, int], Score]


def by_table(table: "Table") -> Scorer:
    """Looks the accuracy up in the column that a search sees. Raises InputError for one that the table lacks."""

    def scorer(architecture: Architecture, number: int) -> Score:
        if architecture not in table.seen:
            raise InputError(f"the table has no line for {architecture}; give a table of the space that is searched")
        return Score(table.seen[architecture], source=f"table, {table.seen_column}")

    return scorer


def by_shared_weights(
    supernet: "nn.Module", data: "Data", batch_size: int, recalibrate: int | None = None, scored_on: str = "val"
) -> Scorer:
    """Accuracy on data.val of the path through the supernet, with its weights.

    recalibrate: images of data.train, always the same, on which BatchNorm's running statistics are collected again for
    each architecture; None: the statistics of each batch. scored_on: what data.val is, in words. A score does not
    depend on what was scored before.
    """
    from dartboard.scoring.evaluate import recalibrated_score, shared_weights_score

    def scorer(architecture: Architecture, number: int) -> Score:
        began = time.perf_counter()
        if recalibrate is None:
            loss, accuracy = shared_weights_score(supernet, architecture, data, batch_size)
        else:
            loss, accuracy = recalibrated_score(supernet, architecture, data, batch_size, recalibrate)
        numbers = {"val_accuracy": accuracy, "val_loss": loss}
        return Score(accuracy, numbers, source, time.perf_counter() - began)

    source = f"shared weights, {'' if recalibrate is None else 'recalibrated, '}{scored_on}"
    return scorer
