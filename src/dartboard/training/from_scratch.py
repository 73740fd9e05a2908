"""Training: one step, schedules, and `fit`, which trains a network from scratch on train and val together.

The defaults are the official code's CIFAR-10 training (quark0/darts, cnn/train.py with --auxiliary --cutout).
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dartboard import networks
from dartboard.config import MOST_CHANNELS, MOST_EPOCHS, check_kind, check_ranges, check_types
from dartboard.data import Data
from dartboard.errors import InputError
from dartboard.networks import check_cells, outputs
from dartboard.networks.layers import Noise, noises_of, renew
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.metrics_file import last_epoch
from dartboard.runs.run import Run
from dartboard.runs.timer import Timer
from dartboard.scoring.cost import count_module, num_params
from dartboard.scoring.evaluate import running_score
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch, Output, Sums, Task
from dartboard.training import cuda_graphs, loop
from dartboard.training.epoch_work import EpochWork
from dartboard.training.optimizers import clip, momentum_sgd

# --- Schedules, as functions of the epoch ----------------------------------------------------------------------------


def cosine(start: float, end: float, epoch: int, epochs: int) -> float:
    """start at epoch 0, falling as half a cosine, `end` at epoch `epochs` (which is never reached)."""
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * epoch / epochs))


def exponential(start: float, factor: float, epoch: int) -> float:
    """start * factor ** epoch."""
    return float(start * factor**epoch)


# --- One step --------------------------------------------------------------------------------------------------------


def step(loss: Tensor, optimizer: torch.optim.Optimizer, lr: float, grad_clip: float) -> None:
    """One step of the optimizer at learning rate `lr`, with the gradient clipped to a global norm."""
    optimizer.zero_grad(set_to_none=True)  # what the loss does not reach is not moved by momentum or weight decay
    loss.backward()  # type: ignore[no-untyped-call]
    apply(optimizer, lr, grad_clip)


def apply(optimizer: torch.optim.Optimizer, lr: float, grad_clip: float) -> None:
    """The step with the gradients that are there, clipped to a global norm."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    clip([p.grad for p in weights if p.grad is not None], grad_clip)
    optimizer.step()


# --- Training from scratch -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """Settings of a training. Defaults: the official code's CIFAR-10 training (quark0/darts, cnn/train.py)."""

    channels: int = 36
    """channels of the first cell's nodes (--init_channels 36)"""
    cells: int = 20
    """number of cells, two of them reductions (--layers 20)"""
    epochs: int = 600
    """passes over the training images, train and val together (--epochs 600)"""
    batch_size: int = 96
    """images per batch (--batch_size 96)"""
    lr: float = 0.025
    """learning rate at the start (--learning_rate; ImageNet 0.1)"""
    lr_min: float = 0.0
    """learning rate at the end of the cosine"""
    lr_schedule: Literal["cosine", "exponential"] = "cosine"
    """cosine from lr to lr_min, or lr * lr_factor ** epoch (the ImageNet recipe)"""
    lr_factor: float = 0.97
    """factor per epoch of the exponential schedule (ImageNet: --gamma 0.97)"""
    momentum: float = 0.9
    """momentum of SGD"""
    weight_decay: float = 3e-4
    """weight decay (ImageNet 3e-5)"""
    grad_clip: float = 5.0
    """largest global norm of the gradient"""
    drop_path: float = 0.2
    """chance to drop an operation's output at the end; rises linearly from 0 with the epoch (--drop_path_prob)"""
    auxiliary: bool = True
    """train a second classifier after the second reduction (--auxiliary)"""
    auxiliary_weight: float = 0.4
    """weight of the second classifier's loss (--auxiliary_weight)"""
    label_smoothing: float = 0.0
    """label smoothing (ImageNet 0.1)"""
    crop_padding: int = 4
    """pixels of padding before the random crop"""
    flip: bool = True
    """mirror half of the images"""
    cutout: int = 16
    """side of the square hole in pixels, 0 for none (--cutout --cutout_length 16)"""
    color_jitter: float = 0.0
    """range of random brightness, contrast and saturation (ImageNet 0.4)"""
    hue_jitter: float = 0.0
    """range of random hue, in turns (ImageNet 0.2)"""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """how images enter: at full size, or at an eighth of it"""
    network: Literal["fast", "plain"] = "fast"
    """how the network is computed: by the identities of fast_network.py, or module by module; same function"""
    channels_last: bool = True
    """memory layout of images and weights: faster on CPU, same function up to rounding"""

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, channels="[1, inf)", epochs="[1, inf)", batch_size="[1, inf)")
        check_ranges(self, channels=MOST_CHANNELS, epochs=MOST_EPOCHS)
        check_ranges(self, lr="(0, inf)", lr_factor="(0, 1]", lr_min="[0, inf)", weight_decay="[0, inf)")
        check_ranges(self, momentum="[0, 1)", grad_clip="(0, inf)", drop_path="[0, 1)", auxiliary_weight="[0, inf)")
        check_ranges(self, label_smoothing="[0, 1)", crop_padding="[0, inf)", cutout="[0, inf)")
        check_ranges(self, color_jitter="[0, 1]", hue_jitter="[0, 0.5]")
        check_cells(self.cells)


