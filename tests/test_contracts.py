"""What every family of spaces and every method must keep; those in the plain tables enrol themselves.

What one needs to be tried lies in its own file in tests/cases; nothing here is to be edited for another one.
"""

import inspect
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import tiny
from cases import FamilyCase, MethodCase, Planted, Way, collected, lacking
from dartboard import formats, networks
from dartboard.config import Setup
from dartboard.data import Data, load_data
from dartboard.errors import InterruptedRunError
from dartboard.methods import METHODS
from dartboard.report.cells import cells as cells_of_page
from dartboard.report.drawing import draw
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost, count, count_module
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace, as_tuples

FAMILY_CASES = collected("families", FamilyCase)
METHOD_CASES = collected("methods", MethodCase)
TRIED = [space for space in SPACES.values() if space.family in FAMILY_CASES]
spaces = pytest.mark.parametrize("space", TRIED, ids=[space.name for space in TRIED])
families = pytest.mark.parametrize("family", [name for name in FAMILIES if name in FAMILY_CASES])
methods = pytest.mark.parametrize("method", [name for name in METHODS if name in METHOD_CASES])


def test_every_family_and_every_method_has_a_case() -> None:
    found = lacking("families", FamilyCase, FAMILIES, FAMILY_CASES)
    found += lacking("methods", MethodCase, METHODS, METHOD_CASES)
    assert not found, "\n".join(found)


def test_what_has_no_case_is_said_with_the_file_to_write() -> None:
    found = lacking("methods", MethodCase, ["darts", "spos"], ["darts", "enas"])
    assert found == [
        "the method spos has no case: write tests/cases/methods/spos.py with CASE = MethodCase(...); "
        "the fields are explained in tests/cases/__init__.py",
        "there is no method enas: delete tests/cases/methods/enas.py",
    ]


# --- Families --------------------------------------------------------------------------------------------------------


def supernets_of(space: SearchSpace) -> list[Any]:
    """A small supernet in double with weights from a fixed seed, in each of its forms."""
    forms = [{"form": form} for form in FAMILY_CASES[space.family].forms] or [{}]
    return [tiny.supernet(space, num_classes=3, **form).double() for form in forms]


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@families
def test_the_case_of_a_family_fits_it(family: str) -> None:
    case = FAMILY_CASES[family]
    own = {name for name, space in SPACES.items() if space.family == family}
    assert case.sizes.keys() == own, "a case says the size of every space of its family, and of no other"
    assert {case.small.family, case.searched.family, case.drawn.family} == {family}
    assert case.drawn.size <= 1000
    assert case.vertex or not any("mixture" in SPACES[name].kinds for name in own), "a space that mixes needs a vertex"
    shared = {kind for name, other in FAMILIES.items() if name != family for kind in other.kinds}
    assert not shared & set(FAMILIES[family].kinds), "runs' tables are told apart by the names of a family's kinds"
    assert bool(case.forms) == ("form" in inspect.signature(networks.module(family).Supernet).parameters)


@spaces
@pytest.mark.usefixtures("global_rng")
def test_a_supernet_computes_what_the_network_cut_out_of_it_computes(space: SearchSpace) -> None:
    for supernet in supernets_of(space):
        x = images(2, 3, 8, 8)
        for seed in range(2):
            architecture = space.sample(Random(seed))
            network = networks.module(space.family).inherit(supernet, architecture)
            assert torch.allclose(supernet(x, architecture), network(x), rtol=0, atol=1e-12)
            supernet.eval()
            assert torch.allclose(supernet(x, architecture), network.eval()(x), rtol=0, atol=1e-12)
            supernet.train()


