"""Groups of run folders as the values of a comparison: several runs are compared as contenders are. No torch.

What a group is measured by depends on its kind: trainings by their test accuracy, searches by trials by the score of
what they found (by the other column, if a table showed one), other searches by the accuracy of their supernet on val.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any, Literal

from dartboard.report import words
from dartboard.report.architecture_names import architecture_name
from dartboard.report.comparison_tables import how_words, interval_words
from dartboard.report.facts import Facts, finite
from dartboard.report.groups import Group, differences_of, groups_of, numbered
from dartboard.report.sheets import Column, Sheet
from dartboard.spaces.search_space import Architecture
from dartboard.studies.contenders import Comparison, Contender, Repetition
from dartboard.studies.standings import Standing, Standings, standings_of

Kind = Literal["training", "search by trials", "search"]
RESULTS: Mapping[Kind, str] = {
    "training": "test accuracy",
    "search by trials": "best score",
    "search": "accuracy of the supernet on val",
}


@dataclass(frozen=True)
class Compared:
    """Groups of one kind. names: of what each group trained or searched with; standings: in the order of the groups."""

    kind: Kind
    groups: tuple[Group, ...]
    names: tuple[str, ...]
    found: Standings

    @property
    def runs(self) -> list[Facts]:
        return [facts for group in self.groups for facts in group.runs]

    @property
    def several(self) -> bool:
        """Whether groups differ in settings."""
        return any(group.settings for group in self.groups)

    @property
    def comparable(self) -> bool:
        """Whether the better figure is the better group: several groups, equally far, measured alike by more than the
        weights of a supernet.
        """
        apart = {name for name in differences_of(self.runs) if name in MEASURE}
        return len(self.found.ranking) > 1 and self.kind != "search" and not apart


MEASURE = ("data", "space", "truth", "shared_weights", "images (train, val, test)", "classes", "fingerprint", "state")


def compared(kind: Kind, groups: Sequence[tuple[str, Group]]) -> Compared:
    """groups: each with the name of what it trained or searched with."""
    labels = [(group.label or name).removeprefix("method = ") for name, group in groups]
    contenders = tuple(
        Contender(label, tuple(repetition(kind, facts) for facts in group.runs), "method", name, group.settings)
        for label, (name, group) in zip(labels, groups, strict=True)
    )
    runs = [facts for _, group in groups for facts in group.runs]
    shown = kind == "search by trials" and all(finite(facts.result.get("shown")) is not None for facts in runs)
    result = "the score by the column that no search saw" if shown else RESULTS[kind]
    trials = max((len(facts.trials) for facts in runs), default=0)
    spaces = " and ".join(dict.fromkeys(str(facts.config.get("space", "")) for facts in runs))
    comparison = Comparison("Runs", spaces, "trials", trials, "", result, contenders)
    names, found = zip(*groups, strict=True) if groups else ((), ())
    return Compared(kind, tuple(found), tuple(names), standings_of(comparison))


def repetition(kind: Kind, facts: Facts) -> Repetition:
    """A run with its figure; None if it has none yet."""
    seed = facts.config.get("seed")
    number = seed if isinstance(seed, int) else 0
    elapsed = facts.number("elapsed_s")
    if kind != "search by trials":
        name = "test_accuracy" if kind == "training" else "val_accuracy"
        return Repetition(number, facts.number(name), float(len(facts.epochs)), elapsed, folder=facts.name)
    scores = [score for line in facts.trials if (score := finite(line.get("score"))) is not None]
    best = tuple(accumulate(scores, max))
    costs = tuple(float(place) for place in range(1, len(scores) + 1))
    told = [finite(facts.result.get(name)) for name in ("shown", "score")]
    result = next((value for value in (*told, *best[-1:]) if value is not None), None)
    return Repetition(number, result, float(len(facts.trials)), elapsed, costs, best, folder=facts.name)


def parts_of(runs: Sequence[Facts]) -> list[Compared]:
    """The runs by kind, each in groups of equal settings; trainings also by what they trained."""
    trainings = [facts for facts in runs if facts.command != "search"]
    by_trials = [facts for facts in runs if facts.command == "search" and facts.trials]
    searches = [facts for facts in runs if facts.command == "search" and not facts.trials]
    kinds: list[tuple[Kind, list[tuple[str, Group]]]] = [
        ("training", trained(trainings)),
        ("search by trials", [(method_name(group), group) for group in groups_of(by_trials)]),
        ("search", [(method_name(group), group) for group in groups_of(searches)]),
    ]
    return [compared(kind, groups) for kind, groups in kinds if groups]


def method_name(group: Group) -> str:
    return group.runs[0].method or "search"


def trained(trainings: Sequence[Facts]) -> list[tuple[str, Group]]:
    """Trainings of one architecture under equal settings: its name that a person knows, the group, labelled by both."""
    first: dict[Architecture | None, Facts] = {}
    for facts in trainings:
        first.setdefault(facts.architecture, facts)
    names = dict(zip(first, numbered([architecture_name(facts) for facts in first.values()]), strict=True))
    found = []
    groups = groups_of(trainings)
    for architecture, name in names.items():
        for group in groups:
            if runs := tuple(facts for facts in group.runs if facts.architecture == architecture):
                label = f"{name}, {group.label}" if group.label else name
                found.append((name, replace(group, runs=runs, label=label)))
    return found


# --- The table -------------------------------------------------------------------------------------------------------


def groups_sheet(parts: Sequence[Compared]) -> Sheet:
    """A row for each group of equal settings: what it is, n, mean, spread, interval, size, time."""
    images = images_of(parts)
    share, ends = partial(words.percent, images=images), partial(interval_words, decimals=words.decimals(images))
    several, sized = any(part.several for part in parts), any(part.kind == "training" for part in parts)
    columns = (
        Column("kind" if len(parts) > 1 else "", "kind"),
        Column("architecture" if all(part.kind == "training" for part in parts) else "group", "group"),
        Column("settings" if several else "", "settings"),
        Column("n", "n"), Column("", "runs"), Column("", "measure"),
        Column("mean", "mean_accuracy", share), Column("std", "std_accuracy", share),
        Column("min", "min_accuracy", share), Column("max", "max_accuracy", share),
        Column("95 % interval", "", ends), Column("", "interval_95_low_accuracy"),
        Column("", "interval_95_high_accuracy"), Column("", "interval_by"),
        Column("parameters" if sized else "", "parameters", words.short_count),
        Column("multiply-adds" if sized else "", "macs", words.short_count),
        Column("mean time", "mean_time_s", words.duration),
    )  # fmt: skip
    what = listed_measures(parts)
    standings = [one for part in parts for one in part.found.standings]
    caption = (
        f"{what[:1].upper()}{what[1:]} by group of equal settings; std with n − 1; interval of the mean by "
        f"{how_words(standings)}."
    )
    rows = tuple(row for part in parts for row in rows_of(part))
    return Sheet(caption, columns, rows)


def listed_measures(parts: Sequence[Compared]) -> str:
    return ", ".join(part.found.comparison.result_is for part in parts)


def rows_of(part: Compared) -> list[tuple[Any, ...]]:
    return [
        group_row(part, name, group, one)
        for name, group, one in zip(part.names, part.groups, part.found.standings, strict=True)
    ]


def group_row(part: Compared, name: str, group: Group, one: Standing) -> tuple[Any, ...]:
    interval, results = one.interval, one.results
    ends = (None, None, None) if interval is None else (interval.low, interval.high, interval.how)
    trained_one = part.kind == "training"  # every search of a group has an architecture of its own
    sizes = [finite(group.runs[0].result.get(key)) if trained_one else None for key in ("params", "macs")]
    return (
        part.kind, name, group.settings, one.n, len(group.runs), part.found.comparison.result_is,
        one.mean, one.spread, min(results, default=None), max(results, default=None), interval, *ends,
        *sizes, one.seconds,
    )  # fmt: skip


def images_of(parts: Sequence[Compared]) -> int | None:
    """The images on which accuracies were measured, the fewest of all: they decide how many decimals mean something."""
    found = []
    for part in parts:
        for facts in part.runs:
            number = facts.data.get("test" if part.kind == "training" else "val")
            found.append(5000 if "truth" in facts.config else number if isinstance(number, int) else 0)
    return min(found, default=None)
