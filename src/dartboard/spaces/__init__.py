"""The search spaces, one file each; plain tables."""

from collections.abc import Callable, Mapping

from dartboard.errors import InputError, unknown
from dartboard.spaces import darts, nasbench201, robustdarts
from dartboard.spaces.search_space import Architecture, SearchSpace, Value

SPACES: dict[str, SearchSpace] = {
    "darts": darts.SPACE,
    **{one.name: one for one in (robustdarts.S1, robustdarts.S2, robustdarts.S3, robustdarts.S4)},
    "nasbench201": nasbench201.SPACE,
}

# By family: what makes an architecture of {choice: value} as a file gives it, or raises InputError.
READERS: dict[str, Callable[[Mapping[str, Value]], Architecture]] = {
    "darts": darts.from_choices,
    "nasbench201": nasbench201.from_choices,
}

SEARCHED = ("darts",)  # the families that methods, their pages and the studies can work with


def check_searched(name: str) -> None:
    """Raises InputError unless there is a space of that name and it can be searched."""
    if name not in SPACES:
        raise unknown("space", name, SPACES)
    if SPACES[name].family not in SEARCHED:
        others = ", ".join(one for one, space in SPACES.items() if space.family in SEARCHED)
        raise InputError(f"no method searches the space {name} yet, it can be shown and trained; give one of {others}")
