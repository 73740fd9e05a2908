"""GDAS."""

from random import Random

import planted
import tiny
import weight_settings
from cases import MethodCase, Planted, Way
from dartboard.methods import gdas
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.spaces.search_space import Architecture

TOY = tiny.space_of(*planted.OPERATIONS[1:])
BEST = TOY.sample(Random(1000))


def score(result: gdas.Result, architecture: Architecture) -> float:
    """The validation loss with the weights of the search, negative."""
    return -shared_weights_score(result.supernet, architecture, planted.noisy_images(), 100)[0]


CASE = MethodCase(
    settings=tiny.SEARCH,
    ways=(
        Way("scalars", stops=((1,),)),
        Way(
            "none",
            {"undrawn": "none", "stop": "stable:1", "stop_mode": "report", "limit": "macs<=22k", "cost_weight": 0.5},
            stops=((2, 1),),
        ),
    ),
    planted=(
        Planted(
            "toy",
            TOY,
            BEST,
            planted.matches,
            places=16,
            at_least=12,
            settings={"epochs": 16, "batch_size": 50, "alpha_lr": 0.1, "crop_padding": 0, "flip": False,
                      "channels_last": False},
            more=lambda: {"supernet": planted.PlantedSupernet(BEST)},
            score=score,
            data=planted.noisy_images,
        ),
    ),
    golden_loss=2.477968366411782,
    changes={
        **weight_settings.CHANGES,
        **weight_settings.OF_ALPHA,
        "momentum": (0.5, {}),  # at 0 nesterov has no part
        "nesterov": (False, {}),
        "tau_max": (1.0, {}),
        "tau_min": (0.5, {"epochs": 2}),
        "undrawn": ("none", {}),
        "supernet": ("plain", {"stop": "held-out:0.1"}),
    },
    elsewhere=weight_settings.ALPHA_ELSEWHERE,
)  # fmt: skip
