"""Share of data (two gathered and augmented batches) in one first-order search step, interleaved in one process.

Usage: python benchmarks/data_share.py [--channels 16] [--cells 8] [--batch-size 64] [--image-size 32] [--images 25000]
           [--repeats 5] [--threads N] [--device cpu|cuda] [--supernet fast|plain]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

import torch

from dartboard.config import Setup
from dartboard.data import load_data
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch, pair


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds of a call, the GPU's work included."""
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("channels", 16), ("cells", 8), ("batch-size", 64), ("image-size", 32), ("images", 25000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--supernet", default="fast")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    sizes = {"channels": words.channels, "cells": words.cells, "batch_size": words.batch_size}
    config = darts.Config(supernet=words.supernet, **sizes)
    images = torch.randint(256, (2 * words.images, 3, words.image_size, words.image_size), dtype=torch.uint8)
    labels = torch.arange(len(images)) % 10
    data = load_data(images, labels, test=(images[:10], labels[:10])).to(words.device)
    shares, seconds = [], []
    with tempfile.TemporaryDirectory() as folder, Run.create(folder, config, setup=Setup(device=words.device)) as run:
        state = darts.begin(config, SPACES["darts"], data, run, None)
        task = task_of(config, data)
        order = task.order("train", run, 0)

        def made(step: int) -> tuple[Batch, Batch]:
            return pair(task, order[step], run, step, state.supernet)

        def learn(train: Batch, val: Batch) -> None:
            loss_train, loss_val = (partial(darts.loss_of, state, task, part, run) for part in (train, val))
            darts.update_alpha(config, state, loss_train, loss_val, xi=config.lr)
            darts.update_weights(config, state, task, train, run, config.lr)

        for step in range(words.repeats + 1):  # the first one warms up and is not counted
            learn_s = timed(lambda step=step: learn(*made(step)), words.device)
            data_s = statistics.median(timed(lambda step=step: made(step), words.device) for _ in range(5))
            if step:
                shares.append(data_s / learn_s)
                seconds.append((data_s, learn_s))
    print(f"torch {torch.__version__}, {words.threads} threads, {words.device}, {words.supernet}, {sizes}, ", end="")
    print(f"{words.image_size}x{words.image_size}, {len(data.train)} train images")
    print("| | median | lowest | highest | n |\n|---|---|---|---|---|")
    rows = (
        ("data, ms a step", [1000 * part for part, _ in seconds]),
        ("step, ms", [1000 * whole for _, whole in seconds]),
        ("share of data, %", [100 * share for share in shares]),
    )
    for name, values in rows:
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} | {len(values)} |")


if __name__ == "__main__":
    main()
