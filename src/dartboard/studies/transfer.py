"""The transfer study: two searches swap their data (in the spirit of NASTransfer, Panda et al., AAAI 2021).

For each seed: a search on A and one on B (phase 1); each continues on the other data set (swap) and on its own (stay),
with the same warm start (phase 2); and a search on each data set alone has the budget of both phases. Then every cell,
and `random` random cells, are trained from scratch on A and on B with one protocol. `protocol.stages` lists all stages.

A study is a folder of runs. Any number of processes and machines may work on it; each stage is a run that resumes
exactly where it was stopped. `matrix.py` computes the findings of the study from the files alone.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.config import build, field_names, flat
from dartboard.devices import pick_device
from dartboard.errors import EditedSettingsError, InputError, InterruptedRunError, InUseError
from dartboard.runs import workers
from dartboard.runs.atomic_files import writing
from dartboard.runs.checkpoint import checkpoints, newest_name, read_checkpoint
from dartboard.runs.limits import Limits
from dartboard.runs.pace import LONG_S, long_words
from dartboard.runs.run import CHECKPOINTS, Run
from dartboard.runs.start import WarmStart
from dartboard.search.warm_start import check_parent, start_of
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies.claims import Claims
from dartboard.studies.protocol import Stage, drawn
from dartboard.studies.study import SHARED, STUDY, Study, load, method_of

if TYPE_CHECKING:
    from dartboard.data import Data

CLAIMS = "claims"
LOOK_EVERY_S = 2.0  # between checks of stages on which other processes work


def work_on(study: Study, limits: Limits) -> None:
    """Does the remaining work, together with other processes that do the same; returns when every stage is done.

    Raises InterruptedRunError (a signal, a time limit; all is saved), CannotContinueError, InputError.
    """
    claims, announced = Claims(study.folder / CLAIMS), False
    check_done(study)
    while open_stages := [stage for stage in study.stages if not study.is_done(stage)]:
        done = {stage.name for stage in study.stages} - {stage.name for stage in open_stages}
        ready = [stage for stage in open_stages if stage.before is None or stage.before in done]
        check_limits(study, limits)
        announced = announced or announce_length(study, open_stages, limits)
        if not any(attempt(study, stage, claims, limits, announced) for stage in ready):
            time.sleep(LOOK_EVERY_S)  # other processes work on all stages that could be done now


def share_out(study: Study, limits: Limits, words: str | None, threads: int) -> None:
    """The remaining work, by each of the workers as by `work_on`; words: of --workers, None for this process alone.

    Raises as `work_on`.
    """
    here = words is None or workers.on_this_machine(words)
    piece = {"folder": str(study.folder if here else study.folder.absolute())}
    number = int(words or 1) if here else len(study.stages)
    more = {
        "limits": limits,
        "label": lambda index: f"worker {index + 1}",
        "progress": lambda piece: [newest_name(study.place(stage) / CHECKPOINTS) for stage in study.stages],
        "resume": lambda: study.resume_command,
        "here": lambda folder, limits: work_on(study, limits),
        "sees": str(study.folder.absolute()),
        "gpu": pick_device(study.setup.get("device", "auto")).type == "cuda",
    }
    with closing(workers.done("dartboard.studies.transfer:join", [piece] * number, words, threads, **more)) as found:
        for _ in found:
            pass


def join(folder: str, limits: Limits) -> None:
    """What a worker does: it works on a study, with the others, until every stage is done."""
    work_on(Study.open(Path(folder)), limits)


def announce_length(study: Study, open_stages: Sequence[Stage], limits: Limits) -> bool:
    """Prints that the rest of a study takes more than an hour, by its finished stages; returns whether it does."""
    epochs, seconds = {"search": 0, "train": 0}, {"search": 0.0, "train": 0.0}
    for stage in study.stages:
        if study.is_done(stage):
            epochs[stage.command] += stage.epochs
            seconds[stage.command] += Run.open(study.place(stage)).metrics()[-1].get("elapsed_s") or 0.0
    left_s = sum(stage.epochs * seconds[stage.command] / (epochs[stage.command] or 1) for stage in open_stages)
    left_s = min(left_s, limits.seconds - (time.monotonic() - limits.started))
    if left_s > LONG_S:
        advice = "Ctrl-C saves and stops it, and other processes may join"
        print(long_words("the rest of this study", left_s, advice), flush=True)
    return left_s > LONG_S


def attempt(study: Study, stage: Stage, claims: Claims, limits: Limits, length_announced: bool = False) -> bool:
    """Whether this process could take the stage; then it is done now. length_announced: of the whole study."""
    claim = claims.take(stage.name, lambda: setattr(limits, "lost", f"{stage.name} was taken over by another process"))
    if claim is None:
        return False
    with claim:
        if study.is_done(stage):
            return True
        try:
            run_stage(study, stage, limits, length_announced)
            return True
        except DamagedParentError as error:
            why = str(error)
    return parent_aside(study, stage, claims, why)


class DamagedParentError(InputError):
    """The search that a stage needs is done, and its files cannot be read."""


def parent_aside(study: Study, stage: Stage, claims: Claims, why: str) -> bool:
    """Whether this process could move the search that a stage needs out of the way, so that it is run again."""
    claim = claims.take(str(stage.before), lambda: None)
    if claim is None:
        return False
    with claim:
        if study.is_done(str(stage.before)):  # else another process was faster
            move_aside(study, str(stage.before), why)
    return True


def check_done(study: Study) -> None:
    """Raises InputError if a stage was done with other settings than the study has now."""
    for stage in study.stages:
        if study.is_done(stage):
            check_same(study, stage, Run.open(study.place(stage)))


def check_limits(study: Study, limits: Limits) -> None:
    """Raises InterruptedRunError after a signal or at a time limit."""
    reason = limits.reason()
    if reason:
        raise InterruptedRunError(f"stopped by {reason[0]}; resume with: {study.resume_command}", reason[1])


def run_stage(study: Study, stage: Stage, limits: Limits, length_announced: bool = False) -> None:
    """One stage, from its start or from where it was stopped."""
    print_stage(study, stage)
    with stage_run(study, stage) as run:
        run.limits, run.resumed_by, run.length_announced = limits, study.folder, length_announced
        data = load(run.setup)
        check_same_data(study, stage, data.fingerprint)
        if stage.command == "search":
            space = SPACES[study.protocol.space]
            method_of(study.protocol).search(study.config_of(stage), space, data, run)
        else:
            train_cell(study, stage, run, data)


def train_cell(study: Study, stage: Stage, run: Run, data: "Data") -> None:
    from dartboard.networks.darts import sized
    from dartboard.training.from_scratch import fit

    config = study.config_of(stage)
    assert run.architecture is not None
    fit(config, sized(run.architecture, config, data), data, run)


def stage_run(study: Study, stage: Stage) -> Run:
    """The stage's run, open for writing: a new one, or the one that was started. A damaged one is restarted."""
    folder = study.place(stage)
    if not (folder / "config.toml").is_file():
        return start_stage(study, stage)
    try:
        run = Run.open(folder, write=True)
    except (InUseError, EditedSettingsError):
        raise
    except InputError as error:
        return restart(study, stage, str(error))
    try:
        run.metrics()
        run.environment  # noqa: B018  (reads the file)
        if stage.command == "train" and run.architecture is None:
            raise InputError(f"{folder} has no architecture.json")
        check_checkpoints(run)
        start_of(run)
    except InputError as error:
        run.close()
        return restart(study, stage, str(error))
    check_same(study, stage, run)
    return run


