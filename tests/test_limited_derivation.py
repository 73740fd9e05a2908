"""Architectures derived within limits: against enumeration, against a knapsack, and without limits that bind."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import tiny
from dartboard import spaces
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.formats import read
from dartboard.methods import METHODS, darts, gdas, method_module
from dartboard.runs.run import Run
from dartboard.scoring.cost import count
from dartboard.scoring.edge_costs import SUMMED, EdgeCosts, edge_costs, parts_of
from dartboard.scoring.limits import Limit, is_within, limits_from
from dartboard.search import limited_derivation
from dartboard.search.limited_derivation import Limited, Weights, costs_by_choice, first_within, scores_by_choice
from dartboard.spaces import nasbench201
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace

SIZES: dict[str, Any] = {"channels": 2, "cells": 3, "num_classes": 10, "image_size": 8, "in_channels": 3}
FEW = nasbench201.space("few", "made up", ("avg_pool_3x3", "nor_conv_3x3"))
COST = partial(count, **SIZES)


def weights_of(space: SearchSpace, seed: int) -> Weights:
    """Softmaxed noise."""
    rng = np.random.default_rng(seed)
    found = {}
    for kind, rows in FAMILIES[space.family].mixed(space).items():
        noise = np.exp(rng.normal(size=(len(rows), len(rows[0]))))
        found[kind] = (noise / noise.sum(axis=1, keepdims=True)).tolist()
    return found


def derived(space: SearchSpace, weights: Weights) -> Architecture:
    family = FAMILIES[space.family]
    return family.derive(weights, family.mixed(space))


def limited(space: SearchSpace, text: str, edges: EdgeCosts | None = None) -> Limited:
    limits, edges = limits_from(text), edges or edge_costs(space, **SIZES)
    first = first_within(space, limits, COST, edges, Random(0))
    return Limited(space, limits, COST, edges, first, lambda: Random(0))


def probability(weights: Weights, architecture: Architecture) -> float:
    """The product of the weights of an architecture's operations, written out."""
    mixed = FAMILIES[architecture.space].mixed(spaces.SPACES[architecture.space])
    return float(np.prod([weights[kind][row][mixed[kind][row].index(o)] for kind, row, o in parts_of(architecture)]))


# --- What operations cost on edges -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["darts", "s1", "s3", "s4", "nasbench201"])
def test_the_rest_and_what_edges_add_are_what_a_network_costs(name: str) -> None:
    space = spaces.SPACES[name]
    edges = edge_costs(space, **SIZES)
    for seed in range(4):
        architecture = space.sample(Random(seed))
        found = COST(architecture)
        assert {one: edges.total(one, parts_of(architecture)) for one in SUMMED} == {
            one: getattr(found, one) for one in SUMMED
        }


def test_a_space_whose_costs_are_no_sums_over_edges_is_refused() -> None:
    with pytest.raises(InputError, match="the costs of nasbenchmacro are no sums over edges; give a space of darts"):
        edge_costs(spaces.SPACES["nasbenchmacro"], **SIZES)


# --- Enumerated spaces -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", ["macs<=15k", "params<=1.45k", "macs<=20k,memory_mb<=0.0099", "bitops<=14.5M"])
def test_in_a_small_space_it_is_the_most_probable_of_all_that_are_counted(limits: str) -> None:
    one, fitting = limited(FEW, limits), [a for a in FEW.enumerate() if is_within(limits_from(limits), COST, a)]
    assert 0 < len(fitting) < 64
    mixed = FAMILIES["nasbench201"].mixed(FEW)
    for seed in range(6):
        weights = weights_of(FEW, seed)
        scores = [
            np.prod([weights[kind][row][mixed[kind][row].index(o)] for kind, row, o in parts_of(a)]) for a in fitting
        ]
        ranked = [fitting[place] for place in np.argsort(-np.array(scores))]
        assert one.most_probable(weights, derived(FEW, weights)) == ranked[0]
        assert one.next_best(weights, ranked[0], 3) == ranked[1:4]


