"""The codes of NAS-Bench-Macro: eight digits of 0, 1 and 2, such as 01210212.

Such digits may be anything, a date for one. So a code stands alone on its line, or in quotes as in a line of JSON.
"""

import re

from dartboard.spaces import nasbenchmacro
from dartboard.spaces.search_space import Architecture

CODE = re.compile(r"""(?m)(?:^[ \t]*|["'`])([012]{8})(?=[ \t]*$|["'`])""")


def is_code(text: str) -> bool:
    """Whether the text holds a code, or is a number that is meant as one, right or wrong."""
    return is_number(text) or CODE.search(text) is not None


def is_number(text: str) -> bool:
    """Whether the text is nothing but digits, of whatever number."""
    return text.isascii() and text.strip().isdigit()


def read_code(text: str) -> Architecture:
    """The chain of the text; of several codes, as in a log of a search, the last one's. Raises InputError."""
    return nasbenchmacro.from_code((CODE.findall(text) or [text])[-1])
