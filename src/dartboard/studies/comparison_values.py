"""The values of a comparison, read from its folder: what pages and tables are made of."""

from dartboard.config import flat
from dartboard.methods import method_module
from dartboard.runs.held_settings import shown
from dartboard.studies import values_on_data, values_on_table
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.contenders import Comparison

# Settings that are said elsewhere.
OF_ALL = ("trials", "truth", "limit", "latency", "epochs", "channels", "cells", "batch_size")


def comparison_of(one: ComparisonFolder) -> Comparison:
    """What a comparison has found so far. Raises InputError for damaged files."""
    on = values_on_data if one.plan.truth is None else values_on_table
    scored_by, result_is = on.words_of(one)
    where = one.setup.data if one.plan.truth is None else "a table"
    return Comparison(
        title=f"{', '.join(one.plan.methods)}, scored by {where}",
        space=one.plan.space,
        unit=one.plan.unit,
        budget=one.plan.amount,
        scored_by=scored_by,
        result_is=result_is,
        contenders=on.contenders_of(one),
        conditions={**common_conditions(one), **on.conditions_of(one)},
    )


def common_conditions(one: ComparisonFolder) -> dict[str, str]:
    """What a reader must know of any comparison."""
    environment, plan = one.environment, one.plan
    found = {"seeds": f"{plan.seed} to {plan.all_seeds[-1]}", "budget": f"{plan.budget} for each method and seed"}
    if plan.limit:
        found["limit"] = plan.limit
    if plan.latency is not None:
        found["table of latencies"] = plan.latency
    for method in plan.searched:
        if words := changed_words(one, method):
            found[f"settings of {method}"] = words
    found |= {f"note on {method}": text for method, text in notes(one).items()}
    for name in ("device_name", "threads", "dartboard", "commit"):
        if environment.get(name) is not None:
            found[name.replace("_", " ")] = str(environment[name])
    return found


def notes(one: ComparisonFolder) -> dict[str, str]:
    """By method, what a reader might not expect: an evolution without a child."""
    found = {}
    for method in one.plan.searched:
        trials, population = (one.searches[method].get(name) for name in ("trials", "population"))
        if isinstance(trials, int) and isinstance(population, int) and trials <= population:
            found[method] = f"its {trials} trials only fill its population of {population}; they are all random"
    return found


def changed_words(one: ComparisonFolder, method: str) -> str:
    """The settings of a method that are not its defaults: "controller = lstm"; empty if all are."""
    usual, own = flat(method_module(method).Config()), one.searches[method]
    names = [name for name in own if name not in OF_ALL and own[name] != usual.get(name)]
    return ", ".join(f"{name} = {shown(own[name])}" for name in names)
