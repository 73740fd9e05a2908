"""A small finished search with an elastic supernet, for tests of what is asked of one."""

from pathlib import Path

from dartboard import Run
from dartboard.cli import main
from dartboard.spaces import mobilenet
from dartboard.studies import specialise
from dartboard.testing import tiny

SPACE = mobilenet.SPACES["bignas-8"]
WORDS = [
    "search", "bignas", "--space", "bignas-8", "--data", "digits", "--max-images", "96", "--channels", "4", "--epochs",
    "1", "--batch-size", "16", "--coarse", "2", "--fine", "0", "--threads", "1",
]  # fmt: skip
FEW = ["--recalibrate", "32", "--val-images", "40"]  # images, for a question


def made(folder: Path) -> Path:
    """The run in a folder, which is there when this returns."""
    assert main([*WORDS, "--out", str(folder)]) == 0
    return folder


def opened(run: Path, latency: str | None = None) -> specialise.Trained:
    """Its supernet. latency: a table's file."""
    return specialise.trained(Run.open(run), SPACE, tiny.digits(96), latency)
