"""p-values for results from a few runs, cells or images: permutations, flipped signs, McNemar's test, Holm. No torch.

Values are as in analysis/statistics.py. Everything random takes a seed.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import permutations, product

import numpy as np

from dartboard.analysis.statistics import (
    PIECE,
    TOLERANCE,
    Floats,
    Indices,
    checked,
    kendall_tau_within,
    pair_signs,
    pairs_within,
    ranks,
    same_length,
    spearman,
    stratum_numbers,
)

ALL_ORDERS = 50_000  # up to this number of permutations, all are taken: n <= 8


def kendall_p(x: Sequence[float], y: Sequence[float], seed: int, *, draws: int = 10_000) -> float | None:
    """Two-sided permutation p-value of tau-b; None if tau is None.

    The share of orders of y whose |C - D| is at least the observed one (the ties, and so the denominator, do not
    change). All n! orders if these are at most ALL_ORDERS, n <= 8; otherwise (1 + b) / (1 + draws) with b of `draws`
    random orders as extreme, which is never 0 (Phipson and Smyth 2010).
    """
    return kendall_p_within(x, y, [0] * len(x), seed, draws=draws)


def kendall_p_within(
    x: Sequence[float], y: Sequence[float], strata: Sequence[Hashable], seed: int, *, draws: int = 10_000
) -> float | None:
    """Two-sided permutation p-value of `kendall_tau_within`; None if that is None.

    As `kendall_p`, but over the orders of y that leave every value in its stratum: only members of one stratum are
    assumed to be exchangeable. All of them if these are at most ALL_ORDERS, otherwise random ones.
    """
    one, other = same_length(x, y, 2)
    if kendall_tau_within(x, y, strata) is None:
        return None
    pairs = pairs_within(strata)
    signs = pair_signs(one[None], pairs)[0]
    groups = [np.flatnonzero(stratum_numbers(strata) == number) for number in range(len(set(strata)))]
    width = max(len(signs), len(one))
    return permutation_p(
        lambda rows: pair_signs(rows, pairs) @ signs, other, seed, draws=draws, width=width, groups=groups
    )


def spearman_p(x: Sequence[float], y: Sequence[float], seed: int, *, draws: int = 10_000) -> float | None:
    """Two-sided permutation p-value of rho, as `kendall_p`."""
    if spearman(x, y) is None:
        return None
    centred = ranks(x) - ranks(x).mean()
    return permutation_p(lambda rows: rows @ centred, ranks(y) - ranks(y).mean(), seed, draws=draws, width=len(x))


def permutation_p(
    statistic: Callable[[Floats], Floats],
    values: Sequence[float] | Floats,
    seed: int,
    *,
    draws: int,
    width: int,
    groups: Sequence[Indices] | None = None,
) -> float:
    """Share of the orders of `values` whose |statistic| is at least that of the order given.

    statistic: rows (R, n) to (R,), zero without any relation; width: numbers that it needs per row, to bound memory;
    groups: the places that exchange their values among each other, by default all of them.
    """
    array = checked(list(values))
    n, rows = len(array), max(1, PIECE // max(width, len(values)))
    groups = [np.arange(n)] if groups is None else groups
    seen = abs(float(statistic(array[None])[0]))
    least = seen - TOLERANCE * max(1.0, seen)
    exact = math.prod(math.factorial(min(len(group), 20)) for group in groups) <= ALL_ORDERS
    orders = all_orders(groups, rows) if exact else random_orders(groups, rows, draws, np.random.default_rng(seed))
    extreme = total = 0
    for piece in orders:
        extreme += int((np.abs(statistic(array[piece])) >= least).sum())
        total += len(piece)
    return extreme / total if exact else (1 + extreme) / (1 + total)


def all_orders(groups: Sequence[Indices], rows: int) -> Iterator[Indices]:
    """Every order that leaves values in their group, (R, n) at a time."""
    n = sum(map(len, groups))
    orders = np.empty((math.prod(math.factorial(len(group)) for group in groups), n), dtype=np.int64)
    for number, choice in enumerate(product(*(permutations(group) for group in groups))):
        for group, order in zip(groups, choice, strict=True):
            orders[number, group] = order
    return (orders[first : first + rows] for first in range(0, len(orders), rows))


def random_orders(groups: Sequence[Indices], rows: int, draws: int, rng: np.random.Generator) -> Iterator[Indices]:
    """`draws` orders that leave values in their group, (R, n) at a time."""
    n = sum(map(len, groups))
    for first in range(0, draws, rows):
        orders = np.empty((min(rows, draws - first), n), dtype=np.int64)
        for group in groups:
            orders[:, group] = rng.permuted(np.tile(group, (len(orders), 1)), axis=1)
        yield orders


def sign_flip_p(differences: Sequence[float], seed: int, *, draws: int = 10_000) -> float:
    """Two-sided p-value of paired differences being symmetric about zero (Fisher's randomisation test).

    The share of the 2^n choices of signs whose |sum| is at least the observed one; all of them for n <= 15, otherwise
    random ones as in `kendall_p`. The smallest possible value is 2 / 2^n: 0.25 for 3 pairs, 0.031 for 6.
    """
    array = checked(differences)
    n = len(array)
    seen = abs(float(array.sum()))
    least = seen - TOLERANCE * max(1.0, float(np.abs(array).sum()))
    if exact := 2**n <= ALL_ORDERS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (draws, n))
    extreme = int((np.abs((2.0 * bits - 1) @ array) >= least).sum())
    return extreme / len(bits) if exact else (1 + extreme) / (1 + len(bits))


def mcnemar_p(lost: int, gained: int) -> float:
    """Two-sided exact p-value of McNemar's test of two networks on the same images (McNemar 1947; binomial form).

    lost: images that only the first has right, gained: only the second; the others do not matter. 2 P(X <= min) with
    X binomial of lost + gained tosses of a fair coin, at most 1.
    """
    from scipy.stats import binomtest

    return float(binomtest(min(lost, gained), lost + gained).pvalue) if lost or gained else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): the k-th smallest is max_{j <= k} min(1, (m - j + 1) p_(j)).

    Calling values of at most a significant bounds the chance of any false positive by a, however the tests depend.
    """
    array = checked(p_values, 0) if len(p_values) else np.zeros(0)
    if ((array < 0) | (array > 1)).any():
        raise ValueError("a p-value is outside of 0 to 1")
    order = np.argsort(array, kind="stable")
    stepped = np.minimum(1.0, array[order] * np.arange(len(array), 0, -1))
    adjusted = np.empty_like(array)
    adjusted[order] = np.maximum.accumulate(stepped) if len(array) else stepped
    return [float(value) for value in adjusted]
