"""Builds the compiled kernels: by one process at a time, in a folder that only this user can write to.

A library is executed, so it is taken from the cache folder only if no other user can have put it there. Flags are
left out if the compiler refuses them, never because a file could not be written: then another place is tried.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import platform
import re
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dartboard.data.layouts import cache_folder

SOURCE = Path(__file__).with_name("cell.cpp")
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
# The first set of further flags that the compiler takes: for this processor, with OpenMP; then without the one or both.
FURTHER = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
SMALLEST = 'extern "C" int one() { return 1; }\n'  # a source that every compiler takes
STOPPED = re.compile(r"terminated program|due to signal|unable to execute command")  # what g++ and clang++ say
COMPILE_LIMIT_S, WAIT_LIMIT_S, WORD_AFTER_S = 300.0, 300.0, 1.0
ROOM_BYTES = 8_000_000  # more than a compilation writes
NOBODY = 65534  # how root appears inside of a container without it
LOCK = "lock"


class PlaceError(Exception):
    """A folder that libraries must not be taken from, or cannot be built in; another one may do."""


class BuildError(Exception):
    """The compiler does not build the kernels, wherever it is tried."""


@dataclass(frozen=True)
class Library:
    """A library that is loaded. sha256: of its file; compiler, flags: what it was built by."""

    handle: ctypes.CDLL
    sha256: str
    compiler: str
    flags: tuple[str, ...]


def load(program: str, real: str) -> Library:
    """The kernels for one number format: of the cache folder or, if that does not do, built for this process.

    Raises BuildError.
    """
    try:
        return library_in(cache_place(), program, real)
    except (OSError, PlaceError) as error:
        print(f"compiled kernels are built for this process alone: {in_words(error)}", file=sys.stderr, flush=True)
    try:
        return library_in(Path(own_folder().name), program, real)
    except (OSError, PlaceError) as error:
        raise BuildError(f"they cannot be stored: {in_words(error)}") from error


def in_words(error: Exception) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


# --- Places ----------------------------------------------------------------------------------------------------------


def cache_place() -> Path:
    """The folder for kernels in the cache folder, made if there is none. Raises OSError, PlaceError."""
    place = cache_folder() / "kernels"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(place.resolve())
    return place.resolve()


def check_private(folder: Path) -> None:
    """Raises PlaceError if another user could put a library into a folder, or put another folder in its place."""
    me = os.geteuid()
    found = folder.stat()
    if found.st_uid != me:
        raise PlaceError(f"{folder} belongs to another user; set XDG_CACHE_HOME to a folder of your own")
    if found.st_mode & 0o022:
        raise PlaceError(f"{folder} can be written by others, so nothing in it is executed; chmod go-w it")
    for above in folder.parents:
        found = above.stat()
        if found.st_uid not in (me, 0, NOBODY):
            raise PlaceError(f"{above} belongs to another user; set XDG_CACHE_HOME to a folder of your own")
        if found.st_mode & 0o002 and not found.st_mode & stat.S_ISVTX:
            raise PlaceError(f"{above} can be written by others, so nothing in it is executed; chmod o-w it")


@cache
def own_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder of this process's own, which goes away with it."""
    return tempfile.TemporaryDirectory(prefix="dartboard-kernels-")


def read_own(path: Path) -> bytes:
    """The bytes of an ordinary file that only this user can write. Raises OSError, PlaceError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PlaceError(f"{path} is not of this user alone")
        return file.read()


# --- Libraries -------------------------------------------------------------------------------------------------------


def library_in(place: Path, program: str, real: str) -> Library:
    """What is in a folder for this source, compiler and processor, built if it is not there.

    Raises BuildError; OSError and PlaceError if another place may do.
    """
    target = place / f"{key(program, real)}.so"
    record = complete_record(target)
    if record is None:
        with alone(place):
            record = complete_record(target) or build(target, program, real)
    return Library(ctypes.CDLL(str(target)), record["sha256"], program, tuple(record["flags"]))


def key(program: str, real: str) -> str:
    facts = (SOURCE.read_bytes(), program, FLAGS, FURTHER, real, platform.machine(), processor())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


def complete_record(target: Path) -> dict[str, Any] | None:
    """The record of a library that is there as it was written (loading a torn one would end the process)."""
    try:
        record = json.loads(read_own(record_of(target)))
        digest = hashlib.sha256(read_own(target)).hexdigest()
        return record if record["sha256"] == digest and isinstance(record["flags"], list) else None
    except (OSError, PlaceError, ValueError, KeyError, TypeError, RecursionError):
        return None


def record_of(library: Path) -> Path:
    return library.with_suffix(".json")


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Inside, no other process builds in the folder. The system takes the lock back when its process dies."""
    descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        wait_for(descriptor, place)
        yield
    finally:
        os.close(descriptor)


