"""What a search writes of itself: at its start, at the end of each epoch, and of all."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from dartboard import formats
from dartboard.data import Data
from dartboard.runs.metrics_file import last_epoch
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.search import early_stopping
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.training import loop

EVIDENCE = ("val_accuracy", "derived_val_accuracy")


def fields_of(tables: Mapping[str, Tensor], architecture: Architecture | None) -> dict[str, object]:
    """What a line of metrics says of a method's tables, and of the architecture they would give."""
    values: dict[str, object] = {name: table.detach().tolist() for name, table in tables.items()}
    if architecture is not None:
        values["architecture"] = formats.write(architecture, FAMILIES[architecture.space].notation)
    return values


def log_start(run: Run, tables: Mapping[str, Tensor], architecture: Architecture | None, space: SearchSpace) -> None:
    """The line before the first step. Of a space that the run does not name it says what its edges mix."""
    named: dict[str, object] = {}
    if SPACES.get(run.space or "") != space:
        mixed = FAMILIES[space.family].mixed(space)
        named["mixed"] = {kind: [list(row) for row in rows] for kind, rows in mixed.items()}
    run.log(event="start", **fields_of(tables, architecture), **named)


def scores(
    supernet: nn.Module, weights: Mapping[str, Tensor], architecture: Architecture, data: Data, batch_size: int
) -> dict[str, float]:
    """Loss and accuracy on the validation split of the mixed supernet, and accuracy of the cell cut out of it."""
    loss, accuracy = shared_weights_score(supernet, weights, data, batch_size)
    _, derived = shared_weights_score(supernet, architecture, data, batch_size)
    return {"val_loss": loss, "val_accuracy": accuracy, "derived_val_accuracy": derived}


def log_epoch(
    run: Run,
    place: loop.Place,
    numbers: Mapping[str, float],
    progress: Progress,
    tables: Mapping[str, Tensor] = MappingProxyType({}),
    architecture: Architecture | None = None,
) -> None:
    """The line of an epoch in the metrics, and on the screen.

    tables: rows x columns of any size, by the names that the line gives them; architecture: what would be found now.
    """
    times, found = {**place.times(), "elapsed_s": run.elapsed_s}, fields_of(tables, architecture)
    run.log(event="epoch", epoch=place.epoch, step=place.step, **numbers, **found, **times)
    progress.epoch(place.epoch, loop.in_words(numbers), str(found.get("architecture", "")))


def write_result(run: Run, last: Architecture, watch: early_stopping.Watch) -> tuple[Architecture, dict[str, Any]]:
    """Writes what was found, once; returns it with the accuracies of the epoch it comes from.

    It is the last epoch's architecture, or that of the rule by which the search ended.
    """
    lines = run.metrics()
    epochs = [line for line in lines if line["event"] == "epoch"]
    by = early_stopping.chosen(watch, lines)
    line = last_epoch(lines) if by is None else next(line for line in epochs if line["epoch"] == by[1].kept)
    found = last if by is None else early_stopping.architecture_of(by[1])
    numbers = {name: line[name] for name in EVIDENCE}
    if not run.done:
        run.finish(found, **numbers, **early_stopping.write(watch, lines, run), elapsed_s=run.elapsed_s)
    return found, numbers
