"""What every loop shares and no paper claims: device and precision, seeds, where the loop stands, saving, restoring."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dartboard.checkpoint import Checkpoint
from dartboard.data import Augmentation, Split, augment
from dartboard.errors import CannotContinueError, InputError
from dartboard.progress import Progress
from dartboard.run import Run

Made = TypeVar("Made")
Savable = nn.Module | torch.optim.Optimizer | Mapping[str, Tensor]
LOG_EVERY = 10  # steps between two lines "step" in metrics.jsonl
DTYPES = {"float32": torch.float32, "bf16": torch.float32, "float64": torch.float64}


def check_finite(step: int, lr: float, **losses: float) -> None:
    """Raises CannotContinueError, naming the step and the learning rate, where a loss is NaN or infinite."""
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise CannotContinueError(
                f"{name} is {loss} at step {step} (learning rate {lr:.3g}); the last checkpoint is intact; "
                f"begin anew with a smaller --lr or --grad-clip"
            )


def check_batch(batch_size: int, **splits: int) -> None:
    """Raises InputError where a batch is larger than a split, given as name=images."""
    for name, size in splits.items():
        if batch_size > size:
            raise InputError(f"--batch-size {batch_size} is more than the {size} images of {name}; give {size} or less")


# --- Device, precision, seeds ----------------------------------------------------------------------------------------


def prepare(run: Run) -> tuple[torch.device, torch.dtype]:
    """Device and number format of a run, and its CPU threads set. Raises InputError where the device lacks them."""
    if run.setup.threads is not None:
        torch.set_num_threads(run.setup.threads)
    device = run.device
    if run.setup.precision == "float64" and device.type == "mps":
        raise InputError("--precision float64 does not exist on mps; use --device cpu")
    if run.setup.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("--precision bf16 does not exist on this GPU; use --precision float32")
    return device, DTYPES[run.setup.precision]


def autocast(run: Run) -> AbstractContextManager[Any]:
    """bf16 where the run asks for it, else nothing. Weights, BatchNorm statistics and losses stay float32."""
    if run.setup.precision != "bf16":
        return nullcontext()
    return torch.autocast(run.device.type, torch.bfloat16)


def seeded(run: Run, name: str, make: Callable[[], Made]) -> Made:
    """make() with torch's global generator seeded for it, and put back afterwards: initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(run.generator(name, 0).initial_seed())
        return make()


def place_module(module: nn.Module, device: torch.device, dtype: torch.dtype, channels_last: bool) -> nn.Module:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return module.to(device, dtype).to(memory_format=layout)  # type: ignore[call-overload, no-any-return]


def augmented(
    split: Split,
    index: Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
    like: nn.Module,
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    """Augmented images (B, C, H, W) in the number format of a module, and labels (B,), of the images at `index`."""
    index = index.to(split.images.device)
    x = augment(split.images[index], augmentation, generator)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return x.to(dtype=next(like.parameters()).dtype, memory_format=layout), split.labels[index]


# --- Where a run stands ----------------------------------------------------------------------------------------------


@dataclass
class Place:
    """Epoch and step of a loop, both counted from 0, with the sums of the epoch so far and the time spent."""

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    images: int = 0
    loss: float = 0.0
    correct: int = 0
    epoch_s: float = 0.0
    mark_s: float = field(default_factory=time.perf_counter)

    def advance(self, images: int, loss: float, correct: int) -> None:
        """One more step was made, on so many images with that mean loss and so many right answers."""
        self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
        self.images, self.loss, self.correct = self.images + images, self.loss + images * loss, self.correct + correct

    def next_epoch(self) -> None:
        self.epoch, self.step_in_epoch, self.images, self.loss, self.correct = self.epoch + 1, 0, 0, 0.0, 0
        self.epoch_s, self.mark_s = 0.0, time.perf_counter()

    def means(self) -> dict[str, float]:
        """Training loss and accuracy of the epoch so far, each batch at the weights it was trained with."""
        return {"train_loss": self.loss / self.images, "train_accuracy": self.correct / self.images}

    def times(self) -> dict[str, float]:
        """Seconds of the epoch so far, stops left out, and images a second."""
        seconds = self.epoch_s + time.perf_counter() - self.mark_s
        return {"epoch_s": seconds, "images_per_s": self.images / seconds}

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of the epoch."""
        return {
            "step_in_epoch": self.step_in_epoch,
            "images": self.images,
            "loss": self.loss,
            "correct": self.correct,
            "epoch_s": self.times()["epoch_s"],
        }


def note_step(run: Run, place: Place, progress: Progress, **numbers: float) -> None:
    """Shows the numbers of the step just made, and every LOG_EVERY steps writes them into the metrics."""
    progress.step(place.step, **numbers)
    if place.step % LOG_EVERY == 0:
        run.log(event="step", epoch=place.epoch, step=place.step, **numbers, elapsed_s=run.elapsed_s)


def in_words(numbers: Mapping[str, float]) -> str:
    """Numbers of an epoch on one line; accuracies in percent."""
    values = {n: f"{100 * value:.1f}%" if n.endswith("accuracy") else f"{value:.4g}" for n, value in numbers.items()}
    return "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def save(run: Run, place: Place, **parts: Savable) -> None:
    """A checkpoint of the place and of modules, optimizers and tables of tensors, each under its name."""
    tensors = {}
    for name, part in parts.items():
        tensors.update({f"{name}/{key}": tensor for key, tensor in tensors_of(part).items()})
    run.save(tensors, step=place.step, epoch=place.epoch, extra=place.to_json())


def restore(checkpoint: Checkpoint, place: Place, **parts: Savable) -> None:
    """Puts a checkpoint back into the objects that `save` was given."""
    for name, part in parts.items():
        prefix = f"{name}/"
        put_back(part, {k.removeprefix(prefix): t for k, t in checkpoint.tensors.items() if k.startswith(prefix)})
    place.step, place.epoch = checkpoint.step, checkpoint.epoch
    for name, value in checkpoint.extra.items():
        setattr(place, name, value)
    place.mark_s = time.perf_counter()


def tensors_of(part: Savable) -> Mapping[str, Tensor]:
    if isinstance(part, nn.Module):
        return part.state_dict()
    if isinstance(part, torch.optim.Optimizer):
        states = part.state_dict()["state"]
        return {f"{index}/{key}": t for index, state in states.items() for key, t in state.items() if t is not None}
    return part


@torch.no_grad()
def put_back(part: Savable, tensors: Mapping[str, Tensor]) -> None:
    if isinstance(part, nn.Module):
        part.load_state_dict(tensors)
    elif isinstance(part, torch.optim.Optimizer):
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, key = name.split("/")
            states.setdefault(int(index), {})[key] = tensor
        part.load_state_dict({**part.state_dict(), "state": states})
        for parameter, state in part.state.items():  # in the layout of the parameter, so that sums round alike
            for key, tensor in state.items():
                if tensor.shape == parameter.shape:
                    state[key] = torch.empty_like(parameter).copy_(tensor)
    else:
        for name, tensor in part.items():
            tensor.copy_(tensors[name])
