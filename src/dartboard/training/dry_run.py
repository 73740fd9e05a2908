"""A few real steps in a temporary folder: the seconds and bytes they take, and the estimate for the complete run."""

import contextlib
import gc
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dartboard.config import Setup
from dartboard.data.splits import Data, Split, picked
from dartboard.devices import forget_peak, free_bytes, in_words, peak_bytes, pick_device, resident_bytes
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost
from dartboard.training.epoch_work import EpochWork

if TYPE_CHECKING:
    from dartboard.runs.checkpoint import Checkpoint

ENOUGH_S, ENOUGH_EPOCHS = 7.0, 20  # seconds, and epochs of one step each, after which the measurement ends
ALONE = 4  # times those seconds: a first step that takes longer is not followed by another
SCORED = 256  # images of a split that are scored after a step
SMALL = 2  # images of the first of the batches whose bytes give those of any batch: they lie on a line
CLEAR = 2e8  # bytes of a step, compared with which an allocator keeps little of the step before
CERTAIN = 6  # numbers of memory for each number in a map: more than the plain form, which stores every map, ever takes
TINY = 10_000  # numbers of memory for each pixel, channel, cell and image; the DARTS supernet has maps of 92
NUMBER_BYTES = {"float32": 4, "bf16": 4, "float64": 8}
SPARE = 0.9  # share of the free memory that the batch we propose may take


@dataclass(frozen=True)
class Job:
    """A search or training that may be done. work: begins it, from a config, data and a run; cost: of its network.

    epoch: what its epochs are made of, as the method or the training says; at_once: how many of them run side by
    side in one process, each with its own seed.
    """

    header: Mapping[str, str | None]
    setup: Setup
    config: Any
    data: Data
    cost: Cost
    work: Callable[[Any, Data, Run], object]
    epoch: EpochWork
    at_once: int = 1

    @property
    def images(self) -> int:
        """Images of an epoch."""
        return self.epoch.num_images(self.data)

    @property
    def scored(self) -> Split:
        """The split that is scored after each epoch."""
        return self.epoch.scored(self.data)


@dataclass(frozen=True)
class Seconds:
    """begin: until the first step; steps: of each step; score: of `scored` images; save: of a checkpoint."""

    begin: float
    steps: tuple[float, ...]
    score: float
    scored: int
    save: float

    @property
    def step(self) -> float:
        """Of a step."""
        return usual(self.steps)


def usual(times: Sequence[float]) -> float:
    """The median, without the first one if there are others: it makes things ready, too."""
    return statistics.median(times[1:] or times)


