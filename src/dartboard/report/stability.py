"""Whether a search settled: entropy of alpha, and skip connections."""

import math
from collections.abc import Sequence

from dartboard.report.cells import DARTS_PLUS_SKIPS
from dartboard.report.drawing import TITLES
from dartboard.report.facts import Epoch, Facts
from dartboard.report.figures import Series
from dartboard.report.markup import Html, tag
from dartboard.report.measures import cell_of, entropy_bits, has_cells, num_skips
from dartboard.report.plots import plot
from dartboard.spaces import darts


def settled(facts: Facts) -> list[Html]:
    """Entropy and skip connections."""
    known = [epoch for epoch in facts.history if has_cells(epoch.architecture)]
    found = [entropy_plot(facts), skips_plot(facts, known)]
    return [tag("div", *(one for one in found if one is not None), class_="duo")]


def entropy_plot(facts: Facts) -> Html | None:
    lines = []
    for kind, colour in zip(darts.CELLS, ("--one", "--two"), strict=True):
        known = [(epoch.epoch, entropy_bits(epoch.weights[kind])) for epoch in facts.history if kind in epoch.weights]
        points = [(x, y) for x, y in known if math.isfinite(y)]
        if points:
            lines.append(Series(TITLES[kind], [x for x, _ in points], [y for _, y in points], colour))
    first = next((epoch.weights for epoch in facts.history if epoch.weights), {})
    choices = max((sum(weight > 0 for weight in row) for table in first.values() for row in table), default=1) or 1
    most = math.log2(choices)
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
