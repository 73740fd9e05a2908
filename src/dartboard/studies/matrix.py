"""What a transfer study found: the transfer matrix, paired differences with intervals, rank correlations. No torch.

Everything is computed from the run folders of the study's stages, as far as they are done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dartboard.cell_distance import inputs_changed
from dartboard.run import Run
from dartboard.search_space import Architecture
from dartboard.spaces import darts
from dartboard.statistics import (
    Interval,
    difference_of_means,
    kendall_p,
    kendall_tau,
    mean,
    paired_difference,
    sample_spread,
    sign_flip_p,
)
from dartboard.studies.protocol import CARRIES, SIDES, Protocol, Side, Stage, drawn, proxy_searches
from dartboard.studies.study import Study

RANDOM = "random"


@dataclass(frozen=True)
class Cell:
    """One found or drawn cell, with the test accuracy it reached by the data set it was trained on.

    side: the data set its search ended on; before: the search that one went on from; supernet, derived: accuracies on
    val by shared weights, of the mixture and of the cell cut out; elapsed_s, steps: of the search.
    """

    group: str
    seed: int
    architecture: Architecture | None
    trained: dict[Side, float]
    side: Side | None = None
    before: str | None = None
    supernet: float | None = None
    derived: float | None = None
    elapsed_s: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Entry:
    """One field of the matrix: test accuracies of a group's cells, trained on one data set, by seed."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float | None:
        return mean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        return sample_spread(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Contrast:
    """A difference of two groups on one data set.

    sizes: cells of each; pairs: the differences by seed, where it is paired; p: by flipping their signs.
    """

    key: str
    first: str
    second: str
    side: Side
    interval: Interval
    sizes: tuple[int, int]
    pairs: tuple[float, ...] = ()
    p: float | None = None

    @property
    def paired(self) -> bool:
        return bool(self.pairs)

    @property
    def has_interval(self) -> bool:
        """Whether there is any spread to resample: two cells at least on each side."""
        return min(self.sizes) > 1


@dataclass(frozen=True)
class Rank:
    """Kendall's tau-b of two scores over n cells, with its permutation p-value; None where it is not defined."""

    what: str
    n: int
    tau: float | None
    p: float | None


@dataclass(frozen=True)
class Move:
    """How far phase 2 moved a cell: inputs of both cells that differ, of all there are."""

    group: str
    seed: int
    changed: int
    of: int


@dataclass(frozen=True)
class Findings:
    """All of it. done, total: stages."""

    done: int
    total: int
    cells: tuple[Cell, ...]
    matrix: dict[tuple[str, Side], Entry]
    contrasts: tuple[Contrast, ...]
    ranks: tuple[Rank, ...]
    moves: tuple[Move, ...]

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(group for group, _ in self.matrix))


def findings(study: Study) -> Findings:
    """What the finished stages of a study say. Raises InputError where a file of one is damaged."""
    found = read_cells(study)
    matrix = {
        (group, side): Entry(
            tuple(cell.trained[side] for cell in found if kind(cell) == group and side in cell.trained)
        )
        for group in dict.fromkeys(map(kind, found))
        for side in SIDES
    }
    done = sum(study.is_done(stage) for stage in study.stages)
    seed = study.protocol.seed
    contrasts = tuple(one for pair in pairs(study.protocol) if (one := contrast(found, *pair, seed)) is not None)
    return Findings(done, len(study.stages), found, matrix, contrasts, ranks(found, seed), moves(found))


def kind(cell: Cell) -> str:
    """The group of a cell, all random ones together."""
    return RANDOM if cell.group.startswith(RANDOM) else cell.group


# --- Reading ---------------------------------------------------------------------------------------------------------


def read_cells(study: Study) -> tuple[Cell, ...]:
    """The cells of all groups and seeds, in the order of the stages; those without any finished run are left out."""
    results = {stage.name: result_of(study, stage) for stage in study.stages}
    found = []
    for group, seed in dict.fromkeys((stage.group, stage.seed) for stage in study.stages):
        own = [stage for stage in study.stages if (stage.group, stage.seed) == (group, seed)]
        search = next((stage for stage in own if stage.command == "search"), None)
        trained = {
            stage.side: float(results[stage.name]["test_accuracy"])
            for stage in own
            if stage.command == "train" and results[stage.name]
        }
        result = results[search.name] if search is not None else {}
        if trained or result:
            found.append(cell_of(study, own[0], trained, result))
    return tuple(found)


