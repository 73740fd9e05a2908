"""The part of the page that puts several runs side by side: tables with spread, curves, differences of cells."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from dartboard import formats
from dartboard.paths import link_to
from dartboard.report import words
from dartboard.report.blocks import pair, picture, section, table, tiles
from dartboard.report.cells import cells
from dartboard.report.change_page import DIFFERENCE_LEAD, difference_picture
from dartboard.report.checklist import protocol_of
from dartboard.report.facts import Facts
from dartboard.report.figures import Series, curves, dots
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import has_cells, num_skips, spread
from dartboard.report.words import duration, percent, short_count, spread_words
from dartboard.search_space import Architecture
from dartboard.spaces import darts

MAX_DIFFERENCES, MAX_DRAWN, MAX_LINES, MAX_ROWS, MAX_TILES = 4, 8, 12, 30, 8
COLOURS = ("--one", "--two", "--three", "--four")


def answer(searches: Sequence[Facts], trainings: Sequence[Facts]) -> Html:
    """The spread of each group, in figures."""
    found: list[tuple[str, str, object]] = []
    for name, group in list(grouped(trainings).items())[:MAX_TILES]:
        accuracies = spread(facts.number("test_accuracy") for facts in group)
        if accuracies is not None:
            found.append((name, spread_words(accuracies), f"test accuracy, n = {accuracies.n}"))
    if not found and searches:
        accuracies = spread(facts.number("val_accuracy") for facts in searches)
        skips = spread(skips_of(facts) for facts in searches)
        found.append(("supernets, validation", spread_words(accuracies), f"n = {accuracies.n if accuracies else 0}"))
        found.append(
            ("skips, normal cell", f"{skips.mean:.1f}" if skips else words.UNKNOWN, "mean of the derived cells")
        )
    return tiles(found)


def story(searches: Sequence[Facts], trainings: Sequence[Facts], beside: Path) -> Html:
    """Tables, curves, cells and their differences."""
    return join(
        [
            section("trainings", "Trainings side by side", *training_tables(trainings, beside)) if trainings else None,
            section("searches", "Searches side by side", *search_tables(searches, beside)) if searches else None,
            differences(searches) if len(searches) > 1 else None,
            drawn([*searches, *trainings]),
        ]
    )


def skips_of(facts: Facts) -> float | None:
    if facts.architecture is None or not has_cells(facts.architecture):
        return None
    return float(num_skips(darts.cell(facts.architecture, "normal")))


def run_link(facts: Facts, beside: Path) -> Html:
    """The run's name, with a link to its own page if it has one."""
    page = facts.folder.resolve() / "report.html"
    if not page.is_file() or page == (beside.resolve() / "report.html"):
        return tag("code", facts.name)
    return tag("a", facts.name, href=link_to(page, beside.resolve()))


def state(facts: Facts) -> str:
    return "finished" if facts.done else f"stopped after {words.plural(len(facts.epochs), 'epoch')}"


def search_tables(searches: Sequence[Facts], beside: Path) -> list[Html]:
    head = ("run", "data", "seed", "epochs", "supernet", "cell cut out", "skips", "time", "state")
    rows = [
        (
            run_link(facts, beside),
            facts.data.get("name", facts.config.get("data", "")),
            facts.config.get("seed", ""),
            len(facts.epochs),
            percent(facts.number("val_accuracy")),
            percent(facts.number("derived_val_accuracy")),
            skips_words(facts),
            duration(facts.number("elapsed_s")),
            state(facts),
        )
        for facts in searches
    ]
    foot = [
        (
            f"{name} (n = {len(group)})",
            "",
            "",
            "",
            statistic(group, "val_accuracy", pick),
            statistic(group, "derived_val_accuracy", pick),
            "",
            "",
            "",
        )
        for group in protocols(searches)
        if len(group) > 1
        for name, pick in STATISTICS
    ]
    caption = "Validation accuracies; skips: of the normal cell's inputs. Spread over runs of the same settings."
    groups = {facts.name: [facts] for facts in searches} if len(searches) <= len(COLOURS) else {"": searches}
    plot = overlay(groups, "val_accuracy", "Validation accuracy of the supernets")
    return [table(head, rows, caption=caption, foot=foot), tag("div", plot, class_="duo")]


def skips_words(facts: Facts) -> str:
    skips = skips_of(facts)
    return words.UNKNOWN if skips is None else f"{skips:.0f}"


