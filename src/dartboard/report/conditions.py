"""The part of the page that lists the conditions under which the numbers were measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from dartboard.report import words
from dartboard.report.blocks import pairs, section, unbroken
from dartboard.report.checklist import checklist
from dartboard.report.facts import Facts
from dartboard.report.markup import Html, join, tag
from dartboard.runs.limits import MOST_TRIALS

SHOWN_ELSEWHERE = ("data", "command_line", "settings", "settings_digest")  # of environment.json
ANSWERS = {"yes": "yes", "no": "no", "partly": "partly", "unknown": "not known"}


def conditions(runs: Sequence[Facts]) -> Html:
    """Settings, data, environment and command of every run, and the checklist."""
    return section(
        "conditions", "Conditions", *(run_conditions(facts, folded=len(runs) > 2) for facts in runs), practice(runs)
    )


def run_conditions(facts: Facts, *, folded: bool) -> Html:
    """One run; its tables are folded if there are many runs."""
    environment = {key: value for key, value in facts.environment.items() if key not in SHOWN_ELSEWHERE}
    blocks = [block("Settings", facts.config), block("Data", facts.data), block("Environment", environment)]
    unreadable = f"{words.plural(facts.unreadable, 'line')} of metrics.jsonl could not be read and were left out."
    gap = f"metrics.jsonl has a gap of {facts.gap} bytes: these lines were lost, and the run resumed from its weights."
    return tag(
        "div",
        tag("h3", "Run ", tag("code", str(facts.folder))),
        tag("p", state_words(facts)),
        tag("p", unreadable, class_="small") if facts.unreadable else None,
        tag("p", gap, class_="small") if facts.gap else None,
        tag("p", "Command: ", tag("code", unbroken(words.command_words(facts.environment.get("command_line"))))),
        tag("details", tag("summary", "Settings, data, environment"), *blocks) if folded else join(blocks),
        class_="conditions",
    )


def state_words(facts: Facts) -> str:
    unit, planned = ("trial", facts.config.get("trials")) if facts.trials else ("epoch", facts.config.get("epochs"))
    done = words.plural(len(facts.trials or facts.epochs), unit)
    took = words.duration(facts.number("elapsed_s"))
    if facts.done:
        return f"Finished: {done} in {took}."
    of = f" of {planned}" if isinstance(planned, int) and planned != MOST_TRIALS else ""
    return f"Not finished: {done}{of} so far, {took}. Resume with: dartboard resume {facts.folder}"


def block(title: str, values: Mapping[str, Any]) -> Html:
    items = [(key, tag("code", value_words(value))) for key, value in values.items()]
    return tag("div", tag("h4", title), pairs(items) if items else tag("p", "Not recorded."), class_="block")


def value_words(value: object) -> str:
    """A value on one line; long lists are cut."""
    if isinstance(value, list):
        shown = ", ".join(str(item) for item in value[:12])
        return f"{shown}, … ({len(value)})" if len(value) > 12 else shown or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def practice(runs: Sequence[Facts]) -> Html:
    """The checklist as a list of questions with their answers."""
    items = [
        tag(
            "li",
            tag("span", ANSWERS[item.answer], class_=f"verdict {item.answer}"),
            tag("div", tag("strong", item.question), tag("p", item.evidence)),
        )
        for item in checklist(runs)
    ]
    source = (
        "After Lindauer and Hutter, Best Practices for Scientific Research on Neural Architecture Search (JMLR 2020), "
        "in dartboard's own words, answered from the files of these runs alone. A “no” is not a fault of a run; it "
        "says what a paper would still need."
    )
    heading = tag("h3", "Checklist of good practice")
    return tag("div", heading, tag("p", source, class_="prose"), tag("ul", *items, class_="practice"))
