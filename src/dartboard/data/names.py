"""The data sets that have a name, each with its source. Needs no torch."""

from pathlib import Path

from dartboard.errors import InputError, unknown
from dartboard.paths import expanded

NAMES: dict[str, str] = {
    "digits": "1,797 handwritten digits, 8x8, 10 classes, shipped here (Alpaydin, Kaynak, UCI 1998, CC BY 4.0)",
    "digits-inverted": "digits with every pixel p turned into 255 - p",
    "digits-rotated": "digits turned by a quarter, counterclockwise",
    "cifar10": "60,000 photographs, 32x32, 10 classes (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html)",
    "cifar100": "60,000 photographs, 32x32, 100 classes (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html)",
    "images:DIR": "your own images: a folder of class folders of JPEG, PNG or WebP files",
}
FOLDER_PREFIX = "images:"


def check_name(source: str) -> tuple[str, str]:
    """(a name without a folder, "") or ("images", folder).

    Raises InputError for another name (the nearest one is named) and for a folder that is not given or not there.
    """
    if source in NAMES and source != "images:DIR":
        return source, ""
    if source == FOLDER_PREFIX.rstrip(":") or source.strip() == FOLDER_PREFIX:
        raise InputError("'images:' names no folder; give one that holds a folder for each class, as in images:DIR")
    if not source.startswith(FOLDER_PREFIX):
        raise unknown("data set", source, NAMES)
    folder = source.removeprefix(FOLDER_PREFIX)
    if not is_folder(expanded(folder)):
        raise InputError(f"{folder!r} is no folder; images:DIR needs a folder that holds a folder for each class")
    return "images", folder


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or with a NUL
        return False
