"""dartboard evaluate: scores trained weights on the test images; never trains."""

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dartboard import formats
from dartboard.commands import work
from dartboard.commands.flags import first_word, given, parse
from dartboard.config import Setup, check_ranges
from dartboard.data.names import check_name
from dartboard.errors import InputError
from dartboard.formats.files import member_of
from dartboard.run import CONFIG, Run

if TYPE_CHECKING:
    from dartboard.data import Data
    from dartboard.networks.darts import Network


@dataclass(frozen=True)
class EvaluateFlags:
    """Score trained weights on the test images: a training's run, or a weight file of ours or of the original code."""

    weights: str
    """a training's run folder, a weight file, or FILE:KEY of a checkpoint that holds several"""
    arch: str | None = None
    """Whose weights a file holds; a run knows its own: a published name, a run folder, or a file in any notation."""
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
    """Raises InputError: no weights there, weights of another architecture, other classes, no data."""
    refuse_early(words)
    missing = "name a training's run folder or a weight file: dartboard evaluate runs/train-DARTS_V2-cifar10-s0"
    flags = parse(EvaluateFlags, words, "evaluate", missing)
    work.use_threads(flags.threads)
    from dartboard.allocator import kept_memory
    from dartboard.environment import pick_device
    from dartboard.evaluate import score
    from dartboard.folding import predictor

    device = pick_device(flags.device)
    network, mean, std = trained(flags)
    data = work.load(setup_of(flags))
    check_fits(network, data, flags.weights)
    data = replace(data, mean=mean, std=std) if mean else data
    predict, images, start = predictor(network, device), data.test.to(device), time.perf_counter()
    with kept_memory():
        loss, right = score(predict, images, data.mean, data.std, flags.batch_size)
    rate = len(images) / (time.perf_counter() - start)
    if flags.json:
        numbers = {"test_loss": loss, "test_accuracy": right, "images_per_s": rate}
        print(json.dumps({"data": data.name, "images": len(images), **numbers}))
    else:
        print(f"{data.name}: test accuracy {100 * right:.2f} % of {len(images)} images, test loss {loss:.4f}")
        print(f"{rate:,.0f} images a second on {device.type}")


def refuse_early(words: list[str]) -> None:
    """Raises InputError for unknown names and missing files, before torch is imported."""
    if (data := given(words, "--data")) is not None:
        check_name(data)
    if (arch := given(words, "--arch")) is not None:
        formats.resolve(arch)
    word = first_word(words, ("--download", "--json", "--help", "-h"))
    if word is None:
        return
    path, _ = member_of(word)
    if not os.path.exists(path):
        raise InputError(f"there is no file or folder {path}; give a training's run folder or a weight file")
    if Path(path).is_dir() and not (Path(path) / "weights.safetensors").is_file():
        run = Run.open(path)
        hint = "train what it found first" if run.command == "search" else f"finish it first: {run.resume_command}"
        raise InputError(f"{path} has no weights.safetensors; {hint}")
    if Path(path).is_file() and arch is None:
        raise InputError(f"whose weights does {path} hold? name the architecture with --arch, such as --arch DARTS_V2")
    if Path(path).is_file() and data is None:
        raise InputError("on which data? give --data, such as --data cifar10")


def trained(flags: EvaluateFlags) -> "tuple[Network, tuple[float, ...], tuple[float, ...]]":
    """The network with its weights, and the mean and spread its images were normalised by, or () where not known."""
    from dartboard.export import load_foreign, load_trained

    if Path(flags.weights).is_dir():
        network, known = load_trained(flags.weights)
        if flags.arch is not None:
            network = load_foreign(Path(flags.weights) / "weights.safetensors", formats.resolve(flags.arch)[0])
        return network, known.mean, known.std
    return load_foreign(flags.weights, formats.resolve(str(flags.arch))[0]), (), ()


def setup_of(flags: EvaluateFlags) -> Setup:
    """The data to score on: the run's setup with what the flags change. Raises InputError where none is told."""
    is_run = (Path(flags.weights) / CONFIG).is_file()
    if not is_run and flags.data is None:
        raise InputError("on which data? give --data, such as --data cifar10")
    setup = Run.open(flags.weights).setup if is_run else Setup()
    changes: dict[str, Any] = {"download": flags.download}
    for name in ("data", "data_dir", "image_size"):
        if getattr(flags, name) is not None:
            changes[name] = getattr(flags, name)
    return work.anchored(replace(setup, **changes))


def check_fits(network: "Network", data: "Data", origin: str) -> None:
    """Raises InputError unless the network has the data's classes and channels."""
    classes, channels = (
        network.classifier.out_features,
        network.stem.get_submodule("0").get_parameter("weight").shape[1],
    )
    if classes != data.num_classes:
        raise InputError(f"{origin} tells {classes} classes apart, {data.name} has {data.num_classes}; give its --data")
    if channels != data.channels:
        raise InputError(
            f"{origin} reads images of {channels} channels, {data.name} has {data.channels}; give its --data"
        )
