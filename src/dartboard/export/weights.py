"""Trained networks as files that can be loaded again: weights.safetensors and description.json, both without code.

write_torch: a network, a training's run folder or an architecture -> such a folder; load_trained, load_network: such a
folder or a training's run folder -> the network; load_foreign: a weight file of dartboard or of the original code.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dartboard
from dartboard import formats, networks
from dartboard.config import build, check_kind, field_names
from dartboard.data.decoding import ValueRange, check_range
from dartboard.data.scored import DIVISION, LearnedFrom
from dartboard.errors import InputError
from dartboard.export.run_weights import WEIGHTS, Unfinished, weights_of
from dartboard.formats.files import is_folder, shown
from dartboard.runs.atomic_files import make_folders, replace_file, writing
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.run import CHECKPOINTS, Run
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, quote
from dartboard.training.from_scratch import write_weights

DESCRIPTION = "description.json"
# Names of tensors that only a supernet has: several operations per edge, and the weights of operations.
OF_SUPERNET = re.compile(
    r"(?:^|\.)ops\.\d+\.(?:m_)?ops\.\d|(?:^|\.)edges\.\d<-\d\.\d|(?:^|\.)dag\.\d+\.\d+\.ops\.|(?:^|[._])(?:alphas?|betas?|arch_parameters)(?:[._]|$)"
)


@dataclass(frozen=True)
class Description:
    """What a weight file does not contain. mean, std: of each channel, of pixels in [0, 1], to normalise images.

    value_range: what became 0 and 255 in images of more than 8 bits; None if the training had none.
    mean, std, class_names: empty if they are not known; trained: False for random initial weights;
    channels_last: the memory layout of the weights, which changes the last bits of the outputs; unfinished: of a
    training that is not finished, otherwise None; learned_from: the training's data, None if it is not known.
    """

    architecture: Architecture
    sizes: networks.Sizes
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    class_names: tuple[str, ...] = ()
    trained: bool = True
    channels_last: bool = False
    value_range: ValueRange | None = None
    unfinished: Unfinished | None = None
    learned_from: LearnedFrom | None = None

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, self.sizes.in_channels):
            raise InputError(f"mean and std have {len(self.mean)} and {len(self.std)} values; give one per channel")
        if len(self.class_names) not in (0, self.sizes.num_classes):
            raise InputError(f"{len(self.class_names)} class names for {self.sizes.num_classes} classes; give one each")
        check_range(self.value_range)


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_torch(
    source: nn.Module | Architecture | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    image_size: int | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    class_names: tuple[str, ...] = (),
    value_range: ValueRange | None = None,
) -> Path:
    """Writes weights.safetensors and description.json into the folder `out`, and returns it.

    source: a Network; a training's run folder, which also has image size, normalisation and class names; or an
    architecture (a value, a file, a published name), for a network of the official CIFAR sizes with weights drawn from
    seed 0, described as not trained. For an unfinished training the weights are those of its last checkpoint, and a
    line on stderr and the description say so. Raises InputError: a run without weights, another module, a folder that
    is not empty or not writable.
    """
    family = networks.family_of(source)
    kinds = (Architecture, str, os.PathLike) if family is None else nn.Module
    check_kind(source, kinds, f"write_torch takes {SOURCES}")
    mean, std = numbers("mean", mean), numbers("std", std)
    class_names = texts("class_names", class_names)
    if isinstance(source, str | os.PathLike) and is_folder(Path(source)):
        network, description = load_trained(source)
        say_unfinished(source, description)
    else:
        trained = family is not None
        chosen: Any = source if trained else drawn(source)  # type: ignore[arg-type]
        module = networks.module(chosen.architecture.space)
        sizes = module.sizes_of(chosen.state_dict(), "the network") | {"cells": len(chosen.cells)}
        sizes |= {} if image_size is None else {"image_size": image_size}
        last = not next(chosen.parameters()).is_contiguous()
        about = (mean, std, class_names, trained, last, value_range)
        description = Description(chosen.architecture, build(module.Sizes, sizes), *about)
        network = chosen
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{shown(folder)} is not an empty folder; give another one with --out")
    with writing(folder):
        make_folders(folder)
    write_weights(network, folder / WEIGHTS)
    record = {**asdict(description), "architecture": description.architecture.to_json()}
    replace_file(folder / DESCRIPTION, as_json({"dartboard": dartboard.__version__, **record}))
    return folder


SOURCES = "a Network (of a supernet: what networks.darts.inherit cuts out), a training's run folder or an architecture"


def numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, RuntimeError) as error:  # errors of text, and of tensors with more than one number
        raise InputError(f"{name} is {quote(type(values).__name__)}; give one number for each channel") from error


def texts(name: str, values: Iterable[object]) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {quote(values)}; give one text for each class")
    return tuple(str(value) for value in values)


def say_unfinished(folder: str | os.PathLike[str], description: Description) -> None:
    """Prints a line on stderr if the weights are those of a checkpoint."""
    if description.unfinished is not None:
        text = f"{shown(folder)} is {description.unfinished.in_words()}; these are the weights of its last checkpoint"
        print(text, file=sys.stderr, flush=True)


def drawn(source: Architecture | str | os.PathLike[str]) -> nn.Module:
    """The network of an architecture at its family's CIFAR sizes, its weights drawn from seed 0."""
    architecture = source if isinstance(source, Architecture) else formats.resolve(os.fspath(source))[0]
    family = networks.module(architecture.space)
    sizes = build(family.Sizes, {**FAMILIES[architecture.space].sizes["cifar"]})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = family.of_sizes(architecture, sizes)
    return network


