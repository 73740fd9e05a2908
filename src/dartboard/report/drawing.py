"""Architectures as pictures, laid out by Graphviz: files (SVG, PNG, PDF) and SVG elements for the page.

What a picture shows is a `Graph`, the same plain data for every family. Nodes have the names that it gives them.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pygraphviz

from dartboard.errors import InputError
from dartboard.report import block_strip, layer_table, palette
from dartboard.report.markup import Html, text
from dartboard.runs.targets import write_target
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.graph import Graph, name_and_index
from dartboard.spaces.search_space import Architecture

SUFFIXES = (".svg", ".png", ".pdf")
FONT = "Helvetica,Arial,sans-serif"
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
# Colours of a separate file, which cannot use those of the page that shows it.
FILE_STYLE = f"""<style>
text {{ fill: {palette.INK} }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: {palette.DARK_INK} }}
  .state path, .state ellipse {{ fill: {palette.DARK_PANEL}; stroke: {palette.DARK_LINE} }}
  .pill path {{ fill: {palette.DARK_PAPER} }}
  .layers polygon[fill="{palette.PANEL}"] {{ fill: {palette.DARK_PANEL} }}
  .concat path {{ stroke: {palette.DARK_LINE} }}
  .concat polygon {{ fill: {palette.DARK_LINE}; stroke: {palette.DARK_LINE} }}
}}
</style>"""


Look = tuple[str, Mapping[str, str]]  # of an edge: the word on it, and how its line is drawn


def draw(architecture: Architecture, path: Path | str, *, title: str | None = None) -> Path:
    """Draw the architecture with a legend into a file; the suffix (.svg, .png or .pdf) decides the format.

    Returns the path. Raises InputError for another suffix, a place that cannot be written, and an unknown family.
    """
    paper = suffix_of(path) != ".svg"
    return write_picture(framed_graphs(graphs_of(architecture), title, paper), Path(path))


def graphs_of(architecture: Architecture) -> tuple[Graph, ...]:
    """The graphs that are drawn of it. Raises InputError if its family is not known."""
    if architecture.space not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(f"cannot draw an architecture of the space {architecture.space!r}; give one of {known}")
    return FAMILIES[architecture.space].graphs(architecture)


def suffix_of(path: Path | str) -> str:
    """The suffix that decides the format. Raises InputError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"cannot draw {str(path)!r}: give a file name that ends in {', '.join(SUFFIXES)}")
    return suffix


def write_picture(graph: pygraphviz.AGraph, path: Path) -> Path:
    """Writes the graph in the format of the path's suffix. Raises as `write_target`."""
    suffix = suffix_of(path)
    picture = render(graph, suffix[1:])
    if suffix == ".svg":
        picture = picture.replace(b"<g ", FILE_STYLE.encode() + b"\n<g ", 1)
    write_target(path, picture)
    return path


def graph_svg(one: Graph) -> Html:
    """A graph as an <svg> element."""
    drawing = new_graph()
    add_graph(drawing, one)
    return element(drawing, describe(one))


def shares_svg(one: Graph, shares: Mapping[tuple[int, int], float]) -> Html:
    """A graph whose edges have a share in percent; the smaller the share, the fainter the edge.

    shares: by (source, target), as places in its nodes, in [0, 1].
    """
    drawing, looks = new_graph(), []
    for place, (_, _, operation) in zip(one.places, one.edges, strict=True):
        share = shares[place]
        faint = f"{palette.colour(operation)}{round(255 * (0.25 + 0.75 * share)):02x}"
        look = {**plain_look(operation)[1], "color": faint, "penwidth": f"{1 + 3 * share:.1f}"}
        looks.append((f"{operation}  {100 * share:.0f} %", look))
    add_graph(drawing, one, looks=looks)
    names = {place: f"{one.nodes[place[0]]} to {one.nodes[place[1]]}" for place in shares}
    percents = ", ".join(f"{names[place]} {100 * share:.0f} %" for place, share in shares.items())
    return element(drawing, f"The {one.title}, with the share of draws in which each input remains: {percents}")


