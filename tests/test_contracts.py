"""What every space and every method must keep; the tables of spaces and methods enrol themselves.

A new method that needs other settings, or has other fields, finds here what to add: a test fails until it is there.
"""

import inspect
import re
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import planted
import tiny
from dartboard import networks
from dartboard.config import Setup
from dartboard.data import Data, load_data
from dartboard.errors import InterruptedRunError
from dartboard.methods import BY_TRIALS, METHODS, NEEDS
from dartboard.runs.run import Run
from dartboard.scoring.cost import count
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.spaces import READERS, SPACES, nasbench201
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace, as_tuples

spaces = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))
SUPERNETS = [method for method in METHODS if method not in BY_TRIALS]  # the others: test_random_search.py
methods = pytest.mark.parametrize("method", SUPERNETS)
TWO = tiny.space_of("skip_connect", "dil_conv_3x3")

# --- Spaces ----------------------------------------------------------------------------------------------------------

FORMS = {"darts": ("plain", "fast"), "nasbench201": ("plain", "fast")}  # of the supernet of each family
# architecture, operations -> mixture weights that are this architecture
VERTEX = {"darts": planted.vertex, "nasbench201": planted.nasbench201_vertex}
SIZES = {  # (5 of 2)(4 of 2)(3 of 2)(2 of 2) * 7^8 for each cell: 10^18; RobustDARTS: two operations an edge
    "darts": (180 * 7**8) ** 2,
    **dict.fromkeys(("s1", "s2", "s3", "s4"), (180 * 2**8) ** 2),
    "nasbench201": 5**6,
}
# of the family, so small that it can be enumerated
SMALL = {"darts": tiny.space_of("skip_connect"), "nasbench201": nasbench201.SPACE}


def supernet_of(space: SearchSpace, form: str) -> nn.Module:
    """A small supernet in double with weights from a fixed seed."""
    operations = FAMILIES[space.family].mixed(space)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make = networks.module(space.family).Supernet
        module: nn.Module = make(channels=2, cells=3, num_classes=3, operations=operations, form=form)
    return module.double()


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@spaces
def test_every_family_of_spaces_says_what_these_tests_need(space: SearchSpace) -> None:
    assert space.name in SIZES
    for table in (FORMS, VERTEX, SMALL, SEARCHED):
        assert space.family in table
    assert "form" in inspect.signature(networks.module(space.family).Supernet).parameters


@spaces
@pytest.mark.usefixtures("global_rng")
def test_a_supernet_computes_what_the_network_cut_out_of_it_computes(space: SearchSpace) -> None:
    for form in FORMS[space.family]:
        supernet, x = supernet_of(space, form), images(2, 3, 8, 8)
        for seed in range(2):
            architecture = space.sample(Random(seed))
            network = networks.module(space.family).inherit(supernet, architecture)
            assert torch.allclose(supernet(x, architecture), network(x), rtol=0, atol=1e-12)
            supernet.eval()
            assert torch.allclose(supernet(x, architecture), network.eval()(x), rtol=0, atol=1e-12)
            supernet.train()


@spaces
def test_mixture_weights_at_a_vertex_are_the_discrete_path(space: SearchSpace) -> None:
    for form in FORMS[space.family]:
        supernet, x = supernet_of(space, form), images(2, 3, 8, 8)
        for seed in range(2):
            architecture = space.sample(Random(seed))
            mixture = VERTEX[space.family](architecture, supernet.mixed)  # type: ignore[arg-type]
            mixture = {kind: weights.double() for kind, weights in mixture.items()}
            assert torch.allclose(supernet(x, mixture), supernet(x, architecture), rtol=0, atol=1e-12)


@spaces
@pytest.mark.usefixtures("global_rng")
def test_a_cut_out_network_owns_its_weights(space: SearchSpace) -> None:
    supernet, x = supernet_of(space, "plain"), images(2, 3, 8, 8)
    network = networks.module(space.family).inherit(supernet, space.sample(Random(0))).eval()
    before = network(x)
    with torch.no_grad():
        for tensor in (*supernet.parameters(), *supernet.buffers()):
            tensor.zero_()
    assert torch.equal(network(x), before)


@spaces
def test_the_size_of_a_space_is_the_papers_and_that_of_its_enumeration(space: SearchSpace) -> None:
    assert space.size == SIZES[space.name]
    small = SMALL[space.family]
    assert small.size == sum(1 for _ in small.enumerate())
    assert len(set(small.enumerate())) == small.size


@spaces
def test_an_architecture_survives_json(space: SearchSpace) -> None:
    architecture = space.sample(Random(0))
    record = architecture.to_json()["choices"]
    assert READERS[space.family]({name: as_tuples(value) for name, value in record.items()}) == architecture


