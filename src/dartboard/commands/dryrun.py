"""--dry-run: what a command would do, how large it is, and what a few real steps say of its time and memory."""

import copy
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from dartboard.commands import work
from dartboard.commands.flags import resolved
from dartboard.config import Setup, flat
from dartboard.devices import free_bytes, in_words, pick_device, resident_bytes
from dartboard.methods import METHODS, method_module, trained_space
from dartboard.methods.explained import passes_of
from dartboard.methods.explained.record import BOTH_WAYS
from dartboard.scoring import space_costs
from dartboard.scoring.limits import limits_from
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dartboard.data import Data
    from dartboard.runs.run import Run
    from dartboard.training.dry_run import Job, Seconds


def search(header: Mapping[str, str], setup: Setup, config: Any, seeds: int = 1, together: bool = False) -> float:
    """Prints the settings, the supernet's size, and time and memory of a search, or of several, one per seed.

    Returns the seconds of all of them. Leaves no folder behind. Raises InputError if it does not fit.
    """
    work.use_threads(setup.threads)
    job = search_job(header, setup, config, work.load_or_shapes(setup), seeds if together else 1)
    print(resolved(header, setup, config))
    work.say_where_absent(setup)
    work.announce(job.data)
    print(f"{described(job.data)}\nsupernet: {counts(job)}")
    if (costs := costs_before(header, config, job.data)) is not None:
        print("\n".join(space_costs.lines(costs)))
    print(step_line(job))
    total_s = seeds * estimate(job, seeds)
    if job.epoch.leaves_out(config):
        print(job.epoch.remark)
    return total_s


def train(
    architecture: Architecture, header: Mapping[str, str | None], setup: Setup, config: Any, seeds: int = 1
) -> None:
    """Prints the settings, the network's counts, and time and memory of a training, or of several, one per seed.

    Leaves no folder behind. Raises InputError if it does not fit.
    """
    work.use_threads(setup.threads)
    data = work.load_or_shapes(setup)
    job = training_job(header, setup, config, data, work.build_network(architecture, config, data))
    print(resolved(header, setup, config))
    work.say_where_absent(setup)
    work.announce(data)
    print(f"{described(data)}\nnetwork: {counts(job)}")
    estimate(job, seeds)


def check_search(header: Mapping[str, str], setup: Setup, config: Any, data: "Data", at_once: int = 1) -> None:
    """Raises InputError for searches, `at_once` of them side by side, that take more memory than is free, and for a
    family whose networks cannot be imported."""
    from dartboard import networks
    from dartboard.training.dry_run import check_memory, check_weights, is_tiny

    networks.module(SPACES[header["space"]].family)
    if METHODS[header["method"]].limits:
        method_module(header["method"]).check(config, SPACES[header["space"]], data, Random(0))
    given = min(len(data.train), len(data.val))  # a batch larger than that is refused by the search itself
    if config.batch_size <= given and not is_tiny(setup, config, data, at_once):
        job = search_job(header, setup, config, data, at_once)
        check_weights(job)
        check_memory(job)


def costs_before(header: Mapping[str, str], config: Any, data: "Data") -> space_costs.SpaceCosts | None:
    """What the networks of a space of slices cost that a search trains; None of another space, where nothing is
    smallest. Raises InputError for a table of latencies that does not serve."""
    from dartboard.search import coarse_to_fine, paths

    space, settings = SPACES[header["space"]], flat(config)
    if "slice" not in space.kinds or METHODS[header["method"]].by_trials:
        return None
    space = trained_space(header["method"], config, space)
    count = paths.counting if settings.get("latency") is None else partial(paths.costing, space=space)
    middle = coarse_to_fine.uniform(space, dict.fromkeys(coarse_to_fine.sorts_of(space), 0.5))
    return space_costs.space_costs(space, middle, count(config, data=data), limits_from(settings.get("limit", "")))


def check_training(setup: Setup, config: Any, data: "Data", network: "nn.Module") -> None:
    """Raises InputError for a training that takes more memory than is free. The network stays as it is."""
    from dartboard.training.dry_run import check_memory, is_tiny

    given = len(data.train) + len(data.val)
    if config.batch_size <= given and not is_tiny(setup, config, data):
        check_memory(training_job({"command": "train"}, setup, config, data, network))


def search_job(header: Mapping[str, str], setup: Setup, config: Any, data: "Data", at_once: int = 1) -> "Job":
    from dartboard.scoring.cost import count_path, count_supernet
    from dartboard.training.dry_run import Job

    space, method = SPACES[header["space"]], method_module(header["method"])
    sizes = {"num_classes": data.num_classes, "image_size": data.image_size, "in_channels": data.channels}
    of = METHODS[header["method"]]
    if "mixture" in of.needs:
        cost = count_supernet(space, config.channels, config.cells, **sizes, drawn=of.draws)
    else:
        cost = count_path(space, config.channels, config.cells, **sizes)

    def begin(config: Any, data: "Data", run: "Run") -> object:
        return method.search(config, space, data, run)

    return Job(dict(header), setup, config, data, cost, begin, method.WORK, at_once)


