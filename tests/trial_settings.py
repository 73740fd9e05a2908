"""What the cases of methods that score architectures one by one have in common (dartboard.testing.by_trials), and the
tests of ours that show what their settings do whose value needs files."""

from dartboard.config import field_names
from dartboard.testing import cases
from dartboard.testing.by_trials import (
    BASE,
    CHANGES,
    CHANGES_DATA,
    COLOURED,
    GOLDEN,
    WAYS,
    chance,
    matches,
    planted,
    scored_by_chance,
)
from dartboard.testing.cases import Setting, Way
from dartboard.training import from_scratch

__all__ = ["BASE", "CHANGES", "CHANGES_DATA", "COLOURED", "ELSEWHERE", "GOLDEN", "OWN_CHANGES", "TRAINING"]
__all__ += ["TRAINING_ELSEWHERE", "WAYS", "chance", "matches", "planted", "scored_by_chance"]
TRAINING = Way("training", {"batch": 2}, stops=((5, 1),))  # of methods whose trainings are those of random search
ELSEWHERE: dict[str, str] = {
    "truth": "test_random_search.py::test_the_best_by_the_column_seen_is_found_and_shown_by_the_other",
    "best_of_last": "test_nas_rl_method.py::test_the_reward_is_the_cube_of_the_best_accuracy_of_the_last_epochs",
    "latency": "test_latency_limits.py::test_a_search_by_trials_draws_within_a_latency",
    "shared_weights": "test_random_search.py::test_the_weights_of_another_search_are_copied_when_the_run_begins",
}
# Of methods that learn from scores: their trials are trained by the code that random search's are trained by.
OWN_CHANGES: dict[str, Setting] = {name: CHANGES[name] for name in ("trials", "limit")}
TRAINING_ELSEWHERE: dict[str, str] = {
    **ELSEWHERE,
    **dict.fromkeys(field_names(from_scratch.Config), cases.ELSEWHERE),  # of random search: see test_contracts.py
}
