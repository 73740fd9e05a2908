"""Seconds of an evolution over candidates in arrays, by a predictor, under a limit on multiply-adds and one on latency.

Usage: python benchmarks/array_evolution.py THREADS SPACE...
The predictor learned a planted sum from 160 networks; the table of latencies is made up; each limit leaves three in ten
of all networks. Two clocks: the wall, and what this process computed.
"""

import os
import sys
import time
from random import Random

import numpy as np
import torch

from dartboard.scoring import array_costs, predictor
from dartboard.scoring.latency import Conditions, LatencyTable, Line, key_of, own_sizes, timed_of
from dartboard.scoring.limits import Limit
from dartboard.search.array_evolution import evolved
from dartboard.spaces import SPACES
from dartboard.spaces.columns import Columns
from dartboard.spaces.search_space import SearchSpace

CANDIDATES, SHARE = 50_000, 0.3
CONDITIONS = Conditions("cpu", "made up", threads=1)


def made_up(space: SearchSpace, sizes: dict[str, int]) -> LatencyTable:
    """A time between 0.01 and 1 ms for each layer."""
    rng = Random(0)
    layers = {key_of(layer, CONDITIONS): rng.uniform(0.01, 1.0) for layer in timed_of(space).of_space(space, sizes)}
    return LatencyTable("made up", space.name, sizes, CONDITIONS, layers, Line(0.3, 1.7))


def measured(space: SearchSpace) -> str:
    columns, sizes, rng = Columns(space), own_sizes(space), np.random.default_rng(0)
    rows = columns.sample(160, rng)
    accuracies = 0.5 + 0.01 * columns.one_hot(rows) @ rng.normal(size=columns.starts[-1])
    model, table = predictor.trained(columns, rows, accuracies, seed=0), made_up(space, sizes)
    wall, own = time.perf_counter(), time.process_time()
    counts = array_costs.counting(columns, sizes, None, table)  # type: ignore[arg-type]
    some = columns.sample(2000, rng)
    costs = counts(some)
    limits = [Limit(name, float(np.quantile(costs[name], SHARE))) for name in ("macs", "latency_ms")]
    fit = array_costs.within(counts, limits)
    found = evolved(columns, some[fit(some)][:1], model, fit, CANDIDATES, rng)
    seconds = f"{time.perf_counter() - wall:.1f} s, {time.process_time() - own:.1f} s computed"
    best = found.best(1)[1][0] - model(some[fit(some)]).max()
    return f"{space.name}: {len(found.known):,} candidates in {seconds}; best {100 * best:+.1f} points on 2,000 draws"


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    for name in sys.argv[2:]:
        print(measured(SPACES[name]), f"; load average {os.getloadavg()[0]:.1f}", sep="", flush=True)
