"""Memory that one forward and backward pass of a supernet takes at its peak, in bytes, in a process of its own.

Usage: python benchmarks/peak_memory.py FORM CHANNELS CELLS BATCH_SIZE IMAGE_SIZE THREADS
FORM is a place in NUMBERED.
"""

import subprocess
import sys

import torch
from forms import COMPILED, FORWARD_BACKWARD, ORIGINAL, PURE, Form, Size, searched

from dartboard import devices
from dartboard.runs import allocator

NUMBERED = (ORIGINAL, PURE, COMPILED)


def measured(form: Form, size: Size, threads: int) -> int | None:
    """Bytes by a child process: its greatest resident size less that before the pass; None where it did not end."""
    numbers = [NUMBERED.index(form), size.channels, size.cells, size.batch_size, size.image_size, threads]
    words = [sys.executable, __file__, *map(str, numbers)]
    done = subprocess.run(words, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def main(form: int, channels: int, cells: int, batch_size: int, image_size: int, threads: int) -> None:
    torch.set_num_threads(threads)
    tiny = Size(2, 3, 2, 8)
    with NUMBERED[form].chosen():
        searched(NUMBERED[form], tiny).works[FORWARD_BACKWARD]()  # libraries and kernels are loaded before
        work = searched(NUMBERED[form], Size(channels, cells, batch_size, image_size)).works[FORWARD_BACKWARD]
        if (library := allocator.glibc()) is not None:
            library.malloc_trim(0)
        devices.forget_peak()
        before = devices.resident_bytes()
        work()
    print(devices.peak_bytes() - before)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
