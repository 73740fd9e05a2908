"""How the cells of each family lie in grids and pictures: one entry in a plain table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dartboard.analysis.edit_distance import Comparison, compare
from dartboard.report.markup import Html, join, tag, text
from dartboard.spaces import darts, nasbench201
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

Edge = tuple[int, int]  # (source, target)
Input = tuple[int, int, str]  # (source, target, operation)
TITLES = {kind: title for family in FAMILIES.values() for kind, title in family.kinds.items()}


@dataclass(frozen=True)
class Form:
    """kinds: of cells, as the family names them.

    num_nodes: of the relaxed cell whose table has so many rows, None where no cell has so many; edges: of the relaxed
    cell of so many nodes, a row each; ports: of so many nodes, those that lead in or out; joined: whether an output
    node of its own joins others; competing: whether a node's edges compete, so that what is derived has only some of
    them; first: the first node that adds up. name: of a node in pictures; edge_name, typeset: of an edge as text, in a
    picture. inputs: all that a kind of cell adds up; apart: how far two of them are apart.
    """

    kinds: tuple[str, ...]
    num_nodes: Callable[[int], int | None]
    edges: Callable[[int], Sequence[Edge]]
    ports: Callable[[int], Sequence[int]]
    joined: bool
    competing: bool
    first: int
    name: Callable[[int], str]
    edge_name: Callable[[int, int], str]
    typeset: Callable[[int, int], Html]
    inputs: Callable[[Architecture, str], list[Input]]
    apart: Callable[[Architecture, Architecture, str], Comparison]


# --- Pairs of cells of DARTS -----------------------------------------------------------------------------------------


def num_nodes(num_rows: int) -> int | None:
    """Intermediate nodes of a relaxed cell with so many edges; None if no cell has so many."""
    return next((nodes for nodes in range(1, darts.MAX_NODES + 1) if len(darts.edges(nodes)) == num_rows), None)


def node_name(number: int) -> str:
    return {0: "c_{k-2}", 1: "c_{k-1}"}.get(number, str(number))


def edge_name(source: int, target: int) -> str:
    return f"{node_name(source)} → {target}"


def typeset_edge(source: int, target: int) -> Html:
    """The edge's name with the index of an input set low."""
    if source >= darts.NUM_INPUTS:
        return text(edge_name(source, target))
    index = tag("tspan", "k−2" if source == 0 else "k−1", dy=3, font_size="75%")
    return join(["c", index, tag("tspan", f" → {target}", dy=-3)])


def inputs_of_cell(cell: darts.Cell) -> list[Input]:
    """Every input, in the order of the nodes."""
    return [
        (source, target, operation)
        for target, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS)
        for operation, source in inputs
    ]


CELLS = Form(
    kinds=darts.CELLS,
    num_nodes=num_nodes,
    edges=darts.edges,
    ports=lambda nodes: range(darts.NUM_INPUTS),
    joined=True,
    competing=True,
    first=darts.NUM_INPUTS,
    name=node_name,
    edge_name=edge_name,
    typeset=typeset_edge,
    inputs=lambda architecture, kind: inputs_of_cell(darts.cell(architecture, kind)),
    apart=lambda one, other, kind: compare(darts.cell(one, kind), darts.cell(other, kind)),
)

# --- The cell of NAS-Bench-201 ---------------------------------------------------------------------------------------


def nasbench201_edge(source: int, target: int) -> str:
    return f"{nasbench201.node_name(source)} → {nasbench201.node_name(target)}"


def operations_apart(one: Architecture, other: Architecture, kind: str) -> Comparison:
    """Every edge has its place: how many carry another operation."""
    found = sum(before != after for before, after in zip(one.choices, other.choices, strict=True))
    return Comparison(found, 0, 0, len(nasbench201.EDGES), ())


FORMS: Mapping[str, Form] = {
    "darts": CELLS,
    "nasbench201": Form(
        kinds=(nasbench201.CELL,),
        num_nodes=lambda rows: nasbench201.NUM_NODES if rows == len(nasbench201.EDGES) else None,
        edges=lambda nodes: nasbench201.EDGES,
        ports=lambda nodes: (0, nodes - 1),
        joined=False,
        competing=False,
        first=1,
        name=nasbench201.node_name,
        edge_name=nasbench201_edge,
        typeset=lambda source, target: text(nasbench201_edge(source, target)),
        inputs=lambda architecture, kind: [
            (*edge, operation) for edge, (_, operation) in zip(nasbench201.EDGES, architecture.choices, strict=True)
        ],
        apart=operations_apart,
    ),
}


def has_form(architecture: Architecture | None) -> bool:
    """Whether the page can draw its cells."""
    return architecture is not None and architecture.space in FORMS
