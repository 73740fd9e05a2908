"""Losses and accuracies are of images, not of batches: they are the same however the images are cut into batches."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tiny
from dartboard import train
from dartboard.config import Setup
from dartboard.data import Data, Split, normalise
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import accuracy, answers, shared_weights_score
from dartboard.tasks.images import Images, score
from dartboard.training.loop import Place


class Linear(nn.Module):
    """Answers each image by itself; also with the interface of a supernet."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(192, 10, generator=generator))

    def forward(self, x: Tensor, choice: Mapping[str, Tensor] | None = None) -> Tensor:
        return x.flatten(1) @ self.weight


def of_images(count: int) -> Data:
    """So many digits in every split."""
    data = tiny.digits()
    few = Split(data.test.images[:count], data.test.labels[:count])
    return replace(data, train=few, val=few, test=few)


def by_answers(net: Linear, data: Data, size: int) -> tuple[float, float]:
    found = answers(net, data.val, data, size)
    return found.loss, found.accuracy


WAYS: dict[str, Callable[[Linear, Data, int], tuple[float, float]]] = {
    "score": lambda net, data, size: score(net, data.val, data.mean, data.std, size),
    "accuracy": lambda net, data, size: accuracy(net, data.val, data, size),
    "answers": by_answers,
    "shared weights": lambda net, data, size: shared_weights_score(net, {}, data, size),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 100])
def test_loss_and_accuracy_of_seven_images_are_the_same_in_batches_of_any_size(way: str, size: int) -> None:
    net, data = Linear(), of_images(7)
    logits = net(normalise(data.val.images, data.mean, data.std)).detach()
    loss, right = WAYS[way](net, data, size)
    assert loss == pytest.approx(float(F.cross_entropy(logits, data.val.labels)), rel=1e-5)
    assert right == pytest.approx(float((logits.argmax(1) == data.val.labels).double().mean()))


def test_each_answer_is_that_of_its_own_image() -> None:
    net, data = Linear(), of_images(7)
    logits = net(normalise(data.val.images, data.mean, data.std))
    wanted = (logits.argmax(1) == data.val.labels).tolist()
    assert all(answers(net, data.val, data, size).right.tolist() == wanted for size in (1, 3, 7))


def test_the_means_of_an_epoch_weigh_each_batch_by_its_images() -> None:
    place, losses, right = Place(), (1.0, 2.0, 6.0), (3, 1, 1)
    for loss, correct, images in zip(losses, right, (3, 3, 1), strict=True):
        place.advance(images, {"loss": torch.tensor(images * loss), "correct": torch.tensor(correct)}, 0.1)
    wanted = {"train_loss": (3 + 6 + 6) / 7, "train_accuracy": 5 / 7}
    assert place.means(Images(tiny.digits(), 3)) == pytest.approx(wanted)


def test_the_training_loss_of_an_epoch_is_the_same_in_one_batch_and_in_uneven_ones(tmp_path: Path) -> None:
    """With a learning rate that moves nothing, and images that nothing is done to."""

    def losses(name: str, size: int) -> list[Any]:
        settings = {"epochs": 1, "crop_padding": 0, "flip": False, "cutout": 0, "auxiliary": False, "lr": 1e-30}
        config = train.Config(batch_size=size, weight_decay=0.0, **settings)  # type: ignore[arg-type]
        with torch.random.fork_rng():
            module = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
        with Run.create(tmp_path / name, config, setup=Setup(device="cpu", precision="float64")) as run:
            train.fit(config, module, tiny.digits(), run)
        line = tiny.history(tmp_path / name)[0]
        return [line[key] for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")]

    whole = losses("whole", 64)
    assert losses("uneven", 28) == pytest.approx(whole, rel=1e-9)  # 28, 28 and 8 of the 64