# --- Reading ---------------------------------------------------------------------------------------------------------


def load_network(folder: str | os.PathLike[str]) -> nn.Module:
    """The network in a folder of write_torch or of a training's run, in evaluation mode, on the CPU.

    For an unfinished training the weights are those of its last checkpoint; a line on stderr says so.
    """
    network, description = load_trained(folder)
    say_unfinished(folder, description)
    return network


def load_trained(folder: str | os.PathLike[str]) -> tuple[nn.Module, Description]:
    """The network in a folder of write_torch or of a training's run, in evaluation mode, with its description.

    For an unfinished training the weights are those of its last checkpoint (`Description.unfinished`).
    Raises InputError: neither of the two, damaged files, weights of another architecture (the message names the first
    tensor that differs), a training that has saved nothing yet.
    """
    check_kind(folder, (str, os.PathLike), "a network is loaded from the path of a folder")
    path = Path(folder)
    if is_folder(path) and (path / DESCRIPTION).is_file():
        description, origin = read_description(path / DESCRIPTION), shown(path / WEIGHTS)
        tensors = formats.load_weights(path / WEIGHTS)
    else:
        run = Run.open(path)
        tensors, unfinished = weights_of(run)
        origin = shown(path / (WEIGHTS if unfinished is None else CHECKPOINTS))
        description = described(run, tensors, unfinished)
    return filled(description, tensors, origin), description


def load_foreign(path: str | os.PathLike[str], architecture: Architecture) -> nn.Module:
    """The network whose weights a file holds, in evaluation mode; its sizes are those of the tensors.

    Raises InputError: not a weight file, weights of a search's supernet, or of another architecture (the message names
    the first tensor that differs).
    """
    check_kind(architecture, Architecture, "load_foreign takes an architecture, such as formats.resolve(NAME)[0]")
    check_kind(path, (str, os.PathLike), "load_foreign takes the path of a weight file")
    tensors = formats.load_weights(path)
    if any(map(OF_SUPERNET.search, tensors)):
        hint = "train the cell that the search found: dartboard train GENOTYPE --data ..."
        raise InputError(f"{shown(path)} holds the weights of a search's supernet, not of a trained network; {hint}")
    family = networks.module(architecture.space)
    sizes = build(family.Sizes, family.sizes_of(tensors, shown(path)))
    return filled(Description(architecture, sizes), tensors, shown(path))


