"""Data sets: three named splits, uint8 images stored on the device, seeded augmentation.

`names` and `presets` need no torch; what needs it is imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dartboard.data.names import NAMES, check_name

if TYPE_CHECKING:
    from dartboard.data.augmentation import Augmentation, augment, epoch_batches, normalise
    from dartboard.data.sources import load_data
    from dartboard.data.splits import Data, Split

__all__ = [
    "NAMES",
    "Augmentation",
    "Data",
    "Split",
    "augment",
    "check_name",
    "epoch_batches",
    "load_data",
    "normalise",
]

_ROOMS = {
    "Augmentation": "augmentation",
    "Data": "splits",
    "Split": "splits",
    "augment": "augmentation",
    "epoch_batches": "augmentation",
    "load_data": "sources",
    "normalise": "augmentation",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'dartboard.data' has no attribute {name!r}")
    return getattr(import_module(f"dartboard.data.{_ROOMS[name]}"), name)
