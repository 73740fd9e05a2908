"""One image file to pixels: turned upright, RGB, the centre square resized. Needs no torch.

Pillow is imported where a file is decoded: data without image files does without it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 80_000_000  # of one image; a small file can claim far more than the memory holds


def read_into(pixels: NDArray[np.uint8], file: str | Path) -> str:
    """Fills `pixels` (3, size, size) from the file; the reason why that cannot be done, or ""."""
    from PIL import UnidentifiedImageError

    try:
        pixels[:] = read_image(file, pixels.shape[-1])
    except UnidentifiedImageError:
        return "no JPEG, PNG or WebP image"
    except Exception as error:  # damaged bytes can make an image decoder raise anything; the reason is told
        return (str(error).splitlines() or [type(error).__name__])[0][:80]
    return ""


def read_image(file: str | Path, size: int) -> NDArray[np.uint8]:
    """(3, size, size): turned as its EXIF data say, in RGB, the centre square resized (bicubic, antialiased)."""
    from PIL import Image, ImageOps

    with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width}x{height} pixels are too many")
        image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at a lower resolution, at least twice ours
        upright = to_rgb(ImageOps.exif_transpose(image))
    width, height = upright.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    square = upright.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    return np.asarray(square).transpose(2, 0, 1)


def to_rgb(image: "Image") -> "Image":
    """RGB; 16 bits become 8, and what is transparent becomes white."""
    from PIL import Image

    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
