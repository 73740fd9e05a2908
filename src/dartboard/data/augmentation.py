"""Batches and augmentation as batched torch, each a function of a seeded generator, on any device.

The order of the official code: pad with black, crop, flip, scale to [0, 1], normalise, cut out.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from dartboard.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """crop_padding: pixels of black around the image before a random crop of its own size; flip: mirror every other
    image; cutout: side of a square set to zero after normalising, in pixels; 0 or False leaves a step out.
    mean, std: of each channel, of pixels in [0, 1].
    """

    crop_padding: int
    flip: bool
    cutout: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("crop_padding", "cutout"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; give 0 or more pixels")


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """images: (B, C, H, W) uint8 -> (B, C, H, W) float32, normalised, in the memory format of `images`.

    The numbers are drawn on the generator's device, so one CPU generator gives the same result on every device; they
    travel together, once.
    """
    drawn = sent(draws(images, augmentation, generator), images.device)
    shifted = crop_and_flip(images, augmentation, drawn)
    result = normalise(shifted, augmentation.mean, augmentation.std)
    if augmentation.cutout:
        result.masked_fill_(holes(images, augmentation.cutout, drawn), 0.0)
    channels_last = not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)
    return result.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


FLIP, ROW, COLUMN, HOLE_ROW, HOLE_COLUMN = range(5)  # rows of what is drawn for a batch


def draws(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """(5, B) int64, uniform: 1 to mirror an image, its shift down and right, where its hole has its centre."""
    batch, _, height, width = images.shape
    shifts, side = 2 * augmentation.crop_padding + 1, augmentation.cutout
    highs = (2 if augmentation.flip else 1, shifts, shifts, height if side else 1, width if side else 1)
    drawn = torch.zeros(len(highs), batch, dtype=torch.int64, device=generator.device)
    for row, high in zip(drawn, highs, strict=True):
        if high > 1:
            torch.randint(high, (batch,), generator=generator, out=row)
    return drawn


def crop_and_flip(images: Tensor, augmentation: Augmentation, drawn: Tensor) -> Tensor:
    """Each image shifted by up to crop_padding pixels each way, black from outside; mirrored where drawn."""
    (batch, channels, height, width), device = images.shape, images.device
    padding = augmentation.crop_padding
    if not padding and not augmentation.flip:
        return images
    rows, columns = counting(height, device) + drawn[ROW, :, None], counting(width, device)
    if augmentation.flip:
        columns = ((width - 1) * drawn[FLIP, :, None] - columns).abs_()  # counted from the other side
    columns = columns + drawn[COLUMN, :, None]
    if padding:
        images = functional.pad(images, (padding, padding, padding, padding))
    map_size, row_size = images.shape[2] * images.shape[3], images.shape[3]
    maps = counting(batch * channels, device, map_size).view(batch, channels, 1, 1)
    places = maps + (row_size * rows)[:, None, :, None] + columns[:, None, None, :]  # of every pixel in memory
    return images.flatten().index_select(0, places.flatten()).view(places.shape)  # 5 times faster than four indices


def holes(images: Tensor, side: int, drawn: Tensor) -> Tensor:
    """(B, 1, H, W) bool: one square of `side` pixels an image, its centre where drawn, clipped at the borders.

    The square begins side // 2 before its centre; for an odd side the official code's square is one pixel smaller.
    """
    inside = []
    for length, centre in zip(images.shape[2:], (drawn[HOLE_ROW], drawn[HOLE_COLUMN]), strict=True):
        after = counting(length, images.device) - (centre - side // 2)[:, None]
        inside.append((after >= 0) & (after < side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


@cache
def counting(length: int, device: torch.device, step: int = 1) -> Tensor:
    """(length,) int64: 0, step, 2 step ...; made once for a device."""
    return torch.arange(0, length * step, step, device=device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; on its way from the CPU to a GPU nobody waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """images: (B, C, H, W) uint8 -> float32: (pixel / 255 - mean) / std, by channel."""
    centre, spread = by_channel(mean, images.device), by_channel(std, images.device)
    return images.to(torch.float32).div_(255).sub_(centre).div_(spread)


@cache
def by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(1, C, 1, 1) float32; sent to a device once."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, len(values), 1, 1)


def epoch_batches(num_images: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """One pass over the images in random order: index tensors of `batch_size`, on the generator's device.

    The last one may be smaller; if a single image would be left (batch norm cannot train on it), it joins the
    batch before. Raises InputError for sizes that are impossible.
    """
    if batch_size < 1 or num_images < 1:
        raise InputError(f"cannot cut {num_images} images into batches of {batch_size}; both must be 1 or more")
    order = torch.randperm(num_images, generator=generator, device=generator.device)
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1 and batch_size > 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
