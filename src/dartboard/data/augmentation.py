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

    The numbers are drawn on the generator's device, so one CPU generator gives the same result on every device.
    """
    result = normalise(crop_and_flip(images, augmentation, generator), augmentation.mean, augmentation.std)
    if augmentation.cutout:
        result = result.masked_fill(holes(images, augmentation.cutout, generator), 0.0)
    channels_last = not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)
    return result.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def crop_and_flip(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to crop_padding pixels each way, black from outside; mirrored with probability 1/2."""
    batch, channels, height, width = images.shape
    padding = augmentation.crop_padding
    if not padding and not augmentation.flip:
        return images
    rows = torch.arange(height, device=images.device).expand(batch, height)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    if augmentation.flip:
        flipped = draw(2, batch, generator, images.device).bool()
        columns = torch.where(flipped[:, None], width - 1 - columns, columns)
    if padding:
        images = functional.pad(images, (padding, padding, padding, padding))
        rows = rows + draw(2 * padding + 1, batch, generator, images.device)[:, None]
        columns = columns + draw(2 * padding + 1, batch, generator, images.device)[:, None]
    of_image = torch.arange(batch, device=images.device)[:, None, None, None]
    of_channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return images[of_image, of_channel, rows[:, None, :, None], columns[:, None, None, :]]


def holes(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """(B, 1, H, W) bool: one square of `side` pixels an image, its centre anywhere, clipped at the borders.

    The square begins side // 2 before its centre; for an odd side the official code's square is one pixel smaller.
    """
    batch, _, height, width = images.shape
    inside = []
    for length in (height, width):
        start = draw(length, batch, generator, images.device) - side // 2
        places = torch.arange(length, device=images.device)
        inside.append((places >= start[:, None]) & (places < start[:, None] + side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def draw(high: int, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(count,) int64, uniform over 0 .. high - 1, drawn on the generator's device and moved to `device`."""
    return sent(torch.randint(high, (count,), generator=generator, device=generator.device), device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; on its way from the CPU to a GPU nobody waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """images: (B, C, H, W) uint8 -> float32: (pixel / 255 - mean) / std, by channel."""
    centre, spread = by_channel(mean, images.device), by_channel(std, images.device)
    return images.to(torch.float32).div(255).sub(centre).div(spread)


@cache
def by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(1, C, 1, 1) float32; sent to a device once."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, len(values), 1, 1)


def epoch_batches(num_images: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """One pass over the images in random order: index tensors of `batch_size`, on the generator's device.

    The last one may be smaller; where a single image would be left (batch norm cannot train on it), it joins the
    batch before. Raises InputError for sizes that are impossible.
    """
    if batch_size < 1 or num_images < 1:
        raise InputError(f"cannot cut {num_images} images into batches of {batch_size}; both must be 1 or more")
    order = torch.randperm(num_images, generator=generator, device=generator.device)
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1 and batch_size > 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
