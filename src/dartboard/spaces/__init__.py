"""The search spaces, one file each; plain tables."""

from collections.abc import Callable, Mapping

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
