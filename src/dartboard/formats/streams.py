"""Standard input, and the pipes that a shell makes of `<(command)`, as texts: read once, with an end."""

import os
import re
import stat
from functools import lru_cache

from dartboard.errors import InputError
from dartboard.formats.limits import MAX_TEXT

STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
SHELL_PIPE = re.compile(r"/dev/fd/\d+|/proc/self/fd/\d+")


def stream_of(name: str) -> int | None:
    """The descriptor of what a word names, if it is a stream and not a file; else None."""
    if name in STANDARD_INPUT:
        return 0
    number = int(name.rpartition("/")[2]) if SHELL_PIPE.fullmatch(name) and len(name) < 30 else None
    return number if number is not None and is_pipe(number) else None


def is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def read_stream(descriptor: int) -> bytes:
    """All that comes until its end. A command that looks twice gets the same text. Raises InputError."""
    try:
        if os.isatty(descriptor):
            hint = "pipe a text in, such as: grep Genotype log.txt | dartboard show -"
            raise InputError(f"- reads standard input, and that is this terminal; {hint}")
        known = os.fstat(descriptor)
        return read_once(descriptor, known.st_dev, known.st_ino)
    except OSError as error:
        raise InputError(f"standard input cannot be read: {error.strerror}; give a file") from error


@lru_cache(maxsize=2)
def read_once(descriptor: int, device: int, inode: int) -> bytes:
    """The text of the stream with these numbers of device and inode."""
    pieces, size = [], 0
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
        if (size := size + len(piece)) > MAX_TEXT:
            raise InputError(f"standard input is longer than {MAX_TEXT // 2**20} MB; give its last part, or a file")
    return b"".join(pieces)
