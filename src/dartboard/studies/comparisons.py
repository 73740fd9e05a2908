"""Comparisons of the cells of a transfer study: paired differences, rank correlations, moves. No torch."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

from dartboard.analysis.edit_distance import inputs_changed
from dartboard.analysis.p_values import kendall_p_within, sign_flip_p
from dartboard.analysis.statistics import Interval, difference_of_means, kendall_tau_within, paired_difference
from dartboard.spaces import darts
from dartboard.studies.cells import RANDOM, Cell, kind
from dartboard.studies.protocol import SIDES, Protocol, Side, proxy_searches


@dataclass(frozen=True)
class Contrast:
    """A difference of two groups on one data set.

    sizes: cells of each; pairs: the differences by seed, if it is paired, and seeds: of these; p: of a sign-flip test.
    """

    key: str
    first: str
    second: str
    side: Side
    interval: Interval
    sizes: tuple[int, int]
    pairs: tuple[float, ...] = ()
    p: float | None = None
    seeds: tuple[int, ...] = ()

    @property
    def paired(self) -> bool:
        return bool(self.pairs)

    @property
    def has_interval(self) -> bool:
        """Whether there is a spread from which to compute an interval: at least two cells on each side."""
        return self.interval.low is not None


@dataclass(frozen=True)
class Rank:
    """Kendall's tau-b of two scores over n cells, with its permutation p-value; None if it is not defined.

    within: what the compared cells, which exchange their scores, have in common: "search" (searches of one kind, other
    seeds), "seed", or nothing.
    """

    what: str
    within: str
    n: int
    tau: float | None
    p: float | None


@dataclass(frozen=True)
class Move:
    """How much phase 2 changed a cell: inputs of both cells that differ, of all inputs."""

    group: str
    seed: int
    changed: int
    of: int


def pairs(protocol: Protocol) -> list[tuple[str, str, str, Side]]:
    """(key, first group, second group, data set) of every comparison that the study makes."""
    if protocol.proxy:
        groups = [stage_group for stage_group in proxy_groups(protocol) if stage_group != "a"]
        found: list[tuple[str, str, str, Side]] = [("proxy", group, "a", side) for group in groups for side in SIDES]
        return found + [("found", group, RANDOM, side) for group in ("a", *groups) for side in SIDES]
    found = []
    for side in SIDES:
        other: Side = "b" if side == "a" else "a"
        found += [("transfer", other, side, side)]
        for suffix in protocol.carries:
            swap, stay = f"{other}{side}{suffix}", f"{side}{side}{suffix}"
            found += [("swap", swap, stay, side), ("gain", swap, other, side)]
            found += [("fresh", swap, side, side), ("whole", swap, f"{side}-whole", side)]
        found += [("found", side, RANDOM, side)]
    return found


def proxy_groups(protocol: Protocol) -> list[str]:
    return [stage.group for stage in proxy_searches(protocol, protocol.seed)]


def contrast(cells: Sequence[Cell], key: str, first: str, second: str, side: Side, seed: int) -> Contrast | None:
    """mean(first) - mean(second), paired by seed, with its interval; None if there is no cell yet.

    Random cells have no pairs: for them the groups are compared unpaired.
    """
    one, other = by_seed(cells, first, side), by_seed(cells, second, side)
    if RANDOM in (first, second):
        left, right = ([value for each in group.values() for value in each] for group in (one, other))
        if not left or not right:
            return None
        sizes = (len(left), len(right))
        return Contrast(key, first, second, side, difference_of_means(left, right, seed), sizes)
    both = [number for number in one if number in other]
    if not both:
        return None
    left, right = ([group[number][0] for number in both] for group in (one, other))
    differences = tuple(a - b for a, b in zip(left, right, strict=True))
    p = sign_flip_p(differences, seed)
    sizes = (len(both), len(both))
    interval = paired_difference(left, right, seed)
    return Contrast(key, first, second, side, interval, sizes, differences, p, tuple(both))


def carry_contrasts(contrasts: Sequence[Contrast], protocol: Protocol, seed: int) -> list[Contrast]:
    """The swap effects of two ways to carry over, compared: (swap - stay) - (swap - stay), paired by seed.

    first, second: the swaps of both ways. The list is empty if only one way was taken.
    """
    found = []
    for side in SIDES:
        swaps = {one.first[2:]: one for one in contrasts if one.key == "swap" and one.side == side}
        for left, right in combinations([suffix for suffix in protocol.carries if suffix in swaps], 2):
            one, other = swaps[left], swaps[right]
            both = [number for number in one.seeds if number in other.seeds]
            if not both:
                continue
            first, second = ([each.pairs[each.seeds.index(number)] for number in both] for each in (one, other))
            differences = tuple(a - b for a, b in zip(first, second, strict=True))
            interval, p = paired_difference(first, second, seed), sign_flip_p(differences, seed)
            sizes = (len(both), len(both))
            found.append(Contrast("carry", one.first, other.first, side, interval, sizes, differences, p, tuple(both)))
    return found


def by_seed(cells: Sequence[Cell], group: str, side: Side) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for cell in cells:
        if kind(cell) == group and side in cell.trained:
            found.setdefault(cell.seed, []).append(cell.trained[side])
    return found


def ranks(cells: Sequence[Cell], seed: int) -> tuple[Rank, ...]:
    """Whether shared weights rank cells as training does, and whether one data set ranks them as the other.

    Each over all cells, and within cells of one kind: supernets that were trained for longer, or on a part of the data,
    score higher or lower than others however good their cells are, and cells of one seed share their split.
    """
    found = []
    for side in SIDES:
        scored = [cell for cell in cells if cell.side == side and cell.derived is not None and side in cell.trained]
        scores = [(cell.derived or 0.0, cell.trained[side]) for cell in scored]
        found += both_ways(f"supernet-{side}", "search", scores, [cell.group for cell in scored], seed)
    both = [cell for cell in cells if len(cell.trained) == len(SIDES)]
    scores = [(cell.trained["a"], cell.trained["b"]) for cell in both]
    return (*found, *both_ways("sides", "seed", scores, [cell.seed for cell in both], seed))


def both_ways(
    what: str, within: str, scores: Sequence[tuple[float, float]], strata: Sequence[Hashable], seed: int
) -> list[Rank]:
    return [rank(what, "", scores, [0] * len(scores), seed), rank(what, within, scores, strata, seed)]


def rank(what: str, within: str, scores: Sequence[tuple[float, float]], strata: Sequence[Hashable], seed: int) -> Rank:
    if len(scores) < 2:
        return Rank(what, within, len(scores), None, None)
    one, other = [score for score, _ in scores], [score for _, score in scores]
    tau, p = kendall_tau_within(one, other, strata), kendall_p_within(one, other, strata, seed)
    return Rank(what, within, len(scores), tau, p)


def moves(cells: Sequence[Cell]) -> tuple[Move, ...]:
    """From the cell of phase 1 to that of phase 2, as `inputs_changed` counts: isomorphic cells are equal."""
    known = {(cell.group, cell.seed): cell.architecture for cell in cells}
    found = []
    for cell in cells:
        before = None if cell.before is None else known.get((cell.group[0], cell.seed))
        if before is None or cell.architecture is None:
            continue
        inputs = sum(len(node) for part in darts.CELLS for node in darts.cell(cell.architecture, part).nodes)
        found.append(Move(cell.group, cell.seed, inputs_changed(before, cell.architecture), inputs))
    return tuple(found)
