"""The tables that a search logs with its epochs besides alpha, such as a controller's probabilities, as heat maps.

A table has any name and any rows, and the columns may differ from row to row, in their names and in their number. The
epoch slider moves them. A line names each table that cannot be drawn.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dartboard.report import grids, words
from dartboard.report.blocks import picture
from dartboard.report.facts import Epoch, Facts, Table
from dartboard.report.markup import Html, tag
from dartboard.report.measures import NARROWEST_SCALE, STRONG, Scale

MOST_NUMBERS = 2000  # of a table that is drawn
CLOSE_TO_ONE = 1e-3  # the sum of a row of probabilities
BOX_HEIGHT, BOX_WIDTH, NAMED_HEIGHT, NAMED_WIDTH = 22, 42, 36, 82  # of a number alone, of one with its column's name
HEAD_HEIGHT, FLAT_HEAD, LETTER, ROOM, MOST_LABEL = 84, 24, 6.3, 16, 200  # pixels
LONGEST_FLAT, LONGEST_HEAD, LONGEST_OPTION, LONGEST_ROW = 5, 15, 14, 28  # letters of names that are not shortened


@dataclass(frozen=True)
class Logged:
    """A table over the epochs of the slider, None if an epoch has none.

    rows: their names; columns: their names, of each row. percent: whether every row is a set of probabilities.
    unit, decimals: how the numbers are written, divided by the unit.
    """

    name: str
    frames: tuple[Table | None, ...]
    rows: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    percent: bool
    unit: float
    decimals: int
    scale: Scale

    @property
    def have_heads(self) -> bool:
        """Whether the columns are the same in all rows, so that their names are above them."""
        return len(set(self.columns)) == 1

    def written(self, value: float) -> str:
        return f"{value / self.unit:.{self.decimals}f}" if math.isfinite(value) else "–"


# --- Reading ----------------------------------------------------------------------------------------------------------


def logged_tables(facts: Facts, history: Sequence[Epoch]) -> list[Logged]:
    """Every table that can be drawn, over the epochs of the slider."""
    return [logged(facts, history, name) for name in names_of(facts) if fault_of(facts, name) is None]


def faults(facts: Facts) -> list[str]:
    """A line for each table that cannot be drawn: which, and why."""
    found = {name: fault_of(facts, name) for name in names_of(facts)}
    return [f"The table {name} of the log is not drawn: {fault}." for name, fault in found.items() if fault]


def names_of(facts: Facts) -> list[str]:
    return list(dict.fromkeys(name for epoch in facts.history for name in epoch.tables))


def fault_of(facts: Facts, name: str) -> str | None:
    """The reason why a table cannot be drawn; None if it can."""
    size = None
    for epoch in facts.history:
        if name not in epoch.tables:
            continue
        table, when = numbers(epoch.tables[name]), grids.epoch_word(epoch)
        if table is None:
            return f"it contains something other than numbers ({when})"
        if not any(table):
            return f"it is empty ({when})"
        found = tuple(map(len, table))
        if size is not None and found != size:
            return f"its number of rows or columns changed ({when})"
        size = found
    if sum(size or ()) > MOST_NUMBERS:
        return f"it has {words.count(sum(size or ()))} numbers, more than {words.count(MOST_NUMBERS)}"
    tables = [numbers(epoch.tables[name]) or () for epoch in facts.history if name in epoch.tables]
    return None if any(math.isfinite(value) for value in values_of(tables)) else "it contains no number"


def numbers(value: Sequence[Any]) -> Table | None:
    """The rows of a table, or the one row; null is a number not known yet. None if it contains anything else."""
    rows = value if any(isinstance(row, list) for row in value) else [value]
    if not all(isinstance(row, list) and all(is_number(item) for item in row) for row in rows):
        return None
    return tuple(tuple(math.nan if item is None else float(item) for item in row) for row in rows)


def is_number(item: object) -> bool:
    """Whether it is a number, or None for one that is not known yet; an integer too large for a float is not."""
    return item is None or isinstance(item, float) or (type(item) is int and abs(item) < 10**300)


def values_of(tables: Iterable[Table]) -> list[float]:
    return [value for table in tables for row in table for value in row]


def logged(facts: Facts, history: Sequence[Epoch], name: str) -> Logged:
    """A table that has no fault. Its scale is that of all epochs of the slider."""
    frames = tuple(numbers(epoch.tables[name]) if name in epoch.tables else None for epoch in history)
    known = [table for table in frames if table is not None]
    size = [len(row) for row in known[0]] if known else []
    rows, columns = labels_of(facts.labels.get(name), size)
    finite = [value for value in values_of(known) if math.isfinite(value)] or [0.0]
    percent = all(map(is_shares, known))
    unit, decimals = (0.01, 0) if percent else unit_of(max(map(abs, finite)))
    low, high = min(finite), max(finite)
    least = NARROWEST_SCALE if percent else (abs(high) or 1.0) * 1e-6
    return Logged(name, frames, rows, columns, percent, unit, decimals, Scale(low, max(high, low + least)))


def is_shares(table: Table) -> bool:
    """Whether every row is a set of probabilities."""
    return all(row and min(row) >= 0 and abs(sum(row) - 1) < CLOSE_TO_ONE for row in table)


def unit_of(largest: float) -> tuple[float, int]:
    """The divisor of numbers up to this one, and the number of decimals after the division: three digits in total."""
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    if -2 <= power < 4:
        return 1.0, max(0, min(2 - power, 3))
    return 10.0**power, 2


def labels_of(found: object, size: Sequence[int]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Names of the rows, and of the columns of each, as the run gives them; numbers from 0 if it gives none."""
    given = found if isinstance(found, dict) else {}
    rows = names(given.get("rows"), len(size))
    columns = given.get("columns")
    own = columns if isinstance(columns, list) and len(columns) == len(size) else [None] * len(size)
    return rows, tuple(names(one, count) for one, count in zip(own, size, strict=True))