@pytest.mark.parametrize("space", [one for one in TRIED if "mixture" in one.kinds], ids=lambda space: space.name)
def test_mixture_weights_at_a_vertex_are_the_discrete_path(space: SearchSpace) -> None:
    vertex = FAMILY_CASES[space.family].vertex
    assert vertex is not None
    for supernet in supernets_of(space):
        x = images(2, 3, 8, 8)
        for seed in range(2):
            architecture = space.sample(Random(seed))
            mixture = vertex(architecture, supernet.mixed)
            mixture = {kind: weights.double() for kind, weights in mixture.items()}
            assert torch.allclose(supernet(x, mixture), supernet(x, architecture), rtol=0, atol=1e-12)


@spaces
@pytest.mark.usefixtures("global_rng")
def test_a_cut_out_network_owns_its_weights(space: SearchSpace) -> None:
    supernet, x = supernets_of(space)[0], images(2, 3, 8, 8)
    network = networks.module(space.family).inherit(supernet, space.sample(Random(0))).eval()
    before = network(x)
    with torch.no_grad():
        for tensor in (*supernet.parameters(), *supernet.buffers()):
            tensor.zero_()
    assert torch.equal(network(x), before)


@spaces
def test_the_size_of_a_space_is_the_papers(space: SearchSpace) -> None:
    assert space.size == FAMILY_CASES[space.family].sizes[space.name]


@families
def test_a_small_space_enumerates_as_many_as_its_size_from_the_smallest_to_the_largest(family: str) -> None:
    small = FAMILY_CASES[family].small
    found = list(small.enumerate())
    assert len(found) == len(set(found)) == small.size
    assert (found[0], found[-1]) == (small.smallest(), small.largest())


@spaces
def test_the_smallest_and_the_largest_are_what_they_say(space: SearchSpace) -> None:
    ends = (space.smallest(), space.largest())
    for architecture, place in zip(ends, (0, -1), strict=True):
        assert architecture in space
        values = dict(architecture.choices)
        assert all(values[one.name] == one.options[place] for one in space.choices if one.name in values)
    if FAMILY_CASES[space.family].ordered:
        (_, least), (_, most) = (cost_and_own(architecture) for architecture in ends)
        for seed in range(20):
            own = cost_and_own(space.sample(Random(seed)))[1]
            assert least.macs <= own.macs <= most.macs and least.params <= own.params <= most.params
        assert least.macs < most.macs


@families
def test_each_choice_is_drawn_uniformly_and_independently_and_every_architecture_is(family: str) -> None:
    """Chi-square over the architectures; one whose choices are conditional is drawn by the options it meets."""
    space, rng = FAMILY_CASES[family].drawn, Random(0)
    chances = {one: chance_of(space, one) for one in space.enumerate()}
    number = round(20 / min(chances.values()))
    drawn = Counter(space.sample(rng) for _ in range(number))
    assert drawn.keys() == chances.keys()
    assert is_uniform([drawn[one] for one in chances], [number * chance for chance in chances.values()])


def chance_of(space: SearchSpace, architecture: Architecture) -> float:
    """How likely a draw of each choice that exists, in order, gives the architecture."""
    chance, values = 1.0, dict(architecture.choices)
    for choice in space.choices:
        chance /= len(choice.options) if choice.name in values else 1
    return chance


def is_uniform(found: list[int], expected: list[float]) -> bool:
    """Whether the chi-square statistic is within five standard deviations of its mean."""
    chi2 = sum((one - mean) ** 2 / mean for one, mean in zip(found, expected, strict=True))
    return bool(abs(chi2 - (len(found) - 1)) <= 5 * math.sqrt(2 * (len(found) - 1)))


@spaces
def test_every_option_of_every_choice_is_drawn_equally_often_in_the_order_of_walk(space: SearchSpace) -> None:
    rng, by_hand = Random(3), Random(3)
    drawn: dict[str, Counter[Any]] = {choice.name: Counter() for choice in space.choices}
    for _ in range(10 * max(len(choice.options) for choice in space.choices)):
        architecture = space.sample(rng)
        assert architecture == space.walk(lambda choice: by_hand.choice(choice.options))
        for name, value in architecture.choices:
            drawn[name][value] += 1
    assert rng.getstate() == by_hand.getstate()
    for choice in space.choices:
        counts = [drawn[choice.name][option] for option in choice.options]
        assert is_uniform(counts, [sum(counts) / len(counts)] * len(counts)), choice.name


