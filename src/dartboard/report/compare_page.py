"""The part of the page that shows several runs side by side: tables with spread, curves, differences of cells.

Means and spreads are over runs of equal settings only (groups.py): repetitions that differ only in the seed.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from dartboard.paths import link_to
from dartboard.report import words
from dartboard.report.architecture_names import published_name
from dartboard.report.blocks import box, pair, picture, section, table, tiles
from dartboard.report.cells import cells
from dartboard.report.change_page import DIFFERENCE_LEAD, difference_picture
from dartboard.report.checklist import listed
from dartboard.report.comparison_figures import rows_picture
from dartboard.report.comparison_tables import tests_table
from dartboard.report.comparison_words import few_words, figure_words, headline, support
from dartboard.report.facts import Facts
from dartboard.report.figures import Series, curves
from dartboard.report.groups import Group, differences_of, numbered, state
from dartboard.report.looks import looks_of
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import has_cells, spread
from dartboard.report.runs_compared import Compared, groups_sheet
from dartboard.report.sheets import as_html
from dartboard.report.trials_compared import trials_section
from dartboard.report.words import duration, percent, spread_words
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

MAX_DIFFERENCES, MAX_DRAWN, MAX_LINES, MAX_ROWS, MAX_TILES = 4, 8, 12, 30, 8
MAX_COLOURS, MAX_CURVES = 5, 10  # runs of one group that have a colour each; groups whose curves are drawn
Tile = tuple[str, str, object]  # what, number, remark
LONGEST = 22  # letters of a name beside the dots


def title(parts: Sequence[Compared]) -> str | None:
    """Which group is best, in one sentence; None unless exactly one kind of runs can be compared so."""
    known = [part for part in parts if part.comparable]
    return headline(known[0].found) if len(known) == 1 else None


def answer(parts: Sequence[Compared]) -> Html:
    """A figure for each group of equal settings, and what the paired tests support."""
    of_kind = {part.kind: part for part in parts}
    found = training_tiles(of_kind["training"].groups) if "training" in of_kind else []
    found += trial_tiles(of_kind["search by trials"]) if "search by trials" in of_kind else []
    found = found or (search_tiles(of_kind["search"].groups) if "search" in of_kind else [])
    rest = len(found) - MAX_TILES
    more = tag("p", f"{rest} more groups are in the tables below.", class_="small") if rest > 0 else None
    known = [part for part in parts if part.comparable]
    said = [tag("li", sentence) for part in known if (sentence := support(part.found))]
    few = [box("note", "So few seeds can show little", text) for part in known if (text := few_words(part.found))]
    supported = tag("ul", *said, class_="findings") if said else None
    return join([tiles(found[:MAX_TILES]), more, supported, *few[:1]])


def trial_tiles(part: Compared) -> list[Tile]:
    return [
        (one.label, figure_words(one), f"{part.found.comparison.result_is}, n = {one.n}")
        for one in part.found.standings
        if one.n
    ]


def training_tiles(groups: Sequence[Group]) -> list[Tile]:
    found: list[Tile] = []
    for group in groups:
        accuracies = spread(facts.number("test_accuracy") for facts in group.runs)
        if accuracies is not None:
            chance = words.chance_words(common_chance(group.runs))
            found.append((group.label, spread_words(accuracies), f"test accuracy, n = {accuracies.n}{chance}"))
    return found


def search_tiles(groups: Sequence[Group]) -> list[Tile]:
    """Accuracy and skips: one tile each if all runs are repetitions, otherwise one per group."""
    found: list[Tile] = []
    for group in groups:
        accuracies = spread(facts.number("val_accuracy") for facts in group.runs)
        skips = spread(skips_of(facts) for facts in group.runs)
        mean_skips, n = f"{skips.mean:.1f}" if skips else words.UNKNOWN, accuracies.n if accuracies else 0
        sample = f"n = {n}{words.chance_words(common_chance(group.runs))}"
        if len(groups) > 1 and accuracies is not None:
            remark = f"supernets, validation, {sample}; skips in the {main_cells(group.runs)} {mean_skips}"
            found.append((group.label, spread_words(accuracies), remark))
        elif len(groups) == 1:
            found.append(("supernets, validation", spread_words(accuracies), sample))
            found.append((f"skips, {main_cells(group.runs)}", mean_skips, "mean of the derived cells"))
    return found


def sections(parts: Sequence[Compared], page_folder: Path) -> Html:
    """Tables, curves, cells and their differences."""
    found: list[Html | None] = []
    for part in sorted(parts, key=lambda part: part.kind != "search by trials"):
        lead = unlike(part.runs)
        if part.kind == "search by trials":
            found.append(trials_section(part, lead))
        elif part.kind == "training":
            parts_of_page = training_tables(part, page_folder)
            found.append(section("trainings", "Trainings side by side", *parts_of_page, lead=lead))
        else:
            tables = search_tables(part.groups, page_folder)
            found.append(section("searches", "Searches side by side", *tables, lead=lead))
    searches = [facts for part in parts if part.kind == "search" for facts in part.runs]
    trainings = [facts for part in parts if part.kind == "training" for facts in part.runs]
    return join([*found, differences(searches) if len(searches) > 1 else None, drawn([*searches, *trainings])])


def main_cells(runs: Sequence[Facts]) -> str:
    """The cell whose skip connections are counted; several names if the runs are of several families."""
    return " or ".join(dict.fromkeys(facts.form.family.main for facts in runs))


def skips_of(facts: Facts) -> float | None:
    if facts.architecture is None:
        return None
    return float(FAMILIES[facts.architecture.space].num_skips(facts.architecture))


def run_link(facts: Facts, page_folder: Path) -> Html:
    """The run's name, with a link to its own page if it has one."""
    page = facts.folder.resolve() / "report.html"
    if not page.is_file() or page == (page_folder.resolve() / "report.html"):
        return tag("code", facts.name)
    return tag("a", facts.name, href=link_to(page, page_folder.resolve()))


