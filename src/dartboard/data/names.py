"""The data sets that have a name, each with its source. Needs no torch."""

import os

from dartboard.errors import InputError, unknown
from dartboard.paths import expanded

NAMES: dict[str, str] = {
    "digits": "1,797 handwritten digits, 8x8, 10 classes, included (Alpaydin, Kaynak, UCI 1998, CC BY 4.0)",
    "digits-inverted": "digits with every pixel p turned into 255 - p",
    "digits-rotated": "digits turned by a quarter, counterclockwise",
    "cifar10": "60,000 photographs, 32x32, 10 classes (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html)",
    "cifar100": "60,000 photographs, 32x32, 100 classes (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html)",
    "images:DIR": "your own images: a folder of class folders; ./DIR and other paths mean the same",
}
FOLDER_PREFIX = "images:"
NO_DATA = "none"  # in the settings of a search that a table scores: there are no images
MAX_SHOWN = 250  # letters of a path that a message holds
SEPARATORS = tuple(mark for mark in (os.sep, os.altsep) if mark)


def check_name(source: str) -> tuple[str, str]:
    """(a name without a folder, "") or ("images", folder). A path, or a folder whose name is free, is a folder.

    Raises InputError for another name (the nearest ones are named) and for a folder that is not given or not there.
    """
    if source == NO_DATA:
        raise InputError("there are no images; only a search scored by a table (--truth) needs none; give --data")
    if source in NAMES and source != "images:DIR":
        return source, ""
    if source == FOLDER_PREFIX.rstrip(":") or source.strip() == FOLDER_PREFIX:
        raise InputError("'images:' names no folder; give one with a folder for each class, as in images:DIR")
    if not source.startswith(FOLDER_PREFIX) and not is_path(source):
        raise unknown("data set", source, NAMES)
    folder = source.removeprefix(FOLDER_PREFIX)
    short = repr(folder[:MAX_SHOWN])
    if os.path.isfile(expanded(folder)):
        raise InputError(f"{short} is a file; unpack it if it is an archive, and give the folder (images:DIR)")
    if not os.path.isdir(expanded(folder)):
        raise InputError(f"{short} is not a folder; images:DIR needs a folder with one folder for each class")
    return "images", folder


def is_path(source: str) -> bool:
    """Whether a text that is not the name of a data set is meant as a path, or is a folder or file that is there."""
    written = source.startswith("~") or source in (".", "..") or any(mark in source for mark in SEPARATORS)
    return written or os.path.isdir(source) or os.path.isfile(source)


def anchored(source: str) -> str:
    """A name as it is; a folder as images: and its absolute path. Raises InputError as `check_name`."""
    name, folder = check_name(source)
    if name != "images":
        return source
    path = expanded(folder)
    return FOLDER_PREFIX + str(path.resolve() if ".." in path.parts else path.absolute())
