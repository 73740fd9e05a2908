"""Pictures of a ranking as <svg> elements: scores against truth with marginals, tau of each judge."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from dartboard.report import words
from dartboard.report.figures import DOTS_NAME, LINE_IN, SETTINGS, STAND_INS, WIDTH_IN, dress, element, wrapped, written
from dartboard.report.markup import Html

SCATTER_IN = 3.6
BINS = 24
LEFT, BOTTOM, WIDTH, HEIGHT, GAP, SIDE = 0.125, 0.125, 0.68, 0.62, 0.012, 0.12  # of the frame and its marginals
BORDER = 0.06  # of the range of the values, around them


def scatter(
    x: Sequence[float], y: Sequence[float], x_name: str, y_name: str, label: str, colour: str, *, counts: bool = False
) -> Html:  # fmt: skip
    """A dot for each pair, and how often values of each axis come, beside it. x is a share, y too unless it counts."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH_IN, SCATTER_IN), facecolor="none")
        axes = figure.add_axes((LEFT, BOTTOM, WIDTH, HEIGHT), facecolor="none")
        axes.plot(x, y, "o", color=STAND_INS[colour], markersize=3.6, alpha=0.55, markeredgewidth=0, zorder=3)
        axes.set_xlim(*around(x))
        axes.set_ylim(*around(y))
        dress(axes, x_name, percent=False, integers=False, ticks=False)
        axes.set_xlabel(x_name, color=STAND_INS["--muted"], loc="right", labelpad=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5))
            axis.set_major_formatter(PercentFormatter(xmax=1, decimals=None, symbol="%"))
        if counts:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.short_count(value)))
        top = figure.add_axes((LEFT, BOTTOM + HEIGHT + GAP, WIDTH, SIDE), facecolor="none")
        right = figure.add_axes((LEFT + WIDTH + GAP, BOTTOM, SIDE, HEIGHT), facecolor="none")
        top.hist(x, bins=BINS, range=axes.get_xlim(), color=STAND_INS["--muted"], alpha=0.55)
        right.hist(y, bins=BINS, range=axes.get_ylim(), color=STAND_INS[colour], alpha=0.55, orientation="horizontal")
        top.set_xlim(*axes.get_xlim())
        right.set_ylim(*axes.get_ylim())
        bare(top)
        bare(right)
        top.set_title(y_name, loc="left", fontsize=8.5, color=STAND_INS["--muted"], x=-0.02)
        return element(written(figure), label, {}, SCATTER_IN)


def around(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis with a border around the values; of equal values a point to either side."""
    low, high = min(values), max(values)
    border = BORDER * (high - low) or 0.01 * max(1.0, abs(high))
    return low - border, high + border


def bare(axes: Axes) -> None:
    """A marginal has no ticks and no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


@dataclass(frozen=True)
class Estimate:
    """A judge's tau with the ends of its interval, if there is one."""

    name: str
    estimate: float
    low: float | None
    high: float | None
    colour: str


def forest(rows: Sequence[Estimate], label: str) -> Html:
    """A row for each judge: tau as a dot, its interval as a line; a dotted line at 0, where there is no agreement."""
    with matplotlib.rc_context(SETTINGS):
        names = [wrapped(row.name, DOTS_NAME) for row in rows]
        height = 0.62 + (0.3 + LINE_IN * max(0, max(name.count("\n") for name in names) - 1)) * len(rows)
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        axes = figure.add_axes((0.3, 0.42 / height, 0.66, 1 - 0.5 / height), facecolor="none")
        for place, row in enumerate(rows):
            colour = STAND_INS[row.colour]
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], "-", color=colour, linewidth=2, alpha=0.7, zorder=2)
            axes.plot([row.estimate], [place], "o", color=colour, markersize=6, zorder=3)
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.axvline(0, color=STAND_INS["--muted"], linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        ends = [end for row in rows for end in (row.low, row.high, row.estimate) if end is not None]
        axes.set_xlim(min(-0.05, float(np.min(ends)) - 0.05), 1.02)
        dress(axes, "Kendall tau", percent=False, integers=False, ticks=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
        return element(written(figure), label, {}, height)
