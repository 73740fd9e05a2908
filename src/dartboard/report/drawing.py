"""Cells as pictures, laid out by Graphviz: files (SVG, PNG, PDF) and SVG elements for the page.

Nodes bear the numbers of the genotype: c_{k-2} and c_{k-1} are its nodes 0 and 1, then 2, 3, ..., then the output c_k.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pygraphviz

from dartboard.errors import InputError
from dartboard.report import palette
from dartboard.report.forms import CELLS, TITLES, Form, node_name
from dartboard.report.markup import Html, text
from dartboard.report.measures import has_cells, operations_of
from dartboard.runs.targets import write_target
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture

SUFFIXES = (".svg", ".png", ".pdf")
FONT = "Helvetica,Arial,sans-serif"
OUTPUT = "c_{k}"
TITLE_FRAME = "cluster_title"
GRAPH = {"bgcolor": "transparent", "outputorder": "edgesfirst", "pad": "0.06", "nodesep": "0.14", "ranksep": "0.26"}
NODE = {
    "fontname": FONT,
    "fontsize": "13",
    "penwidth": "1.1",
    "style": "filled",
    "color": palette.LINE,
    "fontcolor": palette.INK,
}
PORT = {
    "shape": "box",
    "style": "filled,rounded",
    "fillcolor": palette.PANEL,
    "width": "0.52",
    "height": "0.36",
    "margin": "0.09,0.03",
}
STATE = {"shape": "circle", "fillcolor": palette.PANEL, "width": "0.36", "margin": "0.02"}
PILL = {
    "shape": "box",
    "style": "filled,rounded",
    "fillcolor": palette.PAPER,
    "fontsize": "10.5",
    "penwidth": "1.4",
    "height": "0.24",
    "margin": "0.07,0.02",
}
EDGE = {"penwidth": "2.4", "arrowsize": "0.65"}
CONCAT = {"class": "concat", "color": palette.LINE, "penwidth": "1.1", "arrowsize": "0.5"}
# By family: an architecture as plain graphs, one a frame. What is not here is drawn as a pair of cells.
GRAPHS = {name: family.graphs for name, family in FAMILIES.items() if family.graphs is not None}
# Colours of a file of its own, which cannot know the page that shows it.
FILE_STYLE = f"""<style>
text {{ fill: {palette.INK} }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: {palette.DARK_INK} }}
  .state path, .state ellipse {{ fill: {palette.DARK_PANEL}; stroke: {palette.DARK_LINE} }}
  .pill path {{ fill: {palette.DARK_PAPER} }}
  .concat path {{ stroke: {palette.DARK_LINE} }}
  .concat polygon {{ fill: {palette.DARK_LINE}; stroke: {palette.DARK_LINE} }}
}}
</style>"""


def draw(architecture: Architecture, path: Path | str, *, title: str | None = None) -> Path:
    """Draw the cells with a legend into a file; the suffix (.svg, .png or .pdf) tells the format. Returns the path.

    Raises InputError for another suffix, a place that cannot be written, and an architecture that has no picture.
    """
    paper = suffix_of(path) != ".svg"
    if architecture.space in GRAPHS:
        graph = plain_graphs(GRAPHS[architecture.space](architecture), title, paper)
    else:
        check_cells(architecture)
        graph = pair_graph(architecture, title, paper)
    return write_picture(graph, Path(path))


def suffix_of(path: Path | str) -> str:
    """The ending that tells the format. Raises InputError for another one."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"cannot draw {str(path)!r}: give a file name that ends in {', '.join(SUFFIXES)}")
    return suffix


def check_cells(architecture: Architecture) -> None:
    """Raises InputError unless the architecture is a pair of cells."""
    if not has_cells(architecture):
        raise InputError(
            f"cannot draw an architecture of the space {architecture.space!r}; it has no normal and reduction cell"
        )


