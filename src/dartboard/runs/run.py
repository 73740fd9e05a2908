"""A run: one folder, one job. Its config, environment, metrics and checkpoints; how it is stopped and resumed.

All randomness of a run comes from `Run.generator(name, index)`, a function of (seed, name, index): no state of a
random number generator is ever saved, and a run that resumes from a checkpoint repeats what an unstopped one does.
The files are described in docs/run-folder.md.
"""

import math
import os
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dartboard.config import Setup, build, field_names, flat, from_toml, parse_duration, to_toml
from dartboard.devices import pick_device
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.paths import quoted
from dartboard.runs import held_settings
from dartboard.runs.allocator import out_of_memory, reused_memory
from dartboard.runs.atomic_files import about, failing, replace_file, writing
from dartboard.runs.checkpoint import Checkpoint, checkpoints, prune, read_checkpoint, write_checkpoint
from dartboard.runs.environment import describe, describe_data, note_kernels
from dartboard.runs.json_files import as_json, finite, read_json
from dartboard.runs.limits import Limits, catching_signals, limits_of
from dartboard.runs.locks import LOCK, take_lock
from dartboard.runs.metrics_file import METRICS, as_line, last_line, mend, read_lines, sync_length
from dartboard.runs.new_folder import check_empty, make_folder
from dartboard.runs.pace import Pace, advice_for
from dartboard.runs.progress import Progress, progress_for
from dartboard.runs.start import START, WarmStart, drop_start, from_table, keep_start, to_table
from dartboard.runs.streams import stream_seed
from dartboard.spaces.search_space import Architecture, from_json

if TYPE_CHECKING:
    import torch

CONFIG, ENVIRONMENT = "config.toml", "environment.json"
ARCHITECTURE, CHECKPOINTS = "architecture.json", "checkpoint"
BEGINNING = (ENVIRONMENT, ARCHITECTURE, START)  # what is written before config.toml makes it a run


