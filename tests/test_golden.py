"""The search's mathematics, in double, against files: of the original authors' formulation, and of our own making."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard.formats.weights import our_name
from dartboard.methods import darts
from dartboard.networks.darts import Network, Supernet
from dartboard.spaces import darts as space
from dartboard.spaces.search_space import Architecture
from golden.make import HERE, RESULTS, supernet_results

KINDS = {"normal": "normal", "reduce": "reduce"}


@cache
def arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: file[name] for name in file}


class Golden:
    """One file of the reference: its tensors, and its state by our names."""

    def __init__(self, path: Path) -> None:
        self.content = arrays(path)
        self.config = json.loads(str(self.content["config"]))

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.content[name])

    def named(self, prefix: str) -> dict[str, Tensor]:
        return {our_name(name.removeprefix(prefix)): self[name] for name in self.content if name.startswith(prefix)}

    @property
    def architecture(self) -> Architecture:
        found = json.loads(str(self.content["genotype"]))
        made = {}
        for kind in KINDS:
            pairs = [(operation, source) for operation, source in found[kind]]
            nodes = tuple(tuple(pairs[i : i + 2]) for i in range(0, len(pairs), 2))
            made[kind] = space.Cell(nodes, tuple(found[f"{kind}_concat"]))
        return space.architecture(made)


class Search:
    """The supernet of the golden file with its weights, alpha and batches."""

    def __init__(self, golden: Golden, form: str) -> None:
        self.golden = golden
        with torch.random.fork_rng():
            self.supernet = Supernet(channels=golden.config["C"], cells=golden.config["layers"], form=form).double()
        self.supernet.load_state_dict(golden.named("state/"))
        self.alpha = {kind: golden[f"alphas_{kind}"].clone().requires_grad_() for kind in KINDS}
        names, w = zip(*self.supernet.named_parameters(), strict=True)
        self.names, self.w = names, w

    def logits(self, split: str) -> Tensor:
        return self.supernet(self.golden[f"x_{split}"], darts.mixture(self.alpha))  # type: ignore[no-any-return]

    def loss(self, split: str) -> Tensor:
        return F.cross_entropy(self.logits(split), self.golden[f"y_{split}"])

    def second_order(self, buffers: list[Tensor]) -> list[Tensor]:
        config = self.golden.config
        return darts.second_order_gradient(
            self.w,
            list(self.alpha.values()),
            lambda: self.loss("train"),
            lambda: self.loss("valid"),
            xi=config["lr"],
            momentum=config["momentum"],
            weight_decay=config["weight_decay"],
            buffers=buffers,
            epsilon=0.01,
        )[0]


EDGES = pytest.param("fast, pure torch, edge by edge", marks=pytest.mark.slow)


@pytest.fixture(params=["plain", "fast", "fast, pure torch", EDGES])
def search(request: pytest.FixtureRequest, reference: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """The supernet in each of its forms."""
    form, *how = request.param.split(", ")
    if "pure torch" in how:
        monkeypatch.setenv("DARTBOARD_KERNELS", "0")
    if "edge by edge" in how:  # as maps of the paper's size
        monkeypatch.setattr("dartboard.networks.fast.mixed_cell.SMALL_WORK", 0)
    return Search(Golden(reference / "reference" / "darts_supernet.npz"), form)


@pytest.fixture
def v2(reference: Path) -> tuple[Golden, Network]:
    golden = Golden(reference / "reference" / "darts_v2_network.npz")
    with torch.random.fork_rng():
        sizes = {"channels": golden.config["C"], "cells": golden.config["layers"]}
        network = Network(golden.architecture, auxiliary=golden.config["auxiliary"], **sizes).double()
    network.load_state_dict(golden.named("state/"))
    return golden, network


def error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    assert found.shape == expected.shape
    return float((found.detach() - expected).abs().max() / expected.abs().max())


def test_logits_and_losses_are_those_of_the_original_formulation(search: Search) -> None:
    assert error(search.logits("train"), search.golden["logits_train"]) < 1e-8
    for split in ("train", "valid"):
        assert error(search.loss(split), search.golden[f"loss_{split}"]) < 1e-8


def test_every_weight_gradient_is_that_of_the_original_formulation(search: Search) -> None:
    expected = search.golden.named("grad/")
    assert expected.keys() <= set(search.names)
    alpha = list(search.alpha.values())
    found = torch.autograd.grad(search.loss("train"), [*alpha, *search.w], allow_unused=True)
    gradients = dict(zip(search.names, found[2:], strict=True))
    assert {name for name, gradient in gradients.items() if gradient is not None} == expected.keys()
    largest = max(float(tensor.abs().max()) for tensor in expected.values())
    for name, gradient in expected.items():
        assert float((gradients[name] - gradient).abs().max()) < 1e-8 * max(float(gradient.abs().max()), 1e-6 * largest)
    for kind, gradient in zip(KINDS, found[:2], strict=True):
        assert error(gradient, search.golden[f"grad_alphas_{kind}_train"]) < 1e-8


def test_the_first_order_gradient_is_that_of_the_original_formulation(search: Search) -> None:
    found, loss = darts.first_order_gradient(list(search.alpha.values()), lambda: search.loss("valid"))
    assert error(loss, search.golden["loss_valid"]) < 1e-8
    for kind, gradient in zip(KINDS, found, strict=True):
        assert error(gradient, search.golden[f"first_order_grad_{kind}"]) < 1e-8


@pytest.mark.parametrize("momentum", [False, True])
def test_the_second_order_gradient_is_that_of_the_original_formulation(search: Search, momentum: bool) -> None:
    buffers = search.golden.named("momentum/") if momentum else {}
    found = search.second_order([buffers[name] for name in search.names] if momentum else [])
    key = "second_order_momentum_grad" if momentum else "second_order_grad"
    for kind, gradient in zip(KINDS, found, strict=True):
        assert error(gradient, search.golden[f"{key}_{kind}"]) < 1e-8


def test_the_two_second_order_gradients_and_the_first_differ_far_more_than_the_tolerance(reference: Path) -> None:
    golden = Golden(reference / "reference" / "darts_supernet.npz")
    for kind in KINDS:
        first, plain, momentum = (
            golden[f"{key}_grad_{kind}"] for key in ("first_order", "second_order", "second_order_momentum")
        )
        assert min(error(first, plain), error(plain, momentum)) > 1e-4


def test_derivation_gives_the_genotype_of_the_original_formulation(search: Search) -> None:
    weights = {kind: rows.tolist() for kind, rows in darts.mixture(search.alpha).items()}
    assert space.derive(weights, space.OPERATIONS) == space.canonical(search.golden.architecture)


def test_the_network_gives_logits_auxiliary_logits_and_evaluation_logits(v2: tuple[Golden, Network]) -> None:
    golden, network = v2
    assert error(network.eval()(golden["x"]), golden["logits_eval"]) < 1e-8
    logits, auxiliary = network.train().logits(golden["x"])
    assert auxiliary is not None
    assert error(logits, golden["logits_train"]) < 1e-8
    assert error(auxiliary, golden["logits_aux_train"]) < 1e-8


@pytest.mark.parametrize("name", list(RESULTS))
def test_our_own_golden_files_are_met(name: str) -> None:
    check_results(RESULTS[name](), name)


@pytest.mark.parametrize("switch", ["1", "0"])
def test_the_fast_form_meets_our_own_golden_file(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARTBOARD_KERNELS", switch)
    check_results(supernet_results("fast"), "supernet")


def check_results(found: dict[str, Tensor], name: str) -> None:
    expected = arrays(HERE / f"{name}.npz")
    assert found.keys() == expected.keys()
    for key, tensor in found.items():
        assert error(tensor, torch.from_numpy(expected[key])) < 1e-8, key


def test_our_own_golden_files_are_small() -> None:
    assert sum(path.stat().st_size for path in HERE.glob("*.npz")) < 300_000
