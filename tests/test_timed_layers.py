"""Networks as layers, one behind the other: what tables of latency are made of."""

from collections.abc import Mapping
from random import Random

import pytest
import torch

from dartboard import networks
from dartboard.formats import published
from dartboard.networks import mobilenet
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

TIMED = [name for name, space in SPACES.items() if FAMILIES[space.family].timed is not None]
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