def write_picture(graph: pygraphviz.AGraph, path: Path) -> Path:
    """Writes the graph in the format of the path's suffix. Raises as `write_target`."""
    suffix = suffix_of(path)
    picture = render(graph, suffix[1:])
    if suffix == ".svg":
        picture = picture.replace(b"<g ", FILE_STYLE.encode() + b"\n<g ", 1)
    write_target(path, picture)
    return path


def cell_svg(cell: darts.Cell, kind: str) -> Html:
    """A discrete cell as an <svg> element."""
    graph = new_graph()
    add_cell(graph, cell, "")
    return element(graph, describe(cell, kind))


def plain_svg(one: Graph) -> Html:
    """A graph as an <svg> element."""
    graph = new_graph()
    add_graph(graph, one)
    told = ", ".join(f"{operation} from {source} to {target}" for source, target, operation in one.edges)
    return element(graph, f"The {TITLES.get(one.title, one.title)}: {told or 'no operation'}")


def survival_svg(cell: darts.Cell, kind: str, shares: Mapping[tuple[int, int], float]) -> Html:
    """A discrete cell whose inputs bear a share in percent, and are the fainter the less it is.

    shares: {(source, target): share in [0, 1]}.
    """
    graph = new_graph()
    add_nodes(graph, len(cell.nodes), "")
    for target, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS):
        for number, (operation, source) in enumerate(inputs):
            share = shares[source, target]
            colour = f"{palette.colour(operation)}{round(255 * (0.25 + 0.75 * share)):02x}"
            look = {"class": f"op-{operation}", "color": colour, "style": palette.style(operation)}
            look["penwidth"] = f"{1 + 3 * share:.1f}"
            label = f"{operation}  {100 * share:.0f} %"
            add_input(graph, node_name(source), node_name(target), label, f"{number} ", look)
    add_concat(graph, cell.concat, "")
    told = [f"{node_name(source)} to {target} {100 * share:.0f} %" for (source, target), share in shares.items()]
    return element(graph, f"The {TITLES[kind]}, with the share of draws in which each input stays: {', '.join(told)}")


def relaxed_svg(num_nodes: int, kind: str, form: Form = CELLS) -> Html:
    """The relaxed cell as an <svg> element: one edge a pair of nodes, of the class "edge relaxed e-SOURCE-TARGET"."""
    graph = new_graph(nodesep="0.3", ranksep="0.5")
    add_relaxed_nodes(graph, num_nodes, form)
    for source, target in form.edges(num_nodes):
        look = {"class": f"relaxed e-{source}-{target}", "arrowhead": "none", "color": palette.LINE}
        graph.add_edge(form.name(source), form.name(target), **look)
    add_output(graph, num_nodes, form)
    return element(graph, f"The relaxed {TITLES[kind]}: every edge with its strongest operation")


@dataclass(frozen=True)
class EdgeLook:
    """How an edge of the relaxed cell is drawn: in its operation's colour; full where lit, else faint."""

    source: int
    target: int
    operation: str
    thickness: float
    lit: bool


def relaxed_png(num_nodes: int, edges: Sequence[EdgeLook], form: Form = CELLS) -> bytes:
    """The relaxed cell as a PNG on white paper; nodes and edges lie where they lie in every other one of its size."""
    graph = new_graph(nodesep="0.3", ranksep="0.5", bgcolor=palette.PAPER, dpi="110")
    add_relaxed_nodes(graph, num_nodes, form)
    for one in edges:
        colour = palette.colour(one.operation) + ("" if one.lit else "4d")
        look = {"color": colour, "penwidth": f"{one.thickness:.1f}", "arrowhead": "none"}
        graph.add_edge(form.name(one.source), form.name(one.target), **look)
    add_output(graph, num_nodes, form)
    return render(graph, "png")


def add_relaxed_nodes(graph: pygraphviz.AGraph, num_nodes: int, form: Form) -> None:
    """The nodes of a relaxed cell, an output of its own among them where it has one."""
    if form.joined:
        return add_nodes(graph, num_nodes, "")
    for number in range(num_nodes):
        look = PORT if number in form.ports(num_nodes) else STATE
        graph.add_node(form.name(number), label=form.name(number), **{"class": "state", **look})


