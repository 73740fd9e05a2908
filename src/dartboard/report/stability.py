"""Whether a search settled: entropy of alpha, skip connections, and what would have been derived at every epoch."""

import math
from collections.abc import Sequence

from dartboard.report import grids, words
from dartboard.report.blocks import picture
from dartboard.report.cells import DARTS_PLUS_SKIPS
from dartboard.report.drawing import TITLES
from dartboard.report.facts import Epoch, Facts
from dartboard.report.figures import Series
from dartboard.report.markup import Html, tag
from dartboard.report.measures import cell_of, entropy_bits, has_cells, last_change, num_changes, num_skips
from dartboard.report.plots import plot
from dartboard.spaces import darts


def settled(facts: Facts) -> list[Html]:
    """Entropy, skip connections, and the history of the derived cell."""
    known = [epoch for epoch in facts.history if has_cells(epoch.architecture)]
    found = [entropy_plot(facts), skips_plot(facts, known)]
    plots = tag("div", *(one for one in found if one is not None), class_="duo")
    if not known:
        return [plots]
    return [
        plots,
        tag("p", changes_words(known), class_="prose"),
        tag("div", *(past(facts, known, kind) for kind in darts.CELLS), class_="duo"),
    ]


def entropy_plot(facts: Facts) -> Html | None:
    lines = []
    for kind, colour in zip(darts.CELLS, ("--one", "--two"), strict=True):
        known = [(epoch.epoch, entropy_bits(epoch.weights[kind])) for epoch in facts.history if kind in epoch.weights]
        points = [(x, y) for x, y in known if math.isfinite(y)]
        if points:
            lines.append(Series(TITLES[kind], [x for x, _ in points], [y for _, y in points], colour))
    most = math.log2(len(facts.operations))
    choices = len(facts.operations)
    caption = f"Mean over the edges, in bits: {most:.3g} is undecided between {choices} operations, 0 has decided."
    return plot(facts, "Entropy of alpha", lines, caption, marks=[(most, "undecided")])


def skips_plot(facts: Facts, known: Sequence[Epoch]) -> Html | None:
    if not known:
        return None
    lines = [
        Series(
            TITLES[kind], [epoch.epoch for epoch in known], [num_skips(cell_of(epoch, kind)) for epoch in known], colour
        )
        for kind, colour in zip(darts.CELLS, ("--one", "--two"), strict=True)
    ]
    caption = "Inputs of the derived cell that are skip connections. Dotted: where DARTS+ would stop (normal cell)."
    return plot(facts, "Skip connections", lines, caption, whole=True, marks=[(DARTS_PLUS_SKIPS, "DARTS+")])


def changes_words(known: Sequence[Epoch]) -> str:
    def when(kind: str) -> str:
        changed = last_change(known, kind)
        return "never changed" if changed is None else f"last changed at epoch {changed}"

    times = words.plural(num_changes(known), "time")
    return (
        f"The derived cell, epoch by epoch. It changed {times}: the normal cell {when('normal')}, the reduction cell "
        f"{when('reduce')}, of epochs 0 to {known[-1].epoch}."
    )


def past(facts: Facts, known: Sequence[Epoch], kind: str) -> Html:
    rows = max(len(cell_of(epoch, kind).nodes) for epoch in known)
    caption = (
        "A row an edge, a column an epoch; coloured where the edge would be in the cell. The frame follows the slider."
    )
    return picture(
        grids.history(known, darts.edges(rows), kind),
        caption,
        f"{facts.name}-history-{kind}",
        title=f"Derived {TITLES[kind]}",
        wide=True,
    )