def unlike(runs: Sequence[Facts]) -> str | None:
    """A line that says in what the settings differ; None if they do not."""
    names = differences_of(runs)
    different = f"Their settings differ in {listed(names)}. Averages are only over runs with equal settings."
    return different if names else None


def search_tables(groups: Sequence[Group], page_folder: Path) -> list[Html]:
    several = len(groups) > 1
    head = ("run", *with_settings(several, "settings"), "data", "seed", "epochs", "supernet", words.CUT_OUT, "skips",
            "time", "state")  # fmt: skip
    rows = [
        (
            run_link(facts, page_folder),
            *with_settings(several, group.settings),
            words.short_data(facts.data.get("name", facts.config.get("data", ""))),
            facts.config.get("seed", ""),
            len(facts.epochs),
            percent(facts.number("val_accuracy")),
            percent(facts.number("derived_val_accuracy")),
            skips_words(facts),
            duration(facts.number("elapsed_s")),
            state(facts),
        )
        for group in groups
        for facts in group.runs
    ]
    foot = [
        (
            f"{name} (n = {len(group.runs)})",
            *with_settings(several, group.settings),
            *[""] * 3,
            statistic(group.runs, "val_accuracy", pick),
            statistic(group.runs, "derived_val_accuracy", pick),
            *[""] * 3,
        )
        for group in groups
        if len(group.runs) > 1
        for name, pick in STATISTICS
    ]
    whose = main_cells([facts for group in groups for facts in group.runs])
    caption = f"Validation accuracies; skips: among the inputs of the {whose}. Spread over runs with the same settings."
    plot = overlay(lines_of(groups), "val_accuracy", "Validation accuracy of the supernets")
    return [table(head, rows, caption=caption, foot=foot), tag("div", plot, class_="duo")]


def with_settings(several: bool, text: str) -> list[Html]:
    """The cell of the column that says how groups differ, if there are several."""
    return [tag("span", text)] if several else []


def lines_of(groups: Sequence[Group]) -> dict[str, Sequence[Facts]]:
    """What has one colour: a group; if there is only one, each of a few runs."""
    if len(groups) > 1:
        return {group.label: group.runs for group in groups}
    runs = [facts for group in groups for facts in group.runs]
    if len(runs) > MAX_COLOURS:
        return {"_": runs}
    return {name: [facts] for name, facts in zip(numbered([facts.name for facts in runs]), runs, strict=True)}


def skips_words(facts: Facts) -> str:
    skips = skips_of(facts)
    return words.UNKNOWN if skips is None else f"{skips:.0f}"


def training_tables(part: Compared, page_folder: Path) -> list[Html | None]:
    several, groups = part.several, list(zip(part.names, part.groups, strict=True))
    summary = as_html(groups_sheet([part]))
    head: tuple[object, ...]
    head = ("run", "architecture", *with_settings(several, "settings"), "data", "seed", "epochs", "test accuracy",
            "training accuracy", "time", "state")  # fmt: skip
    single = [
        (
            run_link(facts, page_folder),
            name,
            *with_settings(several, group.settings),
            words.short_data(facts.data.get("name", facts.config.get("data", ""))),
            facts.config.get("seed", ""),
            len(facts.epochs),
            percent(facts.number("test_accuracy"), facts.data.get("test")),
            percent(facts.number("train_accuracy")),
            duration(facts.number("elapsed_s")),
            state(facts),
        )
        for name, group in groups
        for facts in group.runs
    ]
    named = {group.label: group.runs for _, group in groups}
    plots = [dot_plot(named), overlay(named, "test_accuracy", "Test accuracy over epochs")]
    every = table(head, single, caption="Every training; the result is that of the last epoch.")
    tests = tests_table(part.found) if part.comparable and part.found.tests else None
    return [summary, tag("div", *plots, class_="duo"), tests, every]


