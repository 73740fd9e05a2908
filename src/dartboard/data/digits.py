"""The UCI handwritten digits that ship with the package; digits.md next to this file has source and licence."""

from pathlib import Path

import numpy as np
import torch

from dartboard.data.splits import Collection, Split

FILE = Path(__file__).with_name("digits.npz")
HIGHEST = 16  # a pixel counts the dark pixels in a block of 4x4


def load_digits() -> Collection:
    """1,797 images (3, 8, 8): three equal channels, 0..16 scaled to 0..255; the classes are "0" to "9"."""
    with np.load(FILE, allow_pickle=False) as file:
        pixels, labels = file["images"], file["labels"]
    scaled = np.round(pixels * (255 / HIGHEST)).astype(np.uint8)
    images = torch.from_numpy(np.repeat(scaled[:, None], 3, axis=1))
    split = Split(images, torch.from_numpy(labels.astype(np.int64)))
    return Collection("digits", split, tuple(str(digit) for digit in range(10)))
