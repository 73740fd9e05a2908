"""PPO."""

from random import Random

import trial_settings
from cases import MethodCase, Way
from dartboard.spaces import nasbench201

BEST = nasbench201.SPACE.sample(Random(1000))
OWN = ("controller", "controller_lr", "baseline_decay", "entropy_weight", "batch")
OWN += ("clip", "inner_epochs", "lstm_units", "lstm_layers", "lstm_init")
PLACE = "test_ppo.py::test_every_setting_of_the_controller_changes_what_is_drawn"

CASE = MethodCase(
    settings={**trial_settings.BASE, "controller_lr": 1.0},
    ways=(
        trial_settings.TRAINING,
        Way("scorer", {"trials": 6}, trial_settings.scored_by_chance, stops=((4,), (1, 2))),
        Way("batches", {"trials": 8, "batch": 3}, trial_settings.scored_by_chance, stops=((4,), (1, 1, 3, 1))),
        Way(
            "lstm",
            {"trials": 8, "batch": 3, "controller": "lstm", "entropy_weight": 0.1},
            trial_settings.scored_by_chance,
            stops=((4,), (1, 1, 3, 1)),
        ),
    ),
    planted=(
        trial_settings.planted(nasbench201.SPACE, BEST, trials=150, at_least=6, draws=150, batch=10, controller_lr=0.1),
        trial_settings.planted(
            nasbench201.SPACE,
            BEST,
            trials=100,
            at_least=6,
            draws=100,
            batch=4,
            controller="lstm",
            controller_lr=0.02,
            lstm_units=35,
        ),
    ),
    golden_loss=2.3501038598294857,
    golden_settings=trial_settings.GOLDEN,
    changes={**trial_settings.OWN_CHANGES, "limit": ("params<=1.7k", trial_settings.COLOURED)},
    elsewhere={**trial_settings.TRAINING_ELSEWHERE, **dict.fromkeys(OWN, PLACE)},
    changes_data=trial_settings.CHANGES_DATA,
)
