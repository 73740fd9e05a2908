"""What a text of an architecture may be at most: anything larger or deeper is refused before it is parsed."""

from collections.abc import Iterable

from dartboard.errors import InputError

MAX_BYTES = 64 * 1024  # of one architecture; the largest published cell takes about 1 kB
MAX_TEXT = 64 * 1024 * 1024  # of the text it stands in; the log of a long search has 50 MB
MAX_PLACES = 50_000  # genotypes in one text; a log has one per epoch
MAX_DEPTH = 16  # the deepest notation nests 5 brackets
MAX_DIGITS = 9
OPENING, CLOSING = "([{", ")]}"


def check_depth(brackets: Iterable[str]) -> None:
    """Raises InputError if more than MAX_DEPTH brackets are open at once; `brackets` in the order of the text."""
    level = 0
    for bracket in brackets:
        level += (bracket in OPENING) - (bracket in CLOSING)
        if level > MAX_DEPTH:
            raise InputError(f"brackets are nested more than {MAX_DEPTH} deep; an architecture nests 5")
