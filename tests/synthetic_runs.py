"""Run folders made up by a random walk of alpha: what the page reads, without a search. No torch."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from dartboard import formats
from dartboard.spaces import darts, nasbench201

ENVIRONMENT = {
    "dartboard": "0.1.0",
    "python": "3.11.7",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "device": "cpu",
    "device_name": "Imaginary CPU",
    "threads": 2,
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "command_line": ["dartboard", "search", "darts", "--data", "digits"],
    "parent": None,
    "created": "2026-01-01T00:00:00+00:00",
    "data": {
        "name": "digits",
        "fingerprint": "f" * 64,
        "train": 719,
        "val": 719,
        "test": 359,
        "num_classes": 10,
        "class_names": [str(digit) for digit in range(10)],
        "image_size": 8,
        "notes": [],
    },
}
SEARCH = {
    "command": "search",
    "method": "darts",
    "space": "darts",
    "data": "digits",
    "second_order": False,
    "lr": 0.025,
}
TRAIN = {"command": "train", "data": "digits", "channels": 16, "cells": 5, "lr": 0.025, "auxiliary": False}

Alpha = dict[str, list[list[float]]]


def derived(alpha: Alpha) -> str:
    """The genotype text of alpha: two strongest predecessors a node, the strongest operation besides none."""
    edges = darts.edges()
    cells = {}
    for kind in darts.CELLS:
        nodes = []
        for target in range(2, 6):
            rows = [
                (max(row[1:]), source, row)
                for (source, to), row in zip(edges, alpha[kind], strict=True)
                if to == target
            ]
            best = sorted(sorted(rows, reverse=True)[:2], key=lambda item: item[1])
            nodes.append(tuple((darts.OPERATIONS[row.index(max(row[1:]), 1)], source) for _, source, row in best))
        cells[kind] = darts.Cell(tuple(nodes), (2, 3, 4, 5))
    return formats.write(darts.architecture(cells), "quark0")


def walk(alpha: Alpha, rng: Random, skip_pull: float) -> None:
    """One epoch's random step, with a pull towards skip_connect in the normal cell."""
    for kind, rows in alpha.items():
        for row in rows:
            for column in range(len(row)):
                row[column] += rng.gauss(0, 0.12)
            row[3] += skip_pull if kind == "normal" else 0


def alpha_fields(alpha: Alpha) -> dict[str, Any]:
    return {f"alpha_{kind}": [list(row) for row in rows] for kind, rows in alpha.items()} | {
        "architecture": derived(alpha)
    }


def search_lines(epochs: int, seed: int, skip_pull: float, finished: bool, steps: int) -> list[dict[str, Any]]:
    rng = Random(seed)
    alpha: Alpha = {kind: [[rng.gauss(0, 1e-3) for _ in range(8)] for _ in range(14)] for kind in darts.CELLS}
    lines: list[dict[str, Any]] = [{"event": "start", **alpha_fields(alpha)}]
    for epoch in range(epochs):
        for step in range(steps):
            loss = 2.3 * math.exp(-(epoch + step / steps) / 6) + rng.gauss(0, 0.05)
            lines.append({"event": "step", "epoch": epoch, "step": epoch * steps + step, "train_loss": loss})
        walk(alpha, rng, skip_pull)
        share = 1 - 0.85 * math.exp(-(epoch + 1) / 5)
        lines.append(
            {
                "event": "epoch",
                "epoch": epoch,
                "step": (epoch + 1) * steps,
                "lr": 0.025 * (1 - epoch / epochs),
                "train_loss": 2.2 * math.exp(-epoch / 6),
                "train_accuracy": share,
                "val_loss": 2.2 * math.exp(-epoch / 7) + 0.1,
                "val_accuracy": share - 0.03,
                "derived_val_accuracy": 0.1 + 0.3 * epoch / epochs + rng.random() / 20,
                "elapsed_s": 3.1 * (epoch + 1),
                "epoch_s": 3.1,
                **alpha_fields(alpha),
            }
        )
    if finished and epochs:
        last = lines[-1]
        kept = ("architecture", "val_accuracy", "derived_val_accuracy", "elapsed_s")
        lines.append({"event": "result", **{name: last[name] for name in kept}})
    return lines


