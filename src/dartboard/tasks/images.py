"""Images of classes as a task: what their batches, augmentation, loss and accuracy are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.config import field_names
from dartboard.data import Augmentation, Data, Split, augment, epoch_batches, normalise
from dartboard.data.color import color_jitter
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.tasks.task import Batch, Model, Outcome, in_double, shown

BOTH = "train and val"  # what a training from scratch learns on, unless it serves as a score
SCORED = 256  # images per batch for scoring a trained network
# What the names of the generators of a split's order and augmentation begin with.
STREAMS = {"train": "train-", "val": "val-", "training": ""}


@final
@dataclass(frozen=True, eq=False)
class Images:
    """The images of a Data, with what a config says of its batches; the fields go by the names they have there.

    auxiliary_weight: of the second classifier's loss; training: the images that a training from scratch learns on;
    scored: images per batch for scoring a split, batch_size if none is given.
    """

    data: Data
    batch_size: int
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    color_jitter: float = 0.0
    hue_jitter: float = 0.0
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.0
    channels_last: bool = False
    training: Split | None = None
    scored: int | None = None

    @property
    def shape(self) -> dict[str, int]:
        """Channels, classes, and side of the images in pixels."""
        data = self.data
        return {"in_channels": data.channels, "num_classes": data.num_classes, "image_size": data.image_size}

    @property
    def metric(self) -> str:
        return "accuracy"

    def to(self, device: torch.device | str) -> "Images":
        training = None if self.training is None else self.training.to(device)
        return replace(self, data=self.data.to(device), training=training)

    def split(self, name: str) -> Split:
        data = self.data
        if name == "training" and self.training is not None:
            return self.training
        return {"train": data.train, "val": data.val, "test": data.test}[name]

    def check(self, *splits: str) -> None:
        """Raises InputError if a batch is larger than a split."""
        check_batch(self.batch_size, **{name: len(self.split(name)) for name in splits})

    def order(self, split: str, run: Run, epoch: int) -> list[Tensor]:
        """The split in batches of indices, in a new order each epoch."""
        generator = run.generator(f"{STREAMS[split]}order", epoch)
        return epoch_batches(len(self.split(split)), self.batch_size, generator)

    def draw(self, split: str, run: Run, step: int) -> Tensor:
        """A batch of indices drawn afresh for one step."""
        return self.order(split, run, step)[0]

    def announce(self, split: str, order: Iterable[Tensor]) -> None:
        """Images in files are read ahead in this order."""
        self.split(split).ahead(order)

    def batch(self, split: str, index: Tensor, run: Run, step: int, like: nn.Module) -> Batch:
        """Augmented images (B, C, H, W) in the number format of the module `like`, and labels (B,)."""
        generator = run.generator(f"{STREAMS[split]}augment", step)
        pixels, labels = self.split(split).pick(index)
        pixels = color_jitter(pixels, self.color_jitter, self.hue_jitter, generator)
        augmentation = Augmentation(self.crop_padding, self.flip, self.cutout, self.data.mean, self.data.std)
        x = augment(pixels, augmentation, generator)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return Batch(x.to(dtype=next(like.parameters()).dtype, memory_format=layout), labels)

    def loss(self, model: Model, batch: Batch, state: Any = None) -> Outcome:
        """Mean cross entropy, smoothed; that of the second classifier is descended with it, and not shown."""
        output = model(batch.x, state)
        loss = total = cross_entropy(output.logits, batch.y, self.label_smoothing)
        if output.auxiliary is not None:
            total = loss + self.auxiliary_weight * cross_entropy(output.auxiliary, batch.y, self.label_smoothing)
        if output.penalty is not None:
            total = total + output.penalty
        sums = {"loss": in_double(loss.detach()) * batch.size, "correct": (output.logits.argmax(1) == batch.y).sum()}
        return Outcome(total, sums, batch.size, output)

    def value(self, sums: Mapping[str, float], count: int) -> float:
        """The accuracy, in [0, 1]."""
        return sums["correct"] / count

    def score(self, model: Model, split: str, like: nn.Module) -> dict[str, float]:
        """Mean cross entropy (nats), not smoothed, and accuracy of a split; images normalised, not augmented."""
        place, images = placed_like(like), self.split(split)
        predict, size = (lambda x: model(place(x), None).logits), self.scored or self.batch_size
        sums = sums_of(predict, images, self.data.mean, self.data.std, size)
        return shown(self, split, sums, len(images))


def of(config: Any, data: Data, learn_on: str | None = None) -> Images:
    """Images with what a config says of them, field by field. learn_on: "train and val" or "train"."""
    known = {name: getattr(config, name) for name in field_names(Images) if name in field_names(type(config))}
    if learn_on is None:
        return Images(data, **known)
    return Images(data, **known, training=data.train_and_val() if learn_on == BOTH else data.train, scored=SCORED)


def check_batch(batch_size: int, **splits: int) -> None:
    """Raises InputError if a batch is larger than a split, given as name=images."""
    for name, size in splits.items():
        if batch_size > size:
            raise InputError(f"--batch-size {batch_size} is more than the {size} images of {name}; give {size} or less")


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy in float32 or better, also of bf16 logits (B, classes)."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


# --- Scores: images as they are, normalised --------------------------------------------------------------------------


def placed_like(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Brings images to the module's number format."""
    dtype = next(module.parameters()).dtype
    return lambda images: images.to(dtype)


def as_they_are(
    split: Split, mean: tuple[float, ...], std: tuple[float, ...], order: Iterable[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, C, H, W), normalised and not augmented, and labels (B,), batch by batch of indices."""
    for index in order:
        yield normalise(split.images[index], mean, std), split.labels[index]


def in_pieces(split: Split, batch_size: int) -> tuple[Tensor, ...]:
    """The split cut into batches of nearly equal size, none above batch_size, so that no batch is tiny."""
    pieces = torch.arange(len(split), device=split.labels.device).tensor_split(-(-len(split) // batch_size))
    split.ahead(pieces)
    return pieces


def answered(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the cross entropy over a batch, (), and which images are right, (B,) bool."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits, labels, reduction="sum"), logits.argmax(1) == labels


@torch.no_grad()
def sums_of(
    predict: Callable[[Tensor], Tensor], split: Split, mean: tuple[float, ...], std: tuple[float, ...], batch_size: int
) -> dict[str, float]:
    """Sums of cross entropy and of right answers of `predict`: images (B, C, H, W) to logits (B, classes)."""
    rows = []
    for x, labels in as_they_are(split, mean, std, in_pieces(split, batch_size)):
        loss, right = answered(predict(x), labels)
        rows.append(torch.stack([in_double(loss), in_double(right.sum())]))
    losses, correct = zip(*torch.stack(rows).tolist(), strict=True)
    return {"loss": reduce(add, losses), "correct": reduce(add, correct)}  # `sum` rounds otherwise from Python 3.12 on


def score(
    predict: Callable[[Tensor], Tensor], split: Split, mean: tuple[float, ...], std: tuple[float, ...], batch_size: int
) -> tuple[float, float]:
    """Mean cross entropy (nats) and accuracy in [0, 1] of `predict`: images (B, C, H, W) to logits (B, classes)."""
    sums = sums_of(predict, split, mean, std, batch_size)
    return sums["loss"] / len(split), sums["correct"] / len(split)
