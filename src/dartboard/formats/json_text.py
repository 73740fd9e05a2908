"""JSON as architecture files have it: one object, each key once, whole numbers or ordinary fractions, no NaN."""

import json
import math
import re
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.limits import MAX_DIGITS, check_depth
from dartboard.spaces.search_space import quote

# A string (also one that is cut off), or a bracket. It matches at every quote, so that the time stays linear.
STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in the text, of at most `limits.MAX_BYTES`. Raises InputError."""
    check_depth(match for match in STRING_OR_BRACKET.findall(text) if len(match) == 1)
    try:
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=fraction,
            parse_constant=refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}, column {error.colno}: this is not JSON: {error.msg}") from error
    if not isinstance(value, dict):
        raise InputError(f"the JSON is {quote(value)}; give an object, {{...}}")
    return value


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs; a key given twice is refused; Python's reader would silently keep the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"the key {quote(key)} is given twice; give it once")
        found[key] = value
    return found


def integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InputError(f"the number {quote(digits)} is too large; an architecture has small numbers")
    return int(digits)


def fraction(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InputError(f"the number {quote(digits)} is too large; an architecture has small numbers")
    return value


def refuse_constant(name: str) -> float:
    raise InputError(f"{name} is not a number; an architecture contains none such")
