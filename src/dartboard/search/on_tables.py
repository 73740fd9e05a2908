"""Searches on a table of accuracies, many seeds at once and without runs.

Each seed scores what `dartboard search METHOD --truth FILE --seed SEED` scores. It costs no folder, no line and no
checkpoint, and a method that computes many searches side by side, by its `side_by_side`, does so.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from random import Random
from types import ModuleType
from typing import Protocol

from dartboard.scoring.cost import count
from dartboard.scoring.limits import limits_from
from dartboard.scoring.scorers import Score
from dartboard.scoring.tables import Table
from dartboard.search import given_tables, trials
from dartboard.search.proposals import Draw, Proposer, Trial, drawing
from dartboard.spaces.search_space import Architecture, SearchSpace

TOGETHER = 100  # seeds whose searches are made side by side


def run(
    method: str | ModuleType, config: trials.Settings, space: SearchSpace, table: Table, seeds: Sequence[int]
) -> Iterator[tuple[int, list[Architecture]]]:
    """Each seed with its architectures in the order of their trials, as a search of that seed scores them.

    method: the name of one in dartboard.methods, or the module of another.
    They come in the order of the seeds, `TOGETHER` at a time. Raises InputError for a table of another space, and if
    nothing fits the limits.
    """
    given_tables.check_table(table, space)
    draw = drawing(space, limits_from(config.limit), trials.timed_costs(count, config, space, None))
    module = import_module(f"dartboard.methods.{method}") if isinstance(method, str) else method
    for first in range(0, len(seeds), TOGETHER):
        group = seeds[first : first + TOGETHER]
        searches = searches_of(module, config, space, draw, [trials.first_stream(seed) for seed in group])
        found: list[list[Architecture]] = [[] for _ in group]
        size = getattr(config, "batch", 1)
        for start in range(0, config.trials, size):
            numbers = range(start, min(start + size, config.trials))
            asked = searches.ask([[trials.stream(seed, number) for number in numbers] for seed in group])
            searches.tell([scored(table, numbers, own) for own in asked])
            for own, more in zip(found, asked, strict=True):
                own += more
        yield from zip(group, found, strict=True)


def scored(table: Table, numbers: Sequence[int], architectures: Sequence[Architecture]) -> list[Trial]:
    """The trials of a batch, by the column that a search sees."""
    pairs = zip(numbers, architectures, strict=True)
    return [Trial(number, architecture, Score(table.seen[architecture])) for number, architecture in pairs]


class Searches(Protocol):
    """Several searches: `ask` and `tell` of a proposer, for all of them at once."""

    def ask(self, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]: ...

    def tell(self, scored: Sequence[Sequence[Trial]]) -> None: ...


def searches_of(
    module: ModuleType, config: trials.Settings, space: SearchSpace, draw: Draw, rngs: Sequence[Random]
) -> Searches:
    """The searches of a method at their beginning, one a stream."""
    together: Callable[..., Searches] | None = getattr(module, "side_by_side", None)
    if together is not None:
        return together(config, space, draw, rngs)
    return Apart([module.proposer(config, space, draw, rng) for rng in rngs])


class Apart:
    """Proposers that are asked one after another."""

    def __init__(self, proposers: Sequence[Proposer]) -> None:
        self.proposers = proposers

    def ask(self, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]:
        return [one.ask(own) for one, own in zip(self.proposers, rngs, strict=True)]

    def tell(self, scored: Sequence[Sequence[Trial]]) -> None:
        for one, own in zip(self.proposers, scored, strict=True):
            one.tell(own)
