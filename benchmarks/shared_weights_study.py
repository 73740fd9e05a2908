"""What do methods with shared weights find in equal time on a space that somebody measured, and how well do their
weights rank it?

Every method trains its weights here, with several seeds, for as many epochs as take MINUTES by steps timed at the
start (kept in OUT/pace.json, so a machine that is busy later changes nothing). What it finds is looked up in a table of
accuracies; `dartboard rank` compares the scores of random architectures by its weights with the table. Beside it:
random search on the table with as many trials as the method scored candidates. Every run is a folder below OUT: one
that is done is skipped, one that was stopped is resumed.

Usage: python benchmarks/shared_weights_study.py OUT --data-dir DIR --truth FILE [--minutes 5] [--seeds 3]
           [--methods darts,second,gdas,...] [--stage search|rank|tables]
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from dartboard import formats
from dartboard.commands import compare_budgets, work
from dartboard.commands.flags import presets_of
from dartboard.config import Setup, build
from dartboard.methods import METHODS, method_module
from dartboard.scoring.many_counts import macs_of
from dartboard.scoring.tables import Table, read_truth
from dartboard.spaces import SPACES
from dartboard.studies.rank_results import MACS, SHARED, judge_of, read_results

# What each contender is: the method and the settings in which it is not as published. alpha_lr, controller_lr: ten
# times the published one, for there are fewer steps; numbers of candidates and draws: such that scoring takes a small
# part of the time.
FEW = {"recalibrate": 500, "val_images": 1000}
CONTENDERS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "darts": ("darts", {"alpha_lr": 0.003}),
    "second": ("darts", {"alpha_lr": 0.003, "second_order": True}),
    "gdas": ("gdas", {"alpha_lr": 0.003}),
    "random_search_ws": ("random_search_ws", {"candidates": 100, "round": 100}),
    "spos": ("spos", {"population": 10, "generations": 10, "kept": 5, "mutations": 5, "crossovers": 5, **FEW}),
    "enas": ("enas", {"controller_steps": 10, "controller_samples": 10, "controller_lr": 0.01, "val_images": 1000}),
}
STAGES = ("search", "rank", "tables")
REPEATS = 3  # timings of each contender, interleaved; the median counts
SIMULATED = 1000  # random searches on the table


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    chosen = {name: CONTENDERS[name] for name in options.methods.split(",")}
    stages = (options.stage,) if options.stage else STAGES
    if "search" in stages:
        epochs = epochs_of(options, chosen)
        for seed in range(options.seeds):
            for name, (method, settings) in chosen.items():
                search(options, name, method, {**settings, "epochs": epochs[name]}, seed)
    if "rank" in stages:
        for folder in finished(options, chosen):
            rank(options, folder)
    if "tables" in stages:
        print(tables(options, chosen, read_truth(str(options.truth), options.space)))


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data-dir", required=True, help="the folder that holds cifar-10-batches-bin")
    parser.add_argument("--truth", type=Path, required=True, help="a table of accuracies, see docs/tables.md")
    parser.add_argument("--space", default="nasbench201")
    parser.add_argument("--methods", default=",".join(CONTENDERS))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100, help="architectures of each ranking")
    parser.add_argument("--recalibrate", default="None", help="images of train, for the ranking's recalibrated scores")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--cells", type=int, default=5, help="5: one cell a stage, and the two blocks between them")
    parser.add_argument("--table-macs", type=float, help="most multiply-adds of a candidate at the table's size")
    parser.add_argument("--max-images", type=int, default=6000)
    parser.add_argument("--stage", choices=STAGES)
    return parser.parse_args(words)


def settings_of(options: argparse.Namespace, method: str, settings: Mapping[str, object]) -> dict[str, object]:
    limited = options.table_macs is not None and METHODS[method].limits
    limit = {"limit": f"macs<={limit_here(options.space, options.channels, options.table_macs)}"} if limited else {}
    return {"channels": options.channels, "cells": options.cells, **settings, **limit}


@cache
def limit_here(name: str, channels: int, most: float) -> int:
    """The largest limit at so many channels by which no architecture has more than `most` at the table's size."""
    everything = list(SPACES[name].enumerate())
    here, there = macs_of(SPACES[name], everything, channels=channels), macs_of(SPACES[name], everything)
    return min(own for own, published in zip(here, there, strict=True) if published > most) - 1


# --- Equal time -------------------------------------------------------------------------------------------------------


