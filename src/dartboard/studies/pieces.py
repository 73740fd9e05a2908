"""The finished work of a study: one JSON object per line, each with a key, so that a resumed study repeats nothing.

A line is synced to the disk before the next piece of work starts. A killed process may leave an incomplete last line:
it is removed, and its piece is done again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.atomic_files import about, writing
from dartboard.runs.json_files import finite

PIECES = "pieces.jsonl"


class Pieces:
    """The pieces in a folder; `done[key]` are the fields of one, in the order they were made."""

    def __init__(self, folder: Path, name: str = PIECES) -> None:
        """name: the file's. Raises InputError if a complete line is not a piece."""
        self.path = folder / name
        self.done: dict[str, dict[str, Any]] = {}
        content = ordinary_bytes(self.path) if os.path.lexists(self.path) else b""
        complete = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(complete.splitlines(), start=1):
            self.read(line, number)
        if len(complete) < len(content):
            with writing(folder):
                os.truncate(self.path, len(complete))

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
        """The pieces whose key has this prefix, by the rest of their key."""
        return {key.removeprefix(prefix): fields for key, fields in self.done.items() if key.startswith(prefix)}

    def add(self, key: str, **fields: Any) -> dict[str, Any]:
        """Writes a piece, and returns its fields as they are when read again."""
        self.add_all({key: fields})
        return self.done[key]

    def add_all(self, pieces: Mapping[str, Mapping[str, Any]]) -> None:
        """Writes several pieces, the fields of each by its key, and syncs them to the disk together."""
        lines = [json.dumps({"key": key, **finite(dict(fields))}) + "\n" for key, fields in pieces.items()]
        with writing(self.path.parent), about(self.path), open(self.path, "ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
        for line in lines:
            fields = json.loads(line)
            self.done[fields.pop("key")] = fields