@spaces
def test_the_cost_of_an_architecture_is_that_of_its_network(space: SearchSpace) -> None:
    sizes = {"channels": 4, "cells": 3, "num_classes": 7}
    for seed in range(3):
        architecture = space.sample(Random(seed))
        with torch.random.fork_rng():
            network = networks.module(space.family).Network(architecture, **sizes)
        cost = count(architecture, image_size=32, **sizes)  # type: ignore[arg-type]
        own = {name: parameter.numel() for name, parameter in network.named_parameters()}
        assert cost.params_with_auxiliary == sum(own.values())
        assert cost.params == sum(n for name, n in own.items() if not name.startswith("auxiliary_head."))


# --- Methods ---------------------------------------------------------------------------------------------------------

# The ways a method computes, of which each must keep the contracts of runs.
WAYS: dict[str, list[dict[str, Any]]] = {
    "darts": [
        {},
        {"second_order": True},
        {"supernet": "plain"},
        {"stop": "stable:1,held-out:0.1", "stop_mode": "report"},
    ]
}
SEARCHED = {"darts": TWO, "nasbench201": nasbench201.SPACE}  # of each family, to be searched quickly
ALL_WAYS = [
    (method, way, family)
    for method, own in WAYS.items()
    for family, space in SEARCHED.items()
    if NEEDS.get(method, frozenset()) <= space.kinds
    for way in own
]
ways = pytest.mark.parametrize(("method", "way", "family"), ALL_WAYS, ids=str)

# Mean training loss of the five steps of the test below, in double, with torch 2.13.0 on CPU.
GOLDEN_LOSS: dict[str, float] = {"darts": 2.33402434107962}

# Each field of a method's Config: a value unlike the one in tiny.SEARCH, and what else must be set for it to matter.
CASES: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "darts": {
        "channels": (4, {}),
        "cells": (4, {}),
        "epochs": (2, {}),
        "batch_size": (12, {}),
        "second_order": (True, {}),
        "lr": (0.1, {}),
        "lr_min": (0.0, {"epochs": 2}),
        "schedule_epochs": (4, {"epochs": 2}),
        "momentum": (0.0, {}),
        "weight_decay": (0.1, {}),
        "grad_clip": (0.01, {}),
        "alpha_lr": (0.1, {}),
        "alpha_beta1": (0.9, {}),
        "alpha_beta2": (0.5, {}),
        "alpha_weight_decay": (1.0, {}),
        "alpha_init": (0.1, {}),
        "epsilon": (10.0, {"second_order": True}),
        "crop_padding": (0, {}),
        "flip": (True, {}),
        "cutout": (4, {}),
        "stop": ("stable:1", {"epochs": 3}),
        "stop_mode": ("report", {"epochs": 3, "stop": "stable:1", "alpha_lr": 1e-6}),
        "supernet": ("plain", {}),
        "channels_last": (False, {}),
    }
}


def method_module(method: str) -> ModuleType:
    return import_module(f"dartboard.methods.{method}")


def run_search(
    method: str,
    folder: Path,
    family: str = "darts",
    *,
    setup: Setup | None = None,
    data: Data | None = None,
    **settings: Any,
) -> Any:
    """A tiny search by any method in a new folder; closes the run even where it stops."""
    module = method_module(method)
    known = {field.name for field in fields(module.Config)}
    config = module.Config(**{name: value for name, value in {**tiny.SEARCH, **settings}.items() if name in known})
    with Run.create(folder, config, setup=setup or Setup(device="cpu")) as run:
        return module.search(config, SEARCHED[family], data or tiny.digits(), run)


def evidence(result: Any, folder: Path) -> tuple[Any, list[dict[str, Any]], dict[str, Tensor]]:
    """All that must be the same, bit for bit, where a search is repeated."""
    tensors = {f"alpha/{kind}": tensor for kind, tensor in result.alpha.items()}
    return result.architecture, tiny.history(folder), tensors | dict(result.supernet.state_dict())


def assert_same(one: tuple[Any, Any, dict[str, Tensor]], other: tuple[Any, Any, dict[str, Tensor]]) -> None:
    assert one[:2] == other[:2]
    assert tiny.same_tensors(one[2], other[2])


@methods
def test_every_method_says_what_these_tests_need(method: str) -> None:
    for table in (WAYS, CASES, GOLDEN_LOSS):
        assert method in table


@ways
def test_the_same_seed_gives_the_same_search_bit_for_bit_and_another_seed_another(
    method: str, way: dict[str, Any], family: str, tmp_path: Path
) -> None:
    found = []
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        result = run_search(method, tmp_path / name, family, setup=Setup(seed=seed, device="cpu"), **way)
        found.append(evidence(result, tmp_path / name))
    assert_same(found[0], found[1])
    assert found[0][1] != found[2][1]


