"""A comparison in a folder: compare.toml, which has everything that determines its numbers, and what was done of it.

On a table a seed is a line in trials-METHOD.jsonl; on data it is a run folder in runs/ and a training in trainings/.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dartboard.config import Setup, build, check_ranges, check_types, flat, to_toml
from dartboard.errors import EditedSettingsError, InputError, InterruptedRunError
from dartboard.methods import check_known, method_module
from dartboard.paths import quoted
from dartboard.runs import held_settings
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.limits import Limits
from dartboard.runs.locks import locked
from dartboard.runs.new_folder import make_folder
from dartboard.runs.run import ENVIRONMENT
from dartboard.studies.budgets import Budget
from dartboard.studies.contenders import Role, Unit
from dartboard.studies.study import read_study

COMPARE = "compare.toml"
BASELINE = "random_search"  # beside every result, whether it is named or not
LARGEST: Literal["most multiply-adds"] = "most multiply-adds"  # of as many random draws: the label of that contender
TABLES = ("setup", "searches", "train")  # of compare.toml, beside the fields of a Plan


@dataclass(frozen=True)
class Plan:
    """What is compared. methods: those that were named; truth: FILE or FILE:COLUMN, or None on data.

    unit, amount: the size of each method's run; seed: the first of `seeds`; limit: on what an architecture may cost;
    latency: the file of a table of latencies.
    """

    methods: tuple[str, ...]
    space: str
    unit: Unit
    amount: float
    seed: int = 0
    seeds: int = 3
    truth: str | None = None
    limit: str = ""
    latency: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, seed="[0, 1e18]", seeds="[1, 100000]", amount="(0, inf)")

    @property
    def budget(self) -> Budget:
        return Budget(self.amount, self.unit)

    @property
    def searched(self) -> tuple[str, ...]:
        """The methods that are run: those that were named, and random search."""
        return self.methods if BASELINE in self.methods else (*self.methods, BASELINE)

    @property
    def all_seeds(self) -> range:
        return range(self.seed, self.seed + self.seeds)


@dataclass(frozen=True)
class ComparisonFolder:
    """A comparison in a folder. searches: the settings of each method that is run; train: of the trainings, none on a
    table; setup: the data and where to compute."""

    folder: Path
    plan: Plan
    searches: Mapping[str, Mapping[str, Any]]
    train: Mapping[str, Any]
    setup: Setup

    @classmethod
    def create(cls, folder: Path, wanted: "ComparisonFolder", facts: Mapping[str, Any], *, exist_ok: bool) -> None:
        """Writes a new comparison. facts: what environment.json has besides the settings.

        Raises TakenError if the folder belongs to something else, InputError if it cannot be written.
        """
        make_folder(folder, (ENVIRONMENT,), exist_ok)
        with locked(folder):
            environment = {**facts, **held_settings.record(tomllib.loads(wanted.as_text()))}
            replace_file(folder / ENVIRONMENT, as_json(environment))
            replace_file(folder / COMPARE, wanted.as_text())

    @classmethod
    def open(cls, folder: Path) -> "ComparisonFolder":
        """The comparison in a folder. Raises InputError: there is none, or its file is damaged."""
        if not is_comparison(folder):
            raise InputError(f"no comparison in {folder}: it has no {COMPARE}; give the folder of one")
        return cls.from_table(folder, read_study(folder / COMPARE))

    @classmethod
    def from_table(cls, folder: Path, table: Mapping[str, Any]) -> "ComparisonFolder":
        plan = dict(table)
        parts = {name: plan.pop(name, {}) for name in TABLES}
        fit = all(isinstance(part, dict) for part in (*parts.values(), *parts["searches"].values()))
        if plan.pop("command", None) != "compare" or not fit or not {"methods", "space", "unit", "amount"} <= set(plan):
            raise InputError(f"{folder / COMPARE} is damaged; restore it or start a new comparison")
        found = build(Plan, plan)
        for method in found.methods:
            check_known(method, found.space, folder)
        return cls(folder, found, parts["searches"], parts["train"], build(Setup, parts["setup"]))

    def as_text(self) -> str:
        """The content of compare.toml."""
        searches = {name: dict(table) for name, table in self.searches.items()}
        tables = {"setup": flat(self.setup), "searches": searches, "train": dict(self.train)}
        return to_toml({"command": "compare", **flat(self.plan), **tables})

    @property
    def environment(self) -> dict[str, Any]:
        return read_json(self.folder / ENVIRONMENT)

    @property
    def threads(self) -> int | None:
        """CPU threads of every piece of work: as many as there were at the start."""
        found: int | None = self.setup.threads or self.environment.get("threads")
        return found

    @property
    def resume_command(self) -> str:
        return f"dartboard resume {quoted(self.folder)}"

    def check_settings(self) -> None:
        """Raises EditedSettingsError if compare.toml was edited since the comparison began."""
        path = self.folder / COMPARE
        held_settings.check(self.environment, read_study(path), path, "start a new comparison with another --out")

    def check_same(self, wanted: "ComparisonFolder") -> None:
        """Raises InputError if the folder is that of a comparison with other settings."""
        here, asked = (held_settings.held(tomllib.loads(one.as_text())) for one in (self, wanted))
        if found := held_settings.edits(here, asked):
            listed = "; ".join(found[: held_settings.MOST_NAMED])
            raise EditedSettingsError(f"{self.folder} is another comparison: {listed}; give another folder with --out")

    def check_limits(self, limits: Limits) -> None:
        """Raises InterruptedRunError after a signal or at a time limit."""
        if reason := limits.reason():
            raise InterruptedRunError(f"stopped by {reason[0]}, saved; resume with: {self.resume_command}", reason[1])

    def config_of(self, method: str) -> Any:
        """The settings of a method. Raises InputError."""
        return build(method_module(method).Config, self.searches.get(method, {}))


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison."""
    try:
        return (folder / COMPARE).is_file()
    except (OSError, ValueError):
        return False


def role_of(method: str) -> Role:
    """What a method is in the comparison."""
    return "random at equal cost" if method == BASELINE else "method"
