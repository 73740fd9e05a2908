"""dartboard evaluate: scores trained weights on the test images; never trains."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dartboard import formats
from dartboard.commands import work
from dartboard.commands.flags import first_word, given, parse
from dartboard.config import Setup, build, check_ranges
from dartboard.data.names import check_name
from dartboard.errors import InputError
from dartboard.run import Run

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dartboard.data import Data

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class EvaluateFlags:
    """Score trained weights on the test images: a training's run, or a weight file of ours or of the original code."""

    weights: str
    """a training's run folder, or a weight file"""
    arch: str | None = None
    """Whose weights a file holds: a published name, a run folder, or a file in any notation."""
    data: str | None = None
    """A data set of `dartboard list data`, or images:DIR; a run's own where not given."""
    data_dir: str | None = None
    """The folder that holds the data set."""
    download: bool = False
    """Download the data set where it is missing."""
    image_size: int | None = None
    """Height and width in pixels that images are brought to."""
    batch_size: int = 256
    """Images a batch; changes the time, not the result."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    threads: int | None = None
    """CPU threads."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __post_init__(self) -> None:
        check_ranges(self, batch_size="[1, 1e6]", image_size="[1, 4096]", threads="[1, 4096]")


def execute(words: list[str]) -> None:
    """Raises InputError: no weights there, weights of another architecture, no data."""
    refuse_early(words)
    missing = "name a training's run folder or a weight file: dartboard evaluate runs/train-DARTS_V2-cifar10-s0"
    flags = parse(EvaluateFlags, words, "evaluate", missing)
    work.use_threads(flags.threads)
    from dartboard.environment import pick_device
    from dartboard.evaluate import accuracy

    device = pick_device(flags.device)
    network, data = trained_run(flags) if Path(flags.weights).is_dir() else trained_file(flags)
    loss, right = accuracy(network.to(device), data.test.to(device), data, flags.batch_size)
    if flags.json:
        print(json.dumps({"data": data.name, "images": len(data.test), "test_loss": loss, "test_accuracy": right}))
    else:
        print(f"{data.name}: test accuracy {100 * right:.2f} % of {len(data.test)} images, test loss {loss:.4f}")


def refuse_early(words: list[str]) -> None:
    """Raises InputError for unknown names and missing files, before torch is imported."""
    if (data := given(words, "--data")) is not None:
        check_name(data)
    if (name := given(words, "--arch")) is not None:
        formats.resolve(name)
    path = first_word(words, ("--download", "--json", "--help", "-h"))
    if path is None:
        return
    if Path(path).is_dir():
        run = Run.open(path)
        if not (run.folder / WEIGHTS).exists():
            what = "it is a search; train its architecture first" if run.command == "search" else "finish it first"
            raise InputError(f"{path} has no {WEIGHTS}: {what}")
    elif not Path(path).exists():
        raise InputError(f"there is no file or folder {path}; give a training's run folder or a weight file")
    elif name is None:
        raise InputError(f"whose weights does {path} hold? name the architecture with --arch, such as --arch DARTS_V2")


def trained_run(flags: EvaluateFlags) -> "tuple[nn.Module, Data]":
    """The network of a training's run with its weights, and the data: the run's, or what flags say."""
    from dartboard.commands.train import build_network
    from dartboard.train import Config

    run = Run.open(flags.weights)
    architecture = run.architecture if flags.arch is None else formats.resolve(flags.arch)[0]
    if architecture is None:
        raise InputError(f"{run.folder} has no architecture.json; restore it, or name the architecture with --arch")
    data = work.load(setup_of(flags, run.setup))
    network = build_network(architecture, build(Config, run.settings), data)
    fill(network, formats.load_weights(run.folder / WEIGHTS), flags.weights)
    return network, normalised_as(run, data)


def normalised_as(run: Run, data: "Data") -> "Data":
    """The data with the mean and spread that the run was trained with."""
    known = run.environment.get("data", {})
    if len(known.get("mean", ())) != data.channels:
        return data
    return replace(data, mean=tuple(known["mean"]), std=tuple(known["std"]))


def setup_of(flags: EvaluateFlags, setup: Setup) -> Setup:
    """The run's setup with what the flags change."""
    changes: dict[str, Any] = {"download": flags.download}
    for name in ("data", "data_dir", "image_size"):
        if getattr(flags, name) is not None:
            changes[name] = getattr(flags, name)
    return replace(setup, **changes)


def trained_file(flags: EvaluateFlags) -> "tuple[nn.Module, Data]":
    """The network that a weight file is for, sizes read off its tensors, and the data that flags say."""
    from dartboard.networks.darts import Network

    if flags.data is None:
        raise InputError("on which data? give --data, such as --data cifar10")
    architecture = formats.resolve(str(flags.arch))[0]
    tensors = formats.load_weights(flags.weights)
    data = work.load(setup_of(flags, Setup()))
    network = Network(
        architecture,
        in_channels=data.channels,
        image_size=data.image_size,
        auxiliary=any(name.startswith("auxiliary_head.") for name in tensors),
        **sizes_of(tensors, flags.weights),
    )
    fill(network, tensors, flags.weights)
    return network, data


def sizes_of(tensors: "dict[str, Tensor]", path: str) -> dict[str, Any]:
    """channels, cells, num_classes and stem of the network whose tensors these are. Raises InputError."""
    from dartboard.networks.darts import STEM_MULTIPLIER

    cells = {int(name.split(".")[1]) for name in tensors if name.startswith("cells.") and name.split(".")[1].isdigit()}
    if not cells or "classifier.weight" not in tensors:
        raise InputError(f"{path} holds no weights of a network of cells; it has no cells.0 or no classifier.weight")
    sizes = {"cells": max(cells) + 1, "num_classes": len(tensors["classifier.weight"])}
    if "stem.0.weight" in tensors:
        return {**sizes, "channels": len(tensors["stem.0.weight"]) // STEM_MULTIPLIER, "stem": "cifar"}
    raise InputError(f"{path} has no stem.0.weight; only networks with the CIFAR stem are read from weight files")


def fill(network: "nn.Module", tensors: "dict[str, Tensor]", path: str) -> None:
    """Puts weights into a network. Raises InputError that names the first tensor that differs."""
    for name, own in network.state_dict().items():
        if name not in tensors and not name.endswith("num_batches_tracked"):
            raise InputError(f"{path} holds weights of another architecture: it has no {name}; name theirs with --arch")
        if name in tensors and tensors[name].shape != own.shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(own.shape)}"
            raise InputError(f"{path} holds weights of another architecture or data: {name} is {shapes}")
    extra = next((name for name in tensors if name not in network.state_dict()), None)
    if extra is not None:
        raise InputError(f"{path} holds weights of another architecture: {extra} has no place; name theirs with --arch")
    network.load_state_dict(tensors, strict=False)
