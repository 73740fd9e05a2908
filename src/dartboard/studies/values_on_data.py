"""The contenders of a comparison on data: what each search cost, and what a training of its architecture reached."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from dartboard import formats
from dartboard.methods import METHODS, method_module
from dartboard.runs.peak_memory import PEAK
from dartboard.runs.run import CONFIG, Run, is_done
from dartboard.spaces.families import FAMILIES
from dartboard.studies.budgets import counted
from dartboard.studies.compare_on_data import MOST_MACS, search_folder, training_folder, trial_lines
from dartboard.studies.comparison_folder import BASELINE, LARGEST, ComparisonFolder, role_of
from dartboard.studies.contenders import Contender, Repetition

SIZES = ("channels", "cells", "epochs", "batch_size")
Line = Mapping[str, Any]


def contenders_of(one: ComparisonFolder) -> tuple[Contender, ...]:
    """The methods that were run, and the largest of random search's draws. Raises InputError for damaged files."""
    methods = (
        Contender(method, tuple(repetition(one, method, seed) for seed in one.plan.all_seeds), role_of(method), method)
        for method in one.plan.searched
    )
    largest = tuple(largest_repetition(one, seed) for seed in one.plan.all_seeds)
    return (*methods, Contender(LARGEST, largest, LARGEST))


def words_of(one: ComparisonFolder) -> tuple[str, str]:
    """What scores, and what the result of a seed is."""
    epochs = counted(int(one.train["epochs"]), "epoch")
    return (
        f"the val images of {one.setup.data}",
        f"test accuracy of the found architecture, trained for {epochs}",
    )


def conditions_of(one: ComparisonFolder) -> dict[str, str]:
    """What a reader must know besides."""
    found = {"training": sizes_words(one.train)}
    for method in one.plan.searched:
        found[f"trainings of {method}"] = sizes_words(one.searches[method])
    found["curve"] = "val accuracy of the best trial so far; the result is on test, and known at the end alone"
    found[LARGEST] = "of the architectures that random search drew; in trials as many as these, else its search is free"
    return found


def sizes_words(table: Mapping[str, Any]) -> str:
    """8 channels, 5 cells, 20 epochs, 96 images per batch."""
    words = {"batch_size": "images per batch"}
    return ", ".join(f"{table[name]} {words.get(name, name)}" for name in SIZES if name in table)


# --- One seed ---------------------------------------------------------------------------------------------------------


def repetition(one: ComparisonFolder, method: str, seed: int) -> Repetition:
    """A method's search with a seed, and the result of its training; unfinished ones have no result."""
    folder = search_folder(one, method, seed)
    if not (folder / CONFIG).is_file():
        return Repetition(seed, None, 0.0)
    run = Run.open(folder)
    cost, seconds, costs, best = by_trials(one, run) if METHODS[method].by_trials else by_epochs(one, run)
    return Repetition(
        seed=seed,
        result=result_of(one, method, seed),
        cost=cost,
        seconds=seconds,
        costs=costs,
        best=best,
        peak_memory_mb=run.environment.get(PEAK),
        architecture=words_for(run),
        folder=str(folder.relative_to(one.folder)),
    )


def largest_repetition(one: ComparisonFolder, seed: int) -> Repetition:
    """The training of the largest architecture of a seed's random draws."""
    folder = training_folder(one, MOST_MACS, seed)
    if not (folder / CONFIG).is_file():
        return Repetition(seed, None, 0.0)
    drawn = trial_lines(Run.open(search_folder(one, BASELINE, seed)), one)
    cost = float(len(drawn)) if one.plan.unit == "trials" else 0.0
    run = Run.open(folder)
    more = {"architecture": words_for(run), "folder": str(folder.relative_to(one.folder))}
    return Repetition(seed, result_of(one, MOST_MACS, seed), cost, **more)  # type: ignore[arg-type]


def result_of(one: ComparisonFolder, name: str, seed: int) -> float | None:
    folder = training_folder(one, name, seed)
    if not is_done(folder):
        return None
    found: float = Run.open(folder).metrics()[-1]["test_accuracy"]
    return found


def words_for(run: Run) -> str:
    """The architecture of a run in its family's notation; empty if there is none yet."""
    found = run.architecture
    return "" if found is None else formats.write(found, FAMILIES[found.space].notation)


Spent = tuple[float, float | None, tuple[float, ...], tuple[float, ...]]  # cost, seconds, and the curve


def by_trials(one: ComparisonFolder, run: Run) -> Spent:
    """What a search by trials cost, and its curve."""
    lines = trial_lines(run, one)
    costs = tuple(costs_of(one, run, lines))
    best = tuple(accumulate((float(line["score"]) for line in lines), max))
    return (costs[-1] if costs else 0.0), (lines[-1]["worked_s"] if lines else None), costs, best


def costs_of(one: ComparisonFolder, run: Run, lines: Sequence[Line]) -> list[float]:
    """The cost, in the comparison's unit, of the trials up to each."""
    if one.plan.unit == "seconds":
        return [float(line["worked_s"]) for line in lines]
    each = steps_of_trial(run) if one.plan.unit == "steps" else 1
    return [float(each * (number + 1)) for number in range(len(lines))]


def steps_of_trial(run: Run) -> int:
    """Gradient steps of the training of one trial."""
    from dartboard.training.by_training import WORK

    images = sum(int(run.environment["data"][name]) for name in WORK.learn_on)
    return int(run.settings["epochs"]) * -(-images // int(run.settings["batch_size"]))


def by_epochs(one: ComparisonFolder, run: Run) -> Spent:
    """What the search of a supernet cost, by its last epoch; it has no curve."""
    epochs = [line for line in run.metrics() if line.get("event") == "epoch"]
    if not epochs:
        return 0.0, None, (), ()
    seconds = float(run.metrics()[-1].get("elapsed_s") or 0.0)
    steps = method_module(str(run.method)).WORK.updates * int(epochs[-1]["step"])
    return (seconds if one.plan.unit == "seconds" else float(steps)), seconds, (), ()
