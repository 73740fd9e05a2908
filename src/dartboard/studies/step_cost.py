"""What a step of a method computes, counted: the passes that its record names, through networks of a space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from statistics import fmean

import torch

from dartboard.methods import method_module
from dartboard.methods.explained.record import BOTH_WAYS, DRAWN, MIXTURE, PATH, SANDWICH, TRAINING, Passes
from dartboard.scoring.cost import Cost, count, count_module, shape_of_supernet
from dartboard.search.shrinking import opened, phases_to
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace

DRAWS = 20  # over which what is drawn is averaged
IMAGE_SIZE, NUM_CLASSES = 32, 10  # of CIFAR-10


@dataclass(frozen=True)
class StepCost:
    """macs: multiply-adds of one image going forward once, the mean over `draws`; params: of all that is held;
    map_values: numbers in the results of its convolutions, of one image; count: how often a batch goes through."""

    name: str
    count: int
    macs: float
    params: float
    map_values: float
    draws: int

    @property
    def forward_macs(self) -> float:
        """Multiply-adds of all forward passes of a step, for one image of each batch."""
        return self.count * self.macs

    @property
    def step_macs(self) -> float:
        """Multiply-adds of a step, forward and backward, for one image of each batch."""
        return BOTH_WAYS * self.forward_macs


def sizes_of(method: str, space: SearchSpace) -> dict[str, int]:
    """Channels and cells of the method's search on a space, if no flag is given."""
    module, family = method_module(method), FAMILIES[space.family]
    config, own = module.Config(), getattr(module, "ON_FAMILY", {}).get(space.family, {})
    sizes = {"channels": config.channels, "cells": config.cells}
    return sizes | {
        name: value
        for table in (family.defaults, own, family.needs(space))
        for name, value in table.items()
        if name in sizes and isinstance(value, int)
    }


def counted(passes: Passes, space: SearchSpace, sizes: Mapping[str, int]) -> StepCost:
    """The cost of a step's passes. Raises InputError for sizes of which the space has no network."""
    draws = 1 if passes.through == MIXTURE else DRAWS
    space = opened(space, phases_to(passes.phase)[-1]) if passes.phase else space
    found = WAYS[passes.through](space, sizes["channels"], sizes["cells"], draws)
    macs, params, values = (fmean(getattr(one, name) for one in found) for name in ("macs", "params", "map_values"))
    return StepCost(passes.name, passes.count, macs, params, values, draws)


def of_mixture(space: SearchSpace, channels: int, cells: int, draws: int) -> list[Cost]:
    """All operations mixed."""
    module = shape_of_supernet(space, channels, cells, NUM_CLASSES, 3)
    choice = {kind: torch.zeros(shape) for kind, shape in module.choice_shapes().items()}
    return [count_module(module, IMAGE_SIZE, 3, choice)]


def of_drawn(space: SearchSpace, channels: int, cells: int, draws: int) -> list[Cost]:
    """One operation an edge, each as likely as another."""
    module, mixed = shape_of_supernet(space, channels, cells, NUM_CLASSES, 3), FAMILIES[space.family].mixed(space)
    found = []
    for seed in range(draws):
        rng = Random(seed)
        choice = {kind: [rng.choice(row) for row in rows] for kind, rows in mixed.items()}
        found.append(count_module(module, IMAGE_SIZE, 3, choice))
    return found


def of_path(space: SearchSpace, channels: int, cells: int, draws: int) -> list[Cost]:
    """Paths of architectures that are drawn uniformly."""
    module = shape_of_supernet(space, channels, cells, NUM_CLASSES, 3)
    return [count_module(module, IMAGE_SIZE, 3, space.sample(Random(seed))) for seed in range(draws)]


def of_sandwich(space: SearchSpace, channels: int, cells: int, draws: int) -> list[Cost]:
    """The largest and the smallest path as often as two that are drawn uniformly."""
    module = shape_of_supernet(space, channels, cells, NUM_CLASSES, 3)
    ends = [count_module(module, IMAGE_SIZE, 3, one) for one in (space.largest(), space.smallest())]
    return ends * (draws // 2) + of_path(space, channels, cells, draws)


def of_training(space: SearchSpace, channels: int, cells: int, draws: int) -> list[Cost]:
    """Networks of architectures that are drawn uniformly."""
    sizes = {"channels": channels, "cells": cells, "num_classes": NUM_CLASSES, "image_size": IMAGE_SIZE}
    network = next(iter(FAMILIES[space.family].sizes))
    return [count(space.sample(Random(seed)), network, **sizes) for seed in range(draws)]


Way = Callable[[SearchSpace, int, int, int], list[Cost]]
WAYS: dict[str, Way] = {
    MIXTURE: of_mixture,
    DRAWN: of_drawn,
    PATH: of_path,
    SANDWICH: of_sandwich,
    TRAINING: of_training,
}
