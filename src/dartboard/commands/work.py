"""What search, train and resume share: the flags, name and data of a new run, and the messages when it stops."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dartboard.config import Setup, check_ranges
from dartboard.data import names
from dartboard.data.names import FOLDER_PREFIX
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError, TakenError
from dartboard.paths import expanded
from dartboard.runs.atomic_files import failing, replace_file
from dartboard.runs.limits import Terminated
from dartboard.runs.pace import seconds_in_words as seconds_in_words
from dartboard.runs.run import Run
from dartboard.runs.worker import use_threads as use_threads
from dartboard.runs.workers import check_workers
from dartboard.scoring.latency import read_table
from dartboard.scoring.limits import limits_from
from dartboard.spaces.search_space import Architecture

if TYPE_CHECKING:
    from dartboard.data import Data
    from dartboard.networks.darts import Network

TRACEBACK = "traceback.txt"


@dataclass(frozen=True)
class NewRun:
    """Where a new run goes, and what it starts from."""

    out: str | None = None
    """The run's folder; by default runs/WHAT-DATA-sSEED."""
    seeds: int = 1
    """Number of runs, with the seeds S, S+1, ... and one folder each."""
    workers: str | None = None
    """Work on the runs, or the trials, at once: by this number of processes, by ray, or by ray://HOST[:PORT]."""
    preset: Literal["paper"] | None = None
    """paper: the values of the paper's text where the official code differs."""
    config: str | None = None
    """A TOML file of settings, such as a run's config.toml; flags override it."""
    print_config: bool = False
    """Print the resolved settings as TOML, and do nothing else."""
    dry_run: bool = False
    """Print what would be done, and how long it would take, without making a folder."""

    def __post_init__(self) -> None:
        check_ranges(self, seeds="[1, 1000]")
        check_workers(self.workers)
        if self.out is not None and not self.out.strip():
            raise InputError("--out is empty; give a folder")


def anchored(setup: Setup) -> Setup:
    """The setup with its paths made absolute, so that the run can be resumed from any folder. Raises InputError."""
    data_dir = setup.data_dir
    if data_dir is not None:
        data_dir = str(expanded(data_dir).absolute())
        check_data_dir(data_dir, setup.download)
    data = setup.data if setup.data == names.NO_DATA else names.anchored(setup.data)
    return replace(setup, data=data, data_dir=data_dir)


def check_data_dir(data_dir: str, download: bool) -> None:
    """Raises InputError if --data-dir is not a folder and nothing will be downloaded to it."""
    try:
        found = Path(data_dir).is_dir()
    except OSError as error:
        raise InputError(f"--data-dir {data_dir}: {error.strerror}; give another folder") from error
    if not found and not download:
        raise InputError(f"--data-dir {data_dir} is not a folder; give the one that holds the data, or add --download")


def begin_run(flags: NewRun, what: str, setup: Setup, config: Any, **more: Any) -> Run:
    """A new run, made by `Run.create`, in the first of `folders` that belongs to no other run. Raises InputError."""
    for folder in folders(flags, what, setup):
        try:
            return Run.create(folder, config, setup=setup, exist_ok=flags.out is not None, **more)
        except TakenError:
            if flags.out is not None:
                raise
    raise AssertionError("there is no end of names")


def folders(flags: NewRun, what: str, setup: Setup) -> Iterator[Path]:
    """--out (with -sSEED if there are several seeds), or runs/WHAT-DATA-sSEED and then -2, -3 ... without end."""
    if flags.out is not None:
        yield Path(flags.out if flags.seeds == 1 else f"{flags.out}-s{setup.seed}")
        return
    yield from numbered(on_data(what, setup.data), setup.seed)


def on_data(what: str, data: str) -> str:
    """WHAT-DATA; of a folder of images its name, and WHAT alone without data."""
    if data.startswith(FOLDER_PREFIX):
        data = f"images-{Path(data.removeprefix(FOLDER_PREFIX)).name}"
    return what if data == names.NO_DATA else f"{what}-{data}"


def numbered(what: str, seed: int) -> Iterator[Path]:
    """runs/WHAT-sSEED, runs/WHAT-sSEED-2 ...: those that are not there when they are asked for."""
    return (folder for folder in all_numbered(what, seed) if not os.path.lexists(folder))


