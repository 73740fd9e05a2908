"""The independent pieces of work of a comparison: in this process one after another, or by workers."""

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from dartboard.devices import pick_device
from dartboard.runs import workers
from dartboard.runs.limits import Limits
from dartboard.studies.comparison_folder import ComparisonFolder

Piece = Mapping[str, Any]


def done(
    one: ComparisonFolder,
    function: str,
    pieces: Iterable[Piece],
    words: str | None,
    limits: Limits,
    label: Callable[[int], str],
    progress: Callable[[Piece], object] = lambda piece: None,
) -> Generator[tuple[int, Any], None, None]:
    """The number and the result of each piece, as they end. function: "package.module:name"; pieces: its arguments;
    words: of --workers; label, progress: as for `runs.workers.outcomes`. Raises as that."""
    return workers.done(
        function,
        pieces,
        words,
        one.threads,
        limits=limits,
        label=label,
        progress=progress,
        resume=lambda: one.resume_command,
        sees=str(one.folder.absolute()),
        gpu=one.plan.truth is None and pick_device(one.setup.device).type == "cuda",
    )
