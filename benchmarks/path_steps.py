"""Steps of methods that compute one path or one draw of DARTS cells, or slices of elastic mobile networks: seconds by
form, peak memory, and seconds against multiply-adds.

Usage: python benchmarks/path_steps.py [--channels 16] [--cells 8] [--batch-size 64] [--image-size 32] [--draws 20]
           [--threads N] [--only ratios memory work] [--of paths slices]
ratios: the same draws in three forms, in turn in one process, freed memory kept on all sides: plain channels-first
(what the ratios are taken against), plain channels-last, fast; a ratio is the median over the draws of each draw's own.
memory: the peak of a forward and backward pass above what was there before, each form in a process of its own.
slices: a sandwich step of BigNAS on bignas-32 and a step of the last phase of Once-for-All on ofa-32, four networks
each, at these spaces' own widths; with --of slices, `memory` has a pass of the largest network alone as well.
work: seconds of a step against its multiply-adds (forward, and twice as many backward, of all its passes), in the fast
form, beside those of the first-order step of DARTS; `dartboard explain` and `--dry-run` count the same.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import forms
import torch
from forms import Form, Size

from dartboard import devices, kernels
from dartboard.config import Setup
from dartboard.data import Data
from dartboard.methods import bignas, gdas, ofa, spos
from dartboard.methods.explained import passes_of
from dartboard.runs import allocator
from dartboard.runs.run import Run
from dartboard.search import paths, sandwich, shrinking
from dartboard.spaces import SPACES
from dartboard.spaces.mobilenet_family import own_sizes
from dartboard.studies.step_cost import StepCost, counted
from dartboard.tasks import task_of
from dartboard.tasks.task import Task

PLAIN = forms.KEPT
LAST = Form("plain, channels-last, memory kept", "plain", True, False, True)
FORMS = (PLAIN, LAST, *([forms.COMPILED] if kernels.available() else []))  # paths have no fast form without
PATH, DRAW = "single-path step (random_search_ws, spos)", "GDAS step"
SANDWICH, SHRINKING = "sandwich step (bignas on bignas-32)", "shrinking step (ofa on ofa-32, last phase)"
ALONE = "step of the largest network alone (bignas-32)"
Makers = Mapping[str, Callable[[Form, Size], "Stepping"]]
Step = Callable[[int], object]  # of a draw, by its number


@dataclass
class Stepping:
    """A search about to make its steps. step: a whole one; one_pass: forward and backward alone, of the weights."""

    step: Step
    one_pass: Step


@contextmanager
def a_run(size: Size, config: Any) -> Iterator[tuple[Run, Data]]:
    """A run that leaves nothing behind, and random images."""
    torch.manual_seed(0)
    data = forms.random_images(size, 4 * size.batch_size)
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder) / "run", config, setup=Setup()) as run:
        yield run, data


def settings(form: Form, size: Size) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(size).items() if name != "image_size"}
    return {**fields, "supernet": form.supernet, "channels_last": form.channels_last}


def path_steps(form: Form, size: Size) -> Stepping:
    """Steps of SPOS, which are those of random search with shared weights, too."""
    config = spos.Config(**settings(form, size))
    with a_run(size, config) as (run, data):
        state, data, task = paths.begin(config, SPACES["darts"], data, run, spos.CARRIED, None)
    batch = task.batch("train", torch.arange(size.batch_size), run, 0, state.supernet)

    def step(number: int) -> None:
        path = SPACES["darts"].sample(paths.stream(run, "path", number))
        paths.descend(config, state, task, run, path, paths.Minibatch(batch, config.lr))

    def one_pass(number: int) -> None:
        state.supernet.zero_grad(set_to_none=True)
        path = SPACES["darts"].sample(paths.stream(run, "path", number))
        task.loss(lambda x, hidden: state.supernet.output(x, path), batch).loss.backward()

    return Stepping(step, one_pass)


def draw_steps(form: Form, size: Size) -> Stepping:
    """Steps of GDAS: a draw for the weights, another for alpha."""
    config = gdas.Config(**settings(form, size))
    with a_run(size, config) as (run, data):
        state = gdas.begin(config, SPACES["darts"], data, run, None)
        task = task_of(config, data)
    batch = task.batch("train", torch.arange(size.batch_size), run, 0, state.supernet)

    def step(number: int) -> None:
        state.place.step = number  # of which the draws are functions
        gdas.update_weights(config, state, task, batch, config.tau_max, run, config.lr)
        gdas.update_alpha(config, state, task, batch, config.tau_max, run)

    def one_pass(number: int) -> None:
        state.supernet.zero_grad(set_to_none=True)
        with torch.no_grad():
            choice = gdas.drawn(state, config.tau_max, run.generator("draw-weights", number))
        task.loss(lambda x, hidden: state.supernet.output(x, choice), batch).loss.backward()

    return Stepping(step, one_pass)


@dataclass
class Elastic:
    """A search of slices about to make its steps, at its space's own widths."""

    config: Any
    state: Any
    task: Task
    run: Run
    minibatch: paths.Minibatch


