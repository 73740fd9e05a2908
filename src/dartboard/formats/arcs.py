"""Arcs of ENAS and NASNet: integers with spaces, commas or brackets between, told apart by how many there are.

Those of ENAS micro are 40, 20 for each cell; those of ENAS macro of L layers are L (L + 1) / 2; those of NASNet are 50,
or 64 with the states that its cells join. They may stand in the lines of a shell script that add them up, as in the
ENAS authors' scripts: fixed_arc="$fixed_arc 0 2 0 0".
"""

import re
from collections.abc import Mapping
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces import enas_macro, enas_micro, nasnet
from dartboard.spaces.search_space import Architecture

SCRIPT = re.compile(r"^\s*fixed_arc=|\$fixed_arc\b", re.MULTILINE)
INTEGERS = re.compile(r"[\s\d,;\[\]()\"'-]+")
LEAST = 9  # integers that are taken for an arc: fewer may be anything, such as a code of NAS-Bench-Macro
MICRO = ("normal", "reduce")


def is_arc(text: str) -> bool:
    """Whether the text is nothing but integers, of an arc that is right or wrong."""
    bare = SCRIPT.sub(" ", text)
    return INTEGERS.fullmatch(bare) is not None and len(re.findall(r"-?\d+", bare)) >= LEAST


def read_arc(text: str) -> tuple[Architecture, str]:
    """The architecture of the text's integers, and its notation. Raises InputError."""
    arc = [int(one) for one in re.findall(r"-?\d+", SCRIPT.sub(" ", text))]
    if len(arc) == 40:
        return enas_micro.from_arc(arc), "enas_micro"
    if enas_macro.num_layers(len(arc)) is not None:
        return enas_macro.from_arc(arc), "enas_macro"
    if len(arc) in nasnet.LENGTHS:
        return nasnet.from_arc(arc), "nasnet"
    of_macro = " or ".join(f"{length} ({layers} layers)" for layers, length in enas_macro.SIZES.items())
    known = f"one of ENAS micro has 40 (20 a cell), one of ENAS macro {of_macro}, one of NASNet {nasnet.LENGTHS[0]}"
    raise InputError(f"{len(arc)} integers are no arc: {known}")


def is_pair(record: Mapping[str, Any]) -> bool:
    """Whether an object has the arcs of both cells of ENAS micro by name."""
    return {*MICRO} <= record.keys() and all(
        isinstance(record[kind], list) and record[kind] and all(type(one) is int for one in record[kind])
        for kind in MICRO
    )


def read_pair(record: Mapping[str, Any]) -> Architecture:
    """The architecture of {"normal": [20 integers], "reduce": [20 integers]}. Raises InputError."""
    return enas_micro.from_cell_arcs(record["normal"], record["reduce"])
