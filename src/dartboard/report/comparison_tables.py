"""The tables of a comparison: its contenders, its paired tests, its repetitions."""

from collections.abc import Sequence

from dartboard.analysis.statistics import Interval
from dartboard.report import words
from dartboard.report.blocks import table
from dartboard.report.markup import Html, tag
from dartboard.report.sheets import Column, Sheet
from dartboard.studies.contenders import Comparison
from dartboard.studies.standings import SHOWN_AT, PairTest, Standing, Standings

MAX_PAIRS, MAX_REPETITIONS = 45, 100  # rows of a table


def percent(share: float | None) -> str:
    """With two decimals: a mean over seeds has them."""
    return words.UNKNOWN if share is None else f"{100 * share:.2f} %"


def points(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def interval_words(interval: Interval, decimals: int = 2) -> str:
    """Of an accuracy: "93.10 to 93.40 %"."""
    if interval.low is None or interval.high is None:
        return words.UNKNOWN
    return f"{100 * interval.low:.{decimals}f} to {100 * interval.high:.{decimals}f} %".replace("-", "−")


def cost_words(cost: float, unit: str) -> str:
    return words.duration(cost) if unit == "seconds" else f"{words.count(cost)} {unit}"


def time_words(seconds: float | None) -> str:
    """As `words.duration`; a search on a table may take milliseconds."""
    if seconds is not None and seconds < 0.95:
        return f"{1000 * seconds:.0f} ms"
    return words.duration(seconds)


def memory_words(memory_mb: float) -> str:
    return f"{memory_mb:,.0f} MB"


def p_words(p: float | None) -> str:
    return words.UNKNOWN if p is None else "1" if p > 0.995 else f"{p:.2g}"


def standings_sheet(found: Standings) -> Sheet:
    """A row for each contender: n, mean, spread, least, most, interval, cost, time, memory."""
    unit = found.comparison.unit
    columns = (
        Column("contender", "contender"), Column("", "role"), Column("", "method"), Column("", "settings"),
        Column("n", "n"), Column("", "unfinished"),
        Column("mean", "mean_accuracy", percent), Column("std", "std_accuracy", percent),
        Column("min", "min_accuracy", percent), Column("max", "max_accuracy", percent),
        Column("95 % interval", "", interval_words),
        Column("", "interval_95_low_accuracy"), Column("", "interval_95_high_accuracy"), Column("", "interval_by"),
        Column("mean cost", f"mean_cost_{unit}", lambda cost: cost_words(cost, unit)),
        Column("mean time", "mean_time_s", time_words), Column("peak memory", "peak_memory_mb", memory_words),
    )  # fmt: skip
    caption = (
        f"The result is {found.comparison.result_is}; n: finished repetitions; std with n − 1; interval of the mean by "
        f"{how_words(found.standings)}; peak memory: the highest."
    )
    return Sheet(caption, columns, tuple(standing_row(one) for one in found.standings))


def standing_row(one: Standing) -> tuple[object, ...]:
    interval, results = one.interval, one.results
    contender = one.contender
    ends = (None, None, None) if interval is None else (interval.low, interval.high, interval.how)
    return (
        one.label, contender.role, contender.method, contender.settings, one.n, len(one.unfinished),
        one.mean, one.spread, min(results, default=None), max(results, default=None),
        interval, *ends, one.cost, one.seconds, one.peak_memory_mb,
    )  # fmt: skip


def how_words(standings: Sequence[Standing]) -> str:
    known = [one.interval.how for one in standings if one.interval is not None and one.interval.how != "none"]
    return " or ".join(dict.fromkeys(known)).replace("bootstrap", "the bootstrap") or "none (one value has none)"


def tests_table(found: Standings) -> Html:
    """Every pair of contenders with the difference of their means, its interval and its p-value."""
    rows = [
        (
            f"{one.first} − {one.second}",
            points(one.interval.estimate) if one.interval is not None else words.UNKNOWN,
            difference_interval(one),
            one.n,
            p_words(one.p),
            p_words(one.holm),
            tag("span", verdict(one)),
        )
        for one in found.tests[:MAX_PAIRS]
    ]
    rest = len(found.tests) - MAX_PAIRS
    more = f" The first {MAX_PAIRS} of {len(found.tests)} pairs; corrected for all of them." if rest > 0 else ""
    caption = (
        "Differences of means in points, the higher mean first; n: seeds that both have finished; interval of this "
        f"one difference; p of the sign-flip test, and corrected for {words.plural(len(found.tests), 'pair')} "
        f"(Holm); shown: at most {SHOWN_AT:g}.{more}"
    )
    return table(("pair", "points", "95 % interval", "n", "p", "p, Holm", "difference"), rows, caption=caption)


def difference_interval(one: PairTest) -> str:
    interval = one.interval
    if interval is None or interval.low is None or interval.high is None:
        return words.UNKNOWN
    return f"{points(interval.low)} to {points(interval.high)}"


def verdict(one: PairTest) -> str:
    if one.shown:
        return "shown"
    if one.n < 2:
        return "not tested"
    return "too few seeds" if one.too_few else "not shown"


def repetitions_table(comparison: Comparison) -> Html | None:
    """A row for each repetition; None if there are too many to read."""
    every = [(contender.label, one) for contender in comparison.contenders for one in contender.repetitions]
    if not every or len(every) > MAX_REPETITIONS:
        return None
    rows = [
        (
            label,
            one.seed,
            percent(one.result) if one.result is not None else tag("span", "not finished"),
            cost_words(one.cost, comparison.unit),
            time_words(one.seconds),
            tag("code", one.folder) if one.folder else words.UNKNOWN,
            tag("code", one.architecture, class_="long") if one.architecture else words.UNKNOWN,
        )
        for label, one in every
    ]
    head = ("contender", "seed", "result", "cost", "time", "run", "architecture")
    return table(head, rows, caption="Every repetition; the contender's label, and its seed.")
