"""What `dartboard compare` is asked for: names and pairs are checked, and every method gets its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dartboard import plugins
from dartboard.commands import compare_budgets, work
from dartboard.commands.by_trials import OF_IMAGES, check_limits, refuse_useless
from dartboard.commands.flags import presets_of, with_needs
from dartboard.commands.transfer import merged
from dartboard.config import Setup, build, field_names
from dartboard.data.names import NO_DATA, check_name
from dartboard.errors import InputError, unknown
from dartboard.formats.files import check_file
from dartboard.methods import METHODS, check_pair, method_module
from dartboard.paths import expanded
from dartboard.scoring import limits as cost_limits
from dartboard.scoring.tables import read_truth, split_column
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.studies.budgets import EXAMPLES, Budget, parse_size
from dartboard.studies.comparison_folder import BASELINE, ComparisonFolder, Plan

EXAMPLE = "dartboard compare --methods random_search --space nasbench201 --truth accuracies.csv --budget 200trials"
MISSING = f"name the methods: {EXAMPLE}"
OF_DATA = (*OF_IMAGES, "train_config", "device", "precision", "save_every")  # flags that a table has no use for
OF_TRAININGS = ("epochs", "channels", "cells", "batch_size")


@dataclass(frozen=True)
class Asked:
    """The names in the flags. methods: those that were named; files: of settings, by method."""

    methods: tuple[str, ...]
    space: str
    budget: Budget
    files: Mapping[str, str]

    @property
    def searched(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.methods, BASELINE)))


def checked(flags: Any, words: Sequence[str]) -> Asked:
    """Names, pairs, budget and what excludes each other, before torch is imported. Raises InputError."""
    methods = methods_of(flags.methods)
    space = flags.space or METHODS[methods[0]].space
    for method in methods:
        check_pair(method, space)
    if not flags.budget:
        raise InputError(f"--budget is missing: {EXAMPLES}")
    budget = parse_size(flags.budget)
    check_limit(flags.limit, flags.latency)
    asked = Asked(methods, space, budget, files_of(flags.config, methods))
    if (flags.truth is None) == (flags.data is None):
        text = "a table scores, or trainings on data do" if flags.data else "there is nothing to score with"
        raise InputError(f"{text}: give either --truth FILE or --data NAME")
    if flags.truth is not None:
        check_on_table(flags, asked, words)
    else:
        check_on_data(flags, asked)
    return asked


def check_limit(limit: str, latency: str | None) -> None:
    """Raises InputError for a limit that cannot be read, one on latency without a table, and a table for nothing."""
    cost_limits.check_table(limit, latency)
    if latency is not None and not any(one.name == "latency_ms" for one in cost_limits.limits_from(limit)):
        raise InputError("--latency has no effect without a limit on it; give --limit latency_ms<=..., or leave it out")


def methods_of(text: str) -> tuple[str, ...]:
    """The methods in a list with commas. Raises InputError."""
    names = tuple(word.strip() for word in text.split(",") if word.strip())
    if not names:
        raise InputError(MISSING)
    for name in names:
        if name not in METHODS:
            raise unknown("method", name, plugins.names(plugins.METHODS, METHODS))
        if names.count(name) > 1:
            raise InputError(f"--methods names {name} twice; name each method once")
    return names


def files_of(text: str | None, methods: Sequence[str]) -> dict[str, str]:
    """{method: file} of METHOD=FILE.toml, separated by commas. Raises InputError."""
    found: dict[str, str] = {}
    for word in (word.strip() for word in (text or "").split(",") if word.strip()):
        method, equals, path = word.partition("=")
        if not equals or not path:
            raise InputError(f"--config has {word[:60]!r}; give METHOD=FILE.toml, such as {methods[0]}=settings.toml")
        able = tuple(dict.fromkeys((*methods, BASELINE)))
        if method not in able:
            raise unknown("method in --config", method, able)
        if method in found:
            raise InputError(f"--config names {method} twice; give one file for each method")
        found[method] = path
    return found


def check_on_table(flags: Any, asked: Asked, words: Sequence[str]) -> None:
    """Raises InputError for what a table cannot score or has no use for."""
    for method in asked.methods:
        if not METHODS[method].by_trials:
            able = ", ".join(name for name in METHODS if METHODS[name].by_trials)
            text = f"{method} queries no truth, it trains a supernet on images"
            raise InputError(f"{text}; compare it on data with --data NAME, or name others of {able}")
    if asked.budget.unit != "trials":
        why = "a table takes no time" if asked.budget.unit == "seconds" else "nothing is trained on a table"
        raise InputError(f"--budget is {flags.budget}, and {why}; give trials such as 200trials")
    refuse_useless(words, (*OF_DATA, *OF_TRAININGS, *(f"train_{name}" for name in OF_TRAININGS)), "a table scores")
    check_file(split_column(flags.truth)[0])
    read_truth(flags.truth, SPACES[asked.space].family)


def check_on_data(flags: Any, asked: Asked) -> None:
    """Raises InputError for an unknown data set, and for a method that makes no trials where these are counted."""
    check_name(flags.data)
    for method in asked.methods:
        if METHODS[method].by_trials:
            continue
        if asked.budget.unit == "trials":
            text = f"{method} makes no trials, it trains a supernet"
            raise InputError(f"{text}; give --budget in steps such as 500steps, or a time such as 10m")
        if flags.limit and not METHODS[method].limits:
            raise InputError(
                f"--limit has no effect on {method}, which searches the whole space; leave one of them out"
            )


# --- The settings ----------------------------------------------------------------------------------------------------


def wanted(flags: Any, asked: Asked, known: ComparisonFolder | None) -> ComparisonFolder:
    """The comparison that the flags describe, in no folder yet. Raises InputError.

    known: the one that is in --out already: what was measured for it is not measured again.
    """
    return wanted_on_table(flags, asked) if flags.data is None else wanted_on_data(flags, asked, known)


def wanted_on_table(flags: Any, asked: Asked) -> ComparisonFolder:
    truth = anchored(flags.truth)
    setup = Setup(data=NO_DATA, threads=flags.threads, seed=flags.seed)
    plan = plan_of(flags, asked, truth)
    more = {"trials": int(asked.budget.amount), "truth": truth, **limits_of(plan)}
    searches = {method: search_settings(asked, method, {}, more) for method in asked.searched}
    one = ComparisonFolder(Path(), plan, searches, {}, setup)
    check_table(one)
    return one


def wanted_on_data(flags: Any, asked: Asked, known: ComparisonFolder | None) -> ComparisonFolder:
    setup, kind = setup_of(flags), check_name(flags.data)[0]
    data = (work.load_or_shapes if flags.dry_run else work.load)(setup)
    if not flags.print_config:
        work.announce(data)
    sizes = {name: getattr(flags, name) for name in OF_TRAININGS if getattr(flags, name) is not None}
    plan, searches = plan_of(flags, asked, None), {}
    for method in asked.searched:
        limited = METHODS[method].by_trials or METHODS[method].limits
        more = {**sizes, **limits_of(plan)} if limited else dict(sizes)
        if not METHODS[method].by_trials:
            more.pop("epochs", None)
        module = method_module(method)
        own = presets_of(module, SPACES[asked.space])
        found = search_settings(asked, method, own[kind], more)
        searches[method] = compare_budgets.sized(asked.budget, method, asked.space, found, setup, data, known)
    one = ComparisonFolder(Path(), plan, searches, train_settings(flags, asked, kind), setup)
    if not flags.print_config:
        compare_budgets.check_memory(one, data)
    return one


def plan_of(flags: Any, asked: Asked, truth: str | None) -> Plan:
    budget, limit = asked.budget, flags.limit
    latency = None if flags.latency is None else anchored_file(flags.latency)
    return Plan(asked.methods, asked.space, budget.unit, budget.amount, flags.seed, flags.seeds, truth, limit, latency)


def limits_of(plan: Plan) -> dict[str, Any]:
    """The settings of a method that hold it to the limits of the comparison."""
    return {"limit": plan.limit, **({} if plan.latency is None else {"latency": plan.latency})}


def setup_of(flags: Any) -> Setup:
    """What all runs share: data and device; the seed is the first one. Raises InputError."""
    names = [name for name in field_names(Setup) if name in vars(flags) and name not in ("budget", "until")]
    return work.anchored(build(Setup, {name: getattr(flags, name) for name in names}))


def train_settings(flags: Any, asked: Asked, kind: str) -> dict[str, Any]:
    """Settings of every training from scratch: defaults < presets < what the family asks for < --train-config < flags.

    Raises InputError.
    """
    from dartboard.training import presets
    from dartboard.training.from_scratch import Config

    given = {name: getattr(flags, f"train_{name}") for name in OF_TRAININGS}
    more = {name: value for name, value in given.items() if value is not None}
    space = SPACES[asked.space]
    own = with_needs(presets.PRESETS, space, Config, FAMILIES[space.family].recipe)
    return merged(Config, own[kind], flags.train_config, {"command": "train", "method": None}, more)


def anchored(truth: str) -> str:
    """The table's words with an absolute path."""
    path, column = split_column(truth)
    return anchored_file(path) + ("" if column is None else f":{column}")


