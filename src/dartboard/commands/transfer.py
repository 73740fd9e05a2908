"""dartboard transfer: does a cell found on one data set serve another? Searches and trainings, with controls."""

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dartboard.analysis.edit_distance import check_compared
from dartboard.commands import work
from dartboard.commands.by_workers import say_crowded
from dartboard.commands.flags import parse, settings
from dartboard.config import (
    MOST_EPOCHS,
    Setup,
    bounds,
    build,
    check_ranges,
    field_names,
    flat,
    parse_budget,
    to_toml,
)
from dartboard.data.names import check_name
from dartboard.errors import InputError, InterruptedRunError, TakenError, unknown
from dartboard.methods import METHODS, check_pair, method_module
from dartboard.runs.limits import Limits, catching_signals, limits_of
from dartboard.runs.workers import check_there, check_workers
from dartboard.spaces import SPACES
from dartboard.studies.protocol import SIDES, Protocol, Side, drawn, parse_proxies
from dartboard.studies.study import Study, method_of, shared
from dartboard.training import presets

if TYPE_CHECKING:
    from dartboard.data import Data

MISSING = "name two data sets: dartboard transfer --a digits --b digits-rotated"
OF_SEARCHES = ("channels", "cells", "batch_size", "second_order")  # flags that go to every search
OF_TRAININGS = ("train_channels", "train_cells", "train_batch_size")  # and to every training


@dataclass(frozen=True)
class TransferFlags:
    """Search on A and on B, continue each search on the other data set, and train every cell on both, with controls."""

    a: str = ""
    """Data set A: a name of `dartboard list data`, or images:DIR."""
    b: str = ""
    """Data set B."""
    out: str | None = None
    """The study's folder; by default runs/transfer-A-B-sSEED."""
    method: str = "darts"
    """A method of `dartboard list methods`."""
    space: str = "darts"
    """A space of `dartboard list spaces`."""
    seed: int = 0
    """The first seed."""
    seeds: int = 3
    """Number of seeds, each with all searches and trainings."""
    epochs: int | None = None
    """Epochs of a phase on A, and as many steps on B; by default those of the data set's preset."""
    budget: str | None = None
    """Work of a phase in place of --epochs: a time such as 4h, made epochs by a few timed steps; or 500steps."""
    carry: str | None = None
    """What phase 2 takes from phase 1: a part such as weights, or each: all, and each part alone; by default all."""
    restart_schedule: bool = True
    """Phase 2 starts with a new learning rate schedule and new optimizers."""
    random: int | None = None
    """Cells drawn at random, as a control; by default two per seed."""
    proxy: str = ""
    """In place of the swap: searches on parts of A, such as classes:0.5,images:0.25,size:0.5,channels:0.5."""
    equal_images: bool = True
    """Take as many training images of each as the smaller set has, so that equal epochs are equal steps."""
    max_images: int | None = None
    """At most this number of training images of each."""
    image_size: int | None = None
    """Height and width in pixels to which the images of both are resized."""
    channels: int | None = None
    """Channels of the searches."""
    cells: int | None = None
    """Cells of the searches."""
    batch_size: int | None = None
    """Images per batch of the searches."""
    second_order: bool | None = None
    """Searches of second order."""
    search_config: str | None = None
    """A TOML file of more settings of the searches; flags override it."""
    train_epochs: int | None = None
    """Epochs of the trainings."""
    train_channels: int | None = None
    """Channels of the trainings."""
    train_cells: int | None = None
    """Cells of the trainings."""
    train_batch_size: int | None = None
    """Images per batch of the trainings."""
    train_config: str | None = None
    """A TOML file of more settings of the trainings; flags override it."""
    data_dir: str | None = None
    """The folder that holds both data sets; by default $XDG_CACHE_HOME/dartboard, to which CIFAR is downloaded."""
    download: bool = False
    """Download cifar10 or cifar100 (170 MB each, from www.cs.toronto.edu/~kriz) to --data-dir, if it is not there."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    threads: int | None = None
    """CPU threads; by default those of the machine."""
    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Number format of the networks."""
    save_every: str = "10m"
    """Time between checkpoints within an epoch."""
    until: str | None = None
    """Save and stop this long after the start, such as 7h30m; can be resumed."""
    workers: str | None = None
    """Work on the stages at once: by this number of processes, by ray, or by ray://HOST[:PORT]."""
    print_config: bool = False
    """Print the study's settings as TOML, and do nothing else."""
    dry_run: bool = False
    """Print the stages, and how long they would take here, without making a folder."""

    def __post_init__(self) -> None:
        check_ranges(self, seeds="[1, 1000]", epochs="[1, inf)", max_images="[2, inf)", random="[0, 10000]")
        check_workers(self.workers)
        if self.budget is not None:
            parse_budget(self.budget)
            if self.epochs is not None:
                raise InputError("--epochs and --budget both say how long a phase is; give one of them")


