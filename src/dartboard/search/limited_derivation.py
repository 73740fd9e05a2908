"""The most probable architecture within limits, read off mixture weights.

The score of an architecture is the product of the weights that its operations have on their edges. Where every edge
stays, as in NAS-Bench-201, that is its probability; in DARTS cells it is what section 2.4 of DARTS makes largest: for
each node the two edges, and on each the operation other than `none`, that weigh most. So without a limit that binds,
the result is what the family derives. With one:
    exact, if a space has at most 20,000 architectures: the first that fits, in the order of the score;
    otherwise the best that fits of 1,000 draws, each choice by its options' scores, of all architectures that differ
    from the derived one in one choice, and of one that is known to fit; and then, as long as something that differs in
    one choice from the best fits and scores higher, the best of these.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import islice
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dartboard.scoring.cost import MB, Cost
from dartboard.scoring.edge_costs import EdgeCosts, parts_of
from dartboard.scoring.limits import Limit, cheapest, fits, is_within, refusal, sample_within
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.places import NUMBER_BYTES
from dartboard.spaces.search_space import Architecture, SearchSpace

ENUMERABLE = 20_000  # architectures of which the best is found by trying them all
DRAWS = 1000
PARAMETER_MB = NUMBER_BYTES / MB
LEAST = 1e-300  # of a weight: its logarithm is finite

Weights = Mapping[str, Sequence[Sequence[float]]]  # by kind of cell, a row an edge, a column an operation; softmaxed
Places = tuple[int, ...]  # of each choice, the number of an option
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Limited:
    """A space under limits. cost: counts an architecture; edges: its costs that are sums; first: one that fits.

    rng: makes the stream of the draws, the same at each call.
    """

    space: SearchSpace
    limits: Sequence[Limit]
    cost: Callable[[Architecture], Cost]
    edges: EdgeCosts
    first: Architecture
    rng: Callable[[], Random]

    @cached_property
    def costs(self) -> list[tuple[float, list[Numbers]]]:
        """Of each limit: what edges may add at most to a cost that is a sum, and what each option of a choice adds.

        Of memory that is parameters, the part of it that is a sum: what they leave over must hold the rest.
        """
        summed = self.edges.rest
        names = {limit.name: limit.name if limit.name in summed else "params" for limit in self.limits}
        return [
            (
                (limit.at_most if limit.name in summed else (limit.at_most - self.floor_mb) / PARAMETER_MB)
                - self.edges.rest[names[limit.name]],
                costs_by_choice(self.space, self.edges, names[limit.name]),
            )
            for limit in self.limits
        ]

    @cached_property
    def floor_mb(self) -> float:
        """Memory besides the parameters. Where all are tried, none is taken for granted; else that of the first."""
        if self.space.size <= ENUMERABLE:
            return 0.0
        found = self.cost(self.first)
        return found.memory_mb - PARAMETER_MB * found.params

    def most_probable(self, weights: Weights, derived: Architecture) -> Architecture:
        """The architecture within the limits with the largest score. derived: without limits; it is, if it fits."""
        if is_within(self.limits, self.cost, derived):
            return derived
        logs, first = scores_by_choice(self.space, weights), places_of(self.space, self.first)
        if self.space.size <= ENUMERABLE:
            return architecture_at(self.space, next(self.of_all(logs), first))
        candidates = [*self.draws(logs), *neighbours(self.space, places_of(self.space, derived))]
        best = next(self.best_of(candidates, logs, above=score(logs, first)), first)
        while better := next(self.best_of(neighbours(self.space, best), logs, above=score(logs, best)), None):
            best = better
        return architecture_at(self.space, best)

    def next_best(self, weights: Weights, found: Architecture, number: int) -> list[Architecture]:
        """So many others within the limits, those with the largest scores first: of all architectures of a space that
        is tried as a whole, else of those that differ from what was found in one choice."""
        logs, own = scores_by_choice(self.space, weights), places_of(self.space, found)
        every = self.space.size <= ENUMERABLE
        others = self.of_all(logs) if every else self.best_of(neighbours(self.space, own), logs, above=-math.inf)
        return [architecture_at(self.space, one) for one in islice((one for one in others if one != own), number)]

    def of_all(self, logs: Sequence[Numbers]) -> Iterator[Places]:
        """All architectures of the space that are within the limits, those with the largest scores first."""
        total = reduce(np.add.outer, logs)
        within = np.ones(total.shape, dtype=bool)
        for most, costs in self.costs:
            within &= reduce(np.add.outer, costs) <= most
        order = np.argsort(-total, axis=None, kind="stable")
        for number in order[within.ravel()[order]]:
            places = tuple(int(place) for place in np.unravel_index(number, total.shape))
            if is_within(self.limits, self.cost, architecture_at(self.space, places)):
                yield places

    def draws(self, logs: Sequence[Numbers]) -> Iterator[Places]:
        """Places of options, those of each choice drawn in proportion to their scores."""
        rng, columns = self.rng(), []
        for own in logs:
            chances = np.exp(own - own.max())
            columns.append(rng.choices(range(len(own)), weights=chances.tolist(), k=DRAWS))
        return zip(*columns, strict=True)

    def best_of(self, candidates: Iterable[Places], logs: Sequence[Numbers], above: float) -> Iterator[Places]:
        """The candidates within the limits whose scores are above that, the largest first."""
        scores = {places: score(logs, places) for places in candidates}
        for places in sorted((one for one in scores if scores[one] > above), key=lambda one: -scores[one]):
            sums_fit = all(score(costs, places) <= most for most, costs in self.costs)
            if sums_fit and is_within(self.limits, self.cost, architecture_at(self.space, places)):
                yield places


def scores_by_choice(space: SearchSpace, weights: Weights) -> list[Numbers]:
    """Of each choice, the logarithm of every option's score."""
    family = FAMILIES[space.family]
    assert family.parts is not None
    columns = {
        (kind, row, name): max(weights[kind][row][column], LEAST)
        for kind, rows in family.mixed(space).items()
        for row, names in enumerate(rows)
        for column, name in enumerate(names)
    }
    return [
        np.array([sum(np.log(columns[part]) for part in family.parts(one.name, option)) for option in one.options])
        for one in space.choices
    ]


