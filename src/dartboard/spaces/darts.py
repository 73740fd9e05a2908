"""The convolutional space of DARTS (Liu, Simonyan, Yang: DARTS, ICLR 2019, section 2.1 and 3.1.1), as plain data.

A cell has two inputs, node 0 (output of the cell before the last) and node 1 (output of the last cell), and
intermediate nodes from 2 on. Each intermediate node adds the results of a few operations, each applied to an earlier
node. The cell's output is the concatenation of the nodes in `concat`. An architecture has two cells: `normal` keeps
the map size, `reduce` halves it.

The value of the choice "normal.2" is the inputs of node 2: a tuple of (operation, predecessor) pairs. The value of
"normal.concat" is a tuple of node numbers. Published cells with other node counts, other concat lists or one
predecessor used twice are architectures too; they lie outside SPACE, and the networks build them all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TypeVar

from dartboard.errors import InputError, unknown
from dartboard.spaces.family import Family
from dartboard.spaces.graph import Graph, skips_and_pools
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_cells import Edges, distinct, of_cells, operation, places
from dartboard.spaces.timed_layers import Layer, Sizes, TimedLayers

CELLS = ("normal", "reduce")
TITLES = {"normal": "normal cell", "reduce": "reduction cell"}
NUM_INPUTS = 2
NUM_NODES = 4
# What each operation is: a chain of layers in the words of layers.py; "/" marks the layers that take the edge's stride.
# The first eight are the candidates of the search, in the id order of the official code; the others occur in published
# cells and in other spaces. A new operation is one more line here (CONTRIBUTING.md shows it).
RECIPES: dict[str, tuple[str, ...]] = {
    "none": ("zero/",),
    "max_pool_3x3": ("max_pool3/",),
    "avg_pool_3x3": ("avg_pool3/",),
    "skip_connect": ("skip/",),
    "sep_conv_3x3": ("relu", "depthwise3/", "pointwise", "norm", "relu", "depthwise3", "pointwise", "norm"),
    "sep_conv_5x5": ("relu", "depthwise5/", "pointwise", "norm", "relu", "depthwise5", "pointwise", "norm"),
    "dil_conv_3x3": ("relu", "dilated3/", "pointwise", "norm"),
    "dil_conv_5x5": ("relu", "dilated5/", "pointwise", "norm"),
    "sep_conv_7x7": ("relu", "depthwise7/", "pointwise", "norm", "relu", "depthwise7", "pointwise", "norm"),
    "conv_7x1_1x7": ("relu", "conv1x7/", "conv7x1/", "norm"),
    "conv_3x1_1x3": ("relu", "conv1x3/", "conv3x1/", "norm"),
    "noise": ("noise/",),
}
OPERATIONS = tuple(RECIPES)[:8]
OTHER_OPERATIONS = tuple(RECIPES)[8:]
MAX_NODES = 64  # more intermediate nodes than any published cell; larger files are refused

Edge = tuple[str, int]  # (operation, predecessor)
# By kind of cell, for every edge in the order of `edges`, what its relaxed form mixes: the columns of its weights.
Mixed = Mapping[str, Sequence[Sequence[str]]]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Cell:
    """nodes[i]: the inputs of node i + 2; concat: the nodes that make the output."""

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]


def edges(num_nodes: int = NUM_NODES) -> tuple[tuple[int, int], ...]:
    """(source, target) of every edge of the relaxed cell, by target, then source: 14 for four nodes."""
    return tuple((source, target) for target in range(NUM_INPUTS, NUM_INPUTS + num_nodes) for source in range(target))


def edges_of(num_rows: int) -> tuple[tuple[int, int], ...]:
    """The edges of the relaxed cell whose table has this number of rows; those of the next larger one if none has."""
    return next(found for nodes in range(1, MAX_NODES + 1) if len(found := edges(nodes)) >= num_rows)


def num_skips(architecture: Architecture) -> int:
    """Skip connections of the normal cell."""
    return sum(name == "skip_connect" for node in cell(architecture, "normal").nodes for name, _ in node)


def is_learnable(operation: str) -> bool:
    """Whether it has weights that a stride does not add: a convolution."""
    return "norm" in RECIPES[operation]


def cell(architecture: Architecture, kind: str) -> Cell:
    """The cell `normal` or `reduce` of an architecture."""
    values = dict(architecture.choices)
    nodes: list[Value] = []
    while (name := f"{kind}.{len(nodes) + NUM_INPUTS}") in values:
        nodes.append(values[name])
    return Cell(tuple(nodes), values[f"{kind}.concat"])


def architecture(cells: Mapping[str, Cell]) -> Architecture:
    """The architecture made of the cells `normal` and `reduce`, checked. Raises InputError."""
    choices: list[tuple[str, Value]] = []
    for kind in CELLS:
        check_cell(kind, cells[kind])
        choices += [(f"{kind}.{number}", node) for number, node in enumerate(cells[kind].nodes, start=NUM_INPUTS)]
        choices.append((f"{kind}.concat", cells[kind].concat))
    return Architecture("darts", tuple(choices))


def canonical(architecture: Architecture) -> Architecture:
    """The same cells with each node's inputs, and each concat, in the order of the nodes, as SPACE has them.

    Everywhere else the order is as given: it numbers the operations in weight files, and the channels.
    """
    return Architecture(architecture.space, tuple((name, ordered(value)) for name, value in architecture.choices))


def ordered(value: Value) -> Value:
    """Pairs by predecessor, those of one predecessor by operation; numbers by size."""
    return tuple(sorted(value, key=lambda item: (item[1], item[0]) if isinstance(item, tuple) else item))


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"normal.2": ((operation, predecessor), ...), ..., "normal.concat": ...}, checked.

    Raises InputError for a missing or unknown choice and for all that `architecture` refuses.
    """
    cells = {}
    for kind in CELLS:
        if f"{kind}.concat" not in values:
            raise InputError(f"the choice '{kind}.concat' is missing; give the nodes that make the output")
        count = sum(name.startswith(f"{kind}.") for name in values) - 1
        names = [f"{kind}.{number}" for number in range(NUM_INPUTS, NUM_INPUTS + count)]
        if missing := [name for name in names if name not in values]:
            raise InputError(f"the choice '{missing[0]}' is missing; nodes count from {NUM_INPUTS} without a gap")
        cells[kind] = Cell(tuple(values[name] for name in names), values[f"{kind}.concat"])
    prefixes = tuple(f"{kind}." for kind in CELLS)
    if others := [name for name in values if not name.startswith(prefixes)]:
        raise InputError(f"unknown choice {quote(others[0])}; known: normal.2, ..., reduce.concat")
    return architecture(cells)


