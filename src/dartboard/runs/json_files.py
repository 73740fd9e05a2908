"""The small JSON files of a run: written readably, read with care."""

import json
import math
import os
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import PUT_BACK, ordinary_bytes

MAX_JSON_BYTES = 10_000_000


def as_json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_json(path: Path, remedy: str = "") -> dict[str, Any]:
    """The JSON object in a file of dartboard's. remedy: what to do where there is none. Raises InputError."""
    again = remedy or "restore it or start a new run"
    if not os.path.lexists(path):
        raise InputError(f"there is no file {path}; {again}")
    data = ordinary_bytes(path, MAX_JSON_BYTES + 1, remedy or PUT_BACK)
    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"{path} is larger than {MAX_JSON_BYTES} bytes; dartboard did not write it")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: it is not JSON; {again}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it is not a JSON object; {again}")
    return content


def finite(value: Any) -> Any:
    """The value with tensors and tuples as lists, and NaN and infinity as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