def relaxed_svg(one: Graph) -> Html:
    """A relaxed cell as an <svg> element: its edges have the class "edge relaxed e-SOURCE-TARGET", by places."""
    drawing = new_graph(nodesep="0.3", ranksep="0.5")
    add_nodes(drawing, one, "")
    for (source, target, _), (at, to) in zip(one.edges, one.places, strict=True):
        look = {"class": f"relaxed e-{at}-{to}", "arrowhead": "none", "color": palette.LINE}
        drawing.add_edge(source, target, **look)
    add_joined(drawing, one, one.joined, "")
    return element(drawing, f"The relaxed {one.title}: every edge with its strongest operation")


@dataclass(frozen=True)
class EdgeLook:
    """How an edge of the relaxed cell is drawn: in the colour of its operation; full if lit, otherwise faint."""

    source: int
    target: int
    operation: str
    thickness: float
    lit: bool


def relaxed_png(one: Graph, edges: Sequence[EdgeLook]) -> bytes:
    """A relaxed cell as a PNG on white paper; nodes and edges have the same places in all cells of this size."""
    drawing = new_graph(nodesep="0.3", ranksep="0.5", bgcolor=palette.PAPER, dpi="110")
    add_nodes(drawing, one, "")
    for edge in edges:
        colour = palette.colour(edge.operation) + ("" if edge.lit else "4d")
        look = {"color": colour, "penwidth": f"{edge.thickness:.1f}", "arrowhead": "none"}
        drawing.add_edge(one.nodes[edge.source], one.nodes[edge.target], **look)
    add_joined(drawing, one, one.joined, "")
    return render(drawing, "png")


def describe(one: Graph) -> str:
    """The graph in words, for those who do not see the picture."""
    adds: dict[str, list[str]] = {}
    for source, target, operation in one.edges:
        adds.setdefault(target, []).append(f"{operation} of {source}")
    sentences = [f"node {target} adds {' and '.join(terms)}" for target, terms in adds.items()]
    sentences += [f"node {target} takes {source} as it is" for source, target in one.passed]
    if one.joined:
        sentences.append(f"the output joins {', '.join(one.joined)}")
    return f"The {one.title}: {'; '.join(sentences) or 'no operation'}."


def node_label(name: str) -> str:
    """Typeset; the plain name stays in the node's <title>."""
    base, index = name_and_index(name)
    return f'<{base}<SUB><FONT POINT-SIZE="9">{index}</FONT></SUB>>' if index else name


def new_graph(**attributes: str) -> pygraphviz.AGraph:
    graph = pygraphviz.AGraph(directed=True, strict=False, rankdir="LR", **{**GRAPH, **attributes})
    graph.node_attr.update(NODE)
    graph.edge_attr.update(EDGE)
    return graph


def add_graph(drawing: pygraphviz.AGraph, one: Graph, prefix: str = "", looks: Sequence[Look] | None = None) -> None:
    """Its nodes, its edges with their operations, and what it joins. looks: of its edges, if not the default ones."""
    if looks is None and (one.strip or layer_table.fits(one)):
        label = block_strip.label(one) if one.strip else layer_table.label(one)
        drawing.add_node(f"{prefix}layers", label=label, shape="plain", style="", **{"class": "layers"})
        return
    add_nodes(drawing, one, prefix)
    dressed = [plain_look(operation) for _, _, operation in one.edges] if looks is None else looks
    before: dict[str, int] = {}  # edges into a node so far
    for (source, target, _), (label, look) in zip(one.edges, dressed, strict=True):
        number = before[target] = before.get(target, -1) + 1
        add_input(drawing, prefix + source, prefix + target, label, f"{prefix}{number} ", look)
    add_joined(drawing, one, one.joined, prefix)
    for source, target in one.passed:
        drawing.add_edge(prefix + source, prefix + target, **CONCAT)


def plain_look(operation: str) -> Look:
    look = {"class": f"op-{operation}", "color": palette.colour(operation), "style": palette.style(operation)}
    return operation, look


