"""The steps of a method as a flow chart, and the tree of the families of methods, laid out by Graphviz."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from textwrap import wrap

from dartboard.methods.explained.record import Record, Step
from dartboard.report.drawing import CONCAT, PORT, element, new_graph
from dartboard.report.markup import Html

WIDTH = 38  # letters of a line in a box
BOX = {**PORT, "class": "state", "margin": "0.16,0.09"}
LOOP = {**CONCAT, "penwidth": "1.8", "arrowsize": "0.8", "fontsize": "12", "constraint": "false"}


def chart(record: Record, method: str) -> Html:
    """A box for each step, in their order, and the way back."""
    drawing = new_graph(ranksep="0.3", nodesep="0.3")
    drawing.graph_attr["rankdir"] = "TB"
    for step in record.steps:
        drawing.add_node(step.stage, label=label_of(step), **{**BOX, "width": "3.6", **look_of(step)})
    for one, other in pairwise(record.steps):
        drawing.add_edge(one.stage, other.stage, **{**CONCAT, "penwidth": "1.8", "arrowsize": "0.8"})
    start, end = record.loop
    until = "".join(f"   {line}\\l" for line in wrap(record.until, 18))
    drawing.add_edge(start, end, label=until, tailport="e", headport="e", **LOOP)
    said = "; ".join(f"{step.stage}: {step.says}" for step in record.steps)
    return element(drawing, f"The steps of {method}. {said} From {start} back to {end}, {record.until}.")


def look_of(step: Step) -> Mapping[str, str]:
    """A dashed frame where the method has no such step."""
    return {"style": "filled,rounded,dashed" if step.function is None else "filled,rounded"}


def label_of(step: Step) -> str:
    """The stage in bold, below it the sentence."""
    lines = "<BR/>".join(escape(line) for line in wrap(step.says, WIDTH))
    return f'<<B>{escape(step.stage)}</B><BR/><FONT POINT-SIZE="12">{lines}</FONT>>'


def tree(families: Mapping[str, Sequence[str]]) -> Html:
    """Families as branches, methods as leaves. families: the methods of each."""
    drawing = new_graph(ranksep="0.5", nodesep="0.12")
    root = "architecture search"
    drawing.add_node(root, label="architecture\\nsearch", **BOX)
    for family, methods in families.items():
        drawing.add_node(family, label=family, **BOX)
        drawing.add_edge(root, family, **CONCAT)
        for method in methods:
            drawing.add_node(f"{family}: {method}", label=method, **BOX)
            drawing.add_edge(family, f"{family}: {method}", **CONCAT)
    said = "; ".join(f"{family}: {', '.join(methods) or 'none'}" for family, methods in families.items())
    return element(drawing, f"The families of methods. {said}.")
