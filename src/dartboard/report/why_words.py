"""Numbers of a `why` study as its page writes them."""

from collections.abc import Iterable, Mapping
from typing import Any

from dartboard.report import words

Row = Mapping[str, Any]


def points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def interval(row: Row, prefix: str = "") -> str:
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    return words.UNKNOWN if low is None else f"{100 * low:.1f} to {100 * high:.1f}".replace("-", "−")


def how_words(rows: Iterable[Row], prefix: str = "") -> str:
    """How the intervals of these rows were computed, in words; empty if there are none."""
    made = dict.fromkeys(row[f"{prefix}how"] for row in rows if f"{prefix}how" in row)
    return " or ".join(how for how in made if how != "none").replace("bootstrap", "the bootstrap")


def tau_words(found: Row) -> str:
    if found["tau"] is None:
        return f"not defined (n {found['n']})"
    return f"{found['tau']:+.2f}".replace("-", "−") + f" (n {found['n']}, p {found['p']:.2g})"


def p_words(p: float | None) -> str:
    if p is None:
        return words.UNKNOWN
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def count_words(value: float) -> str:
    return words.short_count(value) if value >= 1000 else f"{value:g}"


def row_look(name: str) -> tuple[str, str]:
    """(what the legend calls a cell of that name, its colour)."""
    if name == "found":
        return "found", "--two"
    return ("given with --beside", "--three") if name.startswith("beside-") else ("random", "--one")


def edge_words(source: int, target: int) -> str:
    """c[k-2] → 3: the edge into node 3 from the output of the cell before the last."""
    return f"{('c[k-2]', 'c[k-1]', *map(str, range(2, target)))[source]} → {target}"
