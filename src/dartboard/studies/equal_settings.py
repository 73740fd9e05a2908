"""Results that exist already, in groups of equal settings: from comparisons, or from run folders."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dartboard import formats
from dartboard.errors import InputError
from dartboard.runs import held_settings
from dartboard.runs.run import Run
from dartboard.spaces.families import FAMILIES
from dartboard.studies.comparison_folder import BASELINE, LARGEST, ComparisonFolder, role_of
from dartboard.studies.comparison_values import comparison_of
from dartboard.studies.contenders import Comparison, Contender, Repetition, Role

NAMED = 3  # settings that a label names
NOT_HELD = ("seed", "truth", "threads")  # of a repetition, beside the settings that are free: seeds, paths
SAME = {
    "space": "space",
    "unit": "unit of the budget",
    "budget": "budget",
    "scored_by": "scores",
    "result_is": "result",
}
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A result with the settings that it was made with; name: of the method, or of a baseline."""

    name: str
    role: Role
    settings: Settings
    repetition: Repetition


def grouped(results: Iterable[Found]) -> tuple[Contender, ...]:
    """A contender for each name and settings, in the order of their first results. Raises InputError for a seed twice.

    The label of one of several with a name says in what they differ.
    """
    groups: dict[tuple[str, str], list[Found]] = {}
    for one in results:
        groups.setdefault((one.name, json.dumps(one.settings, sort_keys=True)), []).append(one)
    made: list[Contender] = []
    for (name, _), own in groups.items():
        check_seeds(name, own)
        others = [other[0].settings for (called, _), other in groups.items() if called == name]
        words = difference_words(own[0].settings, others)
        label = f"{name} ({words})" if words else name
        label = label if label not in [one.label for one in made] else f"{label} ({len(made) + 1})"
        method = "" if name == LARGEST else name
        made.append(Contender(label, tuple(one.repetition for one in own), own[0].role, method, words))
    return tuple(made)


def check_seeds(name: str, results: Sequence[Found]) -> None:
    """Raises InputError if a seed is there twice: it would count as two."""
    seeds = [one.repetition.seed for one in results]
    for seed in seeds:
        if seeds.count(seed) > 1:
            places = " and ".join(one.repetition.folder for one in results if one.repetition.seed == seed)
            raise InputError(f"seed {seed} of {name} with equal settings is in {places}; leave one of them out")


def difference_words(own: Settings, all_of_name: Sequence[Settings]) -> str:
    """ "epochs = 3, channels = 4": what of its settings not all have; empty if there is nothing."""
    names = sorted({name for one in all_of_name for name in one})
    differing = [name for name in names if any(other.get(name) != own.get(name) for other in all_of_name)]
    more = len(differing) - NAMED
    words = ", ".join(f"{name} = {held_settings.shown(own.get(name))}" for name in differing[:NAMED])
    return f"{words} and {more} more" if more > 0 else words


# --- Comparisons ------------------------------------------------------------------------------------------------------


def joined(folders: Sequence[ComparisonFolder]) -> Comparison:
    """Several comparisons as one. Raises InputError if they are not of the same question, or have a seed twice."""
    found = [comparison_of(one) for one in folders]
    for name, what in SAME.items():
        for folder, one in zip(folders, found, strict=True):
            if getattr(one, name) != getattr(found[0], name):
                text = f"{folders[0].folder} and {folder.folder} differ in the {what}"
                raise InputError(f"{text}: {getattr(found[0], name)} and {getattr(one, name)}; compare them apart")
    results = [one for folder, comparison in zip(folders, found, strict=True) for one in results_of(folder, comparison)]
    conditions = {
        f"{name} of {folder.folder.name}": value
        for folder, one in zip(folders, found, strict=True)
        for name, value in one.conditions.items()
    }
    title = "; ".join(dict.fromkeys(one.title for one in found))
    return replace(found[0], title=title, contenders=grouped(results), conditions=conditions)


def results_of(folder: ComparisonFolder, comparison: Comparison) -> Iterable[Found]:
    for contender in comparison.contenders:
        for one in contender.repetitions:
            place = str(folder.folder / one.folder)
            yield Found(
                contender.label,
                contender.role,
                settings_of(folder, contender.method or BASELINE),
                replace(one, folder=place),
            )


