"""load_data: from a name, a folder, arrays or a torch Dataset to three splits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from dartboard.config import Setup
from dartboard.data.arrays import from_arrays, from_dataset, without_labels
from dartboard.data.cifar import load_cifar
from dartboard.data.decoding import ValueRange, check_range
from dartboard.data.digits import load_digits
from dartboard.data.folders import Stream, load_folder
from dartboard.data.layouts import SETS
from dartboard.data.names import check_name
from dartboard.data.splits import Collection, Data, divide, with_test
from dartboard.data.variants import fewer_classes, inverted, resized, rotated
from dartboard.devices import free_bytes, in_words, pick_device
from dartboard.errors import InputError

DIGITS = {"digits-inverted": inverted, "digits-rotated": rotated}


def load_data(
    source: Any,
    labels: Any = None,
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    download: bool = False,
    image_size: int | None = None,
    official_split: bool = False,
    max_images: int | None = None,
    max_classes: int | None = None,
    val_fraction: float = 0.5,
    test: Any = None,
    stream: Stream = "auto",
    free: int | None = None,
    value_range: ValueRange | None = None,
) -> Data:
    """One data set in three splits.

    source: "digits", "cifar10", "cifar100", "images:DIR" or a folder's path; or images with `labels` (see
        arrays.from_arrays); or a torch Dataset of (image, label).
    data_dir: where the CIFAR files are or, with `download`, are put; without it, a folder of the user's cache.
    seed: divides the training images into train and val; the test images never depend on it.
    image_size: height and width in pixels; images:DIR are resized to it (32 by default), named sets if it is given.
    official_split: train and val are the first and the last images by index, as in the official code.
    max_images: only this number of training images (train and val together), in proportion to the classes.
    max_classes: only this number of classes, always the same ones.
    val_fraction: share of the training images that becomes val, if the source has no val images of its own.
    stream: "always" leaves images:DIR in its files and reads it batch by batch, "never" holds it in memory, "auto" does
        what fits `free` bytes of memory (None: what the system says is free). The images are the same either way.
    value_range: what becomes 0 and 255 in images of more than 8 bits; None: the least and the greatest value of the
        training images. `Data.value_range` of other images brings these to the same scale.
    test: (images, labels) or a Dataset, beside arrays and Datasets; without it 20 % of the images are set aside.

    Raises InputError, one line, for whatever is wrong with the source.
    """
    check_range(value_range)
    if isinstance(source, str):
        if labels is not None or test is not None:
            raise InputError(f"labels and test are for arrays; {source[:80]!r} has its own")
        collection = named(source, data_dir, download, image_size, stream, free, value_range)
    else:
        collection = given(source, labels, test)
    collection = of_size(noted(collection, data_dir, stream), image_size, is_named=isinstance(source, str))
    if max_classes is not None:
        collection = fewer_classes(with_test(collection), max_classes)  # so no part tests on images of train
    return divide(
        collection, seed=seed, val_fraction=val_fraction, official_split=official_split, max_images=max_images
    )


def given(source: Any, labels: Any, test: Any) -> Collection:
    """The images of arrays or of a torch Dataset. Raises InputError."""
    if labels is None and isinstance(source, Dataset):
        return from_dataset(source, test)
    if labels is None:
        raise without_labels(source)
    return from_arrays(source, labels, test)


def noted(collection: Collection, data_dir: str | Path | None, stream: Stream) -> Collection:
    """The same images, with a note of each option that they make no use of."""
    unused = ["data_dir"] if data_dir is not None and collection.name not in SETS else []
    unused += ["stream"] if stream != "auto" and not collection.by_image else []
    notes = [f"{collection.name} does not use {name}" for name in unused]
    return replace(collection, notes=(*collection.notes, *notes)) if notes else collection


def of_size(collection: Collection, image_size: int | None, *, is_named: bool) -> Collection:
    """The images of that height and width; None: as they are. Raises InputError for arrays, and for want of memory."""
    size = collection.train.images.shape[-1]
    if image_size is None or image_size == size:
        return collection
    if not is_named:
        raise InputError(f"{collection.name} images are {size}x{size}; resize arrays yourself, without image_size")
    check_room(collection, image_size)
    return resized(collection, image_size)


def check_room(collection: Collection, image_size: int) -> None:
    """Raises InputError if the images, resized to that size, would not fit into the free memory."""
    splits = (collection.train, collection.val, collection.test)
    number = sum(len(split) for split in splits if split is not None)
    needed, free = number * collection.train.images.shape[1] * image_size**2, free_bytes()
    if needed > free:
        raise InputError(
            f"{number} images of {image_size}x{image_size} take {in_words(needed)}, and {in_words(free)} are free; "
            "give a smaller --image-size"
        )


def load_setup(setup: Setup, value_range: ValueRange | None = None, **others: Any) -> Data:
    """The data a setup names, streamed if they would not fit its device. Raises InputError.

    value_range, others: as in `load_data`.
    """
    return load_data(
        setup.data,
        data_dir=setup.data_dir,
        seed=setup.seed,
        download=setup.download,
        image_size=setup.image_size,
        official_split=setup.official_split,
        max_images=setup.max_images,
        max_classes=setup.max_classes,
        stream=setup.stream,
        free=free_for(setup),
        value_range=value_range,
        **others,
    )


def free_for(setup: Setup) -> int:
    """Bytes that are free for the images of a setup, here and on its device."""
    return min(free_bytes(), free_bytes(pick_device(setup.device)))


def named(
    source: str,
    data_dir: str | Path | None,
    download: bool,
    image_size: int | None,
    stream: Stream,
    free: int | None,
    value_range: ValueRange | None,
) -> Collection:
    name, folder = check_name(source)
    if name == "digits":
        return load_digits()
    if name in DIGITS:
        return DIGITS[name](load_digits(), name)
    if name == "images":
        return load_folder(folder, image_size, stream, free, value_range)
    return load_cifar(name, data_dir, download)
