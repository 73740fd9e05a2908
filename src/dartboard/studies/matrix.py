"""The findings of a transfer study: its matrix, paired differences with intervals, rank correlations. No torch.

Everything is computed from the run folders of the stages that are done.
"""

from dataclasses import dataclass

from dartboard.analysis.statistics import mean, sample_spread
from dartboard.studies.cells import RANDOM, Cell, kind, read_cells, read_results
from dartboard.studies.comparisons import Contrast, Move, Rank, carry_contrasts, contrast, moves, pairs, ranks
from dartboard.studies.protocol import SIDES, Side
from dartboard.studies.study import Study


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
class Findings:
    """All findings. done, total: stages; seconds: of each stage that is done, by its name."""

    done: int
    total: int
    cells: tuple[Cell, ...]
    matrix: dict[tuple[str, Side], Entry]
    contrasts: tuple[Contrast, ...]
    ranks: tuple[Rank, ...]
    moves: tuple[Move, ...]
    seconds: dict[str, float]

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(group for group, _ in self.matrix))


def findings(study: Study) -> Findings:
    """The findings from the finished stages of a study. Raises InputError if a file of one is damaged."""
    results = read_results(study)
    found = read_cells(study, results)
    matrix = {
        (group, side): Entry(
            tuple(cell.trained[side] for cell in found if kind(cell) == group and side in cell.trained)
        )
        for group in dict.fromkeys(map(kind, found))
        for side in SIDES
    }
    done = sum(bool(result) for result in results.values())
    seconds = {name: result["elapsed_s"] for name, result in results.items() if "elapsed_s" in result}
    seed = study.protocol.seed
    contrasts = [one for pair in pairs(study.protocol) if (one := contrast(found, *pair, seed)) is not None]
    contrasts += carry_contrasts(contrasts, study.protocol, seed)
    compared = tuple(contrasts), ranks(found, seed), moves(found)
    return Findings(done, len(study.stages), found, matrix, *compared, seconds)


def group_words(group: str, names: dict[Side, str]) -> str:
    """A group in words: "found on cifar10, then on cifar100"."""
    if group == RANDOM:
        return "random cells"
    stem, _, part = group.partition("-")
    if stem in ("aa", "ab", "ba", "bb"):
        carried = f", {part} carried over" if part else ""
        return f"{names[side(stem[0])]}, then {names[side(stem[1])]}{carried}"
    if group.endswith("-whole"):
        return f"{names[side(group[0])]} alone, both budgets"
    return names[side(group)] if group in SIDES else f"{names['a']}, proxy {group}"


def side(letter: str) -> Side:
    return "a" if letter == "a" else "b"
