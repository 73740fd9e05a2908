"""CIFAR-10 and CIFAR-100 from the official files, in their binary and their Python layout.

A record of the binary layout is one label byte (CIFAR-100: coarse, then fine) and 3,072 pixels, channel by channel,
row by row. A file of the Python layout is a pickle of a dict with `data` (N, 3072) and a list of labels. Any positive
whole number of records is accepted.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dartboard.data.download import fetch
from dartboard.data.layouts import SETS, Cifar, Layout, check_files, find
from dartboard.data.pickles import read_pickle
from dartboard.data.splits import Collection, Split
from dartboard.errors import InputError

SIZE = 32
PIXELS = 3 * SIZE * SIZE
NUM_COARSE = 20
Records = tuple[NDArray[np.uint8], NDArray[np.int64]]  # pixels (N, 3072), labels (N,)


def load_cifar(name: str, data_dir: str | Path | None, download: bool) -> Collection:
    """The training and test images of `cifar10` or `cifar100`.

    Without `data_dir` the place is the user's cache, and missing files are downloaded there; a given folder is filled
    only with `download`. Raises InputError for missing, broken or foreign files and for a download that fails.
    """
    cifar, place = SETS[name], check_files(name, data_dir, download)
    found = find(name, place) or fetch(name, place)
    folder, layout = found
    there = [file for file in layout.train if (folder / file).is_file()]
    notes = [f"{folder / file} is not there; the other files are used" for file in layout.train if file not in there]
    train = read_files([folder / file for file in there], cifar, layout)
    test = read_files([folder / layout.test], cifar, layout)
    return Collection(
        name,
        train,
        cifar.class_names,
        test=test,
        mean=cifar.mean,
        std=cifar.std,
        notes=tuple(notes),
        lenient=True,
    )


def read_files(files: list[Path], cifar: Cifar, layout: Layout) -> Split:
    """All records of the files, in order."""
    parts = []
    for file in files:
        try:
            pixels, labels = read_binary(file, layout) if layout.label_bytes else read_python(file, layout)
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror or error}") from error
        check_labels(file, labels, len(cifar.class_names))
        parts.append((pixels, labels))
    images = np.concatenate([pixels for pixels, _ in parts]).reshape(-1, 3, SIZE, SIZE)
    return Split(torch.from_numpy(images), torch.from_numpy(np.concatenate([labels for _, labels in parts])))


def read_binary(file: Path, layout: Layout) -> Records:
    """A file of the binary layout."""
    record = layout.label_bytes + PIXELS
    size = file.stat().st_size
    if not size:
        raise InputError(f"{file} is empty; copy or download it again")
    if size % record:
        raise InputError(
            f"{file} has {size} bytes, not a whole number of {record}-byte records; copy or download it again"
        )
    records = np.fromfile(file, np.uint8).reshape(-1, record)
    if layout.label_bytes == 2:
        check_labels(file, records[:, 0].astype(np.int64), NUM_COARSE, "coarse label")
    return records[:, layout.label_bytes :], records[:, layout.label_bytes - 1].astype(np.int64)


def read_python(file: Path, layout: Layout) -> Records:
    """A file of the Python layout."""
    content = read_pickle(file)
    pixels, labels = content.get("data"), content.get(layout.label_key)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,):
        raise InputError(f"{file} has no 'data' of N x {PIXELS} bytes; copy or download it again")
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        labels = np.array([min(max(label, -1), 256) for label in labels], np.int64)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != pixels.shape[:1]:
        raise InputError(f"{file} has no {layout.label_key!r}, one whole number per image; copy or download it again")
    if not len(labels):
        raise InputError(f"{file} holds no images; copy or download it again")
    return pixels, labels.astype(np.int64)


def check_labels(file: Path, labels: NDArray[Any], num_classes: int, what: str = "label") -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise InputError(
            f"{file}: record {wrong[0]} has the {what} {labels[wrong[0]]}, and {num_classes - 1} is the highest; "
            "is it another data set's file?"
        )
