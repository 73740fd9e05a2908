"""The part of the page over several runs about searches by trials: curves and results by group, tests, every run."""

from dartboard.report import words
from dartboard.report.blocks import section, table
from dartboard.report.comparison_figures import curve_picture, results_picture
from dartboard.report.comparison_tables import tests_table
from dartboard.report.facts import finite
from dartboard.report.markup import Html, tag
from dartboard.report.runs_compared import Compared, groups_sheet
from dartboard.report.sheets import as_html
from dartboard.report.trials_page import best_line, score_words


def trials_section(part: Compared, lead: str | None) -> Html:
    """Groups of searches by trials beside each other."""
    found = part.found
    pictures = [one for one in (curve_picture(found), results_picture(found)) if one is not None]
    many = len(part.groups) > 1
    return section(
        "trials",
        "Searches by trials",
        tag("div", *pictures, class_="duo"),
        as_html(groups_sheet([part])),
        tests_table(found) if many and part.comparable and found.tests else None,
        runs_table(part),
        lead=lead,
    )


def runs_table(part: Compared) -> Html:
    """Every run."""
    rows = [
        (
            facts.name,
            facts.method or "",
            *([tag("span", group.settings)] if part.several else []),
            facts.config.get("seed", ""),
            words.count(len(facts.trials)),
            score_words(facts, best_line(facts)),
            words.percent(finite(facts.result.get("shown")), 5000),
            words.duration(facts.number("elapsed_s")),
        )
        for group in part.groups
        for facts in group.runs
    ]
    settings = ["settings"] if part.several else []
    head = ("run", "method", *settings, "seed", "trials", "best score", "by another column", "time")
    return table(head, rows, caption="Every search by trials")
