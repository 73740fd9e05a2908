"""DARTS against random search in the same seconds: what each finds is trained from scratch by one protocol.

For every seed a DARTS search, then a random search by trainings with as many trials as take as long: the seconds of a
trial are measured first, by three trials of another seed. Every run is a folder below OUT: one that is done is skipped,
one that was stopped is resumed. Ends with OUT/report.html and a table in Markdown.

Usage: python benchmarks/random_search_study.py OUT [--data digits] [--seeds 3] [--threads 1]
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACE_TRIALS, PACE_SEED = 3, 1000  # of the run that says what a trial takes


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    rows = []
    for seed in range(options.seeds):
        darts = once(options, f"darts-s{seed}", "search", "darts", "--seed", str(seed))
        trials = str(max(1, round(result(darts)["elapsed_s"] / seconds_of_a_trial(options))))
        draws = once(options, f"random-s{seed}", "search", "random_search", "--trials", trials, "--seed", str(seed))
        for name, found in (("DARTS", darts), ("random search", draws)):
            training = once(options, f"train-{found.name}", "train", str(found), "--seed", str(seed))
            rows.append((name, seed, trials if found is draws else "", result(found), result(training)))
    folders = [str(folder) for folder in sorted(options.out.glob("*-s*")) if (folder / "config.toml").is_file()]
    run("report", *folders, "--out", str(options.out / "report.html"))
    print(f"\n{singly(rows)}\n\n{together(rows)}")


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


def run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dartboard", *words], check=True)


def once(options: argparse.Namespace, name: str, *words: str) -> Path:
    """Runs, resumes or skips."""
    folder: Path = options.out / name
    if (folder / "config.toml").is_file():
        run("resume", str(folder))
    else:
        run(*words, "--data", options.data, "--threads", str(options.threads), "--out", str(folder))
    return folder


def result(folder: Path) -> dict[str, Any]:
    """The last line of a finished run's metrics."""
    line: dict[str, Any] = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return line


def seconds_of_a_trial(options: argparse.Namespace) -> float:
    words = ("search", "random_search", "--trials", str(PACE_TRIALS), "--seed", str(PACE_SEED))
    return float(result(once(options, "pace", *words))["elapsed_s"]) / PACE_TRIALS


Row = tuple[str, int, str, dict[str, Any], dict[str, Any]]


def singly(rows: Sequence[Row]) -> str:
    head = "| search | seed | trials | seconds | test %, trained | parameters |"
    lines = [
        f"| {name} | {seed} | {trials} | {search['elapsed_s']:.0f} | {100 * training['test_accuracy']:.2f} "
        f"| {training['params']:,} |"
        for name, seed, trials, search, training in sorted(rows, key=lambda row: row[:2])
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *lines])


def together(rows: Sequence[Row]) -> str:
    lines = []
    for name in dict.fromkeys(row[0] for row in rows):
        seconds = [search["elapsed_s"] for kind, _, _, search, _ in rows if kind == name]
        values = [100 * training["test_accuracy"] for kind, _, _, _, training in rows if kind == name]
        spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
        mean = f"{statistics.mean(values):.2f} | {spread}"
        lines.append(f"| {name} | {len(values)} | {mean} | {statistics.mean(seconds):.0f} |")
    head = "| search | n | test %, mean | standard deviation | seconds of a search |"
    return "\n".join([head, "|---|---|---|---|---|", *lines])


if __name__ == "__main__":
    main(sys.argv[1:])
