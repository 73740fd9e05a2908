"""Colour jitter of the ImageNet recipe, batched: brightness, contrast, saturation, hue, each image its own factors."""

import torch
from torch import Tensor

from dartboard.data.augmentation import by_channel, sent
from dartboard.errors import InputError

# ITU-R BT.601 luma, the grey of PIL and of the official code's transforms.
LUMA = (0.299, 0.587, 0.114)


def color_jitter(images: Tensor, strength: float, hue: float, generator: torch.Generator) -> Tensor:
    """images: (B, 3, H, W) uint8 -> the same, recoloured. Factors uniform in [1 - strength, 1 + strength].

    hue: range of the turn of the colour circle, uniform in [-hue, hue] turns. Order: brightness, contrast,
    saturation, hue. Raises InputError unless images have three channels.
    """
    if strength == 0.0 and hue == 0.0:
        return images
    if images.shape[1] != 3:
        raise InputError(f"colour jitter needs 3 channels, these images have {images.shape[1]}; set it to 0")
    x = images.to(torch.float32) / 255.0
    brightness, contrast, saturation = (factor(images, strength, generator) for _ in range(3))
    x = (x * brightness).clamp(0.0, 1.0)
    x = blend(x, grey(x).mean((2, 3), keepdim=True), contrast)
    x = blend(x, grey(x), saturation)
    turn = (factor(images, 1.0, generator) - 1.0) * hue
    return (turn_hue(x, turn) * 255.0).round().to(torch.uint8)


def factor(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, 1), uniform in [1 - strength, 1 + strength]."""
    drawn = torch.rand(images.shape[0], 1, 1, 1, generator=generator, device=generator.device)
    return 1.0 + strength * (2.0 * sent(drawn, images.device) - 1.0)


def grey(x: Tensor) -> Tensor:
    """(B, 1, H, W) luma of x: (B, 3, H, W)."""
    return (x * by_channel(LUMA, x.device)).sum(1, keepdim=True)


def blend(x: Tensor, other: Tensor, amount: Tensor) -> Tensor:
    return (amount * x + (1.0 - amount) * other).clamp(0.0, 1.0)


def turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """x: (B, 3, H, W) in [0, 1] with the hue of HSV moved by `turn`: (B, 1, 1, 1), in turns."""
    value, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    chroma = value - low
    safe = chroma.clamp_min(1e-12)
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    sector = sector + 6.0 * turn
    # HSV back to RGB: channel n (5, 3, 1) is value - chroma * max(0, min(k, 4 - k, 1)) with k = (n + sector) mod 6
    k = (by_channel((5.0, 3.0, 1.0), x.device) + sector) % 6.0
    return value - chroma * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0)
