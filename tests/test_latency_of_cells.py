"""Limits on the latency of cells: it is a sum over edges, so that relaxed searches derive within it.

The table is made by formula, a constant and so many milliseconds a multiply-add: a limit on latency is one on these.
"""

import json
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import latency_table
from dartboard import Run
from dartboard.cli import main
from dartboard.formats import read
from dartboard.formats.files import LATENCY, MEASURED
from dartboard.scoring.cost import count
from dartboard.scoring.edge_costs import EdgeCosts, edge_costs, parts_of, with_latencies
from dartboard.scoring.latency import LatencyTable, Line, read_table, with_latency
from dartboard.scoring.limits import limits_from
from dartboard.search.limited_derivation import Limited, first_within
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture
from dartboard.studies import measured_latency

SIZES: dict[str, Any] = {"channels": 2, "cells": 3, **latency_table.DIGITS}
WORDS = ["--data", "digits", "--max-images", "64", "--batch-size", "16", "--threads", "1"]
WORDS += ["--channels", "2", "--cells", "3", "--epochs", "1"]
pytestmark = pytest.mark.usefixtures("one_thread")


def made(space: str, folder: Path) -> LatencyTable:
    return read_table(str(latency_table.by_formula(space, SIZES, folder / "table.json")))


@pytest.fixture(scope="module", params=["nasbench201", "darts"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LatencyTable:
    return made(request.param, tmp_path_factory.mktemp("latency"))


def latency_ms(macs: float) -> float:
    return latency_table.CONSTANT_MS + latency_table.MS_OF_MAC * macs


@cache
def edges_of(path: str) -> EdgeCosts:
    table = read_table(path)
    return with_latencies(edge_costs(SPACES[table.space], **SIZES), SPACES[table.space], table)


def most_probable(table: LatencyTable, limit: str, seed: int) -> Architecture:
    """What is derived from softmaxed noise within a limit."""
    space, limits, rng = SPACES[table.space], limits_from(limit), np.random.default_rng(seed)
    mixed, weights = FAMILIES[space.family].mixed(space), {}
    for kind, rows in mixed.items():
        noise = np.exp(rng.normal(size=(len(rows), len(rows[0]))))
        weights[kind] = (noise / noise.sum(axis=1, keepdims=True)).tolist()
    cost = with_latency(partial(count, **SIZES), table)
    edges = edges_of(table.path)
    first = first_within(space, limits, cost, edges, Random(0))
    limited = Limited(space, limits, cost, edges, first, lambda: Random(0))
    return limited.most_probable(weights, FAMILIES[space.family].derive(weights, mixed))


@pytest.mark.parametrize("reordering_ms", [0.0, -7.0])  # the second as of onnxruntime
def test_what_edges_add_and_the_rest_are_what_the_table_predicts(table: LatencyTable, reordering_ms: float) -> None:
    space, table = SPACES[table.space], replace(table, line=Line(0.2, 1.5, reordering_ms))
    edges = with_latencies(edge_costs(space, **SIZES), space, table)
    for seed in range(10):
        one = space.sample(Random(seed))
        assert edges.total("latency_ms", parts_of(one)) == pytest.approx(table.predict_ms(one), rel=1e-12)


def test_what_is_derived_within_a_latency_is_what_is_derived_within_the_multiply_adds(table: LatencyTable) -> None:
    space = SPACES[table.space]
    costs = sorted(count(space.sample(Random(seed)), **SIZES).macs for seed in range(20))
    bound, found = costs[1] + 0.5, []
    for seed in range(3):
        found.append(most_probable(table, f"latency_ms<={latency_ms(bound):.12f}", seed))
        assert found[-1] == most_probable(table, f"macs<={bound}", seed)
        assert count(found[-1], **SIZES).macs <= bound
    assert any(one != most_probable(table, "macs<=1G", seed) for seed, one in enumerate(found))


def test_latency_and_another_limit_hold_together(table: LatencyTable) -> None:
    space = SPACES[table.space]
    middle = [count(space.sample(Random(seed)), **SIZES) for seed in range(21)]
    macs, params = np.median([one.macs for one in middle]), np.median([one.params for one in middle])
    one = most_probable(table, f"latency_ms<={latency_ms(macs):.12f},params<={params:.0f},memory_mb<=1", 5)
    found = count(one, **SIZES)
    assert table.predict_ms(one) <= latency_ms(macs) + 1e-9 and found.params <= params


# --- Searches ---------------------------------------------------------------------------------------------------------


def search(method: str, table: LatencyTable, limit_ms: float, *more: str) -> int:
    given = ["--space", table.space, "--latency", table.path, "--limit", f"latency_ms<={limit_ms:.12f}"]
    return main(["search", method, *WORDS, *given, *more])


@pytest.mark.parametrize(
    ("method", "name"), [("darts", "nasbench201"), pytest.param("gdas", "darts", marks=pytest.mark.slow)]
)
def test_a_search_derives_within_a_latency_and_says_what_the_table_predicts(
    method: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_latency, "ROUNDS", 2)
    space, table = SPACES[name], made(name, tmp_path)
    limit_ms = sorted(table.predict_ms(space.sample(Random(seed))) for seed in range(20))[4]
    assert search(method, table, limit_ms, "--out", str(tmp_path / "run")) == 0
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    derived = [read(line["architecture"])[0] for line in lines if "architecture" in line]
    assert derived and all(table.predict_ms(one) <= limit_ms for one in derived)
    run = Run.open(tmp_path / "run")
    assert run.architecture is not None and run.environment["latency"]["file"] == table.path
    predicted = table.predict_ms(run.architecture)
    assert [line["latency_ms"] for line in lines if line["event"] in ("epoch", "result")] == [predicted] * 2
    found = json.loads((run.folder / MEASURED / LATENCY).read_text())
    assert found["limit_ms"] == pytest.approx(limit_ms) and f"latency measured {found['measured_ms']:.4g} ms" in out
    assert f"by the table {found['predicted_ms']:.4g}" in (run.folder / "report.html").read_text()
    others = [read(text)[0] for text in lines[-1]["next_best"]]
    assert len(set(others)) == len(others) > 0 and run.architecture not in others
    assert all(table.predict_ms(one) <= limit_ms for one in others)


@pytest.mark.parametrize("method", ["darts", "gdas"])
def test_a_latency_that_nothing_is_within_is_refused_with_the_smallest(
    method: str, table: LatencyTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = SPACES[table.space]
    smallest = min(table.predict_ms(one) for one in FAMILIES[space.family].cheapest(space))
    for more in (["--dry-run"], ["--out", str(tmp_path / "run")]):
        assert search(method, table, 0.9 * smallest, *more) == 2
        error = capsys.readouterr().err
        least = latency_ms(count(space.smallest(), **SIZES).macs)
        assert f"has {least:.4g} ms of latency by the table; give a --limit above that" in error
        assert error.count("\n") == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["darts", "gdas"])
def test_a_dry_run_takes_a_latency(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = made("nasbench201", tmp_path)
    assert search(method, table, 1000.0, "--dry-run") == 0
    assert f'latency = "{table.path}"' in capsys.readouterr().out


@pytest.mark.parametrize("method", ["darts", "gdas"])
def test_without_a_limit_the_table_is_held_to_the_sizes_and_to_that_of_the_start(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, own = made("nasbench201", tmp_path), tmp_path / "own.json"
    own.write_bytes(Path(table.path).read_bytes())
    words = ["search", method, *WORDS, "--space", table.space, "--latency", str(own), "--out", str(tmp_path / "run")]
    assert main([*words, "--channels", "4"]) == 2
    message = "was measured with 2 channels, and this is 4 channels; build one: dartboard latency build --space"
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()
    assert main([*words, "--budget", "1steps"]) == 0
    own.write_text(own.read_text() + "\n")
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "run"), "--budget", "9steps"]) == 2
    assert "own.json is not that of the start of" in capsys.readouterr().err
