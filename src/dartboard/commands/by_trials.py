"""dartboard search, for the methods that score architectures one by one: by a table, shared weights or trainings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.commands import by_workers, dryrun, work
from dartboard.commands.flags import given, resolved
from dartboard.config import Setup, field_names, flag, flat
from dartboard.data.names import NO_DATA
from dartboard.errors import InputError
from dartboard.methods import METHODS, method_module, middle_space
from dartboard.paths import expanded
from dartboard.runs.limits import Limits, limits_of
from dartboard.runs.run import Run
from dartboard.runs.start import WarmStart
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace

if TYPE_CHECKING:
    from dartboard.data import Data

# Fields of a Setup that select the images: without effect if a table scores, or the supernet of a search.
OF_IMAGES = ("data", "data_dir", "download", "image_size", "max_classes", "stream", "official_split", "max_images")
OWN = ("--truth", "--shared-weights", "--trials", "--limit", "--latency")  # flags of these methods that no other has
WITH_SUPERNET = ("batch_size", "channels_last")  # fields of a training's Config that scores by shared weights use


def refuse_early(words: list[str], space: str) -> None:
    """Raises InputError for a table or a run that cannot serve, before torch is imported."""
    from dartboard.scoring.tables import read_truth

    truth, weights = given(words, "--truth"), given(words, "--shared-weights")
    for name in ("--truth", "--shared-weights"):
        if given(words, name) is not None and given(words, "--data") is not None:
            other = "a table scores" if name == "--truth" else "the images are those of the search"
            raise InputError(f"--data and {name} exclude each other: {other}; leave one out")
    if truth is not None:
        read_truth(truth, SPACES[space].family)
    if weights is not None:
        Run.open(expanded(weights))


def refuse_for_others(words: Sequence[str], method: str) -> None:
    """Raises InputError, with the methods that have it, for a flag that a method of another kind does not have."""
    typed = {word.split("=")[0].replace("_", "-") for word in words}
    for name in OWN:
        is_limit = name in ("--limit", "--latency")
        if name in typed and not (is_limit and METHODS[method].limits):
            able = ", ".join(one for one, known in METHODS.items() if known.by_trials or (is_limit and known.limits))
            held = "that hold what they score to it" if is_limit else "that score architectures one by one"
            text = f"{name} is for methods {held}, and {method} is none"
            raise InputError(f"{text}; give {able}, or leave {name} out")


def execute(flags: Any, header: Mapping[str, str], words: list[str]) -> None:
    """Searches once a seed. Raises InputError, CannotContinueError, InterruptedRunError."""
    refuse(flags, header["method"], words)
    setup, config = settled(flags.setup, flags.config, header["space"])
    if flags.new.print_config:
        print(resolved(header, work.anchored(setup), config), end="")
    elif flags.new.dry_run:
        dry_run(header, work.anchored(setup), config, flags.new.seeds)
    else:
        limits = limits_of(setup.budget, setup.until)
        if flags.new.workers is not None and flags.new.seeds > 1:
            return begin_by_workers(flags.new, header, setup, config, limits)
        for one in work.setups(flags.new, setup):
            begin(flags.new, header, one, config, limits)


def refuse(flags: Any, method: str, words: list[str]) -> None:
    """Raises InputError for flags that would change nothing here."""
    from dartboard.training.from_scratch import Config

    how = (flags.carry, flags.restart_schedule)
    if flags.from_ is not None or how != (None, WarmStart.restart_schedule):
        raise InputError(f"{method} takes nothing from another search; leave out --from and its flags")
    if flags.together:
        raise InputError(f"--together is for searches that train a supernet; {method} takes --seeds alone")
    trained = field_names(Config)
    if flags.new.workers is not None:
        refuse_workers(flags.config, flags.new.seeds, flags.new.workers, flags.setup.budget)
    if flags.config.truth is not None:
        refuse_useless(words, (*OF_IMAGES, *trained), "a table scores")
    if flags.config.shared_weights is not None:
        left = [name for name in trained if name not in WITH_SUPERNET]
        refuse_useless(words, (*OF_IMAGES, *left), "a supernet scores")


def refuse_workers(config: Any, seeds: int, words: str, budget: str | None) -> None:
    """Raises InputError for workers that would have nothing to do, or that are not there. words: of --workers."""
    if config.truth is not None:
        raise InputError("--workers has no effect if a table scores; leave it out")
    if seeds == 1 and config.shared_weights is not None:
        raise InputError("--workers has no effect on one seed that a supernet scores; give --seeds 4, or leave it out")
    if seeds == 1 and flat(config).get("batch") == 1:
        raise InputError("--workers has no effect on one seed with --batch 1; give --batch 8, or leave it out")
    by_workers.check_use(words, budget)


def refuse_useless(words: Sequence[str], names: Iterable[str], why: str) -> None:
    """Raises InputError for the first of the settings that was typed."""
    typed = {word.split("=")[0].replace("_", "-") for word in words if word.startswith("--")}
    for name in names:
        if typed & {flag(name), flag(f"no_{name}")}:
            raise InputError(f"{flag(name)} has no effect if {why}; leave it out")


def settled(setup: Setup, config: Any, space: str) -> tuple[Setup, Any]:
    """Both with absolute paths, and with the images that the way of scoring says. Raises InputError."""
    from dartboard.search.trials import check_parent

    if config.truth is not None:
        path, colon, column = truth_parts(config.truth)
        plain = {name: getattr(Setup(), name) for name in OF_IMAGES}
        setup = replace(setup, **{**plain, "data": NO_DATA})
        return setup, replace(config, truth=f"{expanded(path).absolute()}{colon}{column}")
    if config.shared_weights is not None:
        parent = Run.open(expanded(config.shared_weights))
        check_parent(parent, SPACES[space])
        setup = replace(setup, **{name: getattr(parent.setup, name) for name in OF_IMAGES})
        return setup, replace(config, shared_weights=str(parent.folder.absolute()))
    return setup, config


def truth_parts(truth: str) -> tuple[str, str, str]:
    """FILE, and the colon and COLUMN if there are any."""
    from dartboard.scoring.tables import split_column

    path, column = split_column(truth)
    return path, "" if column is None else ":", column or ""


def load(setup: Setup, config: Any) -> "Data | None":
    """The images: none if a table scores; those of the search, with its splits, if its weights score."""
    if config.truth is not None:
        return None
    if config.shared_weights is not None:
        parent = Run.open(config.shared_weights)
        data = work.load(parent.setup)
        known = parent.environment.get("data")
        if not isinstance(known, dict) or known.get("fingerprint") != data.fingerprint:
            raise InputError(f"the data of {parent.folder} has changed; restore it, or give another search")
        return data
    return work.load(setup)


def begin(flags: work.NewRun, header: Mapping[str, str], setup: Setup, config: Any, limits: Limits) -> None:
    """One new run. limits: of all runs of the command together."""
    work.use_threads(setup.threads)
    data = load(setup, config)
    check(header, setup, config, data)
    table = Path(truth_parts(config.truth)[0]).stem if config.truth is not None else ""
    what = f"{header['method']}-{table}" if table else header["method"]
    more = {"method": header["method"], "space": header["space"], "parent": config.shared_weights}
    run = work.begin_run(flags, what, setup, config, **more)
    run.limits, run.workers = limits, flags.workers
    if flags.workers is not None:
        by_workers.say_crowded(flags.workers, run.environment["threads"])
    with work.reporting_stops(run, fresh=True):
        run_search(run, config, data)


def begin_by_workers(flags: work.NewRun, header: Mapping[str, str], setup: Setup, config: Any, limits: Limits) -> None:
    """New runs of all seeds, by --workers."""
    work.use_threads(setup.threads)
    check(header, setup, config, load(setup, config))
    more = {"method": header["method"], "space": header["space"], "parent": config.shared_weights}
    by_workers.search_or_train(flags, header["method"], setup, config, limits, more)


def check(header: Mapping[str, str], setup: Setup, config: Any, data: "Data | None") -> None:
    """Raises InputError if a table, a training or a family's networks cannot serve, or nothing is within the limits,
    before there is a folder."""
    from dartboard import networks
    from dartboard.search.given_tables import table_of

    if config.truth is not None:
        table_of(config.truth, SPACES[header["space"]])
    elif config.shared_weights is None and data is not None:
        networks.module(SPACES[header["space"]].family)
        work.announce(data)
        check_trial(header, setup, config, data)
    if config.shared_weights is None and config.limit:
        check_limits(SPACES[header["space"]], config, data)


def check_limits(space: SearchSpace, config: Any, data: "Data | None") -> None:
    """Raises InputError for limits that nothing is within; data: None if a table scores."""
    from functools import partial
    from random import Random

    from dartboard.scoring.cost import cost_of, count
    from dartboard.scoring.limits import limits_from, sample_within
    from dartboard.search.trials import timed_costs

    counts = count if data is None else partial(cost_of, config.channels, config.cells, data)
    cost = timed_costs(counts, config, space, data)
    sample_within(space, Random(0), limits_from(config.limit), cost)


def check_trial(header: Mapping[str, str], setup: Setup, config: Any, data: "Data") -> None:
    """Raises InputError for a training that no network is for, or that takes more memory than is free."""
    from dartboard.training.dry_run import check_memory, is_tiny

    check_sizes(SPACES[header["space"]], config, data)
    if config.batch_size <= len(data.train) and not is_tiny(setup, config, data):
        check_memory(trial_job(header, setup, config, data))


def check_sizes(space: SearchSpace, config: Any, data: "Data") -> None:
    """Raises InputError for settings that the networks of the space have no part for."""
    from random import Random

    import torch

    from dartboard import networks
    from dartboard.search.trials import training_of
    from dartboard.training.by_training import fitted

    networks.check_layers(space, config.cells)
    architecture = space.sample(Random(0))
    with torch.device("meta"):
        networks.module(space.family).sized(architecture, fitted(training_of(config), architecture), data)


def trial_job(
    header: Mapping[str, str], setup: Setup, config: Any, data: "Data", part: SearchSpace | None = None
) -> Any:
    """The training of one trial, of an architecture of middling size: the first that is drawn by the seed 0."""
    import copy
    from random import Random

    from dartboard.scoring.cost import count_module
    from dartboard.search.trials import training_of
    from dartboard.training.by_training import COMMAND, WORK, fitted
    from dartboard.training.dry_run import Job
    from dartboard.training.from_scratch import fit

    architecture = (part or SPACES[header["space"]]).sample(Random(0))
    of_training = fitted(training_of(config), architecture)
    network = work.network_that_fits(architecture, of_training, data)

    def begin(config: Any, data: "Data", run: Run) -> object:
        return fit(config, copy.deepcopy(network), data, run, learn_on="train", score_on="val")

    cost = count_module(network, data.image_size, data.channels)
    return Job({**header, "command": COMMAND}, setup, of_training, data, cost, begin, WORK)


def dry_run(header: Mapping[str, str], setup: Setup, config: Any, seeds: int) -> float | None:
    """Prints the settings, what scores, and what the trials take, and returns their seconds; None if not measured.

    Leaves no folder behind. Raises InputError.
    """
    from dartboard.search.given_tables import table_of

    work.use_threads(setup.threads)
    space, trials = SPACES[header["space"]], f"{config.trials:,} trials{f', {seeds} seeds' if seeds > 1 else ''}"
    if config.truth is not None:
        lines = table_of(config.truth, space).describe()
        print("\n".join([resolved(header, setup, config), *lines, f"{trials}, each looked up in the table"]))
        return None
    if config.shared_weights is not None:
        load(setup, config)
        print(f"{resolved(header, setup, config)}\n{trials}, each scored by the weights of {config.shared_weights}")
        return None
    data = work.load_or_shapes(setup)
    if config.limit:
        check_limits(space, config, data)
    job = trial_job(header, setup, config, data, middle_space(header["method"], config, space))
    print(resolved(header, setup, config))
    work.say_where_absent(setup)
    work.announce(data)
    print(f"{dryrun.described(data)}\nnetwork of a trial, drawn at random: {dryrun.counts(job)}")
    total_s: float = dryrun.estimate(job, 1) * config.trials * seeds
    print(f"{trials} one after another, about {work.seconds_in_words(total_s)} in all")
    return total_s


def run_search(run: Run, config: Any, data: "Data | None") -> None:
    """Starts or resumes the search of a run; prints and writes what it found."""
    if not run.done:
        by = "a table" if data is None else data.name
        print(f"search {run.method} on {by}, seed {run.seed}, in {run.folder}", flush=True)
        method_module(str(run.method)).search(config, SPACES[str(run.space)], data, run)
    print_result(run, config)


def print_result(run: Run, config: Any) -> None:
    """Prints what a finished search found, and writes its page."""
    from dartboard import formats
    from dartboard.paths import quoted
    from dartboard.report import next_training, write_report

    architecture, result = run.architecture, run.metrics()[-1]
    if architecture is None:
        raise InputError(f"{run.folder} has a result but no architecture.json; restore it or search again")
    print(formats.write(architecture, FAMILIES[architecture.space].notation))
    print(f"score {100 * result['score']:.2f} % ({result['source']}), trial {result['trial'] + 1} of {config.trials:,}")
    if "shown" in result:
        print(f"shown by {result['shown_by']}: {100 * result['shown']:.2f} %")
    for line in work.latency_lines(run, config.limit, config.latency):
        print(line)
    print(f"report: {write_report([run.folder])}")
    if config.truth is None:
        print(f"train it: {next_training.command(run.folder, vars(run.setup))}")
    else:
        print(f"train it: dartboard train {quoted(run.folder)} --data NAME")


def resume(run: Run, config: Any) -> None:
    """Resumes a stopped search by trials. Raises InputError for workers that would have nothing to do."""
    if run.workers is not None:
        refuse_workers(config, 1, run.workers, None)
        by_workers.say_crowded(run.workers, run.environment["threads"])
    with work.reporting_stops(run, fresh=False):
        run_search(run, config, load(run.setup, config))
