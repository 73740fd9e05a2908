"""dartboard search ... --seeds N --select K: searches with several seeds, and trainings that say which one is kept."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dartboard.commands import by_trials, by_workers, dryrun, work
from dartboard.commands.flags import resolved
from dartboard.commands.together import side_by_side
from dartboard.commands.transfer import merged
from dartboard.config import Setup, build, field_names, flat, to_toml
from dartboard.devices import pick_device
from dartboard.errors import InputError, InterruptedRunError, TakenError
from dartboard.methods import METHODS
from dartboard.runs import workers
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.checkpoint import newest_name
from dartboard.runs.limits import Limits, catching_signals, limits_of
from dartboard.runs.locks import locked
from dartboard.runs.metrics_file import METRICS
from dartboard.runs.run import CHECKPOINTS, Run, is_done
from dartboard.spaces.families import FAMILIES
from dartboard.studies.selection import (
    COMMAND,
    Selection,
    is_selection,
    search_in,
    search_run,
    search_seed,
    table_of,
    train_seed,
    unlike,
    write_result,
)

Header = Mapping[str, str]
# What only a long training needs, and the published searches have off (quark0/darts, cnn/train_search.py).
WITHOUT = {"auxiliary": False, "drop_path": 0.0}


def execute(flags: Any, header: Header, words: Sequence[str]) -> None:
    """Searches with all seeds and selects. Raises InputError, CannotContinueError, InterruptedRunError."""
    refuse(flags, header["method"])
    setup, config = flags.setup, flags.config
    if METHODS[header["method"]].by_trials:
        by_trials.refuse(flags, header["method"], list(words))
        setup, config = by_trials.settled(setup, config, header["space"])
    setup, train = work.anchored(setup), training_of(flags, header["method"], config)
    if flags.new.print_config:
        return print_config(flags, header, setup, config, train)
    if flags.new.dry_run:
        return dry_run(flags, header, setup, config, train)
    limits = limits_of(setup.budget, setup.until)
    work.use_threads(setup.threads)
    table = table_of(header["method"], header["space"], flags.new.seeds, flags.together, setup, config, train)
    if (found := started(flags.new, header, setup, table)) is not None:
        return resume(found, limits, flags.new.workers)
    check(flags, header, setup, config, train)
    selection, made = new_selection(flags.new, header, setup, table)
    run_selection(selection, limits, flags.new.workers, made)


def refuse(flags: Any, method: str) -> None:
    """Raises InputError for flags that leave nothing to select, or that cannot go with it."""
    if flags.select is None:
        raise InputError("--select-config is for the trainings of --select; give --select 100, or leave it out")
    if flags.new.seeds == 1:
        raise InputError("--select chooses among several seeds; give --seeds 4, or leave it out")
    if flags.from_ is not None:
        raise InputError("--select compares searches that begin at nothing; leave out --from, or --select")
    if flags.new.workers is not None:
        if flags.together:
            raise InputError("--together searches in one process, and --workers in several; leave one of them out")
        by_workers.check_use(flags.new.workers, flags.setup.budget)
    if METHODS[method].by_trials and flags.config.truth is not None:
        raise InputError("--select trains what was found, and a table has its accuracy already; leave --select out")


def training_of(flags: Any, method: str, config: Any) -> Any:
    """The settings of the trainings: the search's wherever both have them, then those of --select-config."""
    from dartboard.training.from_scratch import Config

    shared = {name: getattr(config, name) for name in field_names(Config) if name in field_names(type(config))}
    if METHODS[method].by_trials and config.shared_weights is not None:
        parent = Run.open(config.shared_weights).settings
        shared |= {"channels": parent["channels"], "cells": parent["cells"]}
    of_training = {"command": "train", "method": None}
    values = merged(Config, {**WITHOUT, **shared}, flags.select_config, of_training, {"epochs": flags.select})
    return build(Config, values)


def print_config(flags: Any, header: Header, setup: Setup, config: Any, train: Any) -> None:
    """Prints the settings of the searches, fit for --config, and in remarks those of the trainings."""
    print(resolved(header, setup, config), end="")
    print(f"\n# --seeds {flags.new.seeds} --select {flags.select}: a training of each on train, scored on val, with:")
    print("\n".join(f"# {line}" for line in to_toml(flat(train)).splitlines()))


