"""images:DIR: a folder of class folders, with or without folders of its own for the splits.

DIR/cat/1.jpg  DIR/dog/2.png ...                    (and DIR/val/cat/..., DIR/test/cat/... if you like), or
DIR/train/cat/1.jpg  DIR/train/dog/2.png ...        (and DIR/val/..., DIR/test/...)
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from dartboard.data import misplaced
from dartboard.data.class_folders import (
    Folder,
    files_in_words,
    holds_images,
    look,
    names_in_words,
    printable,
    shown,
    walk,
)
from dartboard.data.class_folders import subfolders as subfolders
from dartboard.data.decoding import IN_WORDS, ValueRange, has_deep_colour
from dartboard.data.image_files import range_notes, read_images, stay_on_disk
from dartboard.data.split_names import PLAIN, WORDS
from dartboard.data.splits import Collection, Split, held_out, picked
from dartboard.devices import free_bytes, in_words
from dartboard.errors import InputError
from dartboard.paths import expanded

DEFAULT_SIZE = 32
MIN_SIZE, MAX_SIZE = 4, 1024
MAX_BROKEN_SHARE = 0.05
LOOKED_AT = 200  # images whose number of bits a colour is looked at
ALONE = "alone"  # no split
STREAM_SHARE = 0.25  # of the free memory; dividing the images and joining train and val copies them
Stream = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Listing:
    """The paths of the image files of one split, by class and name, and the number of their class.

    others: how many other files there are, by the endings of their names; notes: what a person should know.
    """

    files: tuple[str, ...]
    labels: tuple[int, ...]
    others: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()


def load_folder(
    folder: str,
    image_size: int | None,
    stream: Stream = "auto",
    free: int | None = None,
    value_range: ValueRange | None = None,
) -> Collection:
    """The images under `folder`, each its centre square resized to (3, image_size, image_size), 32 by default.

    stream: whether they stay in their files; "auto": if they would take more than a quarter of the free memory.
    free: bytes, or None to ask the system. Either way the images, the splits and the fingerprint are the same.
    value_range: what becomes 0 and 255 in images of more than 8 bits; None: the range that the training images use.
    Raises InputError for folders that are not a data set, and if more than 5 % of the images are broken.
    """
    size = DEFAULT_SIZE if image_size is None else image_size
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"image_size is {size}; give {MIN_SIZE} to {MAX_SIZE} pixels")
    root = expanded(folder)
    try:
        class_names, listings = list_splits(root)
        splits, notes, value_range = read_splits(root, listings, size, stream, free, value_range)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror or error}") from error
    train, val, test = splits["train"], splits.get("val"), splits.get("test")
    name = f"images:{folder}"
    return Collection(name, train, class_names, val, test, notes=notes, by_image=True, value_range=value_range)


def list_splits(root: Path) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """(class names, split -> its files). The classes are those of the training images. Raises InputError."""
    there = [found for path in subfolders(root) if (found := look(path))]
    folders = splits_among(root, there)
    misplaced.check_unsorted(root, there, folders)
    beside = [one for one in there if one.path not in folders.values()]
    misplaced.check_train(root, folders, beside)
    if "train" in folders:
        misplaced.check_beside(root, folders["train"], beside)
        classes = [found for path in subfolders(folders["train"]) if (found := look(path))]
    else:
        classes = beside
    misplaced.check_number(root, folders.get("train", root), classes)
    misplaced.check_same_inside(folders.get("train", root), classes)
    names = tuple(one.path.name for one in classes)
    listings = {"train": list_images({one.path.name: one.path for one in classes}, names)}
    for split in ("val", "test"):
        if split in folders:
            listings[split] = list_split(root, folders[split], names)
    notes = (*renamed(folders), *left_out(root, there, folders))
    return names, {**listings, "train": replace(listings["train"], notes=notes)}


def list_split(root: Path, folder: Path, class_names: tuple[str, ...]) -> Listing:
    """The images of val or test. Raises InputError if it has no class folders, or a class that train lacks."""
    inner = [found for path in subfolders(folder) if (found := look(path))]
    if inner and not {one.path.name for one in inner} & set(class_names):
        held = f"holds {names_in_words([one.path.name for one in inner])} and no folder of the classes of train"
        raise misplaced.unsorted(root, folder, f"{held} ({names_in_words(class_names)})")
    return list_images({one.path.name: one.path for one in inner}, class_names)


def split_folders(root: Path) -> dict[str, Path]:
    """split -> the folder of `root` that is it. Raises InputError for two folders of one split."""
    return splits_among(root, [found for path in subfolders(root) if (found := look(path))])


def splits_among(root: Path, there: Sequence[Folder]) -> dict[str, Path]:
    """As `split_folders`; there: the folders of `root` that hold images. One with images directly in it is none."""
    found: dict[str, Path] = {}
    for one in there:
        if one.name is None or one.flat or not (one.name.plain or fits(one, there)):
            continue
        if one.name.split in found:
            raise InputError(f"{root} has both {found[one.name.split].name} and {one.path.name}; keep one")
        found[one.name.split] = one.path
    return found


def fits(one: Folder, there: Sequence[Folder]) -> bool:
    """Whether a folder with a split's word in its name is one, by what lies beside: a split that its other words tie
    it to, and one of the two is train; nothing, of a train; or classes of the same names as its own folders."""
    others = [other for other in there if other is not one]
    kin = {other.name.split for other in others if one.name and other.name and other.name.rest == one.name.rest}
    if one.name and one.name.split == "train":
        return not others or bool(kin)
    trains = [other for other in others if other.name and other.name.split == "train" and not other.flat]
    if "train" in kin:
        return any(other.name and one.name and other.name.rest == one.name.rest for other in trains)
    return bool({other.path.name for other in others if other.flat or other.name is None} & set(one.inner))


def renamed(folders: dict[str, Path]) -> tuple[str, ...]:
    """A note of the folders whose names are not those of the splits."""
    named = sorted(folders.items(), key=lambda pair: tuple(WORDS).index(pair[0]))
    known = [f"{shown(path.name)} is {split}" for split, path in named if path.name.lower() not in PLAIN]
    return (f"by their names, {', '.join(known)}",) if known else ()


def left_out(root: Path, there: Sequence[Folder], folders: dict[str, Path]) -> tuple[str, ...]:
    """A note of the folders without images where classes or splits are looked for."""
    empty = [path for path in subfolders(root) if path not in {one.path for one in there}]
    for folder in folders.values():
        empty += [path for path in subfolders(folder) if not holds_images(path)]
    names = [os.path.relpath(path, root) for path in empty]
    if not names:
        return ()
    return (f"left out, as no image is in {'it' if len(names) == 1 else 'them'}: {names_in_words(names)}",)


def list_images(classes: dict[str, Path], class_names: tuple[str, ...]) -> Listing:
    files: list[str] = []
    labels: list[int] = []
    others: Counter[str] = Counter()
    for name, folder in classes.items():
        if name not in class_names:
            raise InputError(f"{folder} is a class that the training images do not have; move or rename it")
        of_class = sorted(walk(str(folder), set(), others), key=lambda path: path.replace(os.sep, "/"))
        if not of_class:
            raise InputError(f"the class folder {folder} holds no image ({IN_WORDS}); add some or delete it")
        files += of_class
        labels += [class_names.index(name)] * len(of_class)
    return Listing(tuple(files), tuple(labels), others)


def read_splits(
    root: Path,
    listings: dict[str, Listing],
    size: int,
    stream: Stream,
    free: int | None,
    value_range: ValueRange | None = None,
) -> tuple[dict[str, Split], tuple[str, ...], ValueRange | None]:
    """The splits without their broken images, notes that name the broken ones, and the range of values of images of
    more than 8 bits: `value_range`, or if that is None what the images one trains on use. A listing called ALONE is
    of images that are scored without any training's: then it is what they use themselves."""
    files = [file for listing in listings.values() for file in listing.files]
    labels = torch.tensor([label for listing in listings.values() for label in listing.labels])
    num_bytes = len(files) * 3 * size * size
    streamed = stream == "always" or (stream == "auto" and num_bytes > STREAM_SHARE * (free or free_bytes()))

    def used(good: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return trained_on(listings, good)

    if streamed:
        reading = stay_on_disk(files, root, size, value_range, used)
    else:
        reading = read_images(files, size, value_range, used)
    whose = "their own range" if ALONE in listings and value_range is None else "the range of the training images"
    notes = (*check_broken(root, files, reading.reasons), *listing_notes(listings), *range_notes(reading, whose))
    notes += deep_colour_notes(root, files)
    if streamed:
        notes += (f"{in_words(num_bytes)} of images stay on disk and are read batch by batch",)
    good, splits, start = reading.reasons == "", {}, 0
    for name, listing in listings.items():
        index = start + np.flatnonzero(good[start : start + len(listing.files)])
        splits[name] = picked(Split(reading.images, labels), index)
        start += len(listing.files)
    return splits, notes, reading.value_range


def listing_notes(listings: dict[str, Listing]) -> tuple[str, ...]:
    """What listing the folders found, and how many files are not images."""
    others = sum((listing.others for listing in listings.values()), Counter[str]())
    notes = tuple(note for listing in listings.values() for note in listing.notes)
    number = others.total()
    what = "1 file is not an image and is" if number == 1 else f"{number:,} files are not images and are"
    return (*notes, f"{what} skipped: {files_in_words(others)}") if number else notes


def deep_colour_notes(root: Path, files: Sequence[str]) -> tuple[str, ...]:
    """A note if one of some images, LOOKED_AT of them, evenly chosen, has 16 bits per channel in colour."""
    some = files[:: max(1, len(files) // LOOKED_AT)]
    first = next((file for file in some if has_deep_colour(file)), None)
    if first is None:
        return ()
    name = printable(os.path.relpath(first, root))
    return (
        f"images such as {name} have 16 bits per channel in colour, of which the upper 8 are read: dark images lose "
        "their detail; save them with 8 bits per channel, scaled as you need",
    )


def trained_on(listings: dict[str, Listing], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of all listed images are for training, train and val: all of theirs that are not broken, without those
    that are set aside if there is no test folder."""
    names = np.repeat(list(listings), [len(listing.files) for listing in listings.values()])
    found: NDArray[np.bool_] = good & (names != "test")
    if "test" not in listings and "train" in listings:
        mine = np.flatnonzero(good & (names == "train"))
        labels = np.array(listings["train"].labels)[mine]
        found[mine[held_out(labels)[1]]] = False
    return found


def check_broken(root: Path, files: list[str], reasons: NDArray[np.str_]) -> tuple[str, ...]:
    """A note that names the broken images, if any. Raises InputError if there are too many."""
    numbers = np.flatnonzero(reasons != "")
    named = [f"{printable(os.path.relpath(files[number], root))} ({reasons[number]})" for number in numbers[:3]]
    some = ", ".join(named) + (", ..." if len(numbers) > 3 else "")
    if len(numbers) > MAX_BROKEN_SHARE * len(files):
        share = f"more than {MAX_BROKEN_SHARE:.0%}"
        raise InputError(
            f"{len(numbers)} of {len(files)} images in {root} are broken, {share}: {some}; repair or delete them"
        )
    return (f"{len(numbers)} of {len(files)} images are broken and left out: {some}",) if len(numbers) else ()
