"""How the controller of ENAS learns from rewards: REINFORCE with a moving baseline, a penalty of skip connections.

Pham et al. (arXiv 1802.03268), as in the authors' code (melodyguan/enas). Symbols: a, an architecture that was drawn;
p, the controller's distribution; theta, its weights; R, the reward; b, the baseline; H, the entropy met on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import torch
from torch import Tensor

from dartboard.config import check_ranges
from dartboard.runs.run import Run
from dartboard.search import epoch_log, paths, supernets
from dartboard.search.enas_controllers import Controller, ControllerSettings, Decided, drawn, initial, met, options_of
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.training.optimizers import Adam, clip

SHOWN = 20  # draws whose probabilities the page shows, on average


@dataclass(frozen=True)
class LearningSettings(ControllerSettings):
    """How the controller learns. Defaults: the authors' micro search (scripts/cifar10_micro_search.sh)."""

    controller_steps: int = 30
    """steps of the controller after each epoch (--controller_train_steps 30; macro, NAS-Bench-201 50)"""
    controller_samples: int = 10
    """architectures drawn for each of them (--controller_num_aggregate 10; macro, NAS-Bench-201 20)"""
    controller_lr: float = 0.0035
    """learning rate of the controller's Adam (--controller_lr 0.0035; macro, NAS-Bench-201 0.001)"""
    controller_beta1: float = 0.0
    """first beta of the controller's Adam (code)"""
    controller_beta2: float = 0.999
    """second beta of the controller's Adam (code)"""
    controller_eps: float = 1e-3
    """epsilon of the controller's Adam (code)"""
    controller_clip: float | None = None
    """largest global norm of the controller's gradient; none: as it is (code; NAS-Bench-201's code 5)"""
    baseline_decay: float = 0.99
    """share of the baseline that stays at each reward (code)"""
    entropy_weight: float = 1e-4
    """beta, the weight of the entropy in the reward (--controller_entropy_weight)"""
    entropy: Literal["met", "taken"] = "met"
    """H: of the distributions met (micro); or the sum of -p log p of the options that were taken (macro's code)"""
    skip_weight: float = 0.8
    """gamma, in enas_macro: the weight of the penalty of skip connections (--controller_skip_weight)"""

    def check(self) -> None:
        super().check()
        check_ranges(self, controller_steps="[0, 1e6]", controller_samples="[1, 1e6]", controller_lr="(0, inf)")
        check_ranges(self, controller_beta1="[0, 1)", controller_beta2="[0, 1)", controller_eps="(0, inf)")
        check_ranges(self, controller_clip="(0, inf)", baseline_decay="[0, 1)", entropy_weight="[0, inf)")
        check_ranges(self, skip_weight="[0, inf)")


def zeros() -> dict[str, Tensor]:
    return {name: torch.zeros((), dtype=torch.double) for name in ("baseline", "steps", "reward", "entropy")}


@dataclass
class State(supernets.State):
    """What changes in a search by ENAS: the weights, theta with its Adam, and what is known of its draws.

    told: the baseline; of this epoch the steps of the controller so far, and the sums of rewards and entropies.
    """

    controller: Controller
    adam: torch.optim.Optimizer
    told: dict[str, Tensor] = field(default_factory=zeros)

    def next_epoch(self) -> None:
        self.place.next_epoch()
        for name in ("steps", "reward", "entropy"):
            self.told[name].zero_()


def beginning(config: LearningSettings, space: SearchSpace, run: Run) -> tuple[Controller, torch.optim.Optimizer]:
    """theta and its Adam at the start of a run."""
    controller = initial(space, config, run.generator("controller", 0))
    betas = (config.controller_beta1, config.controller_beta2)
    return controller, Adam(controller.parameters(), config.controller_lr, betas=betas, eps=config.controller_eps)


@torch.no_grad()
def draw(controller: Controller, rng: Random) -> Architecture:
    """An architecture from p(a; theta)."""
    found: Decided = controller(drawn(rng))
    return found.architecture


def update(config: LearningSettings, state: State, run: Run, accuracy: Callable[[Architecture, int], float]) -> None:
    """One step of theta, by several draws. accuracy: of a draw, by the number that it has in the run, from 0."""
    done = state.place.epoch * config.controller_steps + int(state.told["steps"])
    for number in range(done * config.controller_samples, (done + 1) * config.controller_samples):
        found = state.controller(drawn(paths.stream(run, "controller", number)))
        value = reward(config, accuracy(found.architecture, number), found)
        state.told["baseline"] = moved(config, state.told["baseline"], value)
        state.told["reward"] += value
        state.told["entropy"] += found.entropy
        (loss(config, found, value, float(state.told["baseline"])) / config.controller_samples).backward()  # type: ignore[no-untyped-call]
    if config.controller_clip is not None:
        clip([one.grad for one in state.controller.parameters() if one.grad is not None], config.controller_clip)
    state.adam.step()
    state.adam.zero_grad()
    state.told["steps"] += 1


# --- The equations ----------------------------------------------------------------------------------------------------


def reward(config: LearningSettings, accuracy: float, found: Decided) -> float:
    """R(a) = accuracy + beta H."""
    entropy = found.entropy if config.entropy == "met" else found.taken_entropy
    return accuracy + config.entropy_weight * entropy


def moved(config: LearningSettings, baseline: Tensor, value: float) -> Tensor:
    """b - (1 - decay) (b - R), which the draw at hand is then compared with."""
    return baseline - (1 - config.baseline_decay) * (baseline - value)


def loss(config: LearningSettings, found: Decided, value: float, baseline: float) -> Tensor:
    """-(R(a) - b) log p(a; theta) + gamma S(a)."""
    return -(value - baseline) * found.log_p + config.skip_weight * found.penalty


# --- What a run writes of it ------------------------------------------------------------------------------------------


def log_start(state: State, run: Run) -> None:
    """The line before the first step, with the names of choices and options; a run that is resumed has it already."""
    if state.place.step == 0:
        options = options_of(state.space)
        labels = epoch_log.Labels(list(options), [[str(one) for one in row] for row in options.values()])
        epoch_log.log_start(run, tables(state, run), None, state.space, {"probabilities": labels})


def tables(state: State, run: Run) -> dict[str, list[Tensor]]:
    """The controller's probabilities of each choice, on average over some draws: those of most depend on others."""
    rngs = [paths.stream(run, f"shown-{state.place.epoch}", number) for number in range(SHOWN)]
    return {"probabilities": list(met(state.controller, rngs).values())}


def numbers(config: LearningSettings, state: State) -> dict[str, float]:
    """Of an epoch: the mean reward and entropy of its draws, and the baseline after them."""
    draws = int(state.told["steps"]) * config.controller_samples
    means = {name: float(state.told[name]) / draws for name in ("reward", "entropy") if draws}
    return {**means, "baseline": float(state.told["baseline"])}
