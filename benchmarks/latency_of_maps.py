"""Whether a layer takes as long of one map again and again as of other maps: why every call that is timed has another.

Times operations of DARTS by the clock of `dartboard latency build`, one thread, of 1, 2, 4, ... different maps in turn.
Prints milliseconds, the median of --repeats measurements, and what one map makes of it.

Usage: python benchmarks/latency_of_maps.py [--channels 16] [--side 32] [--repeats 20]
"""

import argparse
from collections.abc import Sequence
from statistics import median

import torch

from dartboard.networks.layers import operation
from dartboard.scoring.stopwatch import seconds_of_call

NUMBERS = (1, 2, 4, 8, 16, 64)  # of maps
OPERATIONS = ("max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "dil_conv_3x3")
CALLS = 25


def milliseconds(name: str, channels: int, side: int, repeats: int) -> list[float]:
    """Of an operation, for each number of maps."""
    layer, found = operation(name, channels, 1).eval(), []
    with torch.inference_mode():
        for number in NUMBERS:
            maps = [torch.randn(1, channels, side, side) for _ in range(number)]
            for x in maps:
                layer(x)
            found.append(1000 * median(seconds_of_call(layer, maps, CALLS) for _ in range(repeats)))
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=20)
    flags = parser.parse_args(words)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"| operation, {flags.channels} channels, {flags.side}x{flags.side} | ", end="")
    print(" | ".join(f"{number} map{'s' * (number > 1)}" for number in NUMBERS), "| one map / most |")
    print("|---" * (len(NUMBERS) + 2) + "|")
    for name in OPERATIONS:
        times = milliseconds(name, flags.channels, flags.side, flags.repeats)
        print(f"| {name} | {' | '.join(f'{ms:.3f}' for ms in times)} | {times[0] / times[-1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
