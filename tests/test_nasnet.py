"""NASNet: the exact count of NASNet-A, its cells as they are published, states and widths, wrong input, searches."""

import json
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dartboard import formats, networks
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.networks import blocks
from dartboard.networks import nasnet as nasnet_networks
from dartboard.networks import nasnet_layers as layers
from dartboard.scoring.cost import count, count_path, count_supernet
from dartboard.spaces import SPACES
from dartboard.spaces import nasnet as space
from dartboard.spaces.search_space import Architecture

pytestmark = pytest.mark.usefixtures("global_rng")
NASNET_A = formats.published()["NASNet_A"].architecture
SMALL = ["--data", "digits", "--max-images", "64", "--threads", "1"]
TINY = ["--channels", "2", "--cells", "3", "--epochs", "1", "--batch-size", "16", "--no-auxiliary"]


def simple(*blocks: space.Block) -> Architecture:
    """Both cells of the same blocks."""
    return space.architecture(dict.fromkeys(space.CELLS, blocks))


def made(architecture: Architecture, **sizes: int) -> nasnet_networks.Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nasnet_networks.Network(architecture, auxiliary=False, **sizes)


# --- NASNet-A --------------------------------------------------------------------------------------------------------


def separable(before: int, f: int, kernel: int) -> int:
    """Parameters of two rounds of depthwise, pointwise, BatchNorm."""
    return kernel**2 * before + before * f + 2 * f + kernel**2 * f + f * f + 2 * f


def one_by_one(before: int, f: int) -> int:
    """Parameters of a 1x1 convolution, or a factorized reduction, with BatchNorm."""
    return before * f + 2 * f


def normal_cell(f: int, newest: int, older: int | None) -> int:
    """Parameters of NASNet-A's normal cell. older: channels of the map before the last, None in the first cell."""
    one = newest if older is None else f  # channels of state 1
    found = one_by_one(newest, f) + (one_by_one(older, f) if older not in (None, f) else 0)
    found += separable(f, f, 5) + separable(one, f, 3)
    found += separable(one, f, 5) + separable(one, f, 3)
    found += separable(f, f, 3)
    # the identity of state 1 in block 3, both pools of it in block 4, its way to the output: 1x1 where it is wider
    return found + (3 + 1) * (one_by_one(one, f) if one != f else 0)


def reduction_cell(f: int, newest: int, older: int) -> int:
    """Parameters of NASNet-A's reduction cell."""
    found = one_by_one(newest, f) + one_by_one(older, f)
    return found + 2 * separable(f, f, 5) + 2 * separable(f, f, 7) + separable(f, f, 3)


def test_nasnet_a_has_the_published_number_of_parameters_cell_by_cell() -> None:
    found, f, older, newest = 27 * 96 + 2 * 96, 32, None, 96
    by_cell = []
    for place in range(20):
        if place in (6, 13):
            f *= 2
            assert older is not None
            by_cell.append(reduction_cell(f, newest, older))
            older, newest = newest, 4 * f
        else:
            by_cell.append(normal_cell(f, newest, older))
            older, newest = newest, 6 * f
    assert newest == 768
    with torch.device("meta"):
        net = nasnet_networks.Network(NASNET_A, auxiliary=False)
    assert [sum(one.numel() for one in cell.parameters()) for cell in net.cells] == by_cell
    assert found + sum(by_cell) + 768 * 10 + 10 == count(NASNET_A).params == 3_346_538


def test_nasnet_a_is_the_cell_that_the_darts_authors_wrote_down_and_what_it_joins() -> None:
    names = {"identity": "skip_connect"}
    theirs = dict(formats.published()["NASNet"].architecture.choices)
    for kind in space.CELLS:
        for node, (first, second, one, other, combine) in enumerate(space.blocks(NASNET_A, kind), 2):
            pairs = [(names.get(op, op), {0: 1, 1: 0}.get(at, at)) for op, at in ((one, first), (other, second))]
            assert tuple(pairs) == theirs[f"{kind}.{node}"] and combine == "add"
    assert [space.joined(NASNET_A, kind) for kind in space.CELLS] == [[1, 2, 3, 4, 5, 6], [3, 4, 5, 6]]
    assert [space.loose_ends(space.blocks(NASNET_A, kind)) for kind in space.CELLS] == [[2, 3, 4, 5, 6], [4, 5, 6]]
    assert formats.read(formats.write(NASNET_A, "nasnet")) == (NASNET_A, "nasnet")
    assert formats.read(str(NASNET_A)) == (NASNET_A, "json")


