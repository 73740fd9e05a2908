"""The most memory that a search held is in its folder, and `explain --all` reads it there."""

from pathlib import Path

import pytest
import torch

from dartboard.cli import main
from dartboard.devices import CLEAR, forget_peak, resident_bytes
from dartboard.errors import InterruptedRunError
from dartboard.methods import random_search_ws
from dartboard.runs.peak_memory import PEAK, recorded_peak
from dartboard.runs.run import Run
from dartboard.studies import sharing

TINY = "--max-images 60 --batch-size 16 --channels 2 --cells 3 --epochs 1 --candidates 2 --round 2 --finalists 1"


def can_forget() -> bool:
    forget_peak()
    return CLEAR.exists()


@pytest.mark.skipif(not can_forget(), reason="this system counts a process's memory from its start")
def test_the_highest_of_several_processes_stays_and_an_error_writes_nothing(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", random_search_ws.Config()) as run:
        before = resident_bytes() / 1e6
        with pytest.raises(InterruptedRunError), recorded_peak(run):
            torch.ones(50_000_000)  # 200 MB
            raise InterruptedRunError("stopped", 0)
        most = run.environment[PEAK]
        assert before + 190 < most < before + 300
        with recorded_peak(run):
            torch.ones(1000)
        assert most <= run.environment[PEAK] < most + 2  # what a library keeps of the first counts
        with pytest.raises(ValueError, match="a defect"), recorded_peak(run):
            torch.ones(100_000_000)
            raise ValueError("a defect")
        assert run.environment[PEAK] < most + 2


def test_a_search_notes_it_for_the_comparison_of_weight_sharing(tmp_path: Path) -> None:
    words = f"search random_search_ws --space nasbench201 --data digits --threads 1 {TINY}".split()
    assert main([*words, "--out", str(tmp_path / "ws")]) == 0
    (one,) = sharing.read([str(tmp_path / "ws")], "nasbench201")
    assert one.peak_memory_mb is not None and one.peak_memory_mb > 20
