"""What an architecture file may be at most: anything larger or deeper is refused before it is parsed."""

from collections.abc import Iterable

from dartboard.errors import InputError

MAX_BYTES = 64 * 1024  # the largest published cell takes about 1 kB
MAX_DEPTH = 16  # the deepest notation nests 5 brackets
MAX_DIGITS = 9
OPENING, CLOSING = "([{", ")]}"


def check_text(text: str) -> None:
    """Raises InputError for text that is empty, binary, or too long to be an architecture."""
    if not text.strip("\ufeff \t\r\n"):
        raise InputError("the text is empty; give an architecture, for example what `dartboard export` prints")
    if len(text) > MAX_BYTES:
        raise InputError(f"the text is longer than {MAX_BYTES // 1024} kB; an architecture takes about 1 kB")
    if "\0" in text:
        raise InputError("this is binary, not text; give an architecture as text")


def check_depth(brackets: Iterable[str]) -> None:
    """Raises InputError where more than MAX_DEPTH brackets are open at once; `brackets` in the order of the text."""
    level = 0
    for bracket in brackets:
        level += (bracket in OPENING) - (bracket in CLOSING)
        if level > MAX_DEPTH:
            raise InputError(f"brackets are nested more than {MAX_DEPTH} deep; an architecture nests 5")
