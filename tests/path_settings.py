"""What the cases of methods have in common that train a supernet by single paths."""

from typing import Any

import planted
import tiny
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.search.paths import Result
from dartboard.spaces.search_space import Architecture

BASE: dict[str, Any] = {name: value for name, value in tiny.SEARCH.items() if name != "alpha_lr"}
# Of a planted optimum: long enough to learn it, on images that are as they are.
PLANTED: dict[str, Any] = {
    "epochs": 12, "batch_size": 50, "lr": 0.1, "crop_padding": 0, "flip": False, "channels_last": False,
    "channels": 2, "cells": 3,
}  # fmt: skip


def score(result: Result, architecture: Architecture) -> float:
    """The validation loss with the weights of the search, negative."""
    return -shared_weights_score(result.supernet, architecture, planted.noisy_images(), 100)[0]
