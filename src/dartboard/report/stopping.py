"""Where the stopping rules of a search fired, and which cell each keeps: a table, and marks on the curves they read."""

from collections.abc import Mapping, Sequence
from typing import Any

from dartboard.errors import InputError
from dartboard.formats import read
from dartboard.formats.files import STOPPED
from dartboard.report import words
from dartboard.report.blocks import section, table
from dartboard.report.facts import Facts, read_lines
from dartboard.report.figures import Series
from dartboard.report.markup import Html, tag
from dartboard.report.plots import line, plot
from dartboard.search import stop_rules
from dartboard.search.stop_rules import Rule, Stopped
from dartboard.spaces.families import FAMILIES

COLOURS = ("--one", "--three", "--four", "--muted", "--ink")


def stopping_section(facts: Facts) -> Html | None:
    """None where the search had no rules; in a chain of runs each has a page of its own for them."""
    found = {} if facts.swaps else stopped(facts)
    if not found:
        return None
    plots = [cut_out_plot(facts, found), eigenvalue_plot(facts, found), held_out_plot(facts, found)]
    known = tag("div", *(one for one in plots if one is not None), class_="duo")
    return section("stopping", "Where it would have stopped", rules_table(facts, found), known, lead=lead(facts))


def stopped(facts: Facts) -> dict[Rule, Stopped]:
    """What each rule says: as the result has it, else of the epochs so far. Empty where no rule can be told."""
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
        return f"The cell of this search is the one that {by} keeps."
    if facts.config.get("stop_mode") == "report":
        return "The search went on to its end; its cell is the last epoch's. Each rule would have kept another."
    return "No rule has ended the search; its cell is the last epoch's."


def rules_table(facts: Facts, found: Mapping[Rule, Stopped]) -> Html:
    head = (
        "rule",
        "fired after epoch",
        "keeps epoch",
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


def kept_points(facts: Facts, found: Mapping[Rule, Stopped], field: str, names: Sequence[str]) -> list[Series]:
    """A dot a rule, at the epoch whose cell it keeps."""
    dots = []
    for (rule, one), colour in zip(found.items(), COLOURS * len(found), strict=False):
        value = value_at(facts, one.kept, field)
        if rule.name in names and value is not None:
            dots.append(Series(rule.text, [one.kept], [value], colour))
    return dots


def cut_out_plot(facts: Facts, found: Mapping[Rule, Stopped]) -> Html | None:
    whole = line(facts, "derived_val_accuracy", words.CUT_OUT, "--two")
    dots = kept_points(facts, found, "derived_val_accuracy", list(stop_rules.RULES))
    caption = "Accuracy of each epoch's cell on validation images, with the supernet's weights. Dots: the cells kept."
    return plot(facts, "The cells the rules keep", whole + dots, caption, percent=True, chance=True) if whole else None


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
        lines.append(Series(f"mean of {stop_rules.WINDOW}", list(known), list(known.values()), "--one", dashed=True))
    if one.epoch is not None and one.kept in known:
        middle = one.epoch - stop_rules.WINDOW // 2 * every
        lines.append(Series("kept", [one.kept], [known[one.kept]], "--three"))
        lines.append(Series("compared with it", [middle], [known[middle]], "--four"))
    caption = f"Largest eigenvalue of the Hessian in alpha. Dots: the averages that {rule.text} compared."
    return plot(facts, "Dominant eigenvalue", lines, caption)


def held_out_plot(facts: Facts, found: Mapping[Rule, Stopped]) -> Html | None:
    whole = line(facts, "held_out_accuracy", "supernet", "--two")
    dots = kept_points(facts, found, "held_out_accuracy", ["held-out"])
    caption = "Of the supernet, on images of train that neither weights nor alpha saw. Dot: the cell kept."
    return (
        plot(facts, "Accuracy on the held-out part", whole + dots, caption, percent=True, chance=True)
        if whole
        else None
    )
