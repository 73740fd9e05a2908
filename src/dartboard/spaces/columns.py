"""Many architectures of a space side by side: an array of whole numbers, a row each, a column for each choice.

A number is the place of a value among the options of its choice; ABSENT stands where the choice does not exist. What
SearchSpace does with one architecture, with the same chances, is done here with all rows at once. No torch.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dartboard.spaces.search_space import Architecture, SearchSpace

Rows = NDArray[np.int16]  # (N, choices)
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
ABSENT = -1


class Columns:
    """The choices of a space as columns. options: number of options of each choice, (choices,)."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.options = np.array([len(choice.options) for choice in space.choices], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.options)])  # of a choice's numbers in one_hot
        numbers = {choice.name: number for number, choice in enumerate(space.choices)}
        self.conditions: list[tuple[int, int, Flags]] = []  # (column, the earlier one it depends on, by whose places)
        for choice in space.choices:
            if choice.when is not None:
                name, values = choice.when
                parent = space.choices[numbers[name]]
                allowed = [option in values for option in parent.options]
                # The last flag is that of ABSENT, which is -1.
                self.conditions.append((numbers[choice.name], numbers[name], np.array([*allowed, False])))

    def __len__(self) -> int:
        return len(self.options)

    def rows(self, architectures: Sequence[Architecture]) -> Rows:
        """(N, choices): the rows of architectures of the space. Raises KeyError for a value that is not there."""
        places = [
            (choice.name, {option: place for place, option in enumerate(choice.options)})
            for choice in self.space.choices
        ]
        found = np.full((len(architectures), len(self)), ABSENT, dtype=np.int16)
        for number, architecture in enumerate(architectures):
            values = dict(architecture.choices)
            found[number] = [known[values[name]] if name in values else ABSENT for name, known in places]
        return found

    def architectures(self, rows: Rows) -> list[Architecture]:
        """The architectures of rows."""
        choices, family = self.space.choices, self.space.family

        def values(row: list[int]) -> tuple[tuple[str, object], ...]:
            pairs = zip(choices, row, strict=True)
            return tuple((choice.name, choice.options[place]) for choice, place in pairs if place != ABSENT)

        return [Architecture(family, values(row)) for row in rows.tolist()]

    def contains(self, rows: Rows) -> Flags:
        """(N,): whether each row is an architecture of the space: every choice that exists has a place, no other."""
        exists = np.ones(rows.shape, dtype=np.bool_)
        inside = ((rows >= ABSENT) & (rows < self.options)).all(axis=1)
        for column, parent, allowed in self.conditions:
            exists[inside, column] = allowed[rows[inside, parent]]
        return np.asarray(inside & ((rows >= 0) == exists).all(axis=1))

    def existing(self, places: NDArray[np.int64]) -> Rows:
        """(N, choices): the rows with these places, without those of choices that do not exist, in the order of
        `walk`. places: one for every choice that may exist."""
        rows = places.astype(np.int16)
        for column, parent, allowed in self.conditions:
            rows[~allowed[rows[:, parent]], column] = ABSENT
        return rows

    def sample(self, number: int, rng: np.random.Generator) -> Rows:
        """Each choice that exists drawn uniformly, as `SearchSpace.sample`."""
        return self.existing(self.drawn(number, rng))

    def drawn(self, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(number, choices): a place for every choice, whether it exists or not."""
        return rng.integers(0, self.options, size=(number, len(self)))

    def mutate(self, rows: Rows, rng: np.random.Generator, chance: float | Sequence[float]) -> Rows:
        """The rows with some choices drawn again, and the choices that depend on them drawn too, as
        `SearchSpace.mutate`. chance: of each choice to be drawn again, one for all or one each."""
        again = rng.random(rows.shape) < np.asarray(chance)
        return self.existing(np.where(again | (rows == ABSENT), self.drawn(len(rows), rng), rows))

    def cross(self, one: Rows, other: Rows, rng: np.random.Generator) -> Rows:
        """Every choice from one parent or the other, with equal chance if both have it, as `SearchSpace.cross`."""
        first = (other == ABSENT) | ((one != ABSENT) & (rng.random(one.shape) < 0.5))
        return self.existing(np.where(first, one, other).astype(np.int64))

    def one_hot(self, rows: Rows) -> Floats:
        """(N, sum of options): 1 at the option of each choice that exists; all zeros of one that does not."""
        found = np.zeros((len(rows), self.starts[-1]), dtype=np.float32)
        number, column = np.nonzero(rows != ABSENT)
        found[number, self.starts[column] + rows[number, column]] = 1.0
        return found


def keys(rows: Rows) -> list[bytes]:
    """What tells rows apart, hashable: one each."""
    width = rows.shape[1] * rows.itemsize
    content = np.ascontiguousarray(rows).tobytes()
    return [content[start : start + width] for start in range(0, len(content), width)] if width else []
