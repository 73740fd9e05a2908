"""The sentences on the page of a comparison: who is best, by how much, and whether the paired tests support it."""

from dartboard.report import words
from dartboard.report.comparison_tables import (
    cost_words,
    difference_interval,
    interval_words,
    p_words,
    percent,
    points,
)
from dartboard.studies.contenders import Comparison
from dartboard.studies.standings import SHOWN_AT, PairTest, Standing, Standings

MANY_SEEDS = 12  # unfinished seeds that are named


def headline(found: Standings) -> str:
    """One sentence that a person can rely on."""
    ranking = found.ranking
    if not ranking:
        return "No repetition has finished yet"
    best = ranking[0]
    if len(ranking) == 1:
        return f"{best.label}: {percent(best.mean)}, and nothing to compare it with"
    known = [(other, test) for other in ranking[1:] if (test := found.between(best, other)) and test.n > 1]
    if not known:
        return f"{best.label} has the highest mean, {percent(best.mean)}; there are no pairs of seeds to test it"
    second, test = next((pair for pair in known if not is_above(pair[1])), known[0])
    if test.interval is not None and test.interval.estimate == 0.0:
        return f"No difference is shown between {best.label} and {second.label}: {percent(best.mean)}"
    ahead = ahead_words(test)
    if test.shown and not is_above(test):
        return f"{best.label} has the highest mean, but is {ahead} {second.label} over the seeds that both have"
    left = [other.label for other in ranking[1:] if other.label not in {one.label for one, _ in known}]
    if test.shown and left:
        against = f"there are no pairs of seeds to test it against {listed(left)}"
        return f"{best.label} has the highest mean, {ahead} {second.label}; {against}"
    if test.shown:
        return f"{best.label} is best: {percent(best.mean)}, {ahead} {second.label}"
    if test.too_few:
        seeds = f"{words.plural(test.n, 'pair')} of seeds"
        return f"{best.label} has the highest mean, {ahead} {second.label}, but {seeds} cannot show a difference"
    return f"No difference is shown: {best.label} has the highest mean, {ahead} {second.label}"


def is_above(test: PairTest) -> bool:
    """Whether the test supports that the first is better; over the seeds of both it may be worse despite its mean."""
    return test.shown and test.interval is not None and test.interval.estimate > 0


def ahead_words(test: PairTest) -> str:
    """ "0.31 points above", over the pairs of the test: what it is about."""
    estimate = test.interval.estimate if test.interval is not None else 0.0
    return f"{100 * abs(estimate):.2f} points {'below' if estimate < 0 else 'above'}"


def support(found: Standings) -> str:
    """Whether the paired tests support the headline, against whom, and how far they go."""
    ranking = found.ranking
    if len(ranking) < 2:
        return ""
    best, others = ranking[0], ranking[1:]
    known = [(other, test) for other in others if (test := found.between(best, other)) is not None]
    shown = [(other, test) for other, test in known if is_above(test)]
    if len(shown) == len(others):
        worst = max(test.holm or 0.0 for _, test in shown)
        return f"Paired tests support it against {everyone(others)} (p ≤ {p_words(worst)} after Holm)."
    if not shown:
        return f"Paired tests do not support that {best.label} is better than {everyone(others, 'any')}."
    left = [other.label for other in others if other.label not in {one.label for one, _ in shown}]
    return (
        f"Paired tests support that {best.label} is better than {listed([other.label for other, _ in shown])}, "
        f"not that it is better than {listed(left, 'or')}."
    )


def everyone(others: list[Standing], which: str = "each") -> str:
    return others[0].label if len(others) == 1 else f"{which} of the {len(others)} others"


def listed(labels: list[str], last: str = "and") -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} {last} {labels[-1]}"


def baseline_sentences(found: Standings) -> list[str]:
    """Each method beside random search at equal cost."""
    random = found.random
    if random is None:
        return []
    return [
        sentence(found.between(one, random), one, random) for one in found.standings if not one.is_baseline and one.n
    ]


