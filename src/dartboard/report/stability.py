"""Whether a search converged: entropy of alpha, and skip connections."""

import math
from collections.abc import Sequence

from dartboard.report.cells import DARTS_PLUS_SKIPS
from dartboard.report.changes import inputs_of
from dartboard.report.facts import Epoch, Facts
from dartboard.report.figures import Series
from dartboard.report.forms import TITLES, has_form
from dartboard.report.markup import Html, tag
from dartboard.report.measures import entropy_bits
from dartboard.report.plots import plot


def settled(facts: Facts) -> list[Html]:
    """Entropy and skip connections."""
    known = [epoch for epoch in facts.history if has_form(epoch.architecture)]
    found = [entropy_plot(facts), skips_plot(facts, known)]
    return [tag("div", *(one for one in found if one is not None), class_="duo")]


def entropy_plot(facts: Facts) -> Html | None:
    lines = []
    for kind, colour in zip(facts.form.kinds, ("--one", "--two"), strict=False):
        known = [(epoch.epoch, entropy_bits(epoch.weights[kind])) for epoch in facts.history if kind in epoch.weights]
        points = [(x, y) for x, y in known if math.isfinite(y)]
        if points:
            lines.append(Series(TITLES[kind], [x for x, _ in points], [y for _, y in points], colour))
    first = next((epoch.weights for epoch in facts.history if epoch.weights), {})
    choices = max((sum(weight > 0 for weight in row) for table in first.values() for row in table), default=1) or 1
    most = math.log2(choices)
    caption = f"Mean over the edges, in bits: {most:.3g} is undecided between {choices} operations, 0 is decided."
    return plot(facts, "Entropy of alpha", lines, caption, marks=[(most, "undecided")])


def skips_plot(facts: Facts, known: Sequence[Epoch]) -> Html | None:
    if not known:
        return None
    lines = [
        Series(TITLES[kind], [epoch.epoch for epoch in known], [skips_of(epoch, kind) for epoch in known], colour)
        for kind, colour in zip(facts.form.kinds, ("--one", "--two"), strict=False)
    ]
    caption = "Inputs of the derived cell that are skip connections."
    if not facts.form.competing:
        return plot(facts, "Skip connections", lines, caption, integers=True)
    caption += " Dotted: the number at which DARTS+ would stop (normal cell)."
    return plot(facts, "Skip connections", lines, caption, integers=True, marks=[(DARTS_PLUS_SKIPS, "DARTS+")])


def skips_of(epoch: Epoch, kind: str) -> int:
    return [operation for _, _, operation in inputs_of(epoch, kind)].count("skip_connect")
