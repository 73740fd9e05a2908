"""What bench.py compares: forms of the supernet and of the network that is trained, and the work each is timed at."""

import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from dartboard import kernels, train
from dartboard.config import Setup
from dartboard.data import Data, load_data
from dartboard.export.folding import predictor
from dartboard.formats import published
from dartboard.methods import darts
from dartboard.networks.darts import Network
from dartboard.runs import allocator
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch

Work = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """batch_size: images a batch; image_size: height and width in pixels."""

    channels: int
    cells: int
    batch_size: int
    image_size: int

    def __str__(self) -> str:
        return f"C={self.channels}, {self.cells} cells, batch {self.batch_size}, {self.image_size}x{self.image_size}"


@dataclass(frozen=True)
class Form:
    """supernet, channels_last: as in the method's Config; kernels: compiled ones; kept: memory kept between steps."""

    name: str
    supernet: str
    channels_last: bool
    kernels: bool
    kept: bool

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Whatever is computed while this lasts is computed in this form."""
        before = os.environ.get(kernels.SWITCH)
        os.environ[kernels.SWITCH] = "1" if self.kernels else "0"
        if not self.kept:
            as_glibc_ships()
        try:
            with allocator.reused_memory() if self.kept else unchanged():
                yield
        finally:
            if before is None:
                del os.environ[kernels.SWITCH]
            else:
                os.environ[kernels.SWITCH] = before


@contextmanager
def unchanged() -> Iterator[None]:
    yield


def as_glibc_ships() -> None:
    """Undoes allocator.reused_memory: the thresholds that glibc reaches by itself when large pieces are freed."""
    library: ctypes.CDLL | None = allocator.glibc()
    if library is not None:
        largest = 32 * 2**20
        library.mallopt(-3, largest)  # M_MMAP_THRESHOLD
        library.mallopt(allocator.TRIM_THRESHOLD, 2 * largest)
        library.mallopt(allocator.MMAP_MAX, 65536)
        library.malloc_trim(0)


ORIGINAL = Form("plain, channels-first", "plain", False, False, False)
LAST = Form("plain, channels-last", "plain", True, False, False)
KEPT = Form("plain, channels-first, memory kept", "plain", False, False, True)
ALONE = (LAST, KEPT)  # what every run has beside the fast form, each alone
PURE = Form("fast, pure torch", "fast", True, False, True)
COMPILED = Form("fast, compiled", "fast", True, True, True)


def forms() -> list[Form]:
    """The forms that this machine has, the one that ratios are taken against first."""
    return [ORIGINAL, PURE, COMPILED] if kernels.available() else [ORIGINAL, PURE]


def best() -> Form:
    return forms()[-1]


def random_images(size: Size, count: int) -> Data:
    count = max(count, 200)  # so that every split has every class
    images = torch.randint(256, (count, 3, size.image_size, size.image_size), dtype=torch.uint8)
    labels = torch.arange(count) % 10
    return load_data(images, labels, test=(images[:10], labels[:10]))


@dataclass
class Searched:
    """A search about to make its first step. works: by name; batch: what prepares the images of one step."""

    works: dict[str, Work]
    batch: Work


FORWARD_BACKWARD, FIRST, SECOND = "forward + backward", "first-order step", "second-order step"
PASSES = {FORWARD_BACKWARD: 1, FIRST: 2, SECOND: 5}  # forward and backward passes, as a rule of thumb for the time


def searched(form: Form, size: Size) -> Searched:
    """The works of a search in this form: one forward and backward pass, one full step of either order."""
    torch.manual_seed(0)
    data = random_images(size, 4 * size.batch_size)
    layout = {"supernet": form.supernet, "channels_last": form.channels_last}
    fields = {name: value for name, value in asdict(size).items() if name != "image_size"}
    configs = [darts.Config(**fields, **layout, second_order=order) for order in (False, True)]
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder) / "run", configs[0], setup=Setup()) as run:
        state = darts.begin(configs[0], SPACES["darts"], data, run, None)
    index = torch.arange(size.batch_size)

    task = task_of(configs[0], data)

    def batch() -> Batch:
        return task.batch("train", index, run, state.place.step, state.supernet)

    first_batch = batch()
    x, y = first_batch[:2]
    weights = {kind: logits.detach().softmax(-1).requires_grad_() for kind, logits in state.alpha.items()}

    def forward_backward() -> None:
        state.supernet.zero_grad(set_to_none=True)
        F.cross_entropy(state.supernet(x, weights), y).backward()

    def loss() -> torch.Tensor:
        return darts.loss_of(state, task, first_batch, run)

    def step(config: darts.Config) -> None:
        darts.update_alpha(config, state, loss, loss, xi=config.lr)
        darts.update_weights(config, state, task, first_batch, run, config.lr)

    first, second = (lambda config=config: step(config) for config in configs)  # type: ignore[misc]
    return Searched({FORWARD_BACKWARD: forward_backward, FIRST: first, SECOND: second}, batch)


def trained(size: Size, form: Form) -> Work:
    """One step of training DARTS_V2 from scratch, with auxiliary head and drop path: "plain" or "fast" as the form."""
    torch.manual_seed(0)
    data = random_images(size, 2 * size.batch_size)
    fields = {name: value for name, value in asdict(size).items() if name != "image_size"}
    config = train.Config(**fields, network=form.supernet, channels_last=form.channels_last)
    network = drawn(size)
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder) / "run", config, setup=Setup()) as run:
        training = train.begin(config, network, run, torch.device("cpu"), torch.float32)
    training.place.epoch = config.epochs // 2
    task = task_of(config, data, "train")
    x, y = task.batch("training", torch.arange(size.batch_size), run, 0, network)[:2]
    make_step = train.stepper(config, training, task, run)
    return lambda: make_step(x, y, config.lr)


def answered(size: Size, form: Form) -> Work:
    """Logits of one batch by DARTS_V2 in evaluation mode: as it is, or (fast) with BatchNorm folded."""
    torch.manual_seed(0)
    network = drawn(size).eval()
    x = torch.randn(size.batch_size, 3, size.image_size, size.image_size)
    return torch.no_grad()((lambda: network(x)) if form.supernet == "plain" else partial_of(predictor(network), x))


def partial_of(predict: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Work:
    return lambda: predict(x)


def drawn(size: Size) -> Network:
    architecture = published()["DARTS_V2"].architecture
    sizes = {"channels": size.channels, "cells": size.cells, "image_size": size.image_size}
    return Network(architecture, **sizes)
