"""One process a run folder: a lock that the system releases when its process dies, however it dies."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dartboard.errors import InputError, InUseError
from dartboard.runs.atomic_files import about, make_folders, writing

LOCK = "lock"


def take_lock(folder: Path) -> int:
    """The descriptor that holds the folder's lock until it is closed. Raises InUseError, InputError."""
    path = folder / LOCK
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):  # a link would lock, and empty, another file
        raise InputError(f"{path} is not an ordinary file; move it away, and a new lock is made")
    with writing(folder):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 20).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        who = (
            "this process; call its run.close() first"
            if owner == str(os.getpid())
            else f"process {owner}; stop it first"
        )
        raise InUseError(f"{folder} is in use by {who}") from error
    except OSError as error:
        os.close(descriptor)
        raise InputError(f"cannot lock {folder}: {error.strerror}; put the run on a file system with locks") from error
    try:
        with writing(folder), about(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, taken for this process. Raises InUseError, InputError."""
    lock = take_lock(folder)
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def own_folder(folder: Path, is_own: Callable[[Path], bool], what: str) -> Iterator[None]:
    """The folder, made if it is missing and taken for this process. is_own: of one that is not empty; what: it holds,
    in words. Raises InputError for one that holds something else; InUseError."""
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; give another folder with --out")
        if folder.exists() and any(folder.iterdir()) and not is_own(folder):
            raise InputError(f"{folder} is not empty and is not a {what}; give another folder with --out")
        make_folders(folder)
    with locked(folder):
        yield
