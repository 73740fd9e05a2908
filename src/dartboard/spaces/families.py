"""The families of spaces: a plain table, a line each."""

from dartboard.spaces import darts, nasbench201, nasbenchmacro
from dartboard.spaces.family import Family, Mixed

__all__ = ["FAMILIES", "Family", "Mixed", "family_of", "united"]

FAMILIES: dict[str, Family] = {
    "darts": darts.FAMILY,
    "nasbench201": nasbench201.FAMILY,
    "nasbenchmacro": nasbenchmacro.FAMILY,
}


def united(mixed: Mixed) -> tuple[str, ...]:
    """Every operation of any edge: one list as it is if all edges have the same, otherwise in the family's order."""
    lists = {tuple(row) for rows in mixed.values() for row in rows}
    if len(lists) == 1:
        return lists.pop()
    return tuple(name for name in family_of(mixed).operations if any(name in row for row in lists))


def family_of(mixed: Mixed) -> Family:
    """The family whose relaxed form has tables of these names."""
    return next(family for family in FAMILIES.values() if set(family.kinds) == set(mixed))
