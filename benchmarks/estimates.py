"""What --dry-run says against what then happens: seconds of the run and peak memory, on five small configurations.

Each configuration runs the dry run and then the command itself, in processes of their own, one after the other.
Compared are the seconds of the whole run (start of Python and the page left out) and the peak memory of the process.
Usage: python benchmarks/estimates.py [--out FILE.md] [--threads N] [--only 0 2 ...]
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

BOARD = "import sys; from dartboard.cli import main; code = main(sys.argv[1:]); "
MEASURED = BOARD + "from dartboard.devices import peak_bytes; print('peak bytes', peak_bytes()); sys.exit(code)"
CONFIGURATIONS = (
    "search darts --data digits --epochs 4",
    "search darts --data digits --epochs 3 --second-order --channels 8 --cells 3",
    "search darts --data digits --epochs 2 --supernet plain --channels 8 --batch-size 128",
    "train DARTS_V2 --data digits --epochs 12",
    "train DARTS_V1 --data digits --epochs 6 --channels 24 --cells 8 --batch-size 192",
)
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "s": 1.0, "min": 60.0, "h": 3600.0, "days": 86400.0}


def board(words: str, *more: str, code: str = MEASURED) -> str:
    """The output of a dartboard command in a process of its own, with its peak memory in the last line."""
    done = subprocess.run([sys.executable, "-c", code, *words.split(), *more], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words}: {done.stderr}")
    return done.stdout


def said(text: str) -> tuple[float, float]:
    """(seconds of the whole run, bytes at most) that a dry run tells."""
    parts = re.search(r"time: ([\d.]+) s per step.*, ([\d.]+) s to score and ([\d.]+) s to save", text)
    steps = re.search(r"steps: (\d+) per epoch, (\d+) epochs", text)
    memory = re.search(r"peak memory: ([\d.]+) (kB|MB|GB)", text)
    if not (parts and steps and memory):
        raise SystemExit(f"a dry run told something else:\n{text}")
    step_s, score_s, save_s = map(float, parts.groups())
    return int(steps[2]) * (int(steps[1]) * step_s + score_s + save_s), float(memory[1]) * UNITS[memory[2]]


def happened(text: str, run: Path) -> tuple[float, float]:
    """(seconds of the whole run, bytes at most) of a run that is done."""
    result = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    memory = re.search(r"peak bytes (\d+)", text)
    return float(result["elapsed_s"]), float(memory[1]) if memory else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--only", type=int, nargs="+", default=range(len(CONFIGURATIONS)))
    words = parser.parse_args()
    lines = ["| `dartboard ...` | seconds said | happened | ratio | MB said | happened | ratio |", "|---" * 7 + "|"]
    for number in words.only:
        with tempfile.TemporaryDirectory() as folder:
            command, run = CONFIGURATIONS[number], Path(folder) / "run"
            said_s, said_bytes = said(board(command, "--threads", words.threads, "--dry-run"))
            told = board(command, "--threads", words.threads, "--out", str(run))
            true_s, true_bytes = happened(told, run)
        times = f"{said_s:.1f} | {true_s:.1f} | {said_s / true_s:.2f}"
        memory = f"{said_bytes / 1e6:.0f} | {true_bytes / 1e6:.0f} | {said_bytes / true_bytes:.2f}"
        lines.append(f"| `{command}` | {times} | {memory} |")
        print(lines[-1], flush=True)
    if words.out is not None:
        words.out.write_text("\n".join(lines) + "\n")
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{words.threads} threads; {children.ru_utime + children.ru_stime:.0f} CPU seconds in all")


if __name__ == "__main__":
    main()
