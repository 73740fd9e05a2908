"""Architectures from files and names. A file is read with a limit, and only if it is an ordinary file."""

import os
import stat
from pathlib import Path

from dartboard.errors import InputError, unknown
from dartboard.formats.limits import MAX_BYTES
from dartboard.formats.notations import read
from dartboard.search_space import Architecture
from dartboard.spaces.catalogue import published

RUN_FILE = "architecture.json"  # where a run folder keeps its result
PUT_BACK = "move it away, or put the file back"
STOPPED = "stopped"  # in a run's folder, the cells that stopping rules keep


def load(path: str | os.PathLike[str]) -> tuple[Architecture, str]:
    """The architecture in a file, and its notation, told by content and not by the file's name.

    Raises InputError that names the file: missing, no ordinary file, unreadable, too long, not text, no architecture.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(path)} is binary, not text; give an architecture as text") from error
    try:
        return read(text)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from error


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of an ordinary file of at most `limit` bytes; never waits for a pipe or a device."""
    data = ordinary_bytes(path, limit + 1, "")
    if len(data) > limit:
        raise InputError(f"{shown(path)} is longer than {limit // 1024} kB; an architecture takes about 1 kB")
    return data


def ordinary_bytes(path: str | os.PathLike[str], number: int = -1, remedy: str = PUT_BACK) -> bytes:
    """So many bytes of an ordinary file, or all; never waits for a pipe or a device. Raises InputError."""
    check_file(path, remedy)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            return file.read(number)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error


def check_file(path: str | os.PathLike[str], remedy: str = "") -> None:
    """Raises InputError unless the path leads to an ordinary file. remedy: what to do where something else is there."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise InputError(f"{shown(path)} is a link to nothing; {remedy or 'give a file'}") from error
        raise InputError(f"there is no file {shown(path)}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{shown(path)} cannot be read: {reason}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{shown(path)} is a folder; {remedy or 'give a file'}")
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown(path)} is a pipe or a device; {remedy or 'give an ordinary file'}")


def shown(path: str | os.PathLike[str]) -> str:
    """The path for a message: on one line, of a long one the end."""
    text = str(os.fspath(path))
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 200 else "..." + text[-197:]


def resolve(name_or_path: str | os.PathLike[str]) -> tuple[Architecture, str, str]:
    """(architecture, notation, label) of what a person named, tried in this order:

    a published name (the notation is then "published", the label the name; write ./NAME for a file of that name);
    a run folder, for the architecture it found or trains (label: the folder's name); a file in any notation (label: its
    name without the ending; for a cell that a stopping rule kept, the run's name and the rule). Raises InputError; an
    unknown name is answered with the nearest one.
    """
    name = os.fspath(name_or_path)
    if name in published():
        return published()[name].architecture, "published", name
    if not name or not looks_like_path(name):
        raise unknown("architecture", name, published())
    path = Path(name)
    if is_folder(path):
        return from_run(path)
    architecture, notation = load(path)
    return architecture, notation, label_of(path.resolve())


def label_of(path: Path) -> str:
    """What a file of an architecture is called: its run's folder, with the rule that kept it where one did."""
    if path.name == RUN_FILE:
        return path.parent.name
    run = run_of(path)
    return path.stem if run is None else f"{run.name}-{path.stem}"


def run_of(path: Path) -> Path | None:
    """The run's folder, of a cell that a stopping rule kept in it; of any other file None."""
    folder = path.resolve().parent
    return folder.parent if folder.name == STOPPED and (folder.parent / "config.toml").is_file() else None


def looks_like_path(text: str) -> bool:
    """True where a file is meant: it is there, or the text has what names have not."""
    return "/" in text or os.sep in text or "." in text or os.path.lexists(text)


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name the system does not take; `load` says why
        return False


def from_run(folder: Path) -> tuple[Architecture, str, str]:
    if not (folder / RUN_FILE).exists():
        hint = "give a finished run (dartboard resume DIR finishes one), a file, or a published name"
        raise InputError(f"the folder {shown(folder)} has no {RUN_FILE}; {hint}")
    architecture, notation = load(folder / RUN_FILE)
    return architecture, notation, folder.resolve().name
