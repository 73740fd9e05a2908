"""Limits on what an architecture may cost, and draws within them. Nothing here imports torch."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from dartboard.errors import InputError, unknown
from dartboard.scoring.cost_by_table import CostByTable
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace, quote

if TYPE_CHECKING:
    from dartboard.scoring.cost import Cost

LATENCY = "latency_ms"  # the cost that a table says, and nobody counts
# Fields of a Cost that can be limited, in words.
NAMES = {
    "params": "parameters",
    "macs": "multiply-adds of an image",
    "bitops": "bit operations of an image",
    "memory_mb": "MB of float32 weights and live maps",  # an MB is 10^6 bytes
    LATENCY: "ms of latency by the table",
}
SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
LIMIT = re.compile(r"\s*(\w+)\s*<=\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)\s*")
EXAMPLE = "macs<=330M or params<=3M,macs<=330M"
BAND = re.compile(r"\s*(\d+(?:\.\d+)?)([kKMG]?)\s*-\s*(\d+(?:\.\d+)?)([kKMG]?)\s*")
MOST_DRAWS = 1000  # draws of which none fits, after which to say so
FIRST_DRAWS = 10  # after so many, where the smallest does not fit either and nothing that was drawn costs less
# As many where no family knows the smallest: of memory, since a network with more weights may have smaller maps.
GUESSED, GUESSED_DRAWS = ("memory_mb",), 200


@dataclass(frozen=True)
class Limit:
    """The most that an architecture may cost. name: one of NAMES."""

    name: str
    at_most: float

    def __str__(self) -> str:
        """As it can be typed: "macs<=400K"."""
        size = max((one for one in SIZES.items() if one[1] <= self.at_most), key=lambda one: one[1], default=("", 1))
        return f"{self.name}<={self.at_most / size[1]:.12g}{size[0]}"


def limits_from(text: str) -> tuple[Limit, ...]:
    """The limits in "params<=3M,macs<=330M"; none in an empty text. Raises InputError in one line."""
    found: dict[str, Limit] = {}
    for part in text.split(",") if text.strip() else ():
        match = LIMIT.fullmatch(part)
        if match is None:
            units = f"numbers may end in {', '.join(name for name in SIZES if name)}"
            raise InputError(f"--limit has {quote(part)}; give it as {EXAMPLE}; {units}")
        name, number, size = match.groups()
        if name not in NAMES:
            raise unknown("limit", name, NAMES)
        if name in found:
            raise InputError(f"--limit names {name} twice; give it once")
        found[name] = Limit(name, float(number) * SIZES[size.upper()])
    return tuple(found.values())


def check_table(text: str, table: str | None) -> None:
    """Raises InputError for --limit that names latency_ms without a table that says what takes how long."""
    if any(limit.name == LATENCY for limit in limits_from(text)) and table is None:
        make = "dartboard latency build --space SPACE --out FILE"
        raise InputError(f"--limit latency_ms needs a table of this device: {make}, then --latency FILE")


def in_words(name: str, number: float, words: Mapping[str, str] = NAMES) -> str:
    """ "40,000 multiply-adds of an image", "2.51 ms of latency by the table". words: of each cost."""
    return f"{number_in_words(number)} {words[name]}"


def number_in_words(number: float) -> str:
    """Whole numbers in full, others to four digits."""
    return f"{number:,}" if isinstance(number, int) else f"{number:.4g}"


def band_from(text: str) -> tuple[float, float] | None:
    """The least and the most multiply-adds in "290M-360M"; None in an empty text. Raises InputError in one line."""
    if not text.strip():
        return None
    match = BAND.fullmatch(text)
    low, high = (float(match[n]) * SIZES[match[n + 1].upper()] for n in (1, 3)) if match else (0.0, 0.0)
    if not low < high:
        raise InputError(f"--band is {quote(text)}; give the least and the most multiply-adds, such as 290M-360M")
    return low, high


def fits(cost: "Cost", limits: Sequence[Limit]) -> bool:
    """Whether a cost is within all limits."""
    return all(getattr(cost, limit.name) <= limit.at_most for limit in limits)


def is_within(limits: Sequence[Limit], cost: "Callable[[Architecture], Cost]", architecture: Architecture) -> bool:
    """Whether an architecture is within all limits; it is counted only if there are some."""
    return not limits or fits(cost(architecture), limits)


def sample_within(
    space: SearchSpace,
    rng: Random,
    limits: Sequence[Limit],
    cost: "Callable[[Architecture], Cost]",
    draw: Callable[[Random], Architecture] | None = None,
) -> Architecture:
    """An architecture drawn uniformly from those of the space that are within the limits, by drawing until one is.

    draw: another way to draw from the space, such as a mutation. Raises InputError, naming what the smallest costs,
    if that is over a limit, or if of 1,000 draws none is within them all. If a draw costs less than what the family
    calls its cheapest architectures, the smallest that was drawn stands for them; for memory it may always do so, and
    for latency the fastest that is found by the table.
    """
    draw = draw or space.sample
    if not limits:
        return draw(rng)
    first = [cost(one) for one in cheapest(space)]
    least = [min(getattr(one, limit.name) for one in first) for limit in limits]  # by limit, of what was counted
    few = GUESSED_DRAWS if any(limit.name in GUESSED for limit in limits) else FIRST_DRAWS
    for number in range(MOST_DRAWS):
        if number == few and not within(least, limits):
            least = lower(least, [cost(one) for one in fastest(space, limits, cost)], limits)
        if number >= few and not within(least, limits):
            raise refusal(space, limits, least)
        architecture = draw(rng)
        if not is_open(least, limits) and is_too_slow(architecture, limits, cost):
            continue  # what is counted would decide nothing
        found = cost(architecture)
        if fits(found, limits):
            return architecture
        least = lower(least, [found], limits)
    names = smallest_in_words(space, limits, least)
    why = f"none of {MOST_DRAWS:,} draws is within --limit, though {names}"
    raise InputError(f"{why}: such architectures are too rare to be drawn; give a larger --limit")


def lower(least: Sequence[float], costs: "Sequence[Cost]", limits: Sequence[Limit]) -> list[float]:
    """The smallest of each limit's cost, of what was known and of these costs."""
    pairs = zip(least, limits, strict=True)
    return [min([one, *(getattr(cost, limit.name) for cost in costs)]) for one, limit in pairs]


