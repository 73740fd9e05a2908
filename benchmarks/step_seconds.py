"""Seconds of one full search step (alpha, then weights), by form, order and memory layout, interleaved in one process.

Usage: python benchmarks/step_seconds.py [--channels 16] [--cells 8] [--batch-size 64] [--image-size 32] [--repeats 3]
           [--forms plain fast] [--orders first second] [--threads N]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from dartboard.config import Setup
from dartboard.data import load_data
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.tasks import task_of


def a_step(config: darts.Config, folder: Path, image_size: int) -> Callable[[], None]:
    """A function that makes one step of the search on random images; the first call also warms up."""
    images = torch.randint(256, (4 * config.batch_size, 3, image_size, image_size), dtype=torch.uint8)
    labels = torch.arange(len(images)) % 10
    data = load_data(images, labels, test=(images[:10], labels[:10]))
    run = Run.create(folder, config, setup=Setup())
    state = darts.begin(config, SPACES["darts"], data, run, None)
    index = torch.arange(config.batch_size)
    task = task_of(config, data)
    batch = task.batch("train", index, run, 0, state.supernet)

    def loss() -> torch.Tensor:
        return darts.loss_of(state, task, batch, run)

    def step() -> None:
        darts.update_alpha(config, state, loss, loss, xi=config.lr)
        darts.update_weights(config, state, task, batch, run, config.lr)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("channels", 16), ("cells", 8), ("batch-size", 64), ("image-size", 32), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--forms", nargs="+", default=["plain", "fast"])
    parser.add_argument("--orders", nargs="+", default=["first", "second"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    sizes = {"channels": words.channels, "cells": words.cells, "batch_size": words.batch_size}
    with tempfile.TemporaryDirectory() as folder:
        steps, seconds = {}, {}
        for form in words.forms:
            for order in words.orders:
                for layout in ("channels-first", "channels-last"):
                    config = darts.Config(
                        **sizes, supernet=form, second_order=order == "second", channels_last=layout == "channels-last"
                    )
                    name = (form, order, layout)
                    steps[name] = a_step(config, Path(folder) / "-".join(name), words.image_size)
                    seconds[name] = []
        for repeat in range(words.repeats + 1):  # the first round warms up and is not counted
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                if repeat:
                    seconds[name].append(time.perf_counter() - start)
    print(f"torch {torch.__version__}, {words.threads} threads, {sizes}, {words.image_size}x{words.image_size}")
    print("| form | order | layout | seconds a step, median | lowest | highest | n |")
    print("|---|---|---|---|---|---|---|")
    for name, values in seconds.items():
        middle, low, high = statistics.median(values), min(values), max(values)
        print(f"| {' | '.join(name)} | {middle:.2f} | {low:.2f} | {high:.2f} | {len(values)} |")


if __name__ == "__main__":
    main()
