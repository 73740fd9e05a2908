"""The batches of a search: which images of train and of val each step sees, as functions of the run's seed."""

from typing import Literal, Protocol

from torch import Tensor, nn

from dartboard.data import Augmentation, Data, epoch_batches
from dartboard.runs.run import Run
from dartboard.training import loop


class Settings(Protocol):
    """What a method's config says of its batches."""

    @property
    def batch_size(self) -> int: ...
    @property
    def crop_padding(self) -> int: ...
    @property
    def flip(self) -> bool: ...
    @property
    def cutout(self) -> int: ...
    @property
    def channels_last(self) -> bool: ...


def train_order(config: Settings, data: Data, run: Run, epoch: int) -> list[Tensor]:
    """The training split in batches of indices, in a new order each epoch."""
    return epoch_batches(len(data.train), config.batch_size, run.generator("train-order", epoch))


def val_index(config: Settings, data: Data, run: Run, step: int) -> Tensor:
    """A fresh random batch of the validation split."""
    return epoch_batches(len(data.val), config.batch_size, run.generator("val-order", step))[0]


def rest_of_epoch(config: Settings, data: Data, run: Run, place: loop.Place) -> list[Tensor]:
    """The training batches still to come, as indices. Images in files are read ahead, those of val as well."""
    order = train_order(config, data, run, place.epoch)[place.step_in_epoch :]
    data.train.ahead(order)
    data.val.ahead(val_index(config, data, run, place.step + number) for number in range(len(order)))
    return order


def batch(
    config: Settings, data: Data, split: Literal["train", "val"], index: Tensor, run: Run, step: int, like: nn.Module
) -> tuple[Tensor, Tensor]:
    """Augmented images (B, C, H, W), in the number format of the module `like`, and labels (B,) of one step."""
    augmentation = Augmentation(config.crop_padding, config.flip, config.cutout, data.mean, data.std)
    generator = run.generator(f"{split}-augment", step)
    part = {"train": data.train, "val": data.val}[split]
    return loop.augmented(part, index, augmentation, generator, like, config.channels_last)


def pair(
    config: Settings, data: Data, index: Tensor, run: Run, step: int, like: nn.Module
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The training batch of those indices, and the validation batch of the same step."""
    val = val_index(config, data, run, step)
    return batch(config, data, "train", index, run, step, like), batch(config, data, "val", val, run, step, like)