def dry_run(flags: Any, header: Header, setup: Setup, config: Any, train: Any) -> None:
    """Prints what the searches and the trainings take. Leaves no folder behind. Raises InputError."""
    seeds = flags.new.seeds
    if METHODS[header["method"]].by_trials:
        search_s = by_trials.dry_run(header, setup, config, seeds)
    else:
        search_s = dryrun.search(header, setup, config, seeds, flags.together)
    job = by_trials.trial_job(header, setup, train, work.load_or_shapes(setup))
    print(f"\nselection: {seeds} trainings on train, scored on val; the network of one drawn at random:")
    print(dryrun.counts(job))
    train_s = seeds * dryrun.estimate(job, 1)
    parts = f"{seeds} trainings one after another, about {work.seconds_in_words(train_s)}"
    if search_s is not None:
        parts += f"; with the searches about {work.seconds_in_words(search_s + train_s)} in all"
    print(parts)


def check(flags: Any, header: Header, setup: Setup, config: Any, train: Any) -> None:
    """Raises InputError if the data, a search or a training cannot serve, before there is a folder."""
    from dartboard.tasks.images import check_batch

    if METHODS[header["method"]].by_trials:
        data = by_trials.load(setup, config)
        by_trials.check(header, setup, config, data)
    else:
        data = work.load(setup)
        work.announce(data)
        dryrun.check_search(header, setup, config, data, flags.new.seeds if flags.together else 1)
    assert data is not None  # a table is refused
    check_batch(train.batch_size, **{"train (--select learns on these alone)": len(data.train)})
    by_trials.check_trial(header, setup, train, data)


# --- The folder ------------------------------------------------------------------------------------------------------


def started(flags: work.NewRun, header: Header, setup: Setup, table: Mapping[str, Any]) -> Path | None:
    """The folder in which the same command was stopped; of one that --out names also a finished one. None: a new one.

    Raises InputError if --out names one of another command.
    """
    if flags.out is not None:
        folder = Path(flags.out)
        if not is_selection(folder):
            return None
        if differences := unlike(folder, table):
            text = f"{folder} was started with other settings ({differences[0].replace(' now', ' in this command')})"
            raise InputError(f"{text}; give another --out, or resume it with: {Selection.open(folder).resume_command}")
        return folder
    for folder in work.all_numbered(work.on_data(header["method"], setup.data), setup.seed, f"-{COMMAND}"):
        if not os.path.lexists(folder):
            return None
        if is_unfinished(folder, table):
            return folder
    raise AssertionError("there is no end of names")


def is_unfinished(folder: Path, table: Mapping[str, Any]) -> bool:
    """Whether a folder holds a selection that the table describes, without a result."""
    try:
        return is_selection(folder) and not unlike(folder, table) and not Selection.open(folder).done
    except InputError:  # damaged or edited: this command leaves it as it is
        return False


def new_selection(
    flags: work.NewRun, header: Header, setup: Setup, table: Mapping[str, Any]
) -> tuple[Selection, list[Path]]:
    """A new one in --out, or in the first free runs/METHOD-DATA-sSEED-select[-N]. Raises InputError."""
    if flags.out is not None:
        return Selection.create(Path(flags.out), table, exist_ok=True)
    for folder in work.all_numbered(work.on_data(header["method"], setup.data), setup.seed, f"-{COMMAND}"):
        if not os.path.lexists(folder):
            with suppress(TakenError):
                return Selection.create(folder, table, exist_ok=False)
    raise AssertionError("there is no end of names")


def discard(selection: Selection, made: Sequence[Path]) -> None:
    """Empties the folder of one that has done nothing yet, and deletes the folders that were made for it."""
    if any(selection.folder.glob(f"*/{METRICS}")):
        return
    shutil.rmtree(selection.folder)
    if not made:
        selection.folder.mkdir()
    for folder in made[1:]:
        with suppress(OSError):  # another run is in it by now
            folder.rmdir()


# --- The work --------------------------------------------------------------------------------------------------------


def resume(folder: Path, limits: Limits, words: str | None = None) -> None:
    """Resumes the one in a folder. words: of --workers. Raises as `execute`."""
    selection = Selection.open(folder)
    if selection.done:
        print(f"{folder} is already finished")
    run_selection(selection, limits, words)


def run_selection(
    selection: Selection, limits: Limits, words: str | None = None, made: Sequence[Path] | None = None
) -> None:
    """What is left of the work, then the result and its page. words: of --workers; made: the folders made for it, if it
    is a new one."""
    again = f"resume with: {selection.resume_command}"
    work.use_threads(selection.threads)
    if words is not None:
        by_workers.say_crowded(words, selection.threads or 1)
    try:
        with locked(selection.folder), catching_signals(limits):
            try:
                work_on(selection, limits, words)
            except InputError:
                if made is not None:
                    discard(selection, made)
                raise
            print_result(selection, write_result(selection))
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"stopped by Ctrl-C at once; checkpoints are intact; {again}", 130) from error


