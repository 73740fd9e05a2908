"""`--from RUN`: a search that begins with what another one has learned. What is taken is copied into the new run.

Carried are the weights w, alpha, or both. The classifier is always new, since its classes may be. With a restarted
schedule the optimizers and the learning rate restart; else both go on where the other run stood.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.runs.checkpoint import Checkpoint, checkpoints, read_checkpoint
from dartboard.runs.run import Run
from dartboard.runs.start import START
from dartboard.training.loop import Savable, put_back, tensors_of

SAME = ("channels", "cells")  # settings of both searches that weights depend on


def check_parent(parent: Run, header: Mapping[str, Any], config: Any, parts: Sequence[str]) -> Checkpoint:
    """The newest intact checkpoint of the run to begin from. Raises InputError where it cannot be gone on from."""
    if parent.command != "search":
        raise InputError(f"{parent.folder} is a training; --from takes the folder of a search")
    for name in ("method", "space"):
        mine, theirs = header.get(name), getattr(parent, name)
        if mine is not None and theirs is not None and mine != theirs:
            raise InputError(f"{parent.folder} was searched with {name} {theirs}, not {mine}; give the same one")
    for name in SAME if "weights" in parts else ():
        mine, theirs = getattr(config, name, None), parent.settings.get(name)
        if mine != theirs:
            raise InputError(
                f"{parent.folder} has {name} {theirs}, not {mine}: weights do not fit; give --{name} {theirs}"
            )
    found = [read_checkpoint(path) for path in reversed(checkpoints(parent.folder / "checkpoint"))]
    intact = [checkpoint for checkpoint in found if checkpoint is not None]
    if not intact:
        raise InputError(f"{parent.folder} has no intact checkpoint to begin from; go on with it first")
    return intact[0]


def start_of(run: Run) -> Checkpoint | None:
    """What a run begins from, or None for a run that begins by itself. Raises InputError where the copy is damaged."""
    if run.handover is None:
        return None
    found = [read_checkpoint(path) for path in checkpoints(run.folder / START)]
    if not found or found[-1] is None:
        where = os.fspath(run.folder / START)
        raise InputError(f"what the run begins from is damaged in {where}; begin a new run --from {run.handover.from_}")
    return found[-1]


def epochs_before(run: Run) -> int:
    """Epochs of the schedule that are over when the run begins: 0 where the schedule restarts."""
    start = start_of(run)
    if start is None or run.handover is None or run.handover.restart_schedule:
        return 0
    return start.epoch + int(start.extra.get("epochs_before", 0))


def carried(run: Run, fresh: Mapping[str, Tensor], head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors a run begins with where it takes over another's, by the names of a checkpoint.

    fresh: those it would begin with by itself; head: what stays fresh in any case, the classifier and its optimizer's
    state. Optimizers go on only with a schedule that goes on. Raises InputError where names or shapes differ.
    """
    start = start_of(run)
    assert start is not None and run.handover is not None
    wanted = tuple(prefix for part in run.handover.parts for prefix in prefixes(part, run.handover.restart_schedule))
    found = {name: tensor for name, tensor in start.tensors.items() if name.startswith(wanted)}
    modules = tuple(prefixes(part, restart_schedule=True)[0] for part in run.handover.parts)
    if {name for name in found if name.startswith(modules)} != {name for name in fresh if name.startswith(modules)}:
        raise InputError(
            f"the checkpoint of {run.handover.from_} is of another kind of run, and has not what this one takes over; "
            "begin without --from"
        )
    for name in [name for name in found if name in fresh and name not in head]:
        if fresh[name].shape != found[name].shape:
            raise InputError(
                f"{name} of {run.handover.from_} is {tuple(found[name].shape)}, here {tuple(fresh[name].shape)}: "
                "images of other channels or another space cannot take it over; begin without --from"
            )
    return {**fresh, **found, **{name: tensor for name, tensor in head.items() if name in fresh or name in found}}


def prefixes(part: str, restart_schedule: bool) -> tuple[str, ...]:
    """What the names of a part's tensors in a checkpoint begin with, its optimizer's where that goes on."""
    module, optimizer = {"weights": ("supernet/", "w/"), "alphas": ("alpha/", "alpha_adam/")}[part]
    return (module,) if restart_schedule else (module, optimizer)


def take_over(run: Run, supernet: nn.Module, **parts: Savable) -> None:
    """Puts what a run takes over from another into the parts that `save` will be given; the classifier stays new.

    supernet: the part of that name; the others: as `save` takes them. Raises InputError where it does not fit.
    """
    parts = {"supernet": supernet, **parts}
    fresh = {f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in tensors_of(part).items()}
    head = {name: tensor for name, tensor in fresh.items() if name.startswith("supernet/classifier.")}
    for index, (name, parameter) in enumerate(supernet.named_parameters()):
        if name.startswith("classifier."):
            head[f"w/{index}/momentum_buffer"] = torch.zeros_like(parameter)
    tensors = carried(run, fresh, head)
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        if own:
            put_back(part, own)
