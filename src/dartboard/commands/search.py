"""dartboard search: finds an architecture, and writes it with the page that shows how."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dartboard import plugins
from dartboard.commands import by_trials, by_workers, dryrun, together, work
from dartboard.commands.flags import first_word, given, layered, named, parse, presets_of, resolved
from dartboard.config import MOST_EPOCHS, Setup, build, check_ranges, flat
from dartboard.data.names import check_name
from dartboard.errors import InputError, unknown
from dartboard.formats.files import STOPPED
from dartboard.methods import METHODS, check_pair, idle_settings, method_module
from dartboard.paths import expanded
from dartboard.runs.known_speeds import remember, say_known
from dartboard.runs.limits import Limits, limits_of
from dartboard.runs.peak_memory import recorded_peak
from dartboard.runs.run import Run
from dartboard.runs.start import WarmStart
from dartboard.scoring import space_costs
from dartboard.search.stop_rules import rule_of
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES

if TYPE_CHECKING:
    from dartboard.data import Data

Origin = dict[str, Any]  # what Run.create needs for a warm start: warm_start, parent, start; or nothing
MISSING = "name a method first: dartboard search darts --data digits"
SWITCHES = (
    "--dry-run",
    "--print-config",
    "--download",
    "--official-split",
    "--second-order",
    "--restart-schedule",
    "--no-restart-schedule",
    "--together",
    "--help",
    "-h",
)


def execute(words: list[str]) -> None:
    """Searches once a seed. Raises InputError, CannotContinueError, InterruptedRunError."""
    method = method_of(words)
    space = given(words, "--space") or METHODS[method].space
    refuse_early(words, method, space)
    module = method_module(method)
    header = {"command": "search", "method": method, "space": space}
    presets = presets_of(module, SPACES[space])
    setup, config = layered(module.Config, words, header, presets, getattr(module, "PAPER", {}))
    cls = flags_class(module.Config)
    defaults = {"new": work.NewRun(), "space": space, "together": False, "setup": setup, "config": config}
    defaults |= {"from_": None, "carry": None, "restart_schedule": WarmStart.restart_schedule}
    defaults |= {"select": None, "select_config": None}
    flags = parse(cls, words, "search", MISSING, defaults)
    flags = replace(flags, config=with_table(flags.config))
    for names, why in idle_settings(method, flags.config, SPACES[space]):
        by_trials.refuse_useless(words, names, why)
    if (flags.select, flags.select_config) != (None, None):
        from dartboard.commands import select

        return select.execute(flags, header, words)
    if METHODS[method].by_trials:
        return by_trials.execute(flags, header, words)
    by_workers.check(flags.new, flags.setup, method, flags.together)
    origin = origin_of(flags, header)
    if flags.new.print_config:
        print(resolved(header, work.anchored(flags.setup), flags.config), end="")
    elif flags.new.dry_run:
        dryrun.search(header, work.anchored(flags.setup), flags.config, flags.new.seeds, flags.together)
    elif flags.together:
        begin_together(flags.new, header, flags.setup, flags.config, origin)
    elif flags.new.workers is not None:
        begin_by_workers(flags.new, header, flags.setup, flags.config, origin)
    else:
        limits = limits_of(flags.setup.budget, flags.setup.until)
        for one in work.setups(flags.new, flags.setup):
            begin(flags.new, header, one, flags.config, limits, origin)


def with_table(config: Any) -> Any:
    """The settings with the absolute path of a table of latencies, so that a run can be resumed from any folder."""
    if flat(config).get("latency") is None:
        return config
    return replace(config, latency=str(expanded(config.latency).absolute()))


def flags_class(settings: type[Any]) -> Any:
    """The flags of a search with a method's Config."""

    @dataclass(frozen=True)
    class SearchFlags:
        """Search an architecture: print it, and write it with metrics, checkpoints and page into the run folder."""

        method: str
        """a method of `dartboard list methods`"""
        new: work.NewRun
        space: str
        """A space of `dartboard list spaces`."""
        together: bool
        """Search with all seeds of --seeds at once, in one process."""
        select: int | None
        """Train what each seed of --seeds finds for this many epochs, on train; the best on val is the result."""
        select_config: str | None
        """A TOML file of more settings of these trainings; by default they have the sizes of the search."""
        from_: named(str | None, "from")  # type: ignore[valid-type]
        """Start from what another search has learned: its run folder. The classifier is new."""
        carry: str | None
        """What is taken from --from: weights, alphas, or what else the method learns, by commas; by default all."""
        restart_schedule: bool
        """Restart the learning rate and the optimizers; --no-restart-schedule continues those of --from."""
        setup: Setup
        config: settings  # type: ignore[valid-type]

        def __post_init__(self) -> None:
            check_ranges(self, select="[1, inf)")
            check_ranges(self, select=MOST_EPOCHS)

    return SearchFlags


