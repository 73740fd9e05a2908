"""A long chain with skip connections as a table, where lines from layer to layer could not be followed: a row for each
layer, with its operation, and a square for each state before it, filled if a skip connection leads from there."""

from collections.abc import Sequence
from itertools import pairwise

from dartboard.report import palette
from dartboard.spaces.graph import Graph

FEWEST = 9  # nodes of a chain that is drawn so; fewer are drawn with lines
SIDE = 14  # of a square, in points


def fits(one: Graph) -> bool:
    """Whether the graph is a chain, one operation from each node to the next, that is long and has skip connections."""
    chain = list(pairwise(one.nodes))
    return len(one.nodes) >= FEWEST and bool(one.passed) and [edge[:2] for edge in one.edges] == chain


def label(one: Graph) -> str:
    """The table as Graphviz writes it."""
    head = f'<TD ALIGN="LEFT">{small("layer")}</TD><TD ALIGN="LEFT">{small("operation")}</TD>'
    columns = one.nodes[:-2]  # what can skip: the layer right before is read in any case
    head += f'<TD COLSPAN="{len(columns)}" ALIGN="LEFT">{small("skip connections from")}</TD>'
    names = "".join(f"<TD>{small(name, 7)}</TD>" for name in columns)
    rows = [f"<TR>{head}</TR>", f"<TR><TD></TD><TD></TD>{names}</TR>"]
    rows += [row(one, number) for number in range(1, len(one.nodes))]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2" CELLPADDING="1">{"".join(rows)}</TABLE>>'


def row(one: Graph, number: int) -> str:
    """The layer of that number."""
    operation, target = one.edges[number - 1][2], one.nodes[number]
    colour = palette.colour(operation)
    mark = f'<TD ALIGN="LEFT"><FONT POINT-SIZE="11">{target}</FONT></TD>'
    name = (
        f'<TD ALIGN="LEFT" BORDER="1" COLOR="{colour}" CELLPADDING="2"><FONT POINT-SIZE="10.5">{operation}</FONT></TD>'
    )
    return f"<TR>{mark}{name}{squares(one.nodes[: number - 1], target, one, colour)}</TR>"


def squares(sources: Sequence[str], target: str, one: Graph, colour: str) -> str:
    """A square for each state before the layer but the last, which it reads in any case."""
    fills = [colour if (source, target) in one.passed else palette.PANEL for source in sources]
    return "".join(f'<TD BGCOLOR="{fill}" WIDTH="{SIDE}" HEIGHT="{SIDE}" FIXEDSIZE="TRUE"></TD>' for fill in fills)


def small(word: str, size: int = 9) -> str:
    return f'<FONT POINT-SIZE="{size}">{word}</FONT>'