def add_output(graph: pygraphviz.AGraph, num_nodes: int, form: Form) -> None:
    """The edges into an output that joins the others."""
    if form.joined:
        add_concat(graph, range(darts.NUM_INPUTS, darts.NUM_INPUTS + num_nodes), "")


def describe(cell: darts.Cell, kind: str) -> str:
    """The cell in words, for those who do not see the picture."""
    nodes = [
        f"node {number} adds " + " and ".join(f"{operation} of {node_name(source)}" for operation, source in inputs)
        for number, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS)
    ]
    joined = ", ".join(map(str, cell.concat))
    return f"The {TITLES[kind]}: {'; '.join(nodes)}; the output joins {joined}."


def node_label(number: int) -> str:
    """Typeset; the plain name stays in the node's <title>."""
    return {0: typeset("k-2"), 1: typeset("k-1")}.get(number, str(number))


def typeset(index: str) -> str:
    return f'<c<SUB><FONT POINT-SIZE="9">{index}</FONT></SUB>>'


def new_graph(**attributes: str) -> pygraphviz.AGraph:
    graph = pygraphviz.AGraph(directed=True, strict=False, rankdir="LR", **{**GRAPH, **attributes})
    graph.node_attr.update(NODE)
    graph.edge_attr.update(EDGE)
    return graph


def add_cell(graph: pygraphviz.AGraph, cell: darts.Cell, prefix: str) -> None:
    add_nodes(graph, len(cell.nodes), prefix)
    for target, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS):
        for number, (operation, source) in enumerate(inputs):
            look = {"class": f"op-{operation}", "color": palette.colour(operation), "style": palette.style(operation)}
            add_input(
                graph, prefix + node_name(source), prefix + node_name(target), operation, f"{prefix}{number} ", look
            )
    add_concat(graph, cell.concat, prefix)


def add_nodes(graph: pygraphviz.AGraph, num_nodes: int, prefix: str) -> None:
    for number in range(darts.NUM_INPUTS + num_nodes):
        look = PORT if number < darts.NUM_INPUTS else STATE
        graph.add_node(prefix + node_name(number), label=node_label(number), **{"class": "state", **look})
    graph.add_node(prefix + OUTPUT, label=typeset("k"), **{"class": "state", **PORT})
    first, second = prefix + node_name(0), prefix + node_name(1)
    graph.add_subgraph([first, second], rank="same")
    upper, lower = (second, first) if prefix else (first, second)  # in a frame, Graphviz turns the order round
    graph.add_edge(upper, lower, style="invis")  # keeps the older input above


def add_input(
    graph: pygraphviz.AGraph, source: str, target: str, label: str, mark: str, look: Mapping[str, str]
) -> None:
    """An edge whose label is a pill in its middle, so that no line runs through a word. `mark` tells twins apart."""
    pill = f"{mark}{source} to {target}: {label}"
    graph.add_node(pill, label=label, **{**PILL, "class": f"pill {look['class']}", "color": look["color"]})
    graph.add_edge(source, pill, arrowhead="none", headport="w", **look)
    graph.add_edge(pill, target, tailport="e", **look)


def add_concat(graph: pygraphviz.AGraph, concat: Iterable[int], prefix: str) -> None:
    for number in concat:
        graph.add_edge(prefix + node_name(number), prefix + OUTPUT, **CONCAT)


def pair_graph(architecture: Architecture, title: str | None, paper: bool) -> pygraphviz.AGraph:
    """Both cells, each in its own frame, and the legend of the operations they use."""
    used = [operation for kind in darts.CELLS for operation in operations_of(darts.cell(architecture, kind))]
    graph = framed_graph(legend_label(used), title, paper)
    for kind in reversed(darts.CELLS):  # Graphviz stacks from below
        add_cell(add_frame(graph, kind, title), darts.cell(architecture, kind), f"{kind} ")
    return graph


