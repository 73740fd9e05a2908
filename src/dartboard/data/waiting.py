"""Progress of long waits for data, on stderr: one plain line, and on a terminal a bar below it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def waiting(what: str, total: int | None, *, in_bytes: bool = False, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the amount that was just done; `done` of `total` were done before."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    console.out(what, highlight=False)
    if not console.is_terminal:
        yield lambda amount: None
        return
    amounts = DownloadColumn() if in_bytes else MofNCompleteColumn()
    with Progress(BarColumn(), amounts, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=total, completed=done)
        yield lambda amount: progress.advance(task, amount)
