"""Cells of DARTS beyond the space, the same every time: other node counts, twins, any operation, odd concats."""

from random import Random

from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

OPERATIONS = darts.OPERATIONS + darts.OTHER_OPERATIONS


def odd_cells(count: int = 12) -> dict[str, Architecture]:
    """So many architectures by name."""
    found = {}
    for seed in range(count):
        rng = Random(seed)
        found[f"odd {seed}"] = darts.architecture({kind: odd_cell(rng) for kind in darts.CELLS})
    return found


def odd_cell(rng: Random) -> darts.Cell:
    """1 to 6 nodes of 1 to 4 inputs; the concat has any of them in any order."""
    last = 1 + rng.randint(1, 6)
    numbers = range(2, last + 1)
    nodes = [
        tuple((rng.choice(OPERATIONS), rng.randrange(number)) for _ in range(rng.randint(1, 4))) for number in numbers
    ]
    return darts.Cell(tuple(nodes), tuple(rng.sample(numbers, rng.randint(1, len(numbers)))))
