"""The search spaces, one file each; a plain table."""

from dartboard.search_space import SearchSpace
from dartboard.spaces import darts

SPACES: dict[str, SearchSpace] = {"darts": darts.SPACE}
