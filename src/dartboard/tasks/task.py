"""What methods and loops ask of a task, whatever its data are: batches, a loss, sums, a score."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from dartboard.runs.run import Run

Sums = Mapping[str, Tensor]  # over a batch, by the names that the task gives them; each of shape ()


class Batch(NamedTuple):
    """What one step computes with. x: what goes into the network, (B, C, H, W) float for images; y: (B,) int64, what
    should come out; lr_scale: by which the learning rate is multiplied in this step."""

    x: Tensor
    y: Tensor
    lr_scale: float = 1.0

    @property
    def size(self) -> int:
        """How many answers are asked for: images, or words."""
        return self.y.numel()


class Output(NamedTuple):
    """What a network computes. logits: (B, classes); state: hidden state to be handed to the next batch; auxiliary:
    logits of a second classifier, which only helps training; penalty: added to the loss as it is."""

    logits: Tensor
    state: Any = None
    auxiliary: Tensor | None = None
    penalty: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """Of one batch. loss: (), what is descended; sums: over the batch, each of shape () and on the device, among them
    "loss", which people are shown (the auxiliary loss is not in it); count: of how many; output: the network's."""

    loss: Tensor
    sums: Sums
    count: int
    output: Output


Model = Callable[[Tensor, Any], Output]  # of x and the state of the batch before, or None


class Task(Protocol):
    """What the data mean. All randomness comes from the run's generators, so a step draws the same after a resume.

    Splits go by their names: "train", "val", "test", and "training", what a training from scratch learns on.
    """

    @property
    def shape(self) -> Mapping[str, int]:
        """What a network must know of the data to be built."""
        ...

    @property
    def metric(self) -> str:
        """What `value` is called, such as accuracy."""
        ...

    def to(self, device: torch.device | str) -> "Task":
        """The same task with its data on a device."""
        ...

    def check(self, *splits: str) -> None:
        """Raises InputError if a batch is larger than a split."""
        ...

    def order(self, split: str, run: Run, epoch: int) -> list[Tensor]:
        """An epoch: the split in batches of indices, in a new order each epoch."""
        ...

    def draw(self, split: str, run: Run, step: int) -> Tensor:
        """The indices of a batch drawn afresh for one step."""
        ...

    def announce(self, split: str, order: Iterable[Tensor]) -> None:
        """A hint of which batches of a split will be asked for, in order: what lies in files is read ahead."""
        ...

    def batch(self, split: str, index: Tensor, run: Run, step: int, like: nn.Module) -> Batch:
        """What a step learns from, at those indices, in the number format of the module `like`."""
        ...

    def loss(self, model: Model, batch: Batch, state: Any = None) -> Outcome:
        """What a model makes of a batch. state: what it handed on after the batch before."""
        ...

    def value(self, sums: Mapping[str, float], count: int) -> float:
        """What is compared, higher is better."""
        ...

    def score(self, model: Model, split: str, like: nn.Module) -> dict[str, float]:
        """The complete split, as `shown`, in the number format of the module `like`; nothing is trained."""
        ...


def shown(task: Task, split: str, sums: Mapping[str, float], count: int) -> dict[str, float]:
    """What people are shown of a split: its mean loss and the task's metric, such as val_loss and val_accuracy."""
    return {f"{split}_loss": sums["loss"] / count, f"{split}_{task.metric}": task.value(sums, count)}


def in_double(tensor: Tensor) -> Tensor:
    """The tensor in float64; in float32 on mps, which has no finer numbers."""
    return tensor.float() if tensor.device.type == "mps" else tensor.double()


# --- Steps that learn from train and from val -------------------------------------------------------------------------


def pair(task: Task, index: Tensor, run: Run, step: int, like: nn.Module) -> tuple[Batch, Batch]:
    """The training batch of those indices, and the validation batch of the same step."""
    val = task.draw("val", run, step)
    return task.batch("train", index, run, step, like), task.batch("val", val, run, step, like)


def rest_of_epoch(task: Task, run: Run, epoch: int, step_in_epoch: int, step: int) -> list[Tensor]:
    """The training batches still to come, as indices. They are announced, and the validation batches beside them.

    step_in_epoch, step: how many steps of the epoch, and of all epochs, were made.
    """
    order = task.order("train", run, epoch)[step_in_epoch:]
    task.announce("train", order)
    task.announce("val", (task.draw("val", run, step + number) for number in range(len(order))))
    return order
