"""NAS with reinforcement learning (Zoph, Le: Neural Architecture Search with Reinforcement Learning, ICLR 2017,
arXiv 1611.01578), the convolutional part: sections 3.1 to 3.3 and 4.1.

An LSTM writes down a network layer by layer: height and width of the filters, their stride, their number, and from
which earlier layers the layer takes its input. Each network, a child, is trained, and what it reaches on the
validation images is the reward by which REINFORCE makes networks like it likelier. They get deeper over time.

The algorithm, as `search` runs it:
    until there are n children:
        1. draw a batch of children from p(a; theta), as deep as the schedule says for each
        2. train them; R(a), the best validation accuracy of the last 5 epochs, cubed
        3. b, the moving average of all rewards, these included
        4. ascend with Adam:  1/m sum over the batch of  (R(a) - b) sum_t grad log p(a_t | a_1 ... a_(t-1); theta)
    return the a with the largest R(a)

Symbols: theta, the weights of the LSTM; p, its distribution over children (search/anchors.py); a_t, its decisions,
anchors included; R, the reward; b, the baseline; m, `batch`; n, `trials`; H, the entropy of p; beta, `entropy_weight`.

Departures from the paper; it has no code:
    1. It trained 12,800 children of 50 epochs, 800 at a time on as many GPUs. These are the defaults, too; on the
       digits a search has 24 children of 5 epochs and a quarter of the filters, and depth grows after 8.
    2. Its 100 controllers send their gradients, each of 8 children, to 20 parameter servers as they come. Here there is
       one controller, and a batch is used in the order of its numbers, whoever trained it.
    3. The decay of its baseline is not published; the default is the house's choice.
    4. Its children learn with Nesterov's momentum, a learning rate of 0.1 and weight decay 1e-4 (from memory); here
       with this rate and decay, on the cosine and with the plain momentum of `dartboard train`.
    5. A stride is one number, for height and width.
    6. In spaces without anchors the LSTM walks the choices (search/lstm.py), and nothing grows.
    7. With limits, children are drawn until one is within them, or after 1,000 draws uniformly of the same depth;
       p does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np
from torch import nn

from dartboard.config import Idle, check_ranges
from dartboard.data import Data
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.scoring.limits import Limit, limits_from
from dartboard.scoring.scorers import Scorer
from dartboard.search import trial_log, trials
from dartboard.search.anchors import OfAnchors
from dartboard.search.controllers import Array, Controller
from dartboard.search.learners import Baseline, Learner
from dartboard.search.lstm import Lstm, LstmController
from dartboard.search.proposals import Draw, Trial, drawing
from dartboard.search.trials import Result
from dartboard.spaces.nas_rl import at_depth
from dartboard.spaces.search_space import Architecture, SearchSpace

# On the digits a search ends within minutes, and still grows twice (departure 1).
SMALL = {"trials": 24, "batch": 4, "depth_every": 8, "channels": 6}
PRESETS = {kind: {**values, **(SMALL if values else {})} for kind, values in trials.PRESETS.items()}
PAPER = {"trials": 12_800, "batch": 8, "depth_every": 1_600, "channels": 24, "epochs": 50}  # --preset paper


@dataclass(frozen=True)
class Config(trials.Settings):
    """Settings of NAS with RL. The defaults are those of Zoph and Le, section 4.1, where nothing else is said."""

    trials: int = 12_800
    """children that are trained (section 4.1)"""
    best_of_last: int = 5
    """a child's accuracy is the best on the validation images after one of so many epochs at its end (section 4.1)"""
    lr: float = 0.1
    """learning rate of a child at the start (0.1, from memory)"""
    weight_decay: float = 1e-4
    """weight decay of a child (1e-4, from memory)"""
    reward_power: float = 3.0
    """the reward is the accuracy to this power (section 4.1: cubed)"""
    batch: int = 8
    """m, children that are drawn before the controller moves (section 4.1: 8 a replica)"""
    depth_start: int = 6
    """layers of the first children (section 4.1)"""
    depth_step: int = 2
    """layers by which children grow each time (section 4.1)"""
    depth_every: int = 1_600
    """children after which the next ones have more layers, up to those of the space (section 4.1)"""
    controller_lr: float = 6e-4
    """learning rate of the controller's Adam (section 4.1)"""
    baseline_decay: float = 0.95
    """share of the baseline that stays at each reward (the house's choice: the paper does not say)"""
    entropy_weight: float = 0.0
    """beta, the weight of the entropy, anchors included (0: the paper has none)"""
    lstm_units: int = 35
    """units of each layer of the LSTM (section 4.1)"""
    lstm_layers: int = 2
    """layers of the LSTM (section 4.1)"""
    lstm_init: float = 0.08
    """the LSTM's weights begin uniformly between this and its negative (section 4.1)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, controller_lr="(0, inf)", baseline_decay="[0, 1)", entropy_weight="[0, inf)")
        check_ranges(self, batch="[1, 1e6]", lstm_units="[1, 4096]", lstm_layers="[1, 64]", lstm_init="(0, inf)")
        check_ranges(self, reward_power="(0, 100]", depth_step="[1, 1000]", depth_every="[1, 1e9]")


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

    data: None if a table scores; supernet: one whose weights score; scorer: another accuracy; limits: beside those of
    the config. Raises InputError if nothing fits the limits, for a depth that the space has not and for what cannot
    score, CannotContinueError if the loss of a training is not finite.
    """
    scoring = trials.scoring_of(config, space, data, run, supernet, scorer)
    draw = drawing(space, (*limits_from(config.limit), *limits), scoring.cost)
    learner = proposer(config, space, draw, trials.first_stream(run.seed))
    state = trials.begin(run, learner)
    if state.done == 0:
        trial_log.log_start(run, learner.probabilities())
    with trials.at_work(config, run, state, scoring) as score_all:
        for numbers in trials.batches(state, config.trials, config.batch):
            # 1. draw a batch of children from p(a; theta), as deep as the schedule says
            a = learner.ask(trials.streams(run, numbers))
            # 2. train them
            scores = score_all(numbers, a)
            # 2., 3. and 4. cube, move the baseline, then ascend the gradient
            learner.tell(scores)
            trial_log.log_probabilities(run, numbers, config.trials, learner.probabilities)
    # return the a with the largest R(a)
    return trials.finish(run, state, scoring)


