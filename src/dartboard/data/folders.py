"""images:DIR: a folder of class folders, with or without folders of its own for the splits.

DIR/cat/1.jpg  DIR/dog/2.png ...                    (and DIR/val/cat/..., DIR/test/cat/... if you like), or
DIR/train/cat/1.jpg  DIR/train/dog/2.png ...        (and DIR/val/..., DIR/test/...)
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from dartboard.data.decoding import read_into
from dartboard.data.scans import for_each, scan
from dartboard.data.splits import Collection, Images, Split, picked
from dartboard.data.streaming import FileImages
from dartboard.errors import InputError
from dartboard.headroom import free_bytes, in_words

DEFAULT_SIZE = 32
MIN_SIZE, MAX_SIZE = 4, 1024
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
MAX_BROKEN_SHARE = 0.05
STREAM_SHARE = 0.25  # of the free memory; dividing the images and joining train and val copies them
Stream = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Listing:
    """The paths of the image files of one split, by class and name, and the number of their class."""

    files: tuple[str, ...]
    labels: tuple[int, ...]


def load_folder(folder: str, image_size: int | None, stream: Stream = "auto", free: int | None = None) -> Collection:
    """The images under `folder`, each its centre square resized to (3, image_size, image_size), 32 by default.

    stream: whether they stay in their files; "auto": where they would take more than a quarter of the free memory.
    free: bytes, or None to ask the system. Either way the images, the splits and the fingerprint are the same.
    Raises InputError for folders that are no data set, and where more than 5 % of the images are broken.
    """
    size = DEFAULT_SIZE if image_size is None else image_size
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"image_size is {size}; give {MIN_SIZE} to {MAX_SIZE} pixels")
    root = Path(folder).expanduser()
    try:
        class_names, listings = list_splits(root)
        splits, notes = read_splits(root, listings, size, stream, free)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror or error}") from error
    train, val, test = splits["train"], splits.get("val"), splits.get("test")
    return Collection(f"images:{folder}", train, class_names, val, test, notes=notes, by_image=True)


def list_splits(root: Path) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """(class names, split -> its files). The classes are those of the training images."""
    folders = split_folders(root)
    beside = [path for path in subfolders(root) if path not in folders.values()]
    if "train" in folders and beside:
        raise InputError(f"{root} has train and beside it {beside[0].name}; move the class folders into train")
    classes = {path.name: path for path in (subfolders(folders["train"]) if "train" in folders else beside)}
    if len(classes) < 2:
        found = f"only one class folder, {next(iter(classes))}" if classes else "no class folders"
        raise InputError(f"{folders.get('train', root)} has {found}; it needs a folder for each of two or more classes")
    listings = {"train": list_images(classes, tuple(classes))}
    for name in ("val", "test"):
        if name in folders:
            own = {path.name: path for path in subfolders(folders[name])}
            listings[name] = list_images(own, tuple(classes))
    return tuple(classes), listings


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of `root` that are named as a split and hold no images directly (else they are classes)."""
    found: dict[str, Path] = {}
    for path in subfolders(root):
        name = SPLIT_FOLDERS.get(path.name.lower())
        if name is None or any(is_image(file) for file in path.iterdir()):
            continue
        if name in found:
            raise InputError(f"{root} has both {found[name].name} and {path.name}; keep one")
        found[name] = path
    return found


def subfolders(folder: Path) -> list[Path]:
    """Sorted by name, hidden ones left out."""
    paths = [path for path in folder.iterdir() if not path.name.startswith((".", "__")) and path.is_dir()]
    return sorted(paths, key=lambda path: path.name)


def is_image(path: Path | os.DirEntry[str]) -> bool:
    if not path.name.lower().endswith(SUFFIXES) or path.name.startswith("."):
        return False
    return path.is_file() if isinstance(path, Path) or not path.is_symlink() else Path(path.path).is_file()


def list_images(classes: dict[str, Path], class_names: tuple[str, ...]) -> Listing:
    files: list[str] = []
    labels: list[int] = []
    for name, folder in classes.items():
        if name not in class_names:
            raise InputError(f"{folder} is a class that the training images do not have; move or rename it")
        of_class = sorted(walk(str(folder), set()), key=lambda path: path.replace(os.sep, "/"))
        if not of_class:
            raise InputError(f"the class folder {folder} holds no JPEG, PNG or WebP image; add some or delete it")
        files += of_class
        labels += [class_names.index(name)] * len(of_class)
    return Listing(tuple(files), tuple(labels))


def walk(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    """The path of every image below `folder`; a folder that links lead to twice is entered once."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image(entry):
                yield entry.path
            elif not entry.name.startswith(".") and Path(entry.path).is_dir():  # a link to itself is none
                yield from walk(entry.path, visited)


def read_splits(
    root: Path, listings: dict[str, Listing], size: int, stream: Stream, free: int | None
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits without their broken images, and notes that name the broken ones."""
    files = [file for listing in listings.values() for file in listing.files]
    labels = torch.tensor([label for listing in listings.values() for label in listing.labels])
    num_bytes = len(files) * 3 * size * size
    streamed = stream == "always" or (stream == "auto" and num_bytes > STREAM_SHARE * (free or free_bytes()))
    images, reasons = stay_on_disk(files, root, size) if streamed else read_images(files, size)
    notes = check_broken(root, files, reasons)
    if streamed:
        notes += (f"{in_words(num_bytes)} of images stay on disk and are read batch by batch",)
    good, splits, start = reasons == "", {}, 0
    for name, listing in listings.items():
        index = start + np.flatnonzero(good[start : start + len(listing.files)])
        splits[name] = picked(Split(images, labels), index)
        start += len(listing.files)
    return splits, notes


def check_broken(root: Path, files: list[str], reasons: "np.typing.NDArray[np.str_]") -> tuple[str, ...]:
    """A note that names the broken images, if any. Raises InputError where there are too many."""
    numbers = np.flatnonzero(reasons != "")
    named = [f"{os.path.relpath(files[number], root)} ({reasons[number]})" for number in numbers[:3]]
    some = ", ".join(named) + (", ..." if len(numbers) > 3 else "")
    if len(numbers) > MAX_BROKEN_SHARE * len(files):
        share = f"more than {MAX_BROKEN_SHARE:.0%}"
        raise InputError(
            f"{len(numbers)} of {len(files)} images in {root} are broken, {share}: {some}; mend or delete them"
        )
    return (f"{len(numbers)} of {len(files)} images are broken and left out: {some}",) if len(numbers) else ()


def stay_on_disk(files: list[str], root: Path, size: int) -> tuple[Images, "np.typing.NDArray[np.str_]"]:
    """Images that are read when they are asked for, and for each the reason why it is broken, or ""."""
    known = scan(files, root, size)
    return FileImages(files, known, size), known.reasons


def read_images(files: list[str], size: int) -> tuple[Images, "np.typing.NDArray[np.str_]"]:
    """(N, 3, size, size) uint8, and for each image the reason why it is broken, or ""."""
    try:
        pixels = np.zeros((len(files), 3, size, size), np.uint8)
    except MemoryError as error:
        text = f"{len(files)} images of {size}x{size} do not fit into memory; give --stream always, or smaller images"
        raise InputError(text) from error
    reasons = for_each(len(files), lambda index: read_into(pixels[index], files[index]), "reading")
    return torch.from_numpy(pixels), reasons
