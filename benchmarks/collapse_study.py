"""Does a search collapse when it goes on for long, and which stopping rule would have kept a better cell?

For every seed one long search with all rules in report mode; then the last cell and the cell that each rule kept are
trained from scratch by one protocol (a cell that several kept once), and some random cells of the space. Every run is a
folder below OUT: one that is done is skipped, one that was stopped is gone on with. Ends with OUT/report.html over the
searches and trainings, and with tables.

Usage, small sizes for two cores (each flag of --search and --train is passed on):
  python benchmarks/collapse_study.py runs/collapse-s2-digits --space s2 --data digits --seeds 3
  python benchmarks/collapse_study.py runs/collapse-s3-cifar10 --space s3 --data cifar10 --seeds 2 --epochs 30 \
      --search "--data-dir DIR --max-images 10000 --channels 4 --cells 4 --alpha-lr 0.003" \
      --train "--data-dir DIR --max-images 10000 --channels 8 --cells 5 --epochs 10 --no-auxiliary --drop-path 0"
"""

import argparse
import json
import random
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dartboard import formats
from dartboard.search.stop_rules import parse
from dartboard.spaces import SPACES, darts

RULES = "skips:2,stable:10,eigenvalue,held-out"
LAST = "last epoch"


@dataclass(frozen=True)
class Kept:
    """A cell of a search: by which rule, of which epoch, its skip connections, and its training's folder."""

    rule: str
    seed: int
    fired: int | None
    epoch: int
    skips: int
    training: Path


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    kept = [one for seed in range(options.seeds) for one in study(options, seed)]
    drawn = [random_cell(options, number) for number in range(options.random)]
    searches = [options.out / f"search-s{seed}" for seed in range(options.seeds)]
    trained = dict.fromkeys([one.training for one in kept] + drawn)
    dartboard("report", *map(str, searches), *map(str, trained), "--out", str(options.out / "report.html"))
    print(f"\n{cells_table(kept)}\n\n{rules_table(kept, drawn)}\n\n{cost_line(searches)}")


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--space", default="s2", choices=list(SPACES))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seeds", type=int, default=1, help="searches, with the seeds 0, 1, ...")
    parser.add_argument("--epochs", type=int, default=60, help="of each search")
    parser.add_argument("--rules", default=RULES)
    parser.add_argument("--random", type=int, default=3, help="random cells of the space, trained alike")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--search", default="", help="more flags of dartboard search, in one word")
    parser.add_argument("--train", default="", help="more flags of dartboard train, in one word")
    return parser.parse_args(words)


def dartboard(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dartboard", *words], check=True)


def once(folder: Path, *words: str) -> Path:
    """Runs, goes on with, or skips."""
    if (folder / "config.toml").is_file():
        dartboard("resume", str(folder))
    else:
        dartboard(*words, "--out", str(folder))
    return folder


def study(options: argparse.Namespace, seed: int) -> list[Kept]:
    """One search, and the training of every cell that it or a rule kept."""
    shared = ["--data", options.data, "--seed", str(seed), "--threads", str(options.threads)]
    stop = ["--stop", options.rules, "--stop-mode", "report", "--epochs", str(options.epochs)]
    space = ["--space", options.space, *shlex.split(options.search)]
    search = once(options.out / f"search-s{seed}", "search", "darts", *space, *shared, *stop)
    lines = lines_of(search)
    entries = [{"rule": LAST, "epoch": None, "kept": options.epochs - 1}, *lines[-1]["stopped"]]
    files = [search / "architecture.json", *(search / "stopped" / rule.file_name for rule in parse(options.rules))]
    found: list[Kept] = []
    trainings: dict[bytes, Path] = {}
    for entry, file in zip(entries, files, strict=True):
        name = f"train-s{seed}-{'last' if entry['rule'] == LAST else file.stem}"
        folder = trainings.setdefault(file.read_bytes(), options.out / name)
        once(folder, "train", str(file), *shared, *shlex.split(options.train))
        skips = str(darts.cell(formats.load(file)[0], "normal")).count("skip_connect")
        found.append(Kept(entry["rule"], seed, entry["epoch"], entry["kept"], skips, folder))
    return found


def random_cell(options: argparse.Namespace, number: int) -> Path:
    """A training of a random cell of the space."""
    file = options.out / f"random-{number}.json"
    options.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(SPACES[options.space].sample(random.Random(number)).to_json()))
    shared = ["--data", options.data, "--threads", str(options.threads), *shlex.split(options.train)]
    return once(options.out / f"train-random-{number}", "train", str(file), *shared)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def accuracy(folder: Path) -> float:
    return float(100 * lines_of(folder)[-1]["test_accuracy"])


def cells_table(kept: Sequence[Kept]) -> str:
    rows = [
        f"| {one.rule} | {one.seed} | {'never' if one.fired is None else one.fired} | {one.epoch} | {one.skips} "
        f"| {accuracy(one.training):.2f} | {lines_of(one.training)[-1]['params']:,} |"
        for one in kept
    ]
    head = "| rule | seed | fired after epoch | keeps epoch | skips, normal cell | test % | parameters |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def rules_table(kept: Sequence[Kept], drawn: Sequence[Path]) -> str:
    groups: dict[str, list[float]] = {}
    for one in kept:
        groups.setdefault(one.rule, []).append(accuracy(one.training))
    if drawn:
        groups["random cells"] = [accuracy(folder) for folder in drawn]
    rows = [
        f"| {name} | {len(values)} | {statistics.mean(values):.2f} "
        f"| {f'{statistics.stdev(values):.2f}' if len(values) > 1 else '-'} | {min(values):.2f} | {max(values):.2f} |"
        for name, values in groups.items()
    ]
    head = "| cell | n | test %, mean | standard deviation | lowest | highest |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def cost_line(searches: Sequence[Path]) -> str:
    """Seconds of the searches, and what the rules took of them."""
    epochs = [line for folder in searches for line in lines_of(folder) if line["event"] == "epoch"]
    whole, rules = (sum(line[name] for line in epochs) for name in ("epoch_s", "stopping_s"))
    return f"searches: {whole:.0f} s, of which the stopping rules {rules:.0f} s, {100 * rules / whole:.1f} %"


if __name__ == "__main__":
    main(sys.argv[1:])
