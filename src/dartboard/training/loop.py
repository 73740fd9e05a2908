"""What every loop shares and no paper claims: device and precision, seeds, where the loop stands, saving, restoring."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dartboard.errors import CannotContinueError, InputError
from dartboard.networks.outputs import output
from dartboard.runs.checkpoint import Checkpoint
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.runs.timer import Timer
from dartboard.tasks.task import Model, Output, Sums, Task, in_double, shown

Made = TypeVar("Made")
Savable = nn.Module | torch.optim.Optimizer | Mapping[str, Tensor]
SEEDING = threading.Lock()
SPOKEN = {"derived_val_accuracy": "cell cut out, not trained"}  # what a number is called where people read it
LOG_EVERY = 10  # steps between two lines "step" in metrics.jsonl
DTYPES = {"float32": torch.float32, "bf16": torch.float32, "float64": torch.float64}


def check_finite(step: int, lr: float, **losses: float) -> None:
    """Raises CannotContinueError, naming the step and the learning rate, if a loss is NaN or infinite."""
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise CannotContinueError(
                f"{name} is {loss} at step {step} (learning rate {lr:.3g}); the last checkpoint is intact; "
                f"start a new run with a smaller --lr or --grad-clip"
            )


# --- Device, precision, seeds ----------------------------------------------------------------------------------------


def prepare(run: Run) -> tuple[torch.device, torch.dtype]:
    """Device and number format of a run, and its CPU threads set. Raises InputError if the device lacks them."""
    if run.setup.threads is not None:
        torch.set_num_threads(run.setup.threads)
    device = run.device
    if run.setup.precision == "float64" and device.type == "mps":
        raise InputError("--precision float64 does not exist on mps; use --device cpu")
    if run.setup.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("--precision bf16 does not exist on this GPU; use --precision float32")
    return device, DTYPES[run.setup.precision]


def autocast(run: Run) -> AbstractContextManager[Any]:
    """bf16 if the run asks for it, otherwise nothing. Weights, BatchNorm statistics and losses stay float32."""
    if run.setup.precision != "bf16":
        return nullcontext()
    return torch.autocast(run.device.type, torch.bfloat16)


def model_of(run: Run, network: nn.Module, *choice: object) -> Model:
    """What a task's loss takes: a network, or a supernet with a choice, in the precision of the run."""

    def model(x: Tensor, state: Any) -> Output:
        with autocast(run):
            return output(network, x, *choice, state=state)

    return model


def seeded(run: Run, name: str, make: Callable[[], Made]) -> Made:
    """make() with torch's global generator seeded for it, and put back afterwards: initial weights.

    One at a time, if several runs of a process have threads of their own.
    """
    with SEEDING, torch.random.fork_rng():
        torch.manual_seed(run.generator(name, 0).initial_seed())
        return make()


def place_module(module: nn.Module, device: torch.device, dtype: torch.dtype, channels_last: bool) -> nn.Module:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return module.to(device, dtype).to(memory_format=layout)  # type: ignore[call-overload, no-any-return]


# --- Numbers that stay on the device ---------------------------------------------------------------------------------


@torch.no_grad()
def add_scaled(tensors: Sequence[Tensor], direction: Sequence[Tensor], scale: float | Tensor) -> None:
    """tensors += scale * direction, in place. A scale of shape () is not read by the host: no wait for a GPU."""
    if not isinstance(scale, Tensor):
        torch._foreach_add_(list(tensors), list(direction), alpha=scale)
    elif scale.device.type == "cpu":  # rounds once, as the line above
        torch._foreach_addcmul_(list(tensors), list(direction), [scale] * len(tensors))
    else:
        torch._foreach_add_(list(tensors), torch._foreach_mul(list(direction), scale))


# --- Where a run stands ----------------------------------------------------------------------------------------------

# Fields of a Place that a checkpoint does not save as they are: epoch and step are its own, timer is saved as `spent`,
# unread is empty once it has been read; the others are of this process.
NOT_SAVED = ("epoch", "step", "timer", "unread", "mark_s", "numbers")