def execute(words: list[str]) -> None:
    """Raises InputError, CannotContinueError, InterruptedRunError."""
    flags = read_flags(words)
    check_there(flags.workers)
    setup = setup_of(flags)
    limits = limits_of(None, flags.until)
    work.use_threads(setup.threads)
    search, train = search_settings(flags), train_settings(flags)
    protocol, data = protocol_of(flags, setup, search, train)
    if not flags.print_config:
        check_sizes(protocol, search, train, setup, data)
    if flags.print_config:
        return print(as_text(protocol, search, train, setup), end="")
    if flags.dry_run:
        from dartboard.commands import estimate

        for one in data:
            work.say_where_absent(replace(setup, data={"a": flags.a, "b": flags.b}[one]))
        estimate.print_estimate(protocol, search, train, setup, data)
        return
    run_study(new_study(flags.out, protocol, search, train, setup), limits, flags.workers)


def read_flags(words: list[str]) -> TransferFlags:
    """The flags, names and paths checked before torch is imported. Raises InputError."""
    flags = parse(TransferFlags, words, "transfer", MISSING)
    if not flags.a or not flags.b:
        raise InputError(MISSING)
    if flags.method not in METHODS:
        raise unknown("method", flags.method, METHODS)
    cells = SPACES[TransferFlags.space].kinds
    able = [name for name, method in METHODS.items() if not method.by_trials and method.needs <= cells]
    if flags.method not in able:
        text = f"{flags.method} trains no supernet of DARTS cells that could continue on another data set"
        raise InputError(f"{text}; give {', '.join(able)}")
    check_pair(flags.method, flags.space)
    check_compared(SPACES[flags.space].family, "transfer")
    for name in (flags.a, flags.b):
        check_name(name)
    if flags.carry is None:
        flags = replace(flags, carry=",".join(METHODS[flags.method].carries))
    Protocol(flags.a, flags.b, flags.method, carry=str(flags.carry), proxy=flags.proxy)  # refuses what has no sense
    return flags


def setup_of(flags: TransferFlags) -> Setup:
    """What all stages share; data and seed are A's and the first one."""
    names = [
        name for name in field_names(Setup) if hasattr(flags, name) and name not in ("budget", "until", "max_images")
    ]
    return work.anchored(build(Setup, {**{name: getattr(flags, name) for name in names}, "data": flags.a}))


def search_settings(flags: TransferFlags) -> dict[str, Any]:
    """Settings of every search: the method's defaults < the preset of A < --search-config < flags."""
    header = {"command": "search", "method": flags.method, "space": flags.space}
    method = method_module(flags.method)
    more = {name: getattr(flags, name) for name in (*OF_SEARCHES, "epochs") if getattr(flags, name) is not None}
    return merged(method.Config, method.PRESETS[check_name(flags.a)[0]], flags.search_config, header, more)


def train_settings(flags: TransferFlags) -> dict[str, Any]:
    from dartboard.training.from_scratch import Config

    names = (*OF_TRAININGS, "train_epochs")
    more = {name.removeprefix("train_"): getattr(flags, name) for name in names if getattr(flags, name) is not None}
    preset = presets.PRESETS[check_name(flags.a)[0]]
    return merged(Config, preset, flags.train_config, {"command": "train", "method": None}, more)


def merged(cls: Any, preset: dict[str, Any], path: str | None, header: Any, more: dict[str, Any]) -> dict[str, Any]:
    """All settings of a config, checked. Raises InputError for an unknown one."""
    from_file = settings(path, header) if path is not None else {}
    known = field_names(cls)
    table = {name: value for name, value in from_file.items() if name in known or name not in field_names(Setup)}
    for name in table:
        if name not in known:
            raise unknown(f"setting in {path}", name, known)
    return flat(build(cls, {**preset, **table, **more}))