def check_cell(kind: str, cell: Cell) -> None:
    """Raises InputError unless every operation is known and every node reads earlier nodes only."""
    nodes, concat = cell.nodes, cell.concat
    if not isinstance(nodes, tuple) or not 1 <= len(nodes) <= MAX_NODES:
        found = f"{len(nodes)} intermediate nodes" if isinstance(nodes, tuple) else quote(nodes)
        raise InputError(f"the {kind} cell has {found}; give 1 to {MAX_NODES} nodes")
    for number, inputs in enumerate(nodes, start=NUM_INPUTS):
        check_node(kind, number, inputs)
    last = NUM_INPUTS + len(nodes) - 1
    known = isinstance(concat, tuple) and all(is_int(node) and NUM_INPUTS <= node <= last for node in concat)
    if not known or not concat or len(set(concat)) < len(concat):
        has_inputs = isinstance(concat, tuple) and any(node in (0, 1) for node in concat)
        hint = f"give different nodes from {NUM_INPUTS} to {last}" + ("; 0 and 1 are its inputs" if has_inputs else "")
        raise InputError(f"the concat of the {kind} cell is {quote(concat)}; {hint}")


def check_node(kind: str, number: int, inputs: Sequence[Edge]) -> None:
    """Raises InputError unless `inputs` are one or more (operation, earlier node)."""
    if not isinstance(inputs, tuple) or not 1 <= len(inputs) <= MAX_NODES:
        raise InputError(f"node {number} of the {kind} cell has inputs {quote(inputs)}; give (operation, node) pairs")
    for edge in inputs:
        if not isinstance(edge, tuple) or len(edge) != 2 or not isinstance(edge[0], str) or not is_int(edge[1]):
            raise InputError(f"node {number} of the {kind} cell has input {quote(edge)}; give (operation, node) pairs")
        operation, predecessor = edge
        if operation not in OPERATIONS + OTHER_OPERATIONS:
            error = unknown("operation", operation, OPERATIONS + OTHER_OPERATIONS)
            raise InputError(f"node {number} of the {kind} cell: {error}")
        if not 0 <= predecessor < number:
            hint = f"it can read 0 to {number - 1}"
            raise InputError(f"node {number} of the {kind} cell reads node {predecessor}; {hint}")


