"""How well one score orders items as another does: measures of agreement with their bootstrap over the items. No torch.

A resample is a row of counts: how often each item is in it (n drawn from n, with replacement). Every measure is
computed from the counts, many resamples at a time. What is not defined in a resample, because all its values are
equal, is NaN there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dartboard.analysis.statistics import PIECE, Floats, Interval, percentiles, same_length

Measure = Callable[[Floats, Floats, Floats], Floats]  # (n,), (n,), counts (R, n) -> (R,)
DRAWS = 2_000
MOSTLY = 0.5  # share of the resamples that must have a value, for an interval


def resampled_counts(n: int, seed: int, draws: int = DRAWS) -> Floats:
    """How often each of n items is in each of `draws` random resamples, (draws, n)."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws)
    return counts.astype(np.float64)


def once(n: int) -> Floats:
    """The counts of the sample itself, (1, n)."""
    return np.ones((1, n))


def taus(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Kendall's tau-b of each resample, as `statistics.kendall_tau`; two copies of an item are a pair tied in both."""
    n, concordant, of_x, of_y = len(x), *(np.zeros(len(counts)) for _ in range(3))
    rows = max(1, PIECE // n)
    for first in range(0, n, rows):
        part = slice(first, first + rows)
        sx, sy = (np.sign(values[None, :] - values[part, None]) for values in (x, y))
        for total, signs in ((concordant, sx * sy), (of_x, np.abs(sx)), (of_y, np.abs(sy))):
            total += ((counts[:, part] @ signs) * counts).sum(axis=1)
    return ratio(concordant, np.sqrt(of_x * of_y))


def rhos(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Spearman's rho of each resample, as `statistics.spearman`: Pearson's correlation of its ranks."""
    a, b = (centred_ranks(values, counts) for values in (x, y))
    scale = np.sqrt((counts * a * a).sum(axis=1) * (counts * b * b).sum(axis=1))
    return ratio((counts * a * b).sum(axis=1), scale)


def centred_ranks(values: Floats, counts: Floats) -> Floats:
    """The rank of each item in each resample (ties share their mean) less the mean of all ranks, (R, n)."""
    below, equal = below_and_equal(values, counts)
    middle: Floats = below + equal / 2 - counts.sum(axis=1, keepdims=True) / 2
    return middle


def below_and_equal(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """For each item, how many of each resample have a smaller value, and how many an equal one; each (R, n)."""
    _, places = np.unique(values, return_inverse=True)
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    equal = np.add.reduceat(counts[:, order], starts, axis=1)
    below = np.cumsum(equal, axis=1) - equal
    return below[:, places], equal[:, places]


def overlaps(k: int) -> Measure:
    """The share of the k highest by y that are among the k highest by x.

    Values that are tied at the edge share the places that are left, as if those were drawn by lot on either side.
    Scores that know nothing of one another agree on k / n.
    """

    def overlap(x: Floats, y: Floats, counts: Floats) -> Floats:
        found: Floats = (counts * chosen(x, k, counts) * chosen(y, k, counts)).sum(axis=1) / k
        return found

    return overlap


def chosen(values: Floats, k: int, counts: Floats) -> Floats:
    """The chance of each item to be among the k highest of each resample, (R, n); 0 if it is not in it."""
    below, equal = below_and_equal(values, counts)
    above = counts.sum(axis=1, keepdims=True) - below - equal
    chances: Floats = np.clip((k - above) / np.maximum(equal, 1.0), 0.0, 1.0)
    return chances


def ratio(above: Floats, under: Floats) -> Floats:
    """NaN where what is divided by is zero."""
    found: Floats = np.divide(above, under, out=np.full(len(above), np.nan), where=under > 0)
    return found


# --- With intervals --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A measure in the sample, and in each resample, (R,). n: the number of items."""

    seen: float
    draws: Floats
    n: int


def drawn(measure: Measure, x: Sequence[float], y: Sequence[float], counts: Floats) -> Drawn:
    """A measure of two scores of n items. counts: of `resampled_counts`."""
    one, other = same_length(x, y, 2)
    return Drawn(float(measure(one, other, once(len(one)))[0]), measure(one, other, counts), len(one))


def interval(one: Drawn) -> Interval | None:
    """The measure with its 95 % percentile bootstrap interval over the items, as if others had been drawn.

    None if the sample itself has no value; an interval without ends if most resamples have none.
    """
    known = one.draws[np.isfinite(one.draws)]
    if not np.isfinite(one.seen):
        return None
    if len(known) < MOSTLY * len(one.draws):
        return Interval(one.seen, None, None, one.n, "none")
    return Interval(one.seen, *percentiles(known, 0.95), one.n, "bootstrap")


def difference(one: Drawn, other: Drawn) -> Interval | None:
    """By how much the first measure is larger, paired: both in the same resamples."""
    return interval(Drawn(one.seen - other.seen, one.draws - other.draws, one.n))
