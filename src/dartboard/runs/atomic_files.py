"""Files that a crash cannot damage: a temporary file is written, synced to the disk, and renamed into place."""

import errno
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dartboard.errors import CannotContinueError, InputError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew too large",
}
# What a failing disk or a mounted drive that has gone away answers: no fault of what is read or written.
FAILING = (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EEXIST)
NO_FOLDER = "a link that leads nowhere, or a file, is in its place"  # why a folder that is not there cannot be made
# What file systems without an atomic rename answer (some mounted drives): a file or folder is then copied into place.
NO_RENAME = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL)
PART = ".part"  # ending of what is being written; a leftover of a crash, never read


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns the system's refusals to write in a folder into errors a person can act on.

    Raises CannotContinueError if there is no room, InputError if writing is not allowed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise CannotContinueError(f"{FULL[error.errno]} while writing in {folder}; make room") from error
        if error.errno in REFUSED:
            reason = NO_FOLDER if error.errno == errno.EEXIST else error.strerror
            raise InputError(f"cannot write in {folder}: {reason}; make it writable or choose another") from error
        raise


@contextmanager
def about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the system name the file, as those do that come from opening it."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise


def failing(error: Exception) -> str | None:
    """The message for a disk that fails under a file; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in FAILING:
        return None
    what = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file, or the output,"
    return f"{what} cannot be read or written: {error.strerror}; check the disk or the drive that it is on"


def sync(path: Path) -> None:
    """Syncs a file, or the list of names of a folder if the file system supports it, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with about(path):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in (*NO_RENAME, errno.EACCES):  # a folder need not be readable
            raise


def make_folders(folder: Path) -> list[Path]:
    """Makes a folder and those above it that are missing; returns these, the innermost first, all on the disk."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    sync_new(made)
    return made


def sync_new(folders: Iterable[Path]) -> None:
    """Syncs the names of new folders to the disk, each in the folder above it."""
    for folder in folders:
        sync(folder.parent)


def rename_into_place(beside: Path, path: Path) -> None:
    """Renames a file or a folder into place, in one step; if the file system cannot, copies it, and says so once.

    A crash in the middle of a copy leaves a part behind. A checkpoint's digest finds that out, and the one before is
    taken; a small file is then written again from `beside`, or its run started again.
    """
    try:
        os.replace(beside, path)
        return
    except OSError as error:
        if error.errno not in NO_RENAME:
            raise
    say_once()
    if beside.is_dir():
        shutil.copytree(beside, path)
        for file in (*path.iterdir(), path):
            sync(file)
        shutil.rmtree(beside)
    else:
        write_synced(path, beside.read_bytes())
        beside.unlink()


@cache
def say_once() -> None:
    """Prints, once, that a crash in the middle of a write can damage files here."""
    print(
        "a run folder is on a file system without atomic rename: files are copied into place; "
        "after a crash the last checkpoint may be torn, and the one before it is taken",
        file=sys.stderr,
        flush=True,
    )


def write_synced(path: Path, data: bytes) -> None:
    with about(path), open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def as_bytes(data: bytes | str) -> bytes:
    """Text as UTF-8; a byte of a name that is not UTF-8 becomes \\udcXX, as JSON writes it too."""
    return data.encode(errors="backslashreplace") if isinstance(data, str) else data


def replace_file(path: str | Path, data: bytes | str, *, part: str | None = None) -> None:
    """Writes a file so that a reader, or a crash, sees the old content or the new, never a part.

    part: the name of the file beside it that is written first, if several processes may write at once.
    Raises CannotContinueError (no room) or InputError (not allowed).
    """
    path = Path(path)
    beside = path.with_name(part or f".{path.name}{PART}")
    with writing(path.parent):
        if path.is_dir() and not path.is_symlink():
            raise InputError(f"{path} is a folder, and a file belongs there; move it away")
        try:
            write_synced(beside, as_bytes(data))
            rename_into_place(beside, path)
            sync(path.parent)
        except OSError as error:
            beside.unlink(missing_ok=True)
            error.filename = os.fspath(path)  # not the one beside it, which nobody has named
            raise
