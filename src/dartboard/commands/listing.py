"""dartboard list: what there is, one line each, with its source."""

from dataclasses import dataclass

from tyro.conf import Positional

from dartboard.commands.flags import first_word, parse
from dartboard.data.names import NAMES
from dartboard.errors import unknown
from dartboard.formats import published
from dartboard.methods import METHODS
from dartboard.spaces import SPACES

KINDS = ("methods", "spaces", "data", "architectures")


@dataclass(frozen=True)
class ListFlags:
    """List the methods, spaces, data sets and published architectures, one line each, with their sources."""

    kind: Positional[str] = "all"
    """methods, spaces, data or architectures; all four where not given"""


def execute(words: list[str]) -> None:
    """Raises InputError for a kind of things there is none of."""
    kind = first_word(words)
    if kind is not None and kind not in (*KINDS, "all"):
        raise unknown("kind of things", kind, KINDS)
    kind = parse(ListFlags, words, "list").kind
    if kind != "all":
        return print("\n".join(lines(kind)))
    for one in KINDS:
        print(f"{one}:")
        print("\n".join(f"  {line}" for line in lines(one)))


def lines(kind: str) -> list[str]:
    """One line a thing: its name, what it is, its source."""
    if kind == "methods":
        return [f"{name:10} {what}. {source}" for name, (what, source) in METHODS.items()]
    if kind == "spaces":
        return [f"{name:10} {len(space):.3g} architectures. {space.source}" for name, space in SPACES.items()]
    if kind == "data":
        return [f"{name:10} {what}" for name, what in NAMES.items()]
    width = max(map(len, published()))
    return [f"{name:{width}} {reported(entry.published)}{entry.source}" for name, entry in published().items()]


def reported(text: str) -> str:
    return f"{text.rstrip('.')}. " if text else ""
