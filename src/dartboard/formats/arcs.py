"""Arcs of ENAS and NASNet, and lists of SPOS: integers with spaces, commas or brackets between, told apart by how many
there are.

Those of ENAS micro are 40, 20 for each cell; those of ENAS macro are 78 for 12 layers and 300 for 24; those of NASNet
are 50, or 64 with the states that its cells join; lists of SPOS have 20 (formats/shufflenetv2.py). They may stand in
the lines of a shell script that add them up, as in the ENAS authors' scripts: fixed_arc="$fixed_arc 0 2 0 0". In other
text, such as the log of a search or the whole of a script, lists in brackets and what these lines add up are found.
"""

import re
from collections.abc import Mapping
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.shufflenetv2 import numbers_in
from dartboard.spaces import enas_macro, enas_micro, nasnet, shufflenetv2
from dartboard.spaces.search_space import Architecture

SCRIPT = re.compile(r"^[ \t]*fixed_arc=|\$fixed_arc\b", re.MULTILINE)
INTEGERS = re.compile(r"[\s\d.,;\[\]()\"'-]+")
NUMBER = re.compile(r"-?\d+(?:\.\d*)?")
LIST = re.compile(r"\[([\s\d,-]+)\]")
ADDED = re.compile(r"""^[ \t]*fixed_arc=["']?(\$fixed_arc)?([\s\d]*)""", re.MULTILINE)
LEAST = 9  # integers that are taken for an arc: fewer may be anything, such as a code of NAS-Bench-Macro
LEAST_LISTED = 4  # of such integers in brackets, which are no code
MOST_DIGITS = 3  # of such an integer; a longer one is a code, or a date
MICRO = ("normal", "reduce")


def is_arc(text: str) -> bool:
    """Whether the text is nothing but integers, of an arc that is right or wrong."""
    if numbers_in(text):
        return True
    bare = SCRIPT.sub(" ", text)
    found = re.findall(r"-?\d+", bare) if INTEGERS.fullmatch(bare) else []
    least = LEAST_LISTED if LIST.fullmatch(text.strip()) else LEAST
    return len(found) >= least and all(len(one) <= MOST_DIGITS for one in found)


def read_arc(text: str) -> tuple[Architecture, str]:
    """The architecture of the text's integers, and its notation. Raises InputError."""
    if listed := numbers_in(text):
        return shufflenetv2.from_numbers(listed), "spos"
    bare = SCRIPT.sub(" ", text)
    numbers = NUMBER.findall(bare)
    if no_integer := next((one for one in numbers if "." in one), None):
        raise InputError(f"an arc has integers, and {no_integer} is none")
    arc = [int(one) for one in numbers]
    if len(arc) == 40:
        return enas_micro.from_arc(arc), "enas_micro"
    check_rows(bare)
    if len(arc) in enas_macro.SIZES.values():  # others would make a text that was cut off another architecture
        return enas_macro.from_arc(arc), "enas_macro"
    if len(arc) in nasnet.LENGTHS:
        return nasnet.from_arc(arc), "nasnet"
    of_macro = " or ".join(f"{length} ({layers} layers)" for layers, length in enas_macro.SIZES.items())
    known = f"one of ENAS micro has 40 (20 a cell), one of ENAS macro {of_macro}, one of NASNet {nasnet.LENGTHS[0]}"
    blocks = f"a list of SPOS in brackets {shufflenetv2.in_words(shufflenetv2.LAYOUTS)}"
    raise InputError(f"{len(arc)} integers are no arc: {known}; {blocks}")


def arc_within(text: str) -> str:
    """The integers of the last arc that stands in a text, as text; empty if there is none. Raises InputError if it is
    not complete."""
    added = list(ADDED.finditer(text))
    if starts := [number for number, line in enumerate(added) if not line[1]]:
        return " ".join(line[2] for line in added[starts[-1] :])
    lists = [one.replace(",", " ") for one in LIST.findall(text)]
    lengths = [len(one.split()) for one in lists]
    first = max((number for number, length in enumerate(lengths) if length == 1), default=len(lists))
    if len(lists) - first > 3 and lengths[first:] == [*range(1, len(lists) - first + 1)]:
        return "\n".join(lists[first:])
    cells = [one for one, length in zip(lists, lengths, strict=True) if length == 20]
    if len(cells) % 2:
        raise InputError("the last arc of ENAS micro has one list of 20 integers; give those of both cells")
    return " ".join(cells[-2:])


def check_rows(text: str) -> None:
    """Raises InputError for an arc written a layer at a time, in brackets or lines, if one has too few or too many.

    Such rows begin with one integer alone, that of the first layer; an arc that is merely wrapped does not.
    """
    rows = re.findall(r"[\[(]([^\[\]()]*)[\])]", text) or text.splitlines()
    lengths = [length for row in rows if (length := len(re.findall(r"-?\d+", row)))]
    if len(lengths) < 2 or lengths[0] != 1:
        return
    for number, length in enumerate(lengths, 1):
        if length != number:
            wanted = f"its operation and {number - 1} bit{'s' * (number != 2)}, {number} in all"
            raise InputError(f"layer {number} of an arc of ENAS macro has {length} integers; give {wanted}")


def is_pair(record: Mapping[str, Any]) -> bool:
    """Whether an object has the arcs of both cells of ENAS micro by name."""
    return {*MICRO} <= record.keys() and all(
        isinstance(record[kind], list) and record[kind] and all(type(one) is int for one in record[kind])
        for kind in MICRO
    )


def read_pair(record: Mapping[str, Any]) -> Architecture:
    """The architecture of {"normal": [20 integers], "reduce": [20 integers]}. Raises InputError."""
    for kind in MICRO:
        if len(record[kind]) != 20:
            raise InputError(
                f"the arc {kind!r} has {len(record[kind])} integers; give four a block, 20 for five blocks"
            )
    return enas_micro.from_cell_arcs(record["normal"], record["reduce"])