def origin_of(flags: Any, header: dict[str, str]) -> Origin:
    """What --from names, with the checkpoint to begin from. Raises InputError if it does not fit."""
    if flags.from_ is None:
        if (flags.carry, flags.restart_schedule) != (None, WarmStart.restart_schedule):
            raise InputError("--carry and --no-restart-schedule are for a warm start; give --from RUN with them")
        return {}
    carry = ",".join(METHODS[header["method"]].carries) if flags.carry is None else flags.carry
    warm_start = WarmStart(str(expanded(flags.from_).absolute()), carry, flags.restart_schedule)
    parent = Run.open(warm_start.from_)
    from dartboard.search.warm_start import check_parent  # brings torch

    carried = method_module(header["method"]).CARRIED
    start = check_parent(parent, header, flags.config, warm_start.parts, carried)
    return {"warm_start": warm_start, "parent": warm_start.from_, "start": start}


def method_of(words: list[str]) -> str:
    """The method that the words name. Raises InputError, without importing torch."""
    name = first_word(words, SWITCHES) or next((word for word in words if word in METHODS), None)
    if name in METHODS:
        return name
    if name is None and ("--help" in words or "-h" in words):
        return next(iter(METHODS))
    if name is None:
        raise InputError(MISSING)
    raise unknown("method", name, plugins.names(plugins.METHODS, METHODS))


def refuse_early(words: list[str], method: str, space: str) -> None:
    """Raises InputError for unknown names, and a space that the method cannot search, before torch is imported."""
    check_pair(method, space)
    if METHODS[method].by_trials:
        by_trials.refuse_early(words, space)
    else:
        by_trials.refuse_for_others(words, method)
    if (data := given(words, "--data")) is not None:
        check_name(data)


def begin(
    flags: work.NewRun, header: dict[str, str], setup: Setup, config: Any, limits: Limits, origin: Origin
) -> None:
    """One new run. limits: of all runs of the command together; origin: what it begins from."""
    work.use_threads(setup.threads)
    data = work.load(setup)
    work.announce(data)
    dryrun.check_search(header, setup, config, data)
    more = {"method": header["method"], "space": header["space"], **origin}
    run = work.begin_run(flags, header["method"], setup, config, **more)
    run.limits = limits
    with work.reporting_stops(run, fresh=True):
        run_search(run, config, data)


def begin_together(flags: work.NewRun, header: dict[str, str], setup: Setup, config: Any, origin: Origin) -> None:
    """New runs of all seeds at once. Raises InputError for a single seed."""
    if flags.seeds == 1:
        raise InputError("--together is for several seeds; give --seeds 4, or leave it out")
    data = work.load(setup)
    work.announce(data)
    dryrun.check_search(header, setup, config, data, flags.seeds)
    made = together.begin_runs(flags, header, setup, config, origin)
    data_of = {run.folder: data for run, data in made}
    runs = [run for run, _ in made]
    together.side_by_side(runs, lambda run: search(run, config, data_of[run.folder]))
    for run in runs:
        print_result(run, config, data_of[run.folder])


def begin_by_workers(flags: work.NewRun, header: dict[str, str], setup: Setup, config: Any, origin: Origin) -> None:
    """New runs of all seeds, by --workers."""
    limits = limits_of(setup.budget, setup.until)
    work.use_threads(setup.threads)
    data = work.load(setup)
    work.announce(data)
    dryrun.check_search(header, setup, config, data)
    more = {"method": header["method"], "space": header["space"], **origin}
    by_workers.search_or_train(flags, header["method"], setup, config, limits, more)


