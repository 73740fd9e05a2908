"""Which of several points no other one beats in both respects."""

from collections.abc import Sequence


def front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Places of the points that no other one beats: none has a higher value at no higher cost, or the same value at a
    lower cost. From low cost to high; of equal points the first."""
    best, found = float("-inf"), []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -values[place], place)):
        if values[place] > best:
            best = values[place]
            found.append(place)
    return found