def protocol_of(
    flags: TransferFlags, setup: Setup, search: dict[str, Any], train: dict[str, Any]
) -> tuple[Protocol, dict[Side, "Data"]]:
    """The protocol, with equal numbers of images and steps, and both data sets. Raises InputError if they differ."""
    setups: dict[Side, Setup] = {"a": setup, "b": work.anchored(replace(setup, data=flags.b))}
    load = work.load_or_shapes if flags.dry_run else work.load
    data = {side: load(one) for side, one in setups.items()}
    if not flags.print_config:
        for one in data.values():
            work.announce(one)
    check_alike(data["a"], data["b"])
    images = equal_images(flags, data)
    setups = {side: replace(one, max_images=images[side]) for side, one in setups.items()}
    data = {side: load(one) if images[side] is not None else data[side] for side, one in setups.items()}
    values = {
        name: getattr(flags, name) for name in ("method", "space", "seed", "seeds", "carry", "proxy", "image_size")
    }
    check_batches(flags, search["batch_size"], train["batch_size"], data)
    protocol = Protocol(
        setups["a"].data,
        setups["b"].data,
        **values,
        restart_schedule=flags.restart_schedule,
        random=2 * flags.seeds if flags.random is None else flags.random,
        images_a=images["a"],
        images_b=images["b"],
        train_epochs=train["epochs"],
    )
    return with_epochs(protocol, flags, setups, search, data), data


def check_sizes(
    protocol: Protocol, search: dict[str, Any], train: dict[str, Any], setup: Setup, data: dict[Side, "Data"]
) -> None:
    """Raises InputError for a study whose searches or trainings take more memory than is free."""
    from dartboard.commands import dryrun
    from dartboard.training.from_scratch import Config

    header = {"command": "search", "method": protocol.method, "space": protocol.space}
    of_search, of_training = build(method_of(protocol).Config, search), build(Config, train)
    for one in data.values():
        dryrun.check_search(header, setup, of_search, one)
        dryrun.check_training(setup, of_training, one, work.network_that_fits(drawn(protocol, 0), of_training, one))


def check_alike(a: "Data", b: "Data") -> None:
    """Raises InputError if a search on the one cannot continue on the other."""
    if a.channels != b.channels:
        raise InputError(
            f"images of {a.name} have {a.channels} channels, those of {b.name} {b.channels}: weights for the "
            "one cannot read the other; convert the images of one"
        )
    if a.image_size != b.image_size:
        raise InputError(
            f"images of {a.name} are {a.image_size}x{a.image_size}, those of {b.name} {b.image_size}x{b.image_size}; "
            f"bring both to one size with --image-size {min(a.image_size, b.image_size)}"
        )
    for one in (a, b):
        if one.num_classes < 2:
            raise InputError(f"{one.name} has only one class; a classifier needs two or more")


def check_batches(flags: TransferFlags, of_search: int, of_training: int, data: dict[Side, "Data"]) -> None:
    """Raises InputError if a batch is larger than what it is drawn from, a part of A included."""
    from dartboard.tasks.images import check_batch

    for one in data.values():
        check_batch(of_search, **{f"train of {one.name}": len(one.train), f"val of {one.name}": len(one.val)})
        whole = len(one.train) + len(one.val)
        if of_training > whole:
            raise InputError(
                f"--train-batch-size {of_training} is more than the {whole} training images of {one.name}; give less"
            )
    least = min(len(data["a"].train), len(data["a"].val))
    for word, (kind, share) in parse_proxies(flags.proxy).items():
        if kind in ("classes", "images"):
            check_batch(of_search, **{f"{data['a'].name} at {word}": int(share * least)})


def equal_images(flags: TransferFlags, data: dict[Side, "Data"]) -> dict[Side, int | None]:
    """How many training images (train and val) to take of each side; None: all."""
    there: dict[Side, int] = {side: len(one.train) + len(one.val) for side, one in data.items()}
    least = min([*there.values()] if flags.equal_images else [max(there.values())])
    most = least if flags.max_images is None else min(least, flags.max_images)
    return {side: most if most < number else None for side, number in there.items()}


