"""Pictures of a comparison: the best so far over cost with bands, and the results of all repetitions."""

from collections.abc import Sequence
from dataclasses import dataclass

from dartboard.analysis.statistics import ENOUGH
from dartboard.report.blocks import picture
from dartboard.report.comparison_tables import percent
from dartboard.report.figures import MANY_DOTS, Series, curves, dots
from dartboard.report.looks import Look, looks_of
from dartboard.report.markup import Html
from dartboard.studies.standings import Curve, Standing, Standings, curve

EARLY = 0.1  # of the budget: the axis begins at the lowest mean from here on, so that the end can be read
MARGIN = 0.35  # of the height between the means: as far above and below them bands and bars are drawn


def looks(found: Standings) -> dict[str, Look]:
    """The look of each contender, the same in every picture."""
    given = looks_of([one.is_baseline for one in found.standings])
    return {one.label: look for one, look in zip(found.standings, given, strict=True)}


def curve_picture(found: Standings) -> Html | None:
    """The mean of the best so far over cost; None if no contender has a curve."""
    known = [one for standing in found.standings if (one := curve(standing)) is not None]
    if not known:
        return None
    dressed, drawn = looks(found), {one.label for one in known}
    others = [one for one in found.standings if one.label not in drawn and one.mean is not None]
    single = others if found.curves_end_at_results else []
    frame = frame_of(known, single, found.comparison.budget)
    lines = [line for one in known if (line := line_of(one, dressed[one.label], frame))]
    lines += [dot_of(one, dressed[one.label], frame) for one in single]
    unit = found.comparison.unit
    ends = ", ".join(f"{one.label} {percent(one.mean[-1])} (n = {one.n})" for one in known)
    svg = curves(lines, f"Best so far over {unit}, means at the end: {ends}", percent=True, x_label=unit)
    said = caption(known, bool(single), frame, found)
    if others and not single:
        said += f" Without a curve: {', '.join(one.label for one in others)}."
    return picture(svg, said, "best-so-far", title=f"Best so far over {unit}")


@dataclass(frozen=True)
class Frame:
    """From where on means are drawn, and between what bands are."""

    start: float
    low: float
    high: float

    def within(self, value: float) -> float:
        return min(max(value, self.low), self.high)


def frame_of(known: Sequence[Curve], single: Sequence[Standing], budget: float) -> Frame:
    """Means from the lowest after the first tenth of the budget on; bands a little beyond all means."""
    later = [
        value
        for one in known
        for cost, value in zip(one.costs, one.mean, strict=True)
        if cost >= EARLY * budget or cost == one.costs[-1]
    ]
    means = [*later, *(one.mean for one in single if one.mean is not None)]
    beyond = MARGIN * (max(means) - min(means))
    return Frame(min(later), max(0.0, min(means) - beyond), min(1.0, max(means) + beyond))


def caption(known: Sequence[Curve], with_dots: bool, frame: Frame, found: Standings) -> str:
    ways = dict.fromkeys("Student's t" if one.n < ENOUGH else "the bootstrap" for one in known if one.low is not None)
    of = "what the result would be if the search stopped there"
    if not found.curves_end_at_results:
        seen = found.comparison.conditions.get("curve", "the best score that a search has seen")
        of = f"another figure than the result ({seen})"
    parts = [f"A line is the mean over the finished seeds of {of}"]
    if ways:
        parts.append(f"a band is the 95 % interval of this mean by {' or '.join(ways)}")
    if with_dots:
        parts.append("a dot is a contender without a curve, at its cost, with the interval of its mean")
    ends = [value for one in known for value in (*(one.low or ()), *(one.high or ()))]
    cut = any(value != frame.within(value) for value in ends)
    below = any(one.mean[0] < frame.start for one in known)
    notes = [f"Means below {percent(frame.start)} are not drawn."] if below else []
    notes += ["Bands end at the edge of the frame."] if cut else []
    return " ".join([f"{'; '.join(parts)}.", *notes])


def line_of(one: Curve, look: Look, frame: Frame) -> Series | None:
    """From where the mean is in the frame; None if it never is."""
    start = next((place for place, value in enumerate(one.mean) if value >= frame.start), None)
    if start is None:
        return None
    part, band = slice(start, None), None
    if one.low is not None and one.high is not None:
        band = ([frame.within(value) for value in one.low[part]], [frame.within(value) for value in one.high[part]])
    return Series(one.label, one.costs[part], one.mean[part], look.colour, look.dashes, steps=True, band=band)


def dot_of(one: Standing, look: Look, frame: Frame) -> Series:
    """A contender without a curve, where it ended."""
    low, high = (None, None) if one.interval is None else (one.interval.low, one.interval.high)
    band = None if low is None or high is None else ([frame.within(low)], [frame.within(high)])
    return Series(one.label, [one.cost or 0.0], [one.mean or 0.0], look.colour, band=band)


def results_picture(found: Standings) -> Html | None:
    """Every result, a row for each contender; None if there is none."""
    known = [one for one in found.standings if one.results]
    if not known:
        return None
    dressed = looks(found)
    return rows_picture(
        [(one.label, one.results) for one in known],
        [dressed[one.label].colour for one in known],
        title="Results of all repetitions",
        label=f"Results: {'; '.join(f'{one.label} mean {percent(one.mean)}' for one in known)}",
    )


def rows_picture(
    results: Sequence[tuple[str, Sequence[float]]],
    colours: Sequence[str],
    *,
    title: str,
    label: str,
    one: str = "repetition",
    chance: float | None = None,
) -> Html:
    """A row of values for each group, in its colour. one: what a dot is; chance: a level that is drawn."""
    svg = dots(results, label, chance, colours)
    many = any(len(values) > MANY_DOTS for _, values in results)
    few = any(len(values) <= MANY_DOTS for _, values in results)
    parts = [f"Each dot is a {one}"] if few else []
    if many:
        parts.append(f"of more than {MANY_DOTS}, the line is from the lowest to the highest, thick between quartiles")
    said = "; ".join(parts)
    said = f"{said[:1].upper()}{said[1:]}; the bar is the mean."
    return picture(svg, said, title.lower().replace(" ", "-"), title=title)
