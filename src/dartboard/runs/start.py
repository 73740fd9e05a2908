"""The warm start of a run: from which run, what is taken from it, and the copy of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dartboard.config import field_names
from dartboard.errors import InputError
from dartboard.runs.checkpoint import Checkpoint, checkpoints, write_checkpoint

START = "start"  # the folder in a run that holds the checkpoint of the run before


@dataclass(frozen=True)
class WarmStart:
    """What a search takes from another one. Raises InputError if carry names nothing."""

    from_: str
    """the run to begin from"""
    carry: str = "weights,alphas"
    """what of it: weights, alphas, or both with a comma; the words are those of the method's CARRIED"""
    restart_schedule: bool = True
    """learning rate and optimizers restart; otherwise they continue where the other run stood"""

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError(f"--carry is {self.carry[:60]!r}; name what is taken, such as weights")

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.carry.split(",") if part.strip())


KEYS = {name: name.rstrip("_") for name in field_names(WarmStart)}  # names in config.toml


def to_table(warm_start: WarmStart | None) -> dict[str, Any]:
    """The keys of a run's config.toml that say what it begins with."""
    return {} if warm_start is None else {key: getattr(warm_start, name) for name, key in KEYS.items()}


def from_table(table: dict[str, Any]) -> WarmStart | None:
    """Takes those keys out of a table. Raises InputError if one has no sense."""
    found = {name: table.pop(key) for name, key in KEYS.items() if key in table}
    if "from_" not in found:
        return None
    texts = all(isinstance(found.get(name, ""), str) for name in ("from_", "carry"))
    if not texts or not isinstance(found.get("restart_schedule", True), bool):
        raise InputError("the settings from, carry and restart_schedule are a text, a text, and true or false")
    return WarmStart(**found)


def keep_start(folder: Path, checkpoint: Checkpoint) -> None:
    """Copies what the run starts from into its folder: it no longer needs the other run."""
    if not checkpoints(folder / START):
        write_checkpoint(folder / START, checkpoint)


def drop_start(folder: Path) -> None:
    """Takes that copy away again."""
    import shutil

    shutil.rmtree(folder / START, ignore_errors=True)
