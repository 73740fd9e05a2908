"""--seeds N --workers W: the run of each seed in a folder of its own, each worked on by a worker."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dartboard.commands import work
from dartboard.commands.together import raise_worst
from dartboard.config import Setup, parse_budget
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.runs import workers
from dartboard.runs.checkpoint import newest_name
from dartboard.runs.limits import Limits, Terminated
from dartboard.runs.run import CHECKPOINTS, Run

FUNCTION = "dartboard.commands.resume:rest_of"


def check(flags: work.NewRun, setup: Setup, what: str, together: bool = False) -> None:
    """Raises InputError for --workers with a single seed or --together, and as `check_use`. what: is searched, or
    trained, in the message."""
    if flags.workers is None:
        return
    if together:
        raise InputError("--together is for one process; leave out --together or --workers")
    if flags.seeds == 1:
        raise InputError(f"--workers has no effect on one seed of {what}; give --seeds 4, or leave it out")
    check_use(flags.workers, setup.budget)


def check_use(words: str, budget: str | None) -> None:
    """Raises InputError for workers that are not there, and for a budget in steps, which several cannot count."""
    workers.check_there(words)
    if budget is not None and parse_budget(budget)[1] is not None:
        raise InputError(f"--budget {budget} counts the steps of one process; with --workers give a time such as 4h")


def say_crowded(words: str, threads: int) -> None:
    """A note if the workers of this machine compute with more threads than it has cores."""
    cores = os.cpu_count() or 1
    if workers.on_this_machine(words) and int(words) * threads > cores:
        many = f"{words} workers with {threads} CPU thread{'s' * (threads > 1)} each share {cores} cores"
        hint = f"--threads {max(1, cores // int(words))} would be faster" if threads > 1 else "fewer take less memory"
        print(f"note: {many}; {hint}", file=sys.stderr, flush=True)


def search_or_train(
    flags: work.NewRun, what: str, setup: Setup, config: Any, limits: Limits, more: Mapping[str, Any]
) -> None:
    """New runs of all seeds, worked on by --workers. what, more: of the runs, as for `work.begin_run`.

    Raises what stopped a run, after the others have ended: CannotContinueError before InputError; InterruptedRunError
    with the commands that resume those that are not done.
    """
    send_out(begin_runs(flags, what, setup, config, more), str(flags.workers), limits)


def begin_runs(flags: work.NewRun, what: str, setup: Setup, config: Any, more: Mapping[str, Any]) -> list[Run]:
    """New runs, one per seed, released for the workers. Raises InputError, and then leaves none of the folders."""
    made: list[Run] = []
    work.use_threads(setup.threads)
    try:
        for one in work.setups(flags, setup):
            made.append(work.begin_run(flags, what, one, config, **more))
    except BaseException:
        for run in made:
            run.discard()
            run.close()
        raise
    for run in made:
        run.close()
    return made


def send_out(runs: list[Run], words: str, limits: Limits) -> None:
    """Has the workers do all of the runs. words: of --workers."""
    here = workers.on_this_machine(words)
    threads = runs[0].environment["threads"]
    pieces = [{"folder": str(run.folder if here else run.folder.absolute())} for run in runs]
    left = dict(enumerate(runs))
    errors: list[BaseException] = []
    more: dict[str, Any] = {
        "limits": limits,
        "label": lambda index: f"seed {runs[index].seed}",
        "progress": lambda piece: newest_name(Path(piece["folder"]) / CHECKPOINTS),
        "gpu": runs[0].device.type == "cuda",
        "sees": str(runs[0].folder.absolute().parent),
    }
    say_crowded(words, threads)
    try:
        for outcome in workers.outcomes(FUNCTION, pieces, words, threads, **more):
            run = left.pop(outcome.index)
            if outcome.error is None:
                print(f"seed {run.seed} is done, {len(runs) - len(left)} of {len(runs)}: {run.folder}", flush=True)
            else:
                errors.append(named(outcome.error, run))
    except InputError:  # there are no such workers
        for run in left.values():
            run.discard()
        raise
    except (KeyboardInterrupt, Terminated, InterruptedRunError) as error:
        errors.append(interrupted(error, list(left.values())))
    raise_worst(errors)


def named(error: Exception, run: Run) -> Exception:
    """The error with the seed of its run. A run that has done nothing yet leaves no folder behind."""
    if isinstance(error, InputError):
        run.discard()
    kind = type(error)
    return kind(f"seed {run.seed}: {error}") if kind in (InputError, CannotContinueError) else error


def interrupted(error: BaseException, left: list[Run]) -> InterruptedRunError:
    """What stopped the command, with the commands that resume the runs that are not done."""
    if isinstance(error, InterruptedRunError):
        text, code = str(error), error.exit_code
    else:
        name, code = ("SIGTERM", 143) if isinstance(error, Terminated) else ("Ctrl-C", 130)
        text = f"stopped by {name} at once; checkpoints are intact"
    return InterruptedRunError(f"{text}; resume with: {'; '.join(run.resume_command for run in left)}", code)
