"""The main table of any page as values, for `dartboard report --csv` and `--latex`. No torch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dartboard.analysis.statistics import mean, sample_spread
from dartboard.report import words
from dartboard.report.facts import NUMBERS, Facts, finite
from dartboard.report.runs_compared import groups_sheet, parts_of
from dartboard.report.sheets import Column, Sheet
from dartboard.report.transfer_page import side_names
from dartboard.studies.matrix import findings, group_words
from dartboard.studies.protocol import SIDES
from dartboard.studies.study import Study

OF_TRIALS = ("score", "params", "macs", "score_s", "elapsed_s")


def sheet_of_runs(runs: Sequence[Facts]) -> Sheet:
    """Of one run its trials or epochs, of several the groups of equal settings."""
    if len(runs) > 1:
        return groups_sheet(parts_of(runs))
    (facts,) = runs
    return trials_sheet(facts) if facts.trials else epochs_sheet(facts)


def epochs_sheet(facts: Facts) -> Sheet:
    """A row for each epoch with every number that the run logged of any."""
    logged = [name for name in NUMBERS if any(epoch.get(name) is not None for epoch in facts.epochs)]
    columns = [Column("epoch", "epoch"), *(Column(name.replace("_", " "), name, shown(name)) for name in logged)]
    rows = [(epoch.epoch, *(epoch.get(name) for name in logged)) for epoch in facts.epochs]
    return Sheet(f"The epochs of {facts.name}", tuple(columns), tuple(rows))


def trials_sheet(facts: Facts) -> Sheet:
    """A row for each trial."""
    logged = [name for name in OF_TRIALS if any(finite(line.get(name)) is not None for line in facts.trials)]
    columns = [Column("trial", "trial"), *(Column(name.replace("_", " "), name, shown(name)) for name in logged)]
    columns += [Column("", "source"), Column("architecture", "architecture")]
    rows = [
        (
            line.get("trial"),
            *(finite(line.get(name)) for name in logged),
            *(str(line.get(name, "")) for name in ("source", "architecture")),
        )
        for line in facts.trials
    ]
    return Sheet(f"The trials of {facts.name}", tuple(columns), tuple(rows))


def shown(name: str) -> Callable[[Any], str]:
    """How people read the values of a field of metrics.jsonl."""
    if name.endswith("_accuracy") or name == "score":
        return partial(words.percent, images=5000)
    if name in ("params", "macs"):
        return words.short_count
    return words.duration if name.endswith("elapsed_s") else lambda value: f"{value:.4g}"


def sheet_of_study(study: Study) -> Sheet:
    """The matrix of a transfer study: a row for each group of cells and the data that they were trained on."""
    found, names = findings(study), side_names(study)
    share = words.percent
    columns = (
        Column("found on", "found_on"), Column("trained on", "trained_on"), Column("n", "n"),
        Column("mean", "mean_accuracy", share), Column("std", "std_accuracy", share),
        Column("min", "min_accuracy", share), Column("max", "max_accuracy", share),
    )  # fmt: skip
    rows = [
        (
            group_words(group, names), names[side], len(values),
            mean(values) if values else None, sample_spread(values) if values else None,
            min(values, default=None), max(values, default=None),
        )
        for group in found.groups
        for side in SIDES
        for values in [found.matrix[group, side].values]
    ]  # fmt: skip
    return Sheet("Test accuracy of all cells; std with n − 1", columns, tuple(rows))
