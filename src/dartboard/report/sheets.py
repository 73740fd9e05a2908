"""A table once as values: on the page, as CSV for programs, as LaTeX for papers."""

import csv
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from dartboard.report import words
from dartboard.report.blocks import table
from dartboard.report.markup import Html


@dataclass(frozen=True)
class Column:
    """head: on the page and in LaTeX; key: in the CSV, with its unit; each is empty if the column is not there.

    show: a value as people read it.
    """

    head: str
    key: str
    show: Callable[[Any], object] = str


@dataclass(frozen=True)
class Sheet:
    """Rows of values, one for each column: text, numbers, None for what is not known."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]

    def shown(self) -> tuple[list[str], list[list[object]]]:
        """Heads and rows as people read them."""
        places = [place for place, column in enumerate(self.columns) if column.head]
        rows = [[words_of(self.columns[place], row[place]) for place in places] for row in self.rows]
        return [self.columns[place].head for place in places], rows


def words_of(column: Column, value: Any) -> object:
    return words.UNKNOWN if value is None else column.show(value)


def as_html(sheet: Sheet) -> Html:
    head, rows = sheet.shown()
    return table(head, rows, caption=sheet.caption)


# --- CSV -------------------------------------------------------------------------------------------------------------


def as_csv(sheet: Sheet) -> str:
    """RFC 4180: a line of names, lines that end in CR LF, quotes where they are needed; nothing for None."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    places = [place for place, column in enumerate(sheet.columns) if column.key]
    writer.writerow([sheet.columns[place].key for place in places])
    writer.writerows([row[place] for place in places] for row in sheet.rows)
    return file.getvalue()


# --- LaTeX -----------------------------------------------------------------------------------------------------------

LATEX = {
    **{mark: "\\" + mark for mark in "{}$&#%_"},
    "\\": "\\textbackslash{}", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "`": "\\textasciigrave{}",
    "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "''",
    "[": "{[}", "]": "{]}", "*": "{*}", "-": "{-}",  # no option of a line's end, no ligature
    "–": "--", "—": "---", "−": "$-$", "±": "$\\pm$", "×": "$\\times$", "≤": "$\\leq$", "≥": "$\\geq$",
    "…": "\\ldots{}", "‘": "`", "’": "'", "“": "``", "”": "''", "·": "$\\cdot$", "µ": "$\\mu$", "→": "$\\to$",
    "ß": "\\ss{}", "æ": "\\ae{}", "Æ": "\\AE{}", "ø": "\\o{}", "Ø": "\\O{}", "œ": "\\oe{}", "Œ": "\\OE{}",
    "ł": "\\l{}", "Ł": "\\L{}", "ı": "\\i{}",
}  # fmt: skip
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0304": "=", "\u0307": ".",
    "\u030a": "r", "\u0327": "c", "\u030c": "v", "\u0306": "u", "\u030b": "H",
}  # fmt: skip


def as_latex(sheet: Sheet) -> str:
    """A tabular that every LaTeX sets without packages, to be read with \\input.

    A letter that plain LaTeX does not have is written as its number, such as U+4E2D.
    """
    names, rows = sheet.shown()
    head: list[object] = [*names]
    sides = "".join(side([row[place] for row in rows]) for place in range(len(head)))
    lines = [" & ".join(escaped(str(cell)) for cell in cells) + " \\\\" for cells in [head, *rows]]
    note = " ".join(escaped(sheet.caption).split())
    start = [f"% {note}", f"\\begin{{tabular}}{{{sides}}}", "\\hline", lines[0], "\\hline"]
    return "\n".join([*start, *lines[1:], "\\hline", "\\end{tabular}", ""])


def side(cells: Sequence[object]) -> str:
    """Words are aligned left, numbers right."""
    known = [str(cell) for cell in cells if cell != words.UNKNOWN]
    return "r" if known and not any(isinstance(cell, Html) or cell[:1].isalpha() for cell in known) else "l"


def escaped(text: str) -> str:
    """The text as LaTeX prints it, on one line and without commands."""
    return "".join(map(letter, " ".join(text.split())))


def letter(one: str) -> str:
    if one in LATEX:
        return LATEX[one]
    if " " <= one <= "~":
        return one
    parts = unicodedata.normalize("NFD", one)
    if len(parts) == 2 and parts[1] in ACCENTS and parts[0].isascii() and parts[0].isalpha():
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"U+{ord(one):04X}"
