"""What a search over relaxed architectures does about costs: limits on what it derives, a term in alpha's loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from torch import Tensor

from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.runs.streams import stream_seed
from dartboard.scoring.cost import cost_of
from dartboard.scoring.edge_costs import EdgeCosts, edge_costs
from dartboard.scoring.limits import limits_from
from dartboard.search.expected_cost import ExpectedCost, expected_cost
from dartboard.search.limited_derivation import Limited, Weights, first_within
from dartboard.spaces.search_space import Architecture, SearchSpace


class Settings(Protocol):
    """What a method's config says of costs, and the sizes at which they are counted."""

    @property
    def channels(self) -> int: ...
    @property
    def cells(self) -> int: ...
    @property
    def limit(self) -> str: ...
    @property
    def cost_weight(self) -> float: ...


@dataclass(frozen=True)
class Goals:
    """limited: None without a limit; expected: None without a weight. With neither, nothing here changes anything."""

    limited: Limited | None = None
    expected: ExpectedCost | None = None

    def within(self, weights: Weights, derived: Architecture) -> Architecture:
        """What is derived within the limits. derived: without them."""
        return derived if self.limited is None else self.limited.most_probable(weights, derived)

    def added(self, gradients: Sequence[Tensor], alpha: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """The gradients in alpha with those of the expected cost."""
        return gradients if self.expected is None else self.expected.added(gradients, alpha)

    def numbers(self, alpha: Mapping[str, Tensor]) -> dict[str, float]:
        """What the line of an epoch says of the cost."""
        return {} if self.expected is None else {"expected_macs": self.expected.macs(alpha)}


def goals_of(config: Settings, space: SearchSpace, data: Data, run: Run, alpha: Mapping[str, Tensor]) -> Goals:
    """What the config says; alpha gives the device and the number format.

    Raises InputError for a limit that nothing is within, and for a space whose costs are no sums over edges.
    """
    if not config.limit.strip() and config.cost_weight == 0.0:
        return Goals()
    edges, like = edges_of(config, space, data), next(iter(alpha.values()))
    expected = expected_cost(space, edges, config.cost_weight, like) if config.cost_weight else None
    if not (limits := limits_from(config.limit)):
        return Goals(expected=expected)
    cost = partial(cost_of, config.channels, config.cells, data)
    seed = stream_seed(run.seed, "derivation", 0)
    first = first_within(space, limits, cost, edges, Random(seed))
    return Goals(Limited(space, limits, cost, edges, first, lambda: Random(seed)), expected)


def check(config: Settings, space: SearchSpace, data: Data, rng: Random) -> None:
    """Raises InputError as `goals_of`, before anything runs."""
    if config.limit.strip() or config.cost_weight:
        edges = edges_of(config, space, data)
        if limits := limits_from(config.limit):
            first_within(space, limits, partial(cost_of, config.channels, config.cells, data), edges, rng)


def edges_of(config: Settings, space: SearchSpace, data: Data) -> EdgeCosts:
    """What operations on edges cost at the sizes of the search."""
    return edge_costs(space, config.channels, config.cells, data.num_classes, data.image_size, data.channels)