def check_checkpoints(run: Run) -> None:
    """Raises InputError if there are checkpoints and none is intact, or if a finished run has none."""
    found = checkpoints(run.folder / "checkpoint")
    if (found or run.done) and all(read_checkpoint(path) is None for path in reversed(found)):
        raise InputError(f"no checkpoint of {run.folder} is intact")


def check_same(study: Study, stage: Stage, run: Run) -> None:
    """Raises InputError if a stage was started with other settings than the study has."""
    config = study.config_of(stage)
    expected = {**flat(config), **flat(study.setup_of(stage))}
    known = {name: value for name, value in run.settings.items() if name in field_names(type(config))}
    # A setting that is newer than the stage has the value of its default.
    found = {**flat(build(type(config), known)), **flat(run.setup)}
    for name in {**expected, **found}:
        value = expected.get(name)
        if name not in SHARED and list_like(found.get(name)) != list_like(value):
            run.close()
            started = "made" if run.done else "started"
            raise InputError(
                f"stage {stage.name} was {started} with {name} = {found.get(name)}, the study says {value}; "
                f"restore {study.folder / STUDY}, or remove {run.folder} to run the stage again"
            )


def check_same_data(study: Study, stage: Stage, fingerprint: str) -> None:
    """Raises InputError if a stage with the same data, part and seed used other images, labels or splits."""
    for other in study.stages:
        if (other.side, other.seed, other.proxy) != (stage.side, stage.seed, stage.proxy) or not study.is_done(other):
            continue
        known = Run.open(study.place(other)).environment.get("data", {})
        if known.get("fingerprint", fingerprint) != fingerprint:
            raise InputError(
                f"the data of {stage.name} are not those of {other.name}: images, labels or splits of "
                f"{known.get('name')} have changed; restore them, or start a new study"
            )


