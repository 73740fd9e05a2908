"""--together: the searches of all seeds side by side in one process, each in a thread with its own run folder."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dartboard.commands import work
from dartboard.config import Setup
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.runs.limits import Limits, catching_signals
from dartboard.runs.run import Run

if TYPE_CHECKING:
    from dartboard.data import Data

LOOK_EVERY_S = 0.1


@dataclass
class Outcome:
    """How the work on a run ended: error is None if it reached its end."""

    run: Run
    error: BaseException | None = None


def begin_runs(
    flags: work.NewRun, header: Mapping[str, str], setup: Setup, config: Any, origin: Mapping[str, Any]
) -> list[tuple[Run, "Data"]]:
    """New runs, one per seed, with their data. Raises InputError, and then leaves none of the folders."""
    made: list[tuple[Run, Data]] = []
    work.use_threads(setup.threads)
    try:
        for one in work.setups(flags, setup):
            data, more = work.load(one), {"method": header["method"], "space": header["space"], **origin}
            run = work.begin_run(flags, header["method"], one, config, **more)
            made.append((run, data))
            run.label = f"seed {run.seed}"
            run.check_data(data)
    except BaseException:
        for run, _ in made:
            run.discard()
            run.close()
        raise
    return made


def side_by_side(runs: Sequence[Run], search: Callable[[Run], object]) -> None:
    """search(run) of every run, each in a thread of its own; a signal stops them all, saved.

    Budgets hold for each run. One that fails leaves the others at work. Raises at the end what stopped one: a defect
    before CannotContinueError before InputError before InterruptedRunError, whose messages name every run.
    """
    outcomes = [Outcome(run) for run in runs]
    shared = Limits()
    with catching_signals(shared):
        threads = [threading.Thread(target=attend, args=(one, search), daemon=True) for one in outcomes]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_EVERY_S)
                if shared.caught is not None:
                    for run in runs:
                        run.limits.caught = shared.caught
    raise_worst([one.error for one in outcomes if one.error is not None])


def attend(outcome: Outcome, search: Callable[[Run], object]) -> None:
    """The work of one thread."""
    try:
        with work.reporting_stops(outcome.run, fresh=True):
            search(outcome.run)
    except BaseException as error:
        outcome.error = error


def raise_worst(errors: Sequence[BaseException]) -> None:
    """Raises what ended the runs that did not reach their end, as one error."""
    text = "; ".join(str(error) for error in errors)
    for error in errors:
        if not isinstance(error, CannotContinueError | InputError | InterruptedRunError):
            raise error
    for kind in (CannotContinueError, InputError):
        if any(isinstance(error, kind) for error in errors):
            raise kind(text)
    if codes := [error.exit_code for error in errors if isinstance(error, InterruptedRunError)]:
        raise InterruptedRunError(text, max(codes))
