"""The JSON that NNI's DARTS exports, in its two forms, read only. Its output is that of all intermediate nodes.

Hub (NNI 2.5 and later, nni.nas.hub DARTS): "normal/op_2_0": "sep_conv_3x3" and "normal/input_2_0": 0 or [0], for the
inputs 0 and 1 of each node. Example (NNI 1 and 2.0, examples/nas/darts): "normal_n2_p0": "sepconv3x3" for every
predecessor of node 2, and "normal_n2_switch": the two that are taken, by key, by number, or as true and false. An
operation is a name, its number below, or a list of true and false.
"""

import re
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture, quote

EXAMPLE_OPERATIONS = {  # the position is the number
    "maxpool": "max_pool_3x3",
    "avgpool": "avg_pool_3x3",
    "skipconnect": "skip_connect",
    "sepconv3x3": "sep_conv_3x3",
    "sepconv5x5": "sep_conv_5x5",
    "dilconv3x3": "dil_conv_3x3",
    "dilconv5x5": "dil_conv_5x5",
    "none": "none",
}
KEY = re.compile(r"(normal|reduce)(?:/(?:op|input)_(\d{1,2})_([01])|_n(\d{1,2})_(?:p\d{1,2}|switch))")


def is_nni(record: dict[str, Any]) -> bool:
    """Whether a parsed object has keys of NNI."""
    return any(KEY.fullmatch(key) for key in record)


def read_nni(record: dict[str, Any]) -> Architecture:
    """The architecture of the parsed object. Raises InputError."""
    cells = {}
    for kind in darts.CELLS:
        matches = [match for key in record if (match := KEY.fullmatch(key)) and match[1] == kind]
        numbers = sorted({int(match[2] or match[4]) for match in matches})
        if numbers != list(range(darts.NUM_INPUTS, darts.NUM_INPUTS + len(numbers))) or not numbers:
            raise InputError(f"the {kind} cell of this NNI export has the nodes {quote(numbers)}; they count from 2")
        read = from_hub if any(match[2] for match in matches) else from_example
        cells[kind] = darts.Cell(tuple(read(record, kind, number) for number in numbers), tuple(numbers))
    return darts.architecture(cells)


def value_of(record: dict[str, Any], key: str) -> Any:
    if key not in record:
        raise InputError(f"this NNI export has no {key!r}; give the complete export")
    return record[key]


def from_hub(record: dict[str, Any], kind: str, number: int) -> tuple[darts.Edge, ...]:
    """The inputs 0 and 1 of a node."""
    inputs = []
    for position in (0, 1):
        source = value_of(record, f"{kind}/input_{number}_{position}")
        source = source[0] if isinstance(source, list) and len(source) == 1 else source
        inputs.append((value_of(record, f"{kind}/op_{number}_{position}"), source))
    return tuple(inputs)


def from_example(record: dict[str, Any], kind: str, number: int) -> tuple[darts.Edge, ...]:
    """The inputs of a node that its switch takes."""
    keys = [f"{kind}_n{number}_p{source}" for source in range(number)]
    switch = value_of(record, f"{kind}_n{number}_switch")
    taken = positions(f"{kind}_n{number}_switch", switch, keys)
    inputs = []
    for source in taken:
        choice = value_of(record, keys[source])
        found = positions(keys[source], choice if isinstance(choice, list) else [choice], list(EXAMPLE_OPERATIONS))
        if len(found) != 1:
            raise InputError(f"{keys[source]!r} of this NNI export is {quote(choice)}; give one operation")
        inputs.append((list(EXAMPLE_OPERATIONS.values())[found[0]], source))
    return tuple(inputs)


def positions(key: str, value: Any, options: list[str]) -> list[int]:
    """Which of the options a value takes: by name, by number, or by true and false for each. Raises InputError."""
    if isinstance(value, list) and value and all(isinstance(one, bool) for one in value):
        if len(value) <= len(options):
            return [position for position, one in enumerate(value) if one]
    elif isinstance(value, list) and all(is_option(one, options) for one in value):
        return [options.index(one) if isinstance(one, str) else one for one in value]
    raise InputError(f"{key!r} of this NNI export is {quote(value)}; give some of {', '.join(options)}")


def is_option(value: Any, options: list[str]) -> bool:
    return value in options if isinstance(value, str) else darts.is_int(value) and 0 <= value < len(options)
