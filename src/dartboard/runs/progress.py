"""The display of a run at work: a bar on a terminal, otherwise a plain line per epoch; once, that it takes long."""

import sys
from types import TracebackType
from typing import Any, Self

from dartboard.runs.pace import Pace


class Progress:
    """Plain lines on stdout, one per epoch. Use as a context manager. label: what the lines begin with.

    pace: estimates whether the run takes more than an hour.
    """

    def __init__(self, total_steps: int, total_epochs: int, label: str = "", pace: Pace | None = None) -> None:
        self.total_steps, self.total_epochs, self.label = total_steps, total_epochs, label
        self.pace = pace or Pace(total_steps, said=True)

    def __enter__(self) -> Self:
        self.pace.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def step(self, step: int, **numbers: float) -> None:
        """After every step. step: steps done since the run began; numbers: losses, accuracies, learning rates."""
        if (line := self.pace.line(step)) is not None:
            self.say(line)

    def epoch(self, epoch: int, text: str, cell: str = "") -> None:
        """After every epoch, counted from 0. text: what to say of it; cell: the present cell in one line."""
        self.say(f"epoch {epoch + 1}/{self.total_epochs}  {text}")

    def say(self, line: str) -> None:
        begin = f"{self.label}  " if self.label else ""
        print(f"{begin}{line}\n", end="", flush=True)  # one write per line


class TerminalProgress(Progress):
    """A bar with the time left, the latest numbers and the present cell."""

    def __init__(self, total_steps: int, total_epochs: int, pace: Pace | None = None, unit: str = "epoch") -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        super().__init__(total_steps, total_epochs, pace=pace)
        self.unit = unit
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
        self.bar = Bar(*columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self.numbers, self.cell = Text(), Text(overflow="ellipsis", no_wrap=True)
        self.live = Live(Group(self.bar, self.numbers, self.cell), console=Console(), refresh_per_second=4)
        self.task: Any = None

    def __enter__(self) -> Self:
        self.live.start()
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.live.stop()

    def step(self, step: int, **numbers: float) -> None:
        if self.task is None:  # a resumed run begins in the middle: the time left counts from there
            self.task = self.bar.add_task("", total=self.total_steps, completed=step)
        self.bar.update(self.task, completed=step, description=f"{self.unit} {self.epoch_of(step)}/{self.total_epochs}")
        self.numbers.plain = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        super().step(step)

    def epoch_of(self, step: int) -> int:
        """The epoch, counted from 1, that a step lies in."""
        per_epoch = max(1, self.total_steps // max(1, self.total_epochs))
        return min(self.total_epochs, 1 + max(0, step - 1) // per_epoch)

    def epoch(self, epoch: int, text: str, cell: str = "") -> None:
        super().epoch(epoch, text)
        if cell:
            self.cell.plain = cell

    def say(self, line: str) -> None:
        self.live.console.print(line, markup=False, highlight=False)


def progress_for(
    total_steps: int, total_epochs: int, label: str = "", pace: Pace | None = None, unit: str = "epoch"
) -> Progress:
    """The bar if stdout is a terminal; plain lines otherwise, and if several runs, with labels, share it."""
    if label or not sys.stdout.isatty():
        return Progress(total_steps, total_epochs, label, pace)
    return TerminalProgress(total_steps, total_epochs, pace, unit)
