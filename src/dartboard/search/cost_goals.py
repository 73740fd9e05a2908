"""What a search over relaxed architectures does about costs: limits on what it derives, a term in alpha's loss."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Protocol

from torch import Tensor

from dartboard.data import Data
from dartboard.runs.run import Run
from dartboard.runs.streams import stream_seed
from dartboard.scoring.cost import Cost, cost_of
from dartboard.scoring.edge_costs import EdgeCosts, edge_costs, with_latencies
from dartboard.scoring.latency import LatencyTable, sizes_on, table_for, with_latency
from dartboard.scoring.limits import LATENCY, limits_from
from dartboard.search.expected_cost import ExpectedCost, expected_cost
from dartboard.search.given_tables import note_latency
from dartboard.search.limited_derivation import Limited, Weights, first_within
from dartboard.search.trial_log import NEXT_BEST, text_of
from dartboard.spaces.search_space import Architecture, SearchSpace

RUNNERS_UP = 11  # architectures beside the result


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
    @property
    def latency(self) -> str | None: ...


@dataclass(frozen=True)
class Goals:
    """limited: None without a limit; expected: None without a weight; table: of latencies, None without one. With none
    of them, nothing here changes anything."""

    limited: Limited | None = None
    expected: ExpectedCost | None = None
    table: LatencyTable | None = None

    def within(self, weights: Weights, derived: Architecture) -> Architecture:
        """What is derived within the limits. derived: without them."""
        return derived if self.limited is None else self.limited.most_probable(weights, derived)

    def added(self, gradients: Sequence[Tensor], alpha: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """The gradients in alpha with those of the expected cost."""
        return gradients if self.expected is None else self.expected.added(gradients, alpha)

    def numbers(self, alpha: Mapping[str, Tensor], derived: Architecture) -> dict[str, float]:
        """What the line of an epoch says of costs."""
        expected = {} if self.expected is None else {"expected_macs": self.expected.macs(alpha)}
        return {**expected, **self.latency(derived)}

    def latency(self, derived: Architecture) -> dict[str, float]:
        """The latency of an architecture by the table, for a line of the metrics."""
        return {} if self.table is None else {LATENCY: self.table.predict_ms(derived)}

    def of_result(self, weights: Weights, found: Architecture) -> dict[str, Any]:
        """What the line of the result says of costs: latency, and where that is limited the next best within the
        limits, for the case that what was found misses them when it is measured."""
        latency = self.latency(found)
        if self.limited is None or all(limit.name != LATENCY for limit in self.limited.limits):
            return latency
        return {**latency, NEXT_BEST: [text_of(one) for one in self.limited.next_best(weights, found, RUNNERS_UP)]}


def goals_of(config: Settings, space: SearchSpace, data: Data, run: Run, alpha: Mapping[str, Tensor]) -> Goals:
    """What the config says; alpha gives the device and the number format.

    Raises InputError for a limit that nothing is within, for a space whose costs are no sums over edges, and for a
    table of latencies that does not serve, or is not that of the run's start.
    """
    table = table_of(config, space, data)
    note_latency(run, config.latency)
    if not config.limit.strip() and config.cost_weight == 0.0:
        return Goals(table=table)
    edges, like = edges_of(config, space, data, table), next(iter(alpha.values()))
    expected = expected_cost(space, edges, config.cost_weight, like) if config.cost_weight else None
    if not (limits := limits_from(config.limit)):
        return Goals(expected=expected, table=table)
    cost, seed = costs_of(config, data, table), stream_seed(run.seed, "derivation", 0)
    first = first_within(space, limits, cost, edges, Random(seed))
    return Goals(Limited(space, limits, cost, edges, first, lambda: Random(seed)), expected, table)


def check(config: Settings, space: SearchSpace, data: Data, rng: Random) -> None:
    """Raises InputError as `goals_of`, before anything runs."""
    table = table_of(config, space, data)
    if config.limit.strip() or config.cost_weight:
        edges = edges_of(config, space, data, table)
        if limits := limits_from(config.limit):
            first_within(space, limits, costs_of(config, data, table), edges, rng)


def table_of(config: Settings, space: SearchSpace, data: Data) -> LatencyTable | None:
    """The table of latencies, if the settings name one. Raises InputError for one that does not serve."""
    if config.latency is None:
        return None
    return table_for(config.latency, space, sizes_on(data, config.channels, config.cells))


def costs_of(config: Settings, data: Data, table: LatencyTable | None) -> Callable[[Architecture], Cost]:
    """Counts of an architecture's network at the sizes of the search, with its latency if there is a table."""
    return with_latency(partial(cost_of, config.channels, config.cells, data), table)


def edges_of(config: Settings, space: SearchSpace, data: Data, table: LatencyTable | None) -> EdgeCosts:
    """What operations on edges cost at the sizes of the search."""
    found = edge_costs(space, config.channels, config.cells, data.num_classes, data.image_size, data.channels)
    return found if table is None else with_latencies(found, space, table)
