"""images:DIR: a folder of class folders, with or without folders of its own for the splits.

DIR/cat/1.jpg  DIR/dog/2.png ...                    (and DIR/val/cat/..., DIR/test/cat/... if you like), or
DIR/train/cat/1.jpg  DIR/train/dog/2.png ...        (and DIR/val/..., DIR/test/...)
"""

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from dartboard.data.splits import Collection, Split
from dartboard.data.waiting import waiting
from dartboard.errors import InputError

DEFAULT_SIZE = 32
MIN_SIZE, MAX_SIZE = 4, 1024
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
MAX_BROKEN_SHARE = 0.05
MAX_PIXELS = 80_000_000  # of one image; a small file can claim far more than the memory holds
MANY = 2000  # images, from which on the reading is announced


@dataclass(frozen=True)
class Listing:
    """The image files of one split, by class and name, and the number of their class."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]


def load_folder(folder: str, image_size: int | None) -> Collection:
    """The images under `folder`, each its centre square resized to (3, image_size, image_size), 32 by default.

    Raises InputError for folders that are no data set, and where more than 5 % of the images are broken.
    """
    size = DEFAULT_SIZE if image_size is None else image_size
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"image_size is {size}; give {MIN_SIZE} to {MAX_SIZE} pixels")
    root = Path(folder).expanduser()
    try:
        class_names, listings = list_splits(root)
        splits, notes = read_splits(root, listings, size)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror or error}") from error
    train = splits.pop("train")
    return Collection(f"images:{folder}", train, class_names, splits.get("val"), splits.get("test"), notes=notes)


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


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def list_images(classes: dict[str, Path], class_names: tuple[str, ...]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    for name, folder in classes.items():
        if name not in class_names:
            raise InputError(f"{folder} is a class that the training images do not have; delete or rename it")
        of_class = sorted(walk(folder, set()), key=lambda path: path.relative_to(folder).as_posix())
        if not of_class:
            raise InputError(f"the class folder {folder} holds no JPEG, PNG or WebP image; add some or delete it")
        files += of_class
        labels += [class_names.index(name)] * len(of_class)
    return Listing(tuple(files), tuple(labels))


def walk(folder: Path, visited: set[tuple[int, int]]) -> Iterator[Path]:
    """Every image below `folder`; a folder that links lead to twice is entered once."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    for path in folder.iterdir():
        if is_image(path):
            yield path
        elif not path.name.startswith(".") and path.is_dir():
            yield from walk(path, visited)


def read_splits(root: Path, listings: dict[str, Listing], size: int) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits without their broken images, and notes that name the broken ones."""
    files = [file for listing in listings.values() for file in listing.files]
    labels = torch.tensor([label for listing in listings.values() for label in listing.labels])
    images, reasons = read_images(files, size)
    broken = [f"{file.relative_to(root)} ({reason})" for file, reason in zip(files, reasons, strict=True) if reason]
    some = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
    if len(broken) > MAX_BROKEN_SHARE * len(files):
        share = f"more than {MAX_BROKEN_SHARE:.0%}"
        raise InputError(
            f"{len(broken)} of {len(files)} images in {root} are broken, {share}: {some}; mend or delete them"
        )
    good = torch.tensor([not reason for reason in reasons])
    splits, start = {}, 0
    for name, listing in listings.items():
        part = slice(start, start + len(listing.files))
        splits[name] = Split(images[part][good[part]], labels[part][good[part]])
        start = part.stop
    return splits, (f"{len(broken)} of {len(files)} images are broken and left out: {some}",) if broken else ()


def read_images(files: list[Path], size: int) -> tuple[torch.Tensor, list[str]]:
    """(N, 3, size, size) uint8, and for each image the reason why it is broken, or ""."""
    try:
        pixels = np.zeros((len(files), 3, size, size), np.uint8)
    except MemoryError as error:
        text = f"{len(files)} images of {size}x{size} do not fit into memory; give a smaller image size"
        raise InputError(text) from error
    reasons: list[str] = []
    pool = ThreadPoolExecutor(min(32, os.cpu_count() or 1))
    with warnings.catch_warnings(), announced(len(files)) as advance:
        warnings.simplefilter("ignore")
        try:
            for reason in pool.map(lambda index: read_into(pixels[index], files[index]), range(len(files))):
                reasons.append(reason)
                advance(1)
        finally:
            pool.shutdown(cancel_futures=True)
    return torch.from_numpy(pixels), reasons


def announced(num_images: int) -> AbstractContextManager[Callable[[int], None]]:
    if num_images < MANY:
        return nullcontext(lambda amount: None)
    return waiting(f"reading {num_images} images", num_images)


def read_into(pixels: NDArray[np.uint8], file: Path) -> str:
    """Fills `pixels` (3, size, size) from the file; the reason why that cannot be done, or ""."""
    try:
        pixels[:] = read_image(file, pixels.shape[-1])
    except UnidentifiedImageError:
        return "no JPEG, PNG or WebP image"
    except Exception as error:  # damaged bytes can make an image decoder raise anything; the reason is told
        return (str(error).splitlines() or [type(error).__name__])[0][:80]
    return ""


def read_image(file: Path, size: int) -> NDArray[np.uint8]:
    """(3, size, size): turned as its EXIF data say, in RGB, the centre square resized (bicubic, antialiased)."""
    with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width}x{height} pixels are too many")
        image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at a lower resolution, at least twice ours
        upright = to_rgb(ImageOps.exif_transpose(image))
    width, height = upright.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    square = upright.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    return np.asarray(square).transpose(2, 0, 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB; 16 bits become 8, and what is transparent becomes white."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
