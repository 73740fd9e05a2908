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
from dartboard.spaces import SPACES, darts, enas_macro, enas_micro, nas_rl, nasbench201, nasnet
from dartboard.spaces.blocks import loose_ends
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

TIMED = [name for name, space in SPACES.items() if FAMILIES[space.family].timed is not None]
OF_CELLS = [name for name in TIMED if SPACES[name].family in ("darts", "nasbench201")]
OF_BLOCKS = ["enas_micro", "nasnet"]
Modules = Iterator[torch.nn.Module]
OF_LAYERS = ["enas_macro", "nas_rl-12", "nas_rl-strides"]  # which take several earlier ones
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
    needed = {layer for one in drawn for layer in timed.of_network(one, sizes)}
    if timed.between is not None:
        lies = timed.between(space, sizes)
        needed = {one for layer in needed for one, _ in lies(layer)}
    assert needed <= known


TWO_BLOCKS = {"enas_micro": enas_micro.space("two", "", nodes=2), "nasnet": nasnet.space("two", "", blocks=2)}


@pytest.mark.parametrize("name", [*SMALL, *TWO_BLOCKS, "enas_macro"])
def test_every_layer_of_a_space_is_one_of_some_network(name: str) -> None:
    space, sizes, rng = TWO_BLOCKS.get(name, SPACES[name]), sizes_of(name), Random(0)
    sizes = {**sizes, "cells": 5} if name in TWO_BLOCKS else sizes
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


def in_darts_cells(architecture: Architecture, modules: Modules, cells: int, x: Tensor) -> Tensor:
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


def in_nasbench201_cells(architecture: Architecture, modules: Modules, cells: int, x: Tensor) -> Tensor:
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


# --- Cells of blocks, and layers that take several earlier ones -------------------------------------------------------


