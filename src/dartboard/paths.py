"""Paths as a person types them: with a ~, empty, too long, of names that are not UTF-8. Nothing here imports torch."""

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dartboard.errors import InputError

MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4095  # what file systems take
UNDECODED = re.compile("[\udc80-\udcff]")  # how Python holds a byte of a name that is not UTF-8
ESCAPED = re.compile("\0([89a-f][0-9a-f])")


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with the home folder in place of a ~ at its beginning. Raises InputError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        name = Path(path).parts[0]
        raise InputError(f"there is no home folder for {name} in {os.fspath(path)}; write the path out") from error


def check_path(path: str, name: str) -> None:
    """Raises InputError for what no file or folder can be called. name: the flag, for the message."""
    if not path.strip():
        raise InputError(f"{name} is empty; give a file or a folder")
    if "\0" in path:
        raise InputError(f"{name} contains a NUL character, which no file name may contain; give another")
    longest = max(len(os.fsencode(part)) for part in path.split(os.sep))
    if longest > MAX_NAME_BYTES or len(os.fsencode(path)) > MAX_PATH_BYTES:
        most = f"a name has at most {MAX_NAME_BYTES} bytes, a path {MAX_PATH_BYTES}"
        raise InputError(f"{name} is too long a path: {most}; give a shorter one")


def escaped(value: Any) -> Any:
    """The value as UTF-8 can hold it: in its texts, a NUL and two hexadecimal digits for a byte that is not UTF-8.

    No path holds a NUL, so `restored` finds every such place again.
    """
    return in_texts(value, lambda text: UNDECODED.sub(lambda byte: f"\0{ord(byte[0]) - 0xDC00:02x}", text))


def restored(value: Any) -> Any:
    """What `escaped` was given."""
    return in_texts(value, lambda text: ESCAPED.sub(lambda byte: chr(0xDC00 + int(byte[1], 16)), text))


def in_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: in_texts(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_texts(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def link_to(path: Path, folder: Path) -> str:
    """What a page in a folder links to, whatever its name holds."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))


def quoted(path: str | os.PathLike[str]) -> str:
    """The path as a shell takes it; as $'...' if it contains what is not UTF-8 or cannot be shown."""
    text = os.fspath(path)
    if text.isprintable():
        return shlex.quote(text)
    letters = (letter if letter.isprintable() and letter not in "\\'" else octal(letter) for letter in text)
    return f"$'{''.join(letters)}'"


def octal(letter: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(letter))
