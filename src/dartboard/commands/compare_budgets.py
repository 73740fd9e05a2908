"""How many trials or epochs of each method fit the budget of a comparison, by counted or by timed steps."""

from typing import TYPE_CHECKING, Any

from dartboard.commands import by_trials, dryrun, work
from dartboard.config import Setup, build
from dartboard.errors import InputError
from dartboard.methods import METHODS, method_module
from dartboard.runs.limits import MOST_TRIALS
from dartboard.runs.pace import seconds_in_words
from dartboard.spaces import SPACES
from dartboard.studies.budgets import Budget
from dartboard.studies.comparison_folder import ComparisonFolder

if TYPE_CHECKING:
    from dartboard.data import Data
    from dartboard.training.dry_run import Job


def sized(
    budget: Budget, method: str, space: str, settings: dict[str, Any], setup: Setup, data: "Data",
    known: ComparisonFolder | None,
) -> dict[str, Any]:  # fmt: skip
    """The settings with the trials or epochs that fit. known: a comparison for which they were measured before.

    Raises InputError for a budget that is smaller than one of them, and for batches larger than the data.
    """
    config = build(method_module(method).Config, settings)
    check_batches(config, method, data)
    if METHODS[method].by_trials and budget.unit == "trials":
        return {**settings, "trials": int(budget.amount)}
    name = "trials" if METHODS[method].by_trials else "epochs"
    before = None if known is None else known.searches.get(method, {}).get(name)
    if budget.unit == "seconds" and isinstance(before, int):
        return {**settings, name: before}
    job = job_of(method, space, setup, config, data)
    needed, after = (float(steps_of(method, job)), 0.0) if budget.unit == "steps" else seconds_of(method, job)
    check_fits(budget, f"one {name.removesuffix('s')} of {method}", needed + after)
    if METHODS[method].by_trials and budget.unit == "seconds":
        return {**settings, "trials": MOST_TRIALS}  # the time ends it
    return {**settings, name: int((budget.amount - after) / needed)}


def job_of(method: str, space: str, setup: Setup, config: Any, data: "Data") -> "Job":
    """One trial, of an architecture of middling size, or a search of a supernet, as a dry run takes it."""
    header = {"command": "search", "method": method, "space": space}
    make = by_trials.trial_job if METHODS[method].by_trials else dryrun.search_job
    return make(header, setup, config, data)


def steps_of(method: str, job: "Job") -> int:
    """Gradient steps of one trial, or of one epoch of a supernet."""
    epochs: int = job.config.epochs if METHODS[method].by_trials else 1
    return epochs * job.epoch.num_steps(job.data, job.config.batch_size)


def seconds_of(method: str, job: "Job") -> tuple[float, float]:
    """Seconds of one trial, or of one epoch of a supernet, on this machine, by a few timed steps; and those of what a
    supernet scores after its last epoch."""
    from dartboard.training.dry_run import measure_steps

    seconds = measure_steps(job, job.config.batch_size)[0]
    steps = -(-job.images // job.config.batch_size)
    if METHODS[method].by_trials:
        return dryrun.total_s(job, seconds, steps), 0.0
    each_s = float(steps * seconds.step + dryrun.score_s(job, seconds) + seconds.save)
    return each_s, dryrun.after_s(job, seconds)


def check_fits(budget: Budget, one: str, needed: float) -> None:
    """Raises InputError for a budget that is smaller than one trial or one epoch."""
    if budget.amount < needed:
        takes = f"about {seconds_in_words(needed)} here" if budget.unit == "seconds" else f"{needed:,.0f} {budget.unit}"
        raise InputError(f"--budget {budget} is smaller than {one}, which takes {takes}; give more")


def check_batches(config: Any, method: str, data: "Data") -> None:
    """Raises InputError if a batch of a search is larger than what it is drawn from."""
    from dartboard.tasks import task_of

    task_of(config, data).check(*(("train",) if METHODS[method].by_trials else ("train", "val")))


def check_memory(one: ComparisonFolder, data: "Data") -> None:
    """Raises InputError for searches and trainings that take more memory than is free, for batches larger than data,
    and for limits that nothing is within."""
    from random import Random

    from dartboard.tasks import task_of
    from dartboard.training import dry_run
    from dartboard.training.by_training import fitted
    from dartboard.training.from_scratch import Config

    for method in one.plan.searched:
        config = one.config_of(method)
        if not METHODS[method].by_trials:
            header = {"command": "search", "method": method, "space": one.plan.space}
            dryrun.check_search(header, one.setup, config, data)
            continue
        if config.limit:
            by_trials.check_limits(SPACES[one.plan.space], config, data)
        if not dry_run.is_tiny(one.setup, config, data):
            dry_run.check_memory(job_of(method, one.plan.space, one.setup, config, data))
    config = build(Config, dict(one.train))
    task_of(config, data, "train and val").check("training")
    architecture = SPACES[one.plan.space].sample(Random(0))
    config = fitted(config, architecture)
    dryrun.check_training(one.setup, config, data, work.network_that_fits(architecture, config, data))