def with_epochs(
    protocol: Protocol,
    flags: TransferFlags,
    setups: dict[Side, Setup],
    search: dict[str, Any],
    data: dict[Side, "Data"],
) -> Protocol:
    """Epochs of a phase on each side: as many steps on B as on A, or what a time allows on each. Raises InputError."""
    steps = {side: -(-len(one.train) // search["batch_size"]) for side, one in data.items()}
    seconds, budget_steps = parse_budget(flags.budget) if flags.budget else (None, None)
    if seconds is not None and budget_steps is None:
        from dartboard.commands.estimate import epoch_seconds

        each = {side: epoch_seconds(protocol, setups[side], search, data[side]) for side in steps}
        epochs: dict[Side, int] = {side: max(1, int(seconds / each[side])) for side in steps}
        if seconds < (longest := max(each.values())):
            too_short(flags.budget, f"takes {work.seconds_in_words(longest)} here")
    else:
        number = search["epochs"] if budget_steps is None else max(1, budget_steps // steps["a"])
        if budget_steps is not None and budget_steps < steps["a"]:
            too_short(flags.budget, f"is {steps['a']} steps")
        epochs = {"a": number, "b": max(1, round(number * steps["a"] / steps["b"]))}
    longest = max(epochs.values()) * (1 if protocol.proxy else 2)  # one search has the budget of both phases
    if flags.budget and longest > (most := bounds(MOST_EPOCHS)[2]):
        text = f"--budget {flags.budget} makes a search of {longest:,} epochs here, and at most {most:,.0f} are allowed"
        raise InputError(f"{text}; give a smaller --budget")
    return replace(protocol, epochs=epochs["a"], epochs_b=epochs["b"], budget=flags.budget or "")


def too_short(budget: str | None, epoch: str) -> None:
    print(f"note: an epoch {epoch}, more than --budget {budget}; a phase is one epoch", file=sys.stderr)


def as_text(protocol: Protocol, search: dict[str, Any], train: dict[str, Any], setup: Setup) -> str:
    tables = {"setup": shared(setup), "search": search, "train": train}
    return to_toml({"command": "transfer", **flat(protocol), **tables})


def new_study(
    out: str | None, protocol: Protocol, search: dict[str, Any], train: dict[str, Any], setup: Setup
) -> Study:
    """A new study in --out, or in the first free runs/transfer-A-B-sSEED[-N]. Raises InputError."""
    if out is not None:
        return Study.create(Path(out), protocol, search, train, setup)
    a, b = (Path(name).name.removeprefix("images:") for name in (protocol.a, protocol.b))
    for folder in work.numbered(f"transfer-{a}-{b}", protocol.seed):
        with suppress(TakenError):
            return Study.create(folder, protocol, search, train, setup, exist_ok=False)
    raise AssertionError("there is no end of names")


def resume(folder: Path, limits: Limits, workers: str | None = None) -> None:
    """Resumes a study. Raises as `execute`."""
    study = Study.open(folder)
    if not study.check_settings():
        text = "an older version started it, without a digest of its settings, so an edit would not be noticed"
        print(f"note: {folder}: {text}", file=sys.stderr)
    work.use_threads(study.setup.get("threads"))
    run_study(study, limits, workers)


def run_study(study: Study, limits: Limits, workers: str | None = None) -> None:
    """What is left of a study, then its page and its findings. workers: the words of --workers."""
    import torch

    from dartboard.studies.transfer import share_out

    if workers is not None:
        say_crowded(workers, torch.get_num_threads())
    print(f"study of {len(study.stages)} stages in {study.folder}; another process may join: {study.resume_command}")
    try:
        with catching_signals(limits):
            share_out(study, limits, workers, torch.get_num_threads())
    except KeyboardInterrupt as error:
        text = f"stopped by Ctrl-C at once; checkpoints are intact; resume with: {study.resume_command}"
        raise InterruptedRunError(text, 130) from error
    print_findings(study)


def print_findings(study: Study) -> None:
    """Writes the pages of a study and of its searches; prints the matrix and where the page is."""
    from dartboard.report import write_report
    from dartboard.report.transfer_page import write
    from dartboard.report.transfer_words import entry_words, sentence
    from dartboard.studies.matrix import findings, group_words

    for stage in study.stages:
        folder = study.place(stage)
        if stage.command == "search" and study.is_done(stage) and not (folder / "report.html").is_file():
            write_report([folder])
    found = findings(study)
    names: dict[Side, str] = {"a": study.protocol.a, "b": study.protocol.b}
    print(f"{found.done} of {found.total} stages are done; test accuracy, mean ± standard deviation over seeds:")
    for group in found.groups:
        on_a, on_b = (entry_words(found.matrix[group, side]) for side in SIDES)
        print(f"  trained on A {on_a}, on B {on_b}: {group_words(group, names)}")
    for one in found.contrasts:
        print(sentence(one, names))
    print(f"report: {write(study)}")
