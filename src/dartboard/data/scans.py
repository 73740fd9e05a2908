"""The results of decoding each image of a folder once: whether it is broken, its digest, its sums.

A scan is stored in the user's cache, under a key that covers names, sizes and times of the files, so that a folder is
scanned once. Digests and sums of pixels are those of the resident form, so both forms have one fingerprint, one mean.
"""

import hashlib
import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dartboard.data.decoding import FORMATS, ValueRange, read_into
from dartboard.data.layouts import cache_folder
from dartboard.data.waiting import waiting

DIGEST_BYTES = 16
MANY = 2000  # images, from which on the reading is announced


@dataclass(frozen=True)
class Scan:
    """reasons: why an image is broken, or "", (N,) text; digests: (N, 16) uint8; sums: (N, C, 2) int64, of the pixels
    of each channel and of their squares; extents: (N, 2), the least and the greatest value of an image of more than
    8 bits, before they become 8; NaN for others."""

    reasons: NDArray[np.str_]
    digests: NDArray[np.uint8]
    sums: NDArray[np.int64]
    extents: NDArray[np.float64]

    def take(self, index: NDArray[Any]) -> "Scan":
        """Of the images at `index` only."""
        return Scan(*(getattr(self, name)[index] for name in PARTS))

    def put(self, index: NDArray[Any], other: "Scan") -> "Scan":
        """With another scan of the images at `index`."""
        return Scan(*(replaced(getattr(self, name), index, getattr(other, name)) for name in PARTS))


PARTS = tuple(field.name for field in fields(Scan))


def replaced(values: NDArray[Any], index: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """A copy with other rows at `index`, wide enough for texts longer than those before."""
    found = values.astype(np.promote_types(values.dtype, others.dtype))
    found[index] = others
    return found


def joined(one: Scan, other: Scan) -> Scan:
    """Of the images of both, one after the other."""
    return Scan(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in PARTS))


def digest(pixels: NDArray[np.uint8]) -> bytes:
    """BLAKE2b over one image (C, H, W)."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=DIGEST_BYTES).digest()


def digests(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 16) of images (N, C, H, W)."""
    return np.frombuffer(b"".join(digest(image) for image in images), np.uint8).reshape(-1, DIGEST_BYTES)


def sums(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(C, 2), exact: the sum of each channel of an image (C, H, W), and the sum of its squares."""
    channels = pixels.reshape(len(pixels), -1).astype(np.int64)
    return np.stack([channels.sum(1), np.einsum("cn,cn->c", channels, channels)], axis=1)


def workers() -> int:
    """Threads that decode: as many as cores. Pillow releases Python's lock while it decodes and resizes."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(32, there))


def for_each(count: int, work: Callable[[int], str], what: str) -> NDArray[np.str_]:
    """work(0) ... work(count - 1) on all cores; what they return, in order. Announced on stderr if it takes long."""
    pool = ThreadPoolExecutor(workers())
    found: list[str] = []
    with warnings.catch_warnings(), announced(count, what) as advance:
        warnings.simplefilter("ignore")
        try:
            for first in range(0, count, MANY):  # so that no more than these wait in the pool
                for reason in pool.map(work, range(first, min(count, first + MANY))):
                    found.append(reason)
                    advance(1)
        finally:
            pool.shutdown(cancel_futures=True)
    return np.array(found, dtype=np.str_)


def announced(count: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
    return waiting(f"{what} {count} images", count) if count >= MANY else nullcontext(lambda amount: None)


def scan(files: Sequence[str], root: Path, size: int, value_range: ValueRange | None = None) -> Scan:
    """Of every file, decoded to (3, size, size); from the cache if the files are unchanged."""
    place = cache_folder() / "scans" / f"{key(files, root, size, value_range)}.npz"
    known = read_scan(place, len(files))
    if known is None:
        known = scan_files(files, size, value_range)
        write_scan(place, known)
    return known


def scan_files(files: Sequence[str], size: int, value_range: ValueRange | None = None) -> Scan:
    found_digests = np.zeros((len(files), DIGEST_BYTES), np.uint8)
    found_sums = np.zeros((len(files), 3, 2), np.int64)
    extents = np.full((len(files), 2), np.nan)

    def one(index: int) -> str:
        pixels = np.empty((3, size, size), np.uint8)
        if reason := read_into(pixels, files[index], value_range, extents[index]):
            return reason
        found_digests[index] = np.frombuffer(digest(pixels), np.uint8)
        found_sums[index] = sums(pixels)
        return ""

    return Scan(for_each(len(files), one, "checking"), found_digests, found_sums, extents)


def key(files: Sequence[str], root: Path, size: int, value_range: ValueRange | None = None) -> str:
    """SHA-256 over the image size, the range of values, the decoder's version and its formats, and the path below root,
    bytes and time of each file."""
    import PIL

    ends = None if value_range is None else tuple(float(end) for end in value_range)
    found = hashlib.sha256(f"{size}/{ends}/{PIL.__version__}/{FORMATS}".encode())
    for file in files:
        status = os.stat(file)
        line = f"\n{os.path.relpath(file, root)}\0{status.st_size}/{status.st_mtime_ns}"
        found.update(line.encode(errors="surrogateescape"))  # a name need not be UTF-8
    return found.hexdigest()


def read_scan(place: Path, count: int) -> Scan | None:
    """A scan of this number of images in the cache; None if there is none that can be read."""
    try:
        with np.load(place, allow_pickle=False) as file:
            found = Scan(*(file[name] for name in PARTS))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found if all(len(getattr(found, name)) == count for name in PARTS) else None


def write_scan(place: Path, content: Scan) -> None:
    """Stores a scan, completely or not at all; if the cache cannot be written, the next process scans again."""
    part = place.with_suffix(f".{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            np.savez(file, **{name: getattr(content, name) for name in PARTS})
        part.replace(place)
    except OSError:
        with suppress(OSError):
            part.unlink()
