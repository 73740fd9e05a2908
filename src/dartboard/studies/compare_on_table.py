"""A comparison on a table of accuracies: the trials of every seed, a line each in the file of its method.

A line has the numbers of the architectures of a seed's trials, in their order, counted as the space enumerates them.
The file is complete after each piece of work, which is a few seeds of one method; a killed process loses that piece.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.methods import method_module
from dartboard.runs.limits import Limits
from dartboard.scoring.tables import Table, split_column
from dartboard.search import on_tables
from dartboard.search.given_tables import check_file_of, file_record, table_of
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies import compare_pieces
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces

MOST_SEEDS, PIECE_S = 100, 2.0  # of one piece of work: seeds at most, and seconds that they should take


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
    done = Pieces(one.folder, trials_file(method))
    for seed, fields in done.done.items():
        if not are_trials(fields, int(one.plan.amount), SPACES[one.plan.space].size):
            raise InputError(f"{done.path} is damaged at key {seed}; delete the line, and its work is redone")
    return done


def are_trials(fields: Mapping[str, Any], most: int, size: int) -> bool:
    """Whether the fields are those of a seed: numbers of at most so many architectures, and seconds."""
    numbers, seconds = fields.get("trials"), fields.get("seconds")
    if not isinstance(numbers, list) or not 0 < len(numbers) <= most or not isinstance(seconds, int | float):
        return False
    return all(type(number) is int for number in numbers) and min(numbers) >= 0 and max(numbers) < size


def fingerprint(truth: str, table: Table) -> dict[str, str]:
    """What environment.json records of a table."""
    return {**file_record(split_column(truth)[0]), "seen": table.seen_column, "shown": table.shown_column}


def known_of(one: ComparisonFolder) -> Known:
    """The comparison's table. Raises InputError if it is not the one of the start."""
    assert one.plan.truth is not None  # of a comparison on a table
    check_file_of(one.folder, one.environment, "truth", split_column(one.plan.truth)[0])
    return read_known(one.plan.truth, one.plan.space, one.environment["truth"]["sha256"])


@lru_cache(maxsize=1)
def read_known(truth: str, space: str, sha256: str) -> Known:
    """The table with these contents, read once a process. Raises InputError."""
    return Known(table_of(truth, SPACES[space]))


def work_on(one: ComparisonFolder, limits: Limits, workers: str | None = None) -> None:
    """Does what is left. Raises InputError, CannotContinueError, InterruptedRunError at a limit."""
    known_of(one)
    files = {method: trials_done(one, method) for method in one.plan.searched}
    shown = Countdown(sum(len(seeds_left(one, done)) for done in files.values()), "seeds")
    sent: list[dict[str, Any]] = []
    pieces = noted(pieces_left(one, files), sent)
    parts = compare_pieces.done(one, f"{__name__}:run_seeds", pieces, workers, limits, lambda index: label(sent[index]))
    with closing(parts) as ended:
        for index, found in ended:
            piece = sent[index]
            each_s = found["seconds"] / len(piece["seeds"])
            lines = zip(piece["seeds"], found["trials"], strict=True)
            files[piece["method"]].add_all({str(seed): {"trials": row, "seconds": each_s} for seed, row in lines})
            shown.advance(f"of {piece['method']}", len(piece["seeds"]))


def label(piece: Mapping[str, Any]) -> str:
    return f"{piece['method']}, seeds {piece['seeds'][0]} to {piece['seeds'][-1]}"


def noted(pieces: Iterator[dict[str, Any]], sent: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pieces, each added to `sent` when it is asked for."""
    for piece in pieces:
        sent.append(piece)
        yield piece


def seeds_left(one: ComparisonFolder, done: Pieces) -> list[int]:
    return [seed for seed in one.plan.all_seeds if str(seed) not in done]


def pieces_left(one: ComparisonFolder, files: Mapping[str, Pieces]) -> Iterator[dict[str, Any]]:
    """The work that is not done yet, each piece as the arguments of `run_seeds`. files: of each method, as it grows."""
    for method, done in files.items():
        left = seeds_left(one, done)
        while left:
            number = seeds_at_once(done)
            yield {"folder": str(one.folder.absolute()), "method": method, "seeds": left[:number]}
            left = left[number:]


def seeds_at_once(done: Pieces) -> int:
    """How many seeds are a piece of work: few enough to lose little, by the seconds of those that are done."""
    if not done.done:
        return 1
    each_s = float(list(done.done.values())[-1]["seconds"])
    return max(1, min(MOST_SEEDS, int(PIECE_S / each_s))) if each_s > 0 else MOST_SEEDS


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
    config, space = one.config_of(method), known.table.space
    return on_tables.run(method_module(method), config, space, known.table, seeds)
