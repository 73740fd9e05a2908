"""CIFAR-10 and CIFAR-100 from the official files, in their binary and their Python layout.

A record of the binary layout is one label byte (CIFAR-100: coarse, then fine) and 3,072 pixels, channel by channel,
row by row. Any positive whole number of records is accepted.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dartboard.data.splits import Collection, Split
from dartboard.errors import InputError

SIZE = 32
PIXELS = 3 * SIZE * SIZE


@dataclass(frozen=True)
class Layout:
    """folder: the folder's name in the archive; train, test: its files; label_bytes: before the pixels of a record."""

    folder: str
    train: tuple[str, ...]
    test: str
    label_bytes: int


@dataclass(frozen=True)
class Cifar:
    """class_names in the order of the labels; mean, std of the training images, in [0, 1]."""

    binary: Layout
    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


CLASSES_10 = "airplane automobile bird cat deer dog frog horse ship truck"
CLASSES_100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree
wolf woman worm
"""
SETS = {
    "cifar10": Cifar(
        Layout("cifar-10-batches-bin", tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", 1),
        tuple(CLASSES_10.split()),
        (0.49139968, 0.48215827, 0.44653124),  # the constants of the official DARTS code
        (0.24703233, 0.24348505, 0.26158768),
    ),
    "cifar100": Cifar(
        Layout("cifar-100-binary", ("train.bin",), "test.bin", 2),
        tuple(CLASSES_100.split()),
        (0.5071, 0.4867, 0.4408),
        (0.2675, 0.2565, 0.2761),
    ),
}


def load_cifar(name: str, data_dir: str | Path | None, download: bool) -> Collection:
    """The training and test images of `cifar10` or `cifar100`. Raises InputError for missing or broken files."""
    cifar = SETS[name]
    folder = find(cifar.binary, cache_folder() if data_dir is None else Path(data_dir).expanduser())
    if folder is None:
        raise InputError(
            f"no {name} files in {data_dir or cache_folder()}; give --data-dir the folder that holds {cifar.binary.folder}"
        )
    train = read_files([folder / file for file in cifar.binary.train if (folder / file).exists()], cifar)
    test = read_files([folder / cifar.binary.test], cifar)
    return Collection(name, train, cifar.class_names, test=test, mean=cifar.mean, std=cifar.std, lenient=True)


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/dartboard, or ~/.cache/dartboard."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home else Path.home() / ".cache") / "dartboard"


def find(layout: Layout, place: Path) -> Path | None:
    """The folder of the layout: `place` itself or the one in it."""
    for folder in (place, place / layout.folder):
        if (folder / layout.test).is_file():
            return folder
    return None


def read_files(files: list[Path], cifar: Cifar) -> Split:
    records = np.concatenate([read_records(file, cifar.binary.label_bytes) for file in files])
    labels = records[:, cifar.binary.label_bytes - 1].astype(np.int64)
    images = np.ascontiguousarray(records[:, cifar.binary.label_bytes :]).reshape(-1, 3, SIZE, SIZE)
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def read_records(file: Path, label_bytes: int) -> NDArray[Any]:
    """(N, label_bytes + 3072) uint8."""
    return np.fromfile(file, np.uint8).reshape(-1, label_bytes + PIXELS)
