"""REINFORCE (Williams: Simple Statistical Gradient-Following Algorithms, Machine Learning 8, 1992) over architectures,
as in NAS-Bench-201 (Dong, Yang, ICLR 2020; D-X-Y/AutoDL-Projects, NATS-algos/reinforce.py), and with the controller of
Zoph, Le: Neural Architecture Search with Reinforcement Learning (ICLR 2017, arXiv 1611.01578).

A controller is a distribution over architectures with parameters theta. It draws architectures, and what scores above
a moving average becomes more likely. So theta climbs the expected reward, of which only samples are known:
    grad E[R(a)] = E[(R(a) - b) grad log p(a; theta)]      for any b that does not depend on a
With a batch of 1, a b that holds R(a) as well is that of before and a shorter step, so the direction is still right.

The algorithm, as `search` runs it:
    until there are n trials:
        1. draw a batch of architectures from p(a; theta)
        2. score them: R(a), on the validation images
        3. b, the moving average of all rewards, these included
        4. ascend with Adam:  mean over the batch of  (R(a) - b) grad log p(a; theta)  +  beta grad H(theta)
    return the a with the largest R(a)

Symbols: theta, the logits or weights of the controller; p, its distribution; R, the reward: the score, in [0, 1]; b,
the baseline; H, the entropy of p; beta, `entropy_weight`; n, `trials`.

Departures from NAS-Bench-201's code:
    1. The logits begin at 0, where its are 1e-3 times normal noise, and rewards lie in [0, 1], where its are percent:
       steps of Adam do not depend on the scale.
    2. Choices of the space that exist only by another's value are walked over (search/controllers.py).
    3. With limits, architectures are drawn until one is within them, or after 1,000 draws uniformly; p does not know.
Departures from Zoph and Le:
    4. Their reward is the largest accuracy of the last five epochs to the third power; here it is the score
       (--best-of-last 5: that accuracy itself).
    5. Their 800 children train at the same time, and parameter servers gather the gradients of 100 replicas of the
       controller as they come; here there is one controller, and a batch is used in the order of its numbers.
    6. Their baseline's decay is not published; here it is that of NAS-Bench-201's code.
    7. Skip connections by anchor points, and depths that grow over time, are the business of methods/nas_rl.py.
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
PAPER = {"controller": "lstm", "controller_lr": 6e-4, "batch": 8}  # --preset paper: Zoph and Le, one replica


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of a search by REINFORCE. The defaults are those of NAS-Bench-201's code."""

    controller: Literal["independent", "lstm"] = "independent"
    """logits of each choice for itself (NAS-Bench-201's code), or an LSTM that walks the choices (Zoph, Le)"""
    controller_lr: float = 0.01
    """learning rate of the controller's Adam (NATS-Bench's code --learning_rate 0.01; Zoph, Le 6e-4)"""
    baseline_decay: float = 0.9
    """share of the baseline that stays at each reward (NAS-Bench-201's code --EMA_momentum 0.9)"""
    entropy_weight: float = 0.0
    """beta, the weight of the entropy (0: both codes have none; ENAS 1e-4)"""
    batch: int = 1
    """architectures that are drawn before the controller moves (NAS-Bench-201's code 1; Zoph, Le 8 a replica)"""
    lstm_units: int = 35
    """units of each layer of the LSTM (Zoph, Le, section 4.1: 35)"""
    lstm_layers: int = 2
    """layers of the LSTM (Zoph, Le, section 4.1: two)"""
    lstm_init: float = 0.08
    """the LSTM's weights begin uniformly between this and its negative (Zoph, Le, section 4.1: 0.08)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, controller_lr="(0, inf)", baseline_decay="[0, 1)", entropy_weight="[0, inf)")
        check_ranges(self, batch="[1, 1e6]", lstm_units="[1, 4096]", lstm_layers="[1, 64]", lstm_init="(0, inf)")


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
            # 1. draw a batch of architectures from p(a; theta)
            a = learner.ask(trials.streams(run, numbers))
            # 2. score them
            rewards = score_all(numbers, a)
            # 3. and 4. move the baseline, then ascend the gradient
            learner.tell(rewards)
            trial_log.log_probabilities(run, numbers, config.trials, learner.probabilities)
    # return the a with the largest R(a)
    return trials.finish(run, state, scoring)


class SideBySide:
    """The controllers and baselines of R searches that know nothing of each other. rngs: of each search."""

    def __init__(self, config: Config, space: SearchSpace, draw: Draw, rngs: Sequence[Random]) -> None:
        self.config, self.draw = config, draw
        self.controller = controller_of(config, space, rngs)
        self.baseline = Baseline(np.zeros(len(rngs)))
        self.held: dict[str, Array] = {}

    def ask(self, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]:
        """1.: a batch for each search, within the limits; rngs: of each trial of each."""
        return batches_drawn(self.controller, self.draw, rngs)

    def tell(self, scored: Sequence[Sequence[Trial]]) -> None:
        """3. and 4., with the trials of the batch of each search."""
        rewards = np.array([[trial.score.value for trial in own] for own in scored])
        self.baseline = self.baseline.after(rewards, self.config.baseline_decay)
        drawn = [[trial.architecture for trial in own] for own in scored]
        self.controller.ascend(drawn, rewards - self.baseline.value[:, None], self.config.entropy_weight)


def idle(config: Config, space: SearchSpace) -> Idle:
    """Settings that change nothing beside the others, and why, in words."""
    return without_lstm(config)


def side_by_side(config: Config, space: SearchSpace, draw: Draw, rngs: Sequence[Random]) -> SideBySide:
    """Searches at their beginning, one a stream. draw: within the limits."""
    return SideBySide(config, space, draw, rngs)


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> Learner:
    """A search at its beginning. draw: within the limits."""
    return Learner(SideBySide(config, space, draw, [rng]))
