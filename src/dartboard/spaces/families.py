"""What the rest of the house asks of a family of spaces, whatever its architectures are: one entry in a plain table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dartboard.spaces import darts, nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace

Mixed = Mapping[str, Sequence[Sequence[str]]]  # by kind of cell, of every edge: the columns of its mixture weights


@dataclass(frozen=True)
class Family:
    """notation: the one people write its architectures in (a key of formats.NOTATIONS).

    sizes: of the networks whose counts papers report: channels, cells, num_classes, image_size by the network's name.
    lines: an architecture in words. mixed: what the relaxed form of a space mixes. derive: (mixture weights, mixed) ->
    the architecture that is read off them.
    """

    notation: str
    sizes: Mapping[str, Mapping[str, int]]
    lines: Callable[[Architecture], list[str]]
    mixed: Callable[[SearchSpace], Mixed]
    derive: Callable[[Mapping[str, Sequence[Sequence[float]]], Mixed], Architecture]


FAMILIES: dict[str, Family] = {
    "darts": Family(
        notation="quark0",
        sizes={
            "cifar": {"channels": 36, "cells": 20, "num_classes": 10, "image_size": 32},
            "imagenet": {"channels": 48, "cells": 14, "num_classes": 1000, "image_size": 224},
        },
        lines=darts.lines,
        mixed=darts.mixed,
        derive=darts.derive,
    ),
    "nasbench201": Family(
        notation="nasbench201",
        sizes={"cifar": {"channels": 16, "cells": 17, "num_classes": 10, "image_size": 32}},
        lines=nasbench201.lines,
        mixed=nasbench201.mixed,
        derive=nasbench201.derive,
    ),
}