def train_lines(epochs: int, seed: int, finished: bool) -> list[dict[str, Any]]:
    rng = Random(seed)
    lines: list[dict[str, Any]] = []
    for epoch in range(epochs):
        share = 1 - 0.9 * math.exp(-(epoch + 1) / 4) - rng.random() / 100
        lines.append(
            {
                "event": "epoch",
                "epoch": epoch,
                "step": 10 * (epoch + 1),
                "lr": 0.025 * (1 - epoch / epochs),
                "drop_path": 0.2 * epoch / epochs,
                "train_loss": 2.2 * math.exp(-epoch / 4),
                "train_accuracy": share,
                "test_loss": 2.2 * math.exp(-epoch / 4) + 0.1,
                "test_accuracy": share - 0.02,
                "elapsed_s": 2.0 * (epoch + 1),
            }
        )
    if finished and epochs:
        result = {name: lines[-1][name] for name in ("test_accuracy", "test_loss", "elapsed_s")}
        lines.append({"event": "result", **result, "params": 123_456, "macs": 7_654_321})
    return lines


def write_folder(
    folder: Path, config: dict[str, Any], environment: dict[str, Any], lines: list[dict[str, Any]]
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(tomli_w.dumps(config))
    (folder / "environment.json").write_text(json.dumps({**ENVIRONMENT, **environment}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def write_search(
    folder: Path,
    *,
    epochs: int = 6,
    seed: int = 0,
    skip_pull: float = 0.0,
    finished: bool = True,
    steps: int = 10,
    config: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
) -> Path:
    """A search's folder; skip_pull > 0 makes its normal cell collapse."""
    lines = search_lines(epochs, seed, skip_pull, finished, steps)
    settings = {**SEARCH, "seed": seed, "epochs": epochs, **(config or {})}
    write_folder(folder, settings, environment or {}, lines)
    if finished and epochs:
        architecture, _ = formats.read(lines[-1]["architecture"])
        (folder / "architecture.json").write_text(json.dumps(architecture.to_json()))
    return folder


def write_controller_search(
    folder: Path,
    tables: Callable[[int], dict[str, Any]],
    labels: dict[str, Any] | None = None,
    *,
    epochs: int = 6,
    alpha: bool = False,
) -> Path:
    """The folder of a search that logs these tables at its start (epoch -1) and each epoch, with or without alpha."""
    lines = search_lines(epochs, 0, 0.0, True, 4)
    for line in lines:
        if not alpha:
            line.pop("alpha_normal", None)
            line.pop("alpha_reduce", None)
        if line["event"] in ("start", "epoch"):
            line.update(tables(line.get("epoch", -1)))
    if labels is not None:
        lines[0]["labels"] = labels
    write_folder(folder, {**SEARCH, "method": "darts" if alpha else "enas", "seed": 0, "epochs": epochs}, {}, lines)
    architecture, _ = formats.read(lines[-1]["architecture"])
    (folder / "architecture.json").write_text(json.dumps(architecture.to_json()))
    return folder


def write_trials(
    folder: Path, *, trials: int = 12, seed: int = 0, method: str = "random_search", numbers: int | None = None
) -> Path:
    """The folder of a finished search that scored cells of NAS-Bench-201 one by one, with their costs.

    numbers: the seed of all that is made up, if it is not that of the search.
    """
    rng = Random(seed if numbers is None else numbers)
    lines: list[dict[str, Any]] = []
    for number in range(trials):
        told = nasbench201.to_string(nasbench201.SPACE.sample(rng))
        line = {"score": rng.random(), "source": "table, made up", "macs": rng.randrange(10**6, 10**8)}
        line |= {"params": rng.randrange(10**5, 10**6), "elapsed_s": 0.1 * (number + 1)}
        lines.append({"event": "trial", "trial": number, **line, "architecture": told})
    best = max(lines, key=lambda line: float(line["score"]))
    lines.append({**best, "event": "result"})
    config = {"command": "search", "method": method, "space": "nasbench201", "trials": trials, "seed": seed}
    write_folder(folder, {**config, "truth": "made-up.csv"}, {}, lines)
    (folder / "architecture.json").write_text(json.dumps(formats.read(best["architecture"])[0].to_json()))
    return folder


def write_training(
    folder: Path,
    architecture: str = "DARTS_V2",
    *,
    epochs: int = 5,
    seed: int = 0,
    finished: bool = True,
    parent: Path | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    """A training's folder; `architecture` is a published name, or that of the parent where one is given."""
    named = {"parent": str(parent)} if parent else {}
    write_folder(
        folder, {**TRAIN, "seed": seed, "epochs": epochs, **(config or {})}, named, train_lines(epochs, seed, finished)
    )
    found, _, _ = formats.resolve(str(parent) if parent else architecture)
    (folder / "architecture.json").write_text(json.dumps(found.to_json()))
    return folder
