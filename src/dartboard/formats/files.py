"""Architectures from files and names. A file is read with a limit, and only if it is an ordinary file."""

import os
import stat
import sys
from functools import cache
from pathlib import Path

from dartboard.errors import InputError, unknown
from dartboard.formats.arcs import arc_within, is_arc
from dartboard.formats.limits import MAX_TEXT
from dartboard.formats.nasbenchmacro import is_number
from dartboard.formats.notations import Reading, find
from dartboard.formats.places import SeveralError
from dartboard.formats.streams import read_stream, stream_of
from dartboard.spaces import nas_rl
from dartboard.spaces.catalogue import published
from dartboard.spaces.search_space import Architecture

RUN_FILE = "architecture.json"  # a run folder's result
PUT_BACK = "move it away, or restore the file"
STOPPED = "stopped"  # in a run's folder, the cells of the stopping rules
MEASURED = "measured"  # the latency of what was found, and where that misses the limit the next best within it
LATENCY, WITHIN_LIMIT = "latency.json", "within-limit.json"  # in that folder
WEIGHTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")  # how weight files begin
FROM_TEXT = "genotype"  # what an architecture is called that came as text and not by a name


def load(path: str | os.PathLike[str]) -> tuple[Architecture, str]:
    """The architecture in a file, and its notation, recognised by content and not by the file's name.

    It may stand anywhere in the file, as in a log or a genotypes.py; remarks, such as which of several was taken, go to
    stderr. Raises InputError that names the file: missing, not an ordinary file, unreadable, not text, no architecture.
    """
    return from_file(path, None)


def from_file(path: str | os.PathLike[str], name: str | None) -> tuple[Architecture, str]:
    """As `load`; name: which architecture, of several with names in the file."""
    data, is_part = read_end(path)
    if data.startswith(WEIGHTS):
        raise InputError(f"{shown(path)} is a binary file of weights, not an architecture; give the genotype")
    if is_part:
        print_note(f"{shown(path)}: only the last {MAX_TEXT // 2**20} MB are read")
    return reading_of(data, name, shown(path), f"choose with FILE:NAME, such as {shown(path)}")


def reading_of(data: bytes, name: str | None, origin: str, choose: str) -> tuple[Architecture, str]:
    """The architecture in a text and its notation; its remarks are printed. choose: how one of several is named."""
    try:
        found: Reading = find(data, name)
    except SeveralError as error:
        hint = f"{choose}:{error.example}" if choose else "give one of them alone"
        raise InputError(f"{origin}: {str(error).removesuffix('; say which')}; {hint}") from error
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
    for remark in found.remarks:
        print_note(f"{origin}: {remark}")
    return found.architecture, found.notation


@cache
def print_note(remark: str) -> None:
    """Writes a remark on stderr, once: a command may look several times at what it was given."""
    print("note:", " ".join(remark.split()), file=sys.stderr)


def read_end(path: str | os.PathLike[str]) -> tuple[bytes, bool]:
    """The last MAX_TEXT bytes of an ordinary file, and whether there are more; never waits for a pipe or a device."""
    check_file(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            file.seek(max(0, size - MAX_TEXT))
            return file.read(MAX_TEXT), size > MAX_TEXT
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error


def ordinary_bytes(path: str | os.PathLike[str], number: int = -1, remedy: str = PUT_BACK) -> bytes:
    """The first `number` bytes of an ordinary file, or all; never waits for a pipe or a device. Raises InputError."""
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
    name without the ending; for the cell of a stopping rule, the run's name and the rule); - for standard input;
    the text of an architecture itself (label: genotype; of a code that is a number, the code); FILE:NAME, for one of
    several in a file (label: NAME).
    Raises InputError; an unknown name is answered with the nearest one.
    """
    name = os.fspath(name_or_path)
    if name in published():
        return published()[name].architecture, "published", name
    if (descriptor := stream_of(name)) is not None:
        choose = "save it into a file and name one with FILE:NAME, such as genotypes.py"
        return *reading_of(read_stream(descriptor), None, "standard input", choose), FROM_TEXT
    if is_text(name):
        label = name.strip() if is_number(name) else FROM_TEXT
        return *reading_of(name.encode("utf-8", "surrogateescape"), None, "the text given", ""), label
    file, member = member_of(name)
    if member:
        return *from_file(file, member), member
    if not name or not looks_like_path(name):
        raise unknown("architecture", name, published())
    path = Path(name)
    if is_folder(path):
        return from_run(path)
    architecture, notation = load(path)
    return architecture, notation, label_of(path.resolve())


def is_text(word: str) -> bool:
    """Whether a word is the text of an architecture, and no name or path."""
    if os.path.lexists(word) if len(word) < 4096 and "\0" not in word else False:
        return False
    starts = word.lstrip(" \t\r\n\ufeff").startswith(("{", "|"))
    if starts or is_number(word) or is_arc(word) or nas_rl.is_text(word) or ("Genotype" in word and "(" in word):
        return True
    return ("[" in word or "fixed_arc" in word) and bool(arc_within(word))


def member_of(word: str) -> tuple[str, str]:
    """FILE and NAME of FILE:NAME; the word and nothing if it names an existing file, or is not such a pair."""
    file, colon, member = word.rpartition(":")
    if not colon or not file or not member or os.sep in member or "/" in member or "\0" in word:
        return word, ""
    return (word, "") if os.path.lexists(word) or not looks_like_path(file) else (file, member)


def label_of(path: Path) -> str:
    """What a file of an architecture is called: its run's folder, with the stopping rule or limit it is there for."""
    if path.name == RUN_FILE:
        return path.parent.name
    run = run_of(path)
    return path.stem if run is None else f"{run.name}-{path.stem}"


def run_of(path: Path) -> Path | None:
    """The run's folder, of the cell of a stopping rule in it or of what is within a limit; of any other file None."""
    folder = path.resolve().parent
    return folder.parent if folder.name in (STOPPED, MEASURED) and (folder.parent / "config.toml").is_file() else None


def parent_of(word: str) -> Path | None:
    """The run's folder that a word names, itself or by a stopping rule's cell; None for any other architecture."""
    if is_text(word) or word in published():
        return None
    return Path(word) if is_folder(Path(word)) else run_of(Path(member_of(word)[0]))


def looks_like_path(text: str) -> bool:
    """True if a file is meant: it exists, or the text has letters that names do not have."""
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