def settings_of(folder: ComparisonFolder, method: str) -> Settings:
    """What decides a repetition's numbers, except its seed."""
    train = {f"train {name}": value for name, value in folder.train.items()}
    setup = {} if folder.plan.truth is not None else vars(folder.setup)
    table = folder.environment.get("truth", {})
    of_table = {name: table[name] for name in ("sha256", "seen", "shown") if name in table}
    return held({**folder.searches[method], **setup, **train, **of_table})


def held(settings: Settings) -> Settings:
    """The settings that decide numbers, as JSON holds them."""
    kept = held_settings.held(settings)
    return {name: value for name, value in kept.items() if name not in NOT_HELD and value is not None}


# --- Run folders ------------------------------------------------------------------------------------------------------


def of_runs(folders: Sequence[Path]) -> Comparison:
    """Searches on a table, or trainings of what searches found, as a comparison. Raises InputError for others."""
    runs = [Run.open(folder) for folder in folders]
    kinds = {run.command for run in runs}
    if len(kinds) > 1:
        raise InputError("searches and trainings are among these runs; compare the trainings of what was found")
    results = [found_in(run) for run in runs]
    spaces = sorted({run.architecture.space for run in runs if run.architecture is not None})
    if len(spaces) > 1:
        raise InputError(f"these runs are of the spaces {', '.join(spaces)}; compare those of one space")
    on_table = kinds == {"search"}
    check_alike(results, on_table)
    labelled = grouped(results)
    baseline = {} if any(one.name == BASELINE for one in results) else {"baseline": "random search is not among them"}
    return Comparison(
        title=f"{len(runs)} runs",
        space=spaces[0],
        unit="trials" if on_table else "seconds",
        budget=max(one.repetition.cost for one in results),
        scored_by="a table" if on_table else "each search as its settings say",
        result_is="the other column of the best trial" if on_table else "test accuracy of the found architecture",
        contenders=labelled,
        conditions=baseline,
    )


def check_alike(results: Sequence[Found], on_table: bool) -> None:
    """Raises InputError for results on other columns or data, and for searches on a table with more or fewer trials."""
    name = "shown" if on_table else "train data"
    kinds = sorted({str(one.settings.get(name)) for one in results})
    if len(kinds) > 1:
        raise InputError(f"these results are on {' and '.join(kinds)}; compare those on one of them")
    trials = sorted({int(one.repetition.cost) for one in results})
    if on_table and len(trials) > 1:
        words = " and ".join(map(str, trials))
        raise InputError(f"these searches have {words} trials, which is no equal cost; compare those with as many")


def found_in(run: Run) -> Found:
    """The result of a finished run. Raises InputError if it has none that could be compared."""
    if not run.done:
        raise InputError(f"{run.folder} is not finished; resume it with: {run.resume_command}")
    last, architecture = run.metrics()[-1], run.architecture
    assert architecture is not None  # a finished search has one, and a training is of one
    text = formats.write(architecture, FAMILIES[architecture.space].notation)
    largest = run.environment.get("drawn") is not None  # in a comparison, of the draws of random search
    if run.command == "search":
        if "shown" not in last:
            what = f"{run.folder} is a search on data, whose architecture must be trained to be compared"
            raise InputError(f"{what}; give the training: dartboard train {run.folder}")
        trials = sum(line.get("event") == "trial" for line in run.metrics())
        name, settings = str(run.method), held({**run.settings, "shown": last["shown_by"]})
        cost, seconds, result = float(trials), last.get("elapsed_s"), last["shown"]
    else:
        parent = search_of(run)
        own = {f"train {name}": value for name, value in held({**run.settings, **vars(run.setup)}).items()}
        name, settings = str(parent.method), {**held({**parent.settings, **vars(parent.setup)}), **own}
        seconds = parent.metrics()[-1].get("elapsed_s")
        cost, result = float(seconds or 0.0), last["test_accuracy"]
    made = Repetition(run.seed, result, cost, seconds, architecture=text, folder=str(run.folder))
    return Found(LARGEST, LARGEST, settings, made) if largest else Found(name, role_of(name), settings, made)


def search_of(run: Run) -> Run:
    """The search whose architecture a run trains. Raises InputError."""
    parent = run.environment.get("parent")
    if run.command != "train" or not parent:
        raise InputError(f"{run.folder} is not the training of what a search found; give such ones, or comparisons")
    return Run.open(parent)
