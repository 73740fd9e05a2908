"""How long the same networks take by two runtimes: reads two tables of `dartboard latency build`.

Both tables time the same networks if they are of the same space, sizes and --seed. Prints the median and the range of
the second's time by the first's, and Kendall's tau between them.

Usage, in a second:
  dartboard latency build --space bignas-32 --threads 1 --out torch.json
  dartboard latency build --space bignas-32 --threads 1 --runtime onnxruntime --out onnxruntime.json
  python benchmarks/latency_runtimes.py torch.json onnxruntime.json
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from dartboard.analysis.statistics import kendall_tau


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs=2, type=Path)
    one, other = (json.loads(path.read_text()) for path in parser.parse_args(words).tables)
    first, second = measured_ms(one), measured_ms(other)
    shared = [name for name in first if name in second]
    if not shared:
        parser.error("the tables have no network in common; build both with the same --space, sizes and --seed")
    ratios = sorted(second[name] / first[name] for name in shared)
    names = [record["conditions"].get("runtime", "torch") for record in (one, other)]
    for name, times in zip(names, (first, second), strict=True):
        print(f"{name}: median {median(times[each] for each in shared):.3g} ms")
    extent = f"from {ratios[0]:.3g} to {ratios[-1]:.3g}, n={len(ratios)}"
    print(f"{names[1]} / {names[0]}: median {median(ratios):.3g}, {extent}")
    print(f"Kendall's tau {kendall_tau([first[name] for name in shared], [second[name] for name in shared]):.3f}")


def measured_ms(record: dict[str, Any]) -> dict[str, float]:
    """Measured milliseconds of a table's networks, by their JSON."""
    networks = [*record["networks"]["fitted"], *record["networks"]["checked"]]
    return {json.dumps(one["architecture"], sort_keys=True): one["measured_ms"] for one in networks}


if __name__ == "__main__":
    main()