def elastic(method: Any, name: str, form: Form, size: Size) -> Elastic:
    """method: its module; name: of the space."""
    own, space = own_sizes(SPACES[name]), SPACES[name]
    config = method.Config(**{**settings(form, size), "channels": own["channels"], "cells": own["cells"]})
    with a_run(size, config) as (run, data):
        begin = partial(method.state_of, config, space)
        state, data, task = paths.begin_as(begin, config, space, data, run, method.CARRIED, None)
    batch = task.batch("train", torch.arange(size.batch_size), run, 0, state.supernet)
    return Elastic(config, state, task, run, paths.Minibatch(batch, config.lr))


def sandwich_steps(form: Form, size: Size) -> Stepping:
    """Steps of BigNAS: the largest network, two at random, the smallest."""
    one = elastic(bignas, "bignas-32", form, size)

    def step(number: int) -> None:
        one.state.place.step = number  # of which the draws are functions
        bignas.descend(one.config, one.state, one.task, one.run, one.minibatch)

    return Stepping(step, step)


def largest_passes(form: Form, size: Size) -> Stepping:
    """The largest network of bignas-32 alone."""
    one = elastic(bignas, "bignas-32", form, size)

    def step(number: int) -> None:
        sandwich.begin(one.state)
        sandwich.learned(one.state, one.task, one.run, one.state.space.largest(), one.minibatch.batch)
        sandwich.end(one.state, one.config.lr, one.config.grad_clip)

    return Stepping(step, step)


def shrinking_steps(form: Form, size: Size) -> Stepping:
    """Steps of the last phase of Once-for-All: four networks and the teacher."""
    one = elastic(ofa, "ofa-32", form, size)

    def step(number: int) -> None:
        one.state.place.step = number
        ofa.descend(one.config, one.state, one.task, one.run, shrinking.PHASES[-1], one.minibatch)

    return Stepping(step, step)


OF_PATHS = {PATH: path_steps, DRAW: draw_steps}
OF_SLICES = {SANDWICH: sandwich_steps, SHRINKING: shrinking_steps}
MAKERS = {**OF_PATHS, **OF_SLICES, ALONE: largest_passes}


# --- Ratios ----------------------------------------------------------------------------------------------------------


def timed(steps: dict[Form, Step], draws: int, budget_s: float = float("inf")) -> dict[Form, list[float]]:
    """Seconds by form of the same draws, in turn; a round before them warms up. Fewer draws where time is short."""
    seconds: dict[Form, list[float]] = {form: [] for form in steps}
    start = time.perf_counter()
    for number in range(draws + 1):
        for form, step in steps.items():
            before = time.perf_counter()
            step(number)
            if number:
                seconds[form].append(time.perf_counter() - before)
        if number and (time.perf_counter() - start) * (number + 2) / (number + 1) > budget_s:
            break
    return seconds


def ratio(seconds: dict[Form, list[float]], form: Form) -> float:
    """The median over the draws of how many times faster than plain channels-first a draw is."""
    return statistics.median(one / other for one, other in zip(seconds[PLAIN], seconds[form], strict=True))


def ratios(
    size: Size, draws: int, budget_s: float = float("inf"), makers: Makers = OF_PATHS
) -> dict[str, dict[Form, list[float]]]:
    """By work, by form: seconds of each draw's step."""
    found = {}
    with allocator.reused_memory():
        for name, make in makers.items():
            steps = {form: make(form, size).step for form in FORMS}
            found[name] = timed(steps, draws, budget_s / len(makers))
            gc.collect()
    return found


def ratio_lines(size: Size, draws: int, makers: Makers) -> Iterator[str]:
    yield "| step | form | seconds, median | lowest | highest | draws | times faster, median over draws |"
    yield "|---|---|---|---|---|---|---|"
    for name, seconds in ratios(size, draws, makers=makers).items():
        for form, values in seconds.items():
            numbers = f"{statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} | {len(values)}"
            yield f"| {name} | {form.name} | {numbers} | {ratio(seconds, form):.2f} |"


# --- Memory ----------------------------------------------------------------------------------------------------------


