"""What all searches with shared weights have in common and no paper claims: their settings, the supernet with its
optimizer, the start or resumption of a search, the learning rate, what surrounds the loop. The loop is the method's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import ClassVar, Literal

import torch
from torch import nn

from dartboard import networks
from dartboard.config import MOST_CHANNELS, MOST_EPOCHS, check_ranges, check_types
from dartboard.data import Data
from dartboard.errors import InputError
from dartboard.networks.layers import Noise, noises_of
from dartboard.runs.checkpoint import Checkpoint, checkpoints, write_checkpoint
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.search import warm_start
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace
from dartboard.tasks.task import Task
from dartboard.training import cuda_graphs, from_scratch, loop, optimizers

OF_SUPERNET = "supernet/"  # what the names of a supernet's tensors begin with in a checkpoint
KEPT = "kept"  # the folder in a run with the weights that stay, as checkpoints of these alone


@dataclass(frozen=True)
class WeightSettings:
    """Settings by which the weights of every supernet are trained. Defaults: the official DARTS code's CIFAR-10 search
    (quark0/darts, cnn/train_search.py), of which most others made theirs; a method whose paper has another value gives
    it itself."""

    channels: int = 16
    """channels of the first cell's nodes (--init_channels 16)"""
    cells: int = 8
    """number of cells, two of them reductions (--layers 8)"""
    epochs: int = 50
    """passes over the training split (--epochs 50)"""
    schedule_epochs: int | None = None
    """epochs of the learning rate schedule, if another search will continue this one; none: --epochs"""
    batch_size: int = 64
    """images per batch, for the weights and for the architecture (--batch_size 64)"""
    lr: float = 0.025
    """learning rate of the weights at the start (--learning_rate)"""
    lr_min: float = 0.001
    """learning rate of the weights at the end of the cosine (--learning_rate_min; the DARTS paper's text: 0)"""
    momentum: float = 0.9
    """momentum of the weights' SGD (--momentum)"""
    weight_decay: float = 3e-4
    """weight decay of the weights (--weight_decay)"""
    grad_clip: float = 5.0
    """largest global norm of the weights' gradient (--grad_clip)"""
    crop_padding: int = 4
    """pixels of padding before the random crop (official code)"""
    flip: bool = True
    """mirror half of the images (official code)"""
    cutout: int = 0
    """side of the square hole in pixels, 0 for none (--cutout is off in the published search)"""
    keep_every: int | None = None
    """keep the supernet's weights after each of so many epochs, for `dartboard rank`; none: the last two checkpoints"""

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, channels="[1, inf)", epochs="[1, inf)", batch_size="[1, inf)")
        check_ranges(self, schedule_epochs="[1, inf)", keep_every="[1, inf)")
        check_ranges(self, channels=MOST_CHANNELS, epochs=MOST_EPOCHS, schedule_epochs=MOST_EPOCHS)
        check_ranges(self, lr="(0, inf)", grad_clip="(0, inf)", lr_min="[0, inf)", weight_decay="[0, inf)")
        check_ranges(self, crop_padding="[0, inf)", cutout="[0, inf)", momentum="[0, 1)")
        networks.check_cells(self.cells)


@dataclass(frozen=True)
class Settings(WeightSettings):
    """Settings of a search with shared weights: those of the weights, and how the supernet is computed."""

    supernet: Literal["fast", "plain"] = "fast"
    """how the supernet is computed: by the identities of networks/fast, or one module at a time; same function"""
    channels_last: bool = True
    """memory layout of images and weights: faster on CPU, same function up to rounding"""


@dataclass
class State:
    """Everything that changes during a search with shared weights, in a space that does not.

    A method adds fields of its own; a checkpoint holds every field that has tensors. SAVED_AS: the names of parts in a
    checkpoint, if they are not those of the fields.
    """

    SAVED_AS: ClassVar[Mapping[str, str]] = {"w_optimizer": "w"}

    space: SearchSpace
    supernet: nn.Module
    w_optimizer: torch.optim.Optimizer
    place: loop.Place
    noises: list[Noise] = field(init=False)

    def __post_init__(self) -> None:
        self.noises = noises_of(self.supernet)

    def parts(self) -> dict[str, loop.Savable]:
        """What a checkpoint holds, by name."""
        return loop.parts_of(self, self.SAVED_AS)


