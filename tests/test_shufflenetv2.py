"""The networks of SPOS against numbers of the authors' code, exact counts, slices, notations, and what is refused."""

import json
import re
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard import formats
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.networks import shufflenetv2 as networks
from dartboard.networks.elastic_layers import SlicedNorm
from dartboard.networks.shufflenetv2_layers import middle
from dartboard.runs.run import Run
from dartboard.scoring.cost import count
from dartboard.scoring.evaluate import recalibrate
from dartboard.scoring.limits import fits, limits_from
from dartboard.spaces import SPACES
from dartboard.spaces import shufflenetv2 as space
from dartboard.spaces.search_space import Architecture
from dartboard.testing import tiny

BEST = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)  # in the authors' README
TOLERANCE = {"rtol": 0, "atol": 1e-8}

# --- The authors' code -----------------------------------------------------------------------------------------------


@cache
def golden(folder: Path) -> dict[str, Any]:
    with np.load(folder / "reference" / "spos_supernet.npz") as found:
        numbers = {name: torch.from_numpy(found[name]) for name in found.files if found[name].dtype.kind in "fi"}
        return {**numbers, **json.loads(str(found["config"]))}


def theirs(name: str) -> str:
    """The authors' name of a tensor of the supernet."""
    name = re.sub(r"^stem\.", "first_conv.", name)
    name = re.sub(r"^last\.", "conv_last.", name).replace("classifier.", "classifier.0.")
    for number, operation in enumerate(space.OPERATIONS):
        name = name.replace(f".{operation}.", f".{number}.")
    return name.replace("cells.", "features.").replace(".main.", ".branch_main.").replace(".proj.", ".branch_proj.")


def path(numbers: list[int]) -> Architecture:
    """A chain of as many blocks as the golden file's, which is none of the published lengths."""
    return Architecture("shufflenetv2", tuple((f"block.{n}", space.OPERATIONS[i]) for n, i in enumerate(numbers, 1)))


def authors(found: dict[str, Any]) -> networks.Supernet:
    """The supernet of the golden file, with its weights."""
    layout = space.Layout((2, 2, 2, 2), (2, 3, 4, 5), head=8, stem_stride=2)
    mixed = space.mixed(space.space("eight blocks", "made up", 8))
    with tiny.seeded():
        net = networks.Supernet(operations=mixed, channels=8, layout=layout).double()
    own = net.state_dict()
    state = {name: found.get(f"state/{theirs(name)}", tensor) for name, tensor in own.items()}
    assert sum(name.startswith("state/") for name in found) == sum("num_batches" not in name for name in own)
    net.load_state_dict(state)
    return net


@pytest.mark.parametrize("number", range(3))
def test_the_supernet_computes_what_the_authors_code_does(reference: Path, number: int) -> None:
    found = golden(reference)
    net, chosen = authors(found), path(found["paths"][number])
    assert torch.allclose(net.eval()(found["x"], chosen), found[f"logits_eval_{number}"], **TOLERANCE)
    assert torch.allclose(net.train()(found["x"], chosen), found[f"logits_train_{number}"], **TOLERANCE)


def test_loss_gradients_and_statistics_are_the_authors_and_unused_tensors_have_no_gradient(reference: Path) -> None:
    found = golden(reference)
    net = authors(found).train()
    logits = net(found["x"], path(found["paths"][found["grad_path"]]))
    loss = F.cross_entropy(logits, found["y"], label_smoothing=found["label_smoothing"])
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(loss, found["loss"], **TOLERANCE)
    named = {theirs(name): parameter.grad for name, parameter in net.named_parameters()}
    assert {name for name, gradient in named.items() if gradient is None} == set(found["grad_none"])
    gradients = {name.removeprefix("grad/"): one for name, one in found.items() if name.startswith("grad/")}
    assert len(gradients) > 30
    for name, gradient in gradients.items():
        assert torch.allclose(named[name], gradient, **TOLERANCE), name  # type: ignore[arg-type]
    after = {theirs(name): buffer for name, buffer in net.named_buffers()}
    for name in (name for name in found if name.startswith("bn_after_train/")):
        assert torch.allclose(after[name.removeprefix("bn_after_train/")], found[name], **TOLERANCE), name


