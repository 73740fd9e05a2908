"""The independent pieces of work of a comparison, one after another."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from dartboard.runs.limits import Limits


def done(
    function: str, pieces: Sequence[Mapping[str, Any]], workers: str | None, threads: int | None, *, limits: Limits
) -> Iterator[tuple[int, Any]]:
    """The number and the result of each piece. function: "package.module:name"; pieces: its arguments."""
    module, _, name = function.partition(":")
    work = getattr(import_module(module), name)
    for index, piece in enumerate(pieces):
        yield index, work(**piece, limits=limits)
