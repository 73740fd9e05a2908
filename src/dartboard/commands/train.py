"""dartboard train: trains an architecture from scratch and scores it on the test images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dartboard import formats
from dartboard.commands import by_workers, dryrun, work
from dartboard.commands.flags import first_word, given, layered, parse, resolved, with_needs
from dartboard.config import Setup, build, from_toml
from dartboard.data.names import NO_DATA, check_name
from dartboard.errors import InputError
from dartboard.formats.files import parent_of
from dartboard.runs.known_speeds import remember, say_known
from dartboard.runs.limits import Limits, limits_of
from dartboard.runs.run import CONFIG, Run
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture
from dartboard.studies.selection import search_of
from dartboard.training import presets

if TYPE_CHECKING:
    from torch import nn

    from dartboard.data import Data

MISSING = "name an architecture: dartboard train DARTS_V2, or a run folder, or a file"
SWITCHES = ("--dry-run", "--print-config", "--download", "--official-split", "--auxiliary", "--help", "-h")


def execute(words: list[str]) -> None:
    """Trains once a seed. Raises InputError, CannotContinueError, InterruptedRunError."""
    refuse_early(words)
    from dartboard.training import from_scratch

    header = {"command": "train", "method": None}
    flags = read_flags(words, header, from_scratch.Config, presets.PRESETS)
    architecture, _, label = formats.resolve(flags.arch)
    recipe = FAMILIES[architecture.space].recipe
    own = with_needs(presets.PRESETS, architecture, from_scratch.Config, recipe)
    if own != presets.PRESETS:
        flags = read_flags(words, header, from_scratch.Config, own)
    if flags.new.print_config:
        return print(resolved(header, work.anchored(flags.setup), flags.config), end="")
    by_workers.check(flags.new, flags.setup, "a training")
    if flags.new.dry_run:
        return dryrun.train(architecture, header, work.anchored(flags.setup), flags.config, flags.new.seeds)
    limits = limits_of(flags.setup.budget, flags.setup.until)
    if flags.new.workers is not None:
        return begin_by_workers(flags, label, architecture, limits)
    for one in work.setups(flags.new, flags.setup):
        begin(flags, label, architecture, one, limits)


def read_flags(
    words: list[str], header: Mapping[str, str | None], settings: type[Any], known: Mapping[str, Mapping[str, Any]]
) -> Any:
    """The flags of a training. known: the presets of the data sets."""
    setup, config = layered(settings, words, header, known, {})
    defaults = {"new": work.NewRun(), "setup": setup, "config": config}
    return parse(flags_class(settings), words, "train", MISSING, defaults)


def flags_class(settings: type[Any]) -> Any:
    """The flags of a training with its Config."""

    @dataclass(frozen=True)
    class TrainFlags:
        """Train an architecture from scratch, on the train and val images together; score it on the test images."""

        arch: str
        """a run folder, a file or text with a genotype, FILE:NAME, -, or a name of `dartboard list architectures`"""
        new: work.NewRun
        setup: Setup
        config: settings  # type: ignore[valid-type]

    return TrainFlags


def refuse_early(words: list[str]) -> None:
    """Raises InputError for unknown names and paths, before torch is imported."""
    if not words:
        raise InputError(MISSING)
    if (data := given(words, "--data")) is not None:
        check_name(data)
    if (name := first_word(words, SWITCHES)) is not None:
        formats.resolve(name)
        if given(words, "--data") is None and given(words, "--config") is None:
            refuse_without_data(name)


def refuse_without_data(arch: str) -> None:
    """Raises InputError for the run of a search that a table scored: it names no images to train on."""
    folder = search_of(parent_of(arch))
    if folder is not None and (folder / CONFIG).is_file() and from_toml(folder / CONFIG).get("data") == NO_DATA:
        raise InputError(f"the search in {folder} was scored by a table, without images; give --data, such as digits")


def begin(flags: Any, label: str, architecture: Architecture, setup: Setup, limits: Limits) -> None:
    """One new run. limits: of all runs of the command together."""
    work.use_threads(setup.threads)
    data = work.load(setup)
    work.announce(data)
    network = work.build_network(architecture, flags.config, data)
    dryrun.check_training(setup, flags.config, data, network)
    parent = search_of(parent_of(flags.arch))
    more = {"command": "train", "parent": parent, "architecture": architecture}
    run = work.begin_run(flags.new, f"train-{label}", setup, flags.config, **more)
    run.limits = limits
    with work.reporting_stops(run, fresh=True):
        run_training(run, flags.config, network, data)


def begin_by_workers(flags: Any, label: str, architecture: Architecture, limits: Limits) -> None:
    """New runs of all seeds, by --workers."""
    work.use_threads(flags.setup.threads)
    data = work.load(flags.setup)
    dryrun.check_training(flags.setup, flags.config, data, work.network_that_fits(architecture, flags.config, data))
    more = {"command": "train", "parent": parent_of(flags.arch), "architecture": architecture}
    by_workers.search_or_train(flags.new, f"train-{label}", flags.setup, flags.config, limits, more)


def run_training(run: Run, config: Any, network: "nn.Module", data: "Data") -> None:
    """Starts or resumes the training of a run; prints what it reached."""
    from dartboard.report import write_report
    from dartboard.scoring.cost import count_module
    from dartboard.training.from_scratch import fit

    run.check_data(data)
    if not run.done:
        print(f"train on {data.name}, seed {run.seed}, in {run.folder}", flush=True)
        say_known(run, data, lambda: count_module(network, data.image_size, data.channels).macs)
        fit(config, network, data, run)
        remember(run, data, run.metrics()[-1].get("macs", 0))
    result = run.metrics()[-1]
    print(f"test accuracy {100 * result['test_accuracy']:.2f} %, test loss {result['test_loss']:.4f}")
    print(f"report: {write_report([run.folder])}")


def resume(run: Run) -> None:
    """Resumes a stopped training."""
    from dartboard.training.from_scratch import Config

    config = build(Config, run.settings)
    architecture = run.architecture
    if architecture is None:
        raise InputError(f"{run.folder} has no architecture.json; restore it or train again")
    with work.reporting_stops(run, fresh=False):
        data = work.load(run.setup)
        work.announce(data)
        run_training(run, config, work.build_network(architecture, config, data), data)
