"""Seconds that many seeds of the methods by trials take on a table of NAS-Bench-201, in one process.

    python benchmarks/table_speed.py accuracies.csv [--seeds 500] [--trials 200] [--repeats 3]

Prints a line a method: seeds, trials, the median of the repeats, and the mean accuracies of the results.
"""

import argparse
import statistics
import time
from importlib import import_module
from typing import Any

from dartboard.scoring.tables import Table, read_truth
from dartboard.search import on_tables

WAYS: tuple[tuple[str, int, dict[str, Any]], ...] = (  # method, share of the seeds, settings
    ("random_search", 1, {}),
    ("regularized_evolution", 1, {}),
    ("reinforce", 1, {}),
    ("reinforce", 10, {"controller": "lstm"}),
)


def best(table: Table, method: str, config: Any, seeds: int) -> list[float]:
    """What the result of each seed shows."""
    found = on_tables.run(method, config, table.space, table, range(seeds))
    return [table.shown[max(own, key=table.seen.__getitem__)] for _, own in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    flags = parser.parse_args()
    table = read_truth(flags.truth, "nasbench201")
    for method, share, settings in WAYS:
        config = import_module(f"dartboard.methods.{method}").Config(trials=flags.trials, **settings)
        seeds, seconds, shown = max(1, flags.seeds // share), [], []
        for _ in range(flags.repeats if share == 1 else 1):
            began = time.perf_counter()
            shown = best(table, method, config, seeds)
            seconds.append(time.perf_counter() - began)
        name = " ".join([method, *map(str, settings.values())])
        spread = statistics.stdev(shown) if len(shown) > 1 else 0.0
        print(
            f"{name:24} {seeds} seeds x {flags.trials} trials  {statistics.median(seconds):6.2f} s, n={len(seconds)}"
            f"   results {100 * statistics.mean(shown):.2f} +- {100 * spread:.2f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