def anchored_file(path: str) -> str:
    return str(expanded(path).absolute())


def search_settings(asked: Asked, method: str, preset: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """All settings of a method: its defaults < the preset of the data < its file < the flags. Raises InputError."""
    header = {"command": "search", "method": method, "space": asked.space}
    found = merged(method_module(method).Config, preset, asked.files.get(method), header, more)
    if "shared_weights" in found:
        raise InputError(f"--config {method}={asked.files[method]} scores by shared weights; leave shared_weights out")
    if "truth" in found and "truth" not in more:
        raise InputError(f"--config {method}={asked.files[method]} scores by a table; leave truth out")
    return found


def check_table(one: ComparisonFolder) -> None:
    """Raises InputError for the table of another space, and for a limit that no architecture is within."""
    from dartboard.search.given_tables import table_of

    assert one.plan.truth is not None
    table_of(one.plan.truth, SPACES[one.plan.space])
    check_limits(SPACES[one.plan.space], one.config_of(BASELINE), None)


def check_latency(one: ComparisonFolder) -> None:
    """Raises InputError for a table of latencies that is not that of the start."""
    from dartboard.search.given_tables import check_file_of

    if one.plan.latency is not None:
        check_file_of(one.folder, one.environment, "latency", one.plan.latency)


def facts(one: ComparisonFolder) -> dict[str, Any]:
    """What environment.json records at the start: versions, device, and which table it is."""
    from dartboard.devices import pick_device
    from dartboard.runs.environment import describe
    from dartboard.search.given_tables import file_record, table_of
    from dartboard.studies.compare_on_table import fingerprint

    found = describe(pick_device(one.setup.device), None)
    if one.plan.truth is not None:
        found["truth"] = fingerprint(one.plan.truth, table_of(one.plan.truth, SPACES[one.plan.space]))
    if one.plan.latency is not None:
        found["latency"] = file_record(one.plan.latency)
    return found
