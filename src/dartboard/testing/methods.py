"""What every method must keep; `contracts` makes tests of it for those that a test file enrols."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dartboard.config import Setup
from dartboard.data import Data, load_data
from dartboard.errors import InterruptedRunError
from dartboard.methods import METHODS, method_module
from dartboard.runs.run import Run
from dartboard.spaces.search_space import SearchSpace
from dartboard.testing import tiny
from dartboard.testing.cases import ELSEWHERE, SHOWN, Enrolled, MethodCase, Planted, Row, Way, each


@dataclass(frozen=True)
class Tried:
    """A method with its case, and a space on which it is tried."""

    method: str
    case: MethodCase
    space: SearchSpace

    @property
    def module(self) -> ModuleType:
        return method_module(self.method)

    def search(
        self,
        folder: Path,
        *,
        setup: Setup | None = None,
        data: Data | None = None,
        more: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Any:
        """A tiny search in a new folder; closes the run even where it stops. more: what `search` is given besides."""
        config = self.module.Config(**{**self.case.settings, **tiny.fixed(self.space), **settings})
        with Run.create(folder, config, setup=setup or Setup(device="cpu"), method=self.method) as run:
            return self.module.search(config, self.space, data or tiny.digits(), run, **(more or {}))

    def way(self, way: Way, folder: Path, **given: Any) -> Any:
        """A tiny search in one of the method's ways."""
        return self.search(folder, more=way.more(self.space), **{**way.settings, **given})

    def resume(self, run: Run, way: Way | None = None) -> Any:
        config, more = self.module.Config(**run.settings), {} if way is None else way.more(self.space)
        return self.module.search(config, self.space, tiny.digits(), run, **more)


# --- What is tried ----------------------------------------------------------------------------------------------------


def on_spaces(enrolled: Enrolled, method: str) -> dict[str, Tried]:
    """The method on each of the spaces that it can search, by their families."""
    needs, case = METHODS[method].needs, enrolled.methods[method]
    able = {name: space for name, space in enrolled.searched.items() if needs <= space.kinds}
    assert able, f"{method} can search none of the spaces of {', '.join(enrolled.searched)}; enrol a family that it can"
    return {name: Tried(method, case, space) for name, space in able.items()}


def firsts(enrolled: Enrolled) -> list[Tried]:
    """Each method on the first space that it can search."""
    return [next(iter(on_spaces(enrolled, method).values())) for method in enrolled.methods]


def methods(enrolled: Enrolled) -> list[Row]:
    return [pytest.param(tried, id=tried.method) for tried in firsts(enrolled)]


def in_ways(enrolled: Enrolled) -> Iterator[tuple[str, Tried, Way]]:
    """Every method on every space that it can search, in each of its ways there, with a name for it."""
    for method, case in enrolled.methods.items():
        for family, tried in on_spaces(enrolled, method).items():
            own = [way for way in case.ways if way.needs <= tried.space.kinds]
            yield from ((f"{method}-{way}-{family}", tried, way) for way in own)


def ways(enrolled: Enrolled) -> list[Row]:
    return [pytest.param(tried, way, id=name) for name, tried, way in in_ways(enrolled)]


def stopped_ways(enrolled: Enrolled) -> list[Row]:
    """The ways, with the steps after which a search is stopped."""
    found = [(name, tried, way, stops) for name, tried, way in in_ways(enrolled) for stops in way.stops]
    return [pytest.param(tried, way, stops, id=f"{name}-{stops}") for name, tried, way, stops in found]


def settings(enrolled: Enrolled) -> list[Row]:
    found = [(tried, name) for tried in firsts(enrolled) for name in settings_of(tried.module)]
    return [pytest.param(tried, name, id=f"{tried.method}-{name}") for tried, name in found]


def settings_of(module: ModuleType) -> list[str]:
    """The settings of a method that its case must show."""
    return [field.name for field in fields(module.Config) if field.name not in SHOWN]


def toys(enrolled: Enrolled) -> list[Row]:
    found = [(method, toy) for method, case in enrolled.methods.items() for toy in case.planted]
    return [pytest.param(method, toy, id=f"{method}-{toy}") for method, toy in found]


# --- Runs ------------------------------------------------------------------------------------------------------------


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


@each("tried", methods)
def test_the_case_of_a_method_fits_it(tried: Tried) -> None:
    case = tried.case
    assert case.ways and case.planted
    assert case.changes.keys() | case.elsewhere.keys() == set(settings_of(tried.module))
    assert not case.changes.keys() & case.elsewhere.keys()