def sentence(test: PairTest | None, first: Standing, second: Standing) -> str:
    """The difference of two contenders with what it can and cannot say."""
    if test is None or test.interval is None:
        return f"{first.label} and {second.label} have no finished seed in common."
    what = f"{first.label} − {second.label}: {points(test.interval.estimate)} points"
    if test.n < 2:
        return f"{what} (n = 1, no interval, no test)."
    made = f"95 % interval {difference_interval(test)}, {test.interval.how}, n = {test.n} pairs"
    numbers = f"{made}, p = {p_words(test.holm)} after Holm"
    if test.interval.low == test.interval.high == 0.0:
        return f"{what} ({numbers}). No difference at all."
    if test.shown:
        which = "better" if test.interval.estimate > 0 else "worse"
        return f"{what} ({numbers}). It is {which}."
    return f"{what} ({numbers}). " + (
        f"So few seeds cannot show a difference: p cannot be below {p_words(test.least)}."
        if test.too_few
        else "No difference is shown."
    )


def lede(found: Standings) -> str:
    """What was compared, in two or three sentences."""
    comparison = found.comparison
    budget = cost_words(comparison.budget, comparison.unit)
    numbers = sorted({one.n for one in found.standings}) or [0]
    seeds = words.plural(numbers[0], "seed") if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} seeds"
    return (
        f"{words.plural(len(found.standings), 'contender')} on {comparison.space}, {budget} each, {seeds} finished. "
        f"Scored by {comparison.scored_by}. The result is {comparison.result_is}."
    )


def tile_remark(one: Standing, found: Standings) -> str:
    """What stands below a contender's figure: n, the interval, the difference to random search."""
    if not one.n or one.interval is None:
        return "no repetition has finished"
    parts = [f"n = {one.n}"]
    if one.interval.low is not None:
        parts.append(f"95 % interval {interval_words(one.interval)}")
    random = found.random
    if one.is_baseline:
        parts.append(f"baseline: {one.contender.role}")
    elif random is not None and (test := found.between(one, random)) is not None and test.interval is not None:
        verdict = "shown by the tests" if test.shown else "no difference shown"
        parts.append(f"{points(test.interval.estimate)} points against random search: {verdict}")
    return "; ".join(parts)


def figure_words(one: Standing) -> str:
    """ "93.10 ± 0.20 %"; one value stands alone."""
    if one.spread is None:
        return percent(one.mean)
    return f"{100 * (one.mean or 0.0):.2f} ± {100 * one.spread:.2f} %"


def unfinished(comparison: Comparison) -> list[str]:
    """A sentence for each contender that has repetitions without a result."""
    found = []
    for one in comparison.contenders:
        seeds = [repetition.seed for repetition in one.repetitions if repetition.result is None]
        if seeds:
            rest = f" and {len(seeds) - MANY_SEEDS} more" if len(seeds) > MANY_SEEDS else ""
            named = ", ".join(map(str, seeds[:MANY_SEEDS]))
            which = "seed" if len(seeds) == 1 else "seeds"
            found.append(f"{one.label}: {len(seeds)} of {len(one.repetitions)} have no result ({which} {named}{rest}).")
        elif not one.repetitions:
            found.append(f"{one.label}: no repetition has begun.")
    return found


def few_words(found: Standings) -> str:
    """What so few seeds cannot show; empty if every test could show a difference."""
    few = [one for one in found.tests if one.too_few and one.n > 1]
    if not few:
        return ""
    n, pairs = max(one.n for one in few), sum(one.p is not None for one in found.tests)
    alone, least = 2.0 ** (1 - n), min(one.least for one in few)
    fewer = "" if all(one.n == n for one in few) else " or fewer"
    return (
        f"With {n} pairs of seeds{fewer} a sign-flip test cannot be below {alone:g}, and corrected for "
        f"{words.plural(pairs, 'pair')} not below {p_words(least)}; {SHOWN_AT:g} would be needed. The "
        "intervals by Student's t are correct only if differences are normal, which so few values cannot tell. "
        "These are observations in these runs, not general results."
    )