# --- The supernet ----------------------------------------------------------------------------------------------------


def built(space: SearchSpace, data: Data, channels: int, cells: int, form: str = "plain") -> nn.Module:
    """A supernet of the space at these sizes, for images of this data, with initial weights from torch's generator.

    form: of its cells, where the family has several. Raises InputError for a family that has no supernet.
    """
    make = networks.supernet_of(space.family)
    forms = {"form": form} if "form" in signature(make).parameters else {}
    supernet: nn.Module = make(
        channels=channels,
        cells=cells,
        num_classes=data.num_classes,
        in_channels=data.channels,
        **FAMILIES[space.family].of_supernet(space),
        **forms,
    )
    return supernet


def placed(
    config: Settings, space: SearchSpace, data: Data, run: Run, given: nn.Module | None = None
) -> nn.Module:
    """The supernet to search with, on the run's device: the one that is given, or a new one from the run's seed."""
    device, dtype = loop.prepare(run)
    form = config.supernet if isinstance(config, Settings) else "plain"
    make = partial(built, space, data, config.channels, config.cells, form)
    supernet = loop.seeded(run, "weights", make) if given is None else given
    return loop.place_module(supernet, device, dtype, config.channels_last).train()


def sgd(config: WeightSettings, supernet: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the weights."""
    return optimizers.momentum_sgd(supernet.parameters(), config.lr, config.momentum, config.weight_decay)


# --- Around the loop -------------------------------------------------------------------------------------------------


def start(state: State, config: WeightSettings, run: Run, carried: warm_start.Carried) -> None:
    """Puts the run's newest checkpoint into a fresh state or, if there is none, what the run takes from another.

    carried: what the method can take. Raises InputError if it does not fit, and for a schedule that is too short.
    """
    if (checkpoint := run.load()) is not None:
        loop.restore(checkpoint, state.place, **state.parts())
    elif run.warm_start is not None:
        state.place.epochs_before = warm_start.epochs_before(run)
        warm_start.load_carried(run, carried, state.supernet, state.parts())
    learning_rate(config, state.place, config.epochs - 1)


def learning_rate(config: WeightSettings, place: loop.Place, epoch: int) -> float:
    """Of the weights: a cosine, per epoch as in the official code. Raises InputError past the schedule's end."""
    total = config.schedule_epochs or place.epochs_before + config.epochs
    if place.epochs_before + epoch >= total:
        raise InputError(f"--schedule-epochs {total} is less than the epochs of the search; give more")
    return from_scratch.cosine(config.lr, config.lr_min, place.epochs_before + epoch, total)


@contextmanager
def at_work(config: WeightSettings, state: State, task: Task, run: Run) -> Iterator[Progress]:
    """Surrounds the loop: handles signals and memory, takes times, and yields what shows the progress.

    Raises as `Run.guarded`.
    """
    num_steps, timer = len(task.order("train", run, 0)), state.place.timer
    parts = [part for part in state.parts().values() if isinstance(part, nn.Module | torch.optim.Optimizer)]
    watched = () if cuda_graphs.wanted(run.device) else parts
    progress_ = run.progress(total_steps=config.epochs * num_steps, total_epochs=config.epochs)
    with run.guarded(), progress_ as progress, timer.watching(*watched), cuda_graphs.own_stream(run.device):
        yield progress


def save(state: State, run: Run) -> None:
    """A checkpoint, from which the search resumes at the next step; of some epochs the weights stay (`keep_every`)."""
    loop.save(run, state.place, **state.parts())
    every, place = run.settings.get("keep_every"), state.place
    if every is not None and place.step_in_epoch == 0 and place.epoch and place.epoch % every == 0:
        keep_weights(state, run)


def keep_weights(state: State, run: Run) -> None:
    """Writes the supernet's weights to where they stay; once, however often the epoch is repeated after a stop."""
    if any(found.name == f"step-{state.place.step:09d}" for found in checkpoints(run.folder / KEPT)):
        return
    weights = {f"{OF_SUPERNET}{name}": tensor for name, tensor in state.supernet.state_dict().items()}
    write_checkpoint(run.folder / KEPT, Checkpoint(weights, state.place.step, state.place.epoch))