def run_search(run: Run, config: Any, data: "Data") -> None:
    """Starts or resumes the search of a run; prints and writes what it found."""
    run.check_data(data)
    if not run.done:
        with recorded_peak(run):
            search(run, config, data)
    print_result(run, config, data)


def search(run: Run, config: Any, data: "Data") -> None:
    """The search itself, from its beginning or from the run's checkpoint."""
    print(f"search {run.method} on {data.name}, seed {run.seed}, in {run.folder}", flush=True)
    say_known(run, data, lambda: macs_of(run, config, data))
    say_costs(run, config, data)
    method_module(str(run.method)).search(config, SPACES[run.space or METHODS[str(run.method)].space], data, run)


def say_costs(run: Run, config: Any, data: "Data") -> None:
    """Prints and notes, before a run of a space of slices begins, what its networks cost."""
    header = {"method": str(run.method), "space": run.space or METHODS[str(run.method)].space}
    if space_costs.RECORD not in run.environment and (costs := dryrun.costs_before(header, config, data)) is not None:
        print("\n".join(space_costs.lines(costs)), flush=True)
        space_costs.note(run, costs)


def macs_of(run: Run, config: Any, data: "Data") -> int:
    """Multiply-adds of an image in the supernet."""
    header = {"method": str(run.method), "space": run.space or METHODS[str(run.method)].space}
    return dryrun.search_job(header, run.setup, config, data).cost.macs


def print_result(run: Run, config: Any, data: "Data") -> None:
    """Prints what a finished search found, and writes its page and what to train the cell with."""
    from dartboard import formats
    from dartboard.commands.next_training import write_next_training
    from dartboard.report import next_training, write_report

    architecture = run.architecture
    if architecture is None:
        raise InputError(f"{run.folder} has a result but no architecture.json; restore it or search again")
    print(formats.write(architecture, FAMILIES[architecture.space].notation))
    settings = flat(config)
    latency = work.latency_lines(run, settings.get("limit", ""), settings.get("latency"))
    for line in (*latency, *rule_lines(run)):
        print(line)
    macs = macs_of(run, config, data)
    remember(run, data, macs)
    write_next_training(run, config, data, macs)
    print(f"report: {write_report([run.folder])}")
    given = flat(run.setup)
    print(f"train it: {next_training.command(run.folder, given)}")
    if remark := next_training.remark(run.folder, given):
        print(f"this trains {remark}")
    if costs := space_costs.noted(run.environment):
        print(f"ask its supernet for other networks: {space_costs.question(costs, run.folder)}")


def rule_lines(run: Run) -> list[str]:
    """What each stopping rule says of a finished search, and the place of its cell."""
    lines = []
    for entry in run.metrics()[-1].get("stopped", []):
        file = run.folder / STOPPED / rule_of(entry["rule"]).file_name
        fired = "did not fire" if entry["epoch"] is None else f"fired after epoch {entry['epoch']}"
        lines.append(f"{entry['rule']} {fired} and selects the cell of epoch {entry['kept']}: {file}")
    return lines


def resume(run: Run) -> None:
    """Resumes a stopped search."""
    if run.method not in METHODS:
        raise unknown(f"method in {run.folder}", str(run.method), METHODS)
    check_space(run)
    config = build(method_module(run.method).Config, run.settings)
    if METHODS[run.method].by_trials:
        return by_trials.resume(run, config)
    with work.reporting_stops(run, fresh=False):
        data = work.load(run.setup)
        work.announce(data)
        run_search(run, config, data)


def check_space(run: Run) -> None:
    """Raises InputError if this command does not know the space that a run searches."""
    if run.space is not None and run.space not in SPACES:
        text = f"{run.folder} searches the space {str(run.space)[:60]!r}, and this version knows {', '.join(SPACES)}"
        raise InputError(f"{text}; resume a search of your own space from Python, or correct `space` in config.toml")