def cell_of(study: Study, stage: Stage, trained: dict[Side, float], result: dict[str, float]) -> Cell:
    if stage.command == "train":
        cell = None if stage.draw is None else drawn(study.protocol, stage.draw)
        return Cell(stage.group, stage.seed, cell, trained)
    numbers = {
        "supernet": result.get("val_accuracy"),
        "derived": result.get("derived_val_accuracy"),
        "elapsed_s": result.get("elapsed_s"),
    }
    cell = Run.open(study.place(stage)).architecture
    steps = None if "steps" not in result else int(result["steps"])
    return Cell(stage.group, stage.seed, cell, trained, stage.side, stage.before, steps=steps, **numbers)


def result_of(study: Study, stage: Stage) -> dict[str, float]:
    """The numbers of a stage's result, with the steps it made; empty while it is not done."""
    if not study.is_done(stage):
        return {}
    lines = Run.open(study.place(stage)).metrics()
    steps = max((int(line.get("step", 0)) for line in lines if line.get("event") == "epoch"), default=0)
    return {**{name: value for name, value in lines[-1].items() if isinstance(value, int | float)}, "steps": steps}


# --- Comparing -------------------------------------------------------------------------------------------------------


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
        for suffix in protocol.suffixes:
            swap, stay = f"{other}{side}{suffix}", f"{side}{side}{suffix}"
            found += [("swap", swap, stay, side), ("gain", swap, other, side)]
            found += [("fresh", swap, side, side), ("whole", swap, f"{side}-whole", side)]
        found += [("found", side, RANDOM, side)]
    return found


def proxy_groups(protocol: Protocol) -> list[str]:
    return [stage.group for stage in proxy_searches(protocol, protocol.seed)]


def contrast(cells: Sequence[Cell], key: str, first: str, second: str, side: Side, seed: int) -> Contrast | None:
    """mean(first) - mean(second), paired by seed, with its bootstrap interval; None where nothing is there yet.

    Random cells are no pairs of anything: there both groups are resampled.
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
    return Contrast(key, first, second, side, paired_difference(left, right, seed), sizes, differences, p)


def by_seed(cells: Sequence[Cell], group: str, side: Side) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for cell in cells:
        if kind(cell) == group and side in cell.trained:
            found.setdefault(cell.seed, []).append(cell.trained[side])
    return found


def ranks(cells: Sequence[Cell], seed: int) -> tuple[Rank, ...]:
    """Do shared weights rank cells as training does; does one data set rank them as the other?"""
    found = []
    for side in SIDES:
        scored = [
            (cell.derived, cell.trained[side])
            for cell in cells
            if cell.side == side and cell.derived is not None and side in cell.trained
        ]
        found.append(rank(f"supernet-{side}", scored, seed))
    both = [(cell.trained["a"], cell.trained["b"]) for cell in cells if len(cell.trained) == len(SIDES)]
    return (*found, rank("sides", both, seed))


def rank(what: str, scores: Sequence[tuple[float, float]], seed: int) -> Rank:
    if len(scores) < 2:
        return Rank(what, len(scores), None, None)
    one, other = [score for score, _ in scores], [score for _, score in scores]
    return Rank(what, len(scores), kendall_tau(one, other), kendall_p(one, other, seed))


def moves(cells: Sequence[Cell]) -> tuple[Move, ...]:
    """From the cell of phase 1 to that of phase 2, as `cell_distance` counts: isomorphic cells are the same."""
    known = {(cell.group, cell.seed): cell.architecture for cell in cells}
    found = []
    for cell in cells:
        before = None if cell.before is None else known.get((cell.group[0], cell.seed))
        if before is None or cell.architecture is None:
            continue
        inputs = sum(len(node) for part in darts.CELLS for node in darts.cell(cell.architecture, part).nodes)
        found.append(Move(cell.group, cell.seed, inputs_changed(before, cell.architecture), inputs))
    return tuple(found)


def group_words(group: str, names: dict[Side, str]) -> str:
    """A group in words: "found on cifar10, then on cifar100"."""
    if group == RANDOM:
        return "random cells"
    for suffix in sorted(CARRIES, key=len, reverse=True):
        stem = group.removesuffix(suffix) if suffix else group
        if stem in ("aa", "ab", "ba", "bb") and (suffix == "" or group.endswith(suffix)):
            carried = f", {CARRIES[suffix]} carried over" if suffix else ""
            return f"{names[side(stem[0])]}, then {names[side(stem[1])]}{carried}"
    if group.endswith("-whole"):
        return f"{names[side(group[0])]} alone, both budgets"
    return names[side(group)] if group in SIDES else f"{names['a']}, proxy {group}"


def side(letter: str) -> Side:
    return "a" if letter == "a" else "b"
