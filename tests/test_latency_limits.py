"""Limits on the latency of networks, by a table: what searches draw and find within them, what is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

import latency_table
from dartboard import Run
from dartboard.cli import main
from dartboard.devices import processor
from dartboard.errors import InputError
from dartboard.methods import method_module
from dartboard.scoring.cost import Cost, count
from dartboard.scoring.cost_by_table import CostByTable
from dartboard.scoring.latency import Conditions, own_sizes, read_table, with_latency
from dartboard.scoring.limits import (
    Limit,
    cheapest,
    check_table,
    fastest,
    in_words,
    limits_from,
    neighbours,
    sample_within,
)
from dartboard.search import trials
from dartboard.search.given_tables import note_latency
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies.latency_tables import Plan, build
from dartboard.testing import tiny

SPACE = SPACES["bignas-8"]
DATA = ["--space", "bignas-8", "--data", "digits", "--max-images", "96", "--threads", "1"]
SHORT = [*DATA, "--channels", "4", "--epochs", "1"]
LIMIT_MS = 0.5
pytestmark = pytest.mark.usefixtures("one_thread")


def macs_of(limit_ms: float) -> float:
    """The multiply-adds of a network that takes so long by the formula of the table."""
    return (limit_ms - latency_table.CONSTANT_MS) / latency_table.MS_OF_MAC


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return latency_table.for_digits("bignas-8", 4, 4, tmp_path_factory.mktemp("latency") / "table.json")


def within(table: Path) -> list[str]:
    return ["--latency", str(table), "--limit", f"latency_ms<={LIMIT_MS}"]


def test_a_search_by_trials_draws_within_a_latency(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["search", "random_search", *SHORT, "--trials", "3", "--batch-size", "32", *within(table)]
    assert main([*words, "--out", str(out)]) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    trials = [line for line in lines if "trial" in line]
    assert len(trials) >= 3
    assert all(line["latency_ms"] <= LIMIT_MS and line["macs"] <= macs_of(LIMIT_MS) for line in trials)
    assert Run.open(out).environment["latency"]["file"] == str(table)


def test_a_supernet_search_holds_what_it_returns_to_a_latency(table: Path, tmp_path: Path) -> None:
    few = ["--batch-size", "16", "--coarse", "2", "--fine", "1", "--rounds", "1", "--recalibrate", "32"]
    assert main(["search", "bignas", *SHORT, *few, *within(table), "--out", str(tmp_path / "run")]) == 0
    found = Run.open(tmp_path / "run").architecture
    assert read_table(str(table)).predict_ms(found) <= LIMIT_MS


@pytest.mark.parametrize("method", ["spos", "ofa", "bignas", "random_search_ws", "enas"])
def test_the_first_network_of_each_method_is_within_a_latency(method: str, table: Path) -> None:
    module, data = method_module(method), tiny.digits()
    sizes = {"channels": 4, "cells": 4}
    limited = module.Config(**sizes, latency=str(table), limit=f"latency_ms<={LIMIT_MS}")
    space = SPACE
    found = {module.check(limited, space, data, Random(seed)) for seed in range(20)}
    assert all(count(one, **sizes, **latency_table.DIGITS).macs <= macs_of(LIMIT_MS) for one in found)
    free = {module.check(module.Config(**sizes), space, data, Random(seed)) for seed in range(20)}
    assert any(count(one, **sizes, **latency_table.DIGITS).macs > macs_of(LIMIT_MS) for one in free)


@pytest.mark.parametrize(
    ("method", "name", "cells"),
    [
        ("enas", "enas_macro", 12),
        pytest.param("enas", "enas_micro", 5, marks=pytest.mark.slow),
        pytest.param("random_search_ws", "enas_micro", 5, marks=pytest.mark.slow),
    ],
)
def test_searches_of_cells_of_blocks_and_of_chains_with_skips_draw_within_a_latency(
    method: str, name: str, cells: int, tmp_path: Path
) -> None:
    space, sizes = SPACES[name], {"channels": 4, "cells": cells}
    table = latency_table.by_formula(name, {**sizes, **latency_table.DIGITS}, tmp_path / "table.json")
    module, data, rng = method_module(method), tiny.digits(), Random(0)
    times = sorted(read_table(str(table)).predict_ms(space.sample(rng)) for _ in range(20))
    limited = module.Config(**sizes, latency=str(table), limit=f"latency_ms<={times[6]}")
    found = {module.check(limited, space, data, Random(seed)) for seed in range(20)}
    counted = [latency_table.CONSTANT_MS + latency_table.MS_OF_MAC * cost(one, sizes).macs for one in found]
    assert len(found) > 1 and max(counted) <= times[6] * (1 + 1e-9)


@pytest.mark.parametrize("name", ["nas_rl-12", pytest.param("nasnet", marks=pytest.mark.slow)])
def test_searches_by_trials_of_spaces_without_a_supernet_draw_within_a_latency(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, cells = SPACES[name], 12 if name == "nas_rl-12" else 5
    sizes = {"channels": 2, "cells": cells}
    table, rng = latency_table.by_formula(name, {**sizes, **latency_table.DIGITS}, tmp_path / "table.json"), Random(0)
    limit = sorted(read_table(str(table)).predict_ms(space.sample(rng)) for _ in range(20))[6]
    words = ["search", "random_search", "--space", name, "--data", "digits", "--max-images", "96", "--threads", "1"]
    words += ["--channels", "2", "--epochs", "1", "--trials", "2", "--batch-size", "32"]
    words += [] if name == "nas_rl-12" else ["--cells", "5"]
    words += ["--latency", str(table), "--limit", f"latency_ms<={limit}", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    trials = [line for line in lines if "trial" in line]
    assert len(trials) >= 2 and all(line["latency_ms"] <= limit for line in trials)
    assert "latency" in capsys.readouterr().out


def cost(architecture: Architecture, sizes: Mapping[str, int]) -> Cost:
    return count(architecture, **sizes, **latency_table.DIGITS)


def test_where_a_table_of_scores_serves_latencies_are_those_of_the_published_sizes(tmp_path: Path) -> None:
    space, out = SPACES["nasbenchmacro"], tmp_path / "macro.json"
    conditions = Conditions("cpu", processor(), threads=1)
    build(Plan(space, own_sizes(space), conditions, 3, 3, 20), out, latency_table.clock_of_macs())
    config = method_module("random_search").Config(truth="scores.csv", latency=str(out))
    cost = trials.timed_costs(count, config, space, None)(space.largest())
    assert cost.latency_ms == pytest.approx(latency_table.CONSTANT_MS + latency_table.MS_OF_MAC * cost.macs, rel=1e-4)


def test_a_limit_that_nothing_is_within_names_the_smallest(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "bignas", *SHORT, "--batch-size", "16", "--latency", str(table), "--limit", "latency_ms<=0.01"]
    assert main([*words, "--dry-run"]) == 2
    smallest = read_table(str(table)).predict_ms(SPACE.smallest())
    assert f"has {smallest:.4g} ms of latency by the table; give a --limit above that" in capsys.readouterr().err


def test_limits_that_only_faster_ones_than_the_cheapest_meet_are_not_refused_as_below_the_smallest(
    tmp_path: Path,
) -> None:
    """A table on which average pools, which cost nothing, are slow, and identities are not layers."""
    space, sizes = SPACES["enas_micro"], {"channels": 4, "cells": 5, **latency_table.DIGITS}
    by_macs = read_table(str(latency_table.by_formula("enas_micro", sizes, tmp_path / "table.json")))
    layers = {key: ms + 0.05 * ("pool" in key) for key, ms in by_macs.layers.items()}
    table = replace(by_macs, layers=layers, known={})
    costs = with_latency(partial(count, **sizes), table)
    slow = min(table.predict_ms(one) for one in cheapest(space))
    (fast,) = fastest(space, limits_from("latency_ms<=1"), costs)
    assert table.predict_ms(fast) < slow - 0.5
    assert all(table.predict_ms(one) >= table.predict_ms(fast) for one in neighbours(space, fast))
    with pytest.raises(InputError, match=f"has {table.predict_ms(fast):.4g} ms of latency by the table; give a"):
        sample_within(space, Random(0), limits_from(f"latency_ms<={table.predict_ms(fast) - 0.001}"), costs)
    with pytest.raises(InputError, match=r"none of 1,000 draws is within --limit, though .*: such archit"):
        sample_within(space, Random(0), limits_from(f"latency_ms<={table.predict_ms(fast) + 0.001}"), costs)


def test_draws_that_the_table_says_are_too_slow_are_not_counted() -> None:
    counted, times = list[Architecture](), {}

    def count_one(one: Architecture) -> Cost:
        counted.append(one)
        return count(one, **latency_table.DIGITS, channels=4, cells=4)

    costs = CostByTable(count_one, lambda one: times.setdefault(one, 3.0 if len(times) < 5 else 0.1))
    found = sample_within(SPACE, Random(0), limits_from("latency_ms<=0.2"), costs)
    assert counted[-1] == found and times[found] == 0.1
    assert len(counted) == len(cheapest(SPACE)) + 1 < len(times)


def test_slow_draws_are_counted_while_another_limit_is_not_known_to_be_met() -> None:
    """Memory has no cheapest architecture: what is too slow may be the first that shows that its limit can be met."""
    named, real = set(cheapest(SPACE)), count(SPACE.smallest(), **latency_table.DIGITS, channels=4, cells=4)
    times: dict[Architecture, float] = {}

    def by_number(one: Architecture) -> float:
        return times.setdefault(one, 3.0 if one in named or len(times) < 220 else 0.1)

    costs = CostByTable(lambda one: replace(real, memory_mb=9.0 if one in named else 1.0), by_number)
    found = sample_within(SPACE, Random(0), limits_from("memory_mb<=2,latency_ms<=4"), costs)
    assert times[found] == 3.0
    later = sample_within(SPACE, Random(0), limits_from("memory_mb<=2,latency_ms<=0.2"), costs)
    assert times[later] == 0.1


def test_a_dry_run_by_trials_knows_the_table_and_the_limit(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "random_search", *SHORT, "--batch-size", "32", "--dry-run", "--latency"]
    assert main([*words, "nowhere.json", "--limit", "latency_ms<=3"]) == 2
    assert main([*words, str(table), "--limit", "latency_ms<=0.001"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("method", ["bignas", "random_search", "ofa", "spos", "gdas", "darts"])
def test_a_latency_without_a_table_is_refused(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", method, "--data", "digits", "--limit", "latency_ms<=3"]) == 2
    error = capsys.readouterr().err
    assert "dartboard latency build --space SPACE --out FILE, then --latency FILE" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("bignas", ["--channels", "8"], "was measured with 4 channels, and this is 8 channels; build one: dartboard"),
        (
            "random_search",
            ["--threads", "77"],
            "this is 77 threads; give --threads 1, or build one: dartboard latency build --space bignas-8",
        ),
        ("random_search", ["--space", "nas_rl"], "the space bignas-8, and this is the space nas_rl"),
        ("random_search", ["--space", "ofa-8"], "the space bignas-8, and this is the space ofa-8"),
    ],
)
def test_tables_of_other_networks_and_threads_are_refused(
    method: str, more: list[str], message: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", method, *SHORT, *within(table), *more, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_whose_table_has_changed_is_refused(table: Path, tmp_path: Path) -> None:
    config = method_module("bignas").Config()
    run, own = Run.create(tmp_path / "run", config, command="search", method="bignas"), tmp_path / "own.json"
    own.write_bytes(table.read_bytes())
    note_latency(run, str(own))
    note_latency(run, str(own))
    own.write_text(table.read_text() + "\n")
    with pytest.raises(InputError, match=r"own\.json is not that of the start of"):
        note_latency(run, str(own))


def test_limits_in_words() -> None:
    assert limits_from("latency_ms<=3.5,macs<=1K") == (Limit("latency_ms", 3.5), Limit("macs", 1000.0))
    assert in_words("latency_ms", 2.51239) == "2.512 ms of latency by the table"
    assert in_words("macs", 12345) == "12,345 multiply-adds of an image"
    check_table("latency_ms<=3", "table.json")
    check_table("macs<=3", None)
    with pytest.raises(InputError, match="--limit latency_ms needs a table"):
        check_table("latency_ms<=3", None)