def mean(values: Sequence[float | None]) -> float | None:
    found = spread(values)
    return found.mean if found else None


def deviation(values: Sequence[float | None]) -> float | None:
    found = spread(values)
    return found.std if found else None


def least(values: Sequence[float | None]) -> float | None:
    found = spread(values)
    return found.minimum if found else None


def most(values: Sequence[float | None]) -> float | None:
    found = spread(values)
    return found.maximum if found else None


Statistic = Callable[[Sequence[float | None]], float | None]
STATISTICS: tuple[tuple[str, Statistic], ...] = (("mean", mean), ("std", deviation), ("min", least), ("max", most))


def statistic(group: Sequence[Facts], field: str, pick: Statistic) -> str:
    return percent(pick([facts.number(field) for facts in group]))


def dot_plot(groups: Mapping[str, Sequence[Facts]]) -> Html | None:
    """Test accuracies, one row per architecture."""
    known = {
        name: [value for facts in group if (value := facts.number("test_accuracy")) is not None]
        for name, group in groups.items()
    }
    rows = [(shortened(name), values) for name, values in known.items() if values][:MAX_ROWS]
    if len(rows) < 2:
        return None
    values_in_words = "; ".join(f"{name}: {', '.join(percent(value) for value in values)}" for name, values in rows)
    looks = dict(zip(groups, looks_of([False] * len(groups)), strict=True))
    return rows_picture(
        rows,
        [looks[name].colour for name, values in known.items() if values],
        title="Test accuracy by architecture",
        label=f"Test accuracy of every training, by architecture and settings. {values_in_words}",
        one="training",
        chance=common_chance([facts for group in groups.values() for facts in group]),
    )


def shortened(name: str) -> str:
    """A long name without its middle: the difference between groups is at the end."""
    return name if len(name) <= LONGEST else f"{name[:9]}…{name[10 - LONGEST :]}"


def common_chance(runs: Sequence[Facts]) -> float | None:
    """The chance level, if it is the same for all runs."""
    known = {facts.chance for facts in runs}
    return known.pop() if len(known) == 1 else None


def overlay(groups: Mapping[str, Sequence[Facts]], field: str, title: str) -> Html | None:
    """The same curve of every run in one frame; one colour and one way of dashing per group."""
    series: list[Series] = []
    for (name, group), look in zip(list(groups.items())[:MAX_CURVES], looks_of([False] * len(groups)), strict=False):
        for facts in group[:MAX_LINES]:
            points = [(epoch.epoch, value) for epoch in facts.epochs if (value := epoch.get(field)) is not None]
            if points:
                shown = name if facts is group[0] else f"_{name}"
                series.append(Series(shown, [x for x, _ in points], [y for _, y in points], look.colour, look.dashes))
    if not series:
        return None
    what = "One line per run" if len(groups) == 1 else "One line per run; the legend names the group of each colour"
    caption = f"{what}." + (f" The first {MAX_CURVES} groups." if len(groups) > MAX_CURVES else "")
    chance = common_chance([facts for group in groups.values() for facts in group])
    marks = [(chance, "chance")] if chance is not None else []
    svg = curves(series, f"{title}: {len(series)} runs over epochs", percent=True, marks=marks)
    return picture(svg, caption, field, title=title)


def differences(searches: Sequence[Facts]) -> Html | None:
    """The differences between the cells of neighbouring searches."""
    known = [facts for facts in searches if facts.architecture is not None and has_cells(facts.architecture)]
    found = [one_difference(before, after) for before, after in list(pairwise(known))[:MAX_DIFFERENCES]]
    if not found:
        return None
    return section("differences", "What differs between the cells", *found, lead=DIFFERENCE_LEAD)


def one_difference(before: Facts, after: Facts) -> Html:
    assert before.architecture is not None
    assert after.architecture is not None
    pictures = [
        difference_picture(
            darts.cell(before.architecture, kind),
            darts.cell(after.architecture, kind),
            kind,
            f"{before.name}-{after.name}-{kind}",
        )
        for kind in darts.CELLS
    ]
    return join([tag("h3", tag("code", before.name), " → ", tag("code", after.name)), pair(*pictures)])


def drawn(runs: Sequence[Facts]) -> Html | None:
    """Every different architecture of these runs, drawn once."""
    found: dict[Architecture, Facts] = {}
    for facts in runs:
        if facts.architecture is not None and facts.architecture not in found:
            found[facts.architecture] = facts
    shown = list(found.items())[:MAX_DRAWN]
    if not shown:
        return None
    parts = [join([tag("h3", heading(facts)), cells(architecture, facts.name)]) for architecture, facts in shown]
    rest = len(found) - len(shown)
    left = tag("p", f"{rest} more are on the pages of their runs.", class_="small") if rest else None
    return section("cells", "The cells", *parts, left)


def heading(facts: Facts) -> str:
    name = published_name(facts.architecture)
    return f"{name} ({facts.name})" if name else facts.name
