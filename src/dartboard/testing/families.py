"""What every family of spaces must keep; `contracts` makes tests of it for those that a test file enrols."""

import inspect
import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from dartboard import formats, networks
from dartboard.export.weights import load_network, write_torch
from dartboard.report.cells import cells as cells_of_page
from dartboard.report.drawing import draw
from dartboard.scoring.cost import Cost, count, count_module
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace, as_tuples
from dartboard.testing import tiny
from dartboard.testing.cases import Enrolled, FamilyCase, Row, each
from dartboard.training import from_scratch

LEAST = 1e-6  # how likely a draw must be, so that nobody's space fails by bad luck


def spaces_of(family: str) -> list[SearchSpace]:
    """All spaces of a family: of the table, and of its package."""
    return [*FAMILIES[family].spaces] or [space for space in SPACES.values() if space.family == family]


def families(enrolled: Enrolled) -> list[Row]:
    return [pytest.param(name, case, id=name) for name, case in enrolled.families.items()]


def spaces(enrolled: Enrolled, kind: str | None = None) -> list[Row]:
    """All spaces, or those that offer a kind, each with the case of its family."""
    found = [(space, case) for name, case in enrolled.families.items() for space in spaces_of(name)]
    return [pytest.param(*one, id=one[0].name) for one in found if kind is None or kind in one[0].kinds]


def shared(enrolled: Enrolled) -> list[Row]:
    """The spaces that have a supernet."""
    return [row for row in spaces(enrolled) if row.values[0].kinds]


def mixing(enrolled: Enrolled) -> list[Row]:
    return spaces(enrolled, "mixture")


def supernets_of(space: SearchSpace, case: FamilyCase) -> list[Any]:
    """A small supernet in double with weights from a fixed seed, in each of its forms."""
    forms = [{"form": form} for form in case.forms] or [{}]
    return [tiny.supernet(space, num_classes=3, **form).double() for form in forms]


def cut_out(supernet: Any, architecture: Architecture) -> Any:
    """The network of the architecture with the supernet's weights; torch's global random state stays."""
    with tiny.seeded():
        return networks.module(architecture.space).inherit(supernet, architecture)


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@each("family, case", families)
def test_the_case_of_a_family_fits_it(family: str, case: FamilyCase) -> None:
    own = {one.name: one for one in spaces_of(family)}
    assert case.sizes.keys() == own.keys(), "a case says the size of every space of its family, and of no other"
    assert {case.small.family, case.searched.family, case.drawn.family} == {family}
    assert case.drawn.size <= 1000
    assert case.vertex or not any("mixture" in own[name].kinds for name in own), "a space that mixes needs a vertex"
    others = {kind for name, other in FAMILIES.items() if name != family for kind in other.kinds}
    assert not others & set(FAMILIES[family].kinds), "runs' tables are told apart by the names of a family's kinds"
    supernet = getattr(networks.module(family), "Supernet", None)
    assert (supernet is not None) == any(one.kinds for one in own.values()), "a space with a supernet says its kinds"
    assert bool(case.forms) == (supernet is not None and "form" in inspect.signature(supernet).parameters)


@each("space, case", shared)
def test_a_supernet_computes_what_the_network_cut_out_of_it_computes(space: SearchSpace, case: FamilyCase) -> None:
    for supernet in supernets_of(space, case):
        x = images(2, 3, case.image_size, case.image_size)
        for seed in range(2):
            architecture = space.sample(Random(seed))
            network = cut_out(supernet, architecture)
            assert torch.allclose(supernet(x, architecture), network(x), rtol=0, atol=1e-12)
            supernet.eval()
            assert torch.allclose(supernet(x, architecture), network.eval()(x), rtol=0, atol=1e-12)
            supernet.train()


@each("space, case", mixing)
def test_mixture_weights_at_a_vertex_are_the_discrete_path(space: SearchSpace, case: FamilyCase) -> None:
    vertex = case.vertex
    assert vertex is not None
    for supernet in supernets_of(space, case):
        x = images(2, 3, case.image_size, case.image_size)
        for seed in range(2):
            architecture = space.sample(Random(seed))
            mixture = vertex(architecture, supernet.mixed)
            mixture = {kind: weights.double() for kind, weights in mixture.items()}
            assert torch.allclose(supernet(x, mixture), supernet(x, architecture), rtol=0, atol=1e-12)


