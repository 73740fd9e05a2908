"""A comparison on a table of accuracies: the trials of every seed, a line each in the file of its method.

A line has the numbers of the architectures of a seed's trials, in their order, counted as the space enumerates them.
The file is complete after each piece of work, which is a few seeds of one method; a killed process loses that piece.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.limits import Limits
from dartboard.scoring.tables import Table, split_column
from dartboard.search.trials import table_of
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies import compare_pieces
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces

SEEDS_AT_ONCE = 20  # of one piece of work


@dataclass(frozen=True)
class Known:
    """A table whose architectures have numbers: their places in the enumeration of the space."""

    table: Table

    @cached_property
    def architectures(self) -> list[Architecture]:
        return list(self.table.space.enumerate())

    @cached_property
    def numbers(self) -> dict[Architecture, int]:
        return {architecture: number for number, architecture in enumerate(self.architectures)}


def trials_file(method: str) -> str:
    return f"trials-{method}.jsonl"


def trials_done(one: ComparisonFolder, method: str) -> Pieces:
    """What has been done of a method, by seed. Raises InputError for a damaged file."""
    return Pieces(one.folder, trials_file(method))


def fingerprint(truth: str, table: Table) -> dict[str, str]:
    """What environment.json records of a table."""
    path = split_column(truth)[0]
    sha256 = hashlib.sha256(ordinary_bytes(path)).hexdigest()
    return {"file": path, "sha256": sha256, "seen": table.seen_column, "shown": table.shown_column}


def known_of(one: ComparisonFolder) -> Known:
    """The comparison's table. Raises InputError if it is not the one of the start."""
    assert one.plan.truth is not None  # of a comparison on a table
    path = split_column(one.plan.truth)[0]
    sha256 = hashlib.sha256(ordinary_bytes(path)).hexdigest()
    if one.environment.get("truth", {}).get("sha256") != sha256:
        raise InputError(f"the table {path} is not that of the start of {one.folder}; restore it, or start a new one")
    return read_known(one.plan.truth, one.plan.space, sha256)


@lru_cache(maxsize=1)
def read_known(truth: str, space: str, sha256: str) -> Known:
    """The table with these contents, read once a process. Raises InputError."""
    return Known(table_of(truth, SPACES[space]))


def work_on(one: ComparisonFolder, limits: Limits, workers: str | None = None) -> None:
    """Does what is left. Raises InputError, CannotContinueError, InterruptedRunError at a limit."""
    known_of(one)
    pieces = list(pieces_left(one))
    files = {method: trials_done(one, method) for method in one.plan.searched}
    shown = Countdown(sum(len(piece["seeds"]) for piece in pieces), "seeds")
    for index, found in compare_pieces.done(f"{__name__}:run_seeds", pieces, workers, one.threads, limits=limits):
        piece = pieces[index]
        each_s = found["seconds"] / len(piece["seeds"])
        lines = zip(piece["seeds"], found["trials"], strict=True)
        files[piece["method"]].add_all({str(seed): {"trials": row, "seconds": each_s} for seed, row in lines})
        shown.advance(f"of {piece['method']}", len(piece["seeds"]))


def pieces_left(one: ComparisonFolder) -> Iterator[dict[str, Any]]:
    """The work that is not done yet, each piece as the arguments of `run_seeds`."""
    for method in one.plan.searched:
        done = trials_done(one, method)
        left = [seed for seed in one.plan.all_seeds if str(seed) not in done]
        for start in range(0, len(left), SEEDS_AT_ONCE):
            yield {"folder": str(one.folder.absolute()), "method": method, "seeds": left[start : start + SEEDS_AT_ONCE]}


def run_seeds(folder: str, method: str, seeds: Sequence[int], limits: Limits) -> Mapping[str, Any]:
    """The trials of some seeds, in their order, as numbers of architectures; and the seconds of all together.

    Raises InterruptedRunError if it is to stop.
    """
    one = ComparisonFolder.open(Path(folder))
    one.check_limits(limits)
    known = known_of(one)
    numbers_of, began = known.numbers, time.perf_counter()
    found = dict(trials_of(one, known, method, seeds))
    numbers = [[numbers_of[architecture] for architecture in found[seed]] for seed in seeds]
    return {"trials": numbers, "seconds": time.perf_counter() - began}


def trials_of(
    one: ComparisonFolder, known: Known, method: str, seeds: Sequence[int]
) -> Iterator[tuple[int, list[Architecture]]]:
    """Of each seed the architectures that `dartboard search METHOD --truth FILE --seed S` scores, in their order."""
    from dartboard.scoring.cost import count
    from dartboard.scoring.limits import limits_from, sample_within

    config, space = one.config_of(method), known.table.space
    for seed in seeds:
        yield (
            seed,
            [
                sample_within(space, draw_of(seed, number), limits_from(config.limit), count)
                for number in range(config.trials)
            ],
        )


def draw_of(seed: int, number: int) -> Any:
    from random import Random

    drawn = int.from_bytes(hashlib.sha256(f"{seed}/trial/{number}".encode()).digest()[:8], "big")
    return Random(drawn % 2**63)
