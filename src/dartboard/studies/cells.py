"""The cells of a transfer study, found or random, with their scores: read from its run folders. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from dartboard.runs.run import Run
from dartboard.spaces.search_space import Architecture
from dartboard.studies.protocol import Side, Stage, drawn
from dartboard.studies.study import Study

RANDOM = "random"


@dataclass(frozen=True)
class Cell:
    """One found or random cell, with its test accuracy by the data set on which it was trained.

    side: the data set of the last phase of its search; before: the search that this one continued; supernet, derived:
    accuracies on val by shared weights, of the mixture and of the cell cut out; elapsed_s, steps: of the search.
    """

    group: str
    seed: int
    architecture: Architecture | None
    trained: dict[Side, float]
    side: Side | None = None
    before: str | None = None
    supernet: float | None = None
    derived: float | None = None
    elapsed_s: float | None = None
    steps: int | None = None


def kind(cell: Cell) -> str:
    """The group of a cell; all random cells are one group."""
    return RANDOM if cell.group.startswith(RANDOM) else cell.group


def read_results(study: Study) -> dict[str, dict[str, float]]:
    """The numbers of every stage's result by its name, empty for a stage that is not done. Raises InputError."""
    return {stage.name: result_of(study, stage) for stage in study.stages}


def read_cells(study: Study, results: Mapping[str, dict[str, float]]) -> tuple[Cell, ...]:
    """The cells of all groups and seeds, in the order of the stages, without those that have no finished run."""
    found = []
    for group, seed in dict.fromkeys((stage.group, stage.seed) for stage in study.stages):
        own = [stage for stage in study.stages if (stage.group, stage.seed) == (group, seed)]
        search = next((stage for stage in own if stage.command == "search"), None)
        trained = {
            stage.side: float(results[stage.name]["test_accuracy"])
            for stage in own
            if stage.command == "train" and results[stage.name]
        }
        result = results[search.name] if search is not None else {}
        if trained or result:
            found.append(cell_of(study, own[0], trained, result))
    return tuple(found)


def cell_of(study: Study, stage: Stage, trained: dict[Side, float], result: dict[str, float]) -> Cell:
    if stage.command == "train":
        cell = None if stage.draw is None else drawn(study.protocol, stage.draw)
        return Cell(stage.group, stage.seed, cell, trained)
    numbers = {
        "supernet": result.get("val_accuracy"),
        "derived": result.get("derived_val_accuracy"),
        "elapsed_s": result.get("elapsed_s"),
    }
    cell = Run.open(study.place(stage)).architecture
    steps = None if "steps" not in result else int(result["steps"])
    return Cell(stage.group, stage.seed, cell, trained, stage.side, stage.before, steps=steps, **numbers)


def result_of(study: Study, stage: Stage) -> dict[str, float]:
    """The numbers of a stage's result, with its number of steps; empty if it is not done."""
    if not study.is_done(stage):
        return {}
    lines = Run.open(study.place(stage)).metrics()
    steps = max((int(line.get("step", 0)) for line in lines if line.get("event") == "epoch"), default=0)
    return {**{name: value for name, value in lines[-1].items() if isinstance(value, int | float)}, "steps": steps}