def names(found: object, count: int) -> tuple[str, ...]:
    """This number of names; numbers from 0 if their number is another."""
    if isinstance(found, list) and len(found) == count and all(isinstance(name, str) for name in found):
        return tuple(found)
    return tuple(map(str, range(count)))


# --- Drawing ----------------------------------------------------------------------------------------------------------


def table_pictures(facts: Facts, tables: Sequence[Logged]) -> Html | None:
    """The tables as figures of the page; None if there are none."""
    if not tables:
        return None
    return tag("div", *(table_picture(facts, one, place) for place, one in enumerate(tables)), class_="tables")


def table_picture(facts: Facts, one: Logged, place: int) -> Html:
    low, high = one.written(one.scale.low), one.written(one.scale.high)
    unit = "In percent" if one.percent else "As logged" if one.unit == 1.0 else f"In units of {one.unit:g}"
    caption = f"{unit}; the colour deepens from {low} to {high}."
    figure = picture(heat_map(one), caption, f"{facts.name}-table-{place}", title=f"Table {one.name}", wide=True)
    return tag("div", figure, class_="logged", data_table=place)


def heat_map(one: Logged) -> Html:
    """The last frame that there is. Boxes have data-edge, their row, and data-operation, their column."""
    frame = next((table for table in reversed(one.frames) if table is not None), ())
    wide, high = (BOX_WIDTH, BOX_HEIGHT) if one.have_heads else (NAMED_WIDTH, NAMED_HEIGHT)
    left = min(max((len(name) for name in one.rows), default=0) * LETTER + ROOM, MOST_LABEL)
    heads = one.columns[0] if one.have_heads else ()
    flat = all(len(name) <= LONGEST_FLAT for name in heads)
    top = 0 if not heads else FLAT_HEAD if flat else HEAD_HEIGHT
    parts = [head(name, left + wide * (column + 0.5), top, flat) for column, name in enumerate(heads)]
    for row, (name, values) in enumerate(zip(one.rows, frame, strict=True)):
        y = top + high * row
        parts.append(cut("text", name, LONGEST_ROW, x=f"{left - 8:g}", y=f"{y + high / 2 + 3.5:g}", class_="row"))
        for column, value in enumerate(values):
            option = "" if one.have_heads else one.columns[row][column]
            parts.append(box(one, (row, column), value, option, (left + wide * column, y, wide, high)))
    width = left + wide * max(map(len, frame), default=0) + (0 if flat else 64)
    label = f"Heat map of the table {one.name}: {words.plural(len(one.rows), 'row')}"
    return grids.frame(width + 2, top + high * len(frame) + 2, label, "heat free", *parts)


def head(name: str, middle: float, bottom: int, flat: bool) -> Html:
    if flat:
        return tag("text", name, x=f"{middle:g}", y=bottom - 8, class_="head flat")
    turned = f"translate({middle:.1f} {bottom - 8}) rotate(-40)"
    return cut("text", name, LONGEST_HEAD, transform=turned, class_="head")


def box(one: Logged, place: tuple[int, int], value: float, option: str, at: tuple[float, float, int, int]) -> Html:
    """A number in its box; option: the name of its column, if it is in the box."""
    x, y, wide, high = at
    share = one.scale.share(value) if math.isfinite(value) else 0.0
    size = {"x": f"{x + 1:g}", "y": y + 1, "width": wide - 2, "height": high - 2, "rx": 3}
    middle = f"{x + wide / 2:g}"
    word = tag("text", one.written(value), x=middle, y=y + (29 if option else 14.5))
    name = cut("text", option, LONGEST_OPTION, x=middle, y=y + 14, class_="option") if option else None
    strong = " strong" if share > STRONG else ""
    rect = tag("rect", **size, style=f"fill-opacity:{share:.3f}")
    return tag("g", rect, word, name, class_=f"box{strong}", data_edge=place[0], data_operation=place[1])


def cut(element: str, name: str, longest: int, **attributes: object) -> Html:
    """A name, shortened if it is longer; complete when the reader points at it."""
    if len(name) <= longest:
        return tag(element, name, **attributes)
    return tag(element, tag("title", name), f"{name[: longest - 1]}…", **attributes)


def table_data(one: Logged) -> dict[str, object]:
    """What page.js needs of a table: as of a kind of cell, and how its numbers are written."""
    return {
        "label": f"Heat map of the table {one.name}",
        "heat": [one.scale.low, one.scale.high],
        "unit": one.unit,
        "decimals": one.decimals,
        "weights": [[[rounded(value) for value in row] for row in table or ()] for table in one.frames],
    }


def rounded(value: float) -> float | None:
    """Six digits; None if it is not a number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
