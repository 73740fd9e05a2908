"""What each data set changes in the defaults of a method or of a training, which says so itself. Needs no torch.

The defaults are those of commands that were published for CIFAR; so on CIFAR, and on images that nobody knows
beforehand, nothing is changed. A flag that is given wins over every preset.
"""

from typing import Any

from dartboard.data.names import NAMES

DIGITS = ("digits", "digits-inverted", "digits-rotated")
# Of every method: images of 8x8 are moved by a pixel at most, and a mirrored digit is none.
OF_DIGITS: dict[str, Any] = {"crop_padding": 1, "flip": False}


def by_data(**on_digits: Any) -> dict[str, dict[str, Any]]:
    """The presets of a method by the kind of data: these settings on the digits, which are small and few."""
    kinds = (name.partition(":")[0] for name in NAMES)
    return {kind: {**OF_DIGITS, **on_digits} if kind in DIGITS else {} for kind in kinds}
