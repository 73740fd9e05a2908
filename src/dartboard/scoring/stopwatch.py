"""Times of modules on a device and by a runtime: in rounds over all of them, warm, in evaluation mode.

A round times every module once, in an order of its own, so that what disturbs a machine for a while disturbs all alike.
A time is the median of a few calls, each behind two that are not timed (torch.utils.benchmark's Timer). One thread of a
CPU is timed by what it computes: on an idle machine that is the wall clock's time, on a busy one it is without the time
in which other processes had the core. Several threads, and a GPU, are timed by the wall clock.

Sixteen images are taken in turn, one a call or in batches. A processor learns which way the comparisons of one map go,
and a max pool of the same map again and again takes less than of new ones (benchmarks/latency_of_maps.py).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from dartboard.runs.streams import stream_seed
from dartboard.scoring.conditions import Conditions
from dartboard.scoring.evaluate import recalibrate
from dartboard.scoring.runtimes import Call, callable_of

TURN_S = 0.002  # of calls in a row
LEAST_CALLS, MOST_CALLS = 3, 25
THREAD = "CPU time of the one thread"
IMAGES = 16  # different ones
SETTLING = 8  # of them, of which BatchNorm's statistics are collected

Maps = Sequence[Tensor]  # each (B, C, H, W), taken in turn
Clock = Callable[[Call, Maps, int], float]  # (what is called, its maps, calls) -> seconds of a call


@dataclass(frozen=True)
class Timed:
    """What is timed and what it is called with. name: that of its entry."""

    name: str
    call: Call
    maps: Maps


def seconds_of_call(call: Call, maps: Maps, calls: int) -> float:
    """Median seconds of so many calls; on a GPU until it is done."""
    threads = torch.get_num_threads()
    own: dict[str, Any] = {"timer": time.thread_time} if clock_words(maps[0].device.type, threads) == THREAD else {}
    timer = Timer("call(next(turn))", globals={"call": call, "turn": cycle(maps)}, num_threads=threads, **own)
    return median(timer.timeit(1).mean for _ in range(calls))


def clock_words(device: str, threads: int) -> str:
    """What a time is, in words."""
    return THREAD if device == "cpu" and threads == 1 else "wall clock"


class Placing:
    """Places modules as they are timed. Maps of one size are the same for all of them."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.known: dict[tuple[int, int], Tensor] = {}

    def placed(self, name: str, module: nn.Module, channels: int, side: int) -> Timed:
        """A module on the device, with statistics of random images, so that numbers neither vanish nor grow from layer
        to layer: the smallest ones of a format take a CPU longer. Raises InputError as `callable_of`."""
        images = self.images(channels, side)
        module = module.to(self.conditions.device).to(memory_format=self.layout).eval()  # type: ignore[call-overload]
        recalibrate(module, module, [images[:SETTLING]])
        maps = self.maps(images)
        return Timed(name, callable_of(name, module, maps, self.conditions), maps)

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.conditions.memory_format == "channels_last" else torch.contiguous_format

    def images(self, channels: int, side: int) -> Tensor:
        """(IMAGES, channels, side, side), on the device."""
        if (channels, side) not in self.known:
            drawn = torch.randn(IMAGES, channels, side, side, generator=torch.Generator().manual_seed(0))
            self.known[channels, side] = drawn.to(self.conditions.device).to(memory_format=self.layout)
        return self.known[channels, side]

    def maps(self, images: Tensor) -> Maps:
        """Batches, as many as have all images."""
        size = self.conditions.batch_size
        if size == 1:  # parts of the one tensor, which all modules share
            return [images[number : number + 1] for number in range(IMAGES)]
        starts, whole = range(0, IMAGES, size), torch.arange(size, device=images.device)
        return [images[(whole + start) % IMAGES].contiguous(memory_format=self.layout) for start in starts]


def calls_of(timed: Sequence[Timed], clock: Clock) -> list[int]:
    """Calls in a row of each, by what one takes."""
    with torch.inference_mode():
        seconds = [clock(one.call, one.maps, LEAST_CALLS) for one in timed]
    return [max(LEAST_CALLS, min(MOST_CALLS, math.ceil(TURN_S / one))) for one in seconds]


def one_round(timed: Sequence[Timed], calls: Sequence[int], number: int, clock: Clock) -> list[float]:
    """Milliseconds of a call of each. number: of the round, which decides their order."""
    found, order = [0.0] * len(timed), list(range(len(timed)))
    Random(stream_seed(0, "latency-round", number)).shuffle(order)
    with torch.inference_mode():
        for place in order:
            found[place] = 1000 * clock(timed[place].call, timed[place].maps, calls[place])
    return found


def medians(rounds: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Of each the median over the rounds, and the distance between the quartiles."""
    low, middle, high = np.percentile(np.asarray(rounds, dtype=np.float64), [25, 50, 75], axis=0)
    return [float(one) for one in middle], [float(one) for one in high - low]
