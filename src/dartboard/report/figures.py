"""Curves as <svg> elements, drawn by matplotlib without its global state.

Colours are written as stand-ins and then replaced by CSS variables, so that one picture works in light, dark and print.
"""

import hashlib
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dartboard.report.markup import Html, text

# CSS variable -> the colour that stands for it until the SVG is written.
STAND_INS = {
    "--ink": "#010203",
    "--muted": "#010204",
    "--rule": "#010205",
    "--one": "#010206",
    "--two": "#010207",
    "--three": "#010208",
    "--four": "#010209",
    "--five": "#01020a",
    "--six": "#01020b",
}
Dashes = tuple[float, ...]  # lengths of strokes and gaps, in widths of the line; none: solid
DASHED: Dashes = (4, 2)
WIDTH_IN, HEIGHT_IN = 4.3, 2.5
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "dartboard", "font.family": "sans-serif", "font.size": 8.5}
SETTINGS |= {"text.parse_math": False}  # a name with $ in it is no formula
MAX_POINTS = 400
LEGEND_ROW_IN, LEGEND_WIDTH, NAME_MARGIN, LONGEST_NAME = 0.17, 60, 6, 52  # widths in letters
HANDLE, LONG_HANDLE = 1.4, 2.9  # of a legend, in widths of an m; a long one shows how a line is dashed
LINE_IN, DOTS_NAME = 0.14, 23  # a further line of a label; letters of a line beside dots
MANY_DOTS = 40  # in a row of dots
NARROWEST = 0.02  # no axis of accuracies is narrower than two points


