"""The command that trains the result of a search: with its data, at sizes that its machine can finish.

The sizes are those of training.json, which a search writes at its end. Loads no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.paths import quoted
from dartboard.runs.json_files import read_json
from dartboard.runs.pace import seconds_in_words

TRAINING = "training.json"
# Settings of a search that its training shares unless they have their usual values: the images, and where to compute.
USUAL = {
    "data_dir": None, "image_size": None, "max_images": None, "max_classes": None, "official_split": False,
    "stream": "auto", "device": "auto", "threads": None, "precision": "float32", "seed": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How large a training is; takes_s: its time on the machine of the search."""

    channels: int
    cells: int
    epochs: int
    takes_s: float

    def flags(self) -> list[str]:
        return [word for name in ("channels", "cells", "epochs") for word in flag(name, getattr(self, name))]

    def words(self) -> str:
        return f"{self.channels} channels, {self.cells} cells, {self.epochs} epochs"


@dataclass(frozen=True)
class NextTraining:
    """flags: those that go with any size; recipe: the data set's; smaller: one to start with, if that takes long."""

    flags: tuple[str, ...] = ()
    recipe: Sizes | None = None
    smaller: Sizes | None = None

    def to_json(self) -> dict[str, Any]:
        sizes = {"recipe": self.recipe, "smaller": self.smaller}
        return {"flags": list(self.flags), **{name: vars(one) if one else None for name, one in sizes.items()}}


def read(folder: Path) -> NextTraining:
    """What a search has written; without sizes if it has not, or if the file has another form."""
    path = folder / TRAINING
    if not path.is_file():
        return NextTraining()
    try:
        found = read_json(path)
        sizes = {name: Sizes(**found[name]) if found[name] else None for name in ("recipe", "smaller")}
        return NextTraining(tuple(str(word) for word in found["flags"]), **sizes)
    except (InputError, KeyError, TypeError):
        return NextTraining()


def flag(name: str, value: object) -> list[str]:
    """The words of a setting on the command line."""
    typed = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [typed if value else typed.replace("--", "--no-", 1)]
    return [typed, str(value)]


def shared_flags(config: Mapping[str, Any]) -> list[str]:
    """The flags for the data of a run, and for the device on which it ran."""
    found = flag("data", config.get("data", "digits"))
    for name, usual in USUAL.items():
        value = config.get(name)
        if value is not None and value != "none" and value != usual:
            found += flag(name, value)
    return found


def command(folder: Path, config: Mapping[str, Any]) -> str:
    """The command itself, at sizes that can be finished, for a shell."""
    plan = read(folder)
    return " ".join(
        map(quoted, train_words(folder, config, plan.flags) + (plan.smaller.flags() if plan.smaller else []))
    )


def train_words(folder: Path, config: Mapping[str, Any], flags: Sequence[str]) -> list[str]:
    return ["dartboard", "train", str(folder), *shared_flags(config), *flags]


def remark(folder: Path, config: Mapping[str, Any]) -> str:
    """How long the command takes, with the recipe's own command; empty if the two are the same."""
    plan = read(folder)
    if plan.smaller is None or plan.recipe is None:
        return ""
    full = " ".join(map(quoted, train_words(folder, config, plan.flags)))
    here, recipe = (seconds_in_words(one.takes_s) for one in (plan.smaller, plan.recipe))
    return (
        f"{plan.smaller.words()}, in about {here} on the machine of the search. The recipe, {plan.recipe.words()}, "
        f"takes about {recipe} there: {full}"
    )