def peak(name: str, form: Form, size: Size, threads: int) -> int | None:
    """Bytes of a pass by a child process; None where it did not end."""
    numbers = [list(MAKERS).index(name), FORMS.index(form), *vars(size).values(), threads]
    done = subprocess.run([sys.executable, __file__, "--peak", *map(str, numbers)], capture_output=True, text=True)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def print_peak(name: int, form: int, *numbers: int) -> None:
    *size, threads = numbers
    torch.set_num_threads(threads)
    make = list(MAKERS.values())[name]
    with allocator.reused_memory():
        make(FORMS[form], Size(2, 3, 2, 8)).one_pass(0)  # libraries and kernels are loaded before
        one_pass = make(FORMS[form], Size(*size)).one_pass
    if (library := allocator.glibc()) is not None:
        library.malloc_trim(0)
    devices.forget_peak()
    before = devices.resident_bytes()
    one_pass(1)
    print(devices.peak_bytes() - before)


def memory_lines(size: Size, threads: int, makers: Makers) -> Iterator[str]:
    yield "| forward + backward of a | form | MB at the peak | of plain, channels-first |"
    yield "|---|---|---|---|"
    for name in makers:
        found = {form: peak(name, form, size, threads) for form in FORMS}
        original = found[PLAIN]
        for form, value in found.items():
            share = f"{value / 1e6:.0f} | {value / original:.2f}" if value and original else "did not end |"
            yield f"| {name} | {form.name} | {share} |"


# --- Seconds against multiply-adds -----------------------------------------------------------------------------------

WORKS: dict[str, tuple[str, dict[str, object]]] = {  # by name: the method, and the settings of its step
    forms.FIRST: ("darts", {}),
    forms.SECOND: ("darts", {"second_order": True}),
    DRAW: ("gdas", {}),
    PATH: ("spos", {}),
}


def work_of(name: str, size: Size) -> StepCost:
    """What is counted of a step, for one image of a batch of 32x32."""
    method, given = WORKS[name]
    passes = passes_of(method, given)
    assert passes is not None
    return counted(passes, SPACES["darts"], {"channels": size.channels, "cells": size.cells})


def steps_of(size: Size) -> dict[str, Step]:
    searched = forms.searched(forms.best(), size).works
    darts_steps: dict[str, Step] = {name: lambda _, name=name: searched[name]() for name in (forms.FIRST, forms.SECOND)}  # type: ignore
    return {**darts_steps, **{name: make(forms.COMPILED, size).step for name, make in OF_PATHS.items()}}


def work_lines(size: Size, draws: int) -> Iterator[str]:
    """Within a third: between 2/3 and 4/3 of the seconds that a first-order step has for a multiply-add."""
    seconds: dict[str, list[float]] = {name: [] for name in WORKS}
    with allocator.reused_memory():
        steps = steps_of(size)
        for number in range(draws + 1):
            for name, step in steps.items():
                before = time.perf_counter()
                step(number)
                seconds[name] += [time.perf_counter() - before] * bool(number)
    costs = {name: work_of(name, size) for name in WORKS}
    each = {name: statistics.median(seconds[name]) / costs[name].step_macs for name in WORKS}
    head = ("step", "passes", "multiply-adds of a step, an image", "seconds, median", "n")
    yield f"| {' | '.join(head)} | seconds a multiply-add, of first order |"
    yield "|---|---|---|---|---|---|"
    for name, cost in costs.items():
        share = each[name] / each[forms.FIRST]
        held = "within a third" if 2 / 3 <= share <= 4 / 3 else "not within a third"
        middle = f"{statistics.median(seconds[name]):.3g} | {len(seconds[name])}"
        yield f"| {name} | {cost.count} | {cost.step_macs:.4g} | {middle} | {share:.2f}, {held} |"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("channels", 16), ("cells", 8), ("batch-size", 64), ("image-size", 32), ("draws", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", choices=["ratios", "memory", "work"], default=["ratios", "memory", "work"])
    parser.add_argument("--of", nargs="+", choices=["paths", "slices"], default=["paths", "slices"])
    parser.add_argument("--peak", nargs="+", type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args(words)
    if flags.peak:
        return print_peak(*flags.peak)
    torch.set_num_threads(flags.threads)
    size = Size(flags.channels, flags.cells, flags.batch_size, flags.image_size)
    print(f"torch {torch.__version__}, {flags.threads} threads, {size}, load {os.getloadavg()[0]:.1f}")
    slices = "slices" in flags.of
    makers = {**(OF_PATHS if "paths" in flags.of else {}), **(OF_SLICES if slices else {})}
    parts = {
        "ratios": lambda: ratio_lines(size, flags.draws, makers),
        "memory": lambda: memory_lines(size, flags.threads, makers | ({ALONE: largest_passes} if slices else {})),
        "work": lambda: work_lines(size, flags.draws),
    }
    for name in flags.only:
        for line in parts[name]():
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