@dataclass
class Place:
    """Epoch and step of a loop, both counted from 0, with the sums of the epoch so far and the time spent.

    Sums and losses stay on the device until `read`, which the means, a line of the metrics and a checkpoint call: a
    step never waits for a GPU. sums: of the epoch so far, by the names that the task gives them, over `count` images
    or words; numbers: those of the last step that was read; timer: where the time goes.
    epochs_before: those of the schedule that were over when the run began, by another run.
    """

    epoch: int = 0
    epochs_before: int = 0
    step: int = 0
    step_in_epoch: int = 0
    count: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    epoch_s: float = 0.0
    mark_s: float = field(default_factory=time.perf_counter)
    timer: Timer = field(default_factory=Timer)
    numbers: dict[str, float] = field(default_factory=dict)
    unread: list["Step"] = field(default_factory=list)

    def advance(self, count: int, sums: Sums, lr: float, **losses: Tensor) -> None:
        """One more step was made, on `count` images or words, with these sums over them, among them "loss".

        sums, losses (mean ones, by name): shape (), on any device. lr: the learning rate it was made with.
        """
        row = torch.stack([in_double(value.detach()) for value in (*sums.values(), *losses.values())])
        self.unread.append(Step(self.step, count, lr, tuple(sums), tuple(losses), row))
        self.step, self.step_in_epoch, self.count = self.step + 1, self.step_in_epoch + 1, self.count + count

    def read(self) -> None:
        """Moves the numbers of the steps since the last reading from the device, with one wait, into the sums.

        Raises CannotContinueError, naming the first such step, if a loss is NaN or infinite.
        """
        if not self.unread:
            return
        rows = torch.stack([step.row for step in self.unread]).tolist()
        steps, self.unread = self.unread, []
        for step, row in zip(steps, rows, strict=True):
            sums = dict(zip(step.sums, row, strict=False))
            losses = dict(zip(step.losses, row[len(sums) :], strict=True))
            named = {"train_loss": sums["loss"] / step.count, **losses}
            check_finite(step.number, step.lr, **named)
            self.sums = {name: self.sums.get(name, 0.0) + value for name, value in sums.items()}
            self.numbers = {**named, "lr": step.lr}

    def next_epoch(self) -> None:
        self.epoch, self.step_in_epoch, self.count, self.sums = self.epoch + 1, 0, 0, {}
        self.epoch_s, self.mark_s, self.timer.spent = 0.0, time.perf_counter(), {}

    def means(self, task: Task) -> dict[str, float]:
        """Training loss and metric of the epoch so far, each batch at the weights it was trained with."""
        self.read()
        return shown(task, "train", self.sums, self.count)

    def times(self) -> dict[str, float]:
        """Seconds of the epoch so far, stops left out, and of its parts; images per second."""
        seconds = self.epoch_s + time.perf_counter() - self.mark_s
        return {"epoch_s": seconds, "images_per_s": self.count / seconds, **self.timer.seconds()}

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint saves of the epoch. Raises as `read`: what has become NaN is not saved."""
        self.read()
        kept = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in NOT_SAVED}
        return {**kept, "epoch_s": self.times()["epoch_s"], "spent": self.timer.spent}


@dataclass(frozen=True)
class Step:
    """What a step on `count` images or words left on the device. row: the sums by their names, then the losses."""

    number: int
    count: int
    lr: float
    sums: tuple[str, ...]
    losses: tuple[str, ...]
    row: Tensor


def of_now(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What `Place.to_json` gives, from what it gave while a place had `images`, `loss` and `correct`."""
    if "images" not in extra:
        return dict(extra)
    rest = {name: value for name, value in extra.items() if name not in ("images", "loss", "correct")}
    sums = {"loss": extra["loss"], "correct": float(extra["correct"])}
    return {**rest, "count": extra["images"], "sums": sums if extra["images"] else {}}


def note_step(run: Run, place: Place, progress: Progress) -> None:
    """Every LOG_EVERY steps reads the numbers and writes those of the step just made into the metrics.

    Shows those read last. Raises CannotContinueError if a loss since the last reading is NaN or infinite.
    """
    if place.step % LOG_EVERY == 0:
        place.read()
        run.log(event="step", epoch=place.epoch, step=place.step, **place.numbers, elapsed_s=run.elapsed_s)
    progress.step(place.step, **place.numbers)


def in_words(numbers: Mapping[str, float]) -> str:
    """Numbers of an epoch on one line; accuracies in percent."""
    values = {n: f"{100 * value:.1f}%" if n.endswith("accuracy") else f"{value:.4g}" for n, value in numbers.items()}
    return "  ".join(f"{SPOKEN.get(name, name.replace('_', ' '))} {value}" for name, value in values.items())


def parts_of(state: Any, names: Mapping[str, str] | None = None) -> dict[str, Savable]:
    """Every field of a dataclass that `save` can write, by its name or the one that `names` gives it."""
    kinds = (nn.Module, torch.optim.Optimizer, Mapping)
    values = {one.name: getattr(state, one.name) for one in fields(state)}
    return {(names or {}).get(name, name): value for name, value in values.items() if isinstance(value, kinds)}


def save(run: Run, place: Place, **parts: Savable) -> None:
    """A checkpoint of the place and of modules, optimizers and tables of tensors, each under its name."""
    with place.timer("save"):
        extra = place.to_json()
        tensors = {}
        for name, part in parts.items():
            tensors.update({f"{name}/{key}": tensor for key, tensor in tensors_of(part).items()})
        run.save(tensors, step=place.step, epoch=place.epoch, extra=extra)


def restore(checkpoint: Checkpoint, place: Place, **parts: Savable) -> None:
    """Puts a checkpoint back into the objects that `save` was given. Raises InputError for one of another run."""
    found: dict[str, dict[str, Tensor]] = {name: {} for name in parts}
    for full, tensor in checkpoint.tensors.items():
        name, _, key = full.partition("/")
        found.setdefault(name, {})[key] = tensor
    for name, tensors in found.items():
        if name not in parts or not fits(parts[name], tensors):
            raise InputError(
                f"checkpoint {checkpoint.place} is of another run: its {name} is not of this run's kind and sizes; "
                "restore this run's own, or start a new run"
            )
    for name, part in parts.items():
        put_back(part, found[name])
    place.step, place.epoch = checkpoint.step, checkpoint.epoch
    extra = of_now(checkpoint.extra)
    place.timer.spent = extra.pop("spent", {})
    for name, value in extra.items():
        setattr(place, name, value)
    place.mark_s = time.perf_counter()


def fits(part: Savable, tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors can be put back into a part: the same names and shapes; of an optimizer, its parameters'."""
    if not isinstance(part, torch.optim.Optimizer):
        own = tensors_of(part)
        return own.keys() == tensors.keys() and all(own[name].shape == tensors[name].shape for name in own)
    shapes = {str(n): p.shape for n, p in enumerate(p for group in part.param_groups for p in group["params"])}
    return all(
        tensor.dim() == 0 or tensor.shape == shapes.get(name.partition("/")[0]) for name, tensor in tensors.items()
    )


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
