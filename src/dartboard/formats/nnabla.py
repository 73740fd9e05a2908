"""The JSON of the NNabla example (sony/nnabla-examples, neural-architecture-search/DARTS): arch_normal, arch_reduction.

Each maps a node, "2" and on, to its two [operation id, predecessor] pairs. The output is the concatenation of all
intermediate nodes, and both cells have the same number of nodes (there an option of the command line), so these are
the architectures the notation can hold; and only the eight operations below have an id.
"""

import json
from collections.abc import Mapping
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture, as_tuples, quote

KEYS = {"normal": "arch_normal", "reduce": "arch_reduction"}
OPERATIONS = (  # the position is the id; there skip_connect is called identity, and none zero
    "dil_conv_3x3",
    "dil_conv_5x5",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "none",
)


def read_nnabla(record: dict[str, Any]) -> Architecture:
    """The architecture of the parsed JSON object. Raises InputError."""
    for key in KEYS.values():
        if not isinstance(record.get(key), dict) or not record[key]:
            raise InputError(f"{key!r} is missing or not an object; give an object of nodes")
    if others := set(record) - set(KEYS.values()):
        raise InputError(f"unknown key {quote(min(others))}; known: {', '.join(KEYS.values())}")
    cells = {kind: read_cell(kind, record[key]) for kind, key in KEYS.items()}
    check_sizes(cells)
    return darts.architecture(cells)


def read_cell(kind: str, nodes: dict[str, Any]) -> darts.Cell:
    numbers = range(darts.NUM_INPUTS, darts.NUM_INPUTS + len(nodes))
    if missing := [number for number in numbers if str(number) not in nodes]:
        raise InputError(f"{KEYS[kind]} has no node {missing[0]}; number the nodes from {darts.NUM_INPUTS} on")
    return darts.Cell(tuple(read_node(kind, number, nodes[str(number)]) for number in numbers), tuple(numbers))


def read_node(kind: str, number: int, pairs: Any) -> tuple[darts.Edge, ...]:
    if not isinstance(pairs, list) or len(pairs) != 2:
        raise InputError(f"node {number} of {KEYS[kind]} is {quote(pairs)}; give two [operation id, node] pairs")
    inputs = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not darts.is_int(pair[0]):
            raise InputError(f"node {number} of {KEYS[kind]} has input {quote(pair)}; give [operation id, node]")
        if not 0 <= pair[0] < len(OPERATIONS):
            raise InputError(f"node {number} of {KEYS[kind]} has operation id {pair[0]}; ids are 0 to 7")
        inputs.append((OPERATIONS[pair[0]], as_tuples(pair[1])))
    return tuple(inputs)


def write_nnabla(architecture: Architecture) -> str:
    """One line of JSON. Raises InputError that names what the notation cannot hold."""
    cells = {kind: darts.cell(architecture, kind) for kind in darts.CELLS}
    for kind, cell in cells.items():
        check_holds(kind, cell)
    check_sizes(cells)
    return json.dumps({KEYS[kind]: node_ids(cell) for kind, cell in cells.items()})


def check_sizes(cells: Mapping[str, darts.Cell]) -> None:
    """Raises InputError unless both cells have the same number of nodes."""
    if len(cells["normal"].nodes) != len(cells["reduce"].nodes):
        raise InputError("the cells differ in their number of nodes; the NNabla notation has one number for both")


def check_holds(kind: str, cell: darts.Cell) -> None:
    """Raises InputError unless the NNabla notation can hold the cell."""
    for number, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS):
        for operation, _ in inputs:
            if operation not in OPERATIONS:
                raise InputError(f"the NNabla notation has no {operation!r} (node {number} of the {kind} cell)")
        if len(inputs) != 2:
            raise InputError(f"the NNabla notation has two inputs per node; node {number}, {kind}, has {len(inputs)}")
    every = tuple(range(darts.NUM_INPUTS, darts.NUM_INPUTS + len(cell.nodes)))
    if cell.concat != every:
        hint = f"that of the {kind} cell takes {quote(list(cell.concat))}"
        raise InputError(f"the output of an NNabla cell takes all nodes in order; {hint}")


def node_ids(cell: darts.Cell) -> dict[str, list[list[int]]]:
    return {
        str(number): [[OPERATIONS.index(operation), predecessor] for operation, predecessor in inputs]
        for number, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS)
    }
