"""Costs of many architectures at once, as arrays: looked up by place, where a family says its places.

The costs of all parts that may stand at a place are counted once; those of a network are their sums, and the largest
for the maps that live at one time. They equal `scoring.cost.count` to the last digit. Where a family says no places,
every network is counted by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dartboard.scoring.latency import LatencyTable
from dartboard.scoring.limits import Limit
from dartboard.spaces.columns import ABSENT, Columns, Flags, Rows
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.places import NUMBER_BYTES, Part, Place
from dartboard.spaces.search_space import Architecture, SearchSpace

if TYPE_CHECKING:
    from dartboard.scoring.cost import Cost

MB = 10**6  # bytes
FLOAT_BITS = 32
Costs = Mapping[str, NDArray[Any]]  # by the name of a limit: (N,)
Counts = Callable[[Rows], Costs]


@dataclass(frozen=True)
class Lookup:
    """The costs of the parts at a place. columns: that decide, (k,); steps: what a place in each counts, (k,); numbers:
    of each setting parameters, multiply-adds, bit operations, bytes of weights and of maps that live at one time,
    (settings, 5); layers_ms: what its layers add to latency, (settings,)."""

    columns: NDArray[np.int64]
    steps: NDArray[np.int64]
    numbers: NDArray[np.int64]
    layers_ms: NDArray[np.float64]

    def at(self, rows: Rows) -> NDArray[np.int64]:
        """(N,): the setting of each row."""
        return (rows[:, self.columns].astype(np.int64) - ABSENT) @ self.steps


def lookup_of(place: Place, columns: Columns, table: LatencyTable | None) -> Lookup:
    """All parts that may stand at a place. Raises InputError for a layer that the table lacks."""
    choices = tuple(choice for choice in columns.space.choices if choice.name in place.names)
    part_of = Columns(SearchSpace("place", "", choices, family=columns.space.family))
    names = [choice.name for choice in columns.space.choices]
    own = np.array([names.index(choice.name) for choice in choices], dtype=np.int64)
    radix = part_of.options + 1  # with ABSENT
    steps = np.concatenate([[1], np.cumprod(radix)[:-1]]).astype(np.int64) if len(radix) else radix
    size = int(np.prod(radix))
    found = Lookup(own, steps, np.zeros((size, 5), dtype=np.int64), np.zeros(size))
    architectures = list(part_of.space.enumerate())
    settings = (part_of.rows(architectures).astype(np.int64) - ABSENT) @ steps
    for setting, architecture in zip(settings, architectures, strict=True):
        part = place.part(dict(architecture.choices))
        if part is not None:
            found.numbers[setting] = numbers_of(columns.space.family, part)
            if table is not None:
                found.layers_ms[setting] = sum(map(table.adds_ms, part.layers))
    return found


def numbers_of(family: str, part: Part) -> tuple[int, int, int, int, int]:
    """What a Lookup has of a part: by its counts, or by those of its layers' modules."""
    if part.counts is not None:
        one = part.counts
        weights, live = NUMBER_BYTES * (one.params + one.statistics), NUMBER_BYTES * one.live
        return one.params, one.macs, FLOAT_BITS**2 * one.macs, weights, live
    from dartboard.scoring.cost import summed

    params, macs, _, bitops, weights, live = summed(family, part.layers)
    return params, macs, bitops, weights, live


def counting(
    columns: Columns, sizes: Mapping[str, int], count: "Callable[[Architecture], Cost]",
    table: LatencyTable | None = None,
) -> Counts:  # fmt: skip
    """What gives the costs of rows, by the names of limits; latencies if there is a table.

    sizes: of the networks, as a table has them; count: of one network, with its latency, for families that say no
    places. Raises InputError for a table that lacks a layer.
    """
    places_of = FAMILIES[columns.space.family].places
    if places_of is None:
        return lambda rows: one_by_one(columns.architectures(rows), count)
    lookups = [lookup_of(place, columns, table) for place in places_of(columns.space, sizes)]

    def counts(rows: Rows) -> Costs:
        settings = [lookup.at(rows) for lookup in lookups]
        pairs = list(zip(lookups, settings, strict=True))
        parts = np.stack([lookup.numbers[setting] for lookup, setting in pairs])  # (places, N, 5)
        params, macs, bitops, weights = (parts[:, :, number].sum(axis=0) for number in range(4))
        memory = weights + parts[:, :, 4].max(axis=0)
        found: dict[str, NDArray[Any]] = {"params": params, "macs": macs, "bitops": bitops, "memory_mb": memory / MB}
        if table is not None:  # equation (1) of scoring/latency.py
            layers_ms = np.stack([lookup.layers_ms[setting] for lookup, setting in pairs]).sum(axis=0)
            found["latency_ms"] = np.asarray(table.line.constant_ms + layers_ms)
        return found

    return counts


def one_by_one(architectures: Sequence[Architecture], count: "Callable[[Architecture], Cost]") -> Costs:
    """The costs of architectures, each counted by itself."""
    costs = [count(one) for one in architectures]
    names = ["params", "macs", "memory_mb", "bitops"]
    names += ["latency_ms"] if costs and costs[0].latency_ms is not None else []
    return {name: np.array([getattr(cost, name) for cost in costs]) for name in names}


def within(counts: Counts, limits: Sequence[Limit]) -> Callable[[Rows], Flags]:
    """What says which rows are within all limits, (N,); they are counted only if there are some."""

    def fit(rows: Rows) -> Flags:
        if not limits or not len(rows):
            return np.ones(len(rows), dtype=np.bool_)
        costs = counts(rows)
        return np.asarray(np.logical_and.reduce([costs[limit.name] <= limit.at_most for limit in limits]))

    return fit
