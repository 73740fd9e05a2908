"""The lists of SPOS: of each block a number, 0 to 3, in brackets, such as (2, 1, 0, ...); without brackets, or as
digits in a row, if they are the paper's 20. Factors and bits, for which the authors have no notation, stand beside it
in an object: {"blocks": [2, 1, ...], "factors": [0.8, ...], "bits": [[2, 4], ...]}.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces import shufflenetv2 as space
from dartboard.spaces.search_space import Architecture, as_lists, as_tuples, quote

IN_BRACKETS = re.compile(r"\s*(?:\[[\d\s,-]*\]|\([\d\s,-]*\))\s*,?\s*")
BARE = re.compile(r"\s*-?\d+(?:[\s,]+-?\d+)+\s*")
PUBLISHED = 20  # blocks of the paper's chain
DIGITS = re.compile(rf"\s*\d{{{PUBLISHED}}}\s*")
FIELDS = ("blocks", "factors", "bits")


def numbers_in(text: str) -> list[int]:
    """The numbers of a text that is such a list, right or wrong; none in any other."""
    if DIGITS.fullmatch(text):
        return [int(digit) for digit in text.strip()]
    found = [int(one) for one in re.findall(r"-?\d+", text)] if len(text) < 1000 else []
    lengths = space.LAYOUTS if IN_BRACKETS.fullmatch(text) else [PUBLISHED] if BARE.fullmatch(text) else ()
    return found if len(found) in lengths else []


def is_object(record: Mapping[str, Any]) -> bool:
    """Whether an object has such a list, and factors or bits."""
    return "blocks" in record and bool(record.keys() & {"factors", "bits"})


def read_object(record: Mapping[str, Any]) -> Architecture:
    """The architecture of {"blocks": [...], "factors": [...], "bits": [...]}. Raises InputError."""
    for name, value in record.items():
        if name not in FIELDS or not isinstance(value, list):
            raise InputError(f"{quote(name)} is {quote(value)}; give lists called {', '.join(FIELDS)}")
    return space.from_numbers(*(as_tuples(record.get(name, [])) for name in FIELDS))


def write_blocks(architecture: Architecture) -> str:
    """The list, if that is all; else the object."""
    found: dict[str, list[Any]] = {"blocks": space.to_numbers(architecture)}
    for field, part in (("factors", ".factor"), ("bits", ".bits")):
        if f"block.1{part}" in architecture:
            found[field] = as_lists(tuple(space.part_of(architecture, part)))
    return json.dumps(found if len(found) > 1 else found["blocks"])
