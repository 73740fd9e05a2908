"""What the cases of methods that score architectures one by one have in common: their settings, and scorers."""

from typing import Any
from zlib import crc32

import test_training
import tiny
from cases import Planted, Setting, Way
from dartboard.config import field_names
from dartboard.scoring.scorers import Score
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.training import from_scratch

BASE: dict[str, Any] = {**tiny.TRAIN, "trials": 2}  # four steps a trial
GOLDEN: dict[str, Any] = {"trials": 1, "epochs": 1, "network": "plain"}

# Images of colours, and a training on them: see test_training.py.
CHANGES_DATA = test_training.coloured
COLOURED: dict[str, Any] = {**test_training.COLOURED, "trials": 1}
CHANGES: dict[str, Setting] = {
    **{name: (value, {**COLOURED, **more}) for name, (value, more) in test_training.CASES.items()},
    "trials": (2, COLOURED),
    "limit": ("params<=2.4k", COLOURED),
    "channels_last": (False, {**COLOURED, "channels": 6}),  # two channels are added up alike in both layouts
}
ELSEWHERE: dict[str, str] = {
    "truth": "test_random_search.py::test_the_best_by_the_column_seen_is_found_and_shown_by_the_other",
    "shared_weights": "test_random_search.py::test_the_weights_of_another_search_are_copied_when_the_run_begins",
}
# Of methods that learn from scores: their trials are trained by the code that random search's are trained by.
OWN_CHANGES: dict[str, Setting] = {name: CHANGES[name] for name in ("trials", "limit")}
TRAINING_ELSEWHERE: dict[str, str] = {
    **ELSEWHERE,
    **dict.fromkeys(field_names(from_scratch.Config), "test_contracts.py::test_every_setting_changes_something"),
}


def chance(architecture: Architecture, number: int) -> Score:
    """A score that looks like chance, and is the same for the same architecture."""
    return Score(crc32(str(architecture).encode()) / 2**32, source="made up")


def scored_by_chance(space: SearchSpace) -> dict[str, Any]:
    return {"scorer": chance}


TRAINING = Way("training", {"batch": 2}, stops=((5, 1),))  # of methods whose trainings are those of random search
WAYS = (
    Way("training", stops=((1,), (3, 1, 4))),
    Way("shared weights", {"trials": 4}, lambda space: {"supernet": tiny.supernet(space)}, stops=((2,), (1, 1))),
    Way("scorer", {"trials": 4}, scored_by_chance, stops=((2,), (1, 1))),
)


def matches(one: Architecture, other: Architecture) -> int:
    """How many choices have the same value."""
    return sum(pair in other.choices for pair in one.choices)


def planted(
    space: SearchSpace, best: Architecture, *, trials: int, at_least: int, draws: int, **settings: Any
) -> Planted:
    """A scorer that counts what is like the best architecture."""

    def scorer(architecture: Architecture, number: int) -> Score:
        return Score(matches(architecture, best) / len(best.choices), source="likeness")

    return Planted(
        "a scorer",
        space,
        best,
        matches,
        places=len(best.choices),
        at_least=at_least,
        settings={"trials": trials, **settings},
        more=lambda: {"scorer": scorer},
        score=lambda result, architecture: scorer(architecture, 0).value,
        draws=draws,
    )
