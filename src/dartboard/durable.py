"""Files that a crash cannot tear: written beside, brought to the disk, renamed into place."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dartboard.errors import CannotContinueError, InputError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew too large",
}
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP)
PART = ".part"  # ending of what is being written; a leftover of a crash, never read


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns the system's refusals to write in a folder into errors a person can act on.

    Raises CannotContinueError where there is no room, InputError where writing is not allowed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise CannotContinueError(f"{FULL[error.errno]} while writing in {folder}; make room") from error
        if error.errno in REFUSED:
            raise InputError(
                f"cannot write in {folder}: {error.strerror}; make it writable or choose another"
            ) from error
        raise


def sync(path: Path) -> None:
    """Brings a file or a folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: str | Path, data: bytes | str) -> None:
    """Writes a whole file so that a reader, or a crash, sees the old content or the new, never a part.

    Raises CannotContinueError (no room) or InputError (not allowed).
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}{PART}")
    with writing(path.parent):
        try:
            write_synced(beside, data.encode() if isinstance(data, str) else data)
            os.replace(beside, path)
            sync(path.parent)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