def all_numbered(what: str, seed: int, ending: str = "") -> Iterator[Path]:
    """runs/WHAT-sSEED, runs/WHAT-sSEED-2 ... without end, an ending before the number."""
    name = re.sub(r"[^\w.-]+", "_", what)[:100] + f"-s{seed}{ending}"
    return (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))


def setups(flags: NewRun, setup: Setup) -> list[Setup]:
    """One setup per seed."""
    return [replace(anchored(setup), seed=setup.seed + offset) for offset in range(flags.seeds)]


def load(setup: Setup, value_range: tuple[float, float] | None = None) -> "Data":
    """The data a setup names. value_range: as in `load_data`. Raises InputError."""
    from dartboard.data.sources import load_setup

    return load_setup(setup, value_range)


def announce(data: "Data") -> None:
    """Prints the notes of a data set; of a folder of images also its classes, and the images of each split."""
    from dartboard.data.contents import in_lines, notes_in_lines

    lines = in_lines(data) if data.name.startswith(FOLDER_PREFIX) else notes_in_lines(data)
    encoding = sys.stdout.encoding or "utf-8"  # names of folders may hold letters that a terminal does not have
    for line in lines:
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def load_or_shapes(setup: Setup) -> "Data":
    """The data a setup names, for a dry run; where CIFAR is not on this machine, images of its known shapes.

    Raises InputError.
    """
    from dartboard.data.shapes import is_absent, of_known_shapes

    return of_known_shapes(setup) if is_absent(setup) else load(setup)


def say_where_absent(setup: Setup) -> None:
    """The line of a dry run that does without its data set."""
    from dartboard.data.shapes import is_absent

    if is_absent(setup):
        print(f"the data set is not on this machine: the known shapes of {setup.data} are used")


@contextmanager
def reporting_stops(run: Run, *, fresh: bool) -> Iterator[None]:
    """Surrounds the work on a run: releases the folder, says how to resume, writes the traceback of a defect.

    fresh: the run was made by this process; input that turns out wrong before any work leaves no folder behind.
    """
    try:
        with run:
            yield
    except (KeyboardInterrupt, Terminated) as error:
        code, name = (130, "Ctrl-C") if isinstance(error, KeyboardInterrupt) else (143, "SIGTERM")
        text = f"stopped by {name} at once; checkpoints are intact; resume with: {run.resume_command}"
        raise InterruptedRunError(text, code) from error
    except InputError:
        if fresh:
            run.discard()
        raise
    except (CannotContinueError, InterruptedRunError, BrokenPipeError):
        raise
    except Exception as error:
        if (reason := failing(error)) is not None:
            raise CannotContinueError(f"{reason}; then resume with: {run.resume_command}") from error
        replace_file(run.folder / TRACEBACK, "".join(traceback.format_exception(error)))
        error.add_note(f"traceback in {run.folder / TRACEBACK}")
        raise


def build_network(architecture: Architecture, config: Any, data: "Data") -> "Network":
    """The network of an architecture at the sizes of a training's config and of the data. Raises InputError."""
    network = network_that_fits(architecture, config, data)
    if config.auxiliary and network.auxiliary_head is None:
        print(f"no auxiliary head: for images of {data.image_size}x{data.image_size} its input is smaller than 5x5")
    return network


def network_that_fits(architecture: Architecture, config: Any, data: "Data") -> "Network":
    """The same, without printing. Raises InputError if its weights alone take more memory than is free."""
    import torch

    from dartboard import networks
    from dartboard.devices import free_bytes, in_words
    from dartboard.scoring.cost import num_params

    family = networks.module(architecture.space)
    with torch.device("meta"):
        weights = 4 * num_params(family.sized(architecture, config, data))
    if weights > free_bytes():
        free = in_words(free_bytes())
        raise InputError(
            f"the weights alone take {in_words(weights)}, and {free} are free; give fewer --channels or --cells"
        )
    network: Network = family.sized(architecture, config, data)
    return network


def latency_lines(run: Run, limit: str, latency: str | None) -> list[str]:
    """Measures what a finished search found, if it had a table of latencies, and says whether its limit is met.

    Where it is not, the next best network that meets it lies in the run's folder. Raises InputError.
    """
    if latency is None:
        return []
    from dartboard.report import latency_words
    from dartboard.studies import measured_latency

    if not measured_latency.is_measured(run):
        if not measured_latency.serves_here(run, latency):
            return [f"the latency was not measured: {latency} is gone, or of another device"]
        measured_latency.of_search(run, read_table(latency), limits_from(limit))
    return latency_words.of_run(run.folder)
