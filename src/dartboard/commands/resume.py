"""dartboard resume: resumes a stopped run, with the settings it was started with."""

from dataclasses import dataclass
from pathlib import Path

from dartboard.commands import why
from dartboard.commands.by_workers import check_use
from dartboard.commands.flags import first_word, parse
from dartboard.commands.work import use_threads
from dartboard.config import parse_budget, parse_duration
from dartboard.errors import InputError, unknown
from dartboard.methods import METHODS
from dartboard.runs.limits import Limits, limits_of
from dartboard.runs.run import Run
from dartboard.runs.workers import check_workers
from dartboard.studies.comparison_folder import is_comparison
from dartboard.studies.folders import is_several, is_why
from dartboard.studies.rank_folder import is_ranking
from dartboard.studies.selection import is_selection
from dartboard.studies.study import is_study


@dataclass(frozen=True)
class ResumeFlags:
    """Resume a stopped search, training, study, comparison or ranking exactly, as if it was never stopped."""

    run: str
    """the folder of the run, the study, the comparison or the ranking"""
    budget: str | None = None
    """Save and stop after this much work of this process: 4h or 500steps; can be resumed."""
    until: str | None = None
    """Save and stop this long after the start, such as 7h30m; can be resumed."""
    workers: str | None = None
    """Work on the trials, or on what is left of a study, at once: by a number of processes, ray, or ray://HOST[:PORT]."""

    def __post_init__(self) -> None:
        check_workers(self.workers)
        if self.budget is not None:
            parse_budget(self.budget)
        if self.until is not None:
            parse_duration(self.until, "--until")


def execute(words: list[str]) -> None:
    """Raises InputError (no run there, in use, changed data ...), CannotContinueError, InterruptedRunError."""
    folder = first_word(words)
    if folder is not None and not is_several(Path(folder)):
        Run.open(folder)  # refused before the flags are parsed
    flags = parse(ResumeFlags, words, "resume", "name the run's folder: dartboard resume runs/darts-digits-s0")
    limits = limits_of(flags.budget, flags.until)
    if flags.workers is not None:
        check_use(flags.workers, flags.budget)
    if is_study(Path(flags.run)):
        from dartboard.commands import transfer

        return transfer.resume(Path(flags.run), limits, flags.workers)
    if is_selection(flags.run):
        from dartboard.commands import select

        return select.resume(Path(flags.run), limits, flags.workers)
    if is_why(Path(flags.run)):
        return why.resume(Path(flags.run), limits, flags.workers)
    if is_comparison(Path(flags.run)):
        from dartboard.commands import compare

        return compare.resume(Path(flags.run), limits, flags.workers)
    if is_ranking(Path(flags.run)):
        from dartboard.commands import rank

        if flags.workers is not None:
            raise InputError(f"--workers has no effect on {flags.run}, which one process does; leave it out")
        return rank.resume(Path(flags.run), limits)
    with Run.open(Path(flags.run), write=True) as run:
        run.limits = limits
        run.workers = flags.workers
        resume_run(run)


def rest_of(folder: str, limits: Limits) -> None:
    """What a worker does: the rest of a run, and its page. Raises as `execute`."""
    with Run.open(Path(folder), write=True) as run:
        run.limits = limits
        resume_run(run)


def resume_run(run: Run) -> None:
    """Resumes a run that is open for writing."""
    method = METHODS.get(str(run.method))
    if run.workers is not None and not (method and method.by_trials):
        raise InputError(f"--workers has no effect on {run.folder}, which is one run; leave it out")
    use_threads(run.setup.threads or run.environment.get("threads"))
    if run.done:
        print(f"{run.folder} is already finished")
    if run.command == "search":
        from dartboard.commands import search

        search.resume(run)
    elif run.command == "train":
        from dartboard.commands import train

        train.resume(run)
    elif run.command == "trial":
        whole = run.environment.get("parent")
        raise InputError(f"{run.folder} is a trial of a search; resume the search: dartboard resume {whole}")
    elif run.command == "fine-tuning":
        raise InputError(f"{run.folder} is the end of a dartboard specialise; give that command again to resume it")
    else:
        raise unknown(f"command in {run.folder}", run.command, ("search", "train"))
