"""dartboard why: studies why the cell that a search found performs as it does."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.analysis.edit_distance import check_compared
from dartboard.commands import work
from dartboard.commands.by_workers import say_crowded
from dartboard.commands.flags import first_word, parse
from dartboard.config import build, field_names
from dartboard.errors import CannotContinueError, EditedSettingsError, InputError, InterruptedRunError, unknown
from dartboard.methods import METHODS, method_module
from dartboard.paths import quoted
from dartboard.runs.atomic_files import make_folders, replace_file
from dartboard.runs.checkpoint import checkpoints
from dartboard.runs.held_settings import DIGEST, digest
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.limits import Limits, Terminated, limits_of
from dartboard.runs.locks import own_folder
from dartboard.runs.run import CHECKPOINTS, Run
from dartboard.runs.workers import check_there, check_workers
from dartboard.spaces import SPACES
from dartboard.studies.folders import WHY_SETTINGS
from dartboard.studies.questions import Config

if TYPE_CHECKING:
    from dartboard.studies.subject import Search

SETTINGS, NUMBERS, PAGE = WHY_SETTINGS, "why.json", "why.html"
MISSING = "name a search's run folder: dartboard why runs/darts-digits-s0"


@dataclass(frozen=True)
class WhyFlags:
    """Study why the found cell performs as it does: ablation, discretisation gap, motifs, gradients. Write a page."""

    run: str
    """the folder of a search, finished or stopped"""
    config: Config
    out: str | None = None
    """The study's folder; by default RUN/why."""
    until: str | None = None
    """Save and stop this long after the start, such as 7h30m; can be resumed."""
    workers: str | None = None
    """Do the trainings at once: by this number of processes, by ray, or by ray://HOST[:PORT]."""

    def __post_init__(self) -> None:
        check_workers(self.workers)


def execute(words: list[str]) -> None:
    """Raises InputError (no run, a training, no checkpoint, changed data ...), CannotContinueError,
    InterruptedRunError."""
    folder = first_word(words, ("--help", "-h"))
    if folder is not None:
        searched(folder)  # refused before the flags are parsed and torch is imported
    flags = parse(WhyFlags, words, "why", MISSING, {"config": Config(), "out": None, "until": None, "workers": None})
    check_there(flags.workers)
    limits = limits_of(None, flags.until)
    run = searched(flags.run)
    out = Path(flags.out) if flags.out is not None else run.folder / "why"
    start_or_resume(run, flags.config, out, limits, flags.workers)


def resume(out: Path, limits: Limits, workers: str | None = None) -> None:
    """Resumes the study in a folder for which `is_why` is true. Raises as `execute` does."""
    known = read_json(out / SETTINGS)
    check_settings(out, known)
    try:
        run = searched(os.path.normpath(out / known["run"]))
        config = build(Config, {name: known[name] for name in field_names(Config)})
    except (KeyError, TypeError) as error:
        raise InputError(f"{out / SETTINGS} is damaged; repeat the `dartboard why` command that started it") from error
    start_or_resume(run, config, out, limits, workers)


