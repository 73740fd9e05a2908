"""Where the official CIFAR files are: their layouts, archives and places. Needs no torch.

A layout is found in the folder that is given or in the layout's own folder inside it.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dartboard.errors import InputError
from dartboard.paths import expanded


@dataclass(frozen=True)
class Layout:
    """folder: its name in the archive; train, test: its files; label_bytes: before the pixels of a binary record."""

    folder: str
    train: tuple[str, ...]
    test: str
    label_bytes: int = 0
    label_key: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test)


@dataclass(frozen=True)
class Archive:
    """An official archive of the binary layout; others: files in it that are nice to have, such as class names."""

    file: str
    md5: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Cifar:
    """class_names in the order of the labels; mean, std of the training images' pixels in [0, 1]."""

    binary: Layout
    python: Layout
    archive: Archive
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
        Layout("cifar-10-batches-py", tuple(f"data_batch_{i}" for i in range(1, 6)), "test_batch", 0, "labels"),
        Archive("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", ("batches.meta.txt", "readme.html")),
        tuple(CLASSES_10.split()),
        (0.49139968, 0.48215827, 0.44653124),  # the constants of the official DARTS code
        (0.24703233, 0.24348505, 0.26158768),
    ),
    "cifar100": Cifar(
        Layout("cifar-100-binary", ("train.bin",), "test.bin", 2),
        Layout("cifar-100-python", ("train",), "test", 0, "fine_labels"),
        Archive(
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            ("fine_label_names.txt", "coarse_label_names.txt"),
        ),
        tuple(CLASSES_100.split()),
        (0.5071, 0.4867, 0.4408),
        (0.2675, 0.2565, 0.2761),
    ),
}


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/dartboard, or ~/.cache/dartboard; if there is no home, a temporary folder, with a notice."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    if home:
        return Path(home) / "dartboard"
    try:
        return Path.home() / ".cache" / "dartboard"
    except RuntimeError:  # neither $HOME nor an entry in the list of users
        return without_home()


@cache
def without_home() -> Path:
    """A folder for files that later processes use: in the temporary folder, one per user."""
    place = Path(tempfile.gettempdir()) / f"dartboard-{os.geteuid()}"
    with suppress(OSError):
        place.mkdir(mode=0o700)
    if not is_private(place):
        place = Path(tempfile.mkdtemp(prefix=f"{place.name}-"))
    note = f"this user has no home folder; files are stored in {place}; set XDG_CACHE_HOME to another folder"
    print(note, file=sys.stderr, flush=True)
    return place


def is_private(folder: Path) -> bool:
    """Whether a folder, no link to one, is of this user and of nobody else to write in."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def find(name: str, place: Path) -> tuple[Path, Layout] | None:
    """(folder, layout) of `cifar10` or `cifar100` in `place`, the binary layout first.

    None if no layout has its test file and at least one of its training files.
    """
    for folder, layout, there in look(name, place):
        if layout.test in there and len(there) > 1:
            return folder, layout
    return None


def look(name: str, place: Path) -> Iterator[tuple[Path, Layout, list[str]]]:
    """Each place where a layout may be, with the files of it that are there."""
    for layout in (SETS[name].binary, SETS[name].python):
        for folder in (place, place / layout.folder):
            yield folder, layout, [file for file in layout.files if (folder / file).is_file()]


def check_files(name: str, data_dir: str | Path | None, download: bool) -> Path:
    """The folder in which to look. Raises InputError if a given folder lacks the data and download is off."""
    place = cache_folder() if data_dir is None else expanded(data_dir)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file; --data-dir takes a folder")
    if data_dir is None or download or find(name, place) is not None:
        return place
    for folder, layout, there in look(name, place):
        if there:
            lacks = layout.train[0] if layout.test in there else layout.test
            raise InputError(f"{folder} has {there[0]} but not {lacks}; copy the missing file there, or add --download")
    layouts = f"{SETS[name].binary.folder} or {SETS[name].python.folder}"
    raise InputError(f"no {name} files in {place}; give the folder that holds {layouts}, or add --download")
