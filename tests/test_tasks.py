"""What data mean: the loss, the sums and the score of images; and a loop's sums of a task of another kind."""

from collections.abc import Mapping
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
from dartboard.data import Split
from dartboard.data.augmentation import Augmentation, augment
from dartboard.errors import InputError
from dartboard.methods import darts
from dartboard.runs.checkpoint import Checkpoint
from dartboard.runs.run import Run
from dartboard.tasks import task_of
from dartboard.tasks.images import Images
from dartboard.tasks.task import Batch, Outcome, Output, pair
from dartboard.training import loop
from dartboard.training.loop import Place


def answers(generator: torch.Generator, count: int = 7) -> tuple[Output, Tensor]:
    """Logits of two classifiers of so many images, and labels."""
    logits, auxiliary = torch.randn(2, count, 10, generator=generator, dtype=torch.float64)
    return Output(logits, auxiliary=auxiliary), torch.randint(10, (count,), generator=generator)


def outcome(task: Images, output: Output, labels: Tensor, chosen: slice = slice(None)) -> Outcome:
    """The task's outcome of some of the images, for a model that answers so."""
    assert output.auxiliary is not None
    part = Output(output.logits[chosen], auxiliary=output.auxiliary[chosen])
    return task.loss(lambda x, state: part, Batch(torch.zeros(1), labels[chosen]))


def test_the_sums_of_seven_images_are_the_same_in_one_batch_and_in_batches_of_three() -> None:
    task = Images(tiny.digits(), 3, label_smoothing=0.2, auxiliary_weight=0.4)
    output, labels = answers(torch.Generator().manual_seed(0))
    whole = outcome(task, output, labels)
    parts = [outcome(task, output, labels, slice(first, first + 3)) for first in (0, 3, 6)]
    assert sum(part.count for part in parts) == whole.count == 7
    for name in whole.sums:
        assert float(sum(part.sums[name] for part in parts)) == pytest.approx(float(whole.sums[name]), rel=1e-12)
    together = sum(float(part.loss) * part.count for part in parts) / 7
    assert together == pytest.approx(float(whole.loss), rel=1e-12)
    assert int(whole.sums["correct"]) == int((output.logits.argmax(1) == labels).sum())


def test_the_auxiliary_loss_is_descended_and_not_shown_and_smoothing_is_in_both() -> None:
    task = Images(tiny.digits(), 7, label_smoothing=0.2, auxiliary_weight=0.4)
    output, labels = answers(torch.Generator().manual_seed(0))
    assert output.auxiliary is not None
    main, second = (F.cross_entropy(one, labels, label_smoothing=0.2) for one in (output.logits, output.auxiliary))
    found = outcome(task, output, labels)
    assert float(found.loss) == pytest.approx(float(main + 0.4 * second), rel=1e-12)
    assert float(found.sums["loss"]) == pytest.approx(7 * float(main), rel=1e-12)
    penalised = task.loss(lambda x, state: Output(output.logits, penalty=torch.tensor(0.25)), Batch(labels, labels))
    assert float(penalised.loss) == pytest.approx(float(main) + 0.25, rel=1e-12)
    assert float(penalised.sums["loss"]) == pytest.approx(7 * float(main), rel=1e-12)