def test_statistics_that_are_collected_again_are_the_authors(reference: Path) -> None:
    """They reset the statistics to (0, 1) and keep a part of that; `recalibrate` takes the plain mean, so not it."""
    found = golden(reference)
    net, chosen, x = authors(found).train(), path(found["paths"][1]), found["x"]
    for norm in (part for part in net.modules() if isinstance(part, SlicedNorm)):
        norm.reset_running_stats()
    with torch.no_grad():
        for batch in (x[:4], x[1:], x[:3]):
            net(batch, chosen)
        assert torch.allclose(net.eval()(x, chosen), found["logits_eval_recalibrated_1"], **TOLERANCE)


# --- Counts ----------------------------------------------------------------------------------------------------------


def test_the_published_counts_are_exact() -> None:
    cost = count(space.from_numbers(BEST))
    assert (cost.params, cost.macs) == (3_558_464, 322_918_720)
    assert count(space.from_numbers([0] * 20)).params == 3_154_880
    with torch.device("meta"):
        assert sum(one.numel() for one in networks.Supernet(num_classes=1000).parameters()) == 8_388_176


def test_counts_of_the_authors_code_are_exact(reference: Path) -> None:
    record = json.loads((reference / "reference" / "spos_counts.json").read_text())
    assert len(record["paths"]) == 12
    for one in record["paths"]:
        architecture = space.from_numbers(one["path"])
        cost = count(architecture)
        assert (cost.params, cost.macs) == (one["params"], one["macs"]), one["name"]
        with torch.device("meta"):
            own = networks.Network(architecture, num_classes=1000, form="search")
        assert sum(weight.numel() for weight in own.parameters()) == one["params_no_bn"]


KERNELS = {"shuffle_3x3": 9, "shuffle_5x5": 25, "shuffle_7x7": 49, "xception": 9}


def block_macs(operation: str, own: int, channels: int, given: int, pixels: tuple[int, int]) -> int:
    """Closed form: multiply-adds of a main branch. pixels: of its map before and after the stride."""
    before, after = pixels
    if operation == "xception":
        depthwise = 9 * (own + 2 * channels) * after
        return depthwise + (own * channels + channels**2 + channels * given) * after
    return own * channels * before + KERNELS[operation] * channels * after + channels * given * after


