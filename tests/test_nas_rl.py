"""NAS with RL, the space: networks of any depth and anchors, beside one written by hand; counts; text; wrong input."""

import json
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dartboard import formats
from dartboard.cli import main
from dartboard.networks import nas_rl as networks
from dartboard.scoring.cost import count
from dartboard.spaces import nas_rl as space
from dartboard.spaces.nas_rl import Layer
from dartboard.spaces.search_space import Architecture
from dartboard.testing import tiny

STRIDED = space.architecture(
    [
        Layer(3, 5, 36, 2, ()),
        Layer(1, 1, 24, 3, ()),
        Layer(7, 3, 48, 1, (1, 2)),
        Layer(1, 1, 64, 2, ()),
        Layer(5, 1, 24, 1, (1, 3)),
    ]
)


def made(architecture: Architecture, **sizes: int) -> networks.Network:
    with tiny.seeded():
        return networks.Network(architecture, **sizes)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@st.composite
def any_network(draw: st.DrawFn) -> Architecture:
    """Of any depth of the space, any filters, strides and anchors; each pair of layers is as likely joined as not."""
    strided = draw(st.booleans())
    whole = space.SPACE_STRIDES if strided else space.SPACE
    part = space.at_depth(whole, draw(st.integers(6, 39)))
    return part.sample(Random(draw(st.integers(0, 2**32))))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(any_network())
def test_networks_of_depth_6_to_39_build_and_run_for_any_anchors(architecture: Architecture) -> None:
    net = made(architecture, channels=1, num_classes=3, in_channels=1)
    assert net.eval()(torch.zeros(1, 1, 5, 4)).shape == (1, 3)


@pytest.mark.parametrize("bits", [0, 1])
@pytest.mark.parametrize("depth", [6, 39])
def test_networks_without_any_connection_and_with_all_build_and_learn(depth: int, bits: int) -> None:
    layers = [Layer(3, 3, 24, None, tuple(range(1, number)) if bits else ()) for number in range(1, depth + 1)]
    net = made(space.architecture(layers), channels=1, in_channels=1)
    net(drawn(2, 1, 3, 3)).sum().backward()
    assert len(net.loose) == (1 if bits else depth)
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in net.parameters())


# --- Beside a network that is written by hand -------------------------------------------------------------------------


def by_hand(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """STRIDED, map by map: sides of 10 become 5, 4, 5, 5, 5."""

    def layer(number: int, given: Tensor, stride: int, padding: tuple[int, int]) -> Tensor:
        name = f"cells.{number - 1}"
        found = F.conv2d(given, w[f"{name}.conv.weight"], None, stride, padding)
        mean, var = found.mean((0, 2, 3), keepdim=True), found.var((0, 2, 3), unbiased=False, keepdim=True)
        scale, shift = (w[f"{name}.norm.{part}"][None, :, None, None] for part in ("weight", "bias"))
        return F.relu((found - mean) / (var + 1e-5).sqrt() * scale + shift)

    def grown(given: Tensor, side: int) -> Tensor:
        out = given.new_zeros(*given.shape[:2], side, side)
        out[:, :, : given.shape[2], : given.shape[3]] = given
        return out

    one = layer(1, x, 2, (1, 2))
    two = layer(2, x, 3, (0, 0))
    assert (one.shape[-1], two.shape[-1]) == (5, 4)
    three = layer(3, torch.cat([one, grown(two, 5)], 1), 1, (3, 1))
    four = layer(4, x, 2, (0, 0))
    five = layer(5, torch.cat([one, three], 1), 1, (2, 0))
    final = torch.cat([four, five], 1)  # what no layer takes
    return final.mean((2, 3)) @ w["classifier.weight"].T + w["classifier.bias"]


def test_sizes_are_padded_and_dangling_outputs_are_joined_as_in_a_network_written_by_hand() -> None:
    net, x = made(STRIDED, channels=4).double(), drawn(3, 3, 10, 10).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * drawn(*weight.shape).double())
    torch.testing.assert_close(net(x), by_hand(x, dict(net.named_parameters())), rtol=1e-10, atol=1e-12)
    assert net.loose == space.dangling(space.layers_of(STRIDED)) == [4, 5]


def test_maps_of_other_sizes_get_zeros_on_the_right_and_below() -> None:
    one, other = torch.ones(1, 1, 2, 3), torch.full((1, 2, 3, 1), 2.0)
    found = networks.joined([one, other])
    assert found.shape == (1, 3, 3, 3)
    assert found[0, 0].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert found[0, 1].tolist() == [[2, 0, 0]] * 3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels", [24, 6])
