"""The search spaces, one file a family; a plain table."""

from dartboard.spaces import darts, nasbench201, nasbenchmacro, robustdarts
from dartboard.spaces.search_space import SearchSpace

SPACES: dict[str, SearchSpace] = {
    "darts": darts.SPACE,
    **{one.name: one for one in (robustdarts.S1, robustdarts.S2, robustdarts.S3, robustdarts.S4)},
    "nasbench201": nasbench201.SPACE,
    "nasbenchmacro": nasbenchmacro.SPACE,
}