def placed_cells(cells: int, channels: int) -> Iterator[tuple[bool, bool, int]]:
    """Of each cell whether it is a reduction, whether it follows one, and its width."""
    at = ((cells - 2) // 3, 2 * ((cells - 2) // 3) + 1)
    for position in range(cells):
        channels = 2 * channels if position in at else channels
        yield position in at, position - 1 in at, channels


def in_enas_cells(architecture: Architecture, modules: Modules, cells: int, x: Tensor) -> Tensor:
    """What the layers compute as the final network of ENAS micro connects them."""
    older = newest = next(modules)(x)
    for reduction, after, width in placed_cells(cells, newest.shape[1] // 3):
        blocks = enas_micro.blocks(architecture, "reduce" if reduction else "normal")
        entering = ((older, after), (newest, False))
        states = [next(modules)(one) if larger or one.shape[1] != width else one for one, larger in entering]
        states[1] = next(modules)(states[1])
        for first, second, *names in blocks:
            pairs = zip((first, second), names, strict=True)
            own = [
                states[node] if name == "identity" and not (reduction and node < 2) else next(modules)(states[node])
                for node, name in pairs
            ]
            states.append(own[0] + own[1])
        loose = loose_ends(blocks)
        joined = [next(modules)(states[node]) if reduction and node < 2 else states[node] for node in loose]
        older, newest = newest, torch.cat(joined, dim=1)
        assert next(modules)(states[-1]).shape == newest.shape  # of what joins
    return next(modules)(newest)  # type: ignore[no-any-return]


def in_nasnet_cells(architecture: Architecture, modules: Modules, cells: int, x: Tensor) -> Tensor:
    """What the layers compute as NASNet connects them."""
    older = newest = next(modules)(x)
    for position, (reduction, after, width) in enumerate(placed_cells(cells, newest.shape[1] // 3)):
        kind = "reduce" if reduction else "normal"
        states = [next(modules)(newest)]
        states.append(next(modules)(older) if position and (after or older.shape[1] != width) else older)
        wide = 0
        for first, second, one, other, combine in nasnet.blocks(architecture, kind):
            own = []
            for node, name in ((first, one), (second, other)):
                same = name == "identity" and not (reduction and node < 2) and states[node].shape[1] == width
                own.append(states[node] if same else next(modules)(states[node]))
            states.append(own[0] + own[1] if combine == "add" else torch.cat(own, dim=1))
            wide += combine == "concat"
        joined = []
        for node in nasnet.joined(architecture, kind):
            fits = not (reduction and node < 2) and states[node].shape[1] == width
            joined.append(states[node] if fits else next(modules)(states[node]))
        older, newest = newest, torch.cat(joined, dim=1)
        of_width = newest[:, :width]
        assert all(next(modules)(of_width).shape[1] == 2 * width for _ in range(wide))  # of blocks that join
        assert next(modules)(of_width).shape == newest.shape  # of what joins
    return next(modules)(newest)  # type: ignore[no-any-return]


def in_enas_layers(architecture: Architecture, modules: Modules, cells: int, x: Tensor) -> Tensor:
    """What the layers compute as the final network of ENAS macro connects them: each has its own map for all that it
    joins, so the weights of what joins are applied here."""
    states = [next(modules)(x)]
    for place, (_, skips) in enumerate(enas_macro.layers_of(architecture)):
        out = next(modules)(states[-1])
        if place:
            joined = [state for state, bit in zip(states, skips, strict=False) if bit]
            out = next(modules).join(torch.cat([*joined, out], dim=1))  # type: ignore[operator]
        states.append(out)
        if place + 1 in (cells // 3, 2 * (cells // 3)):
            states = [next(modules)(state) for state in states]
    return next(modules)(states[-1])  # type: ignore[no-any-return]


def in_nas_rl_layers(architecture: Architecture, modules: Modules, cells: int, x: Tensor) -> Tensor:
    """What the layers compute as section 3.3 of NAS with RL connects them."""
    layers, states = nas_rl.layers_of(architecture), [x]

    def together(numbers: list[int]) -> Tensor:
        side = max(states[one].shape[-1] for one in numbers)
        own = [torch.nn.functional.pad(one, (0, side - one.shape[-1]) * 2) for one in (states[n] for n in numbers)]
        found = torch.cat(own, dim=1)
        return next(modules)(found) if len(numbers) > 1 else found  # type: ignore[no-any-return]

    for layer in layers:
        taken = together(list(layer.inputs or (0,)))
        states.append(next(modules)(taken))
    found = together(nas_rl.dangling(layers))
    return next(modules)(found)  # type: ignore[no-any-return]


TOGETHER = {
    "enas_micro": in_enas_cells,
    "nasnet": in_nasnet_cells,
    "enas_macro": in_enas_layers,
    "nas_rl": in_nas_rl_layers,
}


def family_sizes(name: str) -> list[dict[str, int]]:
    """Small sizes: of cells any number, of layers the space's own."""
    own = {"num_classes": 7, "in_channels": 2}
    if name in OF_BLOCKS:
        return [{**one, **own} for one in CELL_SIZES]
    return [{"channels": 6, "cells": sizes_of(name)["cells"], "image_size": side, **own} for side in (8, 9)]


def tensors_in_order(name: str, known: Mapping[str, Tensor]) -> list[Tensor]:
    """A network's tensors in the order of its layers: of ENAS macro the halving follows the layer before it."""
    left = [key for key in known if not key.startswith("auxiliary_head") and key != "base"]
    if name == "enas_macro":
        halves = [key for key in left if key.startswith("halves.")]
        left = [key for key in left if key not in halves]
        for place in sorted({int(key.split(".")[1]) for key in halves}, reverse=True):
            after = 1 + max(n for n, key in enumerate(left) if key.startswith(f"cells.{place}."))
            left[after:after] = [key for key in halves if key.startswith(f"halves.{place}.")]
    return [known[key] for key in left]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", [*OF_BLOCKS, *OF_LAYERS])
def test_layers_that_take_several_maps_compute_what_the_network_computes(
    name: str, seed: int, number: int, global_rng: None
) -> None:
    torch.manual_seed(seed)
    space, sizes = SPACES[name], family_sizes(name)[number]
    architecture = space.sample(Random(seed))
    network = networks.module(space.family).reported(architecture, "cifar", **sizes).eval()
    modules = chain(architecture, sizes).eval()
    tensors = tensors_in_order(name, network.state_dict())
    modules.load_state_dict(dict(zip(modules.state_dict(), tensors, strict=True)))
    side = sizes["image_size"]
    x, left = torch.randn(2, 2, side, side), iter(modules)
    found = TOGETHER[space.family](architecture, left, sizes["cells"], x)
    assert torch.equal(found, network(x)) and not list(left)


@pytest.mark.parametrize("name", [*OF_BLOCKS, *OF_LAYERS])
def test_layers_that_take_several_maps_have_the_counts_of_the_network(name: str, global_rng: None) -> None:
    space, sizes = SPACES[name], family_sizes(name)[1]
    timed = FAMILIES[space.family].timed
    assert timed is not None
    architecture = space.sample(Random(7))
    file = networks.module(space.family)
    layers = timed.of_network(architecture, sizes)
    costs = [count_module(file.timed_layer(layer), layer.side, layer.channels) for layer in layers]
    counted = count(architecture, **sizes)
    assert (sum(one.params for one in costs), sum(one.macs for one in costs)) == (counted.params, counted.macs)


@pytest.mark.parametrize("name", OF_BLOCKS)
def test_published_cells_of_blocks_have_layers_too(name: str, global_rng: None) -> None:
    timed = FAMILIES[name].timed
    assert timed is not None
    for one in (entry.architecture for entry in published().values() if entry.architecture.space == name):
        sizes = {**FAMILIES[name].sizes_of(one, "cifar"), "in_channels": 3}
        parts = [networks.module(name).timed_layer(layer) for layer in timed.of_network(one, sizes)]
        counted = count(one, **sizes)  # type: ignore[arg-type]
        assert sum(tensor.numel() for part in parts for tensor in part.parameters()) == counted.params
