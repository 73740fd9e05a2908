"""The image files of a folder, in memory or left on disk, and the range of values of those that have more than 8 bits.

An image of more than 8 bits is read twice: its values, then, when the range of the training images is known, its
pixels. So both forms give the same pixels, and a cache of scans is of one range.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dartboard.data.decoding import SIXTEEN_BITS, ValueRange, read_into
from dartboard.data.scans import for_each, replaced, scan
from dartboard.data.splits import Images
from dartboard.data.streaming import FileImages
from dartboard.errors import InputError

Extents = NDArray[np.float64]  # (N, 2): least and greatest value; NaN for images of 8 bits and broken ones
Used = Callable[[NDArray[np.bool_]], NDArray[np.bool_]]  # which of the images that are not broken one trains on


@dataclass(frozen=True)
class Reading:
    """images: of all files, broken ones too; reasons: why an image is broken, or "", (N,) text; value_range: what
    became 0 and 255 in images of more than 8 bits; None if there are none that one trains on."""

    images: Images
    reasons: NDArray[np.str_]
    extents: Extents
    value_range: ValueRange | None


def stay_on_disk(files: Sequence[str], root: Path, size: int, given: ValueRange | None, used: Used) -> Reading:
    """Images that are read when they are asked for."""
    known = scan(files, root, size)
    value_range = given or used_range(known.extents, used(known.reasons == ""))
    deep = np.flatnonzero(has_more_bits(known.extents))
    if value_range is not None and len(deep):
        known = known.put(deep, scan([files[index] for index in deep.tolist()], root, size, value_range))
    return Reading(FileImages(files, known, size, value_range=value_range), known.reasons, known.extents, value_range)


def read_images(files: Sequence[str], size: int, given: ValueRange | None, used: Used) -> Reading:
    """Images in memory, (N, 3, size, size) uint8."""
    try:
        pixels = np.zeros((len(files), 3, size, size), np.uint8)
    except MemoryError as error:
        text = f"{len(files)} images of {size}x{size} do not fit into memory; give --stream always, or smaller images"
        raise InputError(text) from error
    extents = np.full((len(files), 2), np.nan)
    reasons = for_each(len(files), lambda at: read_into(pixels[at], files[at], None, extents[at]), "reading")
    value_range = given or used_range(extents, used(reasons == ""))
    deep = np.flatnonzero(has_more_bits(extents))
    if value_range is not None and len(deep):
        again = for_each(len(deep), lambda at: read_into(pixels[deep[at]], files[deep[at]], value_range), "scaling")
        reasons = replaced(reasons, deep, again)
    return Reading(torch.from_numpy(pixels), reasons, extents, value_range)


def has_more_bits(extents: Extents) -> NDArray[np.bool_]:
    """Which images have more than 8 bits."""
    found: NDArray[np.bool_] = ~np.isnan(extents[:, 0])
    return found


def used_range(extents: Extents, used: NDArray[np.bool_]) -> ValueRange | None:
    """The least and the greatest value of the images of more than 8 bits among those used; None if there are none.

    Whole numbers if they are.
    """
    found = extents[used & has_more_bits(extents)]
    if not len(found):
        return None
    low, high = (float(end) for end in (found[:, 0].min(), found[:, 1].max()))
    return (int(low), int(high)) if low.is_integer() and high.is_integer() else (low, high)


def range_notes(reading: Reading, whose: str) -> tuple[str, ...]:
    """What became of images of more than 8 bits, and how many have values beyond the range. whose: what range it is."""
    deep = has_more_bits(reading.extents) & (reading.reasons == "")
    number = np.count_nonzero(deep)
    if not number:
        return ()
    low, high = reading.value_range or SIXTEEN_BITS
    whose = whose if reading.value_range else "as the training images have no more than 8"
    notes = [f"{number:,} images have more than 8 bits; their values {low:g} to {high:g} become 0 to 255 ({whose})"]
    beyond = deep & ((reading.extents[:, 0] < low) | (reading.extents[:, 1] > high))
    if beyond.any():
        notes.append(f"{np.count_nonzero(beyond):,} of them have values beyond {low:g} to {high:g}, which are clipped")
    return tuple(notes)
