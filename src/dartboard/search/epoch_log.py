"""What a search writes of itself: at its start, at the end of each epoch, and of all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from dartboard import formats
from dartboard.networks.rows import Choice
from dartboard.runs.metrics_file import last_epoch
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import choice_score
from dartboard.search import early_stopping
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks.task import Task
from dartboard.training import loop

RESULT_NUMBERS = ("val_accuracy", "derived_val_accuracy")


Table = Tensor | Sequence[Tensor]  # rows x columns; one tensor per row if the rows have different lengths


@dataclass(frozen=True)
class Labels:
    """The names of a table's rows, and those of the columns of each row."""

    rows: Sequence[str]
    columns: Sequence[Sequence[str]]


def fields_of(tables: Mapping[str, Table], architecture: Architecture | None) -> dict[str, object]:
    """What a line of metrics says of a method's tables, and of the architecture they would give."""
    values: dict[str, object] = {name: as_rows(table) for name, table in tables.items()}
    if architecture is not None:
        values["architecture"] = formats.write(architecture, FAMILIES[architecture.space].notation)
    return values


def as_rows(table: Table) -> list[object]:
    return table.detach().tolist() if isinstance(table, Tensor) else [row.detach().tolist() for row in table]


def log_start(
    run: Run,
    tables: Mapping[str, Table],
    architecture: Architecture | None,
    space: SearchSpace,
    labels: Mapping[str, Labels] = MappingProxyType({}),
) -> None:
    """The line before the first step. Of a space that the run does not name it says what its edges mix.

    labels: of tables whose rows and columns the page could not name by itself, which are then numbered.
    """
    named: dict[str, object] = {}
    if SPACES.get(run.space or "") != space:
        mixed = FAMILIES[space.family].mixed(space)
        named["mixed"] = {kind: [list(row) for row in rows] for kind, rows in mixed.items()}
    if labels:
        named["labels"] = {name: asdict(one) for name, one in labels.items()}
    run.log(event="start", **fields_of(tables, architecture), **named)


def scores(
    supernet: nn.Module, choice: Choice | Callable[[], Choice], architecture: Architecture, task: Task
) -> dict[str, float]:
    """Loss and metric on the validation split of the supernet, and the metric of the cell cut out of it.

    choice: what the supernet computes, such as the mixture, or what draws it for each batch.
    """
    mixed, derived = choice_score(supernet, choice, task), choice_score(supernet, architecture, task)
    return {**mixed, f"derived_val_{task.metric}": derived[f"val_{task.metric}"]}


def log_epoch(
    run: Run,
    place: loop.Place,
    numbers: Mapping[str, float],
    progress: Progress,
    tables: Mapping[str, Table] = MappingProxyType({}),
    architecture: Architecture | None = None,
) -> None:
    """The line of an epoch in the metrics, and on the screen.

    tables: rows x columns of any size, by the names that the line gives them, which the page draws; architecture: what
    would be found now.
    """
    times, found = {**place.times(), "elapsed_s": run.elapsed_s}, fields_of(tables, architecture)
    run.log(event="epoch", epoch=place.epoch, step=place.step, **numbers, **found, **times)
    progress.epoch(place.epoch, loop.in_words(numbers), str(found.get("architecture", "")))


def write_result(
    run: Run, last: Architecture, watch: early_stopping.Watch, more: Callable[[Architecture], Mapping[str, Any]]
) -> tuple[Architecture, dict[str, Any]]:
    """Writes what was found, once; returns it with the accuracies of the epoch it comes from.

    It is the last epoch's architecture, or that of the rule by which the search ended. more: what the line of the
    result says of it besides.
    """
    lines = run.metrics()
    epochs = [line for line in lines if line["event"] == "epoch"]
    by = early_stopping.chosen(watch, lines)
    line = last_epoch(lines) if by is None else next(line for line in epochs if line["epoch"] == by[1].kept)
    found = last if by is None else early_stopping.architecture_of(by[1])
    numbers = {name: line[name] for name in RESULT_NUMBERS}
    if not run.done:
        stopped = early_stopping.write(watch, lines, run)
        run.finish(found, **numbers, **more(found), **stopped, elapsed_s=run.elapsed_s)
    return found, numbers
