"""The most memory that a process held while a run was at work, in the run's own environment.json."""

from collections.abc import Iterator
from contextlib import contextmanager

from dartboard.devices import forget_peak, peak_bytes
from dartboard.errors import InterruptedRunError
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json
from dartboard.runs.run import ENVIRONMENT, Run

PEAK = "peak_memory_mb"  # in environment.json


@contextmanager
def recorded_peak(run: Run) -> Iterator[None]:
    """Writes into environment.json the most memory in MB (10^6 bytes) that was held at once while the run was at work:
    of the whole process, or (cuda) on the GPU; of several processes that worked on it one after another, the highest.
    Of work that ends by an error nothing is written."""
    import torch

    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    forget_peak()
    try:
        yield
    except InterruptedRunError:
        note(run)
        raise
    note(run)


def note(run: Run) -> None:
    import torch

    now = (torch.cuda.max_memory_allocated(run.device) if run.device.type == "cuda" else peak_bytes()) / 1e6
    most = max(now, run.environment.get(PEAK) or 0.0)
    replace_file(run.folder / ENVIRONMENT, as_json({**run.environment, PEAK: round(most, 1)}))