@each("space, case", mixing)
def test_weights_of_named_operations_are_the_mixture_in_which_the_others_weigh_nothing(
    space: SearchSpace, case: FamilyCase
) -> None:
    for supernet in supernets_of(space, case):
        x, mixture, named = images(2, 3, case.image_size, case.image_size), {}, {}
        for kind, (edges, operations) in supernet.choice_shapes().items():
            places = torch.arange(edges) % operations
            values = 0.5 + torch.arange(edges, dtype=torch.float64) / edges
            zeros = torch.zeros(edges, operations, dtype=torch.float64)
            mixture[kind] = zeros.scatter(1, places[:, None], values[:, None])
            rows = zip(supernet.mixed[kind], places.tolist(), values, strict=True)
            named[kind] = [{own[place]: value} for own, place, value in rows]
        assert torch.allclose(supernet(x, named), supernet(x, mixture), rtol=0, atol=1e-12)


@each("space, case", shared)
def test_a_cut_out_network_owns_its_weights(space: SearchSpace, case: FamilyCase) -> None:
    supernet, x = supernets_of(space, case)[0], images(2, 3, case.image_size, case.image_size)
    network = cut_out(supernet, space.sample(Random(0))).eval()
    before = network(x)
    with torch.no_grad():
        for tensor in (*supernet.parameters(), *supernet.buffers()):
            tensor.zero_()
    assert torch.equal(network(x), before)


@each("space, case", spaces)
def test_the_size_of_a_space_is_the_papers(space: SearchSpace, case: FamilyCase) -> None:
    assert space.size == case.sizes[space.name]


@each("family, case", families)
def test_a_small_space_enumerates_as_many_as_its_size_from_the_smallest_to_the_largest(
    family: str, case: FamilyCase
) -> None:
    small = case.small
    found = list(small.enumerate())
    assert len(found) == len(set(found)) == small.size
    assert (found[0], found[-1]) == (small.smallest(), small.largest())


@each("space, case", spaces)
def test_the_smallest_and_the_largest_are_what_they_say(space: SearchSpace, case: FamilyCase) -> None:
    ends = (space.smallest(), space.largest())
    for architecture, place in zip(ends, (0, -1), strict=True):
        assert architecture in space
        values = dict(architecture.choices)
        assert all(values[one.name] == one.options[place] for one in space.choices if one.name in values)
    if case.ordered:
        (_, least), (_, most) = (cost_and_own(architecture) for architecture in ends)
        for seed in range(20):
            own = cost_and_own(space.sample(Random(seed)))[1]
            assert least.macs <= own.macs <= most.macs and least.params <= own.params <= most.params
        assert least.macs < most.macs


@each("family, case", families)
def test_each_choice_is_drawn_uniformly_and_independently_and_every_architecture_is(
    family: str, case: FamilyCase
) -> None:
    """Chi-square over the architectures; one whose choices are conditional is drawn by the options it meets."""
    space, rng = case.drawn, Random(0)
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
    """Whether chance gives counts so far from the expected ones once in a million or more; nor are they too near."""
    chi2, free = sum((one - mean) ** 2 / mean for one, mean in zip(found, expected, strict=True)), len(found) - 1
    return bool(chi2 >= free - 5 * math.sqrt(2 * free) and (free == 0 or stats.chi2.sf(chi2, free) >= LEAST))


@each("space, case", spaces)
def test_every_option_of_every_choice_is_drawn_equally_often_in_the_order_of_walk(
    space: SearchSpace, case: FamilyCase
) -> None:
    rng, by_hand = Random(3), Random(3)
    drawn: dict[str, Counter[Any]] = {choice.name: Counter() for choice in space.choices}
    for _ in range(20 * max(len(choice.options) for choice in space.choices)):
        architecture = space.sample(rng)
        assert architecture == space.walk(lambda choice: by_hand.choice(choice.options))
        for name, value in architecture.choices:
            drawn[name][value] += 1
    assert rng.getstate() == by_hand.getstate()
    for choice in space.choices:
        counts = [drawn[choice.name][option] for option in choice.options]
        assert is_uniform(counts, [sum(counts) / len(counts)] * len(counts)), choice.name


