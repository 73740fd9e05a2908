"""The phases of progressive shrinking (Cai and others: Once-for-All, ICLR 2020, section 3.3): one sort of choice after
another becomes elastic, from its largest option downwards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dartboard.errors import InputError
from dartboard.search.coarse_to_fine import sort_of
from dartboard.spaces.search_space import Architecture, SearchSpace

# Sorts of choices, by the place in Phase.open of how many options are elastic; all others are elastic from the start.
ELASTIC = {"kernel": 0, "depth": 1, "expansion": 2, "width": 2}
RESOLUTION = "resolution"


@dataclass(frozen=True)
class Phase:
    """name: what it is called; share: of the epochs; lr: share of the first learning rate; networks: that learn in a
    step; warm: share of its epochs in which the learning rate rises; open: of kernel, depth and width, how many options
    are elastic, from the largest on; sorts: whether channels are sorted before it."""

    name: str
    share: int
    lr: float
    networks: int
    warm: float
    open: tuple[int, int, int]
    sorts: bool = False


ALL = 99  # options
# The authors' code: epochs, learning rates (those of 32 GPUs) over that of the full network, networks in a step.
PHASES = (
    Phase("full", 180, 1.0, 1, 0.0, (1, 1, 1)),
    Phase("kernel", 125, 0.96 / 2.6, 1, 0.04, (ALL, 1, 1)),
    Phase("depth 1", 25, 0.08 / 2.6, 2, 0.0, (ALL, 2, 1)),
    Phase("depth 2", 125, 0.24 / 2.6, 2, 0.04, (ALL, ALL, 1)),
    Phase("width 1", 25, 0.08 / 2.6, 4, 0.0, (ALL, ALL, 2), sorts=True),
    Phase("width 2", 125, 0.24 / 2.6, 4, 0.04, (ALL, ALL, ALL), sorts=True),
)
NAMES = tuple(phase.name for phase in PHASES)


def phases_to(last: str) -> tuple[Phase, ...]:
    """The phases up to one. Raises InputError for an unknown name."""
    if last not in NAMES:
        raise InputError(f"--last-phase is {last!r}; give one of {', '.join(NAMES)}")
    return PHASES[: NAMES.index(last) + 1]


def epochs_of(phases: Sequence[Phase], epochs: int) -> list[int]:
    """Epochs of each phase: in proportion, at least one, `epochs` in all. Raises InputError for fewer than phases.

    What is left over from rounding down goes to those that lost most by it.
    """
    if epochs < len(phases):
        raise InputError(f"--epochs {epochs}: there are {len(phases)} phases, give {len(phases)} epochs or more")
    total = sum(phase.share for phase in phases)
    exact = [epochs * phase.share / total for phase in phases]
    found = [max(1, math.floor(one)) for one in exact]
    while sum(found) > epochs:  # those that got their one epoch took it from others
        largest = max(range(len(found)), key=lambda place: found[place])
        found[largest] -= 1
    order = sorted(range(len(found)), key=lambda place: found[place] - exact[place])
    for place in order[: epochs - sum(found)]:
        found[place] += 1
    return found


def at(phases: Sequence[Phase], epochs: int, epoch: int) -> tuple[int, int, int]:
    """Where an epoch lies: the number of its phase, its place in the phase, the epochs of the phase."""
    for number, length in enumerate(epochs_of(phases, epochs)):
        if epoch < length:
            return number, epoch, length
        epoch -= length
    raise IndexError(f"epoch {epoch} is beyond the last phase")


def opened(space: SearchSpace, phase: Phase) -> SearchSpace:
    """The networks that may learn in a phase: of every sort that shrinks, the largest options that are elastic."""
    most = {sort: phase.open[place] for sort, place in ELASTIC.items()}
    return space.narrowed({one.name: one.options[-most.get(sort_of(one), ALL) :] for one in space.choices})


def at_resolution(space: SearchSpace, like: Architecture) -> SearchSpace:
    """The networks of a space that have the resolution of this one."""
    return space.narrowed({RESOLUTION: (like[RESOLUTION],)}) if RESOLUTION in like else space


def expansions_before(space: SearchSpace, phase: Phase) -> list[int]:
    """Expansions that were elastic before a phase that sorts channels, the largest aside: what they take must stay."""
    before = opened(space, PHASES[NAMES.index(phase.name) - 1])
    found = {option for one in before.choices if sort_of(one) == "expansion" for option in one.options}
    return sorted(found)[:-1]
