"""Inference with BatchNorm folded into convolutions gives the answers of the network as it was trained."""

import json
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor, nn

import tiny
from dartboard.cli import main
from dartboard.export.folding import folded, predictor
from dartboard.formats import published
from dartboard.networks.darts import Network, Supernet, inherit
from dartboard.networks.layers import FactorizedReduce, relu_conv_norm
from dartboard.scoring.evaluate import accuracy
from dartboard.spaces import darts as space
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.images import score

V2 = published()["DARTS_V2"].architecture
WIDE = space.space("every operation", "made up", tuple(name for name in space.RECIPES if name != "none"))


def images(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def lived_in(module: nn.Module) -> nn.Module:
    """The module with scales, shifts and running statistics that are nowhere 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                    if tensor is not None:
                        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


def made(architecture: Architecture, **sizes: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(architecture, **{"channels": 4, "cells": 3, "num_classes": 5, **sizes})  # type: ignore
    return lived_in(network)


def norms(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_folded_network_answers_as_before(stem: str, dtype: torch.dtype, tolerance: float) -> None:
    network, x = made(V2, stem=stem, image_size=32).to(dtype), images(6, 32).to(dtype)
    wanted = network(x).detach()
    scale = float(wanted.abs().max())
    assert norms(folded(network)) == []
    for found in (folded(network)(x), predictor(network)(x)):
        torch.testing.assert_close(found / scale, wanted / scale, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", range(8))
def test_cells_of_every_operation_fold(seed: int) -> None:
    network, x = made(WIDE.sample(Random(seed))).double(), images(3, 9).double()
    torch.testing.assert_close(predictor(network)(x), network(x), rtol=1e-10, atol=1e-10)


def test_norms_without_a_convolution_before_them_stay() -> None:
    """Pools in the form inside a supernet."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lived_in(inherit(Supernet(channels=4, cells=3, num_classes=5).double(), V2))
    x, inference = images(3, 8).double(), folded(network)
    assert 0 < len(norms(inference)) < len(norms(network))
    torch.testing.assert_close(inference(x), network(x), rtol=1e-10, atol=1e-10)


def test_a_factorized_reduce_and_a_chain_fold_alone() -> None:
    with torch.random.fork_rng():
        layers = nn.ModuleList([FactorizedReduce(3, 6), relu_conv_norm(3, 6, affine=False)]).double()
    lived_in(layers)
    x = images(2, 7).double()
    for before, after in zip(layers, folded(layers), strict=True):
        torch.testing.assert_close(after(x), before(x), rtol=1e-12, atol=1e-12)
        assert all(conv.bias is not None for conv in after.modules() if isinstance(conv, nn.Conv2d))


def test_the_network_that_is_folded_is_left_as_it_was() -> None:
    network = made(V2, image_size=32).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded(network)
    assert tiny.same_tensors(before, dict(network.state_dict())) and network.training
    assert network.auxiliary_head is not None


def test_evaluate_tells_the_score_of_the_network_as_it_is_and_images_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, network = tiny.fit(tmp_path / "run", V2)
    data = tiny.digits()
    loss, right = accuracy(network, data.test, data)
    found = score(predictor(network), data.test, data.mean, data.std, 32)
    assert found == pytest.approx((loss, right), rel=1e-5)
    capsys.readouterr()
    words = [str(tmp_path / "run"), "--data", "digits", "--device", "cpu", "--json"]
    assert main(["evaluate", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images_per_s"] > 0.0 and told["images"] == 359
    assert main(["evaluate", *words[:-1]]) == 0
    text = capsys.readouterr().out
    assert "images per second on cpu" in text
    score_words = f"test accuracy {100 * told['test_accuracy']:.2f} % of 359 images, test loss {told['test_loss']:.4f}"
    assert score_words in text and 0.0 < told["test_accuracy"] < 1.0
