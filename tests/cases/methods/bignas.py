"""BigNAS."""

import path_settings
import planted
import trial_settings
import weight_settings
from cases import MethodCase, Planted, Way
from cases.families.mobilenet import SMALL

SPACE = SMALL
BEST = SPACE.walk(lambda choice: choice.options[min(1, len(choice.options) - 1)])
SELECTION = {"coarse": 3, "fine": 2, "rounds": 1, "kept": 2, "recalibrate": 20}

CASE = MethodCase(
    settings={**path_settings.BASE, **SELECTION, "channels": 4, "mutation_chance": 0.5},
    ways=(Way("limit", {"limit": "macs<=1G"}, stops=((3, 3, 3),)),),
    planted=(
        Planted(
            "slices", SPACE, BEST, trial_settings.matches, places=17, at_least=17, draws=20,
            settings={**path_settings.PLANTED, "channels": 8, "cells": 4, "weight_decay": 0.0, "dropout": 0.0,
                      "coarse": 100, "fine": 40, "rounds": 4, "recalibrate": 50},
            more=lambda: {"supernet": planted.PlantedSlices(SPACE, BEST)},
            score=path_settings.score, data=planted.noisy_images,
        ),
    ),
    golden_loss=2.2988466016774067,
    changes={
        **{name: change for name, change in weight_settings.CHANGES.items() if name not in ("cells", "channels")},
        "channels": (16, {}),
        "lr_min": (0.02, {"epochs": 2, "lr_decay_epochs": 0.1}),
        "schedule_epochs": (4, {"epochs": 2, "lr_schedule": "cosine"}),
        "lr_schedule": ("cosine", {"epochs": 2}),
        "lr_decay": (0.5, {"epochs": 2}),
        "lr_decay_epochs": (0.5, {"epochs": 2}),
        "label_smoothing": (0.0, {}),
        "sampled": (1, {}),
        "dropout": (0.5, {}),
        "zero_gamma": (False, {}),
        "limit": ("macs<=200k", {}),
        "coarse": (2, {}),
        "fine": (1, {}),
        "rounds": (2, {}),
        "kept": (1, {"fine": 6}),
        "mutation_chance": (0.9, {}),
        "recalibrate": (5, {}),
        "val_images": (20, {}),
    },
    elsewhere={
        "latency": "test_latency_limits.py::test_the_first_network_of_each_method_is_within_a_latency",
        "supernet": "test_fast_slices.py::test_the_form_is_a_setting_and_reaches_the_depthwise_convolutions",
        "cells": "test_bignas.py::test_another_number_of_stages_is_refused",
    },
)  # fmt: skip
