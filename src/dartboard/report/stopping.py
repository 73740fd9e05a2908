"""When the stopping rules of a search fired, and which cell each selects: a table, and marks on their curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from dartboard.errors import InputError
from dartboard.formats import read
from dartboard.formats.files import STOPPED
from dartboard.report import words
from dartboard.report.blocks import section, table
from dartboard.report.facts import Facts, read_lines
from dartboard.report.figures import DASHED, Series
from dartboard.report.markup import Html, tag
from dartboard.report.plots import line, plot
from dartboard.search import stop_rules
from dartboard.search.stop_rules import Rule, Stopped
from dartboard.spaces.families import FAMILIES

COLOURS = ("--one", "--three", "--four", "--muted", "--ink")


def stopping_section(facts: Facts) -> Html | None:
    """None if the search had no rules; in a chain of runs each run has a page of its own for them."""
    found = {} if facts.swaps else stopped(facts)
    if not found:
        return None
    plots = [cut_out_plot(facts, found), eigenvalue_plot(facts, found), held_out_plot(facts, found)]
    known = tag("div", *(one for one in plots if one is not None), class_="duo")
    title = "Where the search would have stopped"
    return section("stopping", title, rules_table(facts, found), known, lead=lead(facts))


def stopped(facts: Facts) -> dict[Rule, Stopped]:
    """The outcome of each rule: from the result, or from the epochs so far. Empty if no rule can be read."""
    try:
        rules = stop_rules.parse(str(facts.config.get("stop", "")))
        if "stopped" in facts.result:
            return {stop_rules.rule_of(entry["rule"]): stopped_of(entry) for entry in facts.result["stopped"]}
    except (InputError, KeyError, TypeError):  # written by other hands
        return {}
    mixed = facts.mixed
    if not rules or not mixed:
        return {}
    lines, _ = read_lines(facts.folder / "metrics.jsonl")
    found = {rule: stop_rules.outcome(rule, lines, mixed) for rule in rules}
    return {rule: one for rule, one in found.items() if one is not None}


def stopped_of(entry: Mapping[str, Any]) -> Stopped:
    return Stopped(entry["epoch"], entry["kept"], entry["architecture"], entry["why"])


def lead(facts: Facts) -> str:
    by = facts.result.get("stopped_by")
    if by:
        return f"The result of this search is the cell of the rule {by}."
    if facts.config.get("stop_mode") == "report":
        result = "The search ran to its end, and its result is the cell of the last epoch."
        return f"{result} The table has the cell of each rule."
    return "No rule has ended the search; its result is the cell of the last epoch."


def rules_table(facts: Facts, found: Mapping[Rule, Stopped]) -> Html:
    head = (
        "rule",
        "fired after epoch",
        "cell of epoch",
        f"skips, {facts.form.family.main}",
        f"{words.CUT_OUT} (validation)",
        "file",
        "why",
    )
    rows = [row(facts, rule, one) for rule, one in found.items()]
    return table(head, rows, caption="Epochs count from 0. The files, in the run's folder, can be trained.")


def row(facts: Facts, rule: Rule, one: Stopped) -> Sequence[object]:
    fired = "never" if one.epoch is None else one.epoch
    scored = value_at(facts, one.kept, "derived_val_accuracy")
    cell = read(one.architecture)[0]
    skips = FAMILIES[cell.space].num_skips(cell)
    file = f"{STOPPED}/{rule.file_name}" if facts.done else "when it is done"
    return rule.text, fired, one.kept, skips, words.percent(scored), tag("code", file), tag("span", one.why)


def value_at(facts: Facts, epoch: int, field: str) -> float | None:
    return next((one.get(field) for one in facts.epochs if one.epoch == epoch), None)


def rule_points(facts: Facts, found: Mapping[Rule, Stopped], field: str, names: Sequence[str]) -> list[Series]:
    """One dot per rule, at the epoch whose cell it selects."""
    dots = []
    for (rule, one), colour in zip(found.items(), COLOURS * len(found), strict=False):
        value = value_at(facts, one.kept, field)
        if rule.name in names and value is not None:
            dots.append(Series(rule.text, [one.kept], [value], colour))
    return dots


def cut_out_plot(facts: Facts, found: Mapping[Rule, Stopped]) -> Html | None:
    lines = line(facts, "derived_val_accuracy", words.CUT_OUT, "--two")
    dots = rule_points(facts, found, "derived_val_accuracy", list(stop_rules.RULES))
    caption = (
        "Accuracy of each epoch's cell on validation images, with the supernet's weights. Dots: cells of the rules."
    )
    return plot(facts, "The cells of the rules", lines + dots, caption, percent=True, chance=True) if lines else None


def eigenvalue_plot(facts: Facts, found: Mapping[Rule, Stopped]) -> Html | None:
    lines = line(facts, "eigenvalue", "eigenvalue", "--two")
    rules = [(rule, one) for rule, one in found.items() if rule.name == "eigenvalue"]
    if not lines or not rules:
        return None
    rule, one = rules[0]
    values, every = {int(x): y for x, y in zip(lines[0].x, lines[0].y, strict=True)}, int(rule.numbers[1])
    means = {epoch: stop_rules.average(values, epoch, every) for epoch in values}
    known = {epoch: mean for epoch, mean in means.items() if mean is not None}
    if known:
        lines.append(Series(f"mean of {stop_rules.WINDOW}", list(known), list(known.values()), "--one", dashes=DASHED))
    if one.epoch is not None and one.kept in known:
        middle = one.epoch - stop_rules.WINDOW // 2 * every
        lines.append(Series("cell of the rule", [one.kept], [known[one.kept]], "--three"))
        lines.append(Series("compared with it", [middle], [known[middle]], "--four"))
    caption = f"Largest eigenvalue of the Hessian in alpha. Dots: the averages that {rule.text} compared."
    return plot(facts, "Dominant eigenvalue", lines, caption)


def held_out_plot(facts: Facts, found: Mapping[Rule, Stopped]) -> Html | None:
    lines = line(facts, "held_out_accuracy", "supernet", "--two")
    dots = rule_points(facts, found, "held_out_accuracy", ["held-out"])
    caption = "Of the supernet, on training images that neither the weights nor alpha saw. Dot: the cell of the rule."
    return (
        plot(facts, "Accuracy on the held-out part", lines + dots, caption, percent=True, chance=True)
        if lines
        else None
    )
