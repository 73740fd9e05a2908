"""The page of searches with several seeds: which one was selected, by how much, and at what cost. Needs no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dartboard.analysis.statistics import Interval, difference_of_shares
from dartboard.report import next_training, page, words
from dartboard.report.blocks import box, command, picture, section, table, tiles, unbroken
from dartboard.report.cells import cells
from dartboard.report.conditions import block, conditions
from dartboard.report.facts import Facts, read_facts
from dartboard.report.figures import dots
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import spread
from dartboard.report.sheets import Column, Sheet
from dartboard.studies.selection import Selection, read_result

PLACES = (
    ("answer", "Answer"),
    ("seeds", "Seeds"),
    ("cells", "Cells"),
    ("cost", "Cost"),
    ("trainings", "Trainings"),
    ("conditions", "Conditions"),
)
PROTOCOL = (
    "Each seed's architecture was trained from scratch on the train images alone and scored on val, with the data, the "
    "splits and the seed of its search. No test image was read. The protocol is that of the DARTS paper (Liu, "
    "Simonyan, Yang 2019: four searches, each cell trained for 100 epochs)."
)
Found = Mapping[str, Any]


def write(selection: Selection, out: Path | None = None) -> Path:
    """Writes the page of a finished selection; returns its path. Raises InputError."""
    place = out or selection.folder / "report.html"
    page.put(page_html(selection), place, named=out is not None)
    return place


def page_html(selection: Selection) -> str:
    """The complete file."""
    found = read_result(selection.folder)
    searches = [read_facts(selection.search_folder(seed)) for seed in selection.seeds]
    data = words.short_data(found["data"])
    eyebrow = f"Architecture search · {selection.method} · {words.plural(len(searches), 'seed')}"
    title = f"The best of {words.plural(len(searches), 'search').replace('searchs', 'searches')} on {data}"
    top = page.Page(eyebrow, title, lede(found), answer(selection, found, searches), Html(""))
    parts = [seeds(found), all_cells(found, searches), cost(selection, found), settings(selection)]
    return page.document(
        top, PLACES, [*parts, conditions(searches)], "selection.json, select.toml and the files of the searches"
    )


# --- In words --------------------------------------------------------------------------------------------------------


def accuracy(row: Found, found: Found) -> str:
    return words.percent(row["val_accuracy"], found["val_images"])


def seed_words(row: Found, found: Found) -> str:
    """A seed on one line of the terminal."""
    searched = f"search score {words.percent(row['search_score'], found['val_images'])}"
    trained = f"{accuracy(row, found)} on val after {words.plural(found['epochs'], 'epoch')}"
    return f"seed {row['seed']}: {trained} ({searched})"


def second_best(found: Found) -> Found:
    """The best of the other seeds; of equal ones the first."""
    others = [row for row in found["seeds"] if row["seed"] != found["seed"]]
    return max(others, key=lambda row: float(row["val_accuracy"]))


def margin(found: Found) -> Interval | None:
    """By how much the selected one is ahead of the second; None if the number of val images is not known."""
    images = found["val_images"]
    if not isinstance(images, int) or images < 1:
        return None
    first, second = ((round(row["val_accuracy"] * images), images) for row in (found, second_best(found)))
    return difference_of_shares(first, second)


def margin_words(found: Found) -> str:
    """How far the selected one is ahead, and whether that is clear."""
    second, ahead = second_best(found), margin(found)
    points = 100 * (found["val_accuracy"] - second["val_accuracy"])
    if points == 0.0:
        return f"as good as seed {second['seed']}: of equal ones the first is taken"
    text = f"{points:.2f} points ahead of seed {second['seed']}"
    if ahead is None or ahead.low is None or ahead.high is None:
        return text
    verdict = "clearly better" if ahead.excludes_zero else "not clearly better"
    return f"{text}, 95 % interval {100 * ahead.low:+.2f} to {100 * ahead.high:+.2f}: {verdict}"


def cost_words(found: Found) -> str:
    """What the searches and the trainings took, apart."""
    parts = {
        name: f"{words.count(part['steps'])} steps in {words.duration(part['elapsed_s'])}"
        for name, part in found["cost"].items()
    }
    return f"cost: searches {parts['search']}, selection {parts['selection']}; {parts['total']} in all"


# --- The page --------------------------------------------------------------------------------------------------------


def lede(found: Found) -> str:
    return (
        f"Seed {found['seed']} was selected: its architecture is best on val after a training of "
        f"{words.plural(found['epochs'], 'epoch')}, {margin_words(found)}."
    )


def answer(selection: Selection, found: Found, searches: Sequence[Facts]) -> Html:
    """Key figures, the selected architecture, and what to do next."""
    selected = next(facts for facts in searches if facts.name == found["search"])
    given = {**selected.config, "threads": selection.setup.threads}
    train = command(
        next_training.command(selection.folder, given),
        "Train this architecture from scratch, and score it on the test images:",
    )
    remark = next_training.remark(selection.folder, given)
    more = tag("p", unbroken(f"This trains {remark}"), class_="small") if remark else None
    figures = tiles(answer_tiles(found, selected.chance))
    return join([figures, caution(found), cells(selected.architecture, selected.name), train, more])


def answer_tiles(found: Found, chance: float | None) -> list[tuple[str, str, object]]:
    values = [float(row["val_accuracy"]) for row in found["seeds"]]
    total = found["cost"]["total"]
    trained = f"after {words.plural(found['epochs'], 'epoch')}{words.chance_words(chance)}"
    return [
        (f"seed {found['seed']}, on val", accuracy(found, found), trained),
        ("all seeds, on val", words.spread_words(spread(values)), f"mean ± standard deviation, n = {len(values)}"),
        ("cost", words.duration(total["elapsed_s"]), f"{words.count(total['steps'])} steps, selection included"),
    ]


def caution(found: Found) -> Html:
    """Whether the selected one is clearly better, and what its accuracy does not say."""
    ahead = margin(found)
    clear = ahead is not None and ahead.excludes_zero
    head = "One seed is clearly better" if clear else "No seed is clearly better"
    by = f"Seed {found['seed']} is {margin_words(found)}."
    if ahead is not None and ahead.estimate > 0:
        by += (
            " The interval (Newcombe 1998) holds the chance that lies in the val images, as if each seed had its own, "
            "and not that of another training of the same architecture."
        )
    biased = (
        "The accuracy of the selected one is the highest of several on images that the searches used, so it is higher "
        "than what to expect on others. Report the accuracy of its own training on the test images."
    )
    return box("good" if clear else "note", head, by, biased)


def seeds(found: Found) -> Html:
    """A row a seed, the selected one named, and their accuracies as a picture."""
    rows = [
        (
            tag("a", f"seed {row['seed']}", href=f"{row['search']}/report.html"),
            words.percent(row["search_score"], found["val_images"]),
            accuracy(row, found),
            words.percent(row["train_accuracy"]),
            words.short_count(row["params"]),
            words.short_count(row["macs"]),
            Html("selected") if row["seed"] == found["seed"] else Html(""),
        )
        for row in found["seeds"]
    ]
    epochs = words.plural(found["epochs"], "epoch")
    head = ("search", "search score", f"val, {epochs}", f"train, {epochs}", "parameters", "multiply-adds", "")
    caption = f"Search score: {found['seeds'][0]['search_score_is']}"
    label = f"Accuracies on val after {epochs}"
    values = [(f"seed {row['seed']}", [float(row["val_accuracy"])]) for row in found["seeds"]]
    drawn = picture(dots(values, label), "A dot is a seed.", "seeds", title=label)
    narrow = tag("div", drawn, style="max-width:44rem")
    return section("seeds", "The seeds", table(head, rows, caption=caption), narrow, lead=PROTOCOL)


def sheet_of(selection: Selection) -> Sheet:
    """A row a seed. Raises InputError for a selection that is not finished."""
    found = read_result(selection.folder)
    columns = (
        Column("seed", "seed"), Column("search score", "search_score", words.percent),
        Column("val", "val_accuracy", words.percent), Column("train", "train_accuracy", words.percent),
        Column("parameters", "params", words.short_count), Column("multiply-adds", "macs", words.short_count),
        Column("steps, search", "search_steps"), Column("time, search", "search_s", words.duration),
        Column("steps, selection", "selection_steps"), Column("time, selection", "selection_s", words.duration),
    )  # fmt: skip
    rows = [tuple(row[column.key] for column in columns) for row in found["seeds"]]
    caption = f"Seeds, each trained for {words.plural(found['epochs'], 'epoch')}; seed {found['seed']} is selected"
    return Sheet(caption, columns, tuple(rows))


def all_cells(found: Found, searches: Sequence[Facts]) -> Html:
    """What the other seeds have found."""
    drawn = [
        join([tag("h3", f"Seed {row['seed']}, {accuracy(row, found)}"), cells(facts.architecture, facts.name)])
        for row, facts in zip(found["seeds"], searches, strict=True)
        if row["seed"] != found["seed"]
    ]
    return section("cells", "What the other seeds found", *drawn)


def cost(selection: Selection, found: Found) -> Html:
    """Steps and seconds of each search and each training, and their sums."""
    rows = [
        (
            f"seed {row['seed']}",
            words.count(row["search_steps"]), words.duration(row["search_s"]),
            words.count(row["selection_steps"]), words.duration(row["selection_s"]),
        )
        for row in found["seeds"]
    ]  # fmt: skip
    sums = [found["cost"][name][unit] for name in ("search", "selection") for unit in ("steps", "elapsed_s")]
    foot = ("all", words.count(sums[0]), words.duration(sums[1]), words.count(sums[2]), words.duration(sums[3]))
    head = ("", "steps, search", "time, search", "steps, selection", "time, selection")
    caption = "Gradient steps of the weights, and seconds of work with scoring"
    together = " The searches ran side by side, so their seconds are longer than alone." if selection.together else ""
    lead = f"What a comparison at equal cost must count: the trainings that select are a part of the method.{together}"
    return section("cost", "What it took", table(head, rows, caption=caption, foot=[foot]), lead=lead)


def settings(selection: Selection) -> Html:
    """The settings of the trainings; those of the searches are among their conditions."""
    return section("trainings", "The trainings that select", block("Settings", selection.train))
