"""Which process works on which stage, if several processes or machines share a folder: claims with a heartbeat.

A claim is a small file that the first process creates. Its owner writes a higher number into it every few seconds. It
is taken over if its owner has ended: at once if the owner was a process of this machine that no longer exists,
otherwise when the number has not changed for STALE_S, by the watcher's own clock. Clocks of different machines are not
compared.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dartboard.errors import CannotContinueError, InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.atomic_files import replace_file, writing

BEAT_S, STALE_S, SETTLE_S = 10.0, 60.0, 0.2


def machine() -> str:
    """This machine since its start, with its namespace of process ids: pids are comparable if it is equal."""
    try:
        system = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    except OSError:  # not Linux
        system = []
    return " ".join([socket.gethostname(), *system])


class Claim:
    """A claim of this process; a context manager that releases it. on_lost: called if another has taken it over."""

    def __init__(self, path: Path, owner: str, on_lost: Callable[[], None]) -> None:
        """Use `Claims.take`."""
        self.path, self.owner, self.on_lost = path, owner, on_lost
        self.beats = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ended.set()
        self.thread.join()
        if read_claim(self.path).get("owner") == self.owner:
            self.path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Beats until the end, or until another process owns the claim."""
        while not self.ended.wait(BEAT_S):
            owner = read_claim(self.path).get("owner")
            if owner is None and self.path.exists():
                continue  # it cannot be read now: the drive is not available, or another process is writing
            if owner != self.owner:
                return self.on_lost()
            self.beats += 1
            try:
                replace_file(self.path, content(self.owner, self.beats))
            except (InputError, CannotContinueError, OSError):
                continue  # the work itself will report it; without beats another process may take over


class Claims:
    """The claims in a folder, as one process sees them over time."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.now = folder, now
        self.owner = uuid.uuid4().hex
        self.seen: dict[
            str, tuple[str, float]
        ] = {}  # of each claim of others: its text, and the time since which it has not changed

    def take(self, name: str, on_lost: Callable[[], None]) -> Claim | None:
        """The claim of that name, or None if another owner is alive. Raises as `atomic_files.writing`."""
        path = self.folder / f"{name}.json"
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                return self.take_over(name, path, on_lost)
            with os.fdopen(descriptor, "w") as file:
                file.write(content(self.owner, 0))
        return Claim(path, self.owner, on_lost)

    def take_over(self, name: str, path: Path, on_lost: Callable[[], None]) -> Claim | None:
        """The claim of an owner that has ended. Of several processes that try, the last to write has it."""
        if not self.has_ended(name, path):
            return None
        try:
            replace_file(path, content(self.owner, 0))
        except FileNotFoundError:  # another process was faster
            return None
        time.sleep(SETTLE_S)
        return Claim(path, self.owner, on_lost) if read_claim(path).get("owner") == self.owner else None

    def has_ended(self, name: str, path: Path) -> bool:
        """Whether the owner's process has ended, or its claim has not changed for STALE_S."""
        found = read_claim(path)
        if found.get("machine") == machine() and isinstance(found.get("pid"), int) and not is_alive(found["pid"]):
            return True
        text = json.dumps(found)
        before = self.seen.get(name)
        if before is None or before[0] != text:
            self.seen[name] = (text, self.now())
            return False
        return self.now() - before[1] >= STALE_S


def content(owner: str, beats: int) -> str:
    return json.dumps({"owner": owner, "machine": machine(), "pid": os.getpid(), "beats": beats}) + "\n"


def read_claim(path: Path) -> dict[str, Any]:
    """The contents of a claim; empty if it is removed or just being written."""
    try:
        found = json.loads(ordinary_bytes(path))
    except (InputError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is running; one that has ended and was not waited for yet is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):  # not Linux, or it has ended meanwhile
        return True
