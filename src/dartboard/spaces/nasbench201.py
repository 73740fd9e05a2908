"""The cell space of NAS-Bench-201 (Dong, Yang: NAS-Bench-201, ICLR 2020, arXiv 2001.00326), as plain data.

A cell has four nodes. Node 0 is its input and node 3 its output; each later node adds what its edges bring from all
earlier nodes, and every edge carries one of five operations. With 6 edges the space has 5^6 = 15,625 cells.

The value of the choice "2<-1" is the operation on the edge from node 1 to node 2. The benchmark writes a cell as a
string, node by node: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|`.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from dartboard.errors import InputError
from dartboard.spaces.family import Family, in_order, of_operations
from dartboard.spaces.graph import Graph, skips_and_pools
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_cells import distinct, head, join, operation, places, stem
from dartboard.spaces.timed_layers import Layer, Sizes, TimedLayers

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # in the benchmark's order
NUM_NODES = 4
EDGES = tuple((source, target) for target in range(1, NUM_NODES) for source in range(target))
NAMES = tuple(f"{target}<-{source}" for source, target in EDGES)
CELL = "cell"  # the one kind of cell: the name of its table of mixture weights
EXAMPLE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"

# What the relaxed cell mixes: for its one kind of cell, the operations of every edge in the order of EDGES.
Mixed = Mapping[str, Sequence[Sequence[str]]]
Form = TypeVar("Form", bound=Hashable)


def space(name: str, source: str, operations: Sequence[str] = OPERATIONS) -> SearchSpace:
    """All cells with these operations on every edge."""
    choices = tuple(Choice(edge, tuple(operations)) for edge in NAMES)
    return SearchSpace(name, source, choices, family="nasbench201", kinds=frozenset({"mixture", "path"}))


SPACE = space("nasbench201", "Dong and Yang, NAS-Bench-201, ICLR 2020; D-X-Y/AutoDL-Projects")

# --- Reading and writing ---------------------------------------------------------------------------------------------


def architecture(operations: Sequence[str]) -> Architecture:
    """The cell with these operations, one per edge in the order of EDGES. Raises InputError for an unknown one."""
    return of_operations("nasbench201", NAMES, operations, OPERATIONS, what="edge ")


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"1<-0": operation, ..., "3<-2": operation}, checked.

    Raises InputError for a missing or unknown choice and for an unknown operation.
    """
    return architecture(in_order(values, NAMES, "a cell"))


def from_string(text: str) -> Architecture:
    """The cell that the benchmark writes so, spaces around it left out. Raises InputError that says what is wrong."""
    nodes = text.strip().split("+")
    if len(nodes) != NUM_NODES - 1:
        hint = f"a cell has {NUM_NODES - 1}, such as {EXAMPLE}"
        raise InputError(f"{quote(text)} has {len(nodes)} node{'s' * (len(nodes) != 1)} between '+'; {hint}")
    return architecture([operation for number, node in enumerate(nodes, 1) for operation in inputs_of(node, number)])


def inputs_of(text: str, number: int) -> list[str]:
    """The operations of the edges into a node, by source, of "|op~0|op~1|". Raises InputError."""
    parts = text[1:-1].split("|")
    if len(text) < 2 or text[0] != "|" or text[-1] != "|" or len(parts) != number:
        example = "".join(f"|op~{source}" for source in range(number)) + "|"
        raise InputError(f"node {number} of the cell is written {quote(text)}; give {example}")
    operations = []
    for source, part in enumerate(parts):
        operation, tilde, index = part.partition("~")
        if not tilde or index != str(source):
            name = operation if operation in OPERATIONS else "op"
            raise InputError(f"node {number} of the cell has input {quote(part)}; give {name}~{source}")
        operations.append(operation)
    return operations


def to_string(architecture: Architecture) -> str:
    """The cell as the benchmark writes it."""
    values = dict(architecture.choices)
    inputs = [
        "".join(f"{values[f'{target}<-{source}']}~{source}|" for source in range(target))
        for target in range(1, NUM_NODES)
    ]
    return "+".join(f"|{node}" for node in inputs)


