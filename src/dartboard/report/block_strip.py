"""A chain of blocks of different widths as a strip: a bar for each block, the higher the more channels it gives, in
the colour of its operation, the number of channels above and what is inside below; blocks of a stage stand together."""

from collections.abc import Sequence
from itertools import groupby

from dartboard.report import palette
from dartboard.spaces.graph import Bar, Graph

WIDE, HIGH, LOW = 22, 96, 10  # of a bar, in points: its width, the highest, the lowest
GAP = 8  # between stages


def label(one: Graph) -> str:
    """The strip as Graphviz writes it."""
    most = max(bar.channels for bar in one.strip)
    stages = [list(bars) for _, bars in groupby(one.strip, lambda bar: bar.stage)]
    gap = f'<TD WIDTH="{GAP}"></TD>'
    bars = gap.join("".join(column(bar, most) for bar in stage) for stage in stages)
    lines = range(max(len(bar.inside) for bar in one.strip))
    rows = f"<TR>{bars}</TR>" + "".join(f"<TR>{gap.join(row(stage, line) for stage in stages)}</TR>" for line in lines)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="0">{rows}</TABLE>>'


def row(stage: Sequence[Bar], line: int) -> str:
    """One line of what is inside the blocks of a stage."""
    return "".join(f"<TD>{small(bar.inside[line] if line < len(bar.inside) else '')}</TD>" for bar in stage)


def column(bar: Bar, most: int) -> str:
    """A bar, which stands on the ground, under its number of channels."""
    height = round(LOW + (HIGH - LOW) * bar.channels / most)
    colour = palette.colour(bar.operation)
    filled = f'<TR><TD BGCOLOR="{colour}" WIDTH="{WIDE}" HEIGHT="{height}" FIXEDSIZE="TRUE"></TD></TR>'
    above = f'<TR><TD WIDTH="{WIDE}" HEIGHT="{HIGH + 1 - height}" FIXEDSIZE="TRUE"></TD></TR>'
    rows = f"{above}<TR><TD>{small(str(bar.channels))}</TD></TR>{filled}"
    return f'<TD><TABLE BORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE></TD>'


def small(words: str) -> str:
    return f'<FONT POINT-SIZE="8">{words or "&#160;"}</FONT>'
