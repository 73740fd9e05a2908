"""Seconds until the command line has answered: medians of wall-clock and of CPU time, torch mostly not imported.

Usage: python benchmarks/start_up.py [REPEATS]
"""

import resource
import statistics
import subprocess
import sys
import time

COMMANDS = ("--help", "list", "show DARTS_V2", "show DARTS_V2 --no-counts", "train DARTS_V3", "--version")


def timed(words: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds of one call."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "dartboard", *words.split()], capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(repeats: int) -> None:
    print("| dartboard ... | n | seconds, median | least | greatest | CPU seconds, median |")
    print("|---|---|---|---|---|---|")
    for words in COMMANDS:
        walls, cpus = zip(*(timed(words) for _ in range(repeats)), strict=True)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        print(f"| `{words}` | {repeats} | {wall:.2f} | {min(walls):.2f} | {max(walls):.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
