"""Weight sharing compared by runs that are there: what each search found, how well its weights rank, what it cost.
No torch."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from dartboard import formats
from dartboard.errors import InputError
from dartboard.methods import METHODS
from dartboard.runs.json_files import read_json
from dartboard.runs.peak_memory import PEAK
from dartboard.runs.run import Run
from dartboard.scoring import tables
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies import rank_truth
from dartboard.studies.comparison_folder import is_comparison
from dartboard.studies.rank_folder import RESULT, is_ranking
from dartboard.studies.rank_results import SHARED, judge_of, read_results

TRUTH, VAL = "true accuracy", "val accuracy by shared weights"
VALUES = ("score", "derived_val_accuracy", "val_accuracy")  # of a result, the first that is there
LOSSES = ("largest_loss", "random_loss", "smallest_loss")  # of an epoch by the sandwich rule
ANSWERS = "specialised/*/answer.json"  # of networks that were cut out
ASIDE = {"seed", "threads", "device", "save_every", "data_dir", "download"}  # settings that are none of a method's


@dataclass(frozen=True)
class Searched:
    """One run. accuracy: of what it found, of the kind that `measure` says; tau: (estimate, low, high) of the shared
    weights, None if they were not ranked; ranked: of how many architectures; peak_memory_mb: None if it was not
    measured; settings: as the run has them, what has no part in the method aside; data: the fingerprint of the images;
    losses: of the largest networks, those at random and the smallest in the last epoch, None if the search has none;
    gains: in accuracy, of networks that were cut out and fine-tuned."""

    name: str
    method: str
    data: str
    seed: int
    measure: str
    accuracy: float
    tau: tuple[float, float | None, float | None] | None
    seconds: float
    peak_memory_mb: float | None
    settings: Mapping[str, Any]
    ranked: int = 0
    losses: tuple[float, ...] | None = None
    gains: tuple[float, ...] = ()


@dataclass(frozen=True)
class Group:
    """The runs of one method with the same settings. label: the method, with what differs from others of it."""

    label: str
    method: str
    runs: tuple[Searched, ...]

    @property
    def accuracy(self) -> float:
        return fmean(one.accuracy for one in self.runs)

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds; None of a single run."""
        return stdev(one.accuracy for one in self.runs) if len(self.runs) > 1 else None

    @property
    def tau(self) -> float | None:
        found = [one.tau[0] for one in self.runs if one.tau is not None]
        return fmean(found) if found else None

    @property
    def seconds(self) -> float:
        return fmean(one.seconds for one in self.runs)

    @property
    def peak_memory_mb(self) -> float | None:
        return max((one.peak_memory_mb for one in self.runs if one.peak_memory_mb is not None), default=None)


# --- Runs ------------------------------------------------------------------------------------------------------------


def read(folders: Sequence[str], space: str) -> list[Searched]:
    """The runs; with true accuracies if one of them was ranked by a table that is still there. Raises InputError."""
    runs = [checked(folder, space) for folder in dict.fromkeys(folders)]
    places = {str(place): None for run in runs if (place := table_of(ranking_in(run.folder))) is not None}
    truths = [rank_truth.of_table(place, SPACES[space]) for place in places]
    if len({(truth.digest, truth.words) for truth in truths}) > 1:
        raise InputError(f"these runs are ranked by different tables, {', '.join(places)}; rank them by one")
    return [searched(run, truths[0].values if truths else {}) for run in runs]


def table_of(rank: Mapping[str, Any] | None) -> str | None:
    """The table by which a run was ranked, FILE or FILE:COLUMN; None if there was none or it is gone."""
    place = None if rank is None else rank["source"].get("truth")
    return place if place is not None and os.path.exists(tables.split_column(place)[0]) else None


def checked(folder: str, space: str) -> Run:
    """One search that trained a supernet on the space. Raises InputError for anything else."""
    if is_ranking(Path(folder)) or is_comparison(Path(folder)):
        raise InputError(f"{folder} is a comparison or a ranking; give the folders of searches themselves")
    run = Run.open(folder)
    if run.command != "search":
        raise InputError(f"{folder} is not a search; give runs of searches that trained shared weights")
    if run.space != space:
        raise InputError(f"{folder} is a search of the space {run.space}; give runs of {space}, or another --space")
    method = METHODS.get(str(run.method))
    if method is None or method.by_trials or not isinstance(run.environment.get("data"), dict):
        raise InputError(f"{folder} trained no supernet; give runs of searches that did, such as of darts or spos")
    return run