@spaces
def test_an_architecture_survives_json(space: SearchSpace) -> None:
    for architecture in (space.sample(Random(0)), space.smallest(), space.largest()):
        record = architecture.to_json()["choices"]
        values = {name: as_tuples(value) for name, value in record.items()}
        assert FAMILIES[space.family].read(values) == architecture
        assert formats.read(str(architecture)) == (architecture, "json")


@spaces
def test_an_architecture_survives_the_notation_of_its_family(space: SearchSpace) -> None:
    notation = FAMILIES[space.family].notation
    for architecture in (*(space.sample(Random(seed)) for seed in range(5)), space.smallest(), space.largest()):
        assert formats.read(formats.write(architecture, notation)) == (architecture, notation)


def sizes_of(family: str) -> dict[str, Any]:
    return {"channels": 4, "cells": 3, "num_classes": 7, **tiny.fixed(family)}


def cost_and_own(architecture: Architecture) -> tuple[Cost, Cost]:
    """Counts of an architecture as told, and those of its network."""
    module, sizes = networks.module(architecture.space), sizes_of(architecture.space)
    with torch.random.fork_rng():
        network = module.reported(architecture, "cifar", image_size=32, **sizes)
    assert isinstance(network, module.Network)
    return count(architecture, image_size=32, **sizes), count_module(network, 32)


@spaces
def test_the_cost_of_an_architecture_is_that_of_its_network(space: SearchSpace) -> None:
    for seed in range(3):
        architecture = space.sample(Random(seed))
        cost, counted = cost_and_own(architecture)
        assert cost == counted
        with torch.random.fork_rng():
            network = networks.module(space.family).Network(architecture, **sizes_of(space.family))
        own = {name: parameter.numel() for name, parameter in network.named_parameters()}
        assert cost.params_with_auxiliary == sum(own.values())
        assert cost.params == sum(n for name, n in own.items() if not name.startswith("auxiliary_head."))


@spaces
def test_a_picture_of_an_architecture_is_drawn_with_each_of_its_operations(space: SearchSpace, tmp_path: Path) -> None:
    family, architecture = FAMILIES[space.family], space.largest()
    used = [name for name in family.operations if name in str(architecture) and name != "none"]
    picture = draw(architecture, tmp_path / "picture.svg", title="a title").read_text()
    texts = [text.replace("_", " ") for text in (picture, str(cells_of_page(architecture, "run")))]
    assert used and all(name.replace("_", " ") in text for name in used for text in texts)
    assert all("<svg" in text for text in texts) and "a title" in picture
    assert any(name in line for line in family.lines(architecture) for name in used)


# --- Methods ---------------------------------------------------------------------------------------------------------


def method_module(method: str) -> ModuleType:
    return import_module(f"dartboard.methods.{method}")


def families_of(method: str) -> list[str]:
    """The families that the method can search, in the order of their table."""
    return [family for family, case in FAMILY_CASES.items() if METHODS[method].needs <= case.searched.kinds]


CASES = {name: METHOD_CASES[name] for name in METHODS if name in METHOD_CASES}
WAYS = [(method, way, family) for method, case in CASES.items() for family in families_of(method) for way in case.ways]
ways = pytest.mark.parametrize(("method", "way", "family"), WAYS, ids=str)
STOPS = [(*one, stops) for one in WAYS for stops in one[1].stops]
FIELDS = [(method, field.name) for method in CASES for field in fields(method_module(method).Config)]


