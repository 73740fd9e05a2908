"""First-choice hill climbing."""

from random import Random

import trial_settings
from cases import MethodCase
from dartboard.spaces import nasbench201

BEST = nasbench201.SPACE.sample(Random(1000))

CASE = MethodCase(
    settings=trial_settings.BASE,
    ways=trial_settings.WAYS,
    planted=(trial_settings.planted(nasbench201.SPACE, BEST, trials=100, at_least=6, draws=100),),
    golden_loss=2.3399766777085693,
    golden_settings=trial_settings.GOLDEN,
    changes=trial_settings.CHANGES,
    elsewhere=trial_settings.ELSEWHERE,
    changes_data=trial_settings.CHANGES_DATA,
)