def is_int(value: object) -> bool:
    """Whether a value is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def node_options(operations: Sequence[Sequence[str]]) -> tuple[tuple[Edge, ...], ...]:
    """Every pair of different predecessors of a node, with every pair of what their edges offer.

    operations: for each predecessor, from 0 on, those of the edge that leaves it.
    """
    return tuple(
        ((one, first), (other, second))
        for first, second in combinations(range(len(operations)), 2)
        for one, other in product(operations[first], operations[second])
    )


def space(
    name: str, source: str, operations: Sequence[str] | Mixed, *, only_mixed: Sequence[str] = ("none",)
) -> SearchSpace:
    """Two cells of four nodes with two inputs each, over the given operations: the same on every edge, or by edge.

    only_mixed: what a relaxed edge mixes besides them, and no architecture has.
    """
    choices = []
    for kind, offered in on_edges(operations).items():
        numbers = range(NUM_INPUTS, NUM_INPUTS + NUM_NODES)
        choices += [Choice(f"{kind}.{number}", node_options(incoming(offered, number))) for number in numbers]
        choices.append(Choice(f"{kind}.concat", (tuple(numbers),)))
    kinds = frozenset({"mixture", "path"})
    return SearchSpace(name, source, tuple(choices), family="darts", only_mixed=tuple(only_mixed), kinds=kinds)


def on_edges(operations: Sequence[str] | Mixed, num_nodes: int = NUM_NODES) -> Mixed:
    """The operations of every edge: those given by edge, or one list for all."""
    if isinstance(operations, Mapping):
        return operations
    return dict.fromkeys(CELLS, (tuple(operations),) * len(edges(num_nodes)))


def incoming(rows: Sequence[Row], number: int) -> Sequence[Row]:
    """Of rows in the order of `edges`, those of the edges into node `number`, by predecessor."""
    first = edges(number - NUM_INPUTS)
    return rows[len(first) : len(first) + number]


def mixed(space: SearchSpace) -> Mixed:
    """What each edge of the relaxed cells mixes, in the order of RECIPES."""
    offered: dict[tuple[str, int, int], set[str]] = {}
    for choice in space.choices:
        kind, place = choice.name.split(".")
        for node in choice.options if place != "concat" else ():
            for name, pred in node:
                offered.setdefault((kind, pred, int(place)), set(space.only_mixed)).add(name)
    return {
        kind: tuple(tuple(name for name in RECIPES if name in offered[kind, *edge]) for edge in edges())
        for kind in CELLS
    }


def candidates(space: SearchSpace) -> tuple[str, ...]:
    """All operations that any edge of the relaxed cells mixes, in the order of RECIPES."""
    return united(mixed(space))


def united(operations: Mixed) -> tuple[str, ...]:
    """Every operation of any edge: one list as it is if all edges have the same, otherwise in the order of RECIPES."""
    lists = {tuple(row) for rows in operations.values() for row in rows}
    if len(lists) == 1:
        return lists.pop()
    return tuple(name for name in RECIPES if any(name in row for row in lists))


def derive(weights: Mapping[str, Sequence[Sequence[float]]], operations: Sequence[str] | Mixed) -> Architecture:
    """Section 2.4: for each node the two strongest predecessors, on each the strongest operation that is not `none`.

    weights: by kind of cell, one row an edge, one number an operation, softmaxed; operations: of the columns, one list
    for every edge, or by edge. An edge is as strong as its strongest operation other than `none`. Ties: the operation
    with the lower id, the earlier predecessor. The two inputs of a node are written in the order of their predecessors;
    the order has no meaning.
    """
    found = {}
    for kind, rows in weights.items():
        nodes: list[tuple[Edge, ...]] = []
        while len(edges(len(nodes))) < len(rows):
            number, names = NUM_INPUTS + len(nodes), on_edges(operations, len(nodes) + 1)[kind]
            into = zip(incoming(rows, number), incoming(names, number), strict=True)
            best = [max(zip(*edge, strict=True), key=unless_none) for edge in into]
            strongest = sorted(range(len(best)), key=[-weight for weight, _ in best].__getitem__)[:2]
            nodes.append(tuple((best[pred][1], pred) for pred in sorted(strongest)))
        concat = range(NUM_INPUTS, NUM_INPUTS + len(nodes))
        found[kind] = Cell(tuple(nodes), tuple(concat))
    return architecture(found)


def parts(choice: str, value: Value) -> list[tuple[str, int, str]]:
    """What the value of a choice puts on edges: kind of cell, row, operation. A concat puts nothing."""
    kind, place = choice.split(".")
    if place == "concat":
        return []
    first = len(edges(int(place) - NUM_INPUTS))  # the row of the edge from node 0
    return [(kind, first + pred, name) for name, pred in value]


def covering(space: SearchSpace) -> list[Architecture]:
    """One architecture, outside of the space, whose nodes have every operation of every edge."""
    cells = {}
    for kind, rows in mixed(space).items():
        offered = [[name for name in row if name not in space.only_mixed] for row in rows]
        numbers = range(NUM_INPUTS, NUM_INPUTS + NUM_NODES)
        into = [enumerate(incoming(offered, number)) for number in numbers]
        nodes = tuple(tuple((name, pred) for pred, names in node for name in names) for node in into)
        cells[kind] = Cell(nodes, tuple(numbers))
    return [architecture(cells)]


def unless_none(weighted: tuple[float, str]) -> float:
    """An operation's weight; `none` comes last."""
    weight, name = weighted
    return float("-inf") if name == "none" else weight


