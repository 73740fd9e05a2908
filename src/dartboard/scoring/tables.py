"""Tables of accuracies that others have measured: a search reads one column, and its result is shown by another.

No table ships with dartboard; docs/tables.md says what a file must contain and what its numbers can and cannot say.
Nothing here imports torch.
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dartboard import plugins
from dartboard.errors import InputError, unknown
from dartboard.formats.files import check_file, shown
from dartboard.spaces import nasbench201, nasbenchmacro
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace, quote

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Layout:
    """How a table of a family is written: one row for every architecture of `space`, accuracies in percent.

    key: the column that names the architecture; read: what makes an architecture of it, or raises InputError; write:
    its inverse; columns: by the word after FILE: the column that a search sees and the one that its result shows. The
    first is the default.
    """

    space: SearchSpace
    key: str
    read: Callable[[str], Architecture]
    write: Callable[[Architecture], str]
    columns: Mapping[str, tuple[str, str]]


OURS: dict[str, Layout] = {
    "nasbench201": Layout(
        nasbench201.SPACE,
        "arch",
        nasbench201.from_string,
        nasbench201.to_string,
        {name: (f"{name}-val", f"{name}-test") for name in ("cifar10", "cifar100", "imagenet16-120")},
    ),
    "nasbenchmacro": Layout(
        nasbenchmacro.SPACE,
        "arch",
        nasbenchmacro.from_code,
        nasbenchmacro.to_code,
        {"cifar10": ("test_seed0", "test_seed1")},  # two trainings of each: the one that is seen is not the one shown
    ),
}


def of_package(family: str) -> dict[str, Layout]:
    """The layout that the family of a package declares, if it has one."""
    found = FAMILIES[family].layout if family in FAMILIES else None
    return {} if found is None else {family: found}


LAYOUTS: dict[str, Layout] = plugins.Table(OURS, of_package)


@dataclass(frozen=True)
class Table:
    """Accuracies in [0, 1] of every architecture of a space.

    seen: what a search reads, from the column `seen_column`; shown: what its result reports, from `shown_column`.
    others: the further columns of the file, which are not used.
    """

    space: SearchSpace
    seen_column: str
    shown_column: str
    seen: Mapping[Architecture, float]
    shown: Mapping[Architecture, float]
    others: tuple[str, ...]

    def describe(self) -> list[str]:
        """What the file holds, in words."""
        best = max(self.seen, key=self.seen.__getitem__)
        lines = [f"{len(self.seen):,} architectures of the space {self.space.name}"]
        for column, use, values in (
            (self.seen_column, "what the search sees", self.seen),
            (self.shown_column, "what the result shows", self.shown),
        ):
            lines.append(f"{column}, {use}: {100 * min(values.values()):.2f} to {100 * max(values.values()):.2f} %")
        lines.append(f"the best by {self.seen_column} has {100 * self.shown[best]:.2f} % by {self.shown_column}")
        return [*lines, *([f"not used: {', '.join(self.others)}"] if self.others else [])]


def read_truth(word: str, family: str) -> Table:
    """The table that `--truth FILE[:COLUMN]` names, for a space of the family. Raises InputError in one line.

    COLUMN is one of the words in LAYOUTS, such as cifar100: it stands for the column seen and the one shown.
    """
    if family not in LAYOUTS:
        raise InputError(f"there is no layout of tables for the space {family}; give --space {' or '.join(LAYOUTS)}")
    path, column = split_column(word)
    columns = LAYOUTS[family].columns
    if column is not None and column not in columns:
        raise InputError(f"{unknown('column', column, columns)}; give it as {shown(path)}:{min(columns)}")
    return read_table(path, LAYOUTS[family], column)


def split_column(word: str) -> tuple[str, str | None]:
    """FILE and COLUMN of FILE:COLUMN; a file that is there wins, whatever its name."""
    path, colon, column = word.rpartition(":")
    if not colon or not path or "/" in column or "\\" in column or Path(word).exists():
        return word, None
    return path, column


def read_table(path: str | Path, layout: Layout, column: str | None = None) -> Table:
    """The two columns of a table, each architecture once. column: a key of layout.columns; by default the first.

    Raises InputError in one line that names the file, and the row if one is wrong: no such file, not text, no such
    column, a row of another length, an architecture that cannot be read, one that is missing or there twice, an
    accuracy that is not a number from 0 to 100, a column with fractions in place of percent.
    """
    seen_column, shown_column = layout.columns[column or next(iter(layout.columns))]
    seen: dict[Architecture, float] = {}
    shown_: dict[Architecture, float] = {}
    lines: dict[Architecture, int] = {}
    header, rows = opened(path, (layout.key, seen_column, shown_column))
    for number, row in rows:
        where = f"{shown(path)}, line {number}"
        try:
            architecture = layout.read(row[layout.key])
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if architecture in lines:
            raise InputError(f"{where} repeats the architecture of line {lines[architecture]}; remove one of the two")
        lines[architecture] = number
        seen[architecture] = percent(row[seen_column], f"{where}, {seen_column}")
        shown_[architecture] = percent(row[shown_column], f"{where}, {shown_column}")
    check_complete(path, layout, lines)
    for name, values in ((seen_column, seen), (shown_column, shown_)):
        if max(values.values()) <= 0.01:
            raise InputError(f"{shown(path)}: no accuracy in {name} is above 1; give them in percent")
    others = tuple(name for name in header if name not in (layout.key, seen_column, shown_column))
    return Table(layout.space, seen_column, shown_column, seen, shown_, others)


def check_complete(path: str | Path, layout: Layout, found: Mapping[Architecture, int]) -> None:
    """Raises InputError unless every architecture of the space is there, and no other."""
    for architecture, number in found.items():
        if architecture not in layout.space:
            where = f"{shown(path)}, line {number}"
            raise InputError(f"{where}: {layout.write(architecture)} is not in the space {layout.space.name}")
    if missing := [one for one in layout.space.enumerate() if one not in found]:
        count = f"{len(missing):,} of the {len(missing) + len(found):,} architectures"
        raise InputError(f"{shown(path)} lacks {count}, such as {layout.write(missing[0])}; give the complete table")


def percent(text: str, where: str) -> float:
    """The accuracy in [0, 1] of a number in percent. Raises InputError."""
    try:
        value = math.nan if "_" in text else float(text)  # Python reads 9_1 as 91
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 100.0:
        raise InputError(f"{where} is {quote(text)}; give an accuracy in percent, from 0 to 100")
    return value / 100.0


def opened(path: str | Path, needed: tuple[str, ...]) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header of a CSV file, and its rows, each with its line number. Raises InputError."""
    rows = lines_of(path)
    header = next(rows, (0, []))[1]
    if missing := [name for name in needed if name not in header]:
        if (other := another_space(header, needed)) is not None:
            raise InputError(f"{shown(path)} is a table of the space {other}; give --space {other}, or another table")
        has = f"it has {', '.join(header[:12])}" if header else "it is empty"
        raise InputError(f"{shown(path)} has no column {missing[0]!r}, {quote(has)[1:-1]}; see docs/tables.md")
    if twice := [name for name in needed if header.count(name) > 1]:
        raise InputError(f"{shown(path)} has the column {twice[0]!r} twice; leave one of the two")

    def named() -> Iterator[tuple[int, dict[str, str]]]:
        for number, row in rows:
            if len(row) != len(header):
                raise InputError(f"{shown(path)}, line {number} has {len(row)} fields, the first line {len(header)}")
            yield number, dict(zip(header, row, strict=True))

    return header, named()


def another_space(header: list[str], needed: tuple[str, ...]) -> str | None:
    """The space whose tables have these columns; None for those of none, and for the one that needs those needed."""
    for space, layout in LAYOUTS.items():
        pairs = [{layout.key, *pair} for pair in layout.columns.values()]
        if set(needed) not in pairs and any(pair <= set(header) for pair in pairs):
            return space
    return None


def lines_of(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file that are not empty, as fields, each with its number from 1. Raises InputError."""
    check_file(path)
    if Path(path).stat().st_size > MAX_BYTES:
        raise InputError(f"{shown(path)} is longer than {MAX_BYTES // 2**20} MB; give a table of accuracies alone")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(path)} is not text; give a table as CSV") from error
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error
    except csv.Error as error:
        raise InputError(f"{shown(path)} is not CSV: {error}; give a table as CSV") from error
