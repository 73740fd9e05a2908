"""Do small networks converge later? Losses of the largest, of random and of the smallest networks by epoch in BigNAS,
with the constant ending of its learning rate and without.

Every seed is searched twice, with the default `--lr-min` and with `--lr-min 0`, for as many epochs. Each run is a
folder below OUT: one that is done is skipped, one that was stopped is resumed. Prints the mean training losses with the
labels at some epochs, and what the largest and the smallest network reach on val in the end, by the weights of the
supernet with statistics of their own. OUT/report.html has the curves of the first seed.

Usage, about ten minutes on one thread:
  python benchmarks/sandwich_losses.py runs/sandwich-losses
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from dartboard.spaces import SPACES

LOSSES = {"largest": "largest_loss", "random": "random_loss", "smallest": "smallest_loss"}
ENDINGS = {"constant ending": (), "no ending": ("--lr-min", "0")}
SHOWN = 8  # epochs in the table, at most


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    runs = {name: [searched(options, name, seed) for seed in range(options.seeds)] for name in ENDINGS}
    dartboard("report", *(str(own[0]) for own in runs.values()), "--out", str(options.out / "report.html"))
    print(f"\n{losses_table(runs)}\n\n{later_lines(runs)}\n\n{accuracy_table(options, runs)}")


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--space", default="bignas-8", choices=list(SPACES))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seeds", type=int, default=3, help="searches with each ending, with the seeds 0, 1, ...")
    parser.add_argument("--epochs", type=int, default=40, help="of each search; half of them at the ending on digits")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


def dartboard(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dartboard", *words], check=True)


def searched(options: argparse.Namespace, ending: str, seed: int) -> Path:
    """The run of a seed, which is made, resumed or there. Its selection is as short as can be."""
    folder: Path = options.out / f"{ending.replace(' ', '-')}-s{seed}"
    if (folder / "config.toml").is_file():
        dartboard("resume", str(folder))
    else:
        what = ("search", "bignas", "--space", options.space, "--data", options.data, "--seed", str(seed))
        how = ("--epochs", str(options.epochs), "--threads", str(options.threads), "--coarse", "1", "--rounds", "0")
        dartboard(*what, *how, *ENDINGS[ending], "--out", str(folder))
    return folder


def epochs_of(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's epochs."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "epoch"]


def mean_loss(runs: Sequence[Path], name: str, epoch: int) -> float:
    """Over the seeds."""
    return fmean(epochs_of(run)[epoch][LOSSES[name]] for run in runs)


def losses_table(runs: dict[str, list[Path]]) -> str:
    """A row for each of some epochs, from the first to the last; means over the seeds."""
    epochs = len(epochs_of(next(iter(runs.values()))[0]))
    shown = sorted({round(place * (epochs - 1) / (SHOWN - 1)) for place in range(SHOWN)})
    head = " | ".join(f"{name}, {ending}" for ending in runs for name in LOSSES)
    lines = [f"| epoch | {head} |", "|---" * (1 + len(runs) * len(LOSSES)) + "|"]
    for epoch in shown:
        cells = [f"{mean_loss(own, name, epoch):.3f}" for own in runs.values() for name in LOSSES]
        lines.append(f"| {epoch + 1} | {' | '.join(cells)} |")
    return "\n".join(lines)


def later_lines(runs: dict[str, list[Path]]) -> str:
    """How much of its loss each size still loses in the second half of the epochs, the mean over the seeds."""
    lines = ["Fall of the loss in the second half of the epochs, of all that it falls:"]
    for ending, own in runs.items():
        last = len(epochs_of(own[0])) - 1
        shares = []
        for name in LOSSES:
            first, half, end = (mean_loss(own, name, epoch) for epoch in (0, last // 2, last))
            shares.append(f"{name} {100 * (half - end) / (first - end):.1f} %" if first != end else f"{name} nothing")
        lines.append(f"  {ending}: {', '.join(shares)}")
    return "\n".join(lines)


def accuracy_table(options: argparse.Namespace, runs: dict[str, list[Path]]) -> str:
    """What the largest and the smallest network reach on val in the end; mean and standard deviation over the seeds."""
    space = SPACES[options.space]
    lines = ["| ending | largest, val | smallest, val |", "|---|---|---|"]
    for ending, own in runs.items():
        cells = []
        for architecture in (space.largest(), space.smallest()):
            found = [100 * accuracy(run, json.dumps(architecture.to_json())) for run in own]
            spread = f" ± {stdev(found):.2f}" if len(found) > 1 else ""
            cells.append(f"{fmean(found):.2f}{spread} % (n = {len(found)})")
        lines.append(f"| {ending} | {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracy(run: Path, architecture: str) -> float:
    """Of a network that is cut out of the supernet."""
    dartboard("specialise", str(run), "--architecture", architecture)
    answers = (json.loads(path.read_text()) for path in run.glob("specialised/given-*/answer.json"))
    return next(
        float(answer["val_accuracy"]) for answer in answers if answer["question"]["architecture"] == architecture
    )


if __name__ == "__main__":
    main(sys.argv[1:])
