"""Networks as layers, computed one after another: what tables of latency are made of."""

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

import pytest
import torch
from torch import Tensor

from dartboard import networks
from dartboard.formats import published
from dartboard.networks import mobilenet
from dartboard.scoring.cost import count, count_module
from dartboard.spaces import SPACES, darts, nasbench201
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

TIMED = [name for name, space in SPACES.items() if FAMILIES[space.family].timed is not None]
OF_CELLS = [name for name in TIMED if SPACES[name].family in ("darts", "nasbench201")]
SMALL = [name for name in TIMED if "-8" in name or name == "nasbenchmacro"]


def sizes_of(name: str) -> dict[str, int]:
    space = SPACES[name]
    own = dict(FAMILIES[space.family].sizes_of(space.largest(), FAMILIES[space.family].usual_network(space.largest())))
    return {**own, "in_channels": 2}


def chain(architecture: Architecture, sizes: Mapping[str, int]) -> torch.nn.Sequential:
    """The layers of an architecture as one module."""
    timed, file = FAMILIES[architecture.space].timed, networks.module(architecture.space)
    assert timed is not None
    return torch.nn.Sequential(*(file.timed_layer(layer) for layer in timed.of_network(architecture, sizes)))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_layers_one_behind_the_other_compute_what_the_network_computes(
    name: str, seed: int, global_rng: None
) -> None:
    torch.manual_seed(seed)
    sizes, architecture = sizes_of(name), SPACES[name].sample(Random(seed))
    network = networks.module(architecture.space).reported(architecture, "", **sizes).eval()
    layers = chain(architecture, sizes).eval()
    tensors = [tensor for key, tensor in network.state_dict().items() if key != "channels"]
    layers.load_state_dict(dict(zip(layers.state_dict(), tensors, strict=True)))
    x = torch.randn(2, 2, sizes["image_size"], sizes["image_size"])
    assert torch.equal(layers(x), network(x))


@pytest.mark.parametrize("name", TIMED)
def test_every_layer_of_every_drawn_network_is_among_those_of_the_space(name: str) -> None:
    space, sizes = SPACES[name], sizes_of(name)
    timed = FAMILIES[space.family].timed
    assert timed is not None
    known = set(timed.of_space(space, sizes))
    rng = Random(0)
    drawn = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(100))]
    assert all(set(timed.of_network(one, sizes)) <= known for one in drawn)


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_of_a_space_is_one_of_some_network(name: str) -> None:
    space, sizes, rng = SPACES[name], sizes_of(name), Random(0)
    timed = FAMILIES[space.family].timed
    assert timed is not None
    left = set(timed.of_space(space, sizes))
    for _ in range(5000):
        left -= set(timed.of_network(space.sample(rng), sizes))
        if not left:
            return
    raise AssertionError(f"no network has {[str(layer) for layer in left]}")


def test_narrower_networks_have_the_layers_of_their_widths() -> None:
    space, sizes = SPACES["bignas-32"], {**sizes_of("bignas-32"), "channels": 8}
    timed = FAMILIES["mobilenet"].timed
    assert timed is not None
    known, rng = set(timed.of_space(space, sizes)), Random(0)
    assert all(set(timed.of_network(space.sample(rng), sizes)) <= known for _ in range(50))
    assert max(layer.channels for layer in known if layer.kind == "head") == 40  # half of 80


def test_a_resize_is_a_layer_only_where_images_have_another_size() -> None:
    space, sizes = SPACES["bignas-8"], sizes_of("bignas-8")
    timed = FAMILIES["mobilenet"].timed
    assert timed is not None
    kinds = {one["resolution"]: timed.of_network(one, sizes)[0].kind for one in (space.smallest(), space.largest())}
    assert kinds == {6: "resize", 8: "stem"}


def test_published_mobile_networks_have_layers_too(global_rng: None) -> None:
    architecture = published()["MobileNetV3-Large"].architecture
    sizes = {**FAMILIES["mobilenet"].sizes_of(architecture, "mobile"), "in_channels": 3, "image_size": 32}
    network = mobilenet.Network(architecture, num_classes=sizes["num_classes"])
    layers = chain(architecture, sizes)
    assert sum(one.numel() for one in layers.parameters()) == sum(one.numel() for one in network.parameters())


# --- Cells, which are no chains ---------------------------------------------------------------------------------------

CELL_SIZES = [
    {"channels": 4, "cells": 3, "image_size": 9},  # two reductions side by side, and odd sides
    {"channels": 6, "cells": 8, "image_size": 8},
]


