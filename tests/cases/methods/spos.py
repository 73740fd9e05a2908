"""SPOS."""

import path_settings
import planted
import trial_settings
import weight_settings
from cases import MethodCase, Planted, Way
from dartboard.spaces import nasbench201

BEST = nasbench201.architecture(["nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3"])
EVOLUTION = {"population": 3, "generations": 2, "kept": 2, "mutations": 1, "crossovers": 1}

CASE = MethodCase(
    settings={**path_settings.BASE, **EVOLUTION, "recalibrate": 20, "mutation_chance": 0.5},
    ways=(Way("band", {"band": "0-1G", "bins": 1, "limit": "macs<=1G"}, stops=((3, 3, 4),)),),
    planted=(
        Planted(
            "evolution", nasbench201.SPACE, BEST, trial_settings.matches, places=6, at_least=5,
            settings={**path_settings.PLANTED, "generations": 6, "population": 30, "recalibrate": 50},
            more=lambda: {"supernet": planted.PlantedPaths(nasbench201.SPACE, BEST)},
            score=path_settings.score, data=planted.noisy_images,
        ),
    ),
    golden_loss=2.3305365455897027,
    changes={
        **weight_settings.CHANGES,
        "label_smoothing": (0.1, {}),
        "dropout": (0.5, {}),
        "band": ("28k-35k", {}),
        "bins": (1, {"band": "28k-35k"}),
        "population": (4, {}),
        "generations": (3, {}),
        "kept": (1, {}),
        "mutations": (2, {}),
        "mutation_chance": (0.9, {}),
        "crossovers": (0, {}),
        "limit": ("macs<=31k", {}),
        "recalibrate": (5, {}),
        "val_images": (20, {}),
    },
    elsewhere={
        **weight_settings.FORM_OF_PATHS,
        "latency": "test_latency_limits.py::test_the_first_network_of_each_method_is_within_a_latency",
    },
)  # fmt: skip