def is_open(least: Sequence[float], limits: Sequence[Limit]) -> bool:
    """Whether nothing is known yet that is within some limit on what is counted."""
    return any(limit.name != LATENCY and one > limit.at_most for one, limit in zip(least, limits, strict=True))


def is_too_slow(architecture: Architecture, limits: Sequence[Limit], cost: "Callable[[Architecture], Cost]") -> bool:
    """Whether a table of latencies alone says that an architecture is beyond a limit, before anything is counted."""
    if not isinstance(cost, CostByTable):
        return False
    return any(limit.name == LATENCY and cost.predict_ms(architecture) > limit.at_most for limit in limits)


def fastest(
    space: SearchSpace, limits: Sequence[Limit], cost: "Callable[[Architecture], Cost]"
) -> Sequence[Architecture]:
    """Where latency is limited, what is found by the table from the cheapest architectures: of all that differ in one
    choice the fastest is taken, until none is faster. None where no table says it."""
    if not isinstance(cost, CostByTable) or all(limit.name != LATENCY for limit in limits):
        return ()
    found = min(cheapest(space), key=cost.predict_ms)
    while cost.predict_ms(step := min(neighbours(space, found), key=cost.predict_ms)) < cost.predict_ms(found):
        found = step
    return (found,)


def neighbours(space: SearchSpace, architecture: Architecture) -> Iterator[Architecture]:
    """The architecture, and all that differ in one choice; what comes to exist by that has its first option."""
    values = dict(architecture.choices)
    yield architecture
    for choice in space.choices:
        for option in choice.options if choice.name in values else ():
            changed = {**values, choice.name: option}
            yield space.walk(lambda one, changed=changed: changed.get(one.name, one.options[0]))  # type: ignore[misc]


def refusal(space: SearchSpace, limits: Sequence[Limit], least: Sequence[float]) -> InputError:
    """What to say where nothing is within the limits. least: by limit, the smallest cost that was found."""
    return InputError(f"{smallest_in_words(space, limits, least)}; give a --limit above that")


def smallest_in_words(space: SearchSpace, limits: Sequence[Limit], least: Sequence[float]) -> str:
    names = ", ".join(in_words(limit.name, one) for one, limit in zip(least, limits, strict=True))
    return f"the smallest architecture of {space.name} has {names}"


def cheapest(space: SearchSpace) -> Sequence[Architecture]:
    """Architectures of which one costs least, as the family says; of a space of no known family the smallest."""
    return FAMILIES[space.family].cheapest(space) if space.family in FAMILIES else (space.smallest(),)


def within(numbers: Sequence[float], limits: Sequence[Limit]) -> bool:
    """Whether each number, one a limit, is within it."""
    return all(number <= limit.at_most for number, limit in zip(numbers, limits, strict=True))
