"""One image file to pixels: turned upright, RGB, the centre square resized. Needs no torch.

Pillow is only imported to decode a file: data without image files does not need it.
"""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dartboard.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 80_000_000  # of one image; a small file can claim far more than the memory holds
# What Pillow is let try: formats that say in their first bytes what they are, and whose reader starts no program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000")
IN_WORDS = "JPEG, PNG, WebP, BMP, TIFF, GIF, PPM or JPEG 2000"
SIGNATURES: tuple[bytes, ...] = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"II*\0", b"MM\0*")
SIGNATURES += (b"II+\0", b"MM\0+", b"GIF8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
SIGNATURES += (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
SIXTEEN_BITS = (0, 65535)
ROWS = 256  # of an image that are scaled at once, so that a large one takes no copy of itself in float64
ValueRange = tuple[float, float]  # the least and the greatest value of images of more than 8 bits


def check_range(value_range: ValueRange | None) -> None:
    """Raises InputError unless it is None or two finite numbers, the least and the greatest."""
    if value_range is not None:
        low, high = value_range
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise InputError(f"value_range is ({low}, {high}); give the least and the greatest finite value")


def read_into(
    pixels: NDArray[np.uint8],
    file: str | Path,
    value_range: ValueRange | None = None,
    extent: NDArray[np.float64] | None = None,
) -> str:
    """Fills `pixels` (3, size, size) from the file; the reason why that cannot be done, or "".

    extent: (2,), which gets the least and the greatest value of an image of more than 8 bits, and stays as it is for
    others.
    """
    from PIL import UnidentifiedImageError

    try:
        pixels[:], found = decoded(file, pixels.shape[-1], value_range)
    except UnidentifiedImageError:
        return "no image"
    except Exception as error:  # damaged bytes can make an image decoder raise anything; the reason is printed
        return (str(error).splitlines() or [type(error).__name__])[0][:80]
    if extent is not None and found is not None:
        extent[:] = found
    return ""


def read_image(file: str | Path, size: int, value_range: ValueRange | None = None) -> NDArray[np.uint8]:
    """(3, size, size): turned as its EXIF data say, in RGB, the centre square resized (bicubic, antialiased).

    value_range: what becomes 0 and 255 in an image of more than 8 bits; 0 and 65535 if it is None.
    """
    return decoded(file, size, value_range)[0]


def decoded(file: str | Path, size: int, value_range: ValueRange | None) -> tuple[NDArray[np.uint8], ValueRange | None]:
    """The pixels of `read_image`, and the least and greatest value of an image of more than 8 bits. The first frame."""
    from PIL import Image, ImageOps

    with Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width}x{height} pixels are too many")
        image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at a lower resolution, at least twice ours
        upright = ImageOps.exif_transpose(image)
    extent = None
    if upright.mode.startswith("I") or upright.mode == "F":
        values = np.asarray(upright)
        extent, upright = extent_of(values), Image.fromarray(in_bytes(values, value_range or SIXTEEN_BITS))
    upright = to_rgb(upright)
    width, height = upright.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    square = upright.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    return np.asarray(square).transpose(2, 0, 1), extent


def blocks(values: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Some rows of an image at a time, as float64, with the place they have in it."""
    for first in range(0, len(values), ROWS):
        rows = slice(first, first + ROWS)
        yield rows, values[rows].astype(np.float64)


def extent_of(values: NDArray[Any]) -> ValueRange:
    """The least and the greatest finite value of an image. Raises ValueError if there is none."""
    found = [block[np.isfinite(block)] for _, block in blocks(values)]
    ends = [(part.min(), part.max()) for part in found if part.size]
    if not ends:
        raise ValueError("no pixel of it is a finite number")
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def in_bytes(values: NDArray[Any], value_range: ValueRange) -> NDArray[np.uint8]:
    """Scales the range to 0 to 255, with values outside clipped. NaN becomes 0, and so does all if low equals high."""
    low, high = value_range
    found = np.zeros(values.shape, np.uint8)
    if high > low:
        for rows, block in blocks(values):
            inside = np.nan_to_num(block, nan=low, posinf=high, neginf=low).clip(low, high)
            found[rows] = np.rint((inside - low) / (high - low) * 255)
    return found


def to_rgb(image: "Image") -> "Image":
    """RGB; what is transparent becomes white."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def holds_image(file: str) -> bool:
    """Whether the content of a file, whatever its name, begins as an image that can be read. False for no open file."""
    from PIL import Image

    try:
        with open(file, "rb") as stream:
            if not stream.read(16).startswith(SIGNATURES):
                return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(file, formats=FORMATS).close()
            return True
    except Exception:  # foreign bytes can make an image decoder raise anything; then they are not an image
        return False


def has_deep_colour(file: str | Path) -> bool:
    """Whether a file is a PNG of 16 bits per channel, in colour or with transparency: Pillow keeps the upper 8."""
    try:
        with open(file, "rb") as content:
            start = content.read(26)
    except OSError:
        return False
    return start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:] in (b"\x10\x02", b"\x10\x04", b"\x10\x06")
