"""Curves of a run as titled pictures."""

from collections.abc import Sequence

import numpy as np

from dartboard.report import words
from dartboard.report.blocks import picture
from dartboard.report.facts import Facts
from dartboard.report.figures import DASHED, Series, curves
from dartboard.report.markup import Html


def line(facts: Facts, field: str, name: str, colour: str, *, dashed: bool = False) -> list[Series]:
    """The field over the epochs, if any epoch has it."""
    points = [(epoch.epoch, value) for epoch in facts.epochs if (value := epoch.get(field)) is not None]
    dashes = DASHED if dashed else ()
    return [Series(name, [x for x, _ in points], [y for _, y in points], colour, dashes)] if points else []


def step_line(facts: Facts, field: str, colour: str) -> list[Series]:
    """The field over the steps, faint; the steps of an epoch end at the point of the epoch."""
    if not facts.epochs or facts.epochs[0].step <= 0:
        return []
    ends = [(0, -1), *((epoch.step, epoch.epoch) for epoch in facts.epochs)]  # (steps done, epoch that they end)
    ends.append((2 * ends[-1][0] - ends[-2][0], ends[-1][1] + 1))  # the current epoch
    steps, epochs = zip(*ends, strict=True)
    found = [(step.step, value) for step in facts.steps if (value := step.get(field)) is not None]
    points = [(float(np.interp(step, steps, epochs)), value) for step, value in found]
    return [Series("steps", [x for x, _ in points], [y for _, y in points], colour, faint=True)] if points else []


def plot(
    facts: Facts,
    title: str,
    series: Sequence[Series],
    caption: str,
    *,
    percent: bool = False,
    gap: bool = False,
    integers: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    chance: bool = False,
) -> Html | None:
    """A titled picture of curves, with first and last values in its description; None if there is no curve.

    A dotted vertical line stands at each swap of the chain; chance: a dotted horizontal one at chance level.
    """
    if not series:
        return None
    ends = [
        f"{one.name} from {number(one.y[0], percent)} to {number(one.y[-1], percent)}"
        for one in series
        if not one.faint
    ]
    label = f"{title} over epochs: {', '.join(ends)}"
    swaps = [swap.epoch - 0.5 for swap in facts.swaps]
    if chance and facts.chance is not None:
        marks, label = [*marks, (facts.chance, "chance")], f"{label}; chance {number(facts.chance, percent)}"
    svg = curves(series, label, percent=percent, gap=gap, integers=integers, marks=marks, swaps=swaps)
    return picture(svg, caption, f"{facts.name}-{title.lower().replace(' ', '-')}", title=title)


def number(value: float, percent: bool) -> str:
    return words.percent(value) if percent else f"{value:.4g}"