# --- Its network -----------------------------------------------------------------------------------------------------


def test_a_cell_computes_what_is_written_by_hand() -> None:
    block = (0, 1, "identity", "max_pool_3x3", "concat")
    cell = made(simple(block, (2, 2, "identity", "identity", "add")), channels=2, cells=5).cells[0].eval()
    older = newest = torch.randn(2, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    zero = F.batch_norm(F.conv2d(newest.relu(), cell.base[1].weight), torch.zeros(2), torch.ones(2))
    pool, conv, _ = cell.ops[1]
    pooled = F.conv2d(F.max_pool2d(older, 3, 1, 1), conv.weight) / (1 + 1e-5) ** 0.5
    two = torch.cat([zero, pooled], dim=1)
    three = sum(F.conv2d(two.relu(), cell.ops[number][1].conv.weight) / (1 + 1e-5) ** 0.5 for number in (2, 3))
    assert isinstance(cell.ops[0], nn.Identity) and isinstance(pool, layers.MaxPool)
    torch.testing.assert_close(cell(older, newest), three)


def test_pools_and_identities_have_weights_only_where_the_widths_differ_or_an_identity_halves() -> None:
    sizes = ((2, 2, 1), (2, 2, 2), (8, 2, 1), (8, 2, 2))
    for name in ("identity", "avg_pool_3x3", "max_pool_3x3", "max_pool_5x5", "max_pool_7x7"):
        weights = [sum(one.numel() for one in layers.operation(name, *at).parameters()) for at in sizes]
        assert weights == [0, 8 if name == "identity" else 0, 20, 20]


@pytest.mark.parametrize("name", space.OPERATIONS)
@pytest.mark.parametrize("side", [7, 8])
def test_an_operation_at_stride_2_halves_as_tensorflow_does(name: str, side: int) -> None:
    x = torch.zeros(1, 2, side, side)
    assert layers.operation(name, 2, 4, 2)(x).shape == (1, 4, -(-side // 2), -(-side // 2))
    assert layers.operation(name, 2, 4)(x).shape == (1, 4, side, side)


def test_a_separable_convolution_has_no_relu_between_depthwise_and_pointwise() -> None:
    kinds = [type(part).__name__ for part in layers.operation("sep_conv_5x5", 2, 2)]
    assert kinds == 2 * ["ReLU", "Depthwise", "Conv2d", "BatchNorm2d"]


def test_joined_states_of_another_width_or_size_are_brought_to_the_cells_without_a_relu() -> None:
    cell_blocks = [(0, 0, "identity", "identity", "concat")]  # joins state 1, and state 2 of twice the width
    normal, reduction = (made(simple(*cell_blocks), channels=2, cells=5).cells[place] for place in (0, 1))
    assert normal.fit.keys() == reduction.fit.keys() == {"1", "2"}
    assert [type(part) for part in normal.fit["1"]] == [nn.Conv2d, nn.BatchNorm2d]
    assert isinstance(reduction.fit["1"], layers.FactorizedReduce) and not reduction.fit["1"].relu


def test_drawn_networks_of_any_size_of_map_run_and_have_a_head_where_the_map_is_large_enough() -> None:
    for seed, side in enumerate((7, 8, 16, 28)):
        architecture = space.SPACE.sample(Random(seed))
        with torch.random.fork_rng():
            net = nasnet_networks.Network(architecture, channels=2, cells=4, image_size=side)
            output = net.output(torch.zeros(2, 3, side, side))
        assert output.logits.shape == (2, 10)
        assert (net.auxiliary_head is None) == (output.auxiliary is None) == (side < 9)


def test_drop_path_drops_every_operation_but_identities_more_often_in_deeper_cells() -> None:
    net, x = made(NASNET_A, channels=2, cells=4), torch.zeros(4000, 1)
    shares = (blocks.drawn(net, x, 0.4, torch.Generator().manual_seed(0)) == 0).flatten(1).double().mean(1)
    numbers = [8 if kind == "normal" else 9 for kind in ("reduce", "reduce", "normal", "normal")]
    wanted = [round(0.1 * place, 1) for place, number in enumerate(numbers, 1) for _ in range(number)]
    assert [round(float(share), 1) for share in shares] == wanted
    assert blocks.drawn(net, x, 0.0, None) is None


# --- Wrong input -----------------------------------------------------------------------------------------------------

ARC = "0 11 1 10 0 1 11 1 10 0 0 4 1 0 0 1 4 1 4 0 0 10 0 0 0 0 11 1 12 0 0 5 1 12 0 0 4 1 11 0 3 0 2 4 0 2 10 0 5 0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ARC[:-2], "49 integers are no arc"),
        ("2" + ARC[1:], "block 1 of the normal cell takes state 2; it can take 0 to 1"),
        (ARC.replace("12", "13", 1), "block 1 of the reduction cell has the operation 13; operations are 0 to 12"),
        (ARC[:-1] + "2", "block 5 of the reduction cell has the combiner 2; combiners are 0 to 1"),
        (ARC + " 0" * 14, "the normal cell joins []; give states of 0 to 6 in order, with 2, 3, 4, 5, 6"),
        (ARC + " 2" * 14, "the states that the normal cell joins are 0 or 1, not 2"),
    ],
)
def test_wrong_integers_are_one_line_that_names_the_block(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", text]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"normal.2.combine": "multiply"}, "block 1 of the normal cell combines by 'multiply'; known: add, concat"),
        ({"normal.2.operation1": "none"}, "block 1 of the normal cell has the operation 'none'"),
        ({"normal.7.input1": 0}, "the choice 'normal.7.input2' is missing"),
        ({"normal.joined": 3}, "the normal cell joins 3; give states of 0 to 6"),
        ({"depth": 3}, "unknown choice 'depth'"),
    ],
)
def test_wrong_choices_are_refused(change: dict[str, object], said: str) -> None:
    choices = {**dict(space.from_arc([int(one) for one in ARC.split()]).choices), **change}
    with pytest.raises(InputError, match=said.replace("'", ".")):
        formats.read(json.dumps({"space": "nasnet", "choices": choices}))