@each("space, case", spaces)
def test_an_architecture_survives_json(space: SearchSpace, case: FamilyCase) -> None:
    for architecture in (space.sample(Random(0)), space.smallest(), space.largest()):
        record = architecture.to_json()["choices"]
        values = {name: as_tuples(value) for name, value in record.items()}
        assert FAMILIES[space.family].read(values) == architecture
        assert formats.read(str(architecture)) == (architecture, "json")


@each("space, case", spaces)
def test_an_architecture_survives_the_notation_of_its_family(space: SearchSpace, case: FamilyCase) -> None:
    notation = FAMILIES[space.family].notation
    for architecture in (*(space.sample(Random(seed)) for seed in range(5)), space.smallest(), space.largest()):
        assert formats.read(formats.write(architecture, notation)) == (architecture, notation)


def sizes_of(architecture: Architecture) -> dict[str, Any]:
    return {"channels": 4, "cells": 3, "num_classes": 7, **tiny.fixed(architecture)}


def cost_and_own(architecture: Architecture) -> tuple[Cost, Cost]:
    """Counts of an architecture as told, and those of its network."""
    module, sizes = networks.module(architecture.space), sizes_of(architecture)
    with tiny.seeded():
        network = module.reported(architecture, "cifar", image_size=32, **sizes)
    assert networks.family_of(network) == architecture.space
    return count(architecture, image_size=32, **sizes), count_module(network, 32)


@each("space, case", spaces)
def test_the_cost_of_an_architecture_is_that_of_its_network(space: SearchSpace, case: FamilyCase) -> None:
    for seed in range(3):
        architecture = space.sample(Random(seed))
        cost, counted = cost_and_own(architecture)
        assert cost == counted
        with tiny.seeded():
            network = networks.module(space.family).Network(architecture, **sizes_of(architecture))
        own = {name: parameter.numel() for name, parameter in network.named_parameters()}
        assert cost.params_with_auxiliary == sum(own.values())
        assert cost.params == sum(n for name, n in own.items() if not name.startswith("auxiliary_head."))


@each("family, case", families)
def test_a_network_at_the_sizes_of_a_training_is_written_and_read_again(
    family: str, case: FamilyCase, tmp_path: Path
) -> None:
    module, data = networks.module(family), tiny.digits()
    config = from_scratch.Config(**{**tiny.TRAIN, **tiny.fixed(case.searched), "drop_path": 0.0})
    with tiny.seeded():
        network = module.sized(case.searched.sample(Random(0)), config, data).eval()
    assert (len(network.cells), network.architecture.space) == (config.cells, family)
    again = load_network(write_torch(network, tmp_path / "weights", image_size=data.image_size))
    x = images(2, data.channels, data.image_size, data.image_size).float()
    assert torch.allclose(again(x), network(x), rtol=0, atol=1e-5)


@each("space, case", spaces)
def test_a_picture_of_an_architecture_is_drawn_with_each_of_its_operations(
    space: SearchSpace, case: FamilyCase, tmp_path: Path
) -> None:
    family, architecture = FAMILIES[space.family], space.largest()
    used = {name for name in family.operations if name in str(architecture)} - {"none"}
    used |= {operation for one in family.graphs(architecture) for _, _, operation in one.edges} - {"none"}
    picture = draw(architecture, tmp_path / "picture.svg", title="a title").read_text()
    texts = [text.replace("_", " ") for text in (picture, str(cells_of_page(architecture, "run")))]
    assert used and all(name.replace("_", " ") in text for name in used for text in texts)
    assert all("<svg" in text for text in texts) and "a title" in picture
    assert any(name in line for line in family.lines(architecture) for name in used)
