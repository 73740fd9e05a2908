"""Three named splits, always: `train` for weights, `val` for the architecture, `test` for the last word.

Every split is a function of the images' order and a seed, drawn by a generator whose stream is fixed for good
(numpy's RandomState), so that a split is the same on every machine and with every version.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dartboard.data.augmentation import sent
from dartboard.data.decoding import ValueRange
from dartboard.data.scans import digests
from dartboard.data.streaming import FileImages
from dartboard.errors import InputError

TEST_SHARE = 0.2  # of a data set that has no test images of its own
NEARLY_NOTHING = 0.02  # a standard deviation of pixels in [0, 1] below which little can be seen
PIECE = 1024  # images that are compared or resized at once
Indices = NDArray[np.int64]
Images = Tensor | FileImages  # both are indexed by a tensor of numbers, and have a shape and a device


@dataclass(frozen=True)
class Split:
    """images: (N, C, H, W) uint8, in memory or in their files; labels: (N,) int64."""

    images: Images
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """The same split with its tensors on `device`."""
        return Split(self.images.to(device), self.labels.to(device))

    def pick(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and labels (B,) at `index`: (B,) int64 of the host, for which a GPU is not waited for."""
        there = sent(index, self.labels.device)
        return self.images[index if isinstance(self.images, FileImages) else there], self.labels[there]

    def ahead(self, order: Iterable[Tensor]) -> None:
        """A hint of the batches to come, as index tensors in order: images in files are read before they are asked for.

        Nothing happens, and `order` is not read, if the images are in memory.
        """
        if isinstance(self.images, FileImages):
            self.images.ahead(order)


