"""Images a second that the reader of a folder decodes, against one thread and against a process for every core.

The images are JPEGs of ImageNet's size (500 x 375 pixels, from smooth noise), decoded to 64 x 64. `reader` is what a
search reads from: batches of 64 in an order that is announced. A process for each core, each with files of its own and
nothing to hand over, is what the machine can do. Interleaved, medians.
Usage: python benchmarks/decoding.py [--images N] [--repeats N]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dartboard.data import load_data
from dartboard.data.decoding import read_into
from dartboard.data.scans import workers
from dartboard.data.streaming import FileImages

SIZE, BATCH = 64, 64


def photographs(root: Path, number: int) -> None:
    """JPEGs in two class folders."""
    random = np.random.RandomState(0)
    for i in range(number):
        folder = root / ("left" if i % 2 else "right")
        folder.mkdir(exist_ok=True)
        small = Image.fromarray(random.randint(0, 256, (47, 63, 3)).astype(np.uint8))
        small.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{i:05}.jpg", quality=90)


def alone(files: list[str]) -> None:
    """A plain loop over files."""
    pixels = np.empty((3, SIZE, SIZE), np.uint8)
    for file in files:
        assert not read_into(pixels, file)


def read(images: FileImages) -> None:
    """All images by the reader, batch by batch."""
    batches = torch.arange(len(images)).split(BATCH)
    images.ahead(batches)
    for batch in batches:
        images[batch]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder), words.images)
        images = load_data(f"images:{folder}", image_size=SIZE, stream="always").train.images
        assert isinstance(images, FileImages)
        report(images, words.repeats)


def report(images: FileImages, repeats: int) -> None:
    files, cores = list(images.files), workers()
    shares = [files[core::cores] for core in range(cores)]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as processes:
        ways: dict[str, Callable[[], object]] = {
            "one thread, a plain loop": lambda: alone(files),
            f"reader ({cores} threads)": lambda: read(images),
            f"{cores} processes, a plain loop each": lambda: list(processes.map(alone, shares)),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in range(repeats + 1):
            for way, work in ways.items():
                start = time.perf_counter()
                work()
                seconds[way] += [time.perf_counter() - start] if repeat else []  # the first one warms up
    first = statistics.median(next(iter(seconds.values())))
    print(f"{len(files)} JPEGs of 500 x 375 to {SIZE} x {SIZE}, n = {repeats}\n")
    print("| way | images a second, median | least | most | times one thread |")
    print("|---|---|---|---|---|")
    for way, found in seconds.items():
        rates = sorted(len(files) / one for one in found)
        middle = statistics.median(found)
        print(f"| {way} | {len(files) / middle:.0f} | {rates[0]:.0f} | {rates[-1]:.0f} | {first / middle:.2f} |")


if __name__ == "__main__":
    main()