def run_search(
    method: str,
    folder: Path,
    family: str | None = None,
    *,
    setup: Setup | None = None,
    data: Data | None = None,
    more: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Any:
    """A tiny search by any method in a new folder; closes the run even where it stops. more: what `search` is given."""
    module, space = method_module(method), FAMILY_CASES[family or families_of(method)[0]].searched
    config = module.Config(**{**METHOD_CASES[method].settings, **tiny.fixed(space.family), **settings})
    with Run.create(folder, config, setup=setup or Setup(device="cpu")) as run:
        return module.search(config, space, data or tiny.digits(), run, **(more or {}))


def run_way(method: str, folder: Path, family: str, way: Way, **given: Any) -> Any:
    """A tiny search of a family in one of the method's ways."""
    more = way.more(FAMILY_CASES[family].searched)
    return run_search(method, folder, family, more=more, **{**way.settings, **given})


def resume(method: str, run: Run, family: str, more: Mapping[str, Any] | None = None) -> Any:
    module = method_module(method)
    config = module.Config(**run.settings)
    return module.search(config, FAMILY_CASES[family].searched, tiny.digits(), run, **(more or {}))


def evidence(result: Any, folder: Path) -> tuple[Any, list[list[dict[str, Any]]], dict[str, Tensor]]:
    """All that must be the same, bit for bit, where a search is repeated: tensors of its result, and in its files."""
    tensors: dict[str, Tensor] = {}
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, nn.Module):
            tensors |= dict(value.state_dict())
        elif isinstance(value, Mapping):
            tensors |= {f"{field.name}/{name}": one for name, one in value.items() if isinstance(one, Tensor)}
    for path in sorted(folder.rglob("*.safetensors")):
        if "checkpoint" not in path.parts:
            tensors |= {f"{path.relative_to(folder)}/{name}": one for name, one in load_file(path).items()}
    return result.architecture, told(folder), tensors


def told(folder: Path) -> list[list[dict[str, Any]]]:
    """The metrics of a run, and of the trainings of trials that stay in it, without what is only time."""
    return [
        tiny.history(path.parent) for path in (folder / "metrics.jsonl", *sorted(folder.glob("trials/*/metrics.jsonl")))
    ]


def assert_same(one: tuple[Any, Any, dict[str, Tensor]], other: tuple[Any, Any, dict[str, Tensor]]) -> None:
    assert one[:2] == other[:2]
    assert tiny.same_tensors(one[2], other[2])


@methods
def test_the_case_of_a_method_fits_it(method: str) -> None:
    case = METHOD_CASES[method]
    assert case.ways and case.planted and families_of(method)
    assert case.changes.keys() | case.elsewhere.keys() == {field.name for field in fields(method_module(method).Config)}
    assert not case.changes.keys() & case.elsewhere.keys()


@ways
def test_the_same_seed_gives_the_same_search_bit_for_bit_and_another_seed_another(
    method: str, way: Way, family: str, tmp_path: Path
) -> None:
    found = []
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        result = run_way(method, tmp_path / name, family, way, setup=Setup(seed=seed, device="cpu"))
        found.append(evidence(result, tmp_path / name))
    assert_same(found[0], found[1])
    assert found[0][1] != found[2][1]


