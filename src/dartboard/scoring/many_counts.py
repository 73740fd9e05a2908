"""Multiply-adds of many architectures at one size: counted, or summed up where that is the same.

Counting builds a network. In some spaces each choice adds its own multiply-adds, whatever the others are, so that the
counts of a few networks give those of all. Whether that is so is tried, on many of the architectures that are asked
for; if it is not, every one is counted.
"""

from collections.abc import Callable, Sequence
from typing import Any

from dartboard.scoring.cost import count
from dartboard.spaces.search_space import Architecture, SearchSpace

TRIED = 50  # architectures whose sum is compared with their count; so many or fewer are all counted


def macs_of(space: SearchSpace, architectures: Sequence[Architecture], **sizes: Any) -> list[int]:
    """Multiply-adds of each architecture for one image. sizes: as `count` takes them, if not those of papers."""
    different = sorted(set(architectures), key=str)
    spread_out = different[:: max(1, len(different) // TRIED)]
    by_sum = None if len(different) <= TRIED else summing(space, **sizes)
    if by_sum is None or any(by_sum(one) != count(one, **sizes).macs for one in spread_out):
        return [count(one, **sizes).macs for one in architectures]
    return [by_sum(one) for one in architectures]


def summing(space: SearchSpace, **sizes: Any) -> Callable[[Architecture], int] | None:
    """The smallest architecture's multiply-adds and what each option adds to them; None if choices are conditional."""
    if any(choice.when is not None for choice in space.choices):
        return None
    first = space.smallest()
    base = count(first, **sizes).macs
    added: dict[tuple[str, object], int] = {}
    for choice in space.choices:
        for option in choice.options:
            changed = tuple((name, option if name == choice.name else value) for name, value in first.choices)
            added[choice.name, option] = count(Architecture(first.space, changed), **sizes).macs - base
    return lambda architecture: base + sum(added[pair] for pair in architecture.choices)
