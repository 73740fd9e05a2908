"""What people's packages add: methods and families of spaces, found by the entry points that they declare
(docs/plugins.md).

A package is imported only if a name is asked for that is not ours, or for `dartboard list`.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from dartboard.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

METHODS, FAMILIES = "dartboard.methods", "dartboard.families"  # the groups of entry points
Entry = TypeVar("Entry")


class Table(dict[str, Entry]):
    """A plain table of ours that packages add to: for a name that is not in it, find(name) gives new entries, if any.

    It has those that have been asked for; `complete` asks for all. Asking raises InputError for a package that cannot
    be used.
    """

    def __init__(self, own: Mapping[str, Entry], find: Callable[[str], Mapping[str, Entry]]) -> None:
        super().__init__(own)
        self.find = find

    def __missing__(self, name: str) -> Entry:
        """Raises KeyError for an unknown name."""
        if name and isinstance(name, str):  # names in edited files may be anything
            self.update(self.find(name))
        if name not in self.keys():
            raise KeyError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def get(self, name: Any, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


@cache
def declared(group: str) -> Mapping[str, tuple["EntryPoint", ...]]:
    """The entry points of a group by name; of several packages where they chose the same one."""
    from importlib.metadata import entry_points

    found = entry_points(group=group)
    return {name: tuple(found.select(name=name)) for name in sorted(found.names)}


def loaded(group: str, name: str, kind: type[Entry]) -> Entry | None:
    """The record that a package gives for a name; None if none declares it.

    Raises InputError for a name that two packages declare, one that cannot be imported, and another kind of record.
    """
    points = declared(group).get(name, ())
    if not points:
        return None
    what = f"{name!r} of the group {group}"
    if len(points) > 1:
        packages = " and ".join(package(point) for point in points)
        raise InputError(f"{what} is declared by two packages, {packages}; uninstall one of them")
    try:
        record = points[0].load()
    except (Exception, SystemExit) as error:
        raise InputError(not_imported(package(points[0]), error)) from error
    if not isinstance(record, kind):
        given = f"{points[0].value} is a {type(record).__name__}, not a {kind.__name__}"
        raise InputError(f"{package(points[0])} cannot be used: {given}; mend its entry point {what}")
    return record


def module_of(group: str, name: str, path: str) -> ModuleType:
    """The module of what a package has added under a name. Raises InputError if it cannot be imported."""
    try:
        return import_module(path)
    except (Exception, SystemExit) as error:
        raise InputError(not_imported(owner(group, name), error)) from error


def not_imported(name: str, error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{name} cannot be imported: {text[:300]}; mend it, or uninstall it"


def taken(group: str, name: str, what: str, by: str) -> InputError:
    """The error for what a package adds under `name`: it names the package, and by whom it is there already."""
    return InputError(f"{owner(group, name)} is refused: {what} belongs to {by}; rename it, or uninstall the package")


def owner(group: str, name: str) -> str:
    """Who a name belongs to, in words: a package and its version, or dartboard."""
    points = declared(group).get(name, ())
    return package(points[0]) if points else "dartboard"


def package(point: "EntryPoint") -> str:
    """The package of an entry point, with its version."""
    return f"the package {point.dist.name} {point.dist.version}" if point.dist is not None else "a package"


def names(group: str, table: Mapping[str, object]) -> list[str]:
    """The names in a table and those that packages declare, none of which is loaded: for what was misspelt."""
    return [*dict.fromkeys([*table, *declared(group)])]


def complete(group: str, table: Mapping[str, object], own: Collection[str]) -> list[str]:
    """Adds what all packages declare in the group to its table; a line for each that is refused. own: our names."""
    lines = []
    for name in declared(group):
        try:
            if name in own:
                raise taken(group, name, f"the name {name!r}", "dartboard")
            table[name]
        except InputError as error:
            lines.append(f"{name}: {error}")
    return lines
