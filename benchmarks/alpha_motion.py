"""How far alpha moved in searches: largest softmax weight and mean entropy (bits) of the normal cell, by epoch.

Usage: python benchmarks/alpha_motion.py RUN...
"""

import sys
from pathlib import Path

from dartboard.report.facts import read_facts
from dartboard.report.measures import entropy_bits


def main(folders: list[str]) -> None:
    print("| run | epoch | largest weight % | entropy, bits of 3 | supernet, val % | cell cut out, val % |")
    print("|---|---|---|---|---|---|")
    for folder in folders:
        epochs = read_facts(Path(folder)).epochs
        last = len(epochs) - 1
        for epoch in (epochs[index] for index in sorted({0, last // 2, last})):
            table = epoch.weights["normal"]
            scores = [100 * epoch.numbers[name] for name in ("val_accuracy", "derived_val_accuracy")]
            cells = [f"{100 * max(map(max, table)):.1f}", f"{entropy_bits(table):.3f}", *(f"{s:.1f}" for s in scores)]
            print(f"| {Path(folder).name} | {epoch.epoch} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
