"""Checkpoints: one folder each, tensors and state, checked by digests, so that a torn one is known as such."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.atomic_files import PART, make_folders, rename_into_place, sync, write_synced, writing

if TYPE_CHECKING:
    from torch import Tensor

NAME = re.compile(r"step-(\d{9,})(?:\.(\d+))?")
TENSORS, STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a run was when it was saved.

    tensors: by name, on the CPU; step, epoch: those to resume at, as the method counts them; extra: JSON values of
    the method; metrics_bytes: length of metrics.jsonl; elapsed_s: seconds worked so far; last_epoch: the last epoch's
    line in the metrics, or None; settings: the digest of the run's settings; place: the folder it was read from.
    """

    tensors: "dict[str, Tensor]"
    step: int
    epoch: int
    extra: dict[str, Any] = field(default_factory=dict)
    metrics_bytes: int = 0
    elapsed_s: float = 0.0
    last_epoch: dict[str, Any] | None = None
    settings: str | None = None
    place: Path | None = None


def state_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """All fields but the tensors, which are a file of their own, and the place, which may move."""
    apart = ("tensors", "place")
    return {one.name: getattr(checkpoint, one.name) for one in fields(checkpoint) if one.name not in apart}


def digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes folder/step-NNNNNNNNN completely or not at all; returns its path. Raises as `atomic_files.writing`."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()})
    state = {**state_of(checkpoint), "tensors_sha256": hashlib.sha256(data).hexdigest()}
    state["digest"] = digest(state)
    target = free_name(folder, checkpoint.step)
    beside = folder / f".{target.name}{PART}"
    with writing(folder):
        shutil.rmtree(beside, ignore_errors=True)
        try:
            make_folders(folder)
            beside.mkdir()
            write_synced(beside / TENSORS, data)
            write_synced(beside / STATE, (json.dumps(state) + "\n").encode())
            sync(beside)
            rename_into_place(beside, target)
            sync(folder)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    return target


def free_name(folder: Path, step: int) -> Path:
    """step-000000012, or step-000000012.1 if that step was saved before: nothing intact is ever overwritten."""
    target, again = folder / f"step-{step:09d}", 0
    while target.exists():
        again += 1
        target = folder / f"step-{step:09d}.{again}"
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, intact or not, oldest first. Raises InputError if it is not a folder."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is not a folder of checkpoints; restore the folder, or move what is there")
    found = {}
    for path in folder.glob("step-*"):
        if match := NAME.fullmatch(path.name):
            found[int(match[1]), int(match[2] or 0)] = path
    return [found[key] for key in sorted(found)]


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint in a folder, or None if any byte of it is missing or wrong."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = ordinary_bytes(path / TENSORS)
        state = json.loads(ordinary_bytes(path / STATE))
        if state.pop("digest") != digest(state) or state.pop("tensors_sha256") != hashlib.sha256(data).hexdigest():
            return None
        return Checkpoint(tensors=load(data), **state, place=path)
    except (InputError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
        return None


def newest(folder: Path) -> Checkpoint | None:
    """The newest intact checkpoint in a folder in which another process may be at work; None if there is none.

    Nothing is written or locked. Raises InputError if there are checkpoints and none is intact.
    """
    while found := checkpoints(folder):
        for path in reversed(found):
            if (checkpoint := read_checkpoint(path)) is not None:
                return checkpoint
        if checkpoints(folder) == found:  # else they were removed, for newer ones, while they were read
            raise InputError(f"no checkpoint in {folder} is intact, so there are no weights; restore one or retrain")
    return None


def newest_name(folder: Path) -> str:
    """The name of the newest checkpoint in a folder, intact or not; empty if there is none."""
    found = checkpoints(folder)
    return found[-1].name if found else ""


def prune(folder: Path, keep: list[Path]) -> None:
    """Removes every checkpoint and leftover, which are folders, but those to keep."""
    for path in folder.iterdir():
        if path not in keep and path.is_dir() and not path.is_symlink():  # to open a pipe would wait for its writer
            shutil.rmtree(path, ignore_errors=True)
