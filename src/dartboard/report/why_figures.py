"""Pictures of a `why` study as <svg> elements: waterfall, drops by input, early and final loss, weighted cells."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from dartboard.report.drawing import add_graph, new_graph, plain_look
from dartboard.report.drawing import element as cell_element
from dartboard.report.figures import SETTINGS, STAND_INS, WIDTH_IN, add_mark, dress, element, written
from dartboard.report.markup import Html
from dartboard.report.why_words import row_look
from dartboard.spaces import darts

Row = Mapping[str, Any]
THINNEST, THICKEST = 1.2, 9.0
NARROWEST = 0.02  # the thickest line stands for at least this drop: two points


def waterfall(rows: Sequence[Row], chance: float | None = None) -> Html:
    """Accuracy after each step: the first and the last as full bars, the steps between as their loss or gain."""
    with matplotlib.rc_context(SETTINGS):
        height = 3.1
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        axes = figure.add_axes((0.115, 0.2, 0.865, 0.72), facecolor="none")
        for place, row in enumerate(rows):
            add_step(axes, place, row, rows[place - 1]["accuracy"] if place else 0.0, place in (0, len(rows) - 1))
        axes.set_xticks(
            range(len(rows)), [row["label"].replace(", ", "\n").replace(" alpha", "\nalpha") for row in rows]
        )
        axes.set_ylim(0, 1.08)
        if chance is not None:
            add_mark(axes, chance, "chance")
        dress(axes, "", percent=True, integers=False, ticks=False)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None, symbol="%"))
        steps = ", ".join(f"{row['label']} {100 * row['accuracy']:.1f} %" for row in rows)
        return element(written(figure), f"Accuracy on the val images, step by step: {steps}", {}, height)


def add_step(axes: Axes, place: int, row: Row, before: float, total: bool) -> None:
    now = row["accuracy"]
    low, high = (0.0, now) if total else sorted((before, now))
    colour = STAND_INS["--one"] if total else STAND_INS["--three"] if now >= before else STAND_INS["--two"]
    axes.bar([place], [max(high - low, 0.004)], bottom=low, width=0.62, color=colour, alpha=0.85, zorder=2)
    if place:
        axes.plot([place - 0.69, place + 0.31], [before] * 2, color=STAND_INS["--muted"], linewidth=0.8, zorder=1)
    row_low, row_high = bounds(row, now)
    ends = [[now - row_low], [row_high - now]]
    axes.errorbar([place], [now], yerr=ends, color=STAND_INS["--ink"], linewidth=1, capsize=2.5, zorder=4)
    fell = place > 0 and not total and now < before
    at, side = (min(low, row_low) - 0.015, "top") if fell else (max(high, row_high) + 0.015, "bottom")
    axes.text(place, at, f"{100 * now:.1f}", ha="center", va=side, color=STAND_INS["--ink"], zorder=5)


def bounds(row: Row, estimate: float) -> tuple[float, float]:
    """The ends of the row's interval; the estimate itself if it has none."""
    return (estimate, estimate) if row["low"] is None else (row["low"], row["high"])


def drops(groups: Sequence[tuple[str, Row, Sequence[Row]]], label: str) -> Html:
    """One row per input: the loss without it, with its interval, and the loss by each of its other changes."""
    with matplotlib.rc_context(SETTINGS):
        height = 0.75 + 0.215 * len(groups)
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        axes = figure.add_axes((0.42, 0.44 / height, 0.55, 1 - 0.72 / height), facecolor="none")
        for place, (_, removed, others) in enumerate(groups):
            values = [row["drop"] for row in others]
            axes.plot(
                values, [place] * len(values), "o", color=STAND_INS["--one"], alpha=0.45, markersize=3.2, zorder=2
            )
            low, high = bounds(removed, removed["drop"])
            ends = [[removed["drop"] - low], [high - removed["drop"]]]
            axes.errorbar([removed["drop"]], [place], xerr=ends, fmt="o", color=STAND_INS["--two"], linewidth=1.2,
                          markersize=4.5, capsize=2, zorder=3)  # fmt: skip
        axes.axvline(0, color=STAND_INS["--muted"], linewidth=0.9, zorder=1)
        axes.set_yticks(range(len(groups)), [name for name, _, _ in groups])
        axes.set_ylim(len(groups) - 0.4, -0.6)
        dress(axes, "drop in accuracy, points", percent=False, integers=False, ticks=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
        return element(written(figure), label, {}, height)


def scatter(cells: Sequence[Row], x: str, y: str, axes_names: tuple[str, str], label: str) -> Html:
    """One dot per cell with its number of skips beside it; the found one in another colour."""
    with matplotlib.rc_context(SETTINGS):
        height = 2.9
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="none")
        axes = figure.add_axes((0.13, 0.16, 0.84, 0.74), facecolor="none")
        for row in cells:
            colour = STAND_INS[row_look(row["name"])[1]]
            axes.plot([row[x]], [row[y]], "o", color=colour, markersize=7 if row["name"] == "found" else 5, zorder=3)
            axes.annotate(f"{row['skips']:g}", (row[x], row[y]), (5, 3), textcoords="offset points", fontsize=7.5,
                          color=STAND_INS["--muted"])  # fmt: skip
        dress(axes, axes_names[0], percent=False, integers=False, ticks=False)
        axes.set_title(axes_names[1], loc="left", fontsize=8.5, color=STAND_INS["--muted"])
        axes.margins(0.12)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        return element(written(figure), label, {}, height)


def weighted_cell(cell: darts.Cell, kind: str, weights: Mapping[tuple[int, int], float]) -> Html:
    """A cell whose inputs are as thick as their weight; the number is beside the operation.

    weights: drop in accuracy without the input, by (node, input); negative ones are drawn thinnest.
    """
    one, greatest = darts.graph(cell, kind), max([NARROWEST, *weights.values()])
    nodes = enumerate(cell.nodes, start=darts.NUM_INPUTS)
    own = [weights.get((node, number), 0.0) for node, inputs in nodes for number in range(len(inputs))]
    looks = []
    for (_, _, operation), weight in zip(one.edges, own, strict=True):
        width = THINNEST + (THICKEST - THINNEST) * max(weight, 0.0) / greatest
        looks.append((f"{operation}  {100 * weight:+.1f}", {**plain_look(operation)[1], "penwidth": f"{width:.2f}"}))
    drawing = new_graph()
    add_graph(drawing, one, looks=looks)
    losses = ", ".join(
        f"{operation} of {source} into {target}: {100 * weight:.1f}"
        for (source, target, operation), weight in zip(one.edges, own, strict=True)
    )
    return cell_element(drawing, f"The {one.title}, points of accuracy lost without each input: {losses}")
