"""How the groups of a page are told apart: a colour and a way of dashing for each, in every picture the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from dartboard.report.figures import Dashes

COLOURS = ("--one", "--two", "--five", "--six", "--three")  # the first four and grey differ for every kind of sight
DASHES: tuple[Dashes, ...] = ((), (5, 1.6), (5, 1.4, 1, 1.4), (2.2, 1.1), (5, 1.3, 1, 1.3, 1, 1.3))
BASELINE_COLOURS = ("--four", "--ink")
BASELINE_DASHES: tuple[Dashes, ...] = ((1, 1.1), (3.5, 1.1, 1, 1.1))


@dataclass(frozen=True)
class Look:
    """A colour of the page and the dashes of a line."""

    colour: str
    dashes: Dashes = ()


def looks_of(baselines: Sequence[bool]) -> list[Look]:
    """One for each group; true for a baseline, which is grey or black, and dotted.

    The first five groups differ in colour and in dashes, so that nobody needs to see colours; the first 25 in one.
    """
    found, groups, plain = [], 0, 0
    for is_baseline in baselines:
        if is_baseline:
            found.append(Look(BASELINE_COLOURS[plain % 2], BASELINE_DASHES[plain % 2]))
            plain += 1
        else:
            turn = groups + groups // len(COLOURS)
            found.append(Look(COLOURS[groups % len(COLOURS)], DASHES[turn % len(DASHES)]))
            groups += 1
    return found