def chain_macs(architecture: Architecture, channels: int, classes: int, side: int) -> tuple[int, int]:
    """Multiply-adds and bit operations of a chain of six blocks, from its formula."""
    layout = space.LAYOUTS[6]
    around, blocks, before, pixels = 3 * 9 * channels * side**2, 0, channels, side**2
    bitops = 0
    for (wide, stride), (operation, factor, bits) in zip(layout.blocks, space.chosen(architecture), strict=True):
        width, own = wide * channels, before if stride == 2 else before // 2
        after = pixels // stride**2
        macs = block_macs(operation, own, middle(width // 2, factor), width - own, (pixels, after))
        macs += (KERNELS[operation] * own * after + own * own * after) if stride == 2 else 0
        blocks, bitops, before, pixels = blocks + macs, bitops + macs * bits[0] * bits[1], width, after
    around += before * layout.head * channels * pixels + layout.head * channels * classes
    return around + blocks, around * 32 * 32 + bitops


@pytest.mark.parametrize("name", ["shufflenetv2-8", "shufflenetv2-8-channels", "shufflenetv2-8-bits"])
def test_multiply_adds_and_bit_operations_have_a_closed_form(name: str) -> None:
    for seed in range(5):
        architecture = SPACES[name].sample(Random(seed))
        cost = count(architecture, channels=4, num_classes=7, image_size=8)
        assert (cost.macs, cost.bitops) == chain_macs(architecture, 4, 7, 8)
    assert "bitops" in cost.numbers or not name.endswith("bits")


# --- Slices ----------------------------------------------------------------------------------------------------------


def elastic(name: str = "shufflenetv2-8-channels") -> networks.Supernet:
    net = tiny.supernet(SPACES[name], num_classes=3).double()
    assert isinstance(net, networks.Supernet)
    return net


def images(number: int = 4) -> Tensor:
    return torch.randn(number, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_recalibrated_slice_is_the_recalibrated_network_and_leaves_what_it_does_not_use() -> None:
    net, x = elastic(), images()
    architecture = SPACES["shufflenetv2-8-channels"].sample(Random(1))
    with tiny.seeded():
        network = networks.inherit(net, architecture)
    recalibrate(network, network, (x, x[:3]))
    recalibrate(net, lambda batch: net(batch, architecture), (x, x[:3]))
    assert torch.allclose(net.eval()(x, architecture), network.eval()(x), rtol=0, atol=1e-12)
    norm = next(part for part in net.modules() if isinstance(part, SlicedNorm))
    assert norm.running_mean is not None and norm.running_mean.abs().min() > 0


def test_a_norm_of_the_first_channels_is_torchs_of_these_channels() -> None:
    norm, theirs, x = SlicedNorm(6).double(), torch.nn.BatchNorm2d(4).double(), images()[:, :1].repeat(1, 4, 1, 1)
    for momentum in (0.1, None):
        norm.momentum = theirs.momentum = momentum
        norm.reset_running_stats(), theirs.reset_running_stats()
        for scale in (1.0, 3.0):
            assert torch.allclose(norm.train()(scale * x), theirs.train()(scale * x), rtol=0, atol=1e-12)
        assert norm.running_var is not None and theirs.running_var is not None
        assert torch.allclose(norm.running_var[:4], theirs.running_var, rtol=0, atol=1e-12)
        assert torch.equal(norm.running_var[4:], torch.ones(2).double())
        assert torch.allclose(norm.eval()(x), theirs.eval()(x), rtol=0, atol=1e-12)


def test_slices_share_their_first_channels_and_the_others_get_no_gradient() -> None:
    net = elastic()
    narrow = space.from_numbers([0] * 6, [0.4] * 6)
    net(images(), narrow).sum().backward()  # type: ignore[no-untyped-call]
    block = net.cells[1]["shuffle_3x3"].main
    used = middle(net.middles[1], 0.4)
    gradient = block[0].weight.grad
    assert gradient is not None and gradient[:used].abs().sum() > 0 and len(gradient) > used
    assert torch.equal(gradient[used:], torch.zeros_like(gradient[used:]))
    assert all(weight.grad is None for weight in net.cells[1]["xception"].parameters())


def test_the_middle_of_a_block_is_rounded_to_the_nearest_number_of_channels() -> None:
    assert [middle(32, factor) for factor in space.FACTORS] == [6, 13, 19, 26, 32, 38, 45, 51]
    assert middle(2, 0.2) == 1


# --- Notations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [str(BEST), str(list(BEST)), " ".join(map(str, BEST)), "".join(map(str, BEST)), f"  {BEST},\n"]
)
def test_the_authors_list_is_read_in_its_forms(text: str) -> None:
    assert formats.read(text) == (space.from_numbers(BEST), "spos")


def test_a_list_is_written_as_the_authors_do_and_factors_and_bits_beside_it() -> None:
    assert formats.write(space.from_numbers(BEST), "spos") == str(list(BEST))
    both = space.from_numbers([0, 1, 2, 3, 0, 1], [0.2, 1, 1.6, 0.4, 0.8, 1.2], [(1, 2)] * 5 + [space.FLOAT])
    text = formats.write(both, "spos")
    assert text.startswith('{"blocks": [0, 1, 2, 3, 0, 1], "factors": [0.2, 1.0, ') and formats.read(text) == (
        both,
        "spos",
    )
    assert formats.read(str(both)) == (both, "json")


WRONG = {
    str([*BEST[:6], 4, *BEST[7:]]): "block 7 is 4; give 0 shuffle_3x3, 1 shuffle_5x5",
    "".join(map(str, BEST[:-1])) + "9": "block 20 is 9",
    str(BEST[:19]): "19 integers are no arc: .* a list of SPOS in brackets 20, 12 or 6",
    str(list(BEST))[:40]: "integers are no arc",
    "[0, 1, 2, 3, 0]": "5 integers are no arc: .* a list of SPOS in brackets 20, 12 or 6",
    '{"blocks": [0, 1, 2, 3, 0, 1], "factors": [0.2]}': "1 factors for 6 blocks; give one for each",
    '{"blocks": [0, 1, 2, 3, 0, 1], "bits": [[1, 2], [1, 2], [1, 2], [9, 9], [1, 2], [1, 2]]}': r"block.4.bits is",
    '{"blocks": 3, "factors": [0.2]}': "'blocks' is 3; give lists called blocks, factors, bits",
    '{"space": "shufflenetv2", "choices": {"block.1": "shuffle_3x3"}}': "a chain of 1 blocks; give 20, 12 or 6",
    json.dumps({"space": "shufflenetv2", "choices": {f"block.{n}": "conv" for n in range(1, 7)}}): "block.1: .*'conv'",
    json.dumps({"space": "shufflenetv2", "choices": {f"block.{n}": "xception" for n in range(2, 8)}}): "block.7",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_no_such_architecture_is_refused_with_its_block(text: str) -> None:
    with pytest.raises(InputError, match=WRONG[text]):
        formats.read(text)


# --- Commands --------------------------------------------------------------------------------------------------------


def test_show_counts_at_the_published_size_of_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for numbers, size in ((BEST, (3_558_464, 224, 1000)), (BEST[:12], (None, 32, 10)), (BEST[:6], (None, 8, 10))):
        file = tmp_path / "path.txt"
        file.write_text(str(list(numbers)))
        assert main(["show", str(file), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["notation"] == "spos" and size[0] in (None, told["params"])
        assert (told["image_size"], told["classes"], told["cells"]) == (*size[1:], len(numbers))


SMALL_SEARCH = ["--max-images", "64", "--batch-size", "16", "--channels", "2", "--epochs", "1", "--data", "digits"]


@pytest.mark.parametrize(
    "words",
    [
        ["search", "spos", "--space", "shufflenetv2", *SMALL_SEARCH],
        ["search", "random_search", "--space", "shufflenetv2", "--trials", "1", *SMALL_SEARCH],
        ["train", str(list(BEST)), *SMALL_SEARCH],
    ],
)
def test_images_smaller_than_the_stride_are_refused_before_a_folder_is_made(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "a network of 20 blocks divides an image's side by 32, and these have 8 pixels; give larger images" in said
    assert said.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_path_outside_of_the_supernet_is_refused() -> None:
    net = elastic("shufflenetv2-8-bits")
    with pytest.raises(InputError, match=r"the supernet has no shuffle_3x3 x1\.6 in block 1"):
        networks.inherit(net, space.from_numbers([0] * 6, [1.6] * 6))
    plain = elastic("shufflenetv2-8")
    with pytest.raises(InputError, match="the supernet has no shuffle_3x3 2/4 bits in block 1"):
        networks.inherit(plain, space.from_numbers([0] * 6, bits=[(2, 4)] * 6))


# --- SPOS on it -------------------------------------------------------------------------------------------------------

EVOLUTION = ["--population", "3", "--generations", "2", "--mutations", "1", "--crossovers", "1", "--recalibrate", "16"]
TINY = ["--data", "digits", "--max-images", "64", "--batch-size", "16", "--epochs", "1", "--channels", "2"]


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("shufflenetv2-8-channels", "macs<=46k,params<=8500,bitops<=46M"),
        pytest.param("shufflenetv2-8-bits", "macs<=49k,bitops<=12.9M", marks=pytest.mark.slow),
    ],
)
def test_spos_searches_in_a_band_and_under_several_limits(
    name: str, limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, limits = tmp_path / "run", limits_from(limit)
    words = ["search", "spos", "--space", name, *TINY, *EVOLUTION, "--limit", limit, "--band", "30k-60k"]
    assert main([*words, "--out", str(run)]) == 0, capsys.readouterr().err
    lines = [line for line in Run.open(run).metrics() if line["event"] in ("trial", "random", "result")]
    assert len(lines) == 13
    counted = partial(count, channels=2, num_classes=10, image_size=8)
    for line in lines[:-1]:
        architecture = formats.read(line["architecture"])[0]
        cost = counted(architecture)
        assert fits(cost, limits) and cost.numbers.items() <= line.items()
    assert ("bitops" in lines[-1]) == name.endswith("bits")
    drawn = [count(SPACES[name].sample(Random(seed)), channels=2, image_size=8) for seed in range(30)]
    for one in limits:
        assert not all(fits(cost, [one]) for cost in drawn), f"{one} keeps nothing out"


def test_what_spos_finds_is_trained_exported_and_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = space.from_numbers([0, 3, 1, 2, 3, 0], [0.2, 1.6, 0.6, 1.0, 1.2, 0.4], [*space.BITS])
    Path("found.json").write_text(str(found))
    assert main(["train", "found.json", *TINY, "--out", "trained"]) == 0, capsys.readouterr().err
    assert main(["export", "trained", "--to", "torch", "--out", "weights"]) == 0
    told = []
    for origin in ("trained", "weights"):
        capsys.readouterr()
        assert main(["evaluate", origin, "--data", "digits", "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0]["test_accuracy"] == told[1]["test_accuracy"] and 0 < told[0]["test_accuracy"] < 1
    assert main(["show", "trained", "--image", "chain.svg"]) == 0
    said = capsys.readouterr().out
    assert "xception x1.6 2/2 bits" in said and "bit operations" in said
    assert "xception" in Path("chain.svg").read_text()
