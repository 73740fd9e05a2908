"""Tables of latency: what every layer of a space takes on one device, and the latency of a network by their sum.

    latency(network) = constant + sum over its layers of (slope * median + reordering * numbers of its map)          (1)

A layer that is timed by itself finds its map and its weights in the cache, and a network has calls around its layers:
so constant and slope are fitted on networks timed as a whole. onnxruntime computes in a layout of its own, into which a
layer by itself has to bring its map, and its result back, and a layer inside a network does not: `reordering`, which is
then negative, is fitted with them; with torch it is 0. Tables of layers that are added up are Once-for-All's (Cai et
al., ICLR 2020); slope and reordering are this house's. Nothing here imports torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dartboard.errors import InputError
from dartboard.paths import quoted
from dartboard.runs.json_files import read_json
from dartboard.scoring.conditions import Conditions as Conditions
from dartboard.scoring.cost_by_table import CostByTable
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.spaces.timed_layers import Between, Layer, TimedLayers

if TYPE_CHECKING:
    from dartboard.data import Data
    from dartboard.scoring.cost import Cost

FORMAT = "dartboard latency table 1"
OTHERWISE = "give a file of dartboard latency build"
MAX_DAMAGE = "it is no table of latencies; make one with: dartboard latency build --space S"


@dataclass(frozen=True)
class Line:
    """Milliseconds as a straight line of a number, and of how many millions of numbers are brought into a layout."""

    constant_ms: float
    slope: float
    reordering_ms: float = 0.0

    def at(self, number: float, millions: float = 0.0) -> float:
        return self.constant_ms + self.slope * number + self.reordering_ms * millions


def fitted(numbers: Sequence[float], measured_ms: Sequence[float], millions: Sequence[float] | None = None) -> Line:
    """The line through these points with the least squared relative errors: the sum of ((c + s x + r m - t) / t)^2.
    millions: as in Line; None: r is 0."""
    times = np.asarray(measured_ms, dtype=np.float64)
    columns = [np.ones(len(times)), numbers, *([] if millions is None else [millions])]
    rows = np.stack([np.asarray(column, dtype=np.float64) / times for column in columns], axis=1)
    largest = np.maximum(np.abs(rows).max(axis=0), 1e-300)  # columns of one size: multiply-adds are millions
    return Line(*map(float, np.linalg.lstsq(rows / largest, np.ones(len(times)), rcond=None)[0] / largest))


def timed_of(space: SearchSpace) -> TimedLayers:
    """How networks of a space fall into layers. Raises InputError for a family that does not say so."""
    found = FAMILIES[space.family].timed
    if found is None:
        known = ", ".join(name for name, one in SPACES.items() if FAMILIES[one.family].timed is not None)
        raise InputError(f"networks of {space.name} are not timed by layers; spaces that are: {known}")
    return found


def key_of(layer: Layer, conditions: Conditions) -> str:
    """The name of a layer in a table."""
    return f"{layer} {conditions.words}"


@dataclass(frozen=True)
class LatencyTable:
    """layers: median milliseconds by key; line: equation (1)."""

    path: str
    space: str
    sizes: Mapping[str, int]
    conditions: Conditions
    layers: Mapping[str, float]
    line: Line
    known: dict[Layer, float] = field(default_factory=dict, compare=False, repr=False)

    def predict_ms(self, architecture: Architecture) -> float:
        """Latency of an architecture's network by equation (1). Raises InputError for a layer that is not there."""
        layers = timed_of(SPACES[self.space]).of_network(architecture, self.sizes)
        return self.line.constant_ms + sum(map(self.adds_ms, layers))

    def adds_ms(self, layer: Layer) -> float:
        """What a layer adds in equation (1). Raises InputError as `of_layer`."""
        return self.line.slope * self.of_layer(layer) + self.line.reordering_ms * layer.millions

    @cached_property
    def between(self) -> Between | None:
        """What says between which layers of the table another one lies; None where the table has all."""
        space = SPACES[self.space]
        make = timed_of(space).between
        return None if make is None else make(space, self.sizes)

    def of_layer(self, layer: Layer) -> float:
        """Median milliseconds of a layer. Raises InputError."""
        if layer not in self.known:
            key = key_of(layer, self.conditions)
            if key in self.layers:
                self.known[layer] = self.layers[key]
            elif self.between is not None and (found := self.between(layer)) != [(layer, 1.0)]:
                self.known[layer] = sum(weight * self.of_layer(one) for one, weight in found)
            else:
                raise InputError(
                    f"{self.path} has no {key!r}; it is of the space {self.space}: build one of this space"
                )
        return self.known[layer]

    def check(self, space: SearchSpace, sizes: Mapping[str, int], device_name: str, threads: int) -> None:
        """Raises InputError if the table is of another space, other sizes, another device or number of threads."""
        here = {"space": space.name, **dict(sorted(sizes.items())), "device": device_name, "threads": threads}
        own = {"space": self.space, **self.sizes, "device": self.conditions.device_name}
        own["threads"] = self.conditions.threads
        for name, value in here.items():
            if own.get(name) != value:
                is_of = f"{quoted(self.path)} was measured with {in_words(name, own.get(name))}"
                give = f"give --threads {own['threads']}, or build one" if name == "threads" else "build one"
                make = command_of(space, sizes, threads, self.conditions.runtime)
                raise InputError(f"{is_of}, and this is {in_words(name, value)}; {give}: {make}")