# --- Cells that are equal --------------------------------------------------------------------------------------------


def benchmark_form(architecture: Architecture) -> str:
    """What the benchmark compares cells by: equal for two cells that its rule calls equal. 6,466 classes.

    A node is the text of its terms, sorted and joined by "+". A skip connection hands on its source's text; `none`, and
    any operation on a node that is "#" alone, give the term "#", which stays in the sum. Texts are compared, not sums:
    a sum that a skip connection hands on stays in one piece when it is sorted in. So the rule depends on how a term is
    written, and "(source)@operation", "0" for the input and "#" are the benchmark's own signs.
    """
    values, nodes = dict(architecture.choices), ["0"]
    for target in range(1, NUM_NODES):
        terms = []
        for source in range(target):
            operation = values[f"{target}<-{source}"]
            if operation == "none" or nodes[source] == "#":
                terms.append("#")
            else:
                terms.append(nodes[source] if operation == "skip_connect" else f"({nodes[source]})@{operation}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


Terms = tuple[tuple[str, Value], ...]  # a sum: its terms (operation, sum that it is applied to), sorted


def sum_form(architecture: Architecture) -> Terms:
    """The sum that the cell computes: equal for two cells that add up the same terms. 4,930 classes.

    A skip connection adds the terms of its source one by one; what has nothing to work on is left out, so `()` is the
    cell that lets nothing through. (In a network with BatchNorm's shift a convolution of nothing gives a constant,
    which this form leaves out, too: two cells of one class can differ by it.)
    """
    values = dict(architecture.choices)
    nodes: list[Terms] = [(("input", ()),)]
    for target in range(1, NUM_NODES):
        terms: list[tuple[str, Value]] = []
        for source in range(target):
            operation = values[f"{target}<-{source}"]
            if operation == "skip_connect":
                terms += nodes[source]
            elif operation != "none" and nodes[source]:
                terms.append((operation, nodes[source]))
        nodes.append(tuple(sorted(terms)))
    return nodes[-1]


def classes(form: Callable[[Architecture], Form]) -> dict[Form, list[Architecture]]:
    """All 15,625 cells, those together whose `form` (benchmark_form or sum_form) is the same."""
    found: dict[Form, list[Architecture]] = defaultdict(list)
    for one in SPACE.enumerate():
        found[form(one)].append(one)
    return dict(found)


# --- The relaxed cell ------------------------------------------------------------------------------------------------


def on_edges(operations: Sequence[str] | Mixed) -> Mixed:
    """The operations of every edge: those given by edge, or one list for all."""
    if isinstance(operations, Mapping):
        return operations
    return {CELL: (tuple(operations),) * len(EDGES)}


def mixed(space: SearchSpace) -> Mixed:
    """What each edge of the relaxed cell mixes: the options of its choice, `none` among them."""
    return {CELL: tuple(choice.options for choice in space.choices)}


def derive(weights: Mapping[str, Sequence[Sequence[float]]], operations: Sequence[str] | Mixed) -> Architecture:
    """The strongest operation of every edge; it may be `none`, as in the benchmark's searches.

    weights: {"cell": one row an edge, one number an operation}, softmaxed or not; operations: of the columns, one list
    for every edge, or by edge. Ties: the operation that comes first.
    """
    rows, names = weights[CELL], on_edges(operations)[CELL]
    return architecture([own[max(range(len(row)), key=row.__getitem__)] for row, own in zip(rows, names, strict=True)])


def parts(choice: str, value: Value) -> list[tuple[str, int, str]]:
    """What the value of a choice puts on an edge: kind of cell, row, operation."""
    return [(CELL, NAMES.index(choice), value)]


def covering(space: SearchSpace) -> list[Architecture]:
    """Cells of which some has each operation that an edge offers."""
    most = max(len(choice.options) for choice in space.choices)
    return [architecture([one.options[place % len(one.options)] for one in space.choices]) for place in range(most)]


def num_skips(architecture: Architecture) -> int:
    """Skip connections of the cell."""
    return sum(operation == "skip_connect" for _, operation in architecture.choices)


def is_learnable(operation: str) -> bool:
    """Whether it has weights: a convolution."""
    return operation.startswith("nor_conv")


# --- Words and pictures ----------------------------------------------------------------------------------------------


def lines(architecture: Architecture) -> list[str]:
    """The cell in words: its string, and a line a node with what the node adds up."""
    values = dict(architecture.choices)
    lines = [to_string(architecture), "", "cell"]
    for target in range(1, NUM_NODES):
        edges = ((values[f"{target}<-{source}"], source) for source in range(target))
        terms = [f"{operation}({node_name(source)})" for operation, source in edges if operation != "none"]
        lines.append(f"  {node_name(target)} = {' + '.join(terms) or '0'}")
    return lines


def node_name(number: int) -> str:
    """in, the cell's input; n1, n2; out, its output."""
    return {0: "in", NUM_NODES - 1: "out"}.get(number, f"n{number}")


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """The cell as a picture: four nodes, and an edge for every operation other than `none`."""
    values = dict(architecture.choices)
    every = [(*edge, values[name]) for edge, name in zip(named_edges(), NAMES, strict=True)]
    edges = tuple(edge for edge in every if edge[2] != "none")
    vacant = tuple((source, target) for source, target, operation in every if operation == "none")
    counted = skips_and_pools([operation for _, _, operation in edges])
    caption = (
        f"{len(edges)} of {len(EDGES)} edges, {counted}; an edge that is none is not drawn. "
        "A node is the sum of its inputs."
    )
    return (Graph(CELL, "cell", tuple(map(node_name, range(NUM_NODES))), edges, vacant=vacant, caption=caption),)


def relaxed(kind: str, num_rows: int) -> Graph | None:
    """The relaxed cell, whose table has a row an edge; None for a table of another number of rows."""
    if num_rows != len(EDGES):
        return None
    edges = tuple((*edge, "") for edge in named_edges())
    return Graph(kind, "cell", tuple(map(node_name, range(NUM_NODES))), edges)


def named_edges() -> list[tuple[str, str]]:
    return [(node_name(source), node_name(target)) for source, target in EDGES]


# --- Layers that are timed --------------------------------------------------------------------------------------------


def in_layers(operations: Sequence[str], sizes: Sizes) -> Iterator[Layer]:
    """The layers of a network whose cells have these operations: stem, cells and residual blocks, head."""
    yield stem(sizes, sizes["channels"])
    place = None
    for place in places(sizes):
        if place.reduction:
            yield Layer("residual", place.channels // 2, place.side, (("outputs", place.channels),))
            continue
        for name in operations:
            yield from operation(place, name, leaves_input=False)
        yield join(place, sums=len(EDGES) - NUM_NODES + 1, joined=1)
    assert place is not None  # a network has at least three cells
    yield head(sizes, place.channels, place.inner)


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's network, from images to logits."""
    values = dict(architecture.choices)
    return list(in_layers([values[name] for name in NAMES], sizes))


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that networks of the space have, each once."""
    return distinct(in_layers([name for choice in space.choices for name in choice.options], sizes))


def layers_of_edge(part: tuple[str, int, str], sizes: Sizes) -> list[Layer]:
    """What an operation on an edge adds in all cells. part: as in `parts`."""
    own = [place for place in places(sizes) if not place.reduction]
    return [layer for place in own for layer in operation(place, part[2], leaves_input=False)]


FAMILY = Family(
    read=from_choices,
    notation="nasbench201",
    lines=lines,
    graphs=graphs,
    relaxed=relaxed,
    sizes={"cifar": {"channels": 16, "cells": 17, "num_classes": 10, "image_size": 32}},
    kinds={CELL: "cell"},
    operations=OPERATIONS,
    mixed=mixed,
    num_skips=num_skips,
    is_learnable=is_learnable,
    derive=derive,
    parts=parts,
    covering=covering,
    timed=TimedLayers(layers_of_network, layers_of_space, of_edge=layers_of_edge),
    training={"auxiliary": False, "drop_path": 0.0},  # its networks have neither a second head nor drop path
)
