"""What shared weights are judged against: a table of accuracies, or the scores of trials that were trained.

Nothing here imports torch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from dartboard import formats
from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.methods import METHODS
from dartboard.runs.run import Run
from dartboard.runs.streams import stream_seed
from dartboard.scoring import tables
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.studies.comparison_folder import BASELINE

SAMPLES = 200  # architectures that are compared, where no number is given and there are as many
LEAST = 3  # fewer have no order to speak of


@dataclass(frozen=True)
class Truth:
    """values: the accuracy of each architecture, in [0, 1]; words: what it is; digest: of where it comes from.

    second, ceiling: another measurement of the same architectures and what it is, if there is one: how well that
    agrees with the first is the most that any judge can reach. costs: parameters and multiply-adds, where they are
    known; drawn: how the architectures came to be there, if they are not all of the space.
    """

    values: Mapping[Architecture, float]
    words: str
    digest: str
    second: Mapping[Architecture, float] = field(default_factory=dict)
    ceiling: str = ""
    costs: Mapping[Architecture, tuple[int, int]] = field(default_factory=dict)
    drawn: str = ""


def of_table(word: str, space: SearchSpace) -> Truth:
    """The table that --truth FILE[:COLUMN] names: its result's column, and the searches' beside it.

    Raises InputError for a table of another space, and for one that cannot be read.
    """
    path = tables.split_column(word)[0]
    check_space(path, space)
    table = tables.read_truth(word, space.family)
    if table.space != space:
        raise InputError(f"{path} is a table of the space {table.space.name}; give one of the space {space.name}")
    digest = hashlib.sha256(ordinary_bytes(path)).hexdigest()
    words = f"{table.shown_column} of {Path(path).name}"
    return Truth(table.shown, words, digest, table.seen, table.seen_column)


def check_space(path: str, space: SearchSpace) -> None:
    """Raises InputError, without advice that `rank` cannot follow, for a space without tables or another one's."""
    layout = tables.LAYOUTS.get(space.family)
    if layout is None:
        raise InputError(f"there is no layout of tables for the space {space.name}; give --scores RUN_OF_TRIALS")
    needed = (layout.key, *next(iter(layout.columns.values())))
    header = next(tables.lines_of(path), (0, []))[1]
    other = tables.another_space(header, needed)
    if other is not None and not set(needed) <= set(header):
        raise InputError(f"{path} is a table of the space {other}; give one of the space {space.name}")


def of_trials(folder: str, space: SearchSpace) -> Truth:
    """The trials of a run that trained each of them; one that was trained several times has the mean.

    Raises InputError for another kind of run, or one of another space.
    """
    run = trained_trials(folder, space)
    found: dict[Architecture, list[float]] = {}
    costs: dict[Architecture, tuple[int, int]] = {}
    lines = [line for line in run.metrics() if line.get("event") == "trial"]
    for line in lines:
        architecture = architecture_of(line, folder)
        if architecture not in space:
            raise InputError(f"--scores {folder} has trials that are not in the space {space.name}; give another run")
        found.setdefault(architecture, []).append(float(line["score"]))
        if "params" in line and "macs" in line:
            costs[architecture] = (int(line["params"]), int(line["macs"]))
    values = {architecture: fmean(scores) for architecture, scores in found.items()}
    epochs = run.settings["epochs"]
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    words = f"val accuracy after trainings of {trained}, of {Path(folder).name}"
    digest = hashlib.sha256(json.dumps([[str(one), value] for one, value in values.items()]).encode()).hexdigest()
    return Truth(values, words, digest, costs=costs, drawn=drawn_by(run))


def drawn_by(run: Run) -> str:
    """How the trials of a run were chosen, in words; empty if they were drawn uniformly."""
    limit = f" within {run.settings['limit']}" if run.settings.get("limit") else ""
    return f"trials of {run.method}{limit}, as it chose them" if limit or run.method != BASELINE else ""


def trained_trials(folder: str, space: SearchSpace) -> Run:
    """The run in a folder, if its trials were trained and are of this space. Raises InputError."""
    run = Run.open(folder)
    method = METHODS.get(str(run.method))
    if run.command != "search" or method is None or not method.by_trials:
        raise InputError(f"--scores {folder} is not a search by trials; give one that trained them")
    if run.space != space.name:
        raise InputError(f"--scores {folder} searched the space {run.space}; give a run of the space {space.name}")
    for name in ("truth", "shared_weights"):
        if run.settings.get(name) is not None:
            by = "by a table; give the table with --truth" if name == "truth" else "by shared weights; give another run"
            raise InputError(f"--scores {folder} scored its trials {by}")
    return run


def architecture_of(line: Mapping[str, Any], folder: str) -> Architecture:
    """What a trial scored. Raises InputError if the line does not say it."""
    if not isinstance(line.get("architecture"), str) or not isinstance(line.get("score"), int | float):
        raise InputError(f"--scores {folder} has a trial without an architecture or a score; restore its metrics.jsonl")
    return formats.read(line["architecture"])[0]


def sampled(truth: Truth, space: SearchSpace, number: int | None, seed: int) -> list[Architecture]:
    """Distinct architectures, drawn uniformly from those of the truth. number: None for SAMPLES, or all if fewer.

    Raises InputError for more than there are, for fewer than LEAST, and where all have the same score.
    """
    known = len(truth.values)
    if number is not None and number > known:
        raise InputError(f"--samples is {number}, and there are scores of {known} architectures; give {known} or fewer")
    if known < LEAST:
        raise InputError(f"there are scores of {known} architectures, and an order takes {LEAST}; give a longer run")
    wanted = min(SAMPLES, known) if number is None else number
    drawn = different(truth, space, wanted, Random(stream_seed(seed, "rank")))
    if len({truth.values[one] for one in drawn}) == 1:
        raise InputError(f"all {wanted} architectures have the same score, which gives no order; train for longer")
    return drawn


def different(truth: Truth, space: SearchSpace, wanted: int, rng: Random) -> list[Architecture]:
    """So many architectures that have a truth, each once."""
    if len(truth.values) < space.size:
        return rng.sample(list(truth.values), wanted)
    found: dict[Architecture, None] = {}
    while len(found) < wanted:
        found.setdefault(space.sample(rng))
    return list(found)
