"""Files that a person names to be written: ordinary ones, those that links lead to, pipes and devices."""

import errno
import os
import stat
import sys
import uuid
from pathlib import Path

from dartboard.errors import InputError
from dartboard.runs.atomic_files import FULL, PART, as_bytes, replace_file, writing


def write_target(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Writes the file that a person named.

    An ordinary file, or the one that a link leads to, is written completely or not at all; its mode stays. A pipe or a
    character device is written into. Raises InputError (a folder, no folder to write in, a pipe that nobody reads,
    another kind of device, not allowed), CannotContinueError (no room), BrokenPipeError (the reader has left).
    """
    path = Path(path)
    with writing(path.parent):
        mode = mode_of(path)
        if mode is not None and stat.S_ISDIR(mode):
            raise InputError(f"cannot write {path}: it is a folder; give a file")
        if is_standard_output(path):
            sys.stdout.flush()
            write_all(os.dup(sys.stdout.fileno()), data)
        elif mode is None or stat.S_ISREG(mode):
            write_ordinary(path, data, mode)
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            write_into(path, data)
        else:
            raise InputError(f"cannot write {path}: it is a socket or a disk; give a file")


def mode_of(path: Path) -> int | None:
    """Kind and permissions of what a path leads to; None if there is nothing yet. Raises OSError."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def write_ordinary(path: Path, data: bytes | str, mode: int | None) -> None:
    """Replaces the file at the end of all links, or makes it. Raises as `write_target`."""
    check_folder(path)
    real = Path(os.path.realpath(path))
    try:
        replace_file(real, data, part=f".{uuid.uuid4().hex[:12]}{PART}")
    except FileNotFoundError as error:  # of folders such as /proc, which make no files
        raise InputError(f"cannot write {path}: no file can be made in {real.parent}; give another folder") from error
    if mode is not None and stat.S_IMODE(mode) != stat.S_IMODE(os.stat(real).st_mode):
        os.chmod(real, stat.S_IMODE(mode))


def check_folder(path: Path) -> None:
    """Raises InputError if there is no folder for the file at the end of all links."""
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        folder = (real if path.is_symlink() else path).parent
        raise InputError(f"cannot write {path}: there is no folder {folder}; make it first")


def write_into(path: Path, data: bytes | str) -> None:
    """Writes into a pipe or a device as it stands, and never waits for somebody to open its other end."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        os.set_blocking(descriptor, True)
        write_all(descriptor, data)
    except OSError as error:
        if error.errno in FULL or error.errno == errno.EPIPE:
            raise
        reason = "nobody reads from this pipe; start its reader first" if error.errno == errno.ENXIO else error.strerror
        raise InputError(f"cannot write {path}: {reason}, or give a file") from error


def write_all(descriptor: int, data: bytes | str) -> None:
    with open(descriptor, "wb") as file:
        file.write(as_bytes(data))


def is_standard_output(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to what this process prints into, as /dev/stdout does."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # nothing there, or standard output is closed or no file
        return False
