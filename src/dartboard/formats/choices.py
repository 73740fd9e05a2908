"""Our own JSON: {"space": NAME, "choices": {NAME: value}}, of any space in the table `spaces.READERS`."""

import json
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.spaces import READERS
from dartboard.spaces.search_space import Architecture, as_tuples, quote


def read_choices(record: dict[str, Any]) -> Architecture:
    """The architecture of the parsed JSON object. Raises InputError."""
    for key in record:
        if key not in ("space", "choices"):
            raise unknown("key", key, ("space", "choices"))
    space, values = record.get("space"), record.get("choices")
    if not isinstance(space, str):
        raise InputError(f"'space' is {quote(space)}; give the name of a space: {', '.join(READERS)}")
    if space not in READERS:
        raise unknown("space", space, READERS)
    if not isinstance(values, dict):
        raise InputError(f"'choices' is {quote(values)}; give an object of choices")
    return READERS[space]({name: as_tuples(value) for name, value in values.items()})


def write_choices(architecture: Architecture) -> str:
    """One line of JSON; holds every architecture."""
    return json.dumps(architecture.to_json())
