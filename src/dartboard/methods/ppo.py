"""Proximal policy optimization (Schulman et al., arXiv 1707.06347) over architectures, as NASNet searches with it
(Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition,
CVPR 2018, arXiv 1707.07012).

REINFORCE uses a batch once. PPO uses it several times: as the controller moves away from what it was when it drew the
batch, each architecture is weighted by the ratio of its probabilities, and one that has become likelier or less likely
by more than the clip, in the direction of its advantage, counts no more.

The algorithm, as `search` runs it:
    until there are n trials:
        1. draw a batch of architectures from p(a; theta); keep log p of each, the old one
        2. score them: R(a), on the validation images
        3. b, the moving average of all rewards, these included; A = R(a) - b
        4. K times, ascend with Adam the mean over the batch of  min(r A, clip(r, 1 - eps, 1 + eps) A)  +  beta H(theta)
           where  r = p(a; theta) / p_old(a)                                                                   (Eq. 7)
    return the a with the largest R(a)

Symbols: theta, the logits or weights of the controller; p, its distribution; R, the reward: the score, in [0, 1]; b,
the baseline; A, the advantage; r, the ratio; eps, `clip`; K, `inner_epochs`; H, the entropy of p; beta,
`entropy_weight`; n, `trials`.

Departures from NASNet:
    1. Its number of inner epochs is not published; the default here is the house's choice.
    2. Independent logits are the default, with a learning rate that is the house's choice; its LSTM is --preset paper.
    3. Hundreds of workers train its children at the same time; here a batch is used in the order of its numbers.
    4. With limits, architectures are drawn until one is within them, or after 1,000 draws uniformly; p does not know.
    5. The gradient of an LSTM's entropy is estimated from the batch, also after the controller has moved away from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from torch import nn

from dartboard.config import Idle, check_ranges
from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from
from dartboard.scoring.scorers import Scorer
from dartboard.search import trial_log, trials
from dartboard.search.controllers import Array
from dartboard.search.learners import Baseline, Learner, batches_drawn, controller_of, without_lstm
from dartboard.search.proposals import Draw, Trial, drawing
from dartboard.search.trials import Result
from dartboard.spaces.search_space import Architecture, SearchSpace

PRESETS = trials.PRESETS
PAPER = {"controller": "lstm", "controller_lr": 3.5e-4}  # --preset paper: NASNet


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of a search by PPO. The defaults are NASNet's where nothing else is said."""

    controller: Literal["independent", "lstm"] = "independent"
    """logits of each choice for itself (the house's choice), or an LSTM that walks the choices (NASNet)"""
    controller_lr: float = 0.03
    """learning rate of the controller's Adam (the house's choice for independent logits; NASNet's LSTM 3.5e-4)"""
    clip: float = 0.2
    """eps: how far a ratio of probabilities may move from 1 (Schulman et al., section 6.1: 0.2)"""
    inner_epochs: int = 5
    """K, how often a batch is used (the house's choice: NASNet does not say)"""
    baseline_decay: float = 0.95
    """share of the baseline that stays at each reward (NASNet 0.95)"""
    entropy_weight: float = 1e-5
    """beta, the weight of the entropy (NASNet 1e-5)"""
    batch: int = 20
    """architectures that are drawn before the controller moves (NASNet 20)"""
    lstm_units: int = 100
    """units of each layer of the LSTM (NASNet 100)"""
    lstm_layers: int = 1
    """layers of the LSTM (NASNet one)"""
    lstm_init: float = 0.1
    """the LSTM's weights begin uniformly between this and its negative (NASNet 0.1)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, controller_lr="(0, inf)", baseline_decay="[0, 1)", entropy_weight="[0, inf)")
        check_ranges(self, clip="(0, 1)", inner_epochs="[1, 1e6]", batch="[1, 1e6]")
        check_ranges(self, lstm_units="[1, 4096]", lstm_layers="[1, 64]", lstm_init="(0, inf)")


def search(
    config: Config,
    space: SearchSpace,
    data: Data | None,
    run: Run,
    *,
    supernet: nn.Module | None = None,
    scorer: Scorer | None = None,
    limits: Sequence[Limit] = (),
) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    data: None if a table scores; supernet: one whose weights score; scorer: another R; limits: beside those of the
    config. Raises InputError if nothing fits the limits and for what cannot score, CannotContinueError if the
    loss of a training is not finite.
    """
    scoring = trials.scoring_of(config, space, data, run, supernet, scorer)
    draw = drawing(space, (*limits_from(config.limit), *limits), scoring.cost)
    learner = proposer(config, space, draw, trials.first_stream(run.seed))
    state = trials.begin(run, learner)
    if state.done == 0:
        trial_log.log_start(run, learner.probabilities())
    with trials.at_work(config, run, state, scoring) as score_all:
        for numbers in trials.batches(state, config.trials, config.batch):
            # 1. draw a batch of architectures from p(a; theta); keep log p of each, the old one
            a = learner.ask(trials.streams(run, numbers))
            # 2. score them
            rewards = score_all(numbers, a)
            # 3. and 4. move the baseline, then ascend K times
            learner.tell(rewards)
            trial_log.log_probabilities(run, numbers, config.trials, learner.probabilities)
    # return the a with the largest R(a)
    return trials.finish(run, state, scoring)


