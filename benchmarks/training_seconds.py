"""Seconds of a step of training DARTS_V2: the plain eager loop, channels-first, against the fast form, by batch size.

Usage: python benchmarks/training_seconds.py [--batch-sizes 32 96] [--channels 36] [--cells 20] [--rounds 3]
           [--threads N]
Prints Markdown. Both forms in turn in one process, after a step of each that is not counted.
"""

import argparse
import gc
import os
import statistics

import bench
import forms
import torch


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    flags = parser.parse_args(words)
    torch.set_num_threads(flags.threads)
    print("| batch | form | seconds a step, median | least | most | n | times faster |\n|---|---|---|---|---|---|---|")
    for batch_size in flags.batch_sizes:
        size = forms.Size(flags.channels, flags.cells, batch_size, flags.image_size)
        works = {form: forms.trained(size, form) for form in (forms.ORIGINAL, forms.PURE)}
        seconds = bench.interleaved(works, works, float("inf"), flags.rounds, warm=True)
        plain = statistics.median(seconds[forms.ORIGINAL])
        for form, values in seconds.items():
            middle = statistics.median(values)
            told = f"{middle:.3g} | {min(values):.3g} | {max(values):.3g} | {len(values)} | {plain / middle:.2f}"
            print(f"| {batch_size} | {form.name} | {told} |", flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
