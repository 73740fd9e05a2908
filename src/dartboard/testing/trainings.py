"""What each setting of a training changes: images of colours, a training on them, and another value for each field."""

from functools import cache
from typing import Any

import numpy as np

from dartboard.data import Data, load_data

COLOURED: dict[str, Any] = {
    "channels": 2,
    "cells": 3,
    "epochs": 1,
    "batch_size": 16,
    "crop_padding": 0,
    "flip": False,
    "cutout": 0,
    "auxiliary": True,
}


@cache
def coloured() -> Data:
    """40 colour images of 20x20 in 4 classes: large enough for an auxiliary head, coloured enough for hues."""
    rng = np.random.RandomState(0)
    return load_data(rng.randint(0, 256, (50, 20, 20, 3)).astype(np.uint8), np.arange(50) % 4)


# Each field of from_scratch.Config: a value unlike the one in COLOURED, and what else must be set for it to matter.
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "channels": (4, {}),
    "cells": (4, {}),
    "epochs": (2, {}),
    "batch_size": (20, {}),
    "lr": (0.1, {}),
    "lr_min": (0.02, {"epochs": 2}),
    "lr_schedule": ("exponential", {"epochs": 2}),
    "lr_factor": (0.5, {"epochs": 2, "lr_schedule": "exponential"}),
    "momentum": (0.0, {}),
    "weight_decay": (0.1, {}),
    "grad_clip": (0.01, {}),
    "drop_path": (0.5, {"epochs": 2}),
    "auxiliary": (False, {}),
    "auxiliary_weight": (2.0, {}),
    "label_smoothing": (0.1, {}),
    "crop_padding": (4, {}),
    "flip": (True, {}),
    "cutout": (8, {}),
    "color_jitter": (0.4, {}),
    "hue_jitter": (0.2, {}),
    "stem": ("imagenet", {}),
    "network": ("plain", {}),
    "channels_last": (False, {}),
}