def training_tables(trainings: Sequence[Facts], beside: Path) -> list[Html]:
    groups = grouped(trainings)
    head = ("architecture", "n", "mean", "std", "min", "max", "parameters", "multiply-adds", "mean time")
    rows = [group_row(name, group) for name, group in groups.items()]
    summary = table(head, rows, caption="Test accuracy by architecture and settings; std with n − 1.")
    head = ("run", "architecture", "data", "seed", "epochs", "test accuracy", "training accuracy", "time", "state")
    single = [
        (
            run_link(facts, beside),
            name,
            facts.data.get("name", facts.config.get("data", "")),
            facts.config.get("seed", ""),
            len(facts.epochs),
            percent(facts.number("test_accuracy"), facts.data.get("test")),
            percent(facts.number("train_accuracy")),
            duration(facts.number("elapsed_s")),
            state(facts),
        )
        for name, group in groups.items()
        for facts in group
    ]
    plots = [dot_plot(groups), overlay(groups, "test_accuracy", "Test accuracy along the way")]
    every = table(head, single, caption="Every training; the result is the last epoch's.")
    return [summary, tag("div", *plots, class_="duo"), every]


def group_row(name: str, group: Sequence[Facts]) -> tuple[object, ...]:
    accuracies = spread(facts.number("test_accuracy") for facts in group)
    images = group[0].data.get("test")
    time = spread(facts.number("elapsed_s") for facts in group)
    numbers: list[object] = [words.UNKNOWN] * 4
    if accuracies is not None:
        values = (accuracies.mean, accuracies.std, accuracies.minimum, accuracies.maximum)
        numbers = [percent(value, images) for value in values]
    sizes = [short_count(group[0].result.get(key)) for key in ("params", "macs")]
    return (name, accuracies.n if accuracies else 0, *numbers, *sizes, duration(time.mean if time else None))


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


def protocols(runs: Sequence[Facts]) -> list[list[Facts]]:
    """The runs in groups of the same settings, seeds and paths aside."""
    groups: dict[str, list[Facts]] = {}
    for facts in runs:
        groups.setdefault(str(protocol_of(facts.config)), []).append(facts)
    return list(groups.values())


def grouped(trainings: Sequence[Facts]) -> dict[str, list[Facts]]:
    """Trainings of one architecture under one protocol, by a name that a person knows."""
    groups: dict[str, list[Facts]] = {}
    for facts in trainings:
        groups.setdefault(str((facts.architecture, protocol_of(facts.config))), []).append(facts)
    named: dict[str, list[Facts]] = {}
    for group in groups.values():
        name = architecture_name(group[0])
        number = sum(known == name or known.startswith(f"{name} (") for known in named)
        named[f"{name} ({number + 1})" if number else name] = group
    return named


def architecture_name(facts: Facts) -> str:
    """The published name of the run's architecture, or the search it comes from, or the run's own name."""
    if (name := published_name(facts.architecture)) is not None:
        return name
    parent = facts.environment.get("parent")
    return Path(parent).name if isinstance(parent, str) and parent else facts.name


def published_name(architecture: Architecture | None) -> str | None:
    if architecture is None or not has_cells(architecture):
        return None
    wanted = darts.canonical(architecture)
    entries = formats.published().items()
    return next((name for name, entry in entries if darts.canonical(entry.architecture) == wanted), None)


def dot_plot(groups: Mapping[str, Sequence[Facts]]) -> Html | None:
    """Test accuracies, a row an architecture."""
    known = {
        name: [value for facts in group if (value := facts.number("test_accuracy")) is not None]
        for name, group in groups.items()
    }
    rows = [(name, values) for name, values in known.items() if values][:MAX_ROWS]
    if len(rows) < 2:
        return None
    told = "; ".join(f"{name}: {', '.join(percent(value) for value in values)}" for name, values in rows)
    svg = dots(rows, f"Test accuracy of every training, by architecture. {told}")
    return picture(
        svg, "A dot a training, a bar at the mean.", "test-accuracies", title="Test accuracy by architecture"
    )


def overlay(groups: Mapping[str, Sequence[Facts]], field: str, title: str) -> Html | None:
    """The same curve of every run in one frame; a colour a group."""
    series: list[Series] = []
    for number, (name, group) in enumerate(list(groups.items())[: len(COLOURS)]):
        for facts in group[:MAX_LINES]:
            points = [(epoch.epoch, value) for epoch in facts.epochs if (value := epoch.get(field)) is not None]
            if points:
                shown = name if facts is group[0] else f"_{name}"
                series.append(Series(shown, [x for x, _ in points], [y for _, y in points], COLOURS[number]))
    if not series:
        return None
    rest = len(groups) - len(COLOURS)
    caption = "A line a run, a colour a row of the table above." + (f" The first {len(COLOURS)}." if rest > 0 else "")
    svg = curves(series, f"{title}: {len(series)} runs over epochs", percent=True)
    return picture(svg, caption, field, title=title)


def differences(searches: Sequence[Facts]) -> Html | None:
    """Cells of neighbouring searches laid over each other."""
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
    left = tag("p", f"{rest} more are in their runs' own pages.", class_="small") if rest else None
    return section("cells", "The cells", *parts, left)


def heading(facts: Facts) -> str:
    name = published_name(facts.architecture)
    return f"{name} ({facts.name})" if name else facts.name
