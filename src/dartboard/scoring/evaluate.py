"""Scores of networks and supernets. Nothing here trains anything."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dartboard.config import check_kind
from dartboard.data import Data, Split
from dartboard.networks.outputs import output
from dartboard.networks.rows import Choice
from dartboard.spaces.search_space import Architecture
from dartboard.tasks import images
from dartboard.tasks.task import Task


@contextmanager
def restored_buffers(module: nn.Module) -> Iterator[None]:
    """Restores all buffers of the module (BatchNorm's running statistics) bit for bit afterwards."""
    found: dict[torch.dtype, list[Tensor]] = {}  # one copy a number format: few kernels on a GPU
    for buffer in module.buffers():
        found.setdefault(buffer.dtype, []).append(buffer)
    buffers = list(found.values())
    before = [[torch.empty_like(buffer) for buffer in same] for same in buffers]
    with torch.no_grad():
        for kept, same in zip(before, buffers, strict=True):
            torch._foreach_copy_(kept, same)
    try:
        yield
    finally:
        with torch.no_grad():
            for kept, same in zip(before, buffers, strict=True):
                torch._foreach_copy_(same, kept)


def running_score(network: nn.Module, task: Task, split: str) -> dict[str, float]:
    """Loss and metric of a split by a trained network in evaluation mode (running BatchNorm statistics)."""
    was_training = network.training
    network.eval()
    found = task.score(lambda x, state: output(network, x, state=state), split, network)
    network.train(was_training)
    return found


def choice_score(
    supernet: nn.Module, choice: Choice | Callable[[], Choice], task: Task, split: str = "val"
) -> dict[str, float]:
    """Loss and metric of a split by a choice in the supernet, by shared weights and batch statistics.

    choice: the same for all batches, or what draws one for each.
    """
    chosen = choice if callable(choice) else lambda: choice
    was_training = supernet.training
    supernet.train()
    with restored_buffers(supernet):
        found = task.score(lambda x, state: output(supernet, x, chosen(), state=state), split, supernet)
    supernet.train(was_training)
    return found


def accuracy(network: nn.Module, split: Split, data: Data, batch_size: int = images.SCORED) -> tuple[float, float]:
    """Loss and accuracy of a trained network in evaluation mode (running BatchNorm statistics).

    Raises InputError for arguments of another kind.
    """
    check_kind(network, nn.Module, "accuracy takes a network, an nn.Module, first")
    check_kind(split, Split, "accuracy takes one split, such as data.test, second")
    check_kind(data, Data, "accuracy takes what load_data returns third")
    found = running_score(network, images.Images(replace(data, test=split), batch_size), "test")
    return found["test_loss"], found["test_accuracy"]


def shared_weights_score(supernet: nn.Module, choice: Choice, data: Data, batch_size: int) -> tuple[float, float]:
    """Loss and accuracy on data.val of a choice in the supernet, by shared weights and batch statistics."""
    found = choice_score(supernet, choice, images.Images(data, batch_size))
    return found["val_loss"], found["val_accuracy"]


def running_path_score(
    supernet: nn.Module, architecture: Architecture, data: Data, batch_size: int
) -> tuple[float, float]:
    """Loss and accuracy on data.val of an architecture in the supernet, with the running statistics of all paths."""
    was_training = supernet.training
    supernet.eval()
    task = images.Images(data, batch_size)
    found = task.score(lambda x, state: output(supernet, x, architecture, state=state), "val", supernet)
    supernet.train(was_training)
    return found["val_loss"], found["val_accuracy"]


# --- Recalibrated running statistics, and answers image by image ------------------------------------------------------


@torch.no_grad()
def recalibrate(module: nn.Module, predict: Callable[[Tensor], object], batches: Iterable[Tensor]) -> None:
    """Recalibrates BatchNorm's running statistics: the plain mean, over the batches, of each batch's mean and variance.

    predict: computes the module on a batch of images (B, C, H, W), in training mode; the weights stay as they are. A
    network cut out of a supernet has weights of its own use only with statistics of its own: those it brings along
    were gathered by the mixture of all operations (SPOS, Guo et al. 2020, section 3.4, does the same). The variance is
    the unbiased one, as in training. What `predict` does not reach has mean 0 and variance 1.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats]
    momenta, was_training = [norm.momentum for norm in norms], module.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain mean of all batches
    try:
        module.train()
        for x in batches:
            predict(x)
    finally:
        module.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def calibration_images(module: nn.Module, split: Split, data: Data, index: Sequence[Tensor]) -> Iterator[Tensor]:
    """Batches of images (B, C, H, W) of a split as scoring sees them: normalised, not augmented."""
    place = images.placed_like(module)
    split.ahead(index)
    there = (numbers.to(split.labels.device) for numbers in index)
    for x, _ in images.as_they_are(split, data.mean, data.std, there):
        yield place(x)


def recalibrated_score(
    supernet: nn.Module, architecture: Architecture, data: Data, batch_size: int, num_images: int
) -> tuple[float, float]:
    """Loss and accuracy on data.val of an architecture in the supernet, with running statistics of its own.

    They are collected on so many images of data.train (on all of them, if there are fewer), which are the same for
    every architecture. The supernet is left as it was, bit for bit, so a score does not depend on what was scored
    before. Layers without running statistics, such as those in the cells of nasbench201, use those of each batch.
    """
    task, was_training = images.Images(data, batch_size), supernet.training
    with restored_buffers(supernet):
        batches = calibration_images(supernet, data.train, data, calibration_index(data.train, num_images, batch_size))
        recalibrate(supernet, lambda x: output(supernet, x, architecture), batches)
        supernet.eval()
        found = task.score(lambda x, state: output(supernet, x, architecture, state=state), "val", supernet)
    supernet.train(was_training)
    return found["val_loss"], found["val_accuracy"]


def calibration_index(split: Split, num_images: int, batch_size: int) -> Sequence[Tensor]:
    """Indices of so many images of a split, drawn once and for all by its size, in batches of nearly equal size."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:num_images]
    return order.tensor_split(-(-len(order) // batch_size))


@dataclass(frozen=True)
class Answers:
    """What a network says of each image of a split. right: (N,) bool on the CPU; loss: mean cross entropy in nats."""

    right: Tensor
    loss: float

    @property
    def accuracy(self) -> float:
        return float(self.right.double().mean())


@torch.no_grad()
def answers(predict: Callable[[Tensor], Tensor], split: Split, data: Data, batch_size: int = images.SCORED) -> Answers:
    """Which images `predict`, of images (B, C, H, W) to logits (B, classes), gets right; batches as in `score`."""
    right, loss = [], 0.0
    for x, labels in images.as_they_are(split, data.mean, data.std, images.in_pieces(split, batch_size)):
        total, found = images.answered(predict(x), labels)
        loss += float(total)
        right.append(found.cpu())
    return Answers(torch.cat(right), loss / len(split))
