"""Two cells in one picture: shared inputs grey, those of the first alone dashed, those of the second alone thick.

Signs (−, +), dashes and thickness distinguish them without colour.
"""

from pathlib import Path

import pygraphviz

from dartboard.analysis.edit_distance import aligned, check_compared
from dartboard.report import palette
from dartboard.report.drawing import (
    add_frame,
    add_input,
    add_joined,
    add_nodes,
    element,
    framed_graph,
    new_graph,
    suffix_of,
    write_picture,
)
from dartboard.report.markup import Html
from dartboard.report.measures import Difference, difference
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

SHARED = {"class": "kept", "color": palette.LINE, "penwidth": "1.5", "style": "solid"}
REMOVED = {"class": "gone", "color": palette.REMOVED, "penwidth": "2", "style": "dashed"}
ADDED = {"class": "new", "color": palette.ADDED, "penwidth": "3", "style": "solid"}


def difference_svg(one: darts.Cell, other: darts.Cell, kind: str) -> Html:
    """Both cells, with the numbers of their nodes, as an <svg> element; `aligned` gives them their best match."""
    drawing = new_graph()
    change = add_difference(drawing, one, other, kind, "")
    counts = f"{len(change.shared)} inputs in both, {len(change.removed)} removed, {len(change.added)} added"
    return element(drawing, f"Difference of two {darts.TITLES[kind]}s: {counts}")


def draw_difference(one: Architecture, other: Architecture, path: Path | str, *, title: str | None = None) -> Path:
    """Draw the inputs that two architectures share, and those that only one of them has, nodes at their best match.

    The suffix (.svg, .png or .pdf) decides the format. Returns the path. Raises InputError for another suffix, a place
    that cannot be written, and an architecture that is not a pair of cells.
    """
    suffix = suffix_of(path)
    for architecture in (one, other):
        check_compared(architecture.space, "a drawn difference")
    drawing = framed_graph(legend_label(), title, paper=suffix != ".svg")
    for kind in reversed(darts.CELLS):  # Graphviz stacks from below
        first, second = darts.cell(one, kind), darts.cell(other, kind)
        frame = add_frame(drawing, darts.graph(first, kind), title)
        add_difference(frame, first, aligned(first, second), kind, f"{kind} ")
    return write_picture(drawing, Path(path))


def add_difference(
    drawing: pygraphviz.AGraph, one: darts.Cell, other: darts.Cell, kind: str, prefix: str
) -> Difference:
    """Nodes, inputs and concats of both cells; returns the shared, removed and added inputs."""
    larger = darts.graph(max(one, other, key=lambda cell: len(cell.nodes)), kind)
    add_nodes(drawing, larger, prefix)
    change = difference(one, other)
    looks = ((change.shared, "", SHARED), (change.removed, "− ", REMOVED), (change.added, "+ ", ADDED))
    for inputs, sign, look in looks:
        for number, (source, target, operation) in enumerate(inputs):
            names = (prefix + larger.nodes[source], prefix + larger.nodes[target])
            add_input(drawing, *names, f"{sign}{operation}", f"{prefix}{look['class']} {number} ", look)
    joined = [larger.nodes[number] for number in sorted({*one.concat, *other.concat})]
    add_joined(drawing, larger, joined, prefix)
    return change


def legend_label() -> str:
    rows = [
        f'<TD><FONT COLOR="{look["color"]}"><B>{sign}</B></FONT></TD><TD ALIGN="LEFT">{words}   </TD>'
        for sign, words, look in (
            ("──", "in both", SHARED),
            ("− −", "in the first alone", REMOVED),
            ("+ ━━", "in the second alone", ADDED),
        )
    ]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3"><TR>{"".join(rows)}</TR></TABLE>>'
