"""Images that stay in their files: a batch is decoded on all cores when it is asked for, or ahead of that.

What is read is bit for bit what the resident form holds in memory. Memory stays flat: the batches ahead, and some
200 bytes for each image.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dartboard.data.decoding import ValueRange, read_into
from dartboard.data.scans import Scan, joined, workers
from dartboard.errors import CannotContinueError

AHEAD = 3  # batches that are decoded before they are asked for


@dataclass(frozen=True)
class Batch:
    """A batch on its way. pixels: (B, 3, H, W) uint8, full when all parts are done."""

    numbers: list[int]
    pixels: Tensor
    parts: list["Future[None]"]

    def ready(self) -> Tensor:
        """The pixels, after waiting for them. Raises CannotContinueError for a file that can no longer be read."""
        for part in self.parts:
            part.result()
        return self.pixels


class FileImages:
    """(N, 3, H, W) uint8 images in files; `images[index]` is a tensor of those at `index`, on `device`.

    files: their paths; scan: what is known of them; size: height and width in pixels; value_range: what becomes 0 and
    255 in images of more than 8 bits.
    """

    def __init__(
        self,
        files: Sequence[str],
        scan: Scan,
        size: int,
        device: torch.device | str = "cpu",
        value_range: ValueRange | None = None,
    ) -> None:
        self.files, self.scan, self.size, self.value_range = files, scan, size, value_range
        self.device = torch.device(device)
        self.shape = torch.Size((len(files), 3, size, size))
        self._numbers = torch.arange(len(files))
        self._order: Iterator[Tensor] = iter(())
        self._coming: deque[Batch] = deque()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: Any) -> Tensor:
        """index: whatever indexes the first dimension of a tensor -> (..., 3, H, W) uint8 on the device."""
        picked = self._numbers[index.cpu() if isinstance(index, Tensor) else index]
        numbers = picked.flatten().tolist()
        if self._coming and self._coming[0].numbers == numbers:
            batch = self._coming.popleft()
            self._fill()
        else:
            batch = self._begin(numbers)
        pixels = batch.ready().view(*picked.shape, *self.shape[1:])
        return pixels.to(self.device, non_blocking=True)

    def ahead(self, order: Iterable[Tensor]) -> None:
        """The index tensors of the batches to come, in order; each is decoded before it is asked for.

        Read step by step: it may be a generator. A new order takes the place of the one before.
        """
        for batch in self._coming:
            for part in batch.parts:
                part.cancel()
        self._coming.clear()
        self._order = iter(order)
        self._fill()

    def take(self, index: NDArray[Any]) -> "FileImages":
        """The images at `index` alone, none of them decoded."""
        return self._with([self.files[i] for i in index.tolist()], self.scan.take(index))

    def join(self, other: "FileImages") -> "FileImages":
        """The images of both, one after the other."""
        return self._with([*self.files, *other.files], joined(self.scan, other.scan))

    def to(self, device: torch.device | str) -> "FileImages":
        """The same images, delivered to another device."""
        if torch.device(device) == self.device:
            return self
        return FileImages(self.files, self.scan, self.size, device, self.value_range)

    def _with(self, files: Sequence[str], scan: Scan) -> "FileImages":
        return FileImages(files, scan, self.size, self.device, self.value_range)

    def _fill(self) -> None:
        while len(self._coming) < AHEAD and (index := next(self._order, None)) is not None:
            self._coming.append(self._begin(index.tolist()))

    def _begin(self, numbers: list[int]) -> Batch:
        """Hands a batch to the threads, cut into two parts for each."""
        pixels = torch.empty(len(numbers), *self.shape[1:], dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        step = max(1, -(-len(numbers) // (2 * workers())))
        starts = range(0, len(numbers), step)
        own = pixels.numpy()
        parts = [pool().submit(self._decode, own[i : i + step], numbers[i : i + step]) for i in starts]
        return Batch(numbers, pixels, parts)

    def _decode(self, pixels: NDArray[np.uint8], numbers: list[int]) -> None:
        for row, number in zip(pixels, numbers, strict=True):
            if reason := read_into(row, self.files[number], self.value_range):
                raise CannotContinueError(f"{self.files[number]} can no longer be read ({reason}); restore it")


@cache
def pool() -> ThreadPoolExecutor:
    """The threads that decode, for all images of this process."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="decode")
