"""What a study has done so far: one JSON object a line, each under a key, so that a study gone on with repeats nothing.

A line is brought to the disk before the next piece of work begins. A last line that is not whole is what a killed
process left: it is cut away, and its piece is done again.
"""

import json
import os
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.atomic_files import about, writing
from dartboard.runs.json_files import finite

PIECES = "pieces.jsonl"


class Pieces:
    """The pieces in a folder; `done[key]` are the fields of one, in the order they were made."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where a line that is whole is no piece."""
        self.path = folder / PIECES
        self.done: dict[str, dict[str, Any]] = {}
        content = ordinary_bytes(self.path) if os.path.lexists(self.path) else b""
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            self.read(line, number)
        if len(whole) < len(content):
            with writing(folder):
                os.truncate(self.path, len(whole))

    def read(self, line: bytes, number: int) -> None:
        try:
            fields = json.loads(line)
            self.done[fields.pop("key")] = fields
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise InputError(
                f"{self.path} is damaged in line {number}; delete the line, and its work is redone"
            ) from error

    def __contains__(self, key: str) -> bool:
        return key in self.done

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self.done[key]

    def under(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The pieces whose key begins so, by the rest of their key."""
        return {key.removeprefix(prefix): fields for key, fields in self.done.items() if key.startswith(prefix)}

    def add(self, key: str, **fields: Any) -> dict[str, Any]:
        """Writes a piece, and returns its fields as they are read back."""
        line = json.dumps({"key": key, **finite(fields)}) + "\n"
        with writing(self.path.parent), about(self.path), open(self.path, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        fields = json.loads(line)
        self.done[fields.pop("key")] = fields
        return fields
