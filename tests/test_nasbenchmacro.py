"""The space of NAS-Bench-Macro: codes, equal chains, networks, counts, and what its table says."""

import csv
import json
import re
from collections import defaultdict
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import tiny
from dartboard.errors import InputError
from dartboard.formats import read, write
from dartboard.networks.nasbenchmacro import Network, Norm, Sizes, Supernet, inherit, sized
from dartboard.scoring.cost import count, count_supernet
from dartboard.spaces import SPACES
from dartboard.spaces import nasbenchmacro as space
from dartboard.spaces.search_space import Architecture

CODE = "01210212"
chains = st.lists(st.sampled_from(space.OPERATIONS), min_size=8, max_size=8).map(space.architecture)


def of(code: str) -> Architecture:
    return space.from_code(code)


def images(*shape: int, double: bool = False) -> Tensor:
    dtype = torch.float64 if double else torch.float32
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def made(make: Any, *args: Any, **settings: Any) -> Any:
    """make(...) with weights from a fixed seed; torch's global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(*args, **settings)


# --- Values ----------------------------------------------------------------------------------------------------------


def test_the_space_has_a_code_for_every_eight_digits() -> None:
    codes = [space.to_code(one) for one in space.SPACE.enumerate()]
    assert codes == ["".join(digits) for digits in product("012", repeat=8)]
    assert SPACES["nasbenchmacro"] is space.SPACE and space.SPACE.kinds == {"path"}


@given(chains)
def test_a_chain_comes_back_from_its_code_and_from_json(chain: Architecture) -> None:
    code = space.to_code(chain)
    assert read(f"{code}\n") == (chain, "nasbenchmacro")
    assert write(chain, "nasbenchmacro") == code
    assert read(write(chain, "json")) == (chain, "json")


def test_a_code_names_the_layers_from_the_first_to_the_last() -> None:
    assert space.operations_of(of("00000012")) == (*["identity"] * 6, "mb3_k3", "mb6_k5")
    assert of("00000012")["layer.8"] == "mb6_k5"


def test_of_the_codes_in_a_log_the_last_is_read_and_a_number_in_a_sentence_is_none() -> None:
    line = json.dumps({"epoch": 2, "architecture": "00000012"})
    assert read(f'{{"architecture": "{CODE}"}}\n{line}\n') == (of("00000012"), "nasbenchmacro")
    assert read(f"{CODE}\n  11111111  \n")[0] == of("11111111")
    for text in ("on 20201210 we began", "arch,acc\n00000000,45.32\n", "1.01210212e-3", "x01210212"):
        with pytest.raises(InputError, match=r"no architecture found; give .*, a code of NAS-Bench-Macro"):
            read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0121021", "'0121021' has 7 digits; a code of nasbenchmacro has 8 digits, each 0, 1 or 2, such as 01210212"),
        ("012102120", "has 9 digits"),
        ("01210213", "'01210213' has '3'; a code"),
        ("0121 212", "has ' '; a code"),
        ("12", "'12' has 2 digits"),
        ("2", "'2' has 1 digit;"),
        ("", "'' has 0 digits"),
        ("é|~\0", "has 'é'"),
        ("0" * 100_000, "has 100000 digits"),
    ],
)
def test_what_is_no_code_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        space.from_code(text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer.2": None}, "'layer.2' is missing"),
        ({"layer.9": "identity"}, "unknown choice 'layer.9'"),
        ({"layer.2": "mb3_k5"}, "layer.2: unknown operation 'mb3_k5'"),
        ({"layer.2": 1}, "'layer.2' is 1; give one of identity, mb3_k3, mb6_k5"),
    ],
)
def test_choices_that_make_no_chain_are_refused(change: dict[str, Any], words: str) -> None:
    values = {**dict(of(CODE).choices), **change}
    with pytest.raises(InputError, match=words):
        space.from_choices({name: value for name, value in values.items() if value is not None})


# --- Equal chains ----------------------------------------------------------------------------------------------------


@cache
def classes() -> list[list[Architecture]]:
    """All chains, those together that are the same function."""
    found: dict[Any, list[Architecture]] = defaultdict(list)
    for one in space.SPACE.enumerate():
        found[space.layer_form(one)].append(one)
    return list(found.values())


def test_the_codes_are_3969_different_functions() -> None:
    assert len(classes()) == 9 * 21 * 21 == 3969
    assert sum(map(len, classes())) == 6561
    assert max(map(len, classes())) == 2 * 2  # a single block has two places after the first layer of a stage of three
    assert space.layer_form(of("01210102")) == space.layer_form(of("01201120")) == (
        ("identity", "mb3_k3"), ("mb6_k5", "mb3_k3"), ("mb3_k3", "mb6_k5")
    )  # fmt: skip


def test_chains_of_one_class_compute_one_function_with_the_same_weights() -> None:
    several = [group for group in classes() if len(group) > 1]
    x = images(2, 3, 8, 8, double=True)
    for group in Random(0).sample(several, 8):
        one, other = (made(Network, chain, channels=2, num_classes=3).double() for chain in Random(1).sample(group, 2))
        weights = one.state_dict().values()  # the layers that have any are the same, in the same order
        other.load_state_dict(dict(zip(other.state_dict(), weights, strict=True)))
        assert one.architecture != other.architecture
        assert torch.equal(one(x), other(x))


def test_the_first_identity_of_a_stage_is_a_convolution_and_the_others_are_nothing() -> None:
    cells = made(Network, of("00000000"), channels=2).cells
    assert [sum(tensor.numel() for tensor in cell.parameters()) for cell in cells] == [16, 0, 48, 0, 0, 160, 0, 0]


# --- Networks --------------------------------------------------------------------------------------------------------


def test_only_the_path_of_the_architecture_is_computed() -> None:
    supernet = made(Supernet, channels=2, num_classes=3)
    supernet(images(2, 3, 8, 8), of(CODE)).sum().backward()
    used = {name.split(".")[2] + name.split(".")[1] for name, one in supernet.named_parameters()
            if name.startswith("cells") and one.grad is not None}  # fmt: skip
    named = enumerate(space.operations_of(of(CODE)))
    assert used == {f"{operation}{place}" for place, operation in named if (operation, place) != ("identity", 4)}


def test_widths_follow_the_stem_and_maps_are_halved_by_each_stage() -> None:
    network = made(Network, of("22222222"), channels=4).eval()
    x, shapes = network.stem(images(1, 3, 32, 32)), []
    for cell, operation in zip(network.cells, network.operations, strict=True):
        x = cell[operation](x)
        shapes.append((x.shape[1], x.shape[2]))
    assert shapes == [(8, 16)] * 2 + [(16, 8)] * 3 + [(32, 4)] * 3
    assert network.classifier.in_features == 160
    assert network(images(1, 3, 9, 7)).shape == (1, 10)


def test_a_block_has_a_shortcut_where_shapes_allow() -> None:
    network = made(Network, of("11111111"), channels=2)
    without = [place for place, cell in enumerate(network.cells) if not cell["mb3_k3"].has_shortcut]
    assert without == [0, 2, 5]


def test_images_of_eight_pixels_are_learned_from_one_at_a_time() -> None:
    """Their last maps are one pixel: one image has a single number a channel, of which there is no variance."""
    network = made(Network, of("22222222"), channels=2).train()
    network(images(4, 3, 8, 8))
    norm = network.last[1]
    before = norm.running_mean.clone()
    loss = network(images(1, 3, 8, 8)).square().sum()
    loss.backward()
    assert loss.isfinite() and norm.running_mean.equal(before)
    x = images(2, 6, 3, 3)
    ours, torchs = Norm(6), nn.BatchNorm2d(6)
    assert torch.equal(ours(x), torchs(x)) and torch.equal(ours.running_var, torchs.running_var)


@pytest.mark.usefixtures("global_rng")
def test_what_a_supernet_lacks_cannot_be_cut_out_of_it() -> None:
    few = space.space("few", "made up", ("identity", "mb3_k3"))
    supernet = made(Supernet, operations=space.mixed(few), channels=2)
    with pytest.raises(InputError, match=r"no operation 'mb6_k5' in layer\.3, which the architecture uses"):
        inherit(supernet, of(CODE))
    assert space.to_code(inherit(supernet, of("01110111")).architecture) == "01110111"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cells": 5}, "--cells 5: a network of nasbenchmacro has 8 layers; leave it out"),
        ({"auxiliary": True}, "no auxiliary head; give --no-auxiliary"),
        ({"stem": "imagenet"}, "no stem 'imagenet'; leave out --stem"),
        ({"drop_path": 0.1}, "--drop-path is 0.1; a network of nasbenchmacro drops no paths, give 0"),
    ],
)
def test_settings_that_the_network_has_no_part_for_are_refused(settings: dict[str, Any], words: str) -> None:
    known = {"cells": 8, "channels": 2, "auxiliary": False, "stem": "cifar", "drop_path": 0.0}
    config = SimpleNamespace(**{**known, **settings})
    with pytest.raises(InputError, match=words):
        sized(of(CODE), config, tiny.digits())


def test_sizes_of_another_number_of_layers_are_refused() -> None:
    with pytest.raises(InputError, match="--cells 20: a network of nasbenchmacro has 8 layers"):
        Sizes(cells=20)
    with pytest.raises(InputError, match="--cells 5: a network of nasbenchmacro has 8 layers"):
        count(of(CODE), cells=5)


# --- Counts ----------------------------------------------------------------------------------------------------------

COUNTS = {  # of the benchmark
    "00000000": (387_882, 7_713_280),
    "00000012": (1_623_082, 27_312_640),
    "01210212": (2_114_922, 59_306_496),
    "10010200": (784_266, 27_861_504),
    "22222222": (2_932_586, 105_660_928),
}


@cache
def parts() -> tuple[np.ndarray, np.ndarray]:
    """(params, macs) of the chain of identities, and (layer, operation, 2): what each layer can add to them."""
    base = numbers("00000000")
    added = [[numbers("0" * place + digit + "0" * (7 - place)) - base for digit in "012"] for place in range(8)]
    return base, np.array(added)


def numbers(code: str) -> np.ndarray:
    cost = count(of(code))
    return np.array([cost.params, cost.macs])


def summed(code: str) -> tuple[int, int]:
    """(params, macs) of a code by its layers."""
    base, added = parts()
    params, macs = base + sum(added[place, int(digit)] for place, digit in enumerate(code))
    return int(params), int(macs)


@pytest.mark.parametrize("code", COUNTS)
def test_counts_are_those_of_the_benchmark(code: str) -> None:
    cost = count(of(code))
    assert (cost.params, cost.macs) == COUNTS[code]
    assert cost.params_with_auxiliary == cost.params
    more = count(of(code), num_classes=100)
    assert (more.params - cost.params, more.macs - cost.macs) == (90 * 1281, 90 * 1280)


def test_the_counts_of_a_chain_are_the_sum_of_those_of_its_layers() -> None:
    for code in (*COUNTS, *(space.to_code(space.SPACE.sample(Random(seed))) for seed in range(5))):
        assert tuple(numbers(code)) == summed(code)


def test_a_supernet_of_paths_has_no_counts_of_a_mixture() -> None:
    with pytest.raises(InputError, match="supernet of nasbenchmacro computes one path at a time; count an"):
        count_supernet(space.SPACE)


# --- The benchmark's table -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark(reference: Path) -> Path:
    path = reference / "data" / "nasbenchmacro" / "accuracies.csv"
    if not path.is_file():
        pytest.skip("no table of NAS-Bench-Macro")
    return path


def columns_of(path: Path) -> tuple[list[str], np.ndarray]:
    """The codes, and (N, 4): the accuracies of both seeds, params, macs."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("test_seed0", "test_seed1", "params", "macs")
    return [row["arch"] for row in rows], np.array([[float(row[name]) for name in names] for row in rows])