@dataclass(frozen=True)
class Data:
    """One data set, divided. mean, std: of each channel, of pixels in [0, 1].

    fingerprint: SHA-256 over the three splits and the class names; notes: what a person should know about this data;
    value_range: what became 0 and 255 in images of more than 8 bits; None if there are none to train on.
    """

    name: str
    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    value_range: ValueRange | None = None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def channels(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width in pixels; the images are square."""
        return int(self.train.images.shape[2])

    def train_and_val(self) -> Split:
        """The images that a training from scratch may see: train, then val."""
        one, other = self.train.images, self.val.images
        if isinstance(one, FileImages) and isinstance(other, FileImages):
            images: Images = one.join(other)
        else:
            images = torch.cat([one[:], other[:]])
        return Split(images, torch.cat([self.train.labels, self.val.labels]))

    def to(self, device: torch.device | str) -> "Data":
        """The same data with all three splits on `device`."""
        return replace(self, train=self.train.to(device), val=self.val.to(device), test=self.test.to(device))


@dataclass(frozen=True)
class Collection:
    """A data set as it was read, before it is divided. val and test: None if the source has none of its own.

    mean, std: published constants, or None to compute them. lenient: a class that is too rare to be in every split
    is a note and not an error (small files in the layout of a data set whose classes are fixed). by_image: the
    fingerprint is made of a digest of each image, so that it is the same for images in memory and in files.
    value_range: as in Data.
    """

    name: str
    train: Split
    class_names: tuple[str, ...]
    val: Split | None = None
    test: Split | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()
    lenient: bool = False
    by_image: bool = False
    value_range: ValueRange | None = None


def divide(
    collection: Collection, *, seed: int, val_fraction: float, official_split: bool, max_images: int | None
) -> Data:
    """The three splits of a collection. Raises InputError for a split that would be empty or miss a class."""
    check_options(collection, val_fraction, official_split, max_images)
    collection = with_test(collection)
    pool, val, test, notes = collection.train, collection.val, collection.test, list(collection.notes)
    assert test is not None
    num_pool = len(pool) + (len(val) if val else 0)
    before = torch.cat([pool.labels, val.labels] if val else [pool.labels]).numpy()
    if max_images is not None and max_images >= num_pool:
        notes.append(f"max_images {max_images} is at least the number of training images, {num_pool}; all are used")
    elif max_images is not None:
        pool, val = limit(pool, val, max_images)
    if val is None and official_split:
        pool, val = cut(pool, *halves(len(pool), val_fraction))
    elif val is None:
        pool, val = cut(pool, *stratified(pool.labels.numpy(), val_fraction, random_state(seed, "val")))
    notes += check_classes(collection, before, {"train": pool, "val": val, "test": test}, max_images)
    mean, std = collection.mean, collection.std
    if mean is None or std is None:
        mean, std = mean_and_std(pool.images)
        notes += alike(pool.images, std)
    mark = fingerprint((pool, val, test), collection.class_names, collection.by_image)
    names, value_range = collection.class_names, collection.value_range
    return Data(collection.name, pool, val, test, names, mean, std, mark, tuple(notes), value_range)


def with_test(collection: Collection) -> Collection:
    """The collection with test images: its own, or TEST_SHARE of every class, always the same ones."""
    if collection.test is not None:
        return collection
    train, test = cut(collection.train, *held_out(collection.train.labels.numpy()))
    return replace(collection, train=train, test=test)


def held_out(labels: NDArray[Any]) -> tuple[Indices, Indices]:
    """(rest, test): sorted indices, with TEST_SHARE of every class set aside, always the same ones."""
    return stratified(labels, TEST_SHARE, random_state(0, "test"))


def check_options(collection: Collection, val_fraction: float, official_split: bool, max_images: int | None) -> None:
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction is {val_fraction}; give a share of the training images between 0 and 1")
    if max_images is not None and max_images < 2:
        raise InputError(f"max_images is {max_images}; give at least 2 (train and val need images)")
    if official_split and collection.val is not None:
        raise InputError("the data has its own val images, so there are no halves to take")


def random_state(seed: int, purpose: str) -> np.random.RandomState:
    """A generator for one purpose, a function of (seed, purpose) alone."""
    words = np.frombuffer(hashlib.sha256(f"dartboard/{seed}/{purpose}".encode()).digest(), "<u4")
    return np.random.RandomState(words.astype(np.uint32))


def quotas(counts: NDArray[Any], total: int) -> Indices:
    """How many of each class to take so that `total` are taken in proportion to `counts` (largest remainder)."""
    exact = counts.astype(np.float64) * total / counts.sum()
    whole: Indices = np.floor(exact).astype(np.int64)
    rest = np.argsort(whole - exact, kind="stable")[: total - whole.sum()]
    whole[rest] += 1
    return whole


def stratified(labels: NDArray[Any], share: float, rng: np.random.RandomState) -> tuple[Indices, Indices]:
    """(rest, chosen): sorted indices, with `share` of every class chosen at random."""
    counts = np.bincount(labels)
    take = quotas(counts, round(len(labels) * share))
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(take)]
    indices = np.sort(np.concatenate(chosen)).astype(np.int64)
    rest = np.flatnonzero(~np.isin(np.arange(len(labels)), indices))
    return rest.astype(np.int64), indices


def halves(num_images: int, val_fraction: float) -> tuple[Indices, Indices]:
    """(first, rest) by index, as the official code: the first floor((1 - val_fraction) N) images are `train`."""
    indices = np.arange(num_images)
    middle = int(np.floor((1 - val_fraction) * num_images))
    return indices[:middle], indices[middle:]


def cut(split: Split, first: Indices, second: Indices) -> tuple[Split, Split]:
    return picked(split, first), picked(split, second)


def picked(split: Split, index: Indices) -> Split:
    """The images and labels at `index`."""
    where, images = torch.from_numpy(index), split.images
    return Split(images.take(index) if isinstance(images, FileImages) else images[where], split.labels[where])


def limit(pool: Split, val: Split | None, max_images: int) -> tuple[Split, Split | None]:
    """The first images of every class, `max_images` of train and val together, in proportion to the classes."""
    if val is None:
        return first_of_each_class(pool, max_images), None
    share = round(max_images * len(pool) / (len(pool) + len(val)))
    num_train = min(max(share, 1), max_images - 1)
    return first_of_each_class(pool, num_train), first_of_each_class(val, max_images - num_train)


def first_of_each_class(split: Split, total: int) -> Split:
    labels = split.labels.numpy()
    take = quotas(np.bincount(labels), min(total, len(labels)))
    indices = np.sort(np.concatenate([np.flatnonzero(labels == c)[:n] for c, n in enumerate(take)]))
    return picked(split, indices)


def check_classes(
    collection: Collection, pool: NDArray[Any], splits: dict[str, Split], max_images: int | None
) -> list[str]:
    """Notes on classes that are missing in a split, for a lenient collection. Raises InputError otherwise."""
    notes = []
    for name, split in splits.items():
        if not len(split):
            raise InputError(f"{collection.name}: no image is left for {name}; give more images")
        missing = np.setdiff1d(np.arange(len(collection.class_names)), split.labels.numpy())
        if not len(missing):
            continue
        some = ", ".join(repr(collection.class_names[c]) for c in missing[:3]) + (", ..." if len(missing) > 3 else "")
        num_classes = len(collection.class_names)
        text = f"{collection.name}: {name} has no image of {len(missing)} of {num_classes} classes ({some})"
        enough = np.bincount(pool, minlength=num_classes)[missing] >= 2
        if name != "test" and max_images is not None and enough.any():
            raise InputError(f"{text}; max_images {max_images} is too few for the number of classes")
        if not collection.lenient:
            raise InputError(f"{text}; every split needs every class: add images or leave the class out")
        notes.append(text)
    return notes


def mean_and_std(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of pixels in [0, 1], exact from sums. images: (N, C, H, W) uint8.

    A channel that is the same everywhere gets 1 as its standard deviation.
    """
    number = len(images) * images.shape[2] * images.shape[3]
    means, stds = [], []
    for total, squares in channel_sums(images):
        means.append(total / (255 * number))
        stds.append(math.sqrt(number * squares - total * total) / (255 * number) or 1.0)
    return tuple(means), tuple(stds)


def alike(images: Images, std: tuple[float, ...]) -> list[str]:
    """A note if images (N, C, H, W) differ little or not at all. std: of each channel, as `mean_and_std` has it."""
    if all_the_same(images):
        return [f"all {len(images):,} train images are the same, so there is nothing to learn; check the files"]
    if all_of_one_colour(images):
        return ["every train image is of one colour throughout; check the files"]
    spread = max(0.0 if value == 1.0 else value for value in std)
    if spread < NEARLY_NOTHING:
        text = f"the train images have nearly one value (standard deviation {255 * spread:.1f} of 255)"
        return [f"{text}, so there is little to learn; check the files"]
    return []


def all_the_same(images: Images) -> bool:
    if isinstance(images, FileImages):
        return bool((images.scan.digests == images.scan.digests[:1]).all())
    return all(bool((piece == images[:1]).all()) for piece in pieces(images))


def all_of_one_colour(images: Images) -> bool:
    """Whether in each image each channel has one value."""
    if isinstance(images, FileImages):
        total, squares = images.scan.sums[..., 0], images.scan.sums[..., 1]
        return bool((images.size**2 * squares == total**2).all())
    return all(bool((piece == piece[..., :1, :1]).all()) for piece in pieces(images))


def pieces(images: Tensor) -> Iterator[Tensor]:
    return (images[first : first + PIECE] for first in range(0, len(images), PIECE))


def channel_sums(images: Images) -> list[tuple[int, int]]:
    """For each channel the sum of its pixels and that of their squares."""
    if isinstance(images, FileImages):
        return [(int(total), int(squares)) for total, squares in images.scan.sums.sum(0)]
    values, found = np.arange(256), []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).numpy()
        found.append((int(counts @ values), int(counts @ values**2)))
    return found


def fingerprint(splits: Sequence[Split], class_names: Sequence[str], by_image: bool = False) -> str:
    """SHA-256, as hexadecimal text, over every image and label in order, with the shapes and the class names.

    by_image: over a digest of each image in place of its pixels.
    """
    found = hashlib.sha256(repr(tuple(class_names)).encode())
    for split in splits:
        found.update(repr(tuple(split.images.shape)).encode())
        if isinstance(split.images, FileImages):
            found.update(np.ascontiguousarray(split.images.scan.digests).data)
        else:
            pixels = split.images.contiguous().numpy()
            found.update(digests(pixels).data if by_image else pixels.data)
        found.update(split.labels.numpy().astype("<i8").tobytes())
    return found.hexdigest()
