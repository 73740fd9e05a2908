"""Regularized evolution."""

from random import Random

import trial_settings
from cases import MethodCase, Way
from dartboard.spaces import nasbench201

BEST = nasbench201.SPACE.sample(Random(1000))
PLACE = "test_evolution.py::test_every_setting_of_the_population_changes_what_is_scored"

CASE = MethodCase(
    settings={**trial_settings.BASE, "population": 2, "sample": 2},
    ways=(
        trial_settings.WAYS[0],
        Way("scorer", {"trials": 6}, trial_settings.scored_by_chance, stops=((4,), (1, 2))),
        Way("batches", {"trials": 8, "batch": 3}, trial_settings.scored_by_chance, stops=((4,), (1, 1, 3, 1))),
    ),
    planted=(trial_settings.planted(nasbench201.SPACE, BEST, trials=200, at_least=6, draws=100),),
    golden_loss=2.3399766777085693,
    golden_settings=trial_settings.GOLDEN,
    changes=trial_settings.OWN_CHANGES,
    elsewhere={**trial_settings.TRAINING_ELSEWHERE, **dict.fromkeys(("population", "sample", "batch"), PLACE)},
    changes_data=trial_settings.CHANGES_DATA,
)