def finished(out: Path) -> tuple[dict[str, Any], Path]:
    """The findings of the study in a folder, and the folder of its search. Raises InputError for an unfinished one."""
    if not (out / NUMBERS).exists():
        raise InputError(f"the study in {out} is not finished; resume it with: dartboard resume {quoted(out)}")
    try:
        return read_json(out / NUMBERS), Path(os.path.normpath(out / read_json(out / SETTINGS)["run"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"{out / SETTINGS} is damaged; repeat the `dartboard why` command that started it") from error


def start_or_resume(run: Run, config: Config, out: Path, limits: Limits, workers: str | None) -> None:
    """What is left to do of the study in folder `out`. workers: the words of --workers."""
    work.use_threads(run.setup.threads or run.environment.get("threads"))
    with reporting_stops(f"dartboard resume {quoted(out)}"):
        search = loaded(run)
        check_early(search, config)
        with settled(out, search, config):
            run_study(out, search, config, limits, workers)


def searched(folder: str) -> Run:
    """The run of a search that has something to ask about. Raises InputError."""
    run = Run.open(folder)
    if run.command != "search":
        raise InputError(f"{folder} is a training; give the folder of the search that found its cell")
    if run.method not in METHODS:
        raise unknown(f"method in {folder}", str(run.method), METHODS)
    if run.space not in SPACES:
        raise unknown(f"space in {folder}", str(run.space), SPACES)
    check_compared(SPACES[run.space].family, "why")
    if not checkpoints(run.folder / CHECKPOINTS):
        raise InputError(
            f"{folder} has no checkpoint and therefore no supernet to evaluate; "
            f"start or resume it with: {run.resume_command}"
        )
    return run


def loaded(run: Run) -> "Search":
    """The search with its supernet and alpha as its last checkpoint has them. Raises InputError."""
    from dartboard.search import relaxation
    from dartboard.studies.subject import Search, supernet_of

    checkpoint = run.load()
    assert checkpoint is not None  # `load` raises if there are checkpoints and none is intact
    if not any(name.startswith("alpha/") for name in checkpoint.tensors):
        raise InputError(f"the checkpoint of {run.folder} has no alpha; `why` needs a search that weights operations")
    run.check_settings()
    data = work.load(run.setup)
    run.check_data(data)
    method = method_module(str(run.method))
    config, space = build(method.Config, run.settings), SPACES[str(run.space)]
    state = method.begin(config, space, data, run, None)
    weights, derived = relaxation.derived(state, method.mixture)
    found = run.architecture if run.done else None
    supernet = supernet_of(state.supernet)
    return Search(run, space, data.to(run.device), supernet, weights, found or derived, config.batch_size)


def check_early(search: "Search", config: Config) -> None:
    """Raises InputError for settings that this search does not allow, before any folder is made."""
    from dartboard.networks.darts import check_inside
    from dartboard.studies.shared_weights import others
    from dartboard.studies.short_trainings import check_steps

    check_steps(search, config)
    for label, architecture in others(config.beside):
        try:
            check_inside(search.supernet, architecture)
        except InputError as error:
            raise InputError(f"--beside {label}: {error}") from error


@contextmanager
def settled(out: Path, search: "Search", config: Config) -> Iterator[None]:
    """The study's folder, taken for this process, with the settings that it was started with. Raises InputError."""
    with own_folder(out, lambda folder: (folder / SETTINGS).exists(), "study"):
        wanted = {**asdict(config), **identity(search, config)}
        if (out / SETTINGS).exists():
            check_same(out, read_json(out / SETTINGS), wanted)
        else:
            content = {**wanted, "run": os.path.relpath(search.run.folder, out)}
            replace_file(out / SETTINGS, as_json({**content, DIGEST: digest(wanted)}))
        yield


def identity(search: "Search", config: Config) -> dict[str, Any]:
    """What a study is of: the data, the supernet's step, the cell, the cells beside it."""
    from dartboard.studies.shared_weights import others

    checkpoint = search.run.load()
    step = checkpoint.step if checkpoint else 0
    fingerprint, architecture = search.data.fingerprint, search.architecture.to_json()
    beside = [other.to_json() for _, other in others(config.beside)]
    return {"data": fingerprint, "step": step, "architecture": architecture, "beside": beside}


def check_settings(out: Path, known: Mapping[str, Any]) -> None:
    """Raises EditedSettingsError if the study's settings were edited. The search itself may have moved."""
    found = digest({name: value for name, value in known.items() if name not in (DIGEST, "run")})
    if known.get(DIGEST, found) != found:
        raise EditedSettingsError(
            f"{out / SETTINGS} was edited since the study started; undo that, or start another: "
            f"dartboard why {known.get('run')} --out NEW, with the flags that you want"
        )


def check_same(out: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if known.get(name) != value:
            what = {
                "step": "another state of the search",
                "data": "other data",
                "architecture": "another cell",
                "beside": "other cells beside it",
            }.get(name, f"--{name.replace('_', '-')} {known.get(name)}")
            raise InputError(f"{out} was started with {what}; repeat that, or give another folder with --out")


def run_study(out: Path, search: "Search", config: Config, limits: Limits, workers: str | None) -> None:
    """Does the work that is left, writes numbers and page, prints the findings."""
    from dartboard.report.why_page import write
    from dartboard.studies.why import study

    if workers is not None:
        say_crowded(workers, search.run.setup.threads or search.run.environment["threads"])
    print(f"why {search.run.folder}, in {out}", flush=True)
    found = study(search, config, out, lambda line: print(line, flush=True), limits, workers)
    replace_file(out / NUMBERS, json.dumps(found, indent=1, allow_nan=False) + "\n")
    for line in found["headlines"]:
        print(f"- {line}")
    print(f"numbers: {out / NUMBERS}")
    print(f"page: {write(read_json(out / NUMBERS), search.run.folder, out / PAGE)}")


@lru_cache(maxsize=1)
def search_in(folder: str) -> "Search":
    """The search in a folder, loaded once by a worker."""
    return loaded(searched(folder))


def train_piece(
    run: str, config: Mapping[str, Any], out: str, name: str, number: int, architecture: Mapping[str, Any],
    known: Mapping[str, Any], limits: Limits,
) -> None:  # fmt: skip
    """What a worker does: one training of the study in folder `out`; writes what it evaluates beside the training."""
    from dartboard.studies.training_pieces import beside_of, train_by_worker
    from dartboard.studies.why import planned

    beside = beside_of(Path(out), name, number)
    make_folders(beside)
    one = planned(search_in(run), build(Config, dict(config)), beside, print, limits)
    train_by_worker(replace(one, folder=Path(out)), name, number, architecture, known)


@contextmanager
def reporting_stops(command: str) -> Iterator[None]:
    """The message of whatever stops the work ends with the command that resumes it."""
    again = f"resume with: {command}"
    try:
        yield
    except (KeyboardInterrupt, Terminated) as error:
        code, name = (130, "Ctrl-C") if isinstance(error, KeyboardInterrupt) else (143, "SIGTERM")
        raise InterruptedRunError(f"stopped by {name} at once; finished work is saved; {again}", code) from error
    except InterruptedRunError as error:
        raise InterruptedRunError(f"{str(error).partition('; resume with')[0]}; {again}", error.exit_code) from error
    except CannotContinueError as error:
        raise CannotContinueError(f"{str(error).partition('; then resume with')[0]}; then {again}") from error