class DryRun(Run):
    """A run that takes the time of its parts, and ends when that is known. Its epochs have one step each."""

    def __init__(self, folder: Any, *, write: bool) -> None:
        """Use `create`."""
        super().__init__(folder, write=write)
        self.began = self.mark = time.perf_counter()
        self.begin_s = 0.0
        self.enough_s = ENOUGH_S
        self.times: dict[str, list[float]] = {"step": [], "score": [], "save": []}

    def load(self) -> "Checkpoint | None":
        found = super().load()
        self.begin_s, self.mark = time.perf_counter() - self.began, time.perf_counter()
        return found

    def pulse(self, save: Callable[[], None], step: int) -> None:
        super().pulse(save, step)
        self.note("step")

    def log(self, **fields: Any) -> None:
        if fields.get("event") == "epoch":
            self.note("score")
        super().log(**fields)

    def save(self, *values: Any, **more: Any) -> None:
        self.mark = time.perf_counter()
        super().save(*values, **more)
        self.note("save")
        if self.enough():
            raise InterruptedRunError("all is known", 0)

    def enough(self) -> bool:
        """Whether to end: not before the second step, unless the first, which makes things ready, took very long."""
        steps = self.times["step"]
        late = time.perf_counter() - self.began - self.begin_s > self.enough_s
        return len(steps) >= ENOUGH_EPOCHS or (late and (len(steps) > 1 or steps[0] > ALONE * self.enough_s))

    def note(self, part: str) -> None:
        """A part has ended, on the device too; the next one begins."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.times[part].append(time.perf_counter() - self.mark)
        self.mark = time.perf_counter()


def measure_steps(
    job: Job, batch_size: int, enough_s: float | None = None, scored: int = SCORED
) -> tuple[Seconds, int]:
    """Makes real steps, each with its scoring and saving; their seconds, and the most bytes they take.

    enough_s: seconds after which no further step begins, by default ENOUGH_S; scored: images to score. The bytes
    are those on the job's device, without what was there before. Raises CannotContinueError.
    """
    epochs = max(job.config.epochs, ENOUGH_EPOCHS + 1)  # so that it never comes to the end
    config = replace(job.config, batch_size=batch_size, epochs=epochs, **job.epoch.left_out)
    data = shortened(job, batch_size, scored)
    setup = replace(job.setup, budget=None, until=None, save_every="9d")
    command, method, space = (job.header.get(name) for name in ("command", "method", "space"))
    temporary = tempfile.TemporaryDirectory(prefix="dartboard-dry-run-")
    with temporary as folder, watched(pick_device(setup.device)) as taken:
        run = DryRun.create(folder, config, setup=setup, command=command, method=method, space=space)
        run.enough_s = ENOUGH_S if enough_s is None else enough_s
        with run, contextlib.redirect_stdout(io.StringIO()):
            try:
                job.work(config, data, run)
            except InterruptedRunError as error:
                if error.exit_code:
                    raise
    score, save = (usual(run.times[part]) for part in ("score", "save"))
    return Seconds(run.begin_s, tuple(run.times["step"]), score, len(job.epoch.scored(data)), save), taken[0]


@contextlib.contextmanager
def watched(device: torch.device) -> Any:
    """Gives a list that holds, after the work inside, the most bytes it took at once on the device."""
    taken: list[int] = []
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield taken
        return taken.append(torch.cuda.max_memory_allocated(device) - before)
    forget_peak()
    before = resident_bytes()
    yield taken
    taken.append(max(0, peak_bytes() - before))


def shortened(job: Job, batch_size: int, scored: int) -> Data:
    """The data with a single batch to train on, and few images to score."""
    data = job.data
    if "val" in job.epoch.learn_on:
        num_train = max(1, min(batch_size - 1, len(data.train)))
        num_val = max(1, batch_size - num_train)
    else:
        num_train, num_val = batch_size, max(batch_size, min(scored, len(data.val)))
    return replace(data, train=head(data.train, num_train), val=head(data.val, num_val), test=head(data.test, scored))


def head(split: Split, number: int) -> Split:
    """The first images of a split."""
    return picked(split, np.arange(min(number, len(split))))


# --- Whether it fits -------------------------------------------------------------------------------------------------


def is_tiny(setup: Setup, config: Any, data: Data, at_once: int = 1) -> bool:
    """Whether a job, or `at_once` of them together, takes so little memory that there is nothing to count."""
    size = at_once * data.image_size**2 * config.channels * config.cells * config.batch_size
    return bool(TINY * size < free_bytes(pick_device(setup.device)) / NUMBER_BYTES[setup.precision])


def check_weights(job: Job) -> None:
    """Raises InputError for a job whose weights alone take more memory than is free: no step of it can be tried."""
    free = free_bytes(pick_device(job.setup.device))
    weights = NUMBER_BYTES[job.setup.precision] * job.at_once * job.cost.params
    if weights > free:
        raise InputError(
            f"the weights alone take {in_words(weights)} of memory, and {in_words(free)} are free; "
            "give fewer --channels or --cells"
        )


def check_memory(job: Job) -> None:
    """Raises InputError, naming the largest batch that fits, for a job that takes more memory than is free.

    Counts first; only if that leaves a doubt, a few steps of small batches are made and extrapolated.
    """
    batch_size, free = job.config.batch_size, free_bytes(pick_device(job.setup.device))
    if certainly_fits(job, free):
        return
    try:
        base, slope = memory_line(job, free)
    except CannotContinueError as error:
        text = f"not even a step of {min(batch_size, 4 * SMALL)} images fits in {in_words(free)} of free memory"
        raise InputError(f"{text}; give fewer --channels or --cells, or a smaller --image-size") from error
    needed = job.at_once * (base + slope * batch_size)
    if needed <= free:
        return
    largest = int((SPARE * free / job.at_once - base) / slope) if slope else 0
    fits = SMALL <= largest < batch_size
    advice = f"--batch-size {largest} or less fits" if fits else "give fewer --channels or --cells"
    advice += "" if job.at_once == 1 else ", or leave out --together"
    each = "" if job.at_once == 1 else f" of each of {job.at_once} searches at once"
    text = (
        f"a step of {batch_size} images{each} takes about {in_words(needed)} of memory, and {in_words(free)} are free"
    )
    raise InputError(f"{text}; {advice}")


def certainly_fits(job: Job, free: int) -> bool:
    """Whether far more memory than any form of a step takes, for weights, what goes with them, and maps, would fit."""
    values = CERTAIN * job.at_once * (job.cost.params_with_auxiliary + job.cost.map_values * job.config.batch_size)
    return bool(NUMBER_BYTES[job.setup.precision] * values < free)


def memory_line(job: Job, free: int) -> tuple[float, float]:
    """(base, slope) in bytes: a step of B images takes base + slope * B. Raises CannotContinueError.

    Batches grow fourfold until their bytes stand out from what an allocator keeps, or the next might not fit.
    """
    if job.config.batch_size <= SMALL:
        return float(measure_steps(job, job.config.batch_size, 0.0, SMALL)[1]), 0.0
    cold, taken = (measure_steps(job, SMALL, 0.0, SMALL)[1] for _ in range(2))
    if job.config.batch_size <= 4 * SMALL:
        batch = job.config.batch_size
        more = measure_steps(job, batch, 0.0, batch)[1]
        slope = max(1.0, (more - taken) / (batch - SMALL))
        return max(more - slope * batch, cold - slope * SMALL, 0.0), slope
    batch, slope = SMALL, 0.0
    while batch == SMALL or (taken < CLEAR and 4 * batch <= job.config.batch_size and 8 * taken < free):
        before, batch = taken, 4 * batch
        taken = measure_steps(job, batch, 0.0, batch)[1]
        slope = max(1.0, (taken - before) / (batch - batch // 4))
    return max(taken - slope * batch, cold - slope * SMALL, 0.0), slope  # cold: libraries on their first use, too
