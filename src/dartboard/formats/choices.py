"""Our own JSON: {"space": NAME, "choices": {NAME: value}}, of any family in the table `FAMILIES`."""

import json
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, as_tuples, quote


def read_choices(record: dict[str, Any]) -> Architecture:
    """The architecture of the parsed JSON object. Raises InputError."""
    for key in record:
        if key not in ("space", "choices"):
            raise unknown("key", key, ("space", "choices"))
    space, values = record.get("space"), record.get("choices")
    if not isinstance(space, str):
        raise InputError(f"'space' is {quote(space)}; give the name of a space: {', '.join(FAMILIES)}")
    if space not in FAMILIES:
        raise unknown("space", space, FAMILIES)
    if not isinstance(values, dict):
        raise InputError(f"'choices' is {quote(values)}; give an object of choices")
    return FAMILIES[space].read({name: as_tuples(value) for name, value in values.items()})


def write_choices(architecture: Architecture) -> str:
    """One line of JSON; holds every architecture."""
    return json.dumps(architecture.to_json())