def wait_for(descriptor: int, place: Path) -> None:
    """Takes the lock; says so if that takes a while. Raises PlaceError if another process keeps it too long."""
    start, announced = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - start
        except OSError:  # a file system without locks; own names and renames keep files complete there
            return None
        if waited > WAIT_LIMIT_S:
            raise PlaceError(f"another process has held {place / LOCK} for {WAIT_LIMIT_S:.0f} s")
        if waited > WORD_AFTER_S and not announced:
            print("another process is building the compiled kernels; waiting for it", file=sys.stderr, flush=True)
            announced = True
        time.sleep(0.05)


def build(target: Path, program: str, real: str) -> dict[str, Any]:
    """Compiles with the first flags that the compiler takes; returns the record. Raises as `library_in`."""
    said = ""
    with tempfile.TemporaryDirectory(prefix="building-", dir=target.parent) as folder:
        result = Path(folder) / target.name
        for further in FURTHER:
            flags = (*FLAGS, *further, f"-DREAL={real}")
            failure = compiled(program, flags, SOURCE, result)
            if failure is None:
                return put(result, target, flags)
            check_room(Path(folder))
            check_compiler(program, Path(folder))
            said = said or failure
    raise BuildError(f"{program} could not build them{said}")


def compiled(program: str, flags: tuple[str, ...], source: Path, result: Path) -> str | None:
    """None if the compiler has written the result; else what it said, or "". Raises BuildError if it was stopped.

    Its own temporary files lie beside the result, so that there is one place that can be full.
    """
    words = [program, *flags, str(source), "-o", str(result)]
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(result.parent)}
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "env": environment}
    try:
        done = subprocess.run(words, timeout=COMPILE_LIMIT_S, **options)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{program} took more than {COMPILE_LIMIT_S:.0f} s") from error
    except OSError as error:
        raise BuildError(f"{program} cannot be started: {error.strerror}") from error
    if done.returncode == 0 and result.is_file():
        return None
    lines = done.stderr.decode(errors="replace").split("\n")
    if done.returncode < 0 or any(STOPPED.search(line) for line in lines):
        raise BuildError(f"{program} was stopped by the system; is there enough memory?")
    found = next((line for line in lines if "error" in line.lower()), lines[0]).strip()
    return f": {found[:200]}" if found else ""


def check_room(folder: Path) -> None:
    """Raises OSError if a compilation cannot write its files: then its failure says nothing of its flags."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(ROOM_BYTES))
        file.flush()
        os.fsync(file.fileno())


def check_compiler(program: str, folder: Path) -> None:
    """Raises BuildError if the compiler fails without any of the flags too."""
    source, result = folder / "smallest.cpp", folder / "smallest.so"
    source.write_text(SMALLEST)
    failure = compiled(program, ("-shared", "-fPIC"), source, result)
    if failure is not None:
        raise BuildError(f"{program} could not build them{failure}")


def put(result: Path, target: Path, flags: tuple[str, ...]) -> dict[str, Any]:
    """Renames a finished library and its record into place, for this user alone."""
    record = {"sha256": hashlib.sha256(result.read_bytes()).hexdigest(), "flags": list(flags)}
    beside = record_of(result)
    beside.write_text(json.dumps(record))
    for path in (beside, result):
        path.chmod(0o600)
    os.replace(beside, record_of(target))
    os.replace(result, target)
    return record


def processor() -> str:
    """What -march=native depends on, so that a home shared between machines does not mix them up."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return "".join(line for line in lines if line.startswith(("flags", "Features", "model name")))[:8000]
