"""What a trained network is scored on: the test split of what it learned from, or a folder that it never saw.

The classes of the data are matched with those of the network by their names.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dartboard.config import Setup
from dartboard.data.class_folders import holds_images
from dartboard.data.decoding import ValueRange
from dartboard.data.folders import (
    ALONE,
    DEFAULT_SIZE,
    MAX_BROKEN_SHARE,
    MAX_SIZE,
    MIN_SIZE,
    Listing,
    list_images,
    list_splits,
    read_splits,
    split_folders,
    subfolders,
)
from dartboard.data.names import FOLDER_PREFIX
from dartboard.data.sources import free_for, load_setup
from dartboard.data.splits import Data, Split, mean_and_std
from dartboard.errors import InputError
from dartboard.paths import expanded
from dartboard.spaces.search_space import quote

OWN_TEST, TEST = "test split of what it learned from", "test split"
DIVISION = ("seed", "max_images", "max_classes")  # the fields of a Setup that divide a folder
TEST_FOLDER, WHOLE = "test images of the folder", "whole folder"


@dataclass(frozen=True)
class LearnedFrom:
    """Enough to know a network's data again. fingerprint: that of Data; images: of all three splits together.

    The others: how the data was divided, as in Setup; val_fraction: share of val in train and val together.
    """

    fingerprint: str
    images: int
    val_fraction: float = 0.5
    seed: int = 0
    max_images: int | None = None
    max_classes: int | None = None

    def options(self) -> dict[str, Any]:
        """The fields of a Setup that divide the data in the same way."""
        return {name: getattr(self, name) for name in DIVISION}


@dataclass(frozen=True)
class Scored:
    """Images to score a network on. part: which part of the data they are; labels: numbers of class_names.

    mean, std: of the data's training images, or of these if there are none, for a network that knows no others.
    """

    name: str
    part: str
    split: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()


def test_split(data: Data, part: str = TEST) -> Scored:
    return Scored(data.name, part, data.test, data.class_names, data.mean, data.std, data.notes)


# --- The data a network learned from ---------------------------------------------------------------------------------


def load_same(setup: Setup, learned: LearnedFrom, class_names: Sequence[str], image_size: int) -> Scored | None:
    """The test split of the folder of a setup, if that is what the network learned from; else None.

    setup: which divides the data as for the training (`LearnedFrom.options`), with the image size to score at;
    class_names, image_size: those of the training.
    """
    then, share = replace(setup, image_size=image_size), learned.val_fraction
    try:
        may_be = may_be_same(folder_of(setup), learned, class_names)
        data = load_setup(then, val_fraction=share) if may_be else None
    except (InputError, OSError):  # what cannot be learned from is not what was learned from; it may still be scored
        return None
    if data is None or data.fingerprint != learned.fingerprint:
        return None
    return test_split(data if then == setup else load_setup(setup, val_fraction=share), OWN_TEST)


def may_be_same(root: Path, learned: LearnedFrom, class_names: Sequence[str]) -> bool:
    """Whether names of classes and number of files leave it open: most other folders differ, and are not read."""
    names, listings = list_splits(root)
    count = sum(len(listing.files) for listing in listings.values())
    if learned.max_images is not None or learned.max_classes is not None:
        return set(class_names) <= set(names) and learned.images <= count
    return tuple(class_names) == names and (1 - MAX_BROKEN_SHARE) * count <= learned.images <= count


# --- Another folder --------------------------------------------------------------------------------------------------


def load_other(setup: Setup, *, normalised: bool, value_range: ValueRange | None = None) -> Scored:
    """The folder of a setup: its test images if it has such, else all of its images. One class is enough.

    normalised: whether the network knows by what mean and standard deviation; else those of the folder's training
    images are found, or if it has no test images, of all; value_range: of the training's images of more than 8
    bits, as in `load_data`; if neither is known, that of the images themselves. Raises InputError for folders
    without images, and if more than 5 % of them are broken.
    """
    root = folder_of(setup)
    try:
        if not normalised and {"train", "test"} <= split_folders(root).keys():
            return test_split(load_setup(setup, value_range), TEST_FOLDER)
        part, class_names, listing = list_scored(root)
        # The one place where a folder to be scored is read.
        name = "test" if normalised else ALONE
        splits, notes, _ = read_splits(
            root, {name: listing}, size_of(setup), setup.stream, free_for(setup), value_range
        )
    except OSError as error:
        raise InputError(f"cannot read {error.filename or root}: {error.strerror or error}") from error
    mean, std = mean_and_std(splits[name].images)
    return Scored(setup.data, part, splits[name], class_names, mean, std, notes)


def folder_of(setup: Setup) -> Path:
    return expanded(setup.data.removeprefix(FOLDER_PREFIX))


def size_of(setup: Setup) -> int:
    """Height and width in pixels to which images are resized. Raises InputError for one out of range."""
    size = DEFAULT_SIZE if setup.image_size is None else setup.image_size
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"image_size is {size}; give {MIN_SIZE} to {MAX_SIZE} pixels")
    return size


def list_scored(root: Path) -> tuple[str, tuple[str, ...], Listing]:
    """(which part, names of the classes that are there, files of that part)."""
    folders = split_folders(root)
    if "test" in folders:
        part, places = TEST_FOLDER, [class_folders(folders["test"])]
    else:
        beside = [path for path in class_folders(root) if path not in folders.values()]
        part, places = WHOLE, [beside, *(class_folders(folder) for folder in folders.values())]
    class_names = tuple(sorted({path.name for paths in places for path in paths}))
    if not class_names:
        raise InputError(f"{root} has no class folders; give a folder with one folder for each class")
    listings = [list_images({path.name: path for path in paths}, class_names) for paths in places]
    files = tuple(file for listing in listings for file in listing.files)
    return part, class_names, Listing(files, tuple(label for listing in listings for label in listing.labels))


def class_folders(folder: Path) -> list[Path]:
    """The folders below that hold images; others, such as weights/ or an empty class, are passed over."""
    return [path for path in subfolders(folder) if holds_images(path)]


# --- Classes by name -------------------------------------------------------------------------------------------------


def matched(scored: Scored, known: Sequence[str], origin: str) -> Scored:
    """The same images with labels that are numbers of the known classes, by name.

    known: the network's classes, in the order of its outputs; origin: where the network is from, for the message.
    Raises InputError that names the classes that are not known.
    """
    if len(set(known)) < len(known):
        raise InputError(f"two classes of {origin} have one name: {listed(known)}; export it with a name for each")
    if unknown := [name for name in scored.class_names if name not in known]:
        text = f"{scored.name} has classes that {origin} does not have: {listed(unknown)}"
        near = {alike(name): name for name in known}
        hints = [f"{quote(name)} is {quote(near[alike(name)])} there" for name in unknown if alike(name) in near]
        hint = f" ({', '.join(hints[:3])})" if hints else ""
        raise InputError(f"{text}; it has {listed(known)}{hint}; rename them, leave them out, or give other data")
    numbers = torch.tensor([known.index(name) for name in scored.class_names])
    split = Split(scored.split.images, numbers[scored.split.labels])
    return replace(scored, split=split, class_names=tuple(known))


def alike(name: str) -> str:
    """The same text for names that differ in letter case, in spaces, or in how accents are written."""
    return unicodedata.normalize("NFKC", name).casefold().replace(" ", "_").strip("_")


def listed(names: Sequence[str], most: int = 5) -> str:
    """'cat', 'dog', ... (95 more)."""
    rest = len(names) - most
    return ", ".join(quote(name) for name in names[:most]) + (f", ... ({rest} more)" if rest > 0 else "")