def plain_graphs(graphs: Sequence[Graph], title: str | None, paper: bool) -> pygraphviz.AGraph:
    """Each graph in its own frame, and the legend of the operations they use."""
    used = [operation for one in graphs for _, _, operation in one.edges]
    whole = framed_graph(legend_label(used), title, paper)
    for one in reversed(graphs):  # Graphviz stacks from below
        add_graph(add_frame(whole, one.title, title), one)
    return whole


def add_graph(graph: pygraphviz.AGraph, one: Graph) -> None:
    """The nodes of a plain graph, and its edges with their operations."""
    for name in one.nodes:
        look = PORT if name in (one.nodes[0], one.nodes[-1]) else STATE
        graph.add_node(f"{one.title} {name}", label=name, **{"class": "state", **look})
    for number, (source, target, operation) in enumerate(one.edges):
        look = {"class": f"op-{operation}", "color": palette.colour(operation), "style": palette.style(operation)}
        ends = (f"{one.title} {source}", f"{one.title} {target}")
        add_input(graph, *ends, operation, f"{one.title} {number} ", look)


def framed_graph(legend: str, title: str | None, paper: bool) -> pygraphviz.AGraph:
    """An empty graph with a legend below and, where given, a frame with a title; paper: white and fine, no SVG."""
    graph = new_graph(label=legend, labelloc="b", newrank="true", fontname=FONT, fontsize="11", fontcolor=palette.INK)
    if paper:
        graph.graph_attr.update(bgcolor=palette.PAPER, dpi="144")
    if title:
        shown = title.encode(errors="backslashreplace").decode().replace("\\", "\\\\")  # as it stands: no escapes
        graph.add_subgraph(name=TITLE_FRAME, label=shown, labelloc="t", fontsize="17", color="transparent")
    return graph


def add_frame(graph: pygraphviz.AGraph, kind: str, title: str | None) -> pygraphviz.AGraph:
    """The frame of one kind of cell, inside that of the title where there is one."""
    heading = TITLES.get(kind, kind)
    look = {"label": heading, "labeljust": "l", "labelloc": "t", "color": "transparent", "fontsize": "14"}
    around = graph.get_subgraph(TITLE_FRAME) if title else graph
    return around.add_subgraph(name=f"cluster_{kind}", margin="6", **look)


def legend_label(operations: Sequence[str]) -> str:
    known = dict.fromkeys(name for family in FAMILIES.values() for name in family.operations)
    rows = [
        f'<TD BGCOLOR="{palette.colour(name)}" WIDTH="18" HEIGHT="6" FIXEDSIZE="TRUE"></TD>'
        f'<TD ALIGN="LEFT">{name}  </TD>'
        for name in known
        if name in operations
    ]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3"><TR>{"".join(rows)}</TR></TABLE>>'


@contextmanager
def silent_fontconfig() -> Iterator[None]:
    """Hides what the fontconfig in the wheel says of newer systems' files; Graphviz's own errors are raised."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def render(graph: pygraphviz.AGraph, form: str) -> bytes:
    with silent_fontconfig():
        picture = graph.draw(format=form, prog="dot")
    assert isinstance(picture, bytes)
    return picture


def element(graph: pygraphviz.AGraph, label: str) -> Html:
    """The graph as an <svg> element without ids, scaled by CSS, with its description for screen readers."""
    picture = render(graph, "svg").decode()
    picture = picture[picture.index("<svg") :]
    picture = re.sub(r"<!--.*?-->\n?", "", picture, flags=re.DOTALL).replace("&#45;", "-")
    picture = re.sub(r' (?:id|xml:space|font-family|xmlns:xlink)="[^"]*"', "", picture)
    width = re.search(r'width="([\d.]+)pt"', picture)
    points = float(width.group(1)) if width else 400.0
    start = f'<svg class="cell" role="img" aria-label="{text(label)}" style="--natural:{points:.0f}pt"'
    return Html(re.sub(r'<svg width="[^"]*" height="[^"]*"', lambda _: start, picture, count=1).strip())