def searched(run: Run, truth: Mapping[Architecture, float]) -> Searched:
    """What a run found. truth: the accuracies of a table, if there is one. Raises InputError if it is not finished."""
    lines = run.metrics()
    results = [line for line in lines if line.get("event") == "result"]
    if not results:
        raise InputError(f"{run.folder} is not finished; end it first: {run.resume_command}")
    result = results[-1]
    val = next((result[name] for name in VALUES if name in result), None)
    if val is None:
        raise InputError(f"the result of {run.folder} has no score; give another run")
    found, peak = architecture_in(run.folder), run.environment.get(PEAK)
    true, rank = None if found is None else truth.get(found), ranking_in(run.folder)
    return Searched(
        str(run.folder), str(run.method), str(run.environment["data"]["fingerprint"]), run.seed,
        VAL if true is None else TRUTH, val if true is None else true, tau_of(rank),
        float(result["elapsed_s"]), float(peak) if isinstance(peak, int | float) else None,
        {name: value for name, value in run.settings.items() if name not in ASIDE},
        0 if rank is None else int(rank["samples"]), last_losses(lines), tuple(gains_in(run.folder)),
    )  # fmt: skip


def last_losses(lines: Sequence[Mapping[str, Any]]) -> tuple[float, ...] | None:
    """Training losses of the last epoch by the size of networks, from the largest to the smallest."""
    last: Mapping[str, Any] = next((line for line in reversed(lines) if line.get("event") == "epoch"), {})
    return tuple(last[name] for name in LOSSES) if all(name in last for name in LOSSES) else None


def gains_in(folder: Path) -> Iterator[float]:
    """By how much each network that was cut out of a run and fine-tuned became more accurate on val."""
    for path in sorted(folder.glob(ANSWERS)):
        answer = read_json(path)
        if isinstance(tuned := answer.get("fine_tuned"), dict):
            yield answer["val_accuracy"] - tuned["val_accuracy_before"]


def ranking_in(folder: Path) -> Mapping[str, Any] | None:
    """The ranking of a run's weights in its own folder, if there is one. Raises InputError if it is damaged."""
    return read_results(folder / "rank") if (folder / "rank" / RESULT).is_file() else None


def tau_of(rank: Mapping[str, Any] | None) -> tuple[float, float | None, float | None] | None:
    """Kendall tau of the shared weights as the search left them, with its 95 % interval."""
    judge = None if rank is None else judge_of(rank, SHARED)
    table = None if judge is None else judge["measures"]["tau"]
    return None if table is None else (table["estimate"], table["low"], table["high"])


def architecture_in(folder: Path) -> Architecture | None:
    """What the run found. Raises InputError if its file is damaged."""
    path = folder / "architecture.json"
    return formats.load(path)[0] if path.is_file() else None


def groups_of(runs: Sequence[Searched]) -> list[Group]:
    """The runs by method and settings, in the order in which they were given. Raises InputError for a run twice, for
    different data, and where some have a true accuracy and others have none."""
    if len({one.measure for one in runs}) > 1:
        lack = next(one.name for one in runs if one.measure == VAL)
        raise InputError(f"{lack} has no true accuracy in the table by which others are ranked; leave it out")
    if len({one.data for one in runs}) > 1:
        raise InputError(f"{runs[0].name} and others are of different data; give runs of searches on the same images")
    found: dict[tuple[str, str], list[Searched]] = {}
    for one in runs:
        found.setdefault((one.method, json.dumps(one.settings, sort_keys=True, default=str)), []).append(one)
    for own in found.values():
        if len({one.seed for one in own}) < len(own):
            raise InputError(f"two runs of {own[0].method} have one seed and one setting; leave one of them out")
    return [Group(label_of(own, runs), own[0].method, tuple(own)) for own in found.values()]


def label_of(own: Sequence[Searched], runs: Sequence[Searched]) -> str:
    """The method, and the settings in which it differs from other runs of it."""
    method, settings = own[0].method, own[0].settings
    others = [one.settings for one in runs if one.method == method]
    names = [name for name, value in settings.items() if any(other.get(name) != value for other in others)]
    return ", ".join([method, *(f"{name} = {settings[name]}" for name in names)])
