"""BatchNorm's statistics made anew, and answers image by image."""

from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn

from dartboard.data import normalise
from dartboard.networks.darts import Network, Supernet, inherit
from dartboard.scoring.evaluate import accuracy, answers, calibration_images, recalibrate, shared_weights_score
from dartboard.tasks.images import score
from tiny import FEW, digits, search


def norm_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2, affine=False)).double()


def batches(*sizes: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, 1, 3, 3, generator=generator, dtype=torch.float64) for size in sizes]


@pytest.mark.usefixtures("global_rng")
def test_the_statistics_are_the_plain_means_over_the_batches() -> None:
    net = norm_net()
    net(batches(50)[0] * 7 + 3)  # statistics of other data, to be forgotten
    weight = net[0].weight.detach().clone()
    given = batches(8, 4, 6)
    recalibrate(net, net, given)
    maps = [net[0](images).detach() for images in given]
    means = torch.stack([one.mean((0, 2, 3)) for one in maps]).mean(0)
    variances = torch.stack([one.var((0, 2, 3), unbiased=True) for one in maps]).mean(0)
    torch.testing.assert_close(net[1].running_mean, means, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(net[1].running_var, variances, rtol=1e-12, atol=1e-12)
    assert net[0].weight.equal(weight) and net[1].momentum == 0.1 and int(net[1].num_batches_tracked) == 3


@pytest.mark.usefixtures("global_rng")
def test_the_mode_comes_back_also_after_an_error() -> None:
    net = norm_net().eval()

    def fails(_: torch.Tensor) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        recalibrate(net, fails, batches(2))
    assert not net.training and net[1].momentum == 0.1


@pytest.mark.usefixtures("global_rng")
def test_after_one_batch_evaluation_is_training_up_to_the_unbiased_variance(tmp_path: Path) -> None:
    """The batch whose statistics are kept is computed as in training, but for n / (n - 1) in the variance."""
    result = search(tmp_path / "run")
    assert isinstance(result.supernet, Supernet)
    network, data = inherit(result.supernet, result.architecture), digits()
    index = [torch.arange(len(data.train))]
    images = next(calibration_images(network, data.train, data, index))
    recalibrate(network, network, [images])
    with torch.no_grad():
        in_training, in_evaluation = network.train()(images), network.eval()(images)
    torch.testing.assert_close(in_training, in_evaluation, rtol=0.05, atol=0.05)


@pytest.mark.usefixtures("global_rng")
def test_a_cell_cut_out_is_useless_with_the_mixtures_statistics_and_useful_with_its_own(tmp_path: Path) -> None:
    result = search(tmp_path / "run", data=digits(200), epochs=2, lr=0.1)
    data = digits(200)
    assert isinstance(result.supernet, Supernet)
    network = inherit(result.supernet, result.architecture).eval()
    stale = answers(network, data.train, data)
    recalibrate(network, network, calibration_images(network, data.train, data, torch.arange(100).split(50)))
    own = answers(network.eval(), data.train, data)
    batchwise, _ = shared_weights_score(result.supernet, result.architecture, data, 64)
    assert own.loss < stale.loss
    assert abs(own.loss - batchwise) < 0.5 * abs(stale.loss - batchwise) + 0.2


@pytest.mark.usefixtures("global_rng")
def test_answers_image_by_image_add_up_to_the_score() -> None:
    data = digits()
    architecture = FEW.sample(Random(0))
    network = Network(architecture, channels=2, cells=3, num_classes=10, in_channels=3, auxiliary=False).eval()
    found = answers(network, data.val, data, batch_size=10)
    loss, right = score(network, data.val, data.mean, data.std, 10)
    assert (found.loss, found.accuracy) == (loss, right) and found.right.shape == (len(data.val),)
    assert accuracy(network, data.val, data)[1] == found.accuracy
    first = network(normalise(data.val.images[:10], data.mean, data.std)).argmax(1)
    assert found.right[:10].equal(first == data.val.labels[:10])
