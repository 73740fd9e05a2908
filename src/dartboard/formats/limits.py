"""What an architecture file may be at most: anything larger or deeper is refused before it is parsed."""

from dartboard.errors import InputError

MAX_BYTES = 64 * 1024  # the largest published cell takes about 1 kB
MAX_DEPTH = 16  # the deepest notation nests 5 brackets
MAX_DIGITS = 9


def check_text(text: str) -> None:
    """Raises InputError for text that is empty, binary, too long, or too deeply nested to be an architecture."""
    if not text.strip("\ufeff \t\r\n"):
        raise InputError("the text is empty; give an architecture, for example what `dartboard export` prints")
    if len(text) > MAX_BYTES:
        raise InputError(f"the text is longer than {MAX_BYTES // 1024} kB; an architecture takes about 1 kB")
    if "\0" in text:
        raise InputError("this is binary, not text; give an architecture as text")
    if depth(text) > MAX_DEPTH:
        raise InputError(f"brackets are nested more than {MAX_DEPTH} deep; an architecture nests 5")


def depth(text: str) -> int:
    """The largest number of brackets open at once, those in strings and comments included."""
    deepest = level = 0
    for character in text:
        if character in "([{":
            level += 1
            deepest = max(deepest, level)
        elif character in ")]}":
            level = max(level - 1, 0)
    return deepest