def read_description(path: Path) -> Description:
    """The description in a file. Raises InputError."""
    record = read_json(path)
    try:
        architecture, _ = formats.read(json.dumps(record["architecture"]))
        mean, std = (tuple(float(value) for value in record[name]) for name in ("mean", "std"))
        names = tuple(str(name) for name in record["class_names"])
        flags = (bool(record["trained"]), bool(record["channels_last"]))
        unfinished, learned = record.get("unfinished"), record.get("learned_from")  # which older files do not have
        return Description(
            architecture,
            build(networks.module(architecture.space).Sizes, record["sizes"]),
            mean,
            std,
            names,
            *flags,
            as_range(record.get("value_range")),
            unfinished=None if unfinished is None else build(Unfinished, unfinished),
            learned_from=None if learned is None else build(LearnedFrom, learned),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{shown(path)} is damaged at {quote(str(error))}; export the network again") from error


def described(run: Run, tensors: Mapping[str, Tensor], unfinished: Unfinished | None) -> Description:
    """The description of a training's network, from its run folder. Raises InputError."""
    architecture, known = run.architecture, run.environment.get("data", {})
    if architecture is None:
        raise InputError(f"{shown(run.folder)} has no architecture.json; restore it from where the run was copied")
    family = networks.module(architecture.space)
    own = [name for name in ("channels", "cells", "stem") if name in field_names(family.Sizes)]
    recorded: dict[str, Any] = {name: run.settings[name] for name in own if name in run.settings}
    if "image_size" in known:
        recorded["image_size"] = known["image_size"]
    sizes = build(family.Sizes, family.sizes_of(tensors, shown(run.folder / WEIGHTS)) | recorded)
    mean, std, names = (tuple(known.get(name, ())) for name in ("mean", "std", "class_names"))
    layout = bool(run.settings.get("channels_last", False))
    about_data = (mean, std, names, True, layout, as_range(known.get("value_range")))
    return Description(architecture, sizes, *about_data, unfinished, learned_from(run, known))


def learned_from(run: Run, known: Mapping[str, Any]) -> LearnedFrom | None:
    """What identifies the data of a run. known: the record in its environment.json, which may lack it."""
    if any(name not in known for name in ("fingerprint", "train", "val", "test")):
        return None
    pool, setup = known["train"] + known["val"], run.setup
    counts = {"images": pool + known["test"], "val_fraction": known["val"] / pool}
    division = {name: getattr(setup, name) for name in DIVISION}
    return build(LearnedFrom, {"fingerprint": known["fingerprint"], **counts, **division})


def as_range(found: Any) -> ValueRange | None:
    """The two numbers of a JSON list, or None for null. Raises ValueError or TypeError for anything else."""
    if found is None:
        return None
    low, high = found
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise TypeError("value_range")
    return low, high


def filled(description: Description, tensors: Mapping[str, Tensor], origin: str) -> nn.Module:
    """The network with these weights, in evaluation mode. Raises InputError naming the first tensor that differs."""
    family = networks.module(description.architecture.space)
    with torch.device("meta"):  # a description costs no memory before its weights are known to fit
        network: nn.Module = family.of_sizes(description.architecture, description.sizes)
    check_same(network.state_dict(), tensors, origin)
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith("num_batches_tracked")}
    network.load_state_dict(counters | dict(tensors), assign=True)
    layout = torch.channels_last if description.channels_last else torch.contiguous_format
    return network.to(memory_format=layout).eval()  # type: ignore[call-overload, no-any-return]


def check_same(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], origin: str) -> None:
    """Raises InputError unless there is a tensor of the right shape for each name, and no other.

    The counters of BatchNorm may be missing: torch before 0.4.1 had none.
    """
    other = f"{origin} holds weights of another architecture or size"
    for name, tensor in expected.items():
        if name not in found and not name.endswith("num_batches_tracked"):
            raise InputError(f"{other}: it has no {name}")
        if name in found and found[name].shape != tensor.shape:
            raise InputError(f"{other}: {name} is {tuple(found[name].shape)}, not {tuple(tensor.shape)}")
        if name in found and found[name].is_floating_point() != tensor.is_floating_point():
            raise InputError(f"{other}: {name} is {found[name].dtype}, not {tensor.dtype}")
    if extra := [name for name in found if name not in expected]:
        raise InputError(f"{other}: {quote(extra[0])} has no place in it")