def test_the_parameters_are_those_of_the_closed_form(seed: int, channels: int) -> None:
    """A layer of n filters: height * width * inputs * n weights, and scale and shift of n; the classifier."""
    architecture = space.SPACE.sample(Random(seed))
    values, depth = dict(architecture.choices), architecture["depth"]
    n = [3, *(values[f"layer.{i}.filters"] * channels // 24 for i in range(1, depth + 1))]
    taken, total = set(), 0
    for i in range(1, depth + 1):
        own = [j for j in range(1, i) if values[f"layer.{i}.skip.{j}"]]
        taken |= {*own}
        total += (
            values[f"layer.{i}.height"] * values[f"layer.{i}.width"] * sum(n[j] for j in own or [0]) * n[i] + 2 * n[i]
        )
    total += 10 * (sum(n[i] for i in range(1, depth + 1) if i not in taken) + 1)
    assert count(architecture, channels=channels, image_size=4).params == total


def test_a_layer_of_stride_1_does_the_multiply_adds_of_its_filter_at_every_pixel() -> None:
    layers = [Layer(3, 5, 24, None, ()), Layer(1, 7, 36, None, (1,)), Layer(1, 1, 48, None, ())]
    pixels = 3 * 5 * 3 * 24 + 1 * 7 * 24 * 36 + 3 * 48
    assert count(space.architecture(layers), image_size=8).macs == 64 * pixels + (36 + 48) * 10


# --- Text, pictures, wrong input --------------------------------------------------------------------------------------

TEXT = "3x5x36/2 1x1x24/3 7x3x48/1:1,2 1x1x64/2 5x1x24/1:1,3 out"


def test_the_text_is_read_and_written() -> None:
    assert formats.write(STRIDED, "nas_rl") == TEXT
    assert formats.read(TEXT) == (STRIDED, "nas_rl") == formats.read(TEXT.replace(" ", "\n"))
    assert formats.read(str(STRIDED)) == (STRIDED, "json")


def test_the_picture_has_every_layer_its_inputs_and_what_is_joined() -> None:
    (one,) = space.graphs(STRIDED)
    assert one.edges == (
        ("image", "1_{36}", "conv_3x5_stride_2"),
        ("image", "2_{24}", "conv_1x1_stride_3"),
        ("2_{24}", "3_{48}", "conv_7x3"),
        ("image", "4_{64}", "conv_1x1_stride_2"),
        ("3_{48}", "5_{24}", "conv_5x1"),
    )
    assert one.passed == (("1_{36}", "3_{48}"), ("1_{36}", "5_{24}")) and one.joined == ("4_{64}", "5_{24}")
    assert space.num_skips(STRIDED) == 3  # from 1 to 3, from 1 to 5, from 3 to 5
    (largest,) = space.graphs(space.SPACE.largest())
    assert largest.passed == () and "703 more inputs, too many to be drawn" in largest.caption


SIX = " ".join([*["3x3x24"] * 6, "out"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3x3x24 3x3x24:1 3x3x24:3", "layer 3 takes layer 3; it can take layers 1 to 2"),
        ("3x3x24 3x3x24:5 3x3x24:2", "layer 2 takes layer 5; it can take layers 1 to 1"),
        ("3x3x24:1 3x3x24 3x3x24", "layer 1 takes layer 1; it can take only the image"),
        ("3x3x24 3x3x24 3x3x24:2,1", "layer 3 takes layers (2, 1); give each once, in order"),
        ("3x3x24 2x3x24 3x3x24", "layer 2 has the height 2; give 1, 3, 5, 7"),
        ("3x3x24 3x3x25 3x3x24", "layer 2 has the filters 25; give 24, 36, 48, 64"),
        ("3x3x24/1 3x3x24/4 3x3x24/1", "layer 2 has the stride 4; give 1, 2, 3"),
        ("3x3x24/1 3x3x24 3x3x24/1", "layer 2 has the stride None; give 1, 2, 3, as the first layer has one"),
        ("3x3x24 3x3x24/2 3x3x24", "layer 2 has the stride 2; the first layer has none"),
        ("3x3x24 3x3x24", "a network of 2 layers; give 3 to 39"),
        (" ".join(["3x3x24"] * 40), "a network of 40 layers; give 3 to 39"),
        ("3x3x24 3x3x24: 3x3x24", "layer 2 is '3x3x24:'; give it as 3x5x36 or 3x5x36:1,2"),
    ],
)
def test_a_wrong_text_is_one_line_that_names_the_layer(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", f"{text} out"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"depth": 40}, "the depth is 40; give 3 to 39"),
        ({"depth": "6"}, "the depth is '6'; give 3 to 39"),
        ({"depth": 7}, "the choice 'layer.7.height' is missing; a network of depth 7 has"),
        ({"layer.2.skip.2": 1}, "unknown choice of a network of depth 6 'layer.2.skip.2'"),
        ({"layer.3.skip.1": 2}, "layer.3.skip.1 is 2; give 1 if that layer is an input, otherwise 0"),
        ({"layer.3.width": True}, "layer 3 has the width True; give 1, 3, 5, 7"),
    ],
)
def test_wrong_choices_are_one_line(change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = space.from_text(SIX).to_json()
    assert main(["show", json.dumps({**record, "choices": {**record["choices"], **change}})]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_the_layers_follow_from_the_architecture_and_another_number_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["train", SIX, "--data", "digits", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main([*words, "--cells", "5"]) == 2
    assert "this architecture has 6 layers; give --cells 6" in capsys.readouterr().err
    words = ["search", "random_search", "--data", "digits", "--trials", "2", "--out", str(tmp_path / "run")]
    for own, most in (("nas_rl", 39), ("nas_rl-12", 12)):
        assert main([*words, "--space", own, "--cells", "9"]) == 2
        said = f"--cells 9: networks of {own} have up to {most} layers; give --cells {most}"
        assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*words, "--space", "nas_rl", "--print-config"]) == 0
    assert "cells = 39" in capsys.readouterr().out


def test_spaces_that_no_float_can_count_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "spaces"]) == 0
    said = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()}
    assert said["nas_rl"] == "3.19e+293" and said["nas_rl-strides"] == "1.29e+312"
    assert said["nasbench201"] == "1.56e+04"