WORDS = {"num_classes": "classes", "in_channels": "image channels", "image_size": "pixels a side", "cells": "cells"}


def in_words(name: str, value: object) -> str:
    """ "4 threads", "the space ofa-8", "the device Ryzen 5"."""
    if name in ("space", "device"):
        return f"the {name} {value}"
    word = WORDS.get(name, name)
    return f"{value} {word.removesuffix('s') if value == 1 else word}"


def command_of(space: SearchSpace, sizes: Mapping[str, int], threads: int, runtime: str = "torch") -> str:
    """The command that builds a table of these sizes on this device."""
    flags = {"channels": "--channels", "num_classes": "--classes", "in_channels": "--in-channels"}
    flags["image_size"] = "--image-size"
    if "cells" not in FAMILIES[space.family].needs(space):
        flags["cells"] = "--cells"
    words = [f"{flag} {sizes[name]}" for name, flag in flags.items()]
    words += [f"--threads {threads}", *([] if runtime == "torch" else [f"--runtime {runtime}"])]
    return f"dartboard latency build --space {space.name} {' '.join(words)} --out FILE"


def own_sizes(space: SearchSpace) -> dict[str, int]:
    """The sizes of the networks of a space: those of its largest, on images of three channels."""
    family, largest = FAMILIES[space.family], space.largest()
    return {**family.sizes_of(largest, family.usual_network(largest)), "in_channels": 3}


def sizes_on(data: "Data", channels: int, cells: int) -> dict[str, int]:
    """The sizes of networks for images of this data."""
    sizes = {"channels": channels, "cells": cells, "num_classes": data.num_classes, "in_channels": data.channels}
    return {**sizes, "image_size": data.image_size}


def table_for(path: str, space: SearchSpace, sizes: Mapping[str, int]) -> LatencyTable:
    """The table in a file, for networks of these sizes on this device and number of threads. Raises InputError, also
    where the table's runtime is not installed: what is found by it is measured in the end."""
    import torch

    from dartboard.devices import device_name, pick_device
    from dartboard.scoring.runtimes import check_installed

    timed_of(space)
    table = read_table(path)
    check_installed(table.conditions.runtime)
    name = device_name(pick_device(table.conditions.device))
    table.check(space, sizes, name, torch.get_num_threads())
    return table


def with_latency(
    cost: "Callable[[Architecture], Cost]", table: LatencyTable | None
) -> "Callable[[Architecture], Cost]":
    """The costs with the latency that the table predicts; as they are without a table."""
    return cost if table is None else CostByTable(cost, table.predict_ms)


def read_table(path: str) -> LatencyTable:
    """The table in a file of `dartboard latency build`. Raises InputError."""
    return table_from(read_json(Path(path), OTHERWISE), path)


def table_from(record: Mapping[str, Any], path: str) -> LatencyTable:
    """The table in the content of a file. Raises InputError for anything else."""
    if record.get("format") != FORMAT:
        raise InputError(f"{quoted(path)}: {MAX_DAMAGE}")
    try:
        layers = {str(key): float(value["median_ms"]) for key, value in record["layers"].items()}
        sizes = {str(name): int(size) for name, size in record["sizes"].items()}
        line = Line(float(record["constant_ms"]), float(record["slope"]), float(record.get("reordering_ms", 0.0)))
        found = LatencyTable(path, record["space"], sizes, Conditions(**record["conditions"]), layers, line)
        if not is_sound(found):
            raise ValueError("numbers or conditions that no build writes")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{quoted(path)} is damaged: {MAX_DAMAGE}") from error
    if found.space not in SPACES:
        raise InputError(f"{quoted(path)} is of the space {found.space!r}, which dartboard does not know here")
    return found


def is_sound(table: LatencyTable) -> bool:
    """Whether times are finite and not negative, and conditions such as a build has."""
    one, times = table.conditions, [*table.layers.values()]
    has_times = bool(times) and all(0 <= time < math.inf for time in times)
    has_line = all(map(math.isfinite, asdict(table.line).values()))
    counts = all(isinstance(number, int) and number > 0 for number in (one.threads, one.batch_size))
    words = all(isinstance(word, str) for word in (table.space, one.device, one.device_name, one.number_format))
    known = one.memory_format in ("channels_first", "channels_last") and one.runtime in ("torch", "onnxruntime")
    return has_times and has_line and counts and words and known


def as_record(table: LatencyTable) -> dict[str, Any]:
    """What stands first in a table's file; its layers follow with their spread."""
    about = {"format": FORMAT, "space": table.space, "sizes": dict(table.sizes)}
    return {**about, "conditions": asdict(table.conditions), **asdict(table.line)}
