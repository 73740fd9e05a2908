"""The strings of NAS-Bench-201: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, alone or somewhere in a text such as a log."""

import re

from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture

EDGES = r"\|(?:[^|~+\s]+~\d+\|)+"  # into one node
STRING = re.compile(rf"{EDGES}(?:\+{EDGES})*")


def is_cell_string(text: str) -> bool:
    """Whether the text holds such a string, right or wrong, or begins as one."""
    return text.startswith("|") or STRING.search(text) is not None


def read_cell_string(text: str) -> Architecture:
    """The cell of the text; of several strings, as in a log of a search, the last one's. Raises InputError."""
    return nasbench201.from_string((STRING.findall(text) or [text])[-1])
