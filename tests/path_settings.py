"""What the cases of methods have in common that train a supernet by single paths."""

from typing import Any

import planted
import tiny
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.search.paths import Result
from dartboard.spaces.search_space import Architecture
from dartboard.testing.cases import Setting

BASE: dict[str, Any] = {name: value for name, value in tiny.SEARCH.items() if name != "alpha_lr"}
# Settings of the weights, and what changes them.
CHANGES: dict[str, Setting] = {
    "channels": (4, {}),
    "cells": (4, {}),
    "epochs": (2, {}),
    "batch_size": (12, {}),
    "lr": (0.1, {}),
    "lr_min": (0.0, {"epochs": 2}),
    "schedule_epochs": (4, {"epochs": 2}),
    "momentum": (0.0, {}),
    "weight_decay": (0.1, {}),
    "grad_clip": (0.01, {}),
    "crop_padding": (0, {}),
    "flip": (True, {}),
    "cutout": (4, {}),
    "channels_last": (False, {}),
}
# Of a planted optimum: long enough to learn it, on images that are as they are.
PLANTED: dict[str, Any] = {
    "epochs": 12, "batch_size": 50, "lr": 0.1, "crop_padding": 0, "flip": False, "channels_last": False,
    "channels": 2, "cells": 3,
}  # fmt: skip


def score(result: Result, architecture: Architecture) -> float:
    """The validation loss with the weights of the search, negative."""
    return -shared_weights_score(result.supernet, architecture, planted.noisy_images(), 100)[0]
