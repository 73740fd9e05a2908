"""Scores of networks and supernets. Nothing here trains anything."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.config import check_kind
from dartboard.data import Data, Split, normalise
from dartboard.spaces.search_space import Architecture


@contextmanager
def kept_buffers(module: nn.Module) -> Iterator[None]:
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


@torch.no_grad()
def score(
    predict: Callable[[Tensor], Tensor], split: Split, mean: tuple[float, ...], std: tuple[float, ...], batch_size: int
) -> tuple[float, float]:
    """Mean cross entropy (nats) and accuracy in [0, 1] of `predict`: images (B, C, H, W) to logits (B, classes).

    The split is cut into batches of nearly equal size, none above batch_size, so that no batch is tiny.
    """
    pieces = -(-len(split) // batch_size)
    loss, correct = 0.0, 0
    batches = torch.arange(len(split), device=split.labels.device).tensor_split(pieces)
    split.ahead(batches)
    for index in batches:
        logits = predict(normalise(split.images[index], mean, std))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss += float(F.cross_entropy(logits, split.labels[index], reduction="sum"))
        correct += int((logits.argmax(1) == split.labels[index]).sum())
    return loss / len(split), correct / len(split)


def placed_like(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Brings images to the module's number format."""
    dtype = next(module.parameters()).dtype
    return lambda images: images.to(dtype)


def accuracy(network: nn.Module, split: Split, data: Data, batch_size: int = 256) -> tuple[float, float]:
    """Loss and accuracy of a trained network in evaluation mode (running BatchNorm statistics).

    Raises InputError for arguments of another kind.
    """
    check_kind(network, nn.Module, "accuracy takes a network, an nn.Module, first")
    check_kind(split, Split, "accuracy takes one split, such as data.test, second")
    check_kind(data, Data, "accuracy takes what load_data returns third")
    was_training, place = network.training, placed_like(network)
    network.eval()
    result = score(lambda images: network(place(images)), split, data.mean, data.std, batch_size)
    network.train(was_training)
    return result


def shared_weights_score(
    supernet: nn.Module, choice: Mapping[str, Tensor] | Architecture, data: Data, batch_size: int
) -> tuple[float, float]:
    """Loss and accuracy on data.val of a choice in the supernet, by shared weights and batch statistics."""
    place = placed_like(supernet)
    was_training = supernet.training
    supernet.train()
    with kept_buffers(supernet):
        result = score(lambda images: supernet(place(images), choice), data.val, data.mean, data.std, batch_size)
    supernet.train(was_training)
    return result


# --- Running statistics made anew, and answers image by image --------------------------------------------------------


@torch.no_grad()
def recalibrate(module: nn.Module, predict: Callable[[Tensor], object], batches: Iterable[Tensor]) -> None:
    """Makes BatchNorm's running statistics anew: the plain mean, over the batches, of each batch's mean and variance.

    predict: computes the module on a batch of images (B, C, H, W), in training mode; the weights stay as they are. A
    network cut out of a supernet has weights of its own use only with statistics of its own: those it brings along
    were gathered by the mixture of all operations (SPOS, Guo et al. 2020, section 3.4, does the same). The variance is
    the unbiased one, as in training. What `predict` does not reach keeps mean 0 and variance 1.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats]
    momenta, was_training = [norm.momentum for norm in norms], module.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain mean of all batches
    try:
        module.train()
        for images in batches:
            predict(images)
    finally:
        module.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def calibration_images(module: nn.Module, split: Split, data: Data, index: Sequence[Tensor]) -> Iterator[Tensor]:
    """Batches of images (B, C, H, W) of a split as scoring sees them: normalised, not augmented."""
    place = placed_like(module)
    split.ahead(index)
    for numbers in index:
        yield place(normalise(split.images[numbers.to(split.labels.device)], data.mean, data.std))


@dataclass(frozen=True)
class Answers:
    """What a network says of each image of a split. right: (N,) bool on the CPU; loss: mean cross entropy in nats."""

    right: Tensor
    loss: float

    @property
    def accuracy(self) -> float:
        return float(self.right.double().mean())


@torch.no_grad()
def answers(predict: Callable[[Tensor], Tensor], split: Split, data: Data, batch_size: int = 256) -> Answers:
    """Which images `predict`, of images (B, C, H, W) to logits (B, classes), gets right; batches as in `score`."""
    right, loss = [], 0.0
    batches = torch.arange(len(split), device=split.labels.device).tensor_split(-(-len(split) // batch_size))
    split.ahead(batches)
    for index in batches:
        logits = predict(normalise(split.images[index], data.mean, data.std))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss += float(F.cross_entropy(logits, split.labels[index], reduction="sum"))
        right.append((logits.argmax(1) == split.labels[index]).cpu())
    return Answers(torch.cat(right), loss / len(split))
