"""What a run begins with where it goes on from another one: which run, what of it, and the copy of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.config import field_names
from dartboard.errors import InputError
from dartboard.runs.checkpoint import Checkpoint, checkpoints, write_checkpoint

if TYPE_CHECKING:

    pass

START = "start"  # the folder in a run that holds the checkpoint of the run before
PARTS = ("weights", "alphas")


@dataclass(frozen=True)
class Handover:
    """What a search takes over. Raises InputError where carry names nothing known."""

    from_: str
    """the run to begin from"""
    carry: str = "weights,alphas"
    """what of it: weights, alphas, or both with a comma"""
    restart_schedule: bool = True
    """learning rate and optimizers begin anew; otherwise they go on where the other run stood"""

    def __post_init__(self) -> None:
        if not self.parts or any(part not in PARTS for part in self.parts):
            raise InputError(f"--carry is {self.carry[:60]!r}; give weights, alphas, or weights,alphas")

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.carry.split(",") if part.strip())


KEYS = {name: name.rstrip("_") for name in field_names(Handover)}  # names in config.toml


def to_table(handover: Handover | None) -> dict[str, Any]:
    """The keys of a run's config.toml that tell of a hand-over."""
    return {} if handover is None else {key: getattr(handover, name) for name, key in KEYS.items()}


def from_table(table: dict[str, Any]) -> Handover | None:
    """Takes those keys out of a table. Raises InputError where one has no sense."""
    found = {name: table.pop(key) for name, key in KEYS.items() if key in table}
    if "from_" not in found:
        return None
    texts = all(isinstance(found.get(name, ""), str) for name in ("from_", "carry"))
    if not texts or not isinstance(found.get("restart_schedule", True), bool):
        raise InputError("the settings from, carry and restart_schedule are a text, a text, and true or false")
    return Handover(**found)


def keep_start(folder: Path, checkpoint: Checkpoint) -> None:
    """Copies what the run begins from into its folder: it needs the other run no more."""
    if not checkpoints(folder / START):
        write_checkpoint(folder / START, checkpoint)


def drop_start(folder: Path) -> None:
    """Takes that copy away again."""
    import shutil

    shutil.rmtree(folder / START, ignore_errors=True)
