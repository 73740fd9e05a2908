"""metrics.jsonl: one JSON object a line. What is missing from it beside an intact checkpoint is marked as a gap.

A checkpoint holds the length that the file had, in bytes. The line of a gap is filled with spaces to the length of what
it stands for, so that those lengths stay true.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.atomic_files import about, replace_file, sync, writing

METRICS = "metrics.jsonl"
SHORTEST = b'{"event": "gap"}\n'  # every line of a run is as long or longer

Line = Mapping[str, Any]


def content_of(path: Path) -> bytes:
    """The bytes of the file, none if there is none. Raises InputError if something else is in its place."""
    return ordinary_bytes(path) if os.path.lexists(path) else b""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines; an incomplete last one is left out. Raises InputError if another is not a JSON object."""
    found = []
    for line in content_of(path).split(b"\n")[:-1]:
        if (fields := as_object(line)) is None:
            text = f"{path} is damaged: a line is not a JSON object"
            raise InputError(f"{text}; `dartboard resume` repairs an unfinished run")
        found.append(fields)
    return found


def as_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def last_line(path: Path) -> dict[str, Any]:
    """The last complete line, or {} if there is none or it is damaged."""
    lines = content_of(path).split(b"\n")[:-1]
    return (as_object(lines[-1]) or {}) if lines else {}


def num_epochs(path: Path) -> int:
    """How many lines of epochs the file has; what is damaged is passed over."""
    found = (as_object(line) or {} for line in content_of(path).split(b"\n"))
    return sum(line.get("event") == "epoch" for line in found)


def last_epoch(lines: Iterable[Line]) -> Line:
    """The last line of an epoch. Raises InputError if a gap has taken it."""
    found = [line for line in lines if line.get("event") == "epoch"]
    if not found:
        raise InputError(
            "metrics.jsonl has no line of an epoch any more, and the checkpoint, of an older version, no copy: the "
            "result cannot be written; the weights in checkpoint/ are intact"
        )
    return found[-1]


def as_line(fields: Line) -> bytes:
    return json.dumps(fields, separators=(", ", ": ")).encode() + b"\n"


def sync_length(path: Path) -> int:
    """The file's length in bytes, after syncing it and its name to the disk; 0 if there is none."""
    if not path.exists():
        return 0
    with writing(path.parent), about(path), open(path, "rb") as file:
        os.fsync(file.fileno())
        sync(path.parent)
        return os.fstat(file.fileno()).st_size


def mend(path: Path, length: int, epoch: Line | None, step: int) -> bool:
    """Cuts the file to the length that a checkpoint names; whether a stretch of it is lost, and now marked.

    epoch: the line of the last epoch before the checkpoint; step: the checkpoint's. Raises as `durable.writing`.
    """
    content = content_of(path)
    whole, lost = mended(content, length, epoch, {"until_step": step})
    if whole != content[:length]:
        replace_file(path, whole)
    elif len(content) > length:
        with writing(path.parent):
            os.truncate(path, length)
    return lost > 0


def mended(content: bytes, length: int, epoch: Line | None, until: Line) -> tuple[bytes, int]:
    """The first `length` bytes of the metrics, and how many of them are lost and now in lines that mark a gap.

    epoch: an epoch's line that is put back if it is missing; until: what the line of a gap says of its end.
    """
    content = content[:length]
    gaps, lost = list(damaged(content, length)), 0
    starts, ends = [start for start, _ in gaps], [end for _, end in gaps]
    whole = [content[end:start] for end, start in zip([0, *ends], [*starts, length], strict=True)]
    lines = [as_object(line) or {} for part in whole for line in part.split(b"\n")]
    known = {line.get("epoch") for line in lines if line.get("event") == "epoch"}
    missing = b"" if epoch is None or epoch.get("epoch") in known else as_line(epoch)
    parts = [whole[0]]
    for (start, end), after in zip(gaps, whole[1:], strict=True):
        room = end - start - len(missing)
        back = missing if room == 0 or room >= len(SHORTEST) else b""
        missing = b"" if back else missing
        lost += end - start - len(back)
        parts += [gap_line(start, end - start - len(back), until), back, after]
    return b"".join(parts), lost


def damaged(content: bytes, length: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch of the first `length` bytes without a complete line, wide enough to be marked."""
    start, position = None, 0
    for line in content.split(b"\n")[:-1]:
        end = position + len(line) + 1
        if as_object(line) is None:
            start = position if start is None else start
        elif start is not None and position - start >= len(SHORTEST):
            yield start, position
            start = None
        position = end
    start = position if start is None and position < length else start
    if start is not None:
        yield (start if length - start >= len(SHORTEST) else content.rfind(b"\n", 0, max(0, start - 1)) + 1), length


def gap_line(start: int, size: int, until: Line) -> bytes:
    """A line of `size` bytes that says which bytes are missing, or as much of that as fits."""
    if size == 0:
        return b""
    for fields in ({"event": "gap", "byte": start, "bytes": size, **until}, {"event": "gap"}):
        line = as_line(fields)[:-1]
        if len(line) < size:
            break
    return line.ljust(size - 1) + b"\n"
