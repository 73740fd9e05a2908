"""Other data made of a collection: turned or inverted images, fewer classes, another size. Deterministic, no seed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard.data.splits import PIECE, Collection, Split, picked, random_state
from dartboard.data.streaming import FileImages
from dartboard.errors import InputError


def inverted(collection: Collection, name: str) -> Collection:
    """Every pixel p becomes 255 - p."""
    return changed(collection, name, lambda images: 255 - images)


def rotated(collection: Collection, name: str) -> Collection:
    """Every image turned by a quarter, counterclockwise."""
    return changed(collection, name, lambda images: torch.rot90(images, 1, (2, 3)).contiguous())


def resized(collection: Collection, size: int) -> Collection:
    """Images (N, C, size, size): the mean over the pixels that fall together, or, enlarged, bilinear between them."""
    old = collection.train.images.shape[-1]

    def resize(images: Tensor) -> Tensor:
        how = {"mode": "area"} if size < old else {"mode": "bilinear", "align_corners": False}
        starts = range(0, len(images), PIECE)
        pieces = [F.interpolate(images[at : at + PIECE].float(), size=(size, size), **how) for at in starts]
        return torch.cat([piece.round().clamp(0, 255).to(torch.uint8) for piece in pieces])

    note = f"{collection.name} images are resized from {old}x{old} to {size}x{size}"
    return replace(changed(collection, collection.name, resize), notes=(*collection.notes, note))


def fewer_classes(collection: Collection, number: int) -> Collection:
    """`number` of the classes, always the same ones: the first of an order that is drawn once for all.

    Raises InputError unless there are more than that.
    """
    total = len(collection.class_names)
    if number > total:
        raise InputError(f"--max-classes {number} is more than the {total} classes of {collection.name}")
    kept = np.sort(random_state(0, "classes").permutation(total)[:number])
    new = torch.full((total,), -1)
    new[torch.from_numpy(kept)] = torch.arange(number)

    def only(split: Split) -> Split:
        left = picked(split, np.flatnonzero(np.isin(split.labels.numpy(), kept)).astype(np.int64))
        return Split(left.images, new[left.labels])

    names = tuple(collection.class_names[index] for index in kept)
    return replace(mapped(collection, only), class_names=names, mean=None, std=None)


def changed(collection: Collection, name: str, change: Callable[[Tensor], Tensor]) -> Collection:
    """The collection with other images under the same labels; statistics of its pixels must be computed again."""

    def one(split: Split) -> Split:
        if isinstance(split.images, FileImages):
            raise InputError(f"{collection.name} is read from its files batch by batch; that cannot be changed")
        return Split(change(split.images), split.labels)

    return replace(mapped(collection, one), name=name, mean=None, std=None)


def mapped(collection: Collection, one: Callable[[Split], Split]) -> Collection:
    val, test = (None if split is None else one(split) for split in (collection.val, collection.test))
    return replace(collection, train=one(collection.train), val=val, test=test)
