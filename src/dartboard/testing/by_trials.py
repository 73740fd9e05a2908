"""What the cases of methods that score architectures one by one have in common: their settings, and scorers."""

from collections.abc import Mapping
from random import Random
from typing import Any
from zlib import crc32

from dartboard.config import field_names
from dartboard.scoring.scorers import Score
from dartboard.search.trials import Settings
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.testing import tiny, trainings
from dartboard.testing.cases import ELSEWHERE, MethodCase, Planted, Setting, Way

BASE: dict[str, Any] = {**tiny.TRAIN, "trials": 2}  # four steps a trial
GOLDEN: dict[str, Any] = {"trials": 1, "epochs": 1, "network": "plain"}

# Images of colours, and a training on them.
CHANGES_DATA = trainings.coloured
COLOURED: dict[str, Any] = {**trainings.COLOURED, "trials": 1}
CHANGES: dict[str, Setting] = {
    **{name: (value, {**COLOURED, **more}) for name, (value, more) in trainings.CASES.items()},
    "trials": (2, COLOURED),
    "limit": ("params<=2.4k", COLOURED),
    "channels_last": (False, {**COLOURED, "channels": 6}),  # two channels are added up alike in both layouts
}


def chance(architecture: Architecture, number: int) -> Score:
    """A score that looks like chance, and is the same for the same architecture."""
    return Score(crc32(str(architecture).encode()) / 2**32, source="made up")


def scored_by_chance(space: SearchSpace) -> dict[str, Any]:
    return {"scorer": chance}


WAYS = (
    Way("training", stops=((1,), (3, 1, 4))),
    Way(
        "shared weights",
        {"trials": 4},
        lambda space: {"supernet": tiny.supernet(space)},
        stops=((2,), (1, 1)),
        needs=frozenset({"path"}),
    ),
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


def case(golden_loss: float, changes: Mapping[str, Setting], trials: int = 100) -> MethodCase:
    """The case of a method by trials. changes: of each field that its Config has besides those of trials.Settings, as
    in MethodCase; trials: in how many it finds the best of 15,625 architectures, scored by their likeness to it."""
    space, shared = nasbench201.SPACE, {"trials": CHANGES["trials"], "limit": ("params<=1.45k", COLOURED)}
    toy = planted(space, space.sample(Random(1000)), trials=trials, at_least=6, draws=100)
    elsewhere = dict.fromkeys((name for name in field_names(Settings) if name not in shared), ELSEWHERE)
    return MethodCase(BASE, WAYS, (toy,), golden_loss, {**shared, **changes},
                      golden_settings=GOLDEN, elsewhere=elsewhere, changes_data=CHANGES_DATA)  # fmt: skip
