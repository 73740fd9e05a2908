"""One process a run folder: a lock that the system releases when its process dies, however it dies."""

import fcntl
import os
import stat
from pathlib import Path

from dartboard.errors import InputError, InUseError
from dartboard.runs.atomic_files import about, writing

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
