"""What a comparison shows: each contender's results with their spread, paired tests, mean curves. No torch.

Only finished repetitions count. Pairs of contenders are compared over the seeds that both have finished, by a sign-flip
test of the differences: its statistic is the difference of the means that the table shows, it assumes nothing but
that a difference is as likely to have the other sign if there is no effect, and it is exact for a few seeds. With three
it cannot be below 0.25, which is what three pairs can say without the assumption that differences are normal. The
p-values of all pairs are corrected together (Holm).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dartboard.analysis.p_values import holm, sign_flip_p
from dartboard.analysis.statistics import (
    TOLERANCE,
    Floats,
    Interval,
    mean,
    mean_bands,
    mean_interval,
    paired_difference,
    sample_spread,
)
from dartboard.studies.contenders import Comparison, Contender, Repetition

SEED = 0  # of everything that is resampled
SHOWN_AT = 0.05  # a difference is shown if its corrected p-value is at most this
MAX_POINTS = 200  # of a mean curve


@dataclass(frozen=True)
class Standing:
    """The finished repetitions of a contender. interval: of the mean result, 95 %; None if none is finished."""

    contender: Contender
    finished: tuple[Repetition, ...]
    interval: Interval | None

    @property
    def label(self) -> str:
        return self.contender.label

    @property
    def is_baseline(self) -> bool:
        return self.contender.role != "method"

    @property
    def results(self) -> tuple[float, ...]:
        return tuple(one.result for one in self.finished if one.result is not None)

    @property
    def unfinished(self) -> tuple[int, ...]:
        """The seeds without a result."""
        return tuple(one.seed for one in self.contender.repetitions if one.result is None)

    @property
    def n(self) -> int:
        return len(self.finished)

    @property
    def mean(self) -> float | None:
        return self.interval.estimate if self.interval is not None else None

    @property
    def spread(self) -> float | None:
        """Sample standard deviation; None for fewer than two results."""
        return sample_spread(self.results) if self.n > 1 else None

    @property
    def cost(self) -> float | None:
        """The mean, in the unit of the comparison."""
        return mean([one.cost for one in self.finished]) if self.finished else None

    @property
    def seconds(self) -> float | None:
        """The mean of those that were measured."""
        known = [one.seconds for one in self.finished if one.seconds is not None]
        return mean(known) if known else None

    @property
    def peak_memory_mb(self) -> float | None:
        """The greatest of those that were measured."""
        return max((one.peak_memory_mb for one in self.finished if one.peak_memory_mb is not None), default=None)


@dataclass(frozen=True)
class PairTest:
    """Two contenders over the seeds that both have finished: first - second.

    interval: None without a common seed; p: of the sign-flip test, None for fewer than two seeds; holm: p corrected
    for the number of pairs; least: the smallest value that `holm` can have for this number of seeds and pairs.
    """

    first: str
    second: str
    interval: Interval | None
    p: float | None = None
    holm: float | None = None
    least: float = 1.0

    @property
    def n(self) -> int:
        return self.interval.n if self.interval is not None else 0

    @property
    def shown(self) -> bool:
        """Whether the test supports a difference."""
        return self.holm is not None and self.holm <= SHOWN_AT

    @property
    def too_few(self) -> bool:
        """Whether no values at all could make this test show a difference."""
        return self.least > SHOWN_AT


@dataclass(frozen=True)
class Curve:
    """The mean of the best so far over n repetitions, at ascending costs; low, high: 95 % interval, None for one."""

    label: str
    n: int
    costs: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


@dataclass(frozen=True)
class Standings:
    """All that is computed of a comparison. ranking: standings that have a result, the highest mean first."""

    comparison: Comparison
    standings: tuple[Standing, ...]
    tests: tuple[PairTest, ...]

    @property
    def ranking(self) -> list[Standing]:
        return ranked(self.standings)

    @property
    def random(self) -> Standing | None:
        """Random search at equal cost, if it has a result."""
        roles = (one for one in self.standings if one.contender.role == "random at equal cost" and one.n)
        return next(roles, None)

    @property
    def curves_end_at_results(self) -> bool:
        """Whether curves are of what the result is; on data they are of the score that a search sees."""
        ends = [(one.best[-1], one.result) for each in self.standings for one in each.finished if one.best]
        return all(result is not None and abs(last - result) <= TOLERANCE for last, result in ends)

    def between(self, first: Standing, second: Standing) -> PairTest | None:
        """The test of first - second, in this order."""
        for one in self.tests:
            if (one.first, one.second) == (first.label, second.label):
                return one
            if (one.second, one.first) == (first.label, second.label):
                return reverse(one)
        return None


def standings_of(comparison: Comparison) -> Standings:
    """Everything that is said about a comparison, from its values."""
    found = tuple(standing(one) for one in comparison.contenders)
    return Standings(comparison, found, tests(ranked(found)))


def standing(contender: Contender) -> Standing:
    finished = tuple(one for one in contender.repetitions if one.result is not None)
    results = [one.result for one in finished if one.result is not None]
    return Standing(contender, finished, mean_interval(results, SEED) if results else None)


def ranked(standings: Sequence[Standing]) -> list[Standing]:
    return sorted((one for one in standings if one.mean is not None), key=lambda one: -(one.mean or 0.0))


def tests(ranking: Sequence[Standing]) -> tuple[PairTest, ...]:
    """Every pair, the one with the higher mean first, corrected for their number."""
    pairs = [(one, other, *common(one, other)) for one, other in combinations(ranking, 2)]
    tested = [(left, right) for *_, left, right in pairs if len(left) > 1]
    p_values = [sign_flip_p([a - b for a, b in zip(left, right, strict=True)], SEED) for left, right in tested]
    known = iter(zip(p_values, holm(p_values), strict=True))
    found = []
    for one, other, left, right in pairs:
        interval = paired_difference(left, right, SEED) if left else None
        p, corrected = next(known) if len(left) > 1 else (None, None)
        least = min(1.0, len(p_values) * 2.0 ** (1 - len(left))) if len(left) > 1 else 1.0
        found.append(PairTest(one.label, other.label, interval, p, corrected, least))
    return tuple(found)


def common(one: Standing, other: Standing) -> tuple[list[float], list[float]]:
    """The results of both over the seeds that both have finished; of a seed that occurs twice, their mean."""
    left, right = by_seed(one), by_seed(other)
    seeds = [seed for seed in left if seed in right]
    return [left[seed] for seed in seeds], [right[seed] for seed in seeds]


def by_seed(one: Standing) -> Mapping[int, float]:
    found: dict[int, list[float]] = {}
    for repetition, result in zip(one.finished, one.results, strict=True):
        found.setdefault(repetition.seed, []).append(result)
    return {seed: mean(values) for seed, values in found.items()}


def reverse(one: PairTest) -> PairTest:
    """second - first."""
    interval = one.interval
    if interval is not None:
        low, high = (None if end is None else -end for end in (interval.high, interval.low))
        interval = Interval(-interval.estimate, low, high, interval.n, interval.how, interval.level)
    return PairTest(one.second, one.first, interval, one.p, one.holm, one.least)


# --- Curves ----------------------------------------------------------------------------------------------------------


def curve(one: Standing) -> Curve | None:
    """The mean curve of the finished repetitions that have one; None if none has.

    It begins where all of them have a value. One that ends earlier than others keeps its last value.
    """
    known = [repetition for repetition in one.finished if repetition.costs]
    if not known:
        return None
    grid = places(known)
    values = np.array([values_at(repetition, grid) for repetition in known])
    bands = mean_bands(values, SEED)
    low, high = (None, None) if bands is None else (tuple(map(float, side)) for side in bands)
    return Curve(one.label, len(known), tuple(map(float, grid)), tuple(map(float, values.mean(axis=0))), low, high)


def places(repetitions: Sequence[Repetition]) -> Floats:
    """The costs at which a curve is drawn: all at which one has a point, or MAX_POINTS of them."""
    start = max(one.costs[0] for one in repetitions)
    every = np.unique(np.concatenate([np.asarray(costs) for costs in {one.costs for one in repetitions}]))
    grid: Floats = every[every >= start].astype(np.float64)
    if len(grid) <= MAX_POINTS:
        return grid
    return grid[np.unique(np.linspace(0, len(grid) - 1, MAX_POINTS).round().astype(np.int64))]


def values_at(one: Repetition, grid: Floats) -> Floats:
    """The best so far at these costs, none below the first."""
    values: Floats = np.asarray(one.best, dtype=np.float64)[np.searchsorted(one.costs, grid, side="right") - 1]
    return values
