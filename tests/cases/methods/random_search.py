"""Random search."""

import trial_settings
from cases import MethodCase
from dartboard.spaces import nasbench201

SMALL = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))  # 64 cells
BEST = nasbench201.architecture(["nor_conv_3x3"] * 6)

CASE = MethodCase(
    settings=trial_settings.BASE,
    ways=trial_settings.WAYS,
    planted=(trial_settings.planted(SMALL, BEST, trials=300, at_least=6, draws=0),),
    golden_loss=2.3399766777085693,
    golden_settings=trial_settings.GOLDEN,
    changes=trial_settings.CHANGES,
    elsewhere=trial_settings.ELSEWHERE,
    changes_data=trial_settings.CHANGES_DATA,
)
