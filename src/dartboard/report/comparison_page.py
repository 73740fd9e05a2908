"""The page of a comparison of methods, its table as CSV and LaTeX, and its values. Needs no torch."""

from pathlib import Path

from dartboard.report import page
from dartboard.report.blocks import box, pairs, section, tiles
from dartboard.report.comparison_figures import curve_picture, results_picture
from dartboard.report.comparison_tables import cost_words, repetitions_table, standings_sheet, tests_table
from dartboard.report.comparison_words import (
    baseline_sentences,
    few_words,
    figure_words,
    headline,
    lede,
    support,
    tile_remark,
    unfinished,
)
from dartboard.report.markup import Html, join, tag
from dartboard.report.sheets import as_csv, as_html, as_latex
from dartboard.runs.atomic_files import replace_file
from dartboard.studies.comparison_file import COMPARISON, as_text
from dartboard.studies.contenders import Comparison
from dartboard.studies.standings import Standings, standings_of

PLACES = (
    ("answer", "Answer"),
    ("results", "Results"),
    ("tests", "Tests"),
    ("repetitions", "Repetitions"),
    ("conditions", "Conditions"),
)
WHY_SIGN_FLIP = (
    "Contenders are paired by seed, over the seeds that both have finished. The sign-flip test counts how many of all "
    "choices of signs of the differences give a sum at least as far from zero: it tests the difference of the means in "
    "the table above, assumes no distribution, is exact up to 15 pairs and by 10,000 random choices beyond."
)


def write(comparison: Comparison, folder: Path) -> Path:
    """Writes report.html, table.csv, table.tex and comparison.json into a folder that exists; returns the page's path.

    Raises InputError (not allowed) or CannotContinueError (no room).
    """
    found = standings_of(comparison)
    sheet = standings_sheet(found)
    replace_file(folder / COMPARISON, as_text(comparison))
    replace_file(folder / "table.csv", as_csv(sheet))
    replace_file(folder / "table.tex", as_latex(sheet))
    replace_file(folder / "report.html", page_html(found))
    return folder / "report.html"


def write_page(comparison: Comparison, out: Path) -> None:
    """Writes the page alone to a file that a person named. Raises InputError."""
    page.put(page_html(standings_of(comparison)), out, named=True)


def page_html(found: Standings) -> str:
    """The complete file."""
    comparison = found.comparison
    budget = cost_words(comparison.budget, comparison.unit)
    eyebrow = f"{comparison.title} · {comparison.space} · {budget}"
    top = page.Page(eyebrow, headline(found), lede(found), answer(found), Html(""))
    parts = [results(found), tests(found), repetitions(comparison), conditions(found)]
    return page.document(top, PLACES, parts, "the values in comparison.json")


def answer(found: Standings) -> Html:
    """A figure for each contender, what the tests support, and what they cannot."""
    missing, few = unfinished(found.comparison), few_words(found)
    sentences = [*([said] if (said := support(found)) else []), *baseline_sentences(found)]
    return join(
        [
            box("note", "Not finished", *missing) if missing else None,
            tiles([(one.label, figure_words(one), tile_remark(one, found)) for one in found.standings]),
            tag("ul", *(tag("li", one) for one in sentences), class_="findings") if sentences else None,
            box("note", "So few seeds can show little", few) if few else None,
        ]
    )


def results(found: Standings) -> Html:
    """The curves, the results, and the table of all contenders."""
    drawn = [one for one in (curve_picture(found), results_picture(found)) if one is not None]
    return section(
        "results", "What each contender found", tag("div", *drawn, class_="duo"), as_html(standings_sheet(found))
    )


def tests(found: Standings) -> Html | None:
    return section("tests", "Is it a difference?", tests_table(found), lead=WHY_SIGN_FLIP) if found.tests else None


def repetitions(comparison: Comparison) -> Html | None:
    every = repetitions_table(comparison)
    return section("repetitions", "Every repetition", every) if every is not None else None


def conditions(found: Standings) -> Html:
    """Under which the numbers hold."""
    comparison = found.comparison
    numbers = {"space": comparison.space, "budget": cost_words(comparison.budget, comparison.unit)}
    numbers |= {"scored by": comparison.scored_by, "result": comparison.result_is}
    numbers |= {f"finished, {one.label}": f"{one.n} of {len(one.contender.repetitions)}" for one in found.standings}
    settings = {f"settings, {one.label}": one.contender.settings for one in found.standings if one.contender.settings}
    return section("conditions", "Conditions", pairs({**numbers, **settings, **comparison.conditions}.items()))