def test_what_needs_a_supernet_says_that_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert SPACES["nasnet"].kinds == frozenset()
    for method in ("darts", "spos", "random_search_ws", "enas"):
        assert main(["search", method, "--space", "nasnet", "--data", "digits"]) == 2
        assert "nasnet has none; give" in capsys.readouterr().err
    for counted in (count_supernet, count_path):
        with pytest.raises(InputError, match="the family nasnet has no supernet; train its architectures one by one"):
            counted(space.SPACE, 2, 3, 10, 8)
    assert networks.family_of(nn.Linear(1, 1), "Supernet") is None


# --- In the house ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("random_search", []),
        ("ppo", ["--batch", "1"]),
        pytest.param("regularized_evolution", ["--population", "1", "--sample", "1"], marks=pytest.mark.slow),
        pytest.param("reinforce", [], marks=pytest.mark.slow),
    ],
)
def test_a_search_by_trainings_finds_a_pair_of_cells(method: str, more: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["search", method, "--space", "nasnet", "--trials", "2", *more, *SMALL, *TINY, "--out", str(out)]
    assert main(words) == 0
    found = json.loads((out / "architecture.json").read_text())
    assert found["space"] == "nasnet" and len(found["choices"]) == 50


def test_the_found_cells_are_trained_shown_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["train", ARC, *SMALL, *TINY, "--cutout", "0", "--drop-path", "0.1", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["show", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["genotype"]["space"] == "nasnet"
    assert main(["report", str(out)]) == 0 and (out / "report.html").stat().st_size > 10_000
    capsys.readouterr()
    assert main(["export", str(out), "--to", "nasnet"]) == 0
    assert capsys.readouterr().out.strip() == ARC