@ways
@pytest.mark.parametrize("stops", [[1], [2, 1]])
def test_a_search_that_was_stopped_and_gone_on_with_ends_as_one_that_was_not(
    method: str, way: dict[str, Any], family: str, stops: list[int], tmp_path: Path
) -> None:
    """Four steps in two epochs; stopped inside an epoch and at the end of one."""
    whole = run_search(method, tmp_path / "whole", family, epochs=2, **way)
    with pytest.raises(InterruptedRunError):
        setup = Setup(device="cpu", budget=f"{stops[0]}steps")
        run_search(method, tmp_path / "cut", family, epochs=2, setup=setup, **way)
    for steps in stops[1:]:
        with Run.open(tmp_path / "cut", write=True) as run, pytest.raises(InterruptedRunError):
            run.limits.steps = steps
            go_on(method, run, family)
    with Run.open(tmp_path / "cut", write=True) as run:
        again = go_on(method, run, family)
    assert_same(evidence(whole, tmp_path / "whole"), evidence(again, tmp_path / "cut"))


def go_on(method: str, run: Run, family: str = "darts") -> Any:
    module = method_module(method)
    return module.search(module.Config(**run.settings), SEARCHED[family], tiny.digits(), run)


@methods
def test_a_finished_search_gone_on_with_gives_its_result_again_and_writes_nothing(method: str, tmp_path: Path) -> None:
    first = run_search(method, tmp_path / "run")
    before = tiny.history(tmp_path / "run")
    with Run.open(tmp_path / "run", write=True) as run:
        again = go_on(method, run)
    assert again.architecture == first.architecture
    assert tiny.history(tmp_path / "run") == before


class Sealed:
    """Test images that nobody may look at: they can be counted and moved, nothing else."""

    def __len__(self) -> int:
        return 32

    def to(self, device: object) -> "Sealed":
        return self

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the search read data.test.{name}")


@ways
def test_a_search_never_looks_at_the_test_images(method: str, way: dict[str, Any], family: str, tmp_path: Path) -> None:
    data = replace(tiny.digits(), test=Sealed())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=r"data\.test\.images"):
        data.test.images  # noqa: B018
    assert run_search(method, tmp_path / "run", family, data=data, **way).architecture is not None


@methods
def test_five_steps_have_the_loss_they_always_had(method: str, tmp_path: Path) -> None:
    data = load_data("digits", max_images=160)
    run_search(method, tmp_path / "run", data=data, setup=Setup(device="cpu", precision="float64"), supernet="plain")
    lines = [line for line in tiny.history(tmp_path / "run") if line["event"] == "epoch"]
    assert lines[0]["step"] == 5
    tolerance = 1e-6 if torch.__version__.startswith("2.13.0") else 0.05
    assert lines[0]["train_loss"] == pytest.approx(GOLDEN_LOSS[method], rel=tolerance)


@cache
def base_history(method: str, more: tuple[tuple[str, Any], ...], folder: Path) -> list[dict[str, Any]]:
    run_search(method, folder, **dict(more))
    return tiny.history(folder)


@pytest.mark.parametrize(
    ("method", "field"),
    [(method, field.name) for method in SUPERNETS for field in fields(method_module(method).Config)],
)
def test_every_setting_changes_something(
    method: str, field: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert field in CASES[method], f"a new setting: add a case to CASES that shows what {field} changes"
    value, more = CASES[method][field]
    assert {**tiny.SEARCH, **more}.get(field, getattr(method_module(method).Config(), field)) != value
    before = base_history(
        method, tuple(more.items()), tmp_path_factory.getbasetemp() / re.sub(r"\W+", "-", f"{method}-base-{more}")
    )
    run_search(method, tmp_path / "run", **{**more, field: value})
    assert tiny.history(tmp_path / "run") != before


@methods
def test_no_case_is_left_of_a_setting_that_is_gone(method: str) -> None:
    assert CASES[method].keys() == {field.name for field in fields(method_module(method).Config)}


# --- A planted optimum -----------------------------------------------------------------------------------------------

TOY_SPACE = tiny.space_of(*planted.OPERATIONS[1:])


@pytest.mark.parametrize(
    ("method", "way"), [("darts", {}), ("darts", {"second_order": True})], ids=["first order", "second order"]
)
def test_a_search_finds_a_planted_cell_that_random_draws_do_not(
    method: str, way: dict[str, Any], tmp_path: Path
) -> None:
    module, data, optimum = method_module(method), planted.noisy_images(), TOY_SPACE.sample(Random(1000))
    config = module.Config(
        epochs=12, batch_size=50, alpha_lr=0.05, crop_padding=0, flip=False, channels_last=False, **way
    )
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        result = module.search(config, TOY_SPACE, data, run, supernet=planted.PlantedSupernet(optimum))
    draws = [TOY_SPACE.sample(Random(seed)) for seed in range(100)]
    best_draw = max(planted.matches(draw, optimum) for draw in draws)
    assert planted.matches(optimum, optimum) == 16
    assert planted.matches(result.architecture, optimum) >= 15 > best_draw
    losses = [shared_weights_score(result.supernet, draw, data, 100)[0] for draw in draws]
    assert shared_weights_score(result.supernet, result.architecture, data, 100)[0] < min(losses)


def test_every_method_is_tried_on_the_planted_optimum() -> None:
    marks = test_a_search_finds_a_planted_cell_that_random_draws_do_not.pytestmark  # type: ignore[attr-defined]
    assert {method for method, _ in marks[0].args[1]} == set(SUPERNETS)
