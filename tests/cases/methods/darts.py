"""DARTS."""

from random import Random

import planted
import tiny
import weight_settings
from cases import MethodCase, Planted, Way
from dartboard.methods import darts
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.spaces.search_space import Architecture

TOY = tiny.space_of(*planted.OPERATIONS[1:])
BEST = TOY.sample(Random(1000))


def score(result: darts.Result, architecture: Architecture) -> float:
    """The validation loss with the weights of the search, negative."""
    return -shared_weights_score(result.supernet, architecture, planted.noisy_images(), 100)[0]


def toy(name: str, **settings: bool) -> Planted:
    return Planted(
        name,
        TOY,
        BEST,
        planted.matches,
        places=16,
        at_least=15,
        settings={"epochs": 12, "batch_size": 50, "alpha_lr": 0.05, "crop_padding": 0, "flip": False,
                  "channels_last": False, **settings},
        more=lambda: {"supernet": planted.PlantedSupernet(BEST)},
        score=score,
        data=planted.noisy_images,
    )  # fmt: skip


CASE = MethodCase(
    settings=tiny.SEARCH,
    ways=(
        Way("first order"),
        Way("second order", {"second_order": True, "cost_weight": 0.5}),
        Way("plain", {"supernet": "plain", "limit": "macs<=22k"}),
        Way("stop", {"stop": "stable:1,held-out:0.1", "stop_mode": "report"}),
    ),
    planted=(toy("first order"), toy("second order", second_order=True)),
    golden_loss=2.33402434107962,
    golden_settings={"supernet": "plain"},
    changes={
        **weight_settings.CHANGES,
        **weight_settings.OF_ALPHA,
        "second_order": (True, {}),
        "epsilon": (10.0, {"second_order": True}),
        "supernet": ("plain", {}),
    },
    elsewhere=weight_settings.ALPHA_ELSEWHERE,
)