def reward(accuracy: Array, power: float) -> Array:
    """R, of the best validation accuracy of the last epochs: its cube (section 4.1)."""
    return accuracy**power


def depth_of(config: Config, number: int) -> int:
    """The layers of the child of that number, from 0 (section 4.1)."""
    return config.depth_start + config.depth_step * (number // config.depth_every)


def offered(config: Config, depths: Sequence[int], number: int) -> int:
    """The layers of the child of that number, from 0, as far as the space offers them."""
    return max(one for one in depths if one <= depth_of(config, number))


def middle(config: Config, space: SearchSpace) -> SearchSpace:
    """What the child in the middle of a search is drawn from, by which a dry run estimates all."""
    depths = depths_of(space)
    fits = config.depth_start in depths
    return at_depth(space, offered(config, depths, config.trials // 2)) if fits else space


def depths_of(space: SearchSpace) -> tuple[int, ...]:
    """The depths that a space offers to grow through; none where networks do not grow."""
    first = space.choices[0]
    anchored = any(".skip." in choice.name for choice in space.choices)
    return tuple(first.options) if first.name == "depth" and anchored else ()


def idle(config: Config, space: SearchSpace) -> Idle:
    """Settings that change nothing beside the others, and why, in words."""
    names = ("depth_start", "depth_step", "depth_every")
    return () if depths_of(space) else ((names, f"nothing grows in {space.name}"),)


class SideBySide:
    """The controllers and baselines of R searches that know nothing of each other. rngs: of each search.

    held: "done": how many children each has had, (R,), by which their depth goes.
    """

    def __init__(self, config: Config, space: SearchSpace, draw: Draw, rngs: Sequence[Random]) -> None:
        self.config, self.space, self.draw, self.depths = config, space, draw, depths_of(space)
        if self.depths and config.depth_start not in self.depths:
            least, most = min(self.depths), max(self.depths)
            text = f"--depth-start is {config.depth_start}; networks of {space.name} have {least} to {most} layers"
            raise InputError(f"{text}, give one of these numbers")
        sizes = (config.lstm_units, config.lstm_layers, config.lstm_init)
        make = OfAnchors if self.depths else Lstm
        self.networks = LstmController(space, rngs, config.controller_lr, *sizes, make)
        self.controller: Controller = self.networks
        self.baseline = Baseline(np.zeros(len(rngs)))
        self.held: dict[str, Array] = {"done": np.zeros(len(rngs))}
        self.parts: dict[int, SearchSpace] = {}  # by depth

    def part(self, number: int) -> SearchSpace:
        """What the child of that number is drawn from: networks of its depth, or all."""
        if not self.depths:
            return self.space
        depth = offered(self.config, self.depths, number)
        return self.parts.setdefault(depth, at_depth(self.space, depth))

    def ask(self, rngs: Sequence[Sequence[Random]]) -> list[list[Architecture]]:
        """1.: a batch for each search, within the limits; rngs: of each child of each."""
        found = []
        for network, done, own in zip(self.networks.networks, self.held["done"], rngs, strict=True):
            parts = [self.part(int(done) + place) for place in range(len(own))]
            found.append(
                [self.draw(rng, partial(network.propose, one), one) for rng, one in zip(own, parts, strict=True)]
            )
        return found

    def tell(self, scored: Sequence[Sequence[Trial]]) -> None:
        """2. to 4., with the children of the batch of each search."""
        rewards = reward(np.array([[trial.score.value for trial in own] for own in scored]), self.config.reward_power)
        self.baseline = self.baseline.after(rewards, self.config.baseline_decay)
        drawn = [[trial.architecture for trial in own] for own in scored]
        self.controller.ascend(drawn, rewards - self.baseline.value[:, None], self.config.entropy_weight)
        self.held["done"] = self.held["done"] + rewards.shape[1]


def side_by_side(config: Config, space: SearchSpace, draw: Draw, rngs: Sequence[Random]) -> SideBySide:
    """Searches at their beginning, one a stream. draw: within the limits."""
    return SideBySide(config, space, draw, rngs)


def proposer(config: Config, space: SearchSpace, draw: Draw, rng: Random) -> Learner:
    """A search at its beginning. draw: within the limits."""
    return Learner(SideBySide(config, space, draw, [rng]))