def work_on(selection: Selection, limits: Limits, words: str | None) -> None:
    """Every search, then every training: independent pieces of work, in this process or by workers."""
    if selection.together:
        search_together(selection, limits)
    share_out(selection, search_seed, selection.search_folder, limits, words)
    share_out(selection, train_seed, selection.training_folder, limits, words)


def share_out(
    selection: Selection, piece: Callable[..., None], place: Callable[[int], Path], limits: Limits, words: str | None
) -> None:
    """What is left of one kind of work, a seed each. place: the run's folder of a seed. Raises as `workers.done`."""

    def here(folder: str, seed: int, limits: Limits) -> None:
        if reason := limits.reason():
            text = f"stopped by {reason[0]}, all is saved; resume with: {selection.resume_command}"
            raise InterruptedRunError(text, reason[1])
        piece(folder, seed, limits)

    seeds = [seed for seed in selection.seeds if not is_done(place(seed))]
    folder = selection.folder if words is None or workers.on_this_machine(words) else selection.folder.absolute()
    pieces = [{"folder": str(folder), "seed": seed} for seed in seeds]
    more: dict[str, Any] = {
        "limits": limits,
        "label": lambda index: f"seed {seeds[index]}",
        "progress": lambda piece: newest_name(place(piece["seed"]) / CHECKPOINTS),
        "resume": lambda: selection.resume_command,
        "here": here,
        "sees": str(selection.folder.absolute()),
        "gpu": pick_device(selection.setup.device).type == "cuda",
    }
    function = f"dartboard.studies.selection:{piece.__name__}"
    with closing(workers.done(function, pieces, words, selection.threads, **more)) as ended:
        for _ in ended:
            pass


def search_together(selection: Selection, limits: Limits) -> None:
    """The searches that are not done, side by side in this process; a budget holds for each."""
    waiting = [seed for seed in selection.seeds if not is_done(selection.search_folder(seed))]
    data = {seed: selection.data(seed) for seed in waiting}
    runs = []
    try:
        for seed in waiting:
            runs.append(search_run(selection, seed))
            runs[-1].limits = replace(limits)
        side_by_side(runs, lambda run: search_in(selection, run, data[run.seed]))
    except InterruptedRunError as error:
        text = f"stopped, all searches are saved; resume with: {selection.resume_command}"
        raise InterruptedRunError(text, error.exit_code) from error
    finally:
        for run in runs:
            run.close()
    limits.steps_done = max([limits.steps_done, *(run.limits.steps_done for run in runs)])


def print_result(selection: Selection, found: Mapping[str, Any]) -> None:
    """Prints what was selected and what it took; writes the pages, and what to train the cell with."""
    from dartboard import formats
    from dartboard.report import next_training, write_report
    from dartboard.report.selection_page import cost_words, margin_words, seed_words, write

    for seed in selection.seeds:
        folder = selection.search_folder(seed)
        if not (folder / "report.html").is_file():
            write_report([folder])
    run = Run.open(selection.folder / found["search"])
    architecture = run.architecture
    assert architecture is not None  # `write_result` has read it
    print(formats.write(architecture, FAMILIES[architecture.space].notation))
    for row in found["seeds"]:
        print(seed_words(row, found))
    print(f"selected: seed {found['seed']}, {margin_words(found)}")
    print(cost_words(found))
    plan_training(selection, run)
    print(f"report: {write(selection)}")
    given = {**vars(run.setup), "threads": selection.setup.threads}
    print(f"train it: {next_training.command(selection.folder, given)}")
    if remark := next_training.remark(selection.folder, given):
        print(f"this trains {remark}")


def plan_training(selection: Selection, run: Run) -> None:
    """Writes the sizes to train what was found with, as after any search. Raises InterruptedRunError."""
    from dartboard.commands.next_training import write_next_training
    from dartboard.report.next_training import TRAINING

    if METHODS[selection.method].by_trials:
        return
    run.resumed_by = selection.folder
    config, data = selection.search_config(), selection.data(run.seed)
    header = {"method": selection.method, "space": selection.space}
    write_next_training(run, config, data, dryrun.search_job(header, run.setup, config, data).cost.macs)
    if (run.folder / TRAINING).is_file():
        replace_file(selection.folder / TRAINING, (run.folder / TRAINING).read_bytes())
