"""Coarse-to-fine selection (Yu and others: BigNAS, ECCV 2020, section 3.3), and the grid of a space it begins with.

Choices are of few sorts: what stands behind the last dot of a name, such as depth, width, kernel, expansion. The grid
sets all choices of a sort alike: to their first option, their last, or the one in the middle. The networks of the grid
that score best are the skeletons; small changes of them, choice by choice, are the fine search.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice, product
from random import Random
from typing import TYPE_CHECKING

from dartboard.errors import InputError
from dartboard.scoring.limits import Limit, is_within, sample_within
from dartboard.search import paths
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value

if TYPE_CHECKING:
    from dartboard.scoring.cost import Cost

LEVELS = (0.0, 0.5, 1.0)  # of the options, from the first to the last
TRIES = 10  # how often a change is tried for each that is wanted


def sort_of(choice: Choice) -> str:
    """What kind of thing is chosen: "depth" of "stage.2.depth"."""
    return choice.name.rpartition(".")[2]


def sorts_of(space: SearchSpace) -> dict[str, int]:
    """The sorts of the choices of a space that have several options, and the most options of a choice of each."""
    found: dict[str, int] = {}
    for choice in space.choices:
        if len(choice.options) > 1:
            found[sort_of(choice)] = max(len(choice.options), found.get(sort_of(choice), 0))
    return found


def uniform(space: SearchSpace, levels: Mapping[str, float]) -> Architecture:
    """The architecture whose choices are all at the level of their sort, from 0, the first option, to 1, the last."""

    def pick(choice: Choice) -> Value:
        return choice.options[round(levels.get(sort_of(choice), 0.0) * (len(choice.options) - 1))]

    return space.walk(pick)


def grid(space: SearchSpace) -> list[tuple[Architecture, dict[str, float]]]:
    """Every setting of levels of the sorts, with the architecture it is; each architecture once."""
    sorts = sorts_of(space)
    each = [LEVELS if options > 2 else LEVELS[::2] for options in sorts.values()]
    found: dict[Architecture, dict[str, float]] = {}
    for setting in product(*each):
        levels = dict(zip(sorts, setting, strict=True))
        found.setdefault(uniform(space, levels), levels)
    return list(found.items())


def skeletons(
    space: SearchSpace, fit: Callable[[Architecture], bool], macs: Callable[[Architecture], int], most: int
) -> list[Architecture]:
    """The networks of the grid that fit, at most so many: those with most multiply-adds, which is where the best under
    a limit are looked for."""
    fitting = [architecture for architecture, _ in grid(space) if fit(architecture)]
    return sorted(fitting, key=lambda one: -macs(one))[:most]


def one_within(
    space: SearchSpace, rng: Random, limits: Sequence[Limit], cost: "Callable[[Architecture], Cost]"
) -> Architecture:
    """A network at random within the limits, or the smallest, if no draw is and it is. Raises InputError, which says
    what the smallest costs, for limits that nothing is within."""
    try:
        return sample_within(space, rng, limits, cost)
    except InputError:
        if is_within(limits, cost, space.smallest()):
            return space.smallest()
        raise


def refinements(
    space: SearchSpace, parents: Sequence[Architecture], known: Collection[Architecture],
    fit: Callable[[Architecture], bool], chance: float, wanted: int, rng: Random,
) -> Iterator[Architecture]:  # fmt: skip
    """So many new architectures that fit, each a parent with choices drawn again; fewer, if no more are found."""
    born = (space.mutate(rng.choice(parents), rng, chance) for _ in range(TRIES * wanted)) if parents else iter(())
    return islice(paths.different(born, known, fit), wanted)