class Pixels(nn.Module):
    """Answers each image by its pixels."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(192, 10, generator=generator, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_split_is_scored_without_smoothing_and_augmentation_in_batches_of_any_size(size: int) -> None:
    data, net = tiny.digits(), Pixels()
    data = replace(data, val=Split(data.val.images[:7], data.val.labels[:7]))
    task = Images(data, size, crop_padding=2, cutout=4, label_smoothing=0.5)
    images = data.val.images.double() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (data.mean, data.std))
    logits = net((images - mean) / std).detach()
    found = task.score(lambda x, state: Output(net(x)), "val", net)
    right = float((logits.argmax(1) == data.val.labels).double().mean())
    assert found == pytest.approx({"val_loss": float(F.cross_entropy(logits, data.val.labels)), "val_accuracy": right})
    assert task.value({"loss": 1.0, "correct": 3.0}, 4) == 0.75


def test_what_a_step_draws_is_named_by_its_split(tmp_path: Path) -> None:
    """These names decide what every run has drawn: a run that was stopped goes on with them."""
    data, like = tiny.digits(), nn.Linear(1, 1, device="meta")
    like.weight = nn.Parameter(torch.zeros(1))
    config, training = darts.Config(batch_size=5), train.Config(batch_size=5, cutout=0)
    augmentation = Augmentation(4, True, 0, data.mean, data.std)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        task = task_of(config, data)
        one, other = pair(task, torch.arange(5), run, 3, like)
        drawn = torch.randperm(len(data.val), generator=run.generator("val-order", 3))[:5]
        first = augment(data.train.images[:5], augmentation, run.generator("train-augment", 3))
        second = augment(data.val.images[drawn], augmentation, run.generator("val-augment", 3))
        assert one.x.equal(first) and other.x.equal(second) and other.y.equal(data.val.labels[drawn])
        order = torch.randperm(len(data.train), generator=run.generator("train-order", 2))
        assert torch.cat(task.order("train", run, 2)).equal(order)
        learned = task_of(training, data, "train and val")
        order = torch.randperm(len(data.train) + len(data.val), generator=run.generator("order", 2))
        assert torch.cat(learned.order("training", run, 2)).equal(order)
        batch = learned.batch("training", torch.arange(5), run, 3, like)
        assert batch.x.equal(augment(data.train.images[:5], augmentation, run.generator("augment", 3)))
    assert batch.lr_scale == 1.0 and batch.size == 5


def test_a_batch_larger_than_a_split_is_refused_by_the_splits_name() -> None:
    data = tiny.digits()
    task_of(train.Config(batch_size=64), data, "train and val").check("training")
    with pytest.raises(InputError, match="--batch-size 64 is more than the 32 images of training; give 32 or less"):
        task_of(train.Config(batch_size=64), data, "train").check("training")
    with pytest.raises(InputError, match="--batch-size 64 is more than the 32 images of val"):
        task_of(darts.Config(batch_size=64), data).check("val")


class Steps:
    """A task of another kind: x is a sequence of steps, the hidden state adds up, and what counts is the error."""

    metric = "closeness"

    def loss(self, model: Any, batch: Batch, state: Any = None) -> Outcome:
        output = model(batch.x, state)
        error = (output.logits - batch.y).abs().sum()
        sums = {"loss": error, "tokens": torch.tensor(batch.size), "silent": torch.tensor(0)}
        return Outcome(error / batch.size, sums, batch.size, output)

    def value(self, sums: Mapping[str, float], count: int) -> float:
        return 1.0 / (1.0 + sums["loss"] / sums["tokens"])


def test_a_task_with_other_sums_and_a_state_runs_through_the_sums_of_a_loop() -> None:
    task, place, state = Steps(), Place(), None

    def model(x: Tensor, state: Tensor | None) -> Output:
        total = x.cumsum(0) + (0 if state is None else state)
        return Output(total, state=total[-1])

    words = torch.arange(7, dtype=torch.float32)
    for part in words.split(3):
        found = task.loss(model, Batch(part, torch.zeros(len(part), dtype=torch.int64)), state)
        place.advance(found.count, found.sums, 0.1, val_loss=found.loss)
        state = found.output.state
    assert place.means(task) == pytest.approx({"train_loss": 8.0, "train_closeness": 1 / 9})  # type: ignore[arg-type]
    assert place.sums == {"loss": 56.0, "tokens": 7.0, "silent": 0.0} and place.count == 7
    assert place.numbers == {"train_loss": 21.0, "val_loss": 21.0, "lr": 0.1}
    again = Place()
    loop.restore(Checkpoint({}, place.step, place.epoch, place.to_json()), again)
    assert (again.sums, again.count) == (place.sums, place.count)
    again.next_epoch()
    assert (again.sums, again.count) == ({}, 0)