def in_darts_cells(architecture: Architecture, modules: Iterator[torch.nn.Module], cells: int, x: Tensor) -> Tensor:
    """What the layers compute as section 2.1 of DARTS connects them."""
    before = last = next(modules)(x)
    for position in range(cells):
        reduction = position in (cells // 3, 2 * cells // 3)
        cell = darts.cell(architecture, "reduce" if reduction else "normal")
        states = [next(modules)(before), next(modules)(last)]
        for node in cell.nodes:
            found = [
                states[pred] if name == "skip_connect" and not (reduction and pred < 2) else next(modules)(states[pred])
                for name, pred in node
            ]
            states.append(sum(found[1:], start=found[0]))
        before, last = last, torch.cat([states[node] for node in cell.concat], dim=1)
        assert next(modules)(states[-1]).shape == last.shape  # of what joins
    return next(modules)(last)  # type: ignore[no-any-return]


def in_nasbench201_cells(
    architecture: Architecture, modules: Iterator[torch.nn.Module], cells: int, x: Tensor
) -> Tensor:
    """What the layers compute as NAS-Bench-201 connects them."""
    values, x = dict(architecture.choices), next(modules)(x)
    for position in range(cells):
        if position in (cells // 3, 2 * cells // 3):
            x = next(modules)(x)
            continue
        nodes = [x]
        for target in range(1, nasbench201.NUM_NODES):
            names = [values[f"{target}<-{source}"] for source in range(target)]
            found = [nodes[n] if name == "skip_connect" else next(modules)(nodes[n]) for n, name in enumerate(names)]
            nodes.append(sum(found[1:], start=found[0]))
        x = nodes[-1]
        assert next(modules)(x).shape == x.shape  # of what joins
    return next(modules)(x)  # type: ignore[no-any-return]


CONNECTED = {"darts": in_darts_cells, "nasbench201": in_nasbench201_cells}


@pytest.mark.parametrize("sizes", CELL_SIZES, ids=str)
@pytest.mark.parametrize("name", OF_CELLS)
def test_the_layers_of_cells_connected_by_hand_compute_what_the_network_computes(
    name: str, sizes: dict[str, int], global_rng: None
) -> None:
    torch.manual_seed(0)
    more, architecture = {"num_classes": 7, "in_channels": 2}, SPACES[name].sample(Random(3))
    network = networks.module(architecture.space).reported(architecture, "cifar", **sizes, **more).eval()
    modules = chain(architecture, {**sizes, **more}).eval()
    known = network.state_dict()
    tensors = [known[key] for key in known if not key.startswith("auxiliary_head")]
    modules.load_state_dict(dict(zip(modules.state_dict(), tensors, strict=True)))
    x, left = torch.randn(2, 2, sizes["image_size"], sizes["image_size"]), iter(modules)
    found = CONNECTED[architecture.space](architecture, left, sizes["cells"], x)
    assert torch.equal(found, network(x)) and not list(left)


@pytest.mark.parametrize("sizes", CELL_SIZES, ids=str)
@pytest.mark.parametrize("name", OF_CELLS)
def test_the_layers_of_cells_have_the_parameters_and_multiply_adds_of_the_network(
    name: str, sizes: dict[str, int], global_rng: None
) -> None:
    timed, more = FAMILIES[SPACES[name].family].timed, {"num_classes": 7, "in_channels": 2}
    assert timed is not None
    architecture = SPACES[name].sample(Random(5))
    layers = timed.of_network(architecture, {**sizes, **more})
    file = networks.module(architecture.space)
    costs = [count_module(file.timed_layer(layer), layer.side, layer.channels) for layer in layers]
    counted = count(architecture, **sizes, **more)
    assert (sum(one.params for one in costs), sum(one.macs for one in costs)) == (counted.params, counted.macs)


@pytest.mark.parametrize("name", OF_CELLS)
def test_what_an_edge_adds_and_what_all_networks_have_are_the_layers_of_a_network(name: str) -> None:
    space, sizes = SPACES[name], {**CELL_SIZES[1], "num_classes": 7, "in_channels": 2}
    family = FAMILIES[space.family]
    assert family.timed is not None and family.timed.of_edge is not None and family.parts is not None
    rests = []
    for seed in range(20):
        architecture = space.sample(Random(seed))
        rest = Counter(family.timed.of_network(architecture, sizes))
        for choice, value in architecture.choices:
            for part in family.parts(choice, value):
                rest.subtract(family.timed.of_edge(part, sizes))
        rests.append(+rest)
        assert min(rest.values()) >= 0
    assert all(rest == rests[0] for rest in rests)


@pytest.mark.parametrize("name", OF_CELLS)
def test_every_layer_of_smaller_networks_of_cells_is_among_those_of_the_space(name: str) -> None:
    space, sizes = SPACES[name], {**CELL_SIZES[0], "num_classes": 7, "in_channels": 2}
    timed, rng = FAMILIES[space.family].timed, Random(0)
    assert timed is not None
    known = set(timed.of_space(space, sizes))
    assert all(set(timed.of_network(space.sample(rng), sizes)) <= known for _ in range(50))
