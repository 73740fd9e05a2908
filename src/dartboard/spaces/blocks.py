"""Cells of blocks as plain data: what the spaces of ENAS micro and NASNet share.

A cell has two inputs, nodes 0 and 1, and blocks, nodes 2, 3, ...; a block is a tuple that begins with the two earlier
nodes it reads. Choices are called "normal.2.input1": kind of cell, node, part of the block.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, product
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote

CELLS = ("normal", "reduce")
TITLES = {"normal": "normal cell", "reduce": "reduction cell"}
NUM_INPUTS = 2


def read_cells(
    values: Mapping[str, Value], parts: Sequence[str], others: Collection[str] = ()
) -> dict[str, list[tuple[Any, ...]]]:
    """The blocks of both cells in {"normal.2.input1": 0, ...}, as they stand there. others: further choices, not read.

    Raises InputError for a missing or unknown choice.
    """
    cells: dict[str, list[tuple[Any, ...]]] = {}
    known = {*others}
    for kind in CELLS:
        cells[kind] = []
        while any(f"{kind}.{len(cells[kind]) + NUM_INPUTS}.{part}" in values for part in parts):
            names = [f"{kind}.{len(cells[kind]) + NUM_INPUTS}.{part}" for part in parts]
            if missing := [name for name in names if name not in values]:
                raise InputError(f"the choice {missing[0]!r} is missing; a block has {', '.join(parts)}")
            cells[kind].append(tuple(values[name] for name in names))
            known |= {*names}
    if unknown := [name for name in values if name not in known]:
        raise InputError(f"unknown choice {quote(unknown[0])}; known: normal.2.{parts[0]}, ..., reduce.6.{parts[-1]}")
    return cells


def blocks_of(architecture: Architecture, kind: str, parts: Sequence[str]) -> list[tuple[Any, ...]]:
    """The blocks of the cell `normal` or `reduce`."""
    values = dict(architecture.choices)
    found: list[tuple[Any, ...]] = []
    while (name := f"{kind}.{len(found) + NUM_INPUTS}") + f".{parts[0]}" in values:
        found.append(tuple(values[f"{name}.{part}"] for part in parts))
    return found


def loose_ends(blocks: Sequence[tuple[Any, ...]]) -> list[int]:
    """The nodes that no block reads, inputs of the cell included. The last node is one."""
    taken = {node for block in blocks for node in block[:NUM_INPUTS]}
    return [node for node in range(NUM_INPUTS + len(blocks)) if node not in taken]


def mixed(space: SearchSpace, names: Mapping[str, str]) -> Mixed:
    """What each of the two operations of each block has to choose from. names: of the lists, by kind of cell."""
    own = {kind: [one for one in space.choices if one.name.startswith(kind)] for kind in CELLS}
    return {names[kind]: tuple(one.options for one in own[kind] if "operation" in one.name) for kind in CELLS}


def offered(space: SearchSpace) -> list[list[str]]:
    """All operations that any block of the normal cell can have, and of the reduction cell."""
    own = mixed(space, {kind: kind for kind in CELLS})
    return [list(dict.fromkeys(chain(*own[kind]))) for kind in CELLS]


def cheapest(space: SearchSpace, order: Sequence[str]) -> list[Architecture]:
    """Pairs of cells of which one costs least: each block takes the one before it twice, the first any of the inputs,
    since it depends on the sizes which that should be. order: operations and combiners from small to large, the first
    of those that there are; others come after them."""
    starts = [(0, 0), (1, 1), (0, 1)]
    return [chained(space, order, dict(zip(CELLS, both, strict=True))) for both in product(starts, repeat=len(CELLS))]


def chained(space: SearchSpace, order: Sequence[str], starts: Mapping[str, tuple[int, int]]) -> Architecture:
    """starts: what the first block of each cell takes."""

    def pick(choice: Choice) -> Value:
        kind, node, part = choice.name.split(".")
        if part.startswith("input"):
            return starts[kind][int(part[-1]) - 1] if int(node) == NUM_INPUTS else choice.options[-1]
        return min(choice.options, key=lambda name: order.index(name) if name in order else len(order))

    return space.walk(pick)