@dataclass(frozen=True)
class Series:
    """A line: numbers over epochs, in a colour of the page ("--one" ... "--six", "--muted"); points: not joined, each
    drawn as a dot "o" or, larger, as a square "s" or a diamond "D".

    steps: level until the next point. band: its lower and upper edge; of a single point, the ends of a bar.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str = "--one"
    dashes: Dashes = ()
    faint: bool = False
    points: bool = False
    steps: bool = False
    band: tuple[Sequence[float], Sequence[float]] | None = None
    marker: str = "o"


def curves(
    series: Sequence[Series],
    label: str,
    *,
    percent: bool = False,
    integers: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    x_label: str = "epoch",
    gap: bool = False,
    swaps: Sequence[float] = (),
) -> Html:
    """The lines in one frame as an <svg> element; `label` describes it in words.

    percent: y in [0, 1] is written as percent; integers: y counts things; marks: horizontal lines (y, word);
    gap: the space between the first two series is tinted; swaps: vertical lines at these x, where the data change.
    """
    with matplotlib.rc_context(SETTINGS):
        handle = LONG_HANDLE if any(line.dashes and shown(line) for line in series) else HANDLE
        more = LEGEND_ROW_IN * (legend_rows([line.name for line in series if shown(line)], handle)[1] - 1)
        height = HEIGHT_IN + more
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        place = (0.115, 0.165 * HEIGHT_IN / height, 0.865, 0.715 * HEIGHT_IN / height)
        axes = figure.add_axes(place, facecolor="none")
        for line in series:
            add_line(axes, line)
        for level, word in marks:
            add_mark(axes, level, word)
        if gap and len(series) > 1 and list(series[0].x) == list(series[1].x):
            axes.fill_between(series[0].x, series[0].y, series[1].y, color=STAND_INS["--one"], alpha=0.1, linewidth=0)
        for x in swaps:
            axes.axvline(x, color=STAND_INS["--ink"], linewidth=1.1, linestyle=(0, (1, 1.5)), zorder=1)
        dress(axes, x_label, percent, integers, handle=handle)
        frame = place_of(figure, axes)
        return element(written(figure), label, frame, height)


def shown(line: Series) -> bool:
    """Whether the legend names the line."""
    return not line.faint and not line.name.startswith("_")


def legend_rows(names: Sequence[str], handle: float = HANDLE) -> tuple[int, int]:
    """(columns, rows) of a legend that fits the width of the frame; matplotlib fills it column by column."""
    number = len(names)
    for columns in range(min(4, number), 1, -1):
        ends = np.cumsum([0, *(number // columns + (column < number % columns) for column in range(columns))])
        widths = [max(len(name) for name in names[first:end]) for first, end in pairwise(ends)]
        if sum(widths) + (NAME_MARGIN + 2 * (handle - HANDLE)) * columns <= LEGEND_WIDTH:
            return columns, -(-number // columns)
    return 1, max(sum(wrapped(name, LONGEST_NAME).count("\n") + 1 for name in names), 1)


def wrapped(name: str, width: int) -> str:
    """A name in lines of at most `width` letters, broken inside a word only if the word is longer: nothing is cut.

    A byte of it that is not UTF-8, which no font has, is written \\udcXX.
    """
    name = name.encode(errors="backslashreplace").decode()
    return "\n".join(textwrap.wrap(name, width, break_on_hyphens=True)) or name


def dots(
    groups: Sequence[tuple[str, Sequence[float]]],
    label: str,
    chance: float | None = None,
    colours: Sequence[str] = ("--one",),
) -> Html:
    """One row per group, one dot per value, a bar at the mean; the values are shares and written as percent.

    More than MANY_DOTS values are drawn as a line from least to most, thick between the quartiles.
    chance: a share at which a dotted line is drawn; colours: of the rows, repeated if there are fewer.
    """
    with matplotlib.rc_context(SETTINGS):
        names = [wrapped(name, DOTS_NAME) for name, _ in groups]
        height = 0.62 + (0.3 + LINE_IN * max(0, max(name.count("\n") for name in names) - 1)) * len(groups)
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        axes = figure.add_axes((0.3, 0.42 / height, 0.66, 1 - 0.5 / height), facecolor="none")
        for row, (_, values) in enumerate(groups):
            add_values(axes, row, values, STAND_INS[colours[row % len(colours)]])
            axes.plot([sum(values) / len(values)], [row], "|", color=STAND_INS["--ink"], markersize=13, zorder=4)
        axes.set_yticks(range(len(groups)), names)
        axes.set_ylim(len(groups) - 0.4, -0.6)
        if chance is not None:
            axes.axvline(chance, color=STAND_INS["--muted"], linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
            at_the_foot = axes.get_xaxis_transform()
            axes.text(chance, 0.01, " chance", transform=at_the_foot, color=STAND_INS["--muted"], fontsize=7.5)
        least, most = axes.get_xlim()
        if most - least < NARROWEST:
            axes.set_xlim((least + most - NARROWEST) / 2, (least + most + NARROWEST) / 2)
        dress(axes, "", percent=False, integers=False, ticks=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None, symbol="%"))
        return element(written(figure), label, {}, height)


def add_values(axes: Axes, row: int, values: Sequence[float], colour: str) -> None:
    """A dot for each value; if there are many, their range and quartiles."""
    if len(values) <= MANY_DOTS:
        axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.6, markersize=5, zorder=3)
        return
    axes.plot([min(values), max(values)], [row, row], "-", color=colour, linewidth=1.2, zorder=2)
    axes.plot(np.quantile(values, [0.25, 0.75]), [row, row], "-", color=colour, linewidth=6, alpha=0.6,
              solid_capstyle="butt", zorder=3)  # fmt: skip


def add_line(axes: Axes, line: Series) -> None:
    x, y = thinned(line.x, line.y)
    single = len(x) == 1 or line.points
    if line.band is not None:
        add_band(axes, line, line.band)
    axes.plot(
        x,
        y,
        color=STAND_INS[line.colour],
        linewidth=0.7 if line.faint else 1.7,
        alpha=0.45 if line.faint else 1,
        linestyle="none" if line.points else (0, line.dashes) if line.dashes else "-",
        drawstyle="steps-post" if line.steps else "default",
        marker=line.marker if single else None,
        markersize=2.5 if line.points and line.marker == "o" else 4,
        label=wrapped(line.name, LONGEST_NAME) if shown(line) else "_",
        solid_joinstyle="round",
        zorder=2 if line.faint else 3,
    )


def add_band(axes: Axes, line: Series, band: tuple[Sequence[float], Sequence[float]]) -> None:
    """The band of a line, faint; of a single point, a bar from end to end."""
    colour = STAND_INS[line.colour]
    step: Literal["post"] | None = "post" if line.steps else None
    x, low = thinned(line.x, band[0])
    _, high = thinned(line.x, band[1])
    if len(x) == 1:
        axes.plot([x[0]] * 2, [low[0], high[0]], color=colour, linewidth=1.2, label="_", zorder=2)
    else:
        axes.fill_between(x, low, high, step=step, color=colour, alpha=0.15, linewidth=0, zorder=1.5)


def add_mark(axes: Axes, height: float, word: str) -> None:
    """A dotted line with its word on the side of the middle, so that it does not lie on the axis and its ticks."""
    align = "bottom" if height < sum(axes.get_ylim()) / 2 else "top"
    axes.axhline(height, color=STAND_INS["--muted"], linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    place = axes.get_yaxis_transform()
    axes.text(0.99, height, word, transform=place, ha="right", va=align, color=STAND_INS["--muted"], fontsize=7.5)


def thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """At most MAX_POINTS points, the last one among them."""
    stride = -(-len(x) // MAX_POINTS) or 1
    shown_points = sorted({*range(0, len(x), stride), *([len(x) - 1] if len(x) else [])})
    return [x[index] for index in shown_points], [y[index] for index in shown_points]


def dress(
    axes: Axes, x_label: str, percent: bool, integers: bool, *, ticks: bool = True, handle: float = HANDLE
) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(STAND_INS["--rule"])
    axes.grid(axis="y", color=STAND_INS["--rule"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=STAND_INS["--muted"], pad=4)
    if ticks:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=integers, min_n_ticks=1 if integers else 3))
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None, symbol="%"))
    axes.set_xlabel(x_label, color=STAND_INS["--muted"], loc="right", labelpad=1)
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=legend_rows(labels, handle)[0],
            frameon=False,
            borderpad=0.1,
            borderaxespad=0.3,
            handlelength=handle,
            columnspacing=1.2,
            labelcolor=STAND_INS["--ink"],
        )


def place_of(figure: Figure, axes: Axes) -> dict[str, float]:
    """The places of epochs 0 and 1 and of the frame, in units of the picture: for the line that follows the slider."""
    height = figure.get_figheight() * 72
    scale = 72 / figure.dpi
    (x0, _), (x1, _) = axes.transData.transform([(0, axes.get_ylim()[0]), (1, axes.get_ylim()[0])])
    box = axes.get_window_extent()
    return {
        "x0": x0 * scale,
        "x1": x1 * scale,
        "top": height - box.y1 * scale,
        "bottom": height - box.y0 * scale,
        "left": box.x0 * scale,
        "right": box.x1 * scale,
    }


def written(figure: Figure) -> str:
    """The figure as matplotlib's own SVG file."""
    text_file = StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(text_file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return text_file.getvalue()


def element(file: str, label: str, frame: dict[str, float], height_in: float) -> Html:
    """matplotlib's file as an <svg> element of the page: no prolog, fonts of the page, ids that cannot clash."""
    picture = file[file.index("<svg") :]
    picture = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", picture, flags=re.DOTALL)
    picture = re.sub(r"<title>.*?</title>", "", picture, flags=re.DOTALL)
    picture = re.sub(r' clip-path="[^"]*"|<clipPath.*?</clipPath>', "", picture, flags=re.DOTALL)
    picture = own_ids(picture, hashlib.sha256((label + picture).encode(errors="backslashreplace")).hexdigest()[:8])
    for variable, stand_in in STAND_INS.items():
        picture = picture.replace(stand_in, f"var({variable})")
    picture = re.sub(
        r"font: ([\d.]+px) [^;\"]*|font-family: [^;]*; ?", lambda f: f"font-size: {f[1]}" if f[1] else "", picture
    )
    places = " ".join(f'data-{name}="{value:.2f}"' for name, value in frame.items())
    view = f'viewBox="0 0 {WIDTH_IN * 72:g} {height_in * 72:g}" xmlns="http://www.w3.org/2000/svg"'
    links = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    start = f'<svg class="curves" role="img" aria-label="{text(label)}" {places} {view} {links}>'
    picture = start + picture[picture.index(">") + 1 :]
    return Html(re.sub(r"\n\s*", "\n", picture).strip())


def own_ids(picture: str, mark: str) -> str:
    """Ids that something refers to get a mark of this picture, so that they cannot clash; the others are removed."""
    used = set(re.findall(r'href="#([^"]*)"', picture))
    picture = re.sub(r' id="([^"]*)"', lambda found: f' id="{mark}-{found[1]}"' if found[1] in used else "", picture)
    return re.sub(r'href="#([^"]*)"', rf'href="#{mark}-\1"', picture)