def test_in_nasbench201_it_is_the_most_probable_of_all_15625() -> None:
    space, limits = nasbench201.SPACE, (("macs", 12_000), ("params", 1370))
    one = limited(space, "macs<=12k,params<=1.37k")
    fits = [a for a in space.enumerate() if all(one.edges.total(n, parts_of(a)) <= most for n, most in limits)]
    assert 100 < len(fits) < 5000
    weights = weights_of(space, 3)
    best = max(fits, key=lambda a: probability(weights, a))
    assert derived(space, weights) not in fits
    assert one.most_probable(weights, derived(space, weights)) == best


def test_in_a_space_that_is_not_tried_as_a_whole_the_next_best_differ_in_one_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Independent answer: every neighbour counted, and its score written out."""
    monkeypatch.setattr(limited_derivation, "ENUMERABLE", 0)
    one, weights, limits = limited(FEW, "macs<=18k"), weights_of(FEW, 1), limits_from("macs<=18k")
    found = one.most_probable(weights, derived(FEW, weights))
    own = dict(found.choices)
    near = {FEW.build({**own, choice.name: option}) for choice in FEW.choices for option in choice.options} - {found}
    fitting = [a for a in near if is_within(limits, COST, a)]
    assert 1 < len(fitting) < len(near) == 6
    mixed = FAMILIES["nasbench201"].mixed(FEW)

    def log_score(a: Architecture) -> float:
        return float(sum(np.log(weights[kind][row][mixed[kind][row].index(o)]) for kind, row, o in parts_of(a)))

    assert one.next_best(weights, found, 5) == sorted(fitting, key=lambda a: -log_score(a))[:5]


def test_a_limit_that_does_not_bind_gives_what_the_family_derives() -> None:
    for space in (nasbench201.SPACE, tiny.FEW, spaces.SPACES["s2"]):
        one = limited(space, "macs<=1G,params<=1G,memory_mb<=1K")
        for seed in range(5):
            weights = weights_of(space, seed)
            assert one.most_probable(weights, derived(space, weights)) == derived(space, weights)
        even = {kind: [[1 / len(row)] * len(row) for row in rows] for kind, rows in weights.items()}
        assert one.most_probable(even, derived(space, even)) == derived(space, even)


# --- Larger spaces ----------------------------------------------------------------------------------------------------


def test_what_is_derived_from_darts_cells_has_the_largest_product_of_weights() -> None:
    weights = weights_of(spaces.SPACES["darts"], 0)
    best = derived(spaces.SPACES["darts"], weights)
    rng = Random(0)
    others = [spaces.SPACES["darts"].mutate(best, rng) for _ in range(200)]
    others += [spaces.SPACES["darts"].sample(rng) for _ in range(50)]
    assert all(probability(weights, other) < probability(weights, best) for other in others if other != best)


def knapsack(one: Limited, weights: Weights, name: str, most: float) -> float:
    """The largest sum of scores under one limit, choice by choice: by the sum of costs, the best score so far."""
    known = {0: 0.0}
    costs, logs = costs_by_choice(one.space, one.edges, name), scores_by_choice(one.space, weights)
    for adds, scores in zip(costs, logs, strict=True):
        own: dict[int, float] = {}
        for cost, score in zip(adds.tolist(), scores.tolist(), strict=True):
            own[int(cost)] = max(score, own.get(int(cost), -np.inf))
        found: dict[int, float] = {}
        for before, so_far in known.items():
            for cost, score in own.items():
                found[before + cost] = max(so_far + score, found.get(before + cost, -np.inf))
        known = found
    return max(score for cost, score in known.items() if one.edges.rest[name] + cost <= most)


def test_in_darts_cells_it_is_within_the_limit_and_mostly_the_best_there_is() -> None:
    space = tiny.FEW
    edges = edge_costs(space, **SIZES)
    costs = costs_by_choice(space, edges, "macs")
    least, most = (edges.rest["macs"] + sum(float(fold(own)) for own in costs) for fold in (np.min, np.max))
    shortfalls = []
    for seed, share in enumerate([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]):
        one, weights = limited(space, f"macs<={least + share * (most - least):.1f}", edges), weights_of(space, seed)
        found = one.most_probable(weights, derived(space, weights))
        assert found in space and COST(found).macs <= one.limits[0].at_most
        assert one.most_probable(weights, derived(space, weights)) == found  # the same draws each time
        score = np.log(product(space, weights, found))
        shortfalls.append(knapsack(one, weights, "macs", one.limits[0].at_most) - score)
    assert min(shortfalls) > -1e-9
    assert sum(shortfall < 1e-9 for shortfall in shortfalls) >= 3 and max(shortfalls) < 1.5


def product(space: SearchSpace, weights: Weights, architecture: Architecture) -> float:
    mixed = FAMILIES[space.family].mixed(space)
    return float(np.prod([weights[kind][row][mixed[kind][row].index(o)] for kind, row, o in parts_of(architecture)]))


def test_draws_and_single_changes_find_nearly_what_enumeration_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    space, one = nasbench201.SPACE, limited(nasbench201.SPACE, "macs<=14k")
    given = [weights_of(space, seed) for seed in range(8)]
    exact = [one.most_probable(weights, derived(space, weights)) for weights in given]
    monkeypatch.setattr(limited_derivation, "ENUMERABLE", 0)
    found = [one.most_probable(weights, derived(space, weights)) for weights in given]
    assert all(COST(a).macs <= 14e3 for a in found)
    assert sum(a == b for a, b in zip(exact, found, strict=True)) >= 6


# --- Refused before anything runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["darts", "s4", "nasbench201"])
def test_the_smallest_possible_is_named_exactly(name: str) -> None:
    space = spaces.SPACES[name]
    edges = edge_costs(space, **SIZES)
    costs = [own.min() for own in costs_by_choice(space, edges, "params")]
    least = edges.rest["params"] + int(sum(costs))
    assert is_within([Limit("params", least)], COST, limited(space, f"params<={least}", edges).first)
    with pytest.raises(
        InputError, match=f"the smallest architecture of {name} has {least:,} parameters; give a --limi"
    ):
        limited(space, f"params<={least - 1}", edges)
    if name == "nasbench201":
        assert least == min(edges.total("params", parts_of(a)) for a in space.enumerate())


@pytest.mark.parametrize("method", ["darts", "gdas"])
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--limit", "macs<=1K"], "the smallest architecture of nasbench201 has"),
        (["--limit", "macs<=40Q"], "--limit has 'macs<=40Q'; give it as macs<=330M"),
        (["--limit", "speed<=3"], "unknown limit 'speed'"),
        (["--limit", "macs<=1M,macs<=2M"], "--limit names macs twice"),
        (["--cost-weight", "-1"], "--cost-weight is -1.0; give 0 or more"),
    ],
)
def test_wrong_limits_are_refused_in_one_line(
    method: str, flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--channels", "2", "--cells", "3", "--max-images", "64", "--batch-size", "16"]
    out = ["--data", "digits", "--space", "nasbench201", "--out", str(tmp_path / "run"), "--threads", "1"]
    assert main(["search", method, *out, *sizes, *flags]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


# --- Searches ---------------------------------------------------------------------------------------------------------


def search(method: str, folder: Path, space: SearchSpace, **settings: Any) -> Any:
    module = method_module(method)
    config = module.Config(**{**tiny.SEARCH, **settings})
    with Run.create(folder, config, setup=Setup(device="cpu"), method=method) as run:
        return module.search(config, space, tiny.digits(), run)


def found_in(folder: Path) -> Sequence[Architecture]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [read(line["architecture"])[0] for line in lines if "architecture" in line]


@pytest.mark.parametrize("method", ["darts", "gdas"])
@pytest.mark.parametrize(
    "space", [nasbench201.SPACE, tiny.space_of("skip_connect", "dil_conv_3x3")], ids=["nasbench201", "darts"]
)
def test_a_search_reports_only_architectures_within_its_limit(method: str, space: SearchSpace, tmp_path: Path) -> None:
    edges = edge_costs(space, **SIZES)
    least = edges.rest["macs"] + sum(float(own.min()) for own in costs_by_choice(space, edges, "macs"))
    result = search(method, tmp_path / "run", space, limit=f"macs<={least + 200:.0f}")
    found = [result.architecture, *found_in(tmp_path / "run")]
    assert len(found) == 3 and all(COST(one).macs <= least + 200 for one in found)
    free = search(method, tmp_path / "free", space)
    assert COST(free.architecture).macs > least + 200
    loose = search(method, tmp_path / "loose", space, limit="macs<=1G")
    assert loose.architecture == free.architecture


def test_both_methods_take_limits() -> None:
    assert METHODS["darts"].limits and METHODS["gdas"].limits
    assert darts.check is gdas.check
