"""Pictures of a transfer study: the paths of its searches, and its differences with their intervals."""

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dartboard.report.figures import LINE_IN, SETTINGS, STAND_INS, WIDTH_IN, dress, element, wrapped, written
from dartboard.report.markup import Html, tag, text

ROW, BOX_W, BOX_H, GAP, LEFT, LETTER_W = 34, 118, 24, 18, 10, 7
COLOURS = {"a": "--one", "b": "--two"}


def forest(rows: Sequence[tuple[str, float, float, float, Sequence[float]]], label: str) -> Html:
    """One row per difference: a dot for each pair, the mean with its interval.

    rows: (name, mean, low, high, pairs), as shares.
    """
    with matplotlib.rc_context(SETTINGS):
        labels = [wrapped(row[0], 36) for row in rows]
        height = 0.75 + 0.27 * len(rows) + LINE_IN * max(label.count("\n") for label in labels) * len(rows)
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        axes = figure.add_axes((0.47, 0.44 / height, 0.5, 1 - 0.6 / height), facecolor="none")
        for place, (_, middle, low, high, pairs) in enumerate(rows):
            axes.plot(pairs, [place] * len(pairs), "o", color=STAND_INS["--one"], alpha=0.45, markersize=3.4, zorder=2)
            ends = [[max(0.0, middle - low)], [max(0.0, high - middle)]]
            axes.errorbar([middle], [place], xerr=ends, fmt="D", color=STAND_INS["--two"], linewidth=1.3,
                          markersize=4.2, capsize=2.5, zorder=3)  # fmt: skip
        axes.axvline(0, color=STAND_INS["--muted"], linewidth=0.9, zorder=1)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.08)
        dress(axes, "difference of test accuracy, points", percent=False, integers=False, ticks=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
        return element(written(figure), label, {}, height)


def paths(rows: Sequence[tuple[str, Sequence[tuple[str, str]]]], label: str) -> Html:
    """One row per path through the data sets: boxes joined by arrows. rows: (name, ((side, words), ...))."""
    box_width = max([BOX_W, *(16 + LETTER_W * len(words) for _, steps in rows for _, words in steps)])
    width = LEFT + 190 + 2 * (box_width + GAP) + 10
    height = ROW * len(rows) + 8
    parts: list[Html] = []
    for number, (name, steps) in enumerate(rows):
        middle = 4 + ROW * number + ROW / 2
        parts.append(tag("text", name, x=LEFT, y=middle + 4, font_size=12, fill="var(--ink)"))
        for place, (side, words) in enumerate(steps):
            parts += box(LEFT + 190 + place * (box_width + GAP), middle, box_width, side, words, joined=place > 0)
    view = f"0 0 {width} {height}"
    return tag(
        "svg",
        *parts,
        viewBox=view,
        class_="plain",
        role="img",
        aria_label=text(label),
        style=f"--natural:{0.75 * width:.0f}pt",
    )


def box(left: float, middle: float, width: float, side: str, words: str, *, joined: bool) -> list[Html]:
    colour = f"var({COLOURS.get(side, '--four')})"
    found = [
        tag("rect", x=left, y=middle - BOX_H / 2, width=width, height=BOX_H, rx=5, fill=colour, fill_opacity="0.16",
            stroke=colour, stroke_dasharray=None if side == "a" else "5 3"),
        tag("text", words, x=left + width / 2, y=middle + 4, font_size=11.5, text_anchor="middle", fill="var(--ink)"),
    ]  # fmt: skip
    if joined:
        tip = f"M{left - GAP + 2} {middle}H{left - 3}m-5 -4l5 4l-5 4"
        found.append(tag("path", d=tip, fill="none", stroke="var(--muted)", stroke_width=1.4))
    return found