def test_the_counts_of_all_6561_codes_are_those_of_the_benchmark(benchmark: Path) -> None:
    codes, found = columns_of(benchmark)
    assert len(set(codes)) == 6561
    assert [summed(code) for code in codes] == [(int(params), int(macs)) for params, macs in found[:, 2:]]


def test_the_same_network_has_the_same_figures_in_the_table(benchmark: Path) -> None:
    codes, found = columns_of(benchmark)
    row_of = {code: tuple(row) for code, row in zip(codes, found, strict=True)}
    assert all(len({row_of[space.to_code(one)] for one in group}) == 1 for group in classes())


def test_what_the_table_says_of_the_space(benchmark: Path) -> None:
    """METHODS, section 25: from the mean of both seeds, in percent."""
    _, found = columns_of(benchmark)
    mean, macs = found[:, :2].mean(axis=1), found[:, 3]
    best = int(mean.argmax())
    assert (mean[best], macs[best] / 1e6) == (pytest.approx(93.31, abs=0.0051), pytest.approx(85.2, abs=0.05))
    limits = {20: 81.31, 30: 89.52, 40: 91.55, 50: 92.15, 60: 92.62, 80: 93.12}
    for limit, expected in limits.items():
        assert mean[macs <= limit * 1e6].max() == pytest.approx(expected, abs=0.0051)
    assert round(tau(found[:, 0], found[:, 1]), 3) == 0.882
    assert round(tau(mean, macs), 3) == 0.554
    for number, expected in ((10, 92.44), (25, 92.67), (50, 92.79), (100, 92.89), (200, 92.97)):
        assert best_of(mean, number) == pytest.approx(expected, abs=0.01)


def tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b."""
    both = ties_x = ties_y = 0
    for place in range(len(x) - 1):
        one, other = np.sign(x[place + 1 :] - x[place]), np.sign(y[place + 1 :] - y[place])
        both += int(one @ other)
        ties_x, ties_y = ties_x + int((one != 0).sum()), ties_y + int((other != 0).sum())
    return float(both / np.sqrt(float(ties_x) * float(ties_y)))


def best_of(values: np.ndarray, number: int) -> float:
    """The expected largest of so many draws with replacement."""
    ranked = np.sort(values)
    chances = (np.arange(len(ranked) + 1) / len(ranked)) ** number
    return float(ranked @ np.diff(chances))
