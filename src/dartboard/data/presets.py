"""What each data set changes in the defaults of a search and of a training. Needs no torch.

The defaults themselves are the commands published with the official code, which are made for CIFAR; so the CIFAR
presets are empty. A flag that is given wins over every preset.
"""

from typing import Any

SEARCH: dict[str, dict[str, Any]] = {
    "digits": {
        "channels": 4,
        "cells": 4,
        "epochs": 20,
        "batch_size": 64,
        "crop_padding": 1,
        "flip": False,
        "cutout": 0,
        "alpha_lr": 0.03,  # measured (LOG.md): at the paper's 3e-4 alpha hardly moves in the 240 steps there are
    },
    "cifar10": {},
    "cifar100": {},
    "images": {},
}
SEARCH |= dict.fromkeys(("digits-inverted", "digits-rotated"), SEARCH["digits"])
TRAIN: dict[str, dict[str, Any]] = {
    "digits": {
        "channels": 8,
        "cells": 5,
        "epochs": 20,
        "batch_size": 96,
        "crop_padding": 1,
        "flip": False,
        "cutout": 2,
        "auxiliary": False,
    },
    "cifar10": {},
    "cifar100": {},
    "images": {},
}
TRAIN |= dict.fromkeys(("digits-inverted", "digits-rotated"), TRAIN["digits"])
# Of a training that serves as a score, of which a search makes many: short ones.
TRIALS: dict[str, dict[str, Any]] = {**TRAIN, "digits": {**TRAIN["digits"], "epochs": 5, "batch_size": 64, "cutout": 0}}
TRIALS |= dict.fromkeys(("digits-inverted", "digits-rotated"), TRIALS["digits"])
