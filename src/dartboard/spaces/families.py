"""The families of spaces: a plain table, a line each; packages add to it (docs/plugins.md)."""

from dartboard import plugins
from dartboard.errors import InputError
from dartboard.plugins import Table
from dartboard.spaces import (
    darts,
    enas_macro,
    enas_micro,
    mobilenet_family,
    nas_rl,
    nasbench201,
    nasbenchmacro,
    nasnet,
    shufflenetv2,
)
from dartboard.spaces.family import Family, Mixed
from dartboard.spaces.search_space import SearchSpace

__all__ = ["FAMILIES", "Family", "Mixed", "family_of", "united"]

OURS: dict[str, Family] = {
    "darts": darts.FAMILY,
    "nasbench201": nasbench201.FAMILY,
    "nasbenchmacro": nasbenchmacro.FAMILY,
    "enas_micro": enas_micro.FAMILY,
    "enas_macro": enas_macro.FAMILY,
    "nasnet": nasnet.FAMILY,
    "nas_rl": nas_rl.FAMILY,
    "mobilenet": mobilenet_family.FAMILY,
    "shufflenetv2": shufflenetv2.FAMILY,
}


def of_package(name: str) -> dict[str, Family]:
    """The family of this name that a package declares. Raises InputError for one that cannot be used."""
    found = plugins.loaded(plugins.FAMILIES, name, Family)
    if found is None:
        return {}
    check_names(name, found)
    return {name: found}


def check_names(name: str, family: Family) -> None:
    """Raises InputError unless a package's family and its spaces have names of their own."""
    group = plugins.FAMILIES
    for space in family.spaces:
        if space.family != name or not is_within(space.name, name):
            rule = f"a space of the family {name} is called {name}, or begins with {name}-, and says family={name!r}"
            raise InputError(f"{plugins.owner(group, name)} cannot be used: {rule}; {space.name!r} does not")
    from dartboard import spaces  # which imports this file

    if names := sorted(spaces.OURS.keys() & {space.name for space in family.spaces}):
        raise plugins.taken(group, name, f"the space {names[0]!r}", "dartboard")
    for other, known in FAMILIES.items():
        if shared := sorted({*known.kinds} & {*family.kinds}):
            by = plugins.owner(group, other)
            raise plugins.taken(group, name, f"the kind of cell {shared[0]!r}", f"the family {other} of {by}")


def is_within(space: str, family: str) -> bool:
    """Whether a space of this name may belong to a package's family."""
    return space == family or space.startswith(f"{family}-")


def spaces_of_package(name: str) -> dict[str, SearchSpace]:
    """The spaces of the package whose family has one of this name. Raises InputError for one that cannot be used."""
    within = [family for family in plugins.declared(plugins.FAMILIES) if is_within(name, family)]
    return {one.name: one for one in FAMILIES[max(within, key=len)].spaces} if within else {}


FAMILIES: dict[str, Family] = Table(OURS, of_package)


def united(mixed: Mixed) -> tuple[str, ...]:
    """Every operation of any edge: one list as it is if all edges have the same, otherwise in the family's order."""
    lists = {tuple(row) for rows in mixed.values() for row in rows}
    if len(lists) == 1:
        return lists.pop()
    return tuple(name for name in family_of(mixed).operations if any(name in row for row in lists))


def family_of(mixed: Mixed) -> Family:
    """The family whose relaxed form has tables of these names."""
    return next(family for family in FAMILIES.values() if set(family.kinds) == set(mixed))
