"""Test accuracies of the trainings below a folder, by group (the name without its number or seed), as a table.

Usage: python benchmarks/summary.py FOLDER
"""

import json
import re
import statistics
import sys
from pathlib import Path


def result_of(folder: Path) -> dict[str, float] | None:
    """The line "result" of a finished run's metrics, or None."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return next((line for line in lines if line["event"] == "result"), None)


def main(root: Path) -> None:
    groups: dict[str, list[dict[str, float]]] = {}
    for metrics in sorted(root.glob("*/metrics.jsonl")):
        result = result_of(metrics.parent)
        if result is not None:
            groups.setdefault(re.sub(r"-s?\d+$", "", metrics.parent.name), []).append(result)
    print("| group | n | accuracy %, mean | standard deviation | lowest | highest | seconds a run | parameters |")
    print("|---|---|---|---|---|---|---|---|")
    for group, results in groups.items():
        name = "test_accuracy" if "test_accuracy" in results[0] else "val_accuracy"
        values = [100 * result[name] for result in results]
        spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
        seconds = statistics.mean(result["elapsed_s"] for result in results)
        params = f"{statistics.mean(result['params'] for result in results):,.0f}" if "params" in results[0] else "-"
        kind = "test" if name == "test_accuracy" else "supernet, val"
        print(
            f"| {group} ({kind}) | {len(values)} | {statistics.mean(values):.2f} | {spread} | {min(values):.2f} "
            f"| {max(values):.2f} | {seconds:.0f} | {params} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
