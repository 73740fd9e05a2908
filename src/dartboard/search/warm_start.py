"""`--from RUN`: a search that begins with what another one has learned. What is taken is copied into the new run.

What can be carried is the method's: its table CARRIED. The classifier is always new, since its classes may be. With a
restarted schedule the optimizers and the learning rate restart; otherwise both continue from the other run.
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

# Words of --carry -> names in a checkpoint: of what was learned, then of the optimizers that learned it.
Carried = Mapping[str, tuple[str, ...]]
SAME = ("channels", "cells")  # settings of both searches that weights depend on


def check_parent(
    parent: Run, header: Mapping[str, Any], config: Any, parts: Sequence[str], carried: Carried
) -> Checkpoint:
    """The newest intact checkpoint of the run to start from. Raises InputError if a search cannot begin from it.

    parts: words of --carry; carried: what the method can carry.
    """
    check_words(parts, carried)
    if parent.command != "search":
        raise InputError(f"{parent.folder} is a training; --from takes the folder of a search")
    for name in ("method", "space"):
        mine, theirs = header.get(name), getattr(parent, name)
        if mine is not None and theirs is not None and mine != theirs:
            raise InputError(f"{parent.folder} was searched with {name} {theirs}, not {mine}; give the same one")
    for name in SAME if any("supernet" in carried[part] for part in parts) else ():
        mine, theirs = getattr(config, name, None), parent.settings.get(name)
        if mine != theirs:
            raise InputError(
                f"{parent.folder} has {name} {theirs}, not {mine}: weights do not fit; give --{name} {theirs}"
            )
    found = [read_checkpoint(path) for path in reversed(checkpoints(parent.folder / "checkpoint"))]
    intact = [checkpoint for checkpoint in found if checkpoint is not None]
    if not intact:
        raise InputError(f"{parent.folder} has no intact checkpoint to start from; resume it first")
    return intact[0]


def check_words(parts: Sequence[str], carried: Carried) -> None:
    """Raises InputError for words of --carry that the method does not know."""
    if any(part not in carried for part in parts):
        words = ", or ".join([", ".join(carried), ",".join(carried)][: len(carried)])
        raise InputError(f"--carry is {','.join(parts)[:60]!r}; give {words}")


def start_of(run: Run) -> Checkpoint | None:
    """The checkpoint of the warm start, or None for a run without one. Raises InputError if the copy is damaged."""
    if run.warm_start is None:
        return None
    found = [read_checkpoint(path) for path in checkpoints(run.folder / START)]
    if not found or found[-1] is None:
        where, parent = os.fspath(run.folder / START), run.warm_start.from_
        raise InputError(f"the checkpoint of the warm start is damaged in {where}; start a new run --from {parent}")
    return found[-1]


def epochs_before(run: Run) -> int:
    """Epochs of the schedule that are over when the run starts: 0 if the schedule restarts."""
    start = start_of(run)
    if start is None or run.warm_start is None or run.warm_start.restart_schedule:
        return 0
    return start.epoch + int(start.extra.get("epochs_before", 0))


def load_carried(run: Run, carried: Carried, supernet: nn.Module, parts: Mapping[str, Savable]) -> None:
    """Puts what a run takes from another into its fresh parts; the supernet's classifier stays new.

    supernet: one of the parts, whose `head_prefix` is what the names of its classifier's tensors begin with; parts: as
    `save` takes them. Raises InputError if names or shapes differ.
    """
    fresh = {f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in tensors_of(part).items()}
    found = wanted(run, carried, fresh)
    head = head_of(supernet, carried, parts, found)
    check_shapes(run, fresh, {name: tensor for name, tensor in found.items() if name not in head})
    tensors = {**fresh, **found, **head}
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        if own:
            put_back(part, own)


def wanted(run: Run, carried: Carried, fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The other run's tensors that are asked for, by their names in a checkpoint: what was learned and, if the
    schedule continues, the state of its optimizers. Raises InputError if the names are not those of `fresh`.
    """
    start = start_of(run)
    assert start is not None and run.warm_start is not None
    check_words(run.warm_start.parts, carried)
    chosen = [carried[word] for word in run.warm_start.parts]
    learned = tuple(f"{names[0]}/" for names in chosen)
    taken = learned if run.warm_start.restart_schedule else tuple(f"{name}/" for names in chosen for name in names)
    found = {name: tensor for name, tensor in start.tensors.items() if name.startswith(taken)}
    if {name for name in found if name.startswith(learned)} != {name for name in fresh if name.startswith(learned)}:
        raise InputError(
            f"the checkpoint of {run.warm_start.from_} is of another kind of run, and has not what --carry names; "
            "begin without --from"
        )
    return found


def check_shapes(run: Run, fresh: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raises InputError for the first tensor that has another shape than the fresh one of its name."""
    assert run.warm_start is not None
    for name in [name for name in found if name in fresh]:
        if fresh[name].shape != found[name].shape:
            raise InputError(
                f"{name} of {run.warm_start.from_} is {tuple(found[name].shape)}, here {tuple(fresh[name].shape)}: "
                "images of other channels or another space cannot begin with it; begin without --from"
            )


def head_of(
    supernet: nn.Module, carried: Carried, parts: Mapping[str, Savable], found: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The classifier's tensors as they are in the fresh supernet, and zeros for what optimizers hold of them."""
    module = next(name for name, part in parts.items() if part is supernet)
    optimizers = next((names[1:] for names in carried.values() if names[0] == module), ())
    prefix = str(supernet.head_prefix)
    head = {f"{module}/{name}": value for name, value in supernet.state_dict().items() if name.startswith(prefix)}
    for index, (name, parameter) in enumerate(supernet.named_parameters()):
        held = tuple(f"{optimizer}/{index}/" for optimizer in optimizers) if name.startswith(prefix) else ()
        for key in [key for key in found if held and key.startswith(held)]:
            head[key] = torch.zeros_like(parameter if found[key].dim() else found[key])
    return head
