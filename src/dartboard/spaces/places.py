"""Places in the networks of a space, as plain data: where a part may stand that a few choices decide.

Where the costs of a network are sums over its places, those of many networks are looked up: all parts that may stand at
a place are few, though the networks are many.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dartboard.spaces.search_space import Value
from dartboard.spaces.timed_layers import Layer

NUMBER_BYTES = 4  # float32


@dataclass(frozen=True)
class Counts:
    """params: trainable numbers; macs: multiply-adds of an image, of 32 bits; statistics: numbers of BatchNorm; live:
    the most numbers in maps at one time, of which a network has the largest of its parts."""

    params: int
    macs: int
    statistics: int
    live: int


@dataclass(frozen=True)
class Part:
    """What stands at a place. layers: by which its latency is summed up; counts: what it costs; None where that is to
    be counted on the modules of its layers."""

    layers: tuple[Layer, ...]
    counts: Counts | None = None


@dataclass(frozen=True)
class Place:
    """names: of the choices that decide what stands here, with those by which they exist; part: what it is, of the
    values of those that exist, or None where nothing stands."""

    names: tuple[str, ...]
    part: Callable[[Mapping[str, Value]], Part | None]