def weights(ratio: Array, advantage: Array, clip: float) -> Array:
    """What grad log p(a) is weighted with in the gradient of Eq. 7: r A, or 0 where the clipped term is the smaller.

    grad r = r grad log p, and a clipped r is a constant.
    """
    clipped = np.where(advantage > 0, ratio > 1 + clip, ratio < 1 - clip)
    return np.where(clipped, 0.0, ratio * advantage)


class SideBySide:
    """The controllers and baselines of R searches that know nothing of each other. rngs: of each search.

    held: "old": log p of each architecture of the batch at work, (R, B), by the controller that drew it.
    """

    def __init__(self, config: Config, space: SearchSpace, draw: Draw, rngs: Sequence[Random]) -> None:
        self.config, self.draw = config, draw
        self.controller = controller_of(config, space, rngs)
        self.baseline = Baseline(np.zeros(len(rngs)))
        self.held: dict[str, Array] = {"old": np.zeros((len(rngs), 0))}

    def ask(self, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]:
        """1.: a batch for each search, within the limits; rngs: of each trial of each."""
        drawn = batches_drawn(self.controller, self.draw, rngs)
        self.held["old"] = self.controller.log_probabilities(drawn)
        return drawn

    def tell(self, scored: Sequence[Sequence[Trial]]) -> None:
        """3. and 4., with the trials of the batch of each search."""
        rewards = np.array([[trial.score.value for trial in own] for own in scored])
        self.baseline = self.baseline.after(rewards, self.config.baseline_decay)
        advantages = rewards - self.baseline.value[:, None]
        drawn = [[trial.architecture for trial in own] for own in scored]
        for _ in range(self.config.inner_epochs):
            ratio = np.exp(self.controller.log_probabilities(drawn) - self.held["old"])
            weighted = weights(ratio, advantages, self.config.clip)
            self.controller.ascend(drawn, weighted, self.config.entropy_weight)


def idle(config: Config, space: SearchSpace) -> Idle:
    """Settings that change nothing beside the others, and why, in words."""
    unclipped = ((("clip",), "--inner-epochs is 1"),) if config.inner_epochs == 1 else ()
    return (*without_lstm(config), *unclipped)


def side_by_side(config: Config, space: SearchSpace, draw: Draw, rngs: Sequence[Random]) -> SideBySide:
    """Searches at their beginning, one a stream. draw: within the limits."""
    return SideBySide(config, space, draw, rngs)


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> Learner:
    """A search at its beginning. draw: within the limits."""
    return Learner(SideBySide(config, space, draw, [rng]))
