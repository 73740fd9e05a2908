"""The short trainings of a study as independent pieces of work, in this process or by workers.

A worker writes what it evaluates of a training beside the training's run folder; the process that has the study takes
it over from there. So one file has one writer, and a training that was begun by either is resumed by the other.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dartboard.runs import workers
from dartboard.runs.checkpoint import newest_name
from dartboard.runs.limits import Limits
from dartboard.runs.run import CHECKPOINTS
from dartboard.spaces.search_space import Architecture, from_json
from dartboard.studies.pieces import Pieces
from dartboard.studies.short_trainings import TRAININGS, train_one
from dartboard.studies.subject import Study

Training = tuple[str, Architecture, int]  # name, architecture, number


def train_all(one: Study, trainings: Sequence[Training], words: str | None) -> None:
    """All trainings, by the workers that `words`, of --workers, names. Raises as `workers.done`."""

    def train_here(*, name: str, number: int, limits: Limits, **same: Any) -> None:
        adopt(one, name, number)
        train_one(one, name, cells[name, number], number)

    cells = {(name, number): architecture for name, architecture, number in trainings}
    more = {
        "limits": one.limits,
        "label": lambda index: "{0}-s{2}".format(*trainings[index]),
        "progress": lambda piece: newest_name(place_of(one.folder, piece["name"], piece["number"]) / CHECKPOINTS),
        "here": train_here,
        "sees": str(one.folder.absolute()),
        "gpu": one.search.run.device.type == "cuda",
    }
    function, threads = "dartboard.commands.why:train_piece", torch.get_num_threads()
    pieces = [piece_of(one, training, words) for training in trainings]
    with closing(workers.done(function, pieces, words, threads, **more)) as found:
        for _ in found:
            pass
    for name, _, number in trainings:
        adopt(one, name, number)


def piece_of(one: Study, training: Training, words: str | None) -> dict[str, Any]:
    """What a worker is told of a training: all that it needs, and what is already evaluated of it."""
    name, architecture, number = training
    here = words is None or workers.on_this_machine(words)
    out, search = (str(path if here else path.absolute()) for path in (one.folder, one.search.run.folder))
    prefix = f"training/{name}/{number}/"
    known = {f"{prefix}{stage}": fields for stage, fields in one.pieces.under(prefix).items()}
    cell = {"architecture": architecture.to_json(), "name": name, "number": number, "known": known}
    return {"run": search, "out": out, "config": asdict(one.config), **cell}


def train_by_worker(
    one: Study, name: str, number: int, architecture: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    """One training by a worker. one: the study, with the worker's own file of pieces; known: those of the study."""
    one.pieces.done = {**known, **one.pieces.done}
    train_one(one, name, from_json(architecture), number)


def adopt(one: Study, name: str, number: int) -> None:
    """Takes over what a worker has evaluated of a training."""
    beside = beside_of(one.folder, name, number)
    if beside.is_dir():
        for key, fields in Pieces(beside).done.items():
            if key not in one.pieces:
                one.pieces.add(key, **fields)


def place_of(out: Path, name: str, number: int) -> Path:
    """The run folder of a training."""
    return out / TRAININGS / f"{name}-s{number}"


def beside_of(out: Path, name: str, number: int) -> Path:
    """Where a worker writes what it has evaluated of a training."""
    return out / TRAININGS / f"{name}-s{number}.by-worker"
