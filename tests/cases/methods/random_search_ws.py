"""Random search with weight sharing."""

import path_settings
import planted
import trial_settings
import weight_settings
from cases import MethodCase, Planted, Way
from dartboard.spaces import nasbench201

SMALL = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))  # 64 cells
BEST = nasbench201.architecture(["nor_conv_3x3"] * 6)

CASE = MethodCase(
    settings={**path_settings.BASE, "candidates": 4, "round": 3, "batches": 1, "finalists": 2},
    ways=(Way("batch statistics", stops=((1, 5, 2),)),),  # recalibrated: as spos, always
    planted=(
        Planted(
            "rounds", SMALL, BEST, trial_settings.matches, places=6, at_least=5,
            settings={**path_settings.PLANTED, "candidates": 200, "round": 100, "batches": 2},
            more=lambda: {"supernet": planted.PlantedPaths(SMALL, BEST)},
            score=path_settings.score, data=planted.noisy_images, draws=0,
        ),
    ),
    golden_loss=2.3305365455897027,
    changes={
        **weight_settings.CHANGES,
        "candidates": (5, {}),
        "round": (2, {}),
        "batches": (2, {}),
        "finalists": (1, {}),
        "recalibrate": (20, {}),
        "limit": ("macs<=31k", {}),
    },
    elsewhere={
        **weight_settings.FORM_OF_PATHS,
        "latency": "test_latency_limits.py::test_the_first_network_of_each_method_is_within_a_latency",
    },
)  # fmt: skip