@dataclass(frozen=True)
class Score:
    """What a training reached with its last epoch's weights. Accuracies in [0, 1]; NaN if a split was not scored."""

    test_accuracy: float
    test_loss: float
    train_accuracy: float
    params: int
    val_accuracy: float = math.nan
    val_loss: float = math.nan


LearnOn = Literal["train and val", "train"]
ScoreOn = Literal["test", "val"]
FirstWeights = Literal["drawn", "given"]
WORK = EpochWork(learn_on=("train", "val"), score_on="test")  # of an epoch of `fit`, as its defaults have it


@dataclass
class Training:
    """Everything that changes while a network trains."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    place: loop.Place
    noises: list[Noise]


def fit(
    config: Config,
    network: nn.Module,
    data: Data,
    run: Run,
    *,
    learn_on: LearnOn = "train and val",
    score_on: ScoreOn = "test",
    first_weights: FirstWeights = "drawn",
) -> Score:
    """Trains from scratch on train and val together; starts, or resumes from the run's checkpoint.

    network: a Network, or any module of images to logits. Its initial weights are drawn again from the run's seed, or
    they are those that are given, which is no training from scratch (studies/fine_tuning.py).
    The result is the last epoch's weights, also in weights.safetensors; the test accuracy of each epoch is logged and
    used for nothing. A training that serves as a score learns on "train" and is scored on "val": then no test image is
    read. Raises InputError for a batch larger than the data and for arguments of another kind, CannotContinueError
    if the loss is NaN.
    """
    check_kind(config, Config, "fit takes a train.Config first")
    check_kind(network, nn.Module, "fit takes a network, an nn.Module, second")
    check_kind(data, Data, "fit takes what load_data returns third")
    check_kind(run, Run, "fit takes the Run that Run.create returns fourth")
    device, dtype = loop.prepare(run)
    check_splits(learn_on, score_on)
    task = task_of(config, data, learn_on).to(device)
    task.check("training")
    run.check_data(data)
    training = begin(config, network, run, device, dtype, first_weights)
    place = training.place
    num_steps = len(task.order("training", run, 0))
    progress_ = run.progress(total_steps=config.epochs * num_steps, total_epochs=config.epochs)
    parts = () if cuda_graphs.wanted(device) else (training.optimizer,)
    make_step = stepper(config, training, task, run)
    with run.guarded(), progress_ as progress, place.timer.watching(*parts), cuda_graphs.own_stream(device):
        for epoch in range(place.epoch, config.epochs):
            lr = learning_rate(config, epoch)
            order = task.order("training", run, epoch)[place.step_in_epoch :]
            task.announce("training", order)
            for index in order:
                with place.timer("data"):
                    batch = task.batch("training", index, run, place.step, network)
                with place.timer("weights"):
                    sums = make_step(batch.x, batch.y, lr * batch.lr_scale)
                place.advance(batch.size, sums, lr)
                loop.note_step(run, place, progress)
                run.pulse(lambda: loop.save(run, place, **loop.parts_of(training)), place.step)
            with place.timer("scoring"):
                numbers = epoch_numbers(config, training, task, score_on, lr)
            run.log(event="epoch", epoch=epoch, step=place.step, **numbers, **place.times(), elapsed_s=run.elapsed_s)
            progress.epoch(epoch, loop.in_words(numbers))
            place.next_epoch()
            loop.save(run, place, **loop.parts_of(training))
        return finish(network, task, run, score_on)


def check_splits(learn_on: str, score_on: str) -> None:
    """Raises InputError for a split that is not known, and for one that would be learned and scored on."""
    if learn_on not in get_args(LearnOn) or score_on not in get_args(ScoreOn):
        raise InputError("fit learns on 'train and val' or 'train', and scores on 'test' or 'val'")
    if (learn_on, score_on) == ("train and val", "val"):
        raise InputError("the val images would be learned and scored on; learn on 'train' to score on 'val'")


def begin(
    config: Config, network: nn.Module, run: Run, device: torch.device, dtype: torch.dtype,
    first_weights: FirstWeights = "drawn",
) -> Training:  # fmt: skip
    """The network with weights drawn from the run's seed or as given, or as in the run's checkpoint."""
    if first_weights == "drawn":
        loop.seeded(run, "weights", lambda: redraw(network))
    loop.place_module(network, device, dtype, config.channels_last).train()
    optimizer = momentum_sgd(network.parameters(), config.lr, config.momentum, config.weight_decay)
    training = Training(network, optimizer, loop.Place(timer=Timer(device.type)), noises_of(network))
    if (checkpoint := run.load()) is not None:
        loop.restore(checkpoint, training.place, **loop.parts_of(training))
    return training


def redraw(network: nn.Module) -> None:
    """New initial weights, by each layer's own rule (torch's defaults, as in the official code)."""
    for layer in network.modules():
        getattr(layer, "reset_parameters", lambda: None)()


def learning_rate(config: Config, epoch: int) -> float:
    if config.lr_schedule == "exponential":
        return exponential(config.lr, config.lr_factor, epoch)
    return cosine(config.lr, config.lr_min, epoch, config.epochs)


def drop_path_chance(config: Config, epoch: int) -> float:
    """Rises linearly from 0 at the first epoch to config.drop_path, as in the official code."""
    return config.drop_path * epoch / config.epochs


Step = Callable[[Tensor, Tensor, float], Sums]


def stepper(config: Config, training: Training, task: Task, run: Run) -> Step:
    """A step of SGD as a function of a batch's x and y and of the learning rate. It returns the task's sums.

    On a GPU the fast network's step is recorded and replayed (cuda_graphs.py): what is drawn for it is drawn before and
    handed in.
    """
    network, place = training.network, training.place
    line = partial(training_step, config, training, task, run)
    if outputs.is_recordable(network, config.network) and not training.noises:
        line = cuda_graphs.recorder(run.device)(line)  # type: ignore[assignment]

    def make_step(x: Tensor, y: Tensor, lr: float) -> Sums:
        renew(training.noises, place.step)
        generator = run.generator("drop-path", place.step, device=str(x.device))
        factors = outputs.drawn(network, x, drop_path_chance(config, place.epoch), generator)
        return line(x, y, lr) if factors is None else line(x, y, lr, factors)

    return make_step


def training_step(
    config: Config, training: Training, task: Task, run: Run, x: Tensor, y: Tensor, lr: float,
    factors: Tensor | None = None,
) -> Sums:  # fmt: skip
    """One step of SGD; the task's sums over the batch. factors: drop path's."""
    network, place = training.network, training.place

    def model(x: Tensor, state: Any) -> Output:
        with nullcontext() if cuda_graphs.wanted(x.device) else place.timer("forward"), loop.autocast(run):
            return outputs.output(network, x, state=state, drop=factors, form=config.network)

    outcome = task.loss(model, Batch(x, y))
    step(outcome.loss, training.optimizer, lr, config.grad_clip)
    return outcome.sums


def epoch_numbers(config: Config, training: Training, task: Task, score_on: ScoreOn, lr: float) -> dict[str, float]:
    numbers = {"lr": lr, "drop_path": drop_path_chance(config, training.place.epoch), **training.place.means(task)}
    return {**numbers, **running_score(training.network, task, score_on)}


def finish(network: nn.Module, task: Task, run: Run, score_on: ScoreOn) -> Score:
    """Writes the weights and the result, and returns it."""
    last = last_epoch(run.metrics())
    counts = {"params": num_params(network)}
    if networks.family_of(network) is not None:
        cost = count_module(network, task.shape["image_size"], task.shape["in_channels"])
        counts = {"params": cost.params, "macs": cost.macs}
    numbers = {name: last[name] for name in (f"{score_on}_accuracy", f"{score_on}_loss", "train_accuracy")}
    if not run.done:
        write_weights(network, run.folder / "weights.safetensors")
        run.finish(None, **numbers, **counts, elapsed_s=run.elapsed_s)
    return Score(**{"test_accuracy": math.nan, "test_loss": math.nan, **numbers}, params=counts["params"])


def write_weights(network: nn.Module, path: Path) -> None:
    """All weights and buffers as one safetensors file, completely or not at all."""
    from safetensors.torch import save as as_bytes

    state = network.state_dict()
    replace_file(path, as_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}))
