"""What a dry run takes in place of a data set that is not here: images of its known shapes, which take no memory."""

from dataclasses import replace
from pathlib import Path

import torch

from dartboard.config import Setup
from dartboard.data.cifar import SIZE
from dartboard.data.layouts import SETS, cache_folder, check_files, find, look
from dartboard.data.splits import Collection, Data, Split, divide, with_test
from dartboard.data.variants import fewer_classes

TRAIN, TEST = 50_000, 10_000  # images of cifar10 and cifar100 alike, as many of each class
CHANNELS = 3
VAL_FRACTION = 0.5  # as load_data takes it


def is_absent(setup: Setup) -> bool:
    """Whether a setup names a data set of known shapes, and no file of it is where it would be looked for.

    Raises InputError for a given folder that holds some of its files only, as a run would.
    """
    if setup.data not in SETS:
        return False
    place = cache_folder() if setup.data_dir is None else Path(setup.data_dir)
    if setup.data_dir is not None and any(there for _, _, there in look(setup.data, place)):
        check_files(setup.data, place, setup.download)
    return find(setup.data, place) is None


def of_known_shapes(setup: Setup) -> Data:
    """The splits that the data set would have, its classes in equal parts; every image is one and the same noise.

    Raises InputError as the data set itself would: too few images for a split, a share that has no sense.
    """
    cifar = SETS[setup.data]
    pixels, others = (single_pixels(number, len(cifar.class_names)) for number in (TRAIN, TEST))
    collection = Collection(setup.data, pixels, cifar.class_names, test=others, lenient=True)
    if setup.max_classes is not None:
        collection = fewer_classes(with_test(collection), setup.max_classes)
    data = divide(
        collection,
        seed=setup.seed,
        val_fraction=VAL_FRACTION,
        official_split=setup.official_split,
        max_images=setup.max_images,
    )
    size = setup.image_size or SIZE
    noise = torch.randint(256, (1, CHANNELS, size, size), generator=torch.Generator().manual_seed(0))
    image = noise.to(torch.uint8)
    train, val, test = (
        Split(image.expand(len(one), -1, -1, -1), one.labels) for one in (data.train, data.val, data.test)
    )
    return replace(data, train=train, val=val, test=test, mean=cifar.mean, std=cifar.std)


def single_pixels(number: int, num_classes: int) -> Split:
    """`number` images of one pixel, which are divided as real ones are, with labels that cycle through the classes."""
    return Split(torch.zeros(number, 1, 1, 1, dtype=torch.uint8), torch.arange(number) % num_classes)


def bytes_to_come(data: Data) -> int:
    """Bytes that the images of a data set will take in memory, and do not take now."""
    images = [split.images for split in (data.train, data.val, data.test)]
    tensors = [one for one in images if isinstance(one, torch.Tensor)]
    return sum(max(0, one.nbytes - one.untyped_storage().nbytes()) for one in tensors)
