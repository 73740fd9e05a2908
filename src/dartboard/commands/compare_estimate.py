"""dartboard compare --dry-run: what would be done, and how long it would take here."""

import time
from random import Random

from dartboard.commands import dryrun, work
from dartboard.commands.compare_budgets import job_of, seconds_of
from dartboard.config import build
from dartboard.methods import METHODS
from dartboard.spaces import SPACES
from dartboard.studies.budgets import counted
from dartboard.studies.comparison_folder import ComparisonFolder


def print_estimate(one: ComparisonFolder) -> None:
    """Prints the settings, the work of each contender, and the seconds of all. Makes no folder that stays."""
    print(one.as_text())
    (on_data if one.plan.truth is None else on_table)(one)


def on_table(one: ComparisonFolder) -> None:
    """One seed of each method is looked up, and timed."""
    from dartboard.studies.compare_on_table import read_known, trials_of

    assert one.plan.truth is not None
    known, total_s = read_known(one.plan.truth, one.plan.space, ""), 0.0
    print("\n".join(known.table.describe()))
    for method in one.plan.searched:
        began = time.perf_counter()
        list(trials_of(one, known, method, [one.plan.seed]))
        total_s += (taken_s := (time.perf_counter() - began) * one.plan.seeds)
        what = f"{counted(one.plan.seeds, 'seed')} of {one.plan.budget}"
        print(f"{method}: {what}, looked up; at most about {work.seconds_in_words(taken_s)}")
    print(f"at most about {work.seconds_in_words(total_s)} in all, by one process")


def on_data(one: ComparisonFolder) -> None:
    """A few steps of each kind of training are made, and timed."""
    from dartboard.training.by_training import fitted
    from dartboard.training.dry_run import measure_steps
    from dartboard.training.from_scratch import Config

    data, plan, total_s = work.load_or_shapes(one.setup), one.plan, 0.0
    work.say_where_absent(one.setup)
    print(dryrun.described(data))
    for method in plan.searched:
        config = one.config_of(method)
        name = "trials" if METHODS[method].by_trials else "epochs"
        in_time = plan.unit == "seconds" and METHODS[method].by_trials
        number = 1 if in_time else getattr(config, name)
        each_s, after_s = plan.amount, 0.0
        if not in_time:
            each_s, after_s = seconds_of(method, job_of(method, plan.space, one.setup, config, data))
        search_s = number * each_s + after_s
        total_s += search_s
        what = f"as many trials as end in {plan.budget}" if in_time else counted(number, name.removesuffix("s"))
        print(f"search {method}: {what}, about {work.seconds_in_words(search_s)} for each seed", flush=True)
    architecture = SPACES[plan.space].sample(Random(0))
    config = fitted(build(Config, dict(one.train)), architecture)
    network = work.network_that_fits(architecture, config, data)
    job = dryrun.training_job({"command": "train"}, one.setup, config, data, network)
    seconds = measure_steps(job, config.batch_size)[0]
    each_s, number = dryrun.total_s(job, seconds, -(-job.images // config.batch_size)), len(plan.searched) + 1
    total_s += number * each_s
    print(f"{number} trainings from scratch for each seed, each about {work.seconds_in_words(each_s)}")
    print(f"about {work.seconds_in_words(plan.seeds * total_s)} in all, by one process on this device")
