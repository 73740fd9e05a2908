"""dartboard list: what there is, one line each, with its source."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dartboard import methods, plugins
from dartboard.commands.flags import parse
from dartboard.data.names import NAMES
from dartboard.errors import unknown
from dartboard.formats import published
from dartboard.methods import METHODS, missing
from dartboard.spaces import SPACES, families
from dartboard.spaces.families import FAMILIES

KINDS = ("methods", "spaces", "data", "architectures")


@dataclass(frozen=True)
class ListFlags:
    """List the methods, spaces, data sets and published architectures, one line each, with their sources."""

    kinds: tuple[str, ...]
    """methods, spaces, data, architectures; by default all four"""


def execute(words: list[str]) -> None:
    """Raises InputError for a kind of things there is none of."""
    kinds = parse(ListFlags, words, "list").kinds
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of things", kind, KINDS)
    refused = {kind: complete(kind) for kind in kinds or KINDS}
    if len(kinds) == 1:
        return print("\n".join([*lines(kinds[0]), *refused[kinds[0]]]))
    for kind in kinds or KINDS:
        print(f"{kind}:")
        print("\n".join(f"  {line}" for line in [*lines(kind), *refused[kind]]))


def complete(kind: str) -> list[str]:
    """Adds what packages declare to the tables that the lines of a kind need; a line for each that is refused."""
    if kind not in ("methods", "spaces"):
        return []
    refused = plugins.complete(plugins.FAMILIES, FAMILIES, families.OURS)
    SPACES.update({one.name: one for family in FAMILIES.values() for one in family.spaces})
    return refused if kind == "spaces" else plugins.complete(plugins.METHODS, METHODS, methods.OURS)


def lines(kind: str) -> list[str]:
    """One line a thing: its name, what it is, its source."""
    tables: Mapping[str, Collection[str]] = {"methods": METHODS, "spaces": SPACES, "data": NAMES}
    width = max(map(len, tables.get(kind) or published()))
    if kind == "methods":
        return [f"{name:{width}} {one.what}. Spaces: {spaces_of(name)}. {one.source}" for name, one in METHODS.items()]
    if kind == "spaces":
        return [f"{name:{width}} {space.size:.3g} architectures. {space.source}" for name, space in SPACES.items()]
    if kind == "data":
        return [f"{name:{width}} {what}" for name, what in NAMES.items()]
    return [f"{name:{width}} {reported(entry.published)}{entry.source}" for name, entry in published().items()]


def spaces_of(method: str) -> str:
    """The spaces that a method can search."""
    return ", ".join(name for name in SPACES if not missing(method, name))


def reported(text: str) -> str:
    return f"{text.rstrip('.')}. " if text else ""
