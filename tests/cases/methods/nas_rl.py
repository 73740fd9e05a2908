"""NAS with RL."""

from random import Random

import trial_settings
from cases import MethodCase, Way
from dartboard.spaces import nasbench201

BEST = nasbench201.SPACE.sample(Random(1000))
CHILD = {"best_of_last": 1, "lr": 0.025, "weight_decay": 3e-4}  # as of other methods by trials
OWN = ("reward_power", "batch", "depth_start", "depth_step", "depth_every", "controller_lr", "baseline_decay")
OWN += ("entropy_weight", "lstm_units", "lstm_layers", "lstm_init")
PLACE = "test_nas_rl_method.py::test_every_setting_of_the_controller_changes_what_is_drawn"
SCORED = {"trials": 8, "batch": 3, "depth_start": 3, "depth_step": 1, "depth_every": 4, "entropy_weight": 0.1}

CASE = MethodCase(
    settings={**trial_settings.BASE, **CHILD, "controller_lr": 0.1, "depth_start": 3},
    ways=(
        trial_settings.TRAINING,
        Way("scorer", SCORED, trial_settings.scored_by_chance, stops=((4,), (1, 1, 3, 1))),
    ),
    planted=(
        trial_settings.planted(nasbench201.SPACE, BEST, trials=60, at_least=6, draws=100, batch=1, controller_lr=0.02),
    ),
    golden_loss=2.3501038598294857,
    golden_settings=trial_settings.GOLDEN,
    changes={**trial_settings.OWN_CHANGES, "limit": ("params<=1.7k", trial_settings.COLOURED)},
    elsewhere={**trial_settings.TRAINING_ELSEWHERE, **dict.fromkeys(OWN, PLACE)},
    changes_data=trial_settings.CHANGES_DATA,
)