def add_nodes(drawing: pygraphviz.AGraph, one: Graph, prefix: str) -> None:
    """The nodes of a graph; several inputs are placed one below the other."""
    for name in one.nodes:
        look = PORT if name in one.ports else STATE
        drawing.add_node(prefix + name, label=node_label(name), **{"class": "state", **look})
    inputs = [prefix + name for name in one.nodes[: one.num_inputs]]
    if len(inputs) > 1:
        drawing.add_subgraph(inputs, rank="same")
    for upper, lower in pairwise(reversed(inputs) if prefix else inputs):  # in a frame, Graphviz turns the order round
        drawing.add_edge(upper, lower, style="invis")  # places the older input above


def add_input(
    graph: pygraphviz.AGraph, source: str, target: str, label: str, mark: str, look: Mapping[str, str]
) -> None:
    """An edge whose label is a pill in its middle, so that no line runs through a word. `mark` separates twins."""
    pill = f"{mark}{source} to {target}: {label}"
    graph.add_node(pill, label=label, **{**PILL, "class": f"pill {look['class']}", "color": look["color"]})
    graph.add_edge(source, pill, arrowhead="none", headport="w", **look)
    graph.add_edge(pill, target, tailport="e", **look)


def add_joined(drawing: pygraphviz.AGraph, one: Graph, joined: Iterable[str], prefix: str) -> None:
    """The edges from these nodes into the last one of a graph, which joins them."""
    for name in joined:
        drawing.add_edge(prefix + name, prefix + one.nodes[-1], **CONCAT)


def framed_graphs(graphs: Sequence[Graph], title: str | None, paper: bool) -> pygraphviz.AGraph:
    """Each graph in its own frame, and the legend of the operations they use."""
    used = [palette.named(operation) for one in graphs for _, _, operation in one.edges]
    drawing = framed_graph(legend_label(used), title, paper)
    for one in reversed(graphs):  # Graphviz stacks from below
        add_graph(add_frame(drawing, one, title), one, f"{one.kind} ")
    return drawing


def framed_graph(legend: str, title: str | None, paper: bool) -> pygraphviz.AGraph:
    """An empty graph with a legend below and, if given, a frame with a title; paper: white and fine, not SVG."""
    graph = new_graph(label=legend, labelloc="b", newrank="true", fontname=FONT, fontsize="11", fontcolor=palette.INK)
    if paper:
        graph.graph_attr.update(bgcolor=palette.PAPER, dpi="144")
    if title:
        shown = title.encode(errors="backslashreplace").decode().replace("\\", "\\\\")  # literally: no escapes
        graph.add_subgraph(name=TITLE_FRAME, label=shown, labelloc="t", fontsize="17", color="transparent")
    return graph


def add_frame(drawing: pygraphviz.AGraph, one: Graph, title: str | None) -> pygraphviz.AGraph:
    """The frame of one graph, inside that of the title if there is one."""
    look = {"label": one.title, "labeljust": "l", "labelloc": "t", "color": "transparent", "fontsize": "14"}
    around = drawing.get_subgraph(TITLE_FRAME) if title else drawing
    return around.add_subgraph(name=f"cluster_{one.kind}", margin="6", **look)


def legend_label(operations: Sequence[str]) -> str:
    """The operations with their colours, in the order of the families."""
    known = dict.fromkeys([*(name for family in FAMILIES.values() for name in family.operations), *operations])
    rows = [
        f'<TD BGCOLOR="{palette.colour(name)}" WIDTH="18" HEIGHT="6" FIXEDSIZE="TRUE"></TD>'
        f'<TD ALIGN="LEFT">{name}  </TD>'
        for name in known
        if name in operations
    ]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3"><TR>{"".join(rows)}</TR></TABLE>>'


@contextmanager
def silent_fontconfig() -> Iterator[None]:
    """Hides the warnings of the wheel's fontconfig about newer systems' files; Graphviz's own errors are raised."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
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
