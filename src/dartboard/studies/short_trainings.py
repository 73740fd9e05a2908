"""Short trainings from scratch, evaluated before the first step, after a few, and at the end."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from dartboard.analysis.gradient_flow import Flow, flow
from dartboard.data import Data
from dartboard.data.splits import picked
from dartboard.errors import InputError, InterruptedRunError
from dartboard.networks.darts import Network, sized
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import Answers, calibration_images, restored_buffers
from dartboard.spaces.search_space import Architecture
from dartboard.studies.questions import Config
from dartboard.studies.shared_weights import by_running_statistics
from dartboard.studies.subject import Search, Study, check_limits, packed
from dartboard.training import from_scratch, loop

TRAININGS = "trainings"


def train_config(search: Search, settings: Config) -> from_scratch.Config:
    """The short protocol: augmentation and sizes as in the search, no drop path, no auxiliary classifier."""
    own = search.run.settings
    return from_scratch.Config(
        channels=settings.channels or own["channels"],
        cells=settings.cells or own["cells"],
        epochs=settings.epochs,
        batch_size=min(settings.batch_size or search.batch_size, len(search.data.train)),
        crop_padding=own["crop_padding"],
        flip=own["flip"],
        cutout=own["cutout"],
        drop_path=0.0,
        auxiliary=False,
    )


def val_as_test(data: Data) -> Data:
    """The search's train images to train on, and its val images in the place of the test images."""
    nothing = picked(data.train, np.arange(0))
    mark = hashlib.sha256(f"train to learn, val to score: {data.fingerprint}".encode()).hexdigest()
    name = f"{data.name} (its train to learn, its val to score)"
    return replace(data, name=name, val=nothing, test=data.val, fingerprint=mark)


def train_one(one: Study, name: str, architecture: Architecture, number: int) -> None:
    """One training from scratch by `fit`, evaluated before its first step, after a few, and at its end."""
    key = f"training/{name}/{number}"
    if f"{key}/end" in one.pieces:
        return
    check_limits(one)
    config, data = train_config(one.search, one.config), val_as_test(one.search.data)
    network = sized(architecture, config, data)
    with opened(one, config, architecture, f"{name}-s{number}") as run:
        if f"{key}/start" not in one.pieces:
            from_scratch.begin(config, network, run, *loop.prepare(run))
            one.pieces.add(f"{key}/start", **gradients_of(one, network, data), architecture=architecture.to_json())
        if f"{key}/early" not in one.pieces:
            stop_after(one, config, network, data, run)
            first = val_answers(one, network)
            one.pieces.add(f"{key}/early", **gradients_of(one, network, data), accuracy=first.accuracy, loss=first.loss)
        run.limits = one.limits
        from_scratch.fit(config, network, data, run)
        losses = [line["train_loss"] for line in run.metrics() if line["event"] == "epoch"]
        last = val_answers(one, network)
        numbers = {"accuracy": last.accuracy, "loss": last.loss, "right": packed(last.right), "losses": losses}
        one.pieces.add(f"{key}/end", **gradients_of(one, network, data), **numbers)
        one.on_progress(f"trained {name}, seed {run.seed}: {100 * last.accuracy:.1f} % of the val images right")


@contextmanager
def opened(one: Study, config: from_scratch.Config, architecture: Architecture, name: str) -> Iterator[Run]:
    """The run of one training, new or resumed."""
    folder, number = one.folder / TRAININGS / name, int(name.rpartition("-s")[2])
    parent = one.search.run
    if (folder / "config.toml").exists():
        run = Run.open(folder, write=True)
    else:
        threads = parent.setup.threads or parent.environment.get("threads")
        setup = replace(parent.setup, seed=parent.seed + number, budget=None, until=None, threads=threads)
        run = Run.create(folder, config, setup=setup, command="train", parent=parent, architecture=architecture)
    run.label, run.resumed_by = name, one.folder
    with run:
        yield run


def check_steps(search: Search, settings: Config) -> None:
    """Raises InputError if the first evaluation would be after the end of the training."""
    config, few = train_config(search, settings), settings.few_steps
    steps = config.epochs * -(-len(search.data.train) // config.batch_size)
    if few >= steps:
        raise InputError(f"--few-steps {few} is the complete training, {steps} steps; give fewer, or more --epochs")


def stop_after(one: Study, config: from_scratch.Config, network: Network, data: Data, run: Run) -> None:
    """Trains for the first few steps alone."""
    checkpoint = run.load()
    ahead = one.config.few_steps - (checkpoint.step if checkpoint else 0)
    if ahead <= 0:
        from_scratch.begin(config, network, run, *loop.prepare(run))
        return
    run.limits = one.limits
    one.limits.steps = goal = one.limits.steps_done + ahead
    try:
        from_scratch.fit(config, network, data, run)
    except InterruptedRunError:
        if one.limits.caught is not None or one.limits.steps_done < goal:
            raise
    finally:
        one.limits.steps = None


def gradients_of(one: Study, network: Network, data: Data) -> dict[str, Any]:
    """The gradient of one batch of training images, the same at every evaluation, and the loss on it."""
    device = next(network.parameters()).device
    x = next(calibration_images(network, data.train, data, one.index[:1]))
    found: Flow = flow(network, x, data.train.labels[one.index[0].to(data.train.labels.device)].to(device))
    return {"batch_loss": found.loss, "gradient": found.total, **listed(found)}


def listed(found: Flow) -> dict[str, Any]:
    edges = [{**asdict(edge), "transmission": edge.transmission} for edge in found.edges]
    return {"cells": [asdict(cell) for cell in found.cells], "edges": edges}


def val_answers(one: Study, network: Network) -> Answers:
    """The val images, with recalibrated statistics that are then restored: after a short training the running
    statistics still contain earlier weights."""
    with restored_buffers(network):
        return by_running_statistics(one, network, recalibrated=True)