def lines(architecture: Architecture) -> list[str]:
    """Both cells in words, one line a node: what it adds up."""
    lines = []
    for kind in CELLS:
        part = cell(architecture, kind)
        lines += ["", f"{kind} cell"]
        for number, inputs in enumerate(part.nodes, start=NUM_INPUTS):
            terms = " + ".join(f"{operation}({node_name(source)})" for operation, source in inputs)
            lines.append(f"  {node_name(number)} = {terms}")
        lines.append(f"  out = concat({', '.join(node_name(node) for node in part.concat)})")
    return lines


def node_name(number: int) -> str:
    """c[k-2] and c[k-1], the outputs of the two cells before; n2, n3 ... inside the cell."""
    return ("c[k-2]", "c[k-1]")[number] if number < NUM_INPUTS else f"n{number}"


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """Both cells as pictures."""
    return tuple(graph(cell(architecture, kind), kind) for kind in CELLS)


def graph(cell: Cell, kind: str) -> Graph:
    """A cell as a picture: its two inputs, its nodes, and the output that joins the nodes of concat."""
    names = drawn_names(len(cell.nodes))
    inputs = [(*edge, target) for target, node in enumerate(cell.nodes, start=NUM_INPUTS) for edge in node]
    edges = tuple((names[source], names[target], operation) for operation, source, target in inputs)
    place = "Keeps the size of the maps." if kind == "normal" else "Halves the maps, doubles the channels."
    joined = tuple(names[node] for node in cell.concat)
    counted = f"{len(edges)} inputs, {skips_and_pools([operation for operation, _, _ in inputs])}"
    caption = f"{place} {counted}; joins {', '.join(joined)}."
    return Graph(kind, TITLES[kind], names, edges, NUM_INPUTS, joined, caption=caption)


