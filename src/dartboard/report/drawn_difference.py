"""Two cells in one picture: kept inputs grey, those of the first alone dashed, those of the second alone thick.

Signs (−, +), dashes and thickness tell them apart without colour.
"""

from pathlib import Path

import pygraphviz

from dartboard.analysis.edit_distance import aligned
from dartboard.report import palette
from dartboard.report.drawing import (
    add_concat,
    add_frame,
    add_input,
    add_nodes,
    check_cells,
    element,
    framed_graph,
    new_graph,
    suffix_of,
    write_picture,
)
from dartboard.report.forms import TITLES, node_name
from dartboard.report.markup import Html
from dartboard.report.measures import Difference, difference
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

KEPT = {"class": "kept", "color": palette.LINE, "penwidth": "1.5", "style": "solid"}
GONE = {"class": "gone", "color": palette.GONE, "penwidth": "2", "style": "dashed"}
NEW = {"class": "new", "color": palette.NEW, "penwidth": "3", "style": "solid"}


def difference_svg(one: darts.Cell, other: darts.Cell, kind: str) -> Html:
    """Both cells, by the numbers that their nodes bear, as an <svg> element; `aligned` gives them their best match."""
    graph = new_graph()
    change = add_difference(graph, one, other, "")
    counts = f"{len(change.kept)} inputs kept, {len(change.gone)} gone, {len(change.new)} new"
    return element(graph, f"Difference of two {TITLES[kind]}s: {counts}")


def draw_difference(one: Architecture, other: Architecture, path: Path | str, *, title: str | None = None) -> Path:
    """Draw what the second architecture keeps of the first, drops and adds, nodes at their best match.

    The suffix (.svg, .png or .pdf) tells the format. Returns the path. Raises InputError for another suffix, a place
    that cannot be written, and an architecture that is no pair of cells.
    """
    suffix = suffix_of(path)
    for architecture in (one, other):
        check_cells(architecture)
    graph = framed_graph(legend_label(), title, paper=suffix != ".svg")
    for kind in reversed(darts.CELLS):  # Graphviz stacks from below
        first, second = darts.cell(one, kind), darts.cell(other, kind)
        add_difference(add_frame(graph, kind, title), first, aligned(first, second), f"{kind} ")
    return write_picture(graph, Path(path))


def add_difference(graph: pygraphviz.AGraph, one: darts.Cell, other: darts.Cell, prefix: str) -> Difference:
    """Nodes, inputs and concats of both cells; returns what was kept, gone and new."""
    add_nodes(graph, max(len(one.nodes), len(other.nodes)), prefix)
    change = difference(one, other)
    for inputs, sign, look in ((change.kept, "", KEPT), (change.gone, "− ", GONE), (change.new, "+ ", NEW)):
        for number, (source, target, operation) in enumerate(inputs):
            names = (prefix + node_name(source), prefix + node_name(target))
            add_input(graph, *names, f"{sign}{operation}", f"{prefix}{look['class']} {number} ", look)
    add_concat(graph, sorted({*one.concat, *other.concat}), prefix)
    return change


def legend_label() -> str:
    rows = [
        f'<TD><FONT COLOR="{look["color"]}"><B>{sign}</B></FONT></TD><TD ALIGN="LEFT">{words}   </TD>'
        for sign, words, look in (
            ("──", "in both", KEPT),
            ("− −", "in the first alone", GONE),
            ("+ ━━", "in the second alone", NEW),
        )
    ]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3"><TR>{"".join(rows)}</TR></TABLE>>'
