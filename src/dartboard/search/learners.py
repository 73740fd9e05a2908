"""What searches by a controller have in common: the controller by its settings, the baseline, one search of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from dartboard.config import Idle
from dartboard.search import trial_log
from dartboard.search.controllers import Array, Controller, IndependentLogits
from dartboard.search.lstm import LstmController
from dartboard.search.proposals import Draw, Trial
from dartboard.spaces.search_space import Architecture, SearchSpace


class ControllerSettings(Protocol):
    """What a method's Config says of its controller."""

    @property
    def controller(self) -> Literal["independent", "lstm"]: ...
    @property
    def controller_lr(self) -> float: ...
    @property
    def lstm_units(self) -> int: ...
    @property
    def lstm_layers(self) -> int: ...
    @property
    def lstm_init(self) -> float: ...


def controller_of(config: ControllerSettings, space: SearchSpace, rngs: Sequence[Random]) -> Controller:
    """The controllers of searches side by side, as they begin."""
    if config.controller == "independent":
        return IndependentLogits(space, len(rngs), config.controller_lr)
    sizes = (config.lstm_units, config.lstm_layers, config.lstm_init)
    return LstmController(space, rngs, config.controller_lr, *sizes)


def without_lstm(config: ControllerSettings) -> Idle:
    """The settings of an LSTM, which change nothing where the logits are independent."""
    names = ("lstm_units", "lstm_layers", "lstm_init")
    return ((names, "--controller is independent"),) if config.controller == "independent" else ()


def batches_drawn(controller: Controller, draw: Draw, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]:
    """A batch for each search, within the limits; rngs: of each trial of each."""
    pairs = zip(controller.proposals(), rngs, strict=True)
    return [[draw(rng, propose) for rng in own] for propose, own in pairs]


@dataclass(frozen=True)
class Baseline:
    """Moving averages of rewards, one a search, (R,); a mean with weights that fall as decay ** age."""

    sums: Array
    weight: float = 0.0

    @property
    def value(self) -> Array:
        return self.sums / self.weight

    def moved(self, reward: Array, decay: float) -> "Baseline":
        return Baseline(decay * self.sums + (1 - decay) * reward, decay * self.weight + (1 - decay))

    def after(self, rewards: Array, decay: float) -> "Baseline":
        """With a batch of each search, (R, B), in its order."""
        baseline = self
        for reward in rewards.T:
            baseline = baseline.moved(reward, decay)
        return baseline


class SideBySide(Protocol):
    """R searches that know nothing of each other. held: what else a checkpoint holds of them, (R, ...) by name."""

    controller: Controller
    baseline: Baseline
    held: dict[str, Array]

    def ask(self, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]: ...

    def tell(self, scored: Sequence[Sequence[Trial]]) -> None: ...


class Learner:
    """One search. In a checkpoint: the controller with its Adam, the baseline, and what else the searches hold."""

    def __init__(self, searches: SideBySide) -> None:
        self.searches = searches

    def ask(self, rngs: Sequence[Random]) -> list[Architecture]:
        return self.searches.ask([rngs])[0]

    def tell(self, scored: Sequence[Trial]) -> None:
        self.searches.tell([scored])

    def probabilities(self) -> trial_log.Rows:
        """What the page shows of the controller."""
        return self.searches.controller.probabilities()

    def tensors(self) -> dict[str, Tensor]:
        own = torch.tensor([self.searches.baseline.sums[0], self.searches.baseline.weight], dtype=torch.double)
        held = {name: torch.from_numpy(array) for name, array in self.searches.held.items()}
        return {"baseline": own, **held, **self.searches.controller.tensors()}

    def extra(self) -> dict[str, Any]:
        return {}

    def load(self, tensors: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
        total, weight = tensors["baseline"].tolist()
        self.searches.baseline = Baseline(np.array([total]), weight)
        self.searches.held = {name: tensors[name].numpy() for name in self.searches.held}
        own = {"baseline", *self.searches.held}
        self.searches.controller.load({name: one for name, one in tensors.items() if name not in own})
