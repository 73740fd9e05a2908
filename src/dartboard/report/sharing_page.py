"""The page of all methods: the tree of their families, a table, and weight sharing as measured by runs."""

from collections.abc import Mapping, Sequence

from dartboard.methods.explained.record import TRAINING, Record
from dartboard.report import page, words
from dartboard.report.blocks import picture, section, tiles
from dartboard.report.flow_chart import tree
from dartboard.report.markup import Html, join, tag
from dartboard.report.sharing_tables import by_family, claims_list, methods_sheet, runs_sheet
from dartboard.report.sheets import as_html
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies.sharing import Group

PLACES = (("answer", "Answer"), ("families", "Families"), ("runs", "Measured"), ("claims", "Claims"))


def page_html(records: Mapping[str, Record], space: SearchSpace | None, groups: Sequence[Group]) -> str:
    """The complete file. space: of the runs, None if there are none."""
    families = by_family(records)
    shared = sum(all(one.through != TRAINING for one in record.passes) for record in records.values())
    figures: list[tuple[str, str, object]] = [
        ("Methods", str(len(records)), f"of {sum(map(bool, families.values()))} families"),
        ("Share weights", str(shared), "one supernet is trained for all architectures"),
        ("Train each", str(len(records) - shared), "every trial has weights of its own"),
    ]
    lede = "Each method by what it says of itself: its family, its steps, what a step computes, its gains and limits."
    if space is not None:
        lede += f" Below, weight sharing on {space.name}, measured by {len_of(groups)}."
    top = page.Page("How the methods work", "The methods beside each other", lede, tiles(figures), Html(""))
    drawn = picture(tree(families), "Families, and the methods that are here.", "methods", title="Families", wide=True)
    rows = tag("div", as_html(methods_sheet(records)), class_="between")
    listed = section("families", "Families", drawn, rows)
    return page.document(top, PLACES, [listed, measured(space, groups)], "what the methods say of themselves, and runs")


def len_of(groups: Sequence[Group]) -> str:
    return words.plural(sum(len(one.runs) for one in groups), "run")


def measured(space: SearchSpace | None, groups: Sequence[Group]) -> Html | None:
    """The runs in a table, then the claims of the literature beside them."""
    if space is None:
        return None
    lead = "Each verdict follows from the runs above by the rule that stands with it; few seeds show little."
    runs = section("runs", "Weight sharing, measured", as_html(runs_sheet(space, groups)))
    return join([runs, section("claims", "What the literature claims", claims_list(groups), lead=lead)])