@pytest.mark.parametrize(("method", "way", "family", "stops"), STOPS, ids=str)
def test_a_search_that_was_stopped_and_gone_on_with_ends_as_one_that_was_not(
    method: str, way: Way, family: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    """Stopped inside an epoch or a trial, and at the end of one."""
    longer, space = METHOD_CASES[method].longer, FAMILY_CASES[family].searched
    whole = run_way(method, tmp_path / "whole", family, way, **longer)
    with pytest.raises(InterruptedRunError):
        run_way(method, tmp_path / "cut", family, way, setup=Setup(device="cpu", budget=f"{stops[0]}steps"), **longer)
    for steps in stops[1:]:
        with Run.open(tmp_path / "cut", write=True) as run, pytest.raises(InterruptedRunError):
            run.limits.steps = steps
            resume(method, run, family, way.more(space))
    with Run.open(tmp_path / "cut", write=True) as run:
        again = resume(method, run, family, way.more(space))
    assert_same(evidence(whole, tmp_path / "whole"), evidence(again, tmp_path / "cut"))


@methods
def test_a_finished_search_gone_on_with_gives_its_result_again_and_writes_nothing(method: str, tmp_path: Path) -> None:
    first = run_search(method, tmp_path / "run")
    before = tiny.history(tmp_path / "run")
    with Run.open(tmp_path / "run", write=True) as run:
        again = resume(method, run, families_of(method)[0])
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
def test_a_search_never_looks_at_the_test_images(method: str, way: Way, family: str, tmp_path: Path) -> None:
    data = replace(tiny.digits(), test=Sealed())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=r"data\.test\.images"):
        data.test.images  # noqa: B018
    assert run_way(method, tmp_path / "run", family, way, data=data).architecture is not None
    assert not any("test" in name for line in tiny.history(tmp_path / "run") for name in line)


@methods
def test_five_steps_have_the_loss_they_always_had(method: str, tmp_path: Path) -> None:
    case, data = METHOD_CASES[method], load_data("digits", max_images=160)
    setup = Setup(device="cpu", precision="float64")
    run_search(method, tmp_path / "run", data=data, setup=setup, **case.golden_settings)
    lines = [line for run in told(tmp_path / "run") for line in run if line["event"] == "epoch"]
    assert lines[0]["step"] == 5
    tolerance = 1e-6 if torch.__version__.startswith("2.13.0") else 0.05
    assert lines[0]["train_loss"] == pytest.approx(case.golden_loss, rel=tolerance)


@cache
def base_history(method: str, more: tuple[tuple[str, Any], ...], folder: Path) -> list[list[dict[str, Any]]]:
    run_search(method, folder, data=METHOD_CASES[method].changes_data(), **dict(more))
    return told(folder)


@pytest.mark.parametrize(("method", "field"), FIELDS)
def test_every_setting_changes_something(
    method: str, field: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = METHOD_CASES[method]
    if field in case.elsewhere:
        return assert_is_tested(case.elsewhere[field])
    what = f"a new setting: show in tests/cases/methods/{method}.py, in `changes`, what {field} changes"
    assert field in case.changes, what
    value, more = case.changes[field]
    assert {**case.settings, **more}.get(field, getattr(method_module(method).Config(), field)) != value
    name = re.sub(r"\W+", "-", f"{method}-base-{more}")[:200]
    before = base_history(method, tuple(more.items()), tmp_path_factory.getbasetemp() / name)
    run_search(method, tmp_path / "run", data=case.changes_data(), **{**more, field: value})
    assert told(tmp_path / "run") != before


def assert_is_tested(place: str) -> None:
    """Whether there is the test FILE::TEST."""
    file, _, name = place.partition("::")
    assert f"\ndef {name}(" in Path(__file__).with_name(file).read_text()


# --- A planted optimum -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "toy"), [(method, toy) for method, case in CASES.items() for toy in case.planted], ids=str
)
def test_a_search_finds_a_planted_architecture_that_random_draws_do_not(
    method: str, toy: Planted, tmp_path: Path
) -> None:
    module = method_module(method)
    config = module.Config(**toy.settings)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        result = module.search(config, toy.space, toy.data(), run, **toy.more())
    assert toy.matches(toy.best, toy.best) == toy.places
    assert toy.matches(result.architecture, toy.best) >= toy.at_least
    draws = [toy.space.sample(Random(seed)) for seed in range(toy.draws)]
    assert all(toy.matches(draw, toy.best) < toy.at_least for draw in draws)
    assert all(toy.score(result, draw) < toy.score(result, result.architecture) for draw in draws)


def test_only_random_search_is_not_compared_with_random_draws() -> None:
    assert {name for name, case in CASES.items() if any(toy.draws == 0 for toy in case.planted)} <= {"random_search"}
