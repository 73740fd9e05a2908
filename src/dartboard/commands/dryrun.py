"""--dry-run: what a command would do, how large it is, and how long a few real steps say it would take."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dartboard.commands import work
from dartboard.commands.flags import resolved
from dartboard.config import Setup
from dartboard.environment import pick_device
from dartboard.errors import InterruptedRunError
from dartboard.run import Run
from dartboard.search_space import Architecture
from dartboard.spaces import SPACES

if TYPE_CHECKING:
    from dartboard.data import Data

STEPS = 3  # real steps whose time is taken, the first one left out


def search(header: Mapping[str, str], setup: Setup, config: Any) -> None:
    """Prints the settings, the supernet's size, and the time a search would take. Makes no folder that stays."""
    from dartboard.cost import count_supernet

    work.use_threads(setup.threads)
    data, space = work.load(setup), SPACES[header["space"]]
    method = import_module(f"dartboard.methods.{header['method']}")
    sizes = {"num_classes": data.num_classes, "image_size": data.image_size, "in_channels": data.channels}
    cost = count_supernet(space, config.channels, config.cells, **sizes)
    print(resolved(header, setup, config))
    print(f"{described(data)}\nsupernet: {cost.params:,} parameters, {cost.macs:,} multiply-adds an image")

    def begin(run: Run) -> object:
        return method.search(config, space, data, run)

    tell_time(setup, config, len(data.train), begin, header)


def train(architecture: Architecture, header: Mapping[str, str | None], setup: Setup, config: Any) -> None:
    """Prints the settings, the network's counts, and the time a training would take. Makes no folder that stays."""
    from dartboard.cost import count_module
    from dartboard.train import fit

    work.use_threads(setup.threads)
    data = work.load(setup)
    network = work.build_network(architecture, config, data)
    cost = count_module(network, data.image_size, data.channels)
    print(resolved(header, setup, config))
    print(f"{described(data)}\nnetwork: {cost.params:,} parameters, {cost.macs:,} multiply-adds an image")

    def begin(run: Run) -> object:
        return fit(config, network, data, run)

    tell_time(setup, config, len(data.train_and_val()), begin, header)


def described(data: "Data") -> str:
    sizes = f"{len(data.train)} train, {len(data.val)} val, {len(data.test)} test images"
    return f"data: {data.name}, {sizes} of {data.image_size}x{data.image_size}, {data.num_classes} classes"


def tell_time(
    setup: Setup, config: Any, images: int, begin: Callable[[Run], object], header: Mapping[str, str | None]
) -> None:
    """Makes a few real steps in a folder that goes away, and prints what they say of the whole."""
    steps = -(-images // config.batch_size)
    step_s = timed_steps(replace(setup, budget=f"{STEPS}steps", until=None), config, begin, header)
    print(f"steps: {steps} an epoch, {config.epochs} epochs, {steps * config.epochs} in all")
    if step_s is not None:
        whole = work.seconds_in_words(step_s * steps * config.epochs)
        print(
            f"time: {step_s:.3f} s a step on {pick_device(setup.device).type}, about {whole} in all, scoring left out"
        )


def timed_steps(
    setup: Setup, config: Any, begin: Callable[[Run], object], header: Mapping[str, str | None]
) -> float | None:
    """Seconds a step, or None where there are fewer than two."""
    with tempfile.TemporaryDirectory(prefix="dartboard-dry-run-") as folder:
        method, space = header["method"], header.get("space")
        run = Run.create(folder, config, setup=setup, command=header["command"], method=method, space=space)
        with run, contextlib.redirect_stdout(io.StringIO()):
            try:
                begin(run)
            except InterruptedRunError as error:
                if error.exit_code:
                    raise
        return run.limits.step_s