def epochs_of(options: argparse.Namespace, chosen: Mapping[str, tuple[str, Mapping[str, object]]]) -> dict[str, int]:
    """Epochs of each contender that take the minutes, scoring included; as measured before, if that is known."""
    path = options.out / "pace.json"
    known: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
    new = {name: one for name, one in chosen.items() if name not in known}
    if new:
        setup = Setup(data="cifar10", data_dir=options.data_dir, max_images=options.max_images, threads=1)
        data = work.load(setup)
        found: dict[str, list[int]] = {name: [] for name in new}
        for _ in range(REPEATS):
            for name, (method, settings) in new.items():
                module, own = method_module(method), settings_of(options, method, settings)
                config = build(module.Config, {**presets_of(module, SPACES[options.space])["cifar10"], **own})
                job = compare_budgets.job_of(method, options.space, setup, config, data)
                each_s, after_s = compare_budgets.seconds_of(method, job)
                found[name].append(max(1, int((60 * options.minutes - after_s) / each_s)))
        known |= {name: int(statistics.median(numbers)) for name, numbers in found.items()}
        options.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1) + "\n")
    return known


# --- Runs -------------------------------------------------------------------------------------------------------------


def search(options: argparse.Namespace, name: str, method: str, settings: Mapping[str, object], seed: int) -> None:
    folder = options.out / f"{name}-s{seed}"
    data = ["--data", "cifar10", "--data-dir", options.data_dir, "--max-images", str(options.max_images)]
    words = ["search", method, "--space", options.space, *data, "--seed", str(seed), "--threads", "1"]
    for key, value in settings_of(options, method, settings).items():
        flag = f"--{key.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    known = (folder / "config.toml").is_file()
    run(["resume", str(folder)] if known else [*words, "--out", str(folder)])


def rank(options: argparse.Namespace, folder: Path) -> None:
    if not (folder / "rank" / "rank.json").is_file():
        size = ["--samples", str(options.samples), "--recalibrate", options.recalibrate]
        run(["rank", str(folder), "--truth", str(options.truth), *size])


def run(words: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "dartboard", *words], check=True)


def finished(options: argparse.Namespace, chosen: Mapping[str, Any]) -> list[Path]:
    folders = [options.out / f"{name}-s{seed}" for seed in range(options.seeds) for name in chosen]
    return [folder for folder in folders if (folder / "architecture.json").is_file()]


# --- Tables -----------------------------------------------------------------------------------------------------------


def tables(options: argparse.Namespace, chosen: Mapping[str, Any], table: Table) -> str:
    """A row a contender: what was found, how the weights rank, and random search on the table."""
    head = (
        f"| method | epochs | seconds | {table.shown_column} of the found, % | tau of the weights "
        "| tau of multiply-adds | candidates | random search on the table with as many trials, % |"
    )
    rows = [head, "|---" * 8 + "|"]
    for name in chosen:
        folders = [one for one in finished(options, chosen) if one.name.rpartition("-s")[0] == name]
        if folders:
            rows.append(row(name, folders, table))
    return "\n".join(rows)


def row(name: str, folders: Sequence[Path], table: Table) -> str:
    found = [100 * table.shown[formats.load(folder / "architecture.json")[0]] for folder in folders]
    lines = [lines_of(folder) for folder in folders]
    seconds = [float(one[-1]["elapsed_s"]) for one in lines]
    epochs = {sum(line["event"] == "epoch" for line in one) for one in lines}
    candidates = round(statistics.mean(num_candidates(one) for one in lines))
    ranked = [read_results(folder / "rank") for folder in folders if (folder / "rank" / "rank.json").is_file()]
    taus, macs = ([tau_of(one, judge) for one in ranked] for judge in (SHARED, MACS))
    trials = random_on_table(table, candidates)
    return (
        f"| {name} | {', '.join(map(str, sorted(epochs)))} | {spread(seconds, 0)} "
        f"| {spread(found, 2)} ({', '.join(f'{one:.2f}' for one in found)}) | {spread(taus, 3)} | {spread(macs, 3)} "
        f"| {candidates} | {spread(trials, 2)} |"
    )


def tau_of(found: Mapping[str, Any], name: str) -> float:
    """Kendall's tau of a judge with the table; of the weights, as they are at the end of the search."""
    judge = judge_of(found, name)
    assert judge is not None
    return float(judge["measures"]["tau"]["estimate"])


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def num_candidates(lines: Sequence[Mapping[str, Any]]) -> int:
    """Architectures that the search scored; 1 for those that derive."""
    return max(1, sum(line["event"] == "trial" for line in lines))


def random_on_table(table: Table, trials: int) -> list[float]:
    """What random searches of so many trials find: the best by the column seen, in the column shown."""
    pool, found = list(table.seen), []
    for seed in range(SIMULATED):
        drawn = Random(seed).sample(pool, trials)
        found.append(100 * table.shown[max(drawn, key=table.seen.__getitem__)])
    return found


def spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return "not measured"
    more = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{more}"


if __name__ == "__main__":
    main(sys.argv[1:])