def costs_by_choice(space: SearchSpace, edges: EdgeCosts, name: str) -> list[Numbers]:
    """Of each choice, what every option adds to a cost."""
    parts = FAMILIES[space.family].parts
    assert parts is not None
    return [np.array([float(edges.of(name, parts(one.name, o))) for o in one.options]) for one in space.choices]


def score(numbers: Sequence[Numbers], places: Places) -> float:
    """The sum of the numbers, one a choice, at these places."""
    return float(sum(own[place] for own, place in zip(numbers, places, strict=True)))


def neighbours(space: SearchSpace, places: Places) -> Iterator[Places]:
    """All that differ in one choice."""
    for number, choice in enumerate(space.choices):
        for option in range(len(choice.options)):
            if option != places[number]:
                yield (*places[:number], option, *places[number + 1 :])


def places_of(space: SearchSpace, architecture: Architecture) -> Places:
    return tuple(choice.options.index(architecture[choice.name]) for choice in space.choices)


def architecture_at(space: SearchSpace, places: Sequence[int]) -> Architecture:
    pairs = zip(space.choices, places, strict=True)
    return Architecture(space.family, tuple((choice.name, choice.options[place]) for choice, place in pairs))


def first_within(
    space: SearchSpace, limits: Sequence[Limit], cost: Callable[[Architecture], Cost], edges: EdgeCosts, rng: Random
) -> Architecture:
    """An architecture within the limits. Raises InputError, with the smallest possible, if there is none to be found.

    Nothing is counted for what sums over edges say.
    """
    smallest = {}
    for limit in (limit for limit in limits if limit.name in edges.rest):
        costs = costs_by_choice(space, edges, limit.name)
        smallest[limit] = architecture_at(space, [int(own.argmin()) for own in costs])

    def summed(architecture: Architecture) -> Cost:
        """Sums, and counted only if they are within the limits; memory is then not known, and over any limit."""
        sums: dict[str, Any] = {name: edges.total(name, parts_of(architecture)) for name in edges.rest}
        found = Cost(params_with_auxiliary=sums["params"], memory_mb=math.inf, **sums)
        return cost(architecture) if fits(found, list(smallest)) else found

    over = [limit for limit, one in smallest.items() if not fits(summed(one), [limit])]
    if over:
        raise refusal(space, over, [getattr(summed(smallest[limit]), limit.name) for limit in over])
    for one in (*smallest.values(), *cheapest(space)):
        if fits(summed(one), limits):
            return one
    return sample_within(space, rng, limits, summed)
