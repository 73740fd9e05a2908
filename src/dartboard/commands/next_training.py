"""What to train a found cell with: the data set's recipe if this machine does that in an hour, otherwise less."""

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dartboard.commands import dryrun
from dartboard.config import build
from dartboard.data.names import check_name
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.report.next_training import TRAINING, NextTraining, Sizes, flag
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json
from dartboard.runs.pace import LONG_S
from dartboard.runs.run import Run
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture
from dartboard.training import presets

if TYPE_CHECKING:
    from dartboard.data import Data

SURE_S = LONG_S / 6  # a training that its multiply-adds say takes less is not tried
TRY_S = 2.0  # seconds after which a trial's steps end
SHARE = 0.8  # of an hour, for the epochs that are sure to fit it
SMALLEST_BATCH = 2


@dataclass(frozen=True)
class Found:
    """What a search has found, of which data, with which settings; macs: of the supernet, for an image."""

    run: Run
    config: Any
    data: "Data"
    architecture: Architecture
    macs: int

    @property
    def images(self) -> int:
        """Images that a training learns from."""
        return len(self.data.train) + len(self.data.val)


def write_next_training(run: Run, config: Any, data: "Data", macs: int) -> None:
    """Writes training.json for a finished search, once. macs: of the supernet. Raises InterruptedRunError."""
    architecture = run.architecture
    if (run.folder / TRAINING).exists() or architecture is None:
        return
    try:
        planned = next_training(Found(run, config, data, architecture, macs))
    except (CannotContinueError, InputError):
        return  # such a training is refused here, so there are no sizes to write
    except InterruptedRunError as error:
        text = f"stopped; what was found is written; for the command that trains it: {run.resume_command}"
        raise InterruptedRunError(text, error.exit_code) from error
    replace_file(run.folder / TRAINING, as_json(planned.to_json()))


def next_training(found: Found) -> NextTraining:
    """The recipe of the data set; if it takes more than an hour here, also a training that does not.

    That one has the search's channels and cells, if they are fewer, and as many epochs as fit.
    """
    recipe, flags = recipe_of(found)
    recipe_s = counted_s(found, recipe)
    if recipe_s is None or recipe_s > SURE_S:
        recipe_s = tried_s(found, recipe)
    sizes = sizes_of(recipe, recipe_s)
    if recipe_s <= LONG_S:
        return NextTraining(flags, sizes)
    fewer = {name: min(getattr(recipe, name), getattr(found.config, name)) for name in ("channels", "cells")}
    smaller = replace(recipe, **fewer)
    total_s = tried_s(found, smaller)
    epochs = min(recipe.epochs, max(1, int(recipe.epochs * SHARE * LONG_S / total_s)))
    smaller_s = total_s * epochs / recipe.epochs
    return NextTraining(flags, sizes, sizes_of(replace(smaller, epochs=epochs), smaller_s))


def sizes_of(config: Any, takes_s: float) -> Sizes:
    return Sizes(config.channels, config.cells, config.epochs, takes_s)


def recipe_of(found: Found) -> tuple[Any, tuple[str, ...]]:
    """The settings of a training by the data set's preset, and the flags that make it fit these images."""
    from dartboard.training.from_scratch import Config

    family, preset = FAMILIES[found.architecture.space], presets.PRESETS[check_name(found.run.setup.data)[0]]
    # `train` lays what the family asks for over the preset by itself
    recipe = build(Config, {**family.defaults, **family.recipe, **preset, **family.needs(found.architecture)})
    changes: dict[str, Any] = {}
    if recipe.batch_size > found.images:
        changes["batch_size"] = min(found.config.batch_size, found.images)
    if recipe.cutout > found.data.image_size // 2:  # as large a part of an image as of CIFAR's, no more
        changes["cutout"] = found.data.image_size // 2
    for name in ("crop_padding", "flip"):  # what the search was given of them
        if getattr(found.config, name, getattr(recipe, name)) != getattr(recipe, name):
            changes[name] = getattr(found.config, name)
    return replace(recipe, **changes), tuple(word for name in changes for word in flag(name, changes[name]))


def macs_of(found: Found, config: Any) -> int:
    """Multiply-adds of an image in the network that a training makes of the cell."""
    from dartboard.scoring.cost import count

    sizes = (config.channels, config.cells, found.data.num_classes, found.data.image_size, found.data.channels)
    network = config.stem if config.stem in FAMILIES[found.architecture.space].sizes else None
    return count(found.architecture, network, *sizes).macs


def counted_s(found: Found, config: Any) -> float | None:
    """Seconds of a training by its multiply-adds, at the speed of the search's weight steps; None if not known."""
    times = [line["weights_s"] for line in found.run.metrics() if line.get("event") == "epoch" and "weights_s" in line]
    if not times or min(times) <= 0.0:
        return None
    speed = 3 * found.macs * len(found.data.train) / statistics.median(times)
    work = macs_of(found, config) * (3 * found.images + len(found.data.test)) * config.epochs
    return work / speed if speed else None


def tried_s(found: Found, config: Any) -> float:
    """Seconds of a training by a few real steps, each with no more multiply-adds than a step of the search had.

    Raises InputError, CannotContinueError, InterruptedRunError.
    """
    import torch

    from dartboard import networks
    from dartboard.training.dry_run import measure_steps

    with torch.random.fork_rng():
        network = networks.module(found.architecture.space).sized(found.architecture, config, found.data)
    job = dryrun.training_job({"command": "train"}, found.run.setup, config, found.data, network)
    like_search = found.macs * found.config.batch_size // max(1, job.cost.macs)
    batch = min(config.batch_size, max(SMALLEST_BATCH, like_search))
    seconds = measure_steps(job, batch, TRY_S, batch)[0]
    times = tuple(step * config.batch_size / batch for step in seconds.steps)
    return dryrun.total_s(job, replace(seconds, steps=times), -(-job.images // config.batch_size))