def relaxed(kind: str, num_rows: int) -> Graph | None:
    """The relaxed cell whose table has this number of rows, one per edge; None if no cell has that number."""
    found = (nodes for nodes in range(1, MAX_NODES + 1) if len(edges(nodes)) == num_rows)
    if (num_nodes := next(found, None)) is None:
        return None
    names = drawn_names(num_nodes)
    pairs = tuple((names[source], names[target], "") for source, target in edges(num_nodes))
    return Graph(kind, TITLES[kind], names, pairs, NUM_INPUTS, names[NUM_INPUTS:-1])


def drawn_names(num_nodes: int) -> tuple[str, ...]:
    """The nodes of a cell as a picture names them: by the numbers of the genotype, inputs and output as the paper."""
    return ("c_{k-2}", "c_{k-1}", *map(str, range(NUM_INPUTS, NUM_INPUTS + num_nodes)), "c_{k}")


# --- Layers that are timed --------------------------------------------------------------------------------------------


def edges_timed(cell: Cell) -> Edges:
    """What a cell computes, in the order in which its network has it."""
    operations = [(name, pred < NUM_INPUTS) for node in cell.nodes for name, pred in node]
    return Edges(operations, len(operations) - len(cell.nodes), len(cell.concat))


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's network, from images to logits; the head of its trainings is left out."""
    normal, reduce = (edges_timed(cell(architecture, kind)) for kind in CELLS)
    return list(of_cells(normal, reduce, sizes))


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that networks of the space have, each once: every node has two inputs."""
    smallest, (every,) = space.smallest(), covering(space)
    cells = [replace(edges_timed(cell(every, kind)), sums=edges_timed(cell(smallest, kind)).sums) for kind in CELLS]
    return distinct(of_cells(cells[0], cells[1], sizes))


def layers_of_edge(part: tuple[str, int, str], sizes: Sizes) -> list[Layer]:
    """What an operation on an edge adds in all cells of its kind. part: as in `parts`."""
    kind, row, name = part
    leaves_input = edges_of(row + 1)[row][0] < NUM_INPUTS
    own = [place for place in places(sizes) if place.reduction == (kind == "reduce")]
    return [layer for place in own for layer in operation(place, name, leaves_input)]


NOTE = "Numbers are the genotype's; its nodes 0 and 1 are the outputs of the two cells before."  # of both pictures
SPACE = space("darts", "Liu et al., DARTS, ICLR 2019, section 3.1.1; quark0/darts", OPERATIONS[1:])
FAMILY = Family(
    read=from_choices,
    notation="quark0",
    lines=lines,
    graphs=graphs,
    relaxed=relaxed,
    note=NOTE,
    sizes={
        "cifar": {"channels": 36, "cells": 20, "num_classes": 10, "image_size": 32},
        "imagenet": {"channels": 48, "cells": 14, "num_classes": 1000, "image_size": 224},
    },
    kinds=TITLES,
    operations=tuple(RECIPES),
    mixed=mixed,
    num_skips=num_skips,
    is_learnable=is_learnable,
    derive=derive,
    parts=parts,
    covering=covering,
    timed=TimedLayers(layers_of_network, layers_of_space, of_edge=layers_of_edge),
    rivals=edges_of,
)
