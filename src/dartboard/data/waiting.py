"""Progress of long waits for data, on stderr: a bar on a terminal, one plain line elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def waiting(what: str, total: int | None, *, in_bytes: bool = False, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the amount that was just done; `done` of `total` were done before."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        console.out(what, highlight=False)
        yield lambda amount: None
        return
    amounts = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amounts, TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total, completed=done)
        yield lambda amount: progress.advance(task, amount)
