"""dartboard evaluate: scores trained weights on the test images; never trains."""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dartboard import formats
from dartboard.commands import work
from dartboard.commands.flags import first_word, given, parse
from dartboard.config import Setup, check_ranges
from dartboard.data.names import FOLDER_PREFIX, check_name
from dartboard.errors import InputError
from dartboard.export.run_weights import check_has_weights
from dartboard.formats.files import member_of
from dartboard.paths import quoted
from dartboard.runs.run import CHECKPOINTS, CONFIG, Run

if TYPE_CHECKING:
    from torch import nn

    from dartboard.data.scored import Scored
    from dartboard.export.weights import Description


@dataclass(frozen=True)
class EvaluateFlags:
    """Score trained weights (a training's run, or a file of dartboard or the original code) on the test images."""

    weights: str
    """a training's run folder, a weight file, or FILE:KEY of a checkpoint that holds several"""
    arch: str | None = None
    """The architecture of a weight file (a run has its own): a published name, a run folder, or a file."""
    data: str | None = None
    """A data set of `dartboard list data`, or images:DIR; by default a run's own test images."""
    data_dir: str | None = None
    """The folder that holds the data set; by default $XDG_CACHE_HOME/dartboard, to which CIFAR is downloaded."""
    download: bool = False
    """Download cifar10 or cifar100 (170 MB each, from www.cs.toronto.edu/~kriz) to --data-dir, if it is not there."""
    image_size: int | None = None
    """Height and width in pixels to which images are resized; by default those of the training."""
    batch_size: int = 256
    """Images per batch; changes the time, not the result."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    threads: int | None = None
    """CPU threads."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __post_init__(self) -> None:
        check_ranges(self, batch_size="[1, 1e6]", image_size="[1, 4096]", threads="[1, 4096]")


def execute(words: list[str]) -> None:
    """Raises InputError: no weights there, weights of another architecture, classes not known by name, no data."""
    refuse_early(words)
    missing = "name a training's run folder or a weight file: dartboard evaluate runs/train-DARTS_V2-cifar10-s0"
    flags = parse(EvaluateFlags, words, "evaluate", missing)
    work.use_threads(flags.threads)
    from dartboard.devices import pick_device
    from dartboard.export.folding import predictor
    from dartboard.runs.allocator import reused_memory
    from dartboard.tasks.images import score

    device = pick_device(flags.device)
    network, known = trained(flags)
    scored = to_score(flags, known)
    check_channels(network, scored, flags.weights)
    scored, facts, how = with_classes(scored, network, known, flags.weights)
    mean, std = (known.mean, known.std) if known and known.mean else (scored.mean, scored.std)
    predict, images, start = predictor(network, device), scored.split.to(device), time.perf_counter()
    with reused_memory():
        loss, right = score(predict, images, mean, std, flags.batch_size)
    rate = len(images) / (time.perf_counter() - start)
    unfinished = known.unfinished if known else None
    if flags.json:
        facts |= {"image_size": images.images.shape[-1], "unfinished": asdict(unfinished) if unfinished else None}
        numbers = {"test_loss": loss, "test_accuracy": right, "images_per_s": rate}
        return print(json.dumps({"data": scored.name, "images": len(images), "part": scored.part, **facts, **numbers}))
    text = f"{scored.name}: test accuracy {100 * right:.2f} % of {len(images)} images, test loss {loss:.4f}"
    print(f"{text} ({'; '.join([scored.part, how, *([unfinished.in_words()] if unfinished else [])])})")
    print(*scored.notes, f"{rate:,.0f} images per second on {device.type}", sep="\n")


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
    if (run := run_around(Path(path))) is not None:
        check_has_weights(Run.open(run))
        raise InputError(f"{path} is a part of the run {run}; give the run's folder: dartboard evaluate {quoted(run)}")
    if Path(path).is_dir() and not (Path(path) / "weights.safetensors").is_file():
        check_has_weights(Run.open(path))
    if Path(path).is_file() and arch is None:
        raise InputError(f"{path} does not name its architecture; give it with --arch, such as --arch DARTS_V2")
    if Path(path).is_file() and data is None:
        raise InputError("a weight file does not name its data; give --data, such as --data cifar10")


def run_around(path: Path) -> Path | None:
    """The run in whose folder of checkpoints a path leads, or None."""
    whole = path.absolute()
    inside = (folder.parent for folder in (whole, *whole.parents) if folder.name == CHECKPOINTS)
    return next((folder for folder in inside if (folder / CONFIG).is_file()), None)


