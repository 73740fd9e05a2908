"""The contenders of a comparison on a table: their results, and how they came about trial by trial."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dartboard import formats
from dartboard.scoring.many_counts import macs_of
from dartboard.spaces.families import FAMILIES
from dartboard.studies.compare_on_table import Known, known_of, trials_done
from dartboard.studies.comparison_folder import BASELINE, LARGEST, ComparisonFolder, role_of
from dartboard.studies.contenders import Contender, Repetition

NOTE = "a draw counts as a trial, although none is scored"


def contenders_of(one: ComparisonFolder) -> tuple[Contender, ...]:
    """The methods that were run, and the largest of random search's draws. Raises InputError for damaged files."""
    known = known_of(one)
    return (*(table_contender(one, known, method) for method in one.plan.searched), largest_on_table(one, known))


def words_of(one: ComparisonFolder) -> tuple[str, str]:
    """What scores, and what the result of a seed is."""
    table = known_of(one).table
    return f"the table's column {table.seen_column}", f"{table.shown_column} of the best trial by {table.seen_column}"


def conditions_of(one: ComparisonFolder) -> dict[str, str]:
    """What a reader must know besides."""
    table = one.environment["truth"]
    return {"table": f"{table['file']}, sha256 {table['sha256'][:12]}", LARGEST: NOTE}


def table_contender(one: ComparisonFolder, known: Known, method: str) -> Contender:
    """A method's seeds: shown is the best by what is seen, the first of equal ones."""
    seen, shown = columns(known)
    made = tuple(
        repetition(known, int(seed), fields, best_so_far(seen[fields["trials"]]), shown)
        for seed, fields in sorted_by_seed(one, method)
    )
    return Contender(method, made, role_of(method), method)


def largest_on_table(one: ComparisonFolder, known: Known) -> Contender:
    """Of the architectures that random search drew, the one with most multiply-adds, the first of equal ones."""
    _, shown = columns(known)
    drawn = sorted_by_seed(one, BASELINE)
    numbers = sorted({number for _, fields in drawn for number in fields["trials"]})
    macs = np.zeros(len(known.architectures))
    macs[numbers] = macs_of(known.table.space, [known.architectures[number] for number in numbers])
    made = tuple(
        repetition(known, int(seed), {**fields, "seconds": None}, best_so_far(macs[fields["trials"]]), shown)
        for seed, fields in drawn
    )
    return Contender(LARGEST, made, LARGEST)


def columns(known: Known) -> tuple[np.ndarray, np.ndarray]:
    """What a search sees, and what its result shows, by the number of the architecture."""
    table = known.table
    return tuple(np.array([values[one] for one in known.architectures]) for values in (table.seen, table.shown))  # type: ignore[return-value]


def sorted_by_seed(one: ComparisonFolder, method: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The seeds of the plan that are done, with their fields."""
    done = trials_done(one, method)
    return [(str(seed), done[str(seed)]) for seed in one.plan.all_seeds if str(seed) in done]


def best_so_far(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """After each trial the place, from 0, of the best one until then; of equal ones the first."""
    values = np.asarray(values)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    places: np.ndarray = np.maximum.accumulate(np.where(values > before, np.arange(len(values)), 0))
    return places


def repetition(known: Known, seed: int, fields: Mapping[str, Any], best: np.ndarray, shown: np.ndarray) -> Repetition:
    """One seed. best: after each trial the place of the one that would be the result."""
    numbers = np.asarray(fields["trials"])
    curve = shown[numbers[best]]
    architecture = known.architectures[numbers[best[-1]]]
    return Repetition(
        seed=seed,
        result=float(curve[-1]),
        cost=float(len(numbers)),
        seconds=fields["seconds"],
        costs=tuple(map(float, range(1, len(numbers) + 1))),
        best=tuple(curve.tolist()),
        architecture=formats.write(architecture, FAMILIES[architecture.space].notation),
    )
