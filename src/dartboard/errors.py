"""Errors a person can act on: each becomes one line on stderr and an exit code (see docs/commands.md)."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """What the person gave, or the surroundings, is wrong: exit code 2. The message says what, and what to do."""


class TakenError(InputError):
    """The folder of a new run is another's already."""


class InUseError(TakenError):
    """A living process works in the folder."""


class EditedSettingsError(InputError):
    """The settings are not those that the work began with."""


class CannotContinueError(Exception):
    """The work cannot go on (NaN, full disk, out of memory); what was saved is intact: exit code 3."""


class InterruptedRunError(Exception):
    """A signal or a time limit stopped the work after it was saved: exit code 130, 143, or 0 for a time limit."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An InputError that names the nearest known word, or all of them where none is near."""
    options = sorted(known)
    near = get_close_matches(name, options, n=1, cutoff=0.5)
    lowered = {option.lower(): option for option in options}
    if not near:
        near = [lowered[word] for word in get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.5)]
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(options[:40])}"
    return InputError(f"unknown {kind} {name[:80]!r}; {hint}")
