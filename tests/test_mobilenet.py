"""Elastic mobile networks in double against files that the authors' codes made, and exact counts."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard.errors import InputError
from dartboard.formats import mobile
from dartboard.networks import mobilenet as networks
from dartboard.networks import mobilenet_layers
from dartboard.scoring.cost import count
from dartboard.scoring.evaluate import recalibrate
from dartboard.scoring.limits import fits, limits_from
from dartboard.spaces import mobilenet as space
from dartboard.spaces.catalogue import published
from dartboard.spaces.mobilenet_plans import PLANS
from dartboard.spaces.search_space import Architecture
from dartboard.testing import tiny
from mobile_names import bignas_plan, filled, golden, names, ofa_plan

FILES = ("ofa_mbv3_supernet", "bignas_supernet")


def loaded(reference: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor], networks.Supernet]:
    """Config and tensors of a golden file, and its supernet."""
    config, tensors = golden(reference / "reference", name)
    of_ofa = name.startswith("ofa")
    plan = ofa_plan(config) if of_ofa else bignas_plan(config)
    return config, tensors, filled(plan, tensors, of_ofa)


def subnets(config: dict[str, Any], net: networks.Supernet) -> list[Architecture]:
    read = mobile.read_ofa if net.plan.by_block else mobile.read_attentive
    return [read(one, net.plan) for one in config["subnets"]]


def near(found: Tensor, expected: Tensor, tolerance: float = 1e-8) -> bool:
    return bool((found - expected).abs().max() <= tolerance * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize("name", FILES)
def test_logits_in_training_are_those_of_the_authors_code(name: str, reference: Path) -> None:
    config, tensors, net = loaded(reference, name)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    for number, subnet in enumerate(subnets(config, net)):
        net.load_state_dict(state)
        assert near(net.train()(tensors["x"], subnet), tensors[f"logits_train_{number}"])


@pytest.mark.parametrize("name", FILES)
def test_logits_in_evaluation_are_those_of_the_authors_code_also_of_the_network_cut_out(
    name: str, reference: Path
) -> None:
    config, tensors, net = loaded(reference, name)
    kind = "logits_eval" if name.startswith("ofa") else "logits_static_eval"
    for number, subnet in enumerate(subnets(config, net)):
        expected = tensors[f"{kind}_{number}"]
        assert near(net.eval()(tensors["x"], subnet), expected)
        with tiny.seeded():
            network = networks.inherit(net, subnet)
        assert near(network(tensors["x"]), expected)


def test_statistics_are_recalibrated_as_in_attentivenas(reference: Path) -> None:
    """The plain mean over batches of each one's mean and unbiased variance, in the network and in the supernet."""
    config, tensors, net = loaded(reference, "bignas_supernet")
    subnet = subnets(config, net)[config["calib_subnet"]]
    x, expected = tensors["x"], tensors["logits_static_eval_calibrated"]
    with tiny.seeded():
        network = networks.inherit(net, subnet)
    recalibrate(network, network, [x[:4], x[1:]])
    assert near(network.eval()(x), expected)
    recalibrate(net, lambda batch: net(batch, subnet), [x[:4], x[1:]])
    assert near(net.eval()(x, subnet), expected)


def hard_swish(x: Tensor) -> Tensor:
    return x * F.relu6(x + 3) / 6


def hard_sigmoid(x: Tensor) -> Tensor:
    return F.relu6(x + 3) / 6


