"""Once-for-All."""

import path_settings
import planted
import trial_settings
import weight_settings
from cases import MethodCase, Planted, Way
from cases.families.mobilenet import SMALL
from dartboard.testing import tiny

ELSEWHERE = {
    "latency": "test_latency_limits.py::test_the_first_network_of_each_method_is_within_a_latency",
    "cells": "test_bignas.py::test_another_number_of_stages_is_refused",
    "supernet": "test_fast_slices.py::test_the_form_is_a_setting_and_reaches_the_depthwise_convolutions",
    "schedule_epochs": "test_ofa.py::test_wrong_settings_are_refused_in_one_line",
}
BEST = SMALL.walk(lambda choice: choice.options[min(1, len(choice.options) - 1)])

CASE = MethodCase(
    settings={**path_settings.BASE, "channels": 4, "epochs": 6, "scorings": 3, "recalibrate": 20},
    longer={"epochs": 7},
    # stopped within the phases: after the third and the fifth, and within the last, the second of elastic width
    ways=(Way("limit", {"limit": "macs<=1G"}, stops=((6, 4), (11,))),),
    planted=(
        Planted(
            "slices", SMALL, BEST, trial_settings.matches, places=17, at_least=17, draws=20,
            settings={**path_settings.PLANTED, "channels": 8, "cells": 4, "weight_decay": 0.0, "epochs": 24,
                      "lr": 1.0, "scorings": 48, "recalibrate": 50},
            more=lambda: {"supernet": planted.PlantedSlices(SMALL, BEST)},
            score=path_settings.score, data=planted.noisy_images,
        ),
    ),
    golden_loss=2.305407111883248, golden_settings={"epochs": 1, "last_phase": "full"},
    changes={
        **{name: change for name, change in weight_settings.CHANGES.items() if name not in (*ELSEWHERE, "channels")},
        "channels": (16, {}),
        "epochs": (7, {}),
        "lr_min": (0.02, {"epochs": 13}),
        "momentum": (0.5, {}),
        "nesterov": (False, {}),
        "last_phase": ("kernel", {}),
        "label_smoothing": (0.0, {}),
        "distillation": (0.5, {}),
        "limit": ("macs<=250k", {}),
        "scorings": (2, {}),
        "recalibrate": (5, {}),
        "val_images": (20, {}),
    },
    elsewhere=ELSEWHERE,
    changes_data=tiny.digits,
)  # fmt: skip