class Run:
    """One run folder. Made by `create` (a new one) or `open` (one that is there); close it, or use it with `with`.

    folder: its path; command: "search" or "train"; method, space: of a search, or None; setup: data, device, seed;
    settings: the fields of the method's Config; architecture: what a training trains, or a search has found;
    warm_start: what a search takes from another one, or None.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Use `create` or `open`."""
        table = from_toml(folder / CONFIG)
        self.folder = folder
        self.stored = dict(table)  # config.toml as it is
        self.command: str = table.pop("command", "search")
        self.method: str | None = table.pop("method", None)
        self.setup = build(Setup, {name: table.pop(name) for name in field_names(Setup) if name in table})
        self.space: str | None = table.pop("space", None)
        self.warm_start = from_table(table)
        self.settings: dict[str, Any] = table
        self.limits = Limits()
        self.resumed_by = folder  # the folder to name in `dartboard resume`: of a study, if it is a part of one
        self.label = ""  # what its lines begin with, if several runs work side by side
        self.workers: str | None = None  # who does its independent pieces, as for `workers.done`; None: this process
        self.length_announced = False  # whether a line has said that it takes more than an hour
        self._lock = take_lock(folder) if write else None
        self._made: list[Path] = []  # folders, the innermost first
        self._kept: list[Path] = []
        self._last_epoch: dict[str, Any] | None = None  # its line in the metrics
        self._kernels_recorded = self.command != "search" or self.settings.get("supernet") == "plain"
        self._worked_s = 0.0
        self._started = self._saved = time.monotonic()

    @classmethod
    def create(
        cls,
        folder: str | Path,
        config: Any,
        *,
        seed: int | None = None,
        setup: Setup | None = None,
        command: str | None = None,
        method: str | None = None,
        space: str | None = None,
        parent: "Run | str | Path | None" = None,
        architecture: Architecture | None = None,
        warm_start: WarmStart | None = None,
        start: Checkpoint | None = None,
        drawn: int | None = None,
        exist_ok: bool = True,
    ) -> Self:
        """A new run in a folder that is empty or not there yet; with exist_ok=False only in one that is not there.

        config: the method's or the training's frozen config; seed: short for setup=Setup(seed=seed); command and
        method: by default from the config's module (the method of a package is to be given); parent: the search that a
        training's cell comes from, or that a search begins from by `warm_start`, whose checkpoint is `start`;
        drawn: that the architecture was drawn at random, as the one of this number.
        Raises TakenError (folder not empty, or in use), InputError (folder not writable; device not there),
        CannotContinueError (disk full).
        """
        folder, setup = Path(folder), setup or Setup()
        setup = setup if seed is None else replace(setup, seed=seed)
        default_command, default_method = command_of_module(type(config).__module__)
        default_command = "search" if method else default_command
        header = {"command": command or default_command, "method": method or default_method, "space": space}
        parent_folder = parent.folder if isinstance(parent, Run) else parent
        environment = describe(pick_device(setup.device), None if parent_folder is None else str(parent_folder))
        environment |= {} if drawn is None else {"drawn": drawn}
        settings = to_toml({**header, **to_table(warm_start), **flat(setup), **flat(config)})
        environment |= held_settings.record(tomllib.loads(settings))
        made = make_folder(folder, BEGINNING, exist_ok)
        lock = take_lock(folder)
        try:
            check_empty(folder, BEGINNING)
            replace_file(folder / ENVIRONMENT, as_json(environment))
            if architecture is not None:
                replace_file(folder / ARCHITECTURE, as_json(architecture.to_json()))
            if start is not None:
                keep_start(folder, start)
            replace_file(folder / CONFIG, settings)  # the last one: now it is a run
        except BaseException:
            os.close(lock)
            raise
        run = cls(folder, write=False)
        run._lock, run._made, run.limits = lock, made, limits_of(setup.budget, setup.until)
        return run

    @classmethod
    def open(cls, folder: str | Path, *, write: bool = False) -> "Run":
        """The run in a folder; write=True to resume it. Budgets of its config bound only its first process.

        Raises InputError: no run there, its files damaged, or (write) in use, not writable, or its settings edited.
        """
        folder = Path(folder)
        try:
            reason = f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder"
            found = (folder / CONFIG).is_file()
        except (OSError, ValueError) as error:  # a name too long, or with a NUL
            raise InputError(f"no run in {folder}: {error}; give the folder of a run") from error
        if not found:
            raise InputError(f"no run in {folder}: {reason}; give the folder of a run")
        run = cls(folder, write=write)
        try:
            if write and not run.check_settings():
                text = "an older version started it, without a digest of its settings, so an edit would not be noticed"
                print(f"note: {folder}: {text}", file=sys.stderr, flush=True)
        except BaseException:
            run.close()
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the folder for other processes."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """Deletes a run that this process made and that has done nothing yet."""
        if (self.folder / METRICS).exists() or (self.folder / CHECKPOINTS).exists():
            return
        for name in (CONFIG, ENVIRONMENT, ARCHITECTURE, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        drop_start(self.folder)
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # another run is in it by now
                return

    @property
    def seed(self) -> int:
        return self.setup.seed

    @property
    def device(self) -> "torch.device":
        """The device to compute on. Raises InputError if it is not there."""
        return pick_device(self.setup.device)

    @property
    def environment(self) -> dict[str, Any]:
        """The content of environment.json. Raises InputError if it is damaged."""
        return read_json(self.folder / ENVIRONMENT)

    @property
    def architecture(self) -> Architecture | None:
        """The architecture in architecture.json, or None while a search has none. Raises InputError."""
        if not os.path.lexists(self.folder / ARCHITECTURE):
            return None
        content = read_json(self.folder / ARCHITECTURE)
        try:
            return from_json(content)
        except (KeyError, AttributeError) as error:
            raise InputError(f"no architecture in {self.folder / ARCHITECTURE}; restore it or run again") from error

    @property
    def elapsed_s(self) -> float:
        """Seconds worked, those of earlier processes up to the loaded checkpoint included."""
        return self._worked_s + time.monotonic() - self._started

    @property
    def done(self) -> bool:
        """Whether the run has its result."""
        return last_line(self.folder / METRICS).get("event") == "result"

    @property
    def resume_command(self) -> str:
        return f"dartboard resume {quoted(self.resumed_by)}"

    @property
    def new_run_command(self) -> str:
        """What starts another run with the settings in config.toml."""
        return held_settings.new_run_command(self.folder / CONFIG, self.stored, self.environment)

    def check_settings(self) -> bool:
        """Whether the run knows the settings it began with. Raises EditedSettingsError if config.toml has others."""
        new = f"start a new run with them: {self.new_run_command}"
        return held_settings.check(self.environment, self.stored, self.folder / CONFIG, new)

    def generator(self, name: str, index: int = 0, device: str = "cpu") -> "torch.Generator":
        """A generator that is a function of the run's seed, a name and a number (of an epoch, a step ...)."""
        import torch

        return torch.Generator(device=device).manual_seed(stream_seed(self.seed, name, index))

    def check_data(self, data: Any) -> None:
        """Notes what data the run uses; on a later call checks that it is the same. Raises InputError if changed."""
        environment = self.environment
        if "data" not in environment:
            replace_file(self.folder / ENVIRONMENT, as_json({**environment, "data": describe_data(data)}))
            return
        if not isinstance(environment["data"], dict):
            raise InputError(f"{self.folder / ENVIRONMENT} is damaged: data is not an object; restore it or run again")
        if environment["data"].get("fingerprint") != data.fingerprint:
            known = environment["data"].get("name")
            raise InputError(
                f"the data of {self.folder} has changed: it started with other images, labels or splits of {known}; "
                "restore them, or start a new run"
            )

    def log(self, **fields: Any) -> None:
        """Adds a line to metrics.jsonl: a flat object; numbers exact, NaN and infinity as null."""
        fields = finite(fields)
        path = self.folder / METRICS
        with writing(self.folder), about(path), open(path, "ab") as file:
            file.write(as_line(fields))
        if fields.get("event") == "epoch":
            self._last_epoch = fields

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; an incomplete last line is left out. Raises InputError if damaged."""
        return read_lines(self.folder / METRICS)

    def save(
        self, state: "Mapping[str, torch.Tensor]", *, step: int, epoch: int, extra: dict[str, Any] | None = None
    ) -> None:
        """Writes a checkpoint, completely or not at all, and keeps the last two. extra: JSON values.

        Raises CannotContinueError (disk full; the checkpoints before stay), InputError (not writable).
        """
        length = sync_length(self.folder / METRICS)
        known = self._last_epoch, self.environment.get(held_settings.DIGEST)
        checkpoint = Checkpoint(dict(state), step, epoch, extra or {}, length, self.elapsed_s, *known)
        path = write_checkpoint(self.folder / CHECKPOINTS, checkpoint)
        self._kept = [*self._kept[-1:], path]
        prune(self.folder / CHECKPOINTS, self._kept)
        self._saved = time.monotonic()

    def load(self) -> Checkpoint | None:
        """The newest intact checkpoint, or None to start. Prints a notice if a newer one is damaged.

        If the run is open for writing, metrics.jsonl is cut to the length it had then, and what of it is missing or
        damaged is marked. Raises InputError if all checkpoints are damaged, or one is of another run.
        """
        found = checkpoints(self.folder / CHECKPOINTS)
        for position in reversed(range(len(found))):
            checkpoint = read_checkpoint(found[position])
            if checkpoint is not None:
                held_settings.check_own(self.environment, checkpoint.settings, found[position])
                self._continue_from(checkpoint, found[: position + 1])
                return checkpoint
            print(f"checkpoint {found[position]} is damaged; the one before it is used", file=sys.stderr, flush=True)
        if found:
            raise InputError(
                f"no checkpoint in {self.folder / CHECKPOINTS} is intact, and nothing was touched; put a copy of one "
                f"back, or start a new run with the same settings: {self.new_run_command}"
            )
        self._continue_from(Checkpoint({}, 0, 0), [])
        return None

    def _continue_from(self, checkpoint: Checkpoint, kept: list[Path]) -> None:
        if self._lock is None:
            return
        self._kept, self._worked_s = kept, checkpoint.elapsed_s
        self._last_epoch = checkpoint.last_epoch
        self._started = self._saved = time.monotonic()
        path, step = self.folder / METRICS, checkpoint.step
        if mend(path, checkpoint.metrics_bytes, checkpoint.last_epoch, step):
            rules = "; the rules of --stop do not see its epochs" if self.settings.get("stop") else ""
            text = f"{path} has a gap before step {step}, which is marked in it; the weights are intact"
            print(f"note: {text}, and the run continues from them{rules}", file=sys.stderr, flush=True)
        self._note_changes(step)

    def _note_changes(self, step: int) -> None:
        """A line of the metrics for each setting that may change and did, since the run began or a line noted it."""
        environment = self.environment
        if held_settings.DIGEST not in environment:
            return
        now = {**self.stored, "computed_on": self.device.type}
        known = held_settings.last_known(environment, self.metrics())
        changes = held_settings.changes(known, now)
        for name, (before, value) in changes.items():
            self.log(event="setting", setting=name, before=before, now=value, step=step)
        if changes.keys() & {"device", "computed_on"}:
            was, is_ = (f"{one.get('device')} ({one.get('computed_on')})" for one in (known, now))
            text = f"the device of {self.folder} was {was} and is {is_}: the last bits of its numbers may differ"
            print(f"note: {text}", file=sys.stderr, flush=True)

    def pulse(self, save: Callable[[], None], step: int) -> None:
        """To be called after every step: saves when it is time to; after a signal or at a limit saves and stops.

        save: writes a checkpoint from which the step after this one follows; step: steps done since the run began.
        Raises InterruptedRunError with the exit code 130, 143, or 0 at a limit; CannotContinueError, and saves nothing,
        if another process has taken the run over.
        """
        if self.limits.lost:
            raise CannotContinueError(f"{self.limits.lost}; nothing was written since")
        self.limits.note_step()
        if not self._kernels_recorded and self.device.type == "cpu":
            note_kernels(self.folder / ENVIRONMENT, self.setup.precision)
        self._kernels_recorded = True
        reason = self.limits.reason()
        if reason:
            save()
            message = f"stopped by {reason[0]} after step {step}, saved; resume with: {self.resume_command}"
            raise InterruptedRunError(message, reason[1])
        if time.monotonic() - self._saved >= parse_duration(self.setup.save_every, "--save-every"):
            save()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Surrounds a loop: memory is reused from step to step, signals are left to `pulse`, and the message of what
        stops the work ends with the command that resumes it.

        Raises CannotContinueError for a full or failing disk and for want of memory.
        """
        with catching_signals(self.limits), reused_memory():
            try:
                with writing(self.folder):
                    yield
            except CannotContinueError as error:
                raise CannotContinueError(self._with_resume(str(error))) from error
            except OSError as error:
                if (reason := failing(error)) is None:
                    raise
                raise CannotContinueError(self._with_resume(reason)) from error
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                raise CannotContinueError(self._memory_advice()) from error

    def _memory_advice(self) -> str:
        """What to do if memory is used up: other settings need a new run, the same ones more memory."""
        saved = f"the last checkpoint is {self._kept[-1].name}" if self._kept else "nothing is saved yet"
        size = self.settings.get("batch_size", 1)
        smaller = f" ({size // 2} in place of {size})" if size > 1 else ""
        advice = f"start a new run with a smaller --batch-size{smaller} or fewer --channels"
        return f"out of memory, {saved}; {advice}, or free some memory and resume with: {self.resume_command}"

    def _with_resume(self, message: str) -> str:
        return message if self.resume_command in message else f"{message}; then resume with: {self.resume_command}"

    def _pace(self, total_steps: int) -> Pace:
        """The pace of the run from where it stands, under the limits of this process."""
        is_stage, limits = self.resumed_by != self.folder, self.limits
        what = "this stage of the study" if is_stage else "this run"
        advice = "Ctrl-C saves and stops the study" if is_stage else advice_for(self.settings)
        most_steps = math.inf if limits.steps is None else limits.steps - limits.steps_done
        left_s = limits.seconds - (time.monotonic() - limits.started)
        return Pace(total_steps, left_s, most_steps, what, advice, said=self.length_announced)

    def progress(self, *, total_steps: int, total_epochs: int, unit: str = "epoch") -> Progress:
        """What is seen of the work, as a context manager: a bar on a terminal, a line per epoch elsewhere."""
        return progress_for(total_steps, total_epochs, self.label, self._pace(total_steps), unit)

    def finish(self, architecture: Architecture | None = None, **result: Any) -> None:
        """Writes the architecture a search has found, and the line "result", which marks the run as done."""
        if architecture is not None:
            replace_file(self.folder / ARCHITECTURE, as_json(architecture.to_json()))
        self.log(event="result", **result)
        sync_length(self.folder / METRICS)


def command_of_module(module: str) -> tuple[str, str | None]:
    """("search", "darts") of dartboard.methods.darts, ("train", None) of anything else."""
    parts = module.split(".")
    return ("search", parts[-1]) if "methods" in parts[:-1] else ("train", None)


def is_done(folder: Path) -> bool:
    """Whether a folder holds a run with its result."""
    return (folder / CONFIG).is_file() and Run.open(folder).done