def test_loss_gradients_and_statistics_of_once_for_all_are_those_of_the_authors_code(
    reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out, since the derivatives of torch's own two functions hold a sixth in single precision."""
    monkeypatch.setitem(mobilenet_layers.ACTIVATIONS, "h_swish", hard_swish)
    monkeypatch.setattr(F, "hardsigmoid", hard_sigmoid)
    config, tensors, net = loaded(reference, FILES[0])
    loss = F.cross_entropy(net.train()(tensors["x"], subnets(config, net)[config["grad_subnet"]]), tensors["y"])
    loss.backward()
    assert near(loss, tensors["loss"])
    check_gradients(net, tensors, "grad", config["grad_none"])
    theirs = dict(names(net, True))
    buffers = {theirs[name]: value for name, value in net.named_buffers() if name in theirs}
    after = {key: value for key, value in tensors.items() if key.startswith("bn_after_train/")}
    assert after
    for key, expected in after.items():
        assert near(buffers[key.removeprefix("bn_after_train/")], expected)


def check_gradients(net: networks.Supernet, tensors: dict[str, Tensor], key: str, none: list[str]) -> None:
    """Every gradient is the file's, and there is none where the file has none."""
    own = dict(net.named_parameters())
    for ours, theirs in names(net, net.plan.by_block):
        if ours not in own:
            continue
        if theirs in none:
            assert own[ours].grad is None, ours
        elif f"{key}/{theirs}" in tensors:
            gradient = own[ours].grad
            assert gradient is not None and near(gradient, tensors[f"{key}/{theirs}"]), ours


def test_a_step_of_the_sandwich_has_the_losses_and_gradients_of_the_authors_code(reference: Path) -> None:
    config, tensors, net = loaded(reference, FILES[1])
    largest, smallest, one, other, _ = subnets(config, net)
    logits = net.train()(tensors["x"], largest)
    losses = [F.cross_entropy(logits, tensors["y"], label_smoothing=config["label_smoothing"])]
    losses[0].backward()
    check_gradients(net, tensors, "grad_max", [])
    teacher = logits.detach().softmax(1)
    for subnet in (one, other, smallest):
        losses.append(F.cross_entropy(net(tensors["x"], subnet), teacher))
        losses[-1].backward()
    assert near(torch.stack(losses), tensors["sandwich_losses"])
    check_gradients(net, tensors, "grad", [])


@pytest.mark.parametrize(("number", "kept"), [(0, ()), (1, (4,))])
def test_sorted_channels_are_those_of_the_authors_code_and_leave_the_largest_network_as_it_was(
    number: int, kept: tuple[int, ...], reference: Path
) -> None:
    config, tensors, net = loaded(reference, "ofa_shrinking")
    for place, (middle, squeezed) in enumerate(net.sort_channels(kept), 1):
        assert torch.equal(middle, tensors[f"perm{number}/blocks.{place}.mid"])
        assert squeezed is None or torch.equal(squeezed, tensors[f"perm{number}/blocks.{place}.se"])
    theirs = dict(names(net, True))
    after = {key: value for key, value in tensors.items() if number == 0 and key.startswith("sorted0/")}
    assert number or after
    for ours, tensor in net.state_dict().items():
        if (key := f"sorted0/{theirs.get(ours)}") in after:
            assert torch.equal(tensor, after[key]), ours
    state = {key: value.clone() for key, value in net.state_dict().items()}
    for name in ("largest", "narrow", "mixed"):
        for mode in ("eval", "train"):
            net.load_state_dict(state)
            found = net.train(mode == "train")(tensors["x"], mobile.read_ofa(config[name], net.plan))
            assert near(found, tensors[f"after{number}_{name}_{mode}"])
            assert near(found, tensors[f"before_{name}_{mode}"]) == (name == "largest")


def test_published_counts_of_once_for_all() -> None:
    def uniform(depth: int, expansion: int, kernel: int) -> Architecture:
        return mobile.read_ofa({"ks": [kernel] * 20, "e": [expansion] * 20, "d": [depth] * 5, "r": 224})

    found = [count(uniform(*one)) for one in ((4, 6, 7), (4, 3, 3), (2, 3, 3))]
    assert [one.params for one in found] == [7_664_760, 4_371_928, 3_410_792]
    assert [one.macs for one in found] == [566_170_656, 226_193_808, 121_278_672]
    assert [stored(name) for name in ("ofa", "ofa-w1.2")] == [7_678_880, 10_715_752]


def stored(plan: str) -> int:
    """Numbers of the weights of a supernet for ImageNet."""
    with torch.device("meta"):
        net = networks.Supernet(plan=plan, num_classes=1000)
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_counts_of_the_golden_subnets_of_once_for_all_at_full_size(reference: Path) -> None:
    config, _ = golden(reference / "reference", FILES[0])
    for subnet, own in zip(config["subnets"], config["full_size_counts"], strict=True):
        found = count(mobile.read_ofa({**subnet, "r": 224}))
        assert (found.params, found.macs) == (own["params"], own["macs"])


def test_counts_of_attentivenas_networks(reference: Path) -> None:
    for own in json.loads((reference / "reference" / "bignas_counts.json").read_text())["subnets"]:
        found = count(mobile.read_attentive(own))
        assert (found.params, found.macs) == (own["params"], own["macs"]), own["name"]


def test_counts_of_published_lists_of_blocks(reference: Path) -> None:
    for name, own in json.loads((reference / "reference" / "mobile_nets.json").read_text())["nets"].items():
        found = count(mobile.read_list(own))
        assert (found.params, found.macs) == (own["params"], own["macs"]), name


def test_bit_operations_are_those_of_32_bits_and_can_be_limited() -> None:
    architecture = space.SPACES["ofa-8"].largest()
    cost = count(architecture)
    assert cost.bitops == 32 * 32 * cost.macs and "bitops" not in cost.numbers
    assert fits(cost, limits_from(f"bitops<={cost.bitops}"))
    assert not fits(cost, limits_from(f"bitops<={cost.bitops - 1}"))


def test_a_published_network_needs_images_of_its_stride() -> None:
    architecture = published()["MobileNetV3-Large"].architecture
    config = SimpleNamespace(auxiliary=False, drop_path=0.0, stem="cifar", channels=16, cells=None)
    with pytest.raises(InputError, match="divides an image's side by 32, and these have 8 pixels"):
        networks.sized(architecture, config, SimpleNamespace(num_classes=10, channels=1, image_size=8))
    assert networks.sized(architecture, config, SimpleNamespace(num_classes=10, channels=1, image_size=32))


@pytest.mark.parametrize("plan", [name for name in PLANS if name.startswith("ofa") and name != "ofa-w1.2"])
def test_subnets_survive_the_notation_of_once_for_all(plan: str) -> None:
    own = space.SPACES[plan]
    for architecture in (own.smallest(), own.largest()):
        assert mobile.read(mobile.to_ofa(architecture)) == (architecture, "ofa")


FLAT = [[3, 16, 16, 0, "relu", 1, False]] * 3
SMALL_OFA = {"ks": [3] * 9, "e": [3] * 9, "d": [1, 1, 1]}
SMALL_BIGNAS = {
    "width": [8, 8, 8, 16, 32, 96], "depth": [1, 1, 1, 1], "kernel_size": [3, 3, 3, 3], "expand_ratio": [1, 3, 3, 3]
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"stem": 0, "head": 64, "blocks": FLAT}, "the stem has 0 channels and stride 2; give 1 to 65,536"),
        ({"stem": -16, "head": 64, "blocks": FLAT}, "the stem has -16 channels"),
        ({"stem": 16, "head": -5, "blocks": FLAT}, "the head has -5 and 0 channels"),
        ({"stem": 16, "head": 10**9, "blocks": FLAT}, "the head has 1000000000 and 0 channels"),
        ({"stem": 16, "head": 64, "blocks": [[3, 16, 16, 0, "relu", 900000, False], *FLAT]}, "sizes are 1 to 65,536"),
        ({"stem": 16, "head": 64, "blocks": 5}, "blocks is 5; give a list"),
        ({**SMALL_OFA, "r": 33}, "'r' is 33, which tells these networks apart: 6 8 of ofa-8, 20 24 28 32 of ofa-32"),
        (SMALL_OFA, "'r' is missing, which tells these"),
        (SMALL_BIGNAS, "'resolution' is missing, which tells these networks apart: 6 8 of bignas-8"),
    ],
)
def test_odd_mobile_networks_are_refused(record: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mobile.read(record)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stem": (16, 0, "relu")}, "the stem has 16 channels and stride 0"),
        ({"stem": (16, 2, "tanh")}, "the stem has the activation 'tanh'"),
        ({"head": (64, "sin", 0)}, "the head has the activation 'sin'"),
        ({"head": (64, "relu", -1)}, "the head has 64 and -1 channels"),
    ],
)
def test_odd_ends_of_a_network_by_its_blocks_are_refused(changed: dict[str, Any], message: str) -> None:
    values = {"plan": "blocks", "stem": (16, 2, "relu"), "blocks": FLAT, "head": (64, "relu", 0), **changed}
    with pytest.raises(InputError, match=message):
        space.from_choices(values)
    del values["stem"]
    with pytest.raises(InputError, match="a network by its blocks has plan, stem, blocks and head"):
        space.from_choices({**values, "root": 1})
