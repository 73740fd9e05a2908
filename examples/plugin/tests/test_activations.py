from dartboard_activations import SPACE

from dartboard.testing import FamilyCase, by_trials, contracts

FAMILY = FamilyCase(sizes={"activations": 3**3}, small=SPACE, drawn=SPACE, searched=SPACE)
BEST = (1, {**by_trials.COLOURED, "trials": 12})  # another value of --best, and with what it matters
METHOD = by_trials.case(golden_loss=2.3501038598294857, changes={"best": BEST}, trials=200)
TestContracts = contracts(families={"activations": FAMILY}, methods={"frequencies": METHOD})
