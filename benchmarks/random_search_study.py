"""DARTS against random search in the same seconds: what each finds is trained from scratch by one protocol.

For every seed a DARTS search, then a random search by trainings with as many trials as take as long. Seconds are those
of the processor, of the whole process, so that other work on the machine changes nothing; what a trial takes is
measured first, by runs of one and of four trials of another seed. Every run is a folder below OUT: one that is done is
skipped, one that was stopped is resumed. Ends with OUT/report.html and tables in Markdown.

Usage: python benchmarks/random_search_study.py OUT [--data digits] [--seeds 3] [--threads 1]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACE_TRIALS, PACE_SEED = (1, 4), 1000  # of the runs that say what a trial takes
SECONDS = "cpu-seconds.json"  # in a run's folder: of all processes that worked on it


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    rows = []
    for seed in range(options.seeds):
        darts = once(options, f"darts-s{seed}", "search", "darts", "--seed", str(seed))
        trials = str(num_trials(options, seconds(darts)))
        draws = once(options, f"random-s{seed}", "search", "random_search", "--trials", trials, "--seed", str(seed))
        for name, found in (("DARTS", darts), ("random search", draws)):
            training = once(options, f"train-{found.name}", "train", str(found), "--seed", str(seed))
            rows.append((name, seed, trials if found is draws else "", seconds(found), result(training)))
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
    before, old = spent(), seconds(folder)
    if not (folder / "config.toml").is_file():
        run(*words, "--data", options.data, "--threads", str(options.threads), "--out", str(folder))
    elif result(folder)["event"] != "result":
        run("resume", str(folder))
    else:
        return folder
    (folder / SECONDS).write_text(json.dumps(old + spent() - before))
    return folder


def spent() -> float:
    """Seconds of the processor that the processes begun here have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(folder: Path) -> float:
    """Seconds of the processor that went into a run so far."""
    file = folder / SECONDS
    return float(json.loads(file.read_text())) if file.is_file() else 0.0


def result(folder: Path) -> dict[str, Any]:
    """The last line of a finished run's metrics."""
    line: dict[str, Any] = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return line


def num_trials(options: argparse.Namespace, budget_s: float) -> int:
    """How many trials of a random search take so many seconds of the processor, one or more."""
    taken = []
    for trials in PACE_TRIALS:
        words = ("search", "random_search", "--trials", str(trials), "--seed", str(PACE_SEED))
        taken.append(seconds(once(options, f"pace-{trials}", *words)))
    (few, many), (least, most) = PACE_TRIALS, taken
    return max(1, round(few + (budget_s - least) * (many - few) / (most - least)))


Row = tuple[str, int, str, float, dict[str, Any]]


def singly(rows: Sequence[Row]) -> str:
    head = "| search | seed | trials | CPU seconds | test %, trained | parameters |"
    lines = [
        f"| {name} | {seed} | {trials} | {taken:.0f} | {100 * training['test_accuracy']:.2f} "
        f"| {training['params']:,} |"
        for name, seed, trials, taken, training in sorted(rows, key=lambda row: row[:2])
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *lines])


def together(rows: Sequence[Row]) -> str:
    lines = []
    for name in dict.fromkeys(row[0] for row in rows):
        taken = [one for kind, _, _, one, _ in rows if kind == name]
        values = [100 * training["test_accuracy"] for kind, _, _, _, training in rows if kind == name]
        spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
        mean = f"{statistics.mean(values):.2f} | {spread}"
        lines.append(f"| {name} | {len(values)} | {mean} | {statistics.mean(taken):.0f} |")
    head = "| search | n | test %, mean | standard deviation | CPU seconds per search |"
    return "\n".join([head, "|---|---|---|---|---|", *lines])


if __name__ == "__main__":
    main(sys.argv[1:])
