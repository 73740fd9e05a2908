"""Does DARTS fall to skip connections on NAS-Bench-201? Its cell after each epoch, by accuracies that others measured.

Searches of both orders and several seeds, with weights trained here; then the cell that would be derived after each
epoch is looked up in a table of accuracies. Beside it: random search by trainings that take about as long (--trials),
and one cell drawn at random. Every run is a folder below OUT: one that is done is skipped, one that was stopped is
resumed. Ends with tables in Markdown and OUT/true-accuracy.svg.

Usage: python benchmarks/nasbench201_study.py OUT --data-dir DIR --truth FILE [--seeds 3] [--first 20] [--second 10]
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dartboard import formats
from dartboard.report.figures import Series, curves
from dartboard.scoring.tables import Table, read_truth
from dartboard.spaces import nasbench201

ORDERS = ("first", "second")


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    table = read_truth(str(options.truth), "nasbench201")
    searches = {(order, seed): search(options, order, seed) for seed in range(options.seeds) for order in ORDERS}
    draws = [random_search(options, seed) for seed in range(options.seeds)] if options.trials else []
    print("\n\n".join([over_epochs(searches, table), ends(searches, draws, table), draw(table)]))
    write_picture(options.out / "true-accuracy.svg", searches, table)


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data-dir", required=True, help="the folder that holds cifar-10-batches-bin")
    parser.add_argument("--truth", type=Path, required=True, help="a table of accuracies, see docs/tables.md")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=20, help="epochs of a first-order search")
    parser.add_argument("--second", type=int, default=10, help="epochs of a second-order search")
    parser.add_argument("--trials", type=int, default=0, help="trainings of a random search, none: no random search")
    parser.add_argument("--trial-epochs", type=int, default=3, help="epochs of each of them")
    parser.add_argument("--alpha-lr", type=float, default=0.003, help="ten times the published one: fewer steps")
    parser.add_argument("--max-images", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


def once(folder: Path, *words: str) -> Path:
    """Runs, resumes or skips."""
    known = (folder / "config.toml").is_file()
    what = ("resume", str(folder)) if known else (*words, "--out", str(folder))
    subprocess.run([sys.executable, "-m", "dartboard", *what], check=True)
    return folder


def common(options: argparse.Namespace, seed: int) -> list[str]:
    """Flags of every search: the data, and the sizes C=8, N=2."""
    data = ["--data", "cifar10", "--data-dir", options.data_dir, "--max-images", str(options.max_images)]
    sizes = ["--channels", "8", "--cells", "8"]  # N=2: three stages of two cells, and the two blocks between them
    return ["--space", "nasbench201", *data, *sizes, "--seed", str(seed), "--threads", str(options.threads)]


def search(options: argparse.Namespace, order: str, seed: int) -> Path:
    epochs = str(getattr(options, order))
    flags = ["--second-order"] if order == "second" else []
    words = ["search", "darts", *common(options, seed), "--epochs", epochs, "--alpha-lr", str(options.alpha_lr), *flags]
    return once(options.out / f"{order}-s{seed}", *words)


def random_search(options: argparse.Namespace, seed: int) -> Path:
    size = ["--trials", str(options.trials), "--epochs", str(options.trial_epochs)]
    return once(options.out / f"random-s{seed}", "search", "random_search", *common(options, seed), *size)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def history(folder: Path, table: Table) -> list[tuple[float, int]]:
    """(true accuracy in percent, skip connections) of the cell after each epoch, the start first."""
    cells = [line["architecture"] for line in lines_of(folder) if line["event"] in ("start", "epoch")]
    found = [formats.read(cell)[0] for cell in cells]
    return [(100 * table.shown[cell], nasbench201.num_skips(cell)) for cell in found]


Searches = Mapping[tuple[str, int], Path]


def over_epochs(searches: Searches, table: Table) -> str:
    """A row an epoch; accuracy (skip connections of six edges) of each search."""
    columns = {key: history(folder, table) for key, folder in searches.items()}
    keys = sorted(columns)
    head = "| after epoch | " + " | ".join(f"{order}, seed {seed}" for order, seed in keys) + " |"
    rows = []
    for number in range(max(map(len, columns.values()))):
        cells = [columns[key][number] if number < len(columns[key]) else None for key in keys]
        told = ["" if cell is None else f"{cell[0]:.1f} ({cell[1]})" for cell in cells]
        rows.append(f"| {number or 'none'} | {' | '.join(told)} |")
    return "\n".join([head, "|---" * (len(keys) + 1) + "|", *rows])


def ends(searches: Searches, draws: Sequence[Path], table: Table) -> str:
    """Mean and spread of what was found, by kind of search, with the seconds of a run."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for (order, _), folder in searches.items():
        groups.setdefault(f"DARTS, {order} order", []).append((history(folder, table)[-1][0], seconds(folder)))
    for folder in draws:
        cell = formats.load(folder / "architecture.json")[0]
        groups.setdefault("random search by trainings", []).append((100 * table.shown[cell], seconds(folder)))
    rows = [
        f"| {name} | {len(found)} | {statistics.mean(a for a, _ in found):.2f} | {spread([a for a, _ in found])} "
        f"| {min(found)[0]:.2f} | {max(found)[0]:.2f} | {statistics.mean(s for _, s in found):.0f} |"
        for name, found in groups.items()
    ]
    head = f"| search | n | {table.shown_column} %, mean | standard deviation | lowest | highest | seconds a run |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def spread(values: Sequence[float]) -> str:
    return f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"


def seconds(folder: Path) -> float:
    return float(lines_of(folder)[-1]["elapsed_s"])


def draw(table: Table) -> str:
    """What one cell drawn at random has, over all cells of the space."""
    values = [100 * value for value in table.shown.values()]
    best, middle = max(values), statistics.median(values)
    told = f"{statistics.mean(values):.2f} ± {statistics.pstdev(values):.2f} (median {middle:.2f}, best {best:.2f})"
    skips = table.shown[nasbench201.from_string("|skip_connect~0|+|skip_connect~0|skip_connect~1|+"
                                                "|skip_connect~0|skip_connect~1|skip_connect~2|")]  # fmt: skip
    return f"One cell drawn at random, by {table.shown_column}: {told}; the cell of six skips: {100 * skips:.2f}."


def write_picture(path: Path, searches: Searches, table: Table) -> None:
    shades = {"first": "--one", "second": "--two"}
    series = []
    for (order, seed), folder in searches.items():
        found = [accuracy / 100 for accuracy, _ in history(folder, table)]
        series.append(Series(f"{order} order, seed {seed}", list(range(len(found))), found, shades[order]))
    path.write_text(str(curves(series, "True accuracy of the derived cell over the epochs", percent=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