def list_like(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def restart(study: Study, stage: Stage, why: str) -> Run:
    """Moves a damaged stage aside and starts it again, with a notice."""
    move_aside(study, stage.name, why)
    return start_stage(study, stage)


def move_aside(study: Study, name: str, why: str) -> None:
    """Renames the folder of a damaged stage, so that nothing reads it, and says so."""
    folder, again = study.place(name), 1
    while (aside := folder.with_name(f"{folder.name}.damaged-{again}")).exists():
        again += 1
    with writing(folder.parent):
        os.rename(folder, aside)
    print(f"stage {name} is run again ({why}); what was there is now {aside}", file=sys.stderr, flush=True)


def start_stage(study: Study, stage: Stage) -> Run:
    """A new run of a stage. Raises DamagedParentError."""
    setup, config, folder = study.setup_of(stage), study.config_of(stage), study.place(stage)
    if stage.command == "train":
        cell, parent = cell_of(study, stage)
        of_cell = {"parent": parent, "architecture": cell, "drawn": stage.draw}
        return Run.create(folder, config, setup=setup, command="train", **of_cell)  # type: ignore[arg-type]
    method, space = study.protocol.method, study.protocol.space
    if stage.before is None:
        return Run.create(folder, config, setup=setup, method=method, space=space)
    parent = study.place(stage.before)
    warm_start = WarmStart(str(parent), stage.carry, study.protocol.restart_schedule)
    before = Run.open(parent)
    try:
        check_checkpoints(before)
    except InputError as error:
        raise DamagedParentError(str(error)) from error
    carried = method_of(study.protocol).CARRIED
    start = check_parent(before, {"method": method, "space": space}, config, warm_start.parts, carried)
    more = {"parent": parent, "warm_start": warm_start, "start": start}
    return Run.create(folder, config, setup=setup, method=method, space=space, **more)  # type: ignore[arg-type]


def cell_of(study: Study, stage: Stage) -> tuple[Architecture, Path | None]:
    """The cell that a stage trains, and its search. Raises DamagedParentError if the search has none."""
    if stage.draw is not None:
        return drawn(study.protocol, stage.draw), None
    parent = study.place(str(stage.before))
    try:
        found = Run.open(parent).architecture
    except InputError as error:
        raise DamagedParentError(str(error)) from error
    if found is None:
        raise DamagedParentError(f"{parent} has no architecture.json")
    return found, parent


def print_stage(study: Study, stage: Stage) -> None:
    """Prints which stage starts, and how many are done."""
    number = sum(study.is_done(other) for other in study.stages)
    what = "search" if stage.command == "search" else "train"
    data = {"a": study.protocol.a, "b": study.protocol.b}[stage.side]
    print(f"[{number + 1} of {len(study.stages)}] {what} {stage.name} on {data}, seed {stage.seed}", flush=True)
