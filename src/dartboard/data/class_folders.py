"""The contents of a folder: images, recognised by their content, and folders of images. Needs no torch.

Hidden files and folders, and folders of thumbnails and of deleted files that storage systems make, are passed over.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dartboard.data.decoding import holds_image
from dartboard.data.split_names import SplitName, split_name

# Files of these names are images, broken ones if they cannot be read; of others the content is looked at.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
OTHER_SUFFIXES = (".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jfif", ".jpe", ".jp2")
HIDDEN = (".", "@")
OF_STORAGE = ("__macosx", "#recycle", "$recycle.bin", "lost+found")
NAMED = 3  # folders and kinds of files that a note names


@dataclass(frozen=True)
class Folder:
    """A folder that holds images. name: what its name says of a split; flat: images lie in it, not only in folders
    below; inner: the names of its folders that hold images, () if it is flat."""

    path: Path
    name: SplitName | None
    flat: bool
    inner: tuple[str, ...]


def look(path: Path) -> Folder | None:
    """None if there is no image below the folder."""
    if holds_images_itself(path):
        return Folder(path, split_name(path.name), True, ())
    inner = tuple(below.name for below in subfolders(path) if holds_images(below))
    return Folder(path, split_name(path.name), False, inner) if inner else None


def holds_images_itself(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(is_image(entry) for entry in entries)


def holds_images(folder: Path) -> bool:
    return next(walk(str(folder), set()), None) is not None


def subfolders(folder: Path) -> list[Path]:
    """Sorted by name, hidden ones left out."""
    paths = [path for path in folder.iterdir() if not path.name.startswith("__") and is_open(path.name)]
    return sorted((path for path in paths if path.is_dir()), key=lambda path: path.name)


def is_open(name: str) -> bool:
    """Whether a folder of this name is entered."""
    return not name.startswith(HIDDEN) and name.lower() not in OF_STORAGE


def is_image(path: Path | os.DirEntry[str]) -> bool:
    """Whether it is a file with the name or, if its name says nothing, the content of an image."""
    if path.name.startswith("."):
        return False
    named = path.name.lower().endswith((*SUFFIXES, *OTHER_SUFFIXES))
    if isinstance(path, Path) or path.is_symlink():
        path = Path(path)
    return path.is_file() and (named or holds_image(os.fspath(path)))


def walk(folder: str, visited: set[tuple[int, int]], others: Counter[str] | None = None) -> Iterator[str]:
    """The path of every image below `folder`; a folder that links lead to twice is entered once.

    others: counts the files that are not images, by the endings of their names.
    """
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image(entry):
                yield entry.path
            elif entry.name.startswith("."):
                continue
            elif Path(entry.path).is_dir():  # a link to itself is none
                if is_open(entry.name):
                    yield from walk(entry.path, visited, others)
            elif others is not None:
                others[os.path.splitext(entry.name)[1].lower()[:12]] += 1


def files_in_words(others: Counter[str]) -> str:
    """20 .txt, 3 .npy, 1 without an ending."""
    kinds = [f"{number:,} {shown(ending) or 'without an ending'}" for ending, number in others.most_common(NAMED + 2)]
    return ", ".join(kinds) + (", ..." if len(others) > NAMED + 2 else "")


def names_in_words(names: list[str] | tuple[str, ...]) -> str:
    """The first names."""
    return ", ".join(shown(name) for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def printable(name: str) -> str:
    """The name on one line, with escapes for letters that cannot be shown or written."""
    return name if name.isprintable() else repr(name)


def shown(name: str) -> str:
    """A name on one line, of few characters."""
    plain = printable(name)
    return plain if len(plain) <= 40 else plain[:37] + "..."
