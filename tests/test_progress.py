"""What is seen of the work: a line an epoch, or a bar with time left, numbers and the present cell on a terminal."""

import os
import pty
import re
import subprocess
import sys

import pytest

from dartboard.runs.progress import Progress, TerminalProgress, progress_for

PROGRAM = """
from dartboard.runs.progress import progress_for
with progress_for(total_steps=40, total_epochs=2) as progress:
    for step in range(21, 41):
        progress.step(step, train_loss=0.12345, lr=0.025)
    progress.epoch(1, "val accuracy 75.0%", "Genotype(normal=[('skip_connect', 0)])")
"""


def test_elsewhere_than_on_a_terminal_an_epoch_is_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_for(total_steps=4, total_epochs=2) as progress:
        assert type(progress) is Progress
        for epoch in range(2):
            for step in range(2):
                progress.step(2 * epoch + step + 1, train_loss=1.0)
            progress.epoch(epoch, f"val accuracy {epoch}", "a cell")
    assert capsys.readouterr().out == "epoch 1/2  val accuracy 0\nepoch 2/2  val accuracy 1\n"


def test_a_terminal_shows_time_left_numbers_and_the_present_cell() -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "150", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=follower, stderr=follower, env=environment) as child:
        os.close(follower)
        seen = b""
        while piece := read(leader):
            seen += piece
    os.close(leader)
    assert child.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    for words in (
        "epoch 2/2",
        "40/40",
        "left",
        "train_loss 0.1235",
        "lr 0.025",
        "val accuracy 75.0%",
        "('skip_connect', 0)",
    ):
        assert words in text, words


def read(descriptor: int) -> bytes:
    """What is there to read, or nothing at the end (which Linux tells by an error)."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def test_steps_lie_in_their_epochs() -> None:
    progress = TerminalProgress(total_steps=30, total_epochs=3)
    assert [progress.epoch_of(step) for step in (0, 1, 10, 11, 20, 21, 30, 31)] == [1, 1, 1, 2, 2, 3, 3, 3]