def training_job(
    header: Mapping[str, str | None], setup: Setup, config: Any, data: "Data", network: "nn.Module"
) -> "Job":
    from dartboard.scoring.cost import count_module
    from dartboard.training.dry_run import Job
    from dartboard.training.from_scratch import WORK, fit

    def begin(config: Any, data: "Data", run: "Run") -> object:
        return fit(config, copy.deepcopy(network), data, run)

    return Job(header, setup, config, data, count_module(network, data.image_size, data.channels), begin, WORK)


def described(data: "Data") -> str:
    sizes = f"{len(data.train)} train, {len(data.val)} val, {len(data.test)} test images"
    return f"data: {data.name}, {sizes} of {data.image_size}x{data.image_size}, {data.num_classes} classes"


def counts(job: "Job") -> str:
    return f"{job.cost.params:,} parameters, {job.cost.macs:,} multiply-adds per image"


def step_line(job: "Job") -> str:
    """The multiply-adds of a step of a search, of all images of all its passes, forward and backward."""
    passes = num_passes(job)
    macs = BOTH_WAYS * passes * job.cost.macs * job.config.batch_size
    times = "1 pass" if passes == 1 else f"{passes} passes"
    return f"a step: {times} of {job.config.batch_size} images forward and backward, {macs:,} multiply-adds"


def num_passes(job: "Job") -> int:
    """How often a batch goes forward and backward in a step, as the method says; else, once for each of its updates."""
    method = job.header.get("method")
    passes = None if method is None else passes_of(method, vars(job.config))
    return job.epoch.updates if passes is None else passes.count


def estimate(job: "Job", seeds: int) -> float:
    """Makes a few real steps, prints the estimate for the complete run, and returns the seconds of one seed.

    Raises InputError if it does not fit.
    """
    from dartboard.data.shapes import bytes_to_come
    from dartboard.training.dry_run import check_memory, check_weights, measure_steps

    steps, epochs = -(-job.images // job.config.batch_size), job.config.epochs
    print(f"steps: {steps} per epoch, {epochs} epochs, {steps * epochs} in all", flush=True)
    check_weights(job)
    if job.config.batch_size <= job.images:
        check_memory(job)
    before, device = resident_bytes() + bytes_to_come(job.data), pick_device(job.setup.device)
    seconds, taken = measure_steps(job, job.config.batch_size)
    print(memory_line(job, taken, before, device))
    print(time_line(job, seconds, steps, device.type))
    if seeds > 1:
        how = "at once in one process, at most" if job.at_once > 1 else "one after another, about"
        print(f"{seeds} seeds, {how} {work.seconds_in_words(seeds * total_s(job, seconds, steps))} in all")
    return total_s(job, seconds, steps)


def memory_line(job: "Job", taken: int, before: int, device: "torch.device") -> str:
    """The most memory the run will hold at once: on a CPU as the system counts it, Python, torch and data included."""
    from torch import Tensor

    taken *= job.at_once
    if device.type == "cuda":
        return f"peak memory: {in_words(taken)} on the GPU beside the data, {in_words(free_bytes(device))} are free"
    parts = (job.data.train.images, job.data.val.images) if len(job.epoch.learn_on) > 1 else ()
    joined = sum(part.nbytes for part in parts if isinstance(part, Tensor))  # train and val together are a copy
    whole = before + taken + joined
    return f"peak memory: {in_words(whole)}, {in_words(taken)} of it for the steps; {in_words(free_bytes())} are free"


def score_s(job: "Job", seconds: "Seconds") -> float:
    """Seconds of scoring in an epoch and after it."""
    return seconds.score * (len(job.scored) + job.epoch.each(job.config, job.data)) / seconds.scored


def total_s(job: "Job", seconds: "Seconds", steps: int) -> float:
    """Seconds of the complete run. steps: per epoch."""
    epochs: int = job.config.epochs
    each_s = steps * seconds.step + score_s(job, seconds) + seconds.save
    return seconds.begin + epochs * each_s + after_s(job, seconds)


def after_s(job: "Job", seconds: "Seconds") -> float:
    """Seconds of what is scored after the last epoch."""
    return seconds.score * job.epoch.after(job.config, job.data) / seconds.scored


def time_line(job: "Job", seconds: "Seconds", steps: int, device: str) -> str:
    """Seconds of a step, of scoring and saving after each epoch, and of all together."""
    score, whole = score_s(job, seconds), total_s(job, seconds, steps)
    least, most, number = min(seconds.steps), max(seconds.steps), len(seconds.steps)
    spread = f" ({least:.3f} to {most:.3f}, n = {number})" if number > 1 else " (n = 1)"
    epoch = f"{score:.2f} s to score and {seconds.save:.2f} s to save per epoch"
    step = f"{seconds.step:.3f} s per step{spread} on {device}"
    return f"time: {step}, {epoch}; about {work.seconds_in_words(whole)} in all"