def trained(flags: EvaluateFlags) -> "tuple[nn.Module, Description | None]":
    """The network with its weights, and what is known of it; None for a weight file, which says nothing."""
    from dartboard.export.weights import filled, load_foreign, load_trained

    if not Path(flags.weights).is_dir():
        return load_foreign(flags.weights, formats.resolve(str(flags.arch))[0]), None
    network, known = load_trained(flags.weights)
    if flags.arch is not None:
        other = replace(known, architecture=formats.resolve(flags.arch)[0])
        network = filled(other, network.state_dict(), flags.weights)
    return network, known


# --- On which images -------------------------------------------------------------------------------------------------


def to_score(flags: EvaluateFlags, known: "Description | None") -> "Scored":
    """The images that the flags name: those of a data set's test split, or a folder that the network never saw."""
    from dartboard.data import scored

    own = flags.data is None
    if own and (Path(flags.weights) / CONFIG).is_file():
        check_own(flags.weights)
    setup = setup_of(flags, known)
    learned = known.learned_from if known else None
    is_folder = setup.data.startswith(FOLDER_PREFIX)
    if not is_folder or (own and learned is None):
        return scored.test_split(work.load(setup), scored.OWN_TEST if own else scored.TEST)
    if known and learned:
        same = scored.load_same(setup, learned, known.class_names, known.sizes.image_size)
        if same is not None:
            return same
    if own:
        remedy = f"restore them, or score the present images: --data {setup.data}"
        raise InputError(f"{setup.data} differs from the data on which {flags.weights} was trained; {remedy}")
    value_range = known.value_range if known else None
    return scored.load_other(setup, normalised=bool(known and known.mean), value_range=value_range)


def setup_of(flags: EvaluateFlags, known: "Description | None") -> Setup:
    """The data to score on: the run's setup with what the flags change. Raises InputError if none is named."""
    is_run = (Path(flags.weights) / CONFIG).is_file()
    if not is_run and flags.data is None:
        raise InputError("a weight file does not name its data; give --data, such as --data cifar10")
    setup = Run.open(flags.weights).setup if is_run else Setup()
    changes: dict[str, Any] = {"download": flags.download, "device": flags.device}
    if known and known.learned_from:
        changes |= known.learned_from.options()
    if known and known.mean:  # it records how its images were made
        changes["image_size"] = known.sizes.image_size
    for name in ("data", "data_dir", "image_size"):
        if getattr(flags, name) is not None:
            changes[name] = getattr(flags, name)
    return work.anchored(replace(setup, **changes))


def check_own(folder: str) -> None:
    """Raises InputError if a run's settings do not name its training data, or name a folder that no longer exists."""
    run = Run.open(folder)
    setup = run.setup
    learned = run.environment.get("data", {}).get("name", setup.data)
    if learned != setup.data and not (learned.startswith(FOLDER_PREFIX) and setup.data.startswith(FOLDER_PREFIX)):
        raise InputError(f"{folder} was trained on {learned}, but its settings name {setup.data}; give --data")
    if setup.data.startswith(FOLDER_PREFIX) and not Path(setup.data.removeprefix(FOLDER_PREFIX)).is_dir():
        where = "name its present place with --data images:DIR"
        raise InputError(f"there is no {setup.data.removeprefix(FOLDER_PREFIX)}, the data of {folder}; {where}")


# --- Does the network fit them ---------------------------------------------------------------------------------------


def check_channels(network: "nn.Module", scored: "Scored", origin: str) -> None:
    """Raises InputError unless the network reads images with this number of channels."""
    from dartboard import networks

    family = networks.module(network.architecture.space)  # type: ignore[arg-type, union-attr]
    channels, there = family.sizes_of(network.state_dict(), origin)["in_channels"], scored.split.images.shape[1]
    if channels != there:
        text = f"{origin} reads images of {channels} channels, and those of {scored.name} have {there}"
        raise InputError(f"{text}; give data like those of its training with --data")


def with_classes(
    scored: "Scored", network: "nn.Module", known: "Description | None", origin: str
) -> "tuple[Scored, dict[str, Any], str]":
    """The images with labels that are outputs of the network, how they were found as fields, and as words.

    By name if the network's names are known; otherwise by order, if the number is the same. Raises InputError.
    """
    from dartboard.data.scored import matched

    there, outputs = len(scored.class_names), len(network.get_parameter("classifier.weight"))
    by = "name" if known and known.class_names else "order"
    facts = {"classes": there, "known_classes": outputs, "matched_by": by}
    if known and known.class_names:
        how = f"{there} of {outputs} classes by name"
        how += "" if there == outputs else f", answers are among all {outputs}"
        return matched(scored, known.class_names, origin), facts, how
    if there != outputs:
        text = f"{origin} has {outputs} classes, and {scored.name} has {there}"
        raise InputError(f"{text}; give data like those of its training with --data")
    whose = "it does not record their names" if known else "a weight file does not record their names"
    return scored, facts, f"{there} classes by their order, as {whose}"
