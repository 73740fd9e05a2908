"""An evolution over many thousand candidates that are held in arrays, by a prediction of their accuracy.

The evolution is Once-for-All's (Cai et al., ICLR 2020; mit-han-lab/once-for-all): a population of 100, of which the
best quarter are the parents of the next; half of the children are mutations, half crossovers. Departures: children that
were candidates before are not candidates again; the best of all candidates are returned, the children of the last
generation among them, which the released code forgets; where fewer than half of the children that are wanted are new
and within the limits, the population has converged, and another one starts from uniform draws.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dartboard.search.coarse_to_fine import sort_of
from dartboard.spaces.columns import Columns, Flags, Rows, keys

POPULATION, PARENTS = 100, 25
MOST_GENERATIONS = 2  # times as many as their candidates need if all are new
CHANCE = 0.1  # of each choice to be drawn again in a mutation
CHANCES = {"resolution": 0.5}  # the same, of sorts of choices that have their own
TRIES, TIMES = 5, 4  # rounds in which children are drawn that are missing, and how many times as many each draws

Floats = NDArray[np.float64]
Predict = Callable[[Rows], Floats]
Fit = Callable[[Rows], Flags]
Make = Callable[[int], Rows]  # so many rows, drawn


@dataclass
class Candidates:
    """All candidates so far, each once. rows, predicted: of each generation; known: what tells them apart; beyond: the
    same of rows that are not within the limits."""

    columns: Columns
    predict: Predict
    fit: Fit
    rows: list[Rows] = field(default_factory=list)
    predicted: list[Floats] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    beyond: set[bytes] = field(default_factory=set)

    def born(self, wanted: int, make: Make) -> Rows:
        """So many new candidates within the limits; fewer, if they are not found in a few rounds."""
        found, missing = [make(0)], wanted
        for _ in range(TRIES):
            if missing:
                found.append(self.new(make(max(POPULATION, TIMES * missing)), missing))
                missing -= len(found[-1])
        return np.concatenate(found)

    def new(self, rows: Rows, most: int) -> Rows:
        """The first of the rows that are within the limits and no candidates yet; they are from now on."""
        unseen: dict[bytes, int] = {}
        for place, key in enumerate(keys(rows)):
            if key not in self.known and key not in self.beyond:
                unseen.setdefault(key, place)
        names, places = list(unseen), np.array(list(unseen.values()), dtype=np.int64)
        fitting = self.fit(rows[places])
        self.beyond.update(names[number] for number in np.flatnonzero(~fitting))
        taken = np.flatnonzero(fitting)[:most]
        self.known.update(names[number] for number in taken)
        return rows[places[taken]]

    def add(self, rows: Rows) -> Floats:
        """Predicts the accuracies of new candidates, (N,)."""
        self.rows.append(rows)
        self.predicted.append(self.predict(rows))
        return self.predicted[-1]

    def best(self, number: int) -> tuple[Rows, Floats]:
        """The candidates with the highest predictions, the best first; of equal ones the earliest."""
        rows, predicted = np.concatenate(self.rows), np.concatenate(self.predicted)
        order = np.argsort(-predicted, kind="stable")[:number]
        return rows[order], predicted[order]


def chances(columns: Columns) -> list[float]:
    """The chance of each choice to be drawn again in a mutation."""
    return [CHANCES.get(sort_of(choice), CHANCE) for choice in columns.space.choices]


def evolved(
    columns: Columns, first: Rows, predict: Predict, fit: Fit, number: int, rng: np.random.Generator,
    told: Callable[[int], None] = lambda fresh: None,
) -> Candidates:  # fmt: skip
    """At most so many candidates within the limits, each once. first: (N, choices), N from 1, some that are within
    them; predict: accuracies of rows; told: is called with the size of each generation, and may raise to stop."""
    found, chance = Candidates(columns, predict, fit), chances(columns)
    draw = partial(columns.sample, rng=rng)
    population = found.new(first, number)
    population = np.concatenate([population, found.born(min(POPULATION, number) - len(population), draw)])
    predicted = found.add(population)
    told(len(population))
    for _ in range(MOST_GENERATIONS * number // POPULATION):
        wanted = min(POPULATION, number - len(found.known))
        order = np.argsort(-predicted, kind="stable")[:PARENTS]
        parents, values = population[order], predicted[order]
        children = generation(found, parents, wanted, chance, rng)
        if 2 * len(children) < wanted:  # the population has converged
            drawn = found.born(wanted - len(children), draw)
            if len(drawn) >= PARENTS:  # another one starts from them; what the children are worth is known all the same
                told(len(children))
                found.add(children)
                parents, values, children = drawn[:0], predicted[:0], drawn
            else:
                children = np.concatenate([children, drawn])
        if not len(children):
            break
        population = np.concatenate([parents, children])
        predicted = np.concatenate([values, found.add(children)])
        told(len(children))
    return found


def generation(found: Candidates, parents: Rows, wanted: int, chance: list[float], rng: np.random.Generator) -> Rows:
    """New children of the parents: half mutations, half crossovers; fewer, if no others are new and fit."""
    columns = found.columns

    def some(number: int) -> Rows:
        return parents[rng.integers(0, len(parents), number)]

    mutations = found.born(wanted // 2, lambda number: columns.mutate(some(number), rng, chance))
    missing = wanted - len(mutations)
    return np.concatenate(
        [mutations, found.born(missing, lambda number: columns.cross(some(number), some(number), rng))]
    )
