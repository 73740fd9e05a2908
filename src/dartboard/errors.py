"""Errors a person can act on: each becomes one line on stderr and an exit code (see docs/commands.md)."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """What the person gave, or the surroundings, is wrong: exit code 2. The message says what, and what to do."""


class TakenError(InputError):
    """The folder of a new run already belongs to another."""


class InUseError(TakenError):
    """A living process works in the folder."""


class EditedSettingsError(InputError):
    """The settings are not those that the work started with."""


class CannotContinueError(Exception):
    """The work cannot continue (NaN, full disk, out of memory); what was saved is intact: exit code 3."""


class InterruptedRunError(Exception):
    """A signal or a time limit stopped the work after it was saved: exit code 130, 143, or 0 for a time limit."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


NEAREST = 5  # known words that are named


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An InputError that names the nearest known words, the nearest first; "did you mean" if it is a near one."""
    options, name = sorted(known), name[:80]
    near = get_close_matches(name, options, n=NEAREST, cutoff=0.5)
    if not near:
        lowered = {option.lower(): option for option in options}
        near = [lowered[word] for word in get_close_matches(name.lower(), list(lowered), n=NEAREST, cutoff=0.5)]
    others = get_close_matches(name, options, n=len(options) or 1, cutoff=0.0)
    ranked = [*near, *(option for option in others if option not in near)][:NEAREST]
    if near:
        hint = f"did you mean {near[0]!r}?" + (f" or {', '.join(ranked[1:])}" if ranked[1:] else "")
    else:
        start = "the nearest of the known" if len(options) > NEAREST else "known"
        hint = f"{start}: {', '.join(ranked)}"
    return InputError(f"unknown {kind} {name!r}; {hint}")
