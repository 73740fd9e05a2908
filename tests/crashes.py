"""A disk that is watched: every write, sync and rename below a folder is counted, can be made to fail, and tells what
a crash at that moment would leave.

What a crash leaves at worst is what was synced: of a file the content it had when it was last synced, of a folder the
names it had then. A file without a sync is empty, a name without one is gone, one that was taken away is there again.
"""

import builtins
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """The folder `root` as a disk; what is in it already counts as synced.

    before: called with the number and the name of every operation, before it is done.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.count = 0
        self.done: list[tuple[str, Path]] = []
        self.before: Callable[[int, str], None] = lambda number, name: None
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        for folder, _, files in os.walk(root):
            self.sync_names(Path(folder))
            for name in files:
                self.sync_content(Path(folder, name))
        self.open, self.fsync, self.replace, self.pwrite = builtins.open, os.fsync, os.replace, os.pwrite
        patch.setattr(builtins, "open", self.opened)
        patch.setattr(os, "fsync", self.synced)
        patch.setattr(os, "replace", self.replaced)
        patch.setattr(os, "pwrite", self.written)

    # --- What is synced ----------------------------------------------------------------------------------------------

    def sync_content(self, path: Path) -> None:
        self.contents[path.stat().st_ino] = path.read_bytes()

    def sync_names(self, folder: Path) -> None:
        self.names[folder.stat().st_ino] = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def after_a_crash(self, folder: Path) -> Path:
        """Writes what would be left into a new folder, and returns it."""
        self.restore(self.root.stat().st_ino, folder)
        return folder

    def restore(self, number: int, place: Path) -> None:
        place.mkdir()
        for name, inner in self.names.get(number, {}).items():
            if inner in self.names or inner in self.folders():
                self.restore(inner, place / name)
            else:
                (place / name).write_bytes(self.contents.get(inner, b""))

    def folders(self) -> set[int]:
        return {Path(folder).stat().st_ino for folder, _, _ in os.walk(self.root)}

    # --- What is watched ---------------------------------------------------------------------------------------------

    def note(self, name: str, path: Path) -> None:
        self.before(self.count, name)
        self.count += 1
        self.done.append((name, path))

    def path_of(self, descriptor: int) -> Path:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))

    def holds(self, path: Path) -> bool:
        return path.is_relative_to(self.root)

    def opened(self, file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        path = Path(os.path.abspath(file)) if isinstance(file, str | os.PathLike) else Path("/")
        fresh = self.holds(path) and not path.exists()
        made = self.open(file, mode, *args, **more)
        if not self.holds(path) or not set(mode) & set("wax+"):
            return made
        if fresh:  # the number of a file that is gone may be given again
            self.contents.pop(path.stat().st_ino, None)
        return Watched(self, path, made)

    def synced(self, descriptor: int) -> None:
        path = self.path_of(descriptor)
        if self.holds(path):
            self.note("sync", path)
        self.fsync(descriptor)
        if self.holds(path):
            (self.sync_names if path.is_dir() else self.sync_content)(path)

    def replaced(self, one: Any, other: Any) -> None:
        if self.holds(Path(other)):
            self.note("rename", Path(other))
        self.replace(one, other)

    def written(self, descriptor: int, *args: Any) -> int:
        path = self.path_of(descriptor)
        if self.holds(path):
            self.note("write", path)
        return self.pwrite(descriptor, *args)


class Watched:
    """A file open for writing. Where a write fails, half of it is done."""

    def __init__(self, disk: Disk, path: Path, file: Any) -> None:
        self.disk, self.path, self.file = disk, path, file

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: Any) -> int:
        try:
            self.disk.note("write", self.path)
        except OSError:
            self.file.write(data[: len(data) // 2])
            raise
        return int(self.file.write(data))


def failing(disk: Disk, number: int, errno: int) -> None:
    """Makes the operation of that number fail, and no other."""

    def fail(now: int, name: str) -> None:
        if now == number:
            disk.count += 1
            raise OSError(errno, os.strerror(errno))

    disk.before = fail
