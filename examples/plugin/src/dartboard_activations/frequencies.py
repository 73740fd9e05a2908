"""UMDA (Mühlenbein, Paaß, PPSN 1996): each option is drawn as often as the best trials so far have it, plus one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from dartboard.search import plain, trials
from dartboard.search.proposals import ByHistory, Draw, Trial
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace

PRESETS = trials.PRESETS


@dataclass(frozen=True)
class Config(trials.Settings):
    best: int = 10
    """trials whose options are counted"""


def drawn(config: Config, space: SearchSpace, seen: Sequence[Trial], rng: Random) -> Architecture:
    best = sorted(seen, key=lambda trial: trial.score.value)[-config.best :]

    def pick(choice: Choice) -> object:
        found = [dict(trial.architecture.choices).get(choice.name) for trial in best]
        return rng.choices(choice.options, [1 + found.count(option) for option in choice.options])[0]

    return space.walk(pick)


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> ByHistory:
    return ByHistory(partial(drawn, config, space), draw)


search = partial(plain.search, proposer)