@each("tried, way", ways)
def test_the_same_seed_gives_the_same_search_bit_for_bit_and_another_seed_another(
    tried: Tried, way: Way, tmp_path: Path
) -> None:
    found = []
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        result = tried.way(way, tmp_path / name, setup=Setup(seed=seed, device="cpu"))
        found.append(evidence(result, tmp_path / name))
    assert_same(found[0], found[1])
    assert found[0][1] != found[2][1]


@each("tried, way, stops", stopped_ways)
def test_a_search_that_was_stopped_and_gone_on_with_ends_as_one_that_was_not(
    tried: Tried, way: Way, stops: tuple[int, ...], tmp_path: Path
) -> None:
    """Stopped inside an epoch or a trial, and at the end of one."""
    longer = tried.case.longer
    whole = tried.way(way, tmp_path / "whole", **longer)
    with pytest.raises(InterruptedRunError):
        tried.way(way, tmp_path / "cut", setup=Setup(device="cpu", budget=f"{stops[0]}steps"), **longer)
    for steps in stops[1:]:
        with Run.open(tmp_path / "cut", write=True) as run, pytest.raises(InterruptedRunError):
            run.limits.steps = steps
            tried.resume(run, way)
    with Run.open(tmp_path / "cut", write=True) as run:
        again = tried.resume(run, way)
    assert_same(evidence(whole, tmp_path / "whole"), evidence(again, tmp_path / "cut"))


@each("tried", methods)
def test_a_finished_search_gone_on_with_gives_its_result_again_and_writes_nothing(tried: Tried, tmp_path: Path) -> None:
    first = tried.search(tmp_path / "run")
    before = tiny.history(tmp_path / "run")
    with Run.open(tmp_path / "run", write=True) as run:
        again = tried.resume(run)
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


@each("tried, way", ways)
def test_a_search_never_looks_at_the_test_images(tried: Tried, way: Way, tmp_path: Path) -> None:
    data = replace(tiny.digits(), test=Sealed())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=r"data\.test\.images"):
        data.test.images  # noqa: B018
    assert tried.way(way, tmp_path / "run", data=data).architecture is not None
    assert not any("test" in name for line in tiny.history(tmp_path / "run") for name in line)


@each("tried", methods)
def test_five_steps_have_the_loss_they_always_had(tried: Tried, tmp_path: Path) -> None:
    case, data = tried.case, load_data("digits", max_images=160)
    setup = Setup(device="cpu", precision="float64")
    tried.search(tmp_path / "run", data=data, setup=setup, **case.golden_settings)
    lines = [line for run in told(tmp_path / "run") for line in run if line["event"] == "epoch"]
    assert lines[0]["step"] == 5
    tolerance = 1e-6 if torch.__version__.startswith("2.13.0") else 0.05
    assert lines[0]["train_loss"] == pytest.approx(case.golden_loss, rel=tolerance)


@each("tried, field", settings)
def test_every_setting_changes_something(
    tried: Tried, field: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    case = tried.case
    if field in case.elsewhere:
        return assert_is_tested(case.elsewhere[field], request.path.parent)
    assert field in case.changes, f"a new setting: show in `changes` of the case of {tried.method} what {field} changes"
    value, more = case.changes[field]
    assert {**case.settings, **more}.get(field, getattr(tried.module.Config(), field)) != value
    name = re.sub(r"\W+", "-", f"{tried.method}-base-{more}")[:200]
    before = tmp_path_factory.getbasetemp() / name  # one run for all fields that need nothing else, or the same
    if not before.exists():
        tried.search(before, data=case.changes_data(), **more)
    tried.search(tmp_path / "run", data=case.changes_data(), **{**more, field: value})
    assert told(tmp_path / "run") != told(before)


def assert_is_tested(place: str, folder: Path) -> None:
    """Whether there is the test FILE::TEST in the folder; what ELSEWHERE says is there in dartboard's."""
    file, _, name = place.partition("::")
    assert place == ELSEWHERE or f"\ndef {name}(" in (folder / file).read_text()


# --- A planted optimum -----------------------------------------------------------------------------------------------


@each("method, toy", toys)
def test_a_search_finds_a_planted_architecture_that_random_draws_do_not(
    method: str, toy: Planted, tmp_path: Path
) -> None:
    module = method_module(method)
    config = module.Config(**toy.settings)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method=method) as run:
        result = module.search(config, toy.space, toy.data(), run, **toy.more())
    assert toy.matches(toy.best, toy.best) == toy.places
    assert toy.matches(result.architecture, toy.best) >= toy.at_least
    draws = [toy.space.sample(Random(seed)) for seed in range(toy.draws)]
    assert all(toy.matches(draw, toy.best) < toy.at_least for draw in draws)
    assert all(toy.score(result, draw) < toy.score(result, result.architecture) for draw in draws)
