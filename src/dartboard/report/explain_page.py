"""The page of one method: its steps drawn, its equations, the cost of a step, how weights are shared."""

from collections.abc import Sequence

from dartboard.methods import METHODS
from dartboard.methods.explained.record import THROUGH, Record, Remark
from dartboard.report import page, words
from dartboard.report.blocks import picture, section, table, tiles
from dartboard.report.flow_chart import chart
from dartboard.report.markup import Html, join, tag
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies.step_cost import StepCost

PLACES = (
    ("answer", "Answer"),
    ("steps", "Steps"),
    ("equations", "Equations"),
    ("cost", "Cost"),
    ("sharing", "Sharing"),
    ("remarks", "Gains and limits"),
)
RULE = (
    "Multiply-adds are those of convolutions and matrix products of the forward passes, for one image in each batch; "
    "a backward pass takes about twice as much again. What is drawn is the mean of {draws} uniform draws."
)


def page_html(method: str, record: Record, space: SearchSpace, sizes: dict[str, int], costs: Sequence[StepCost]) -> str:
    """The complete file. costs: of the record's passes; empty if they were not counted."""
    known = METHODS[method]
    top = page.Page(
        f"How a method works · {record.family}",
        known.spoken or method.replace("_", " ").capitalize(),
        f"{known.what[:1].upper()}{known.what[1:]}. {known.source}.",
        tiles(figures(record, costs)),
        Html(""),
    )
    parts = [steps(method, record), equations(record), cost(record, space, sizes, costs), sharing(record)]
    return page.document(top, PLACES, [*parts, remarks(record)], "what the method says of itself and exact counts")


def figures(record: Record, costs: Sequence[StepCost]) -> list[tuple[str, str, object]]:
    """Key figures: the family, and of each variant the passes and what they compute."""
    found: list[tuple[str, str, object]] = [("Family", record.family, "of five")]
    for number, passes in enumerate(record.passes):
        macs = f"; {words.short_count(costs[number].forward_macs)} multiply-adds an image" if costs else ""
        name = f"Passes of a step, {passes.name}" if passes.name else "Passes of a step"
        found.append((name, str(passes.count), f"through {THROUGH[passes.through]}{macs}"))
    return found


def steps(method: str, record: Record) -> Html:
    """The flow chart, and the function of each step."""
    rows = [(step.stage, word(step.says), code(step.function)) for step in record.steps]
    listed = table(["step", "what happens", "function"], rows, caption="A dashed box is a step that it does not have.")
    drawn = picture(chart(record, method), f"The way back: {record.until}.", f"{method}-steps", title="The steps")
    return section("steps", "Steps", drawn, tag("div", listed, class_="between"))


def code(name: str | None) -> Html:
    return tag("span", "no such step") if name is None else tag("code", name)


def word(text: str) -> Html:
    """A sentence in a table, which breaks into lines."""
    return tag("span", text, style="display:inline-block;white-space:normal;min-width:15em;max-width:34em")


def equations(record: Record) -> Html:
    """Each equation with its number in the paper and the test that holds it."""
    rows = [
        tag(
            "div",
            tag("p", tag("strong", one.says), f" {one.number[:1].upper()}{one.number[1:]} of the paper."),
            tag("pre", one.text, class_="genotype"),
            tag("p", "Held by ", tag("code", one.test, style="overflow-wrap:anywhere"), class_="small"),
            class_="block",
        )
        for one in record.equations
    ]
    return section("equations", "Equations", *rows)


def cost(record: Record, space: SearchSpace, sizes: dict[str, int], costs: Sequence[StepCost]) -> Html | None:
    """What a step computes; None if it was not counted."""
    if not costs:
        return None
    first = costs[0].macs * costs[0].count
    rows = [
        (
            passes.name or "a step",
            str(passes.count),
            words.short_count(one.macs),
            words.short_count(one.forward_macs),
            f"{one.forward_macs / first:.2f}",
            words.short_count(one.params),
            words.short_count(one.map_values),
            word(passes.says),
        )
        for passes, one in zip(record.passes, costs, strict=True)
    ]
    head = ["", "passes", "MACs of a pass", "of a step", "ratio", "parameters", "map values", "what for"]
    place = f"{space.name}, {sizes['channels']} channels, {sizes['cells']} cells or layers, images of 32 x 32 pixels"
    caption = f"Counted on {place}. Map values: numbers that convolutions give for an image; memory grows with them."
    draws = max(one.draws for one in costs)
    return section("cost", "Cost of a step", table(head, rows, caption=caption), lead=RULE.format(draws=draws))


def sharing(record: Record) -> Html:
    return section("sharing", "How weights are shared", tag("p", record.sharing, class_="prose"))


def remarks(record: Record) -> Html:
    """Gains, limits, and what papers report."""
    parts = (("Gains", record.gains), ("Limits", record.limits), ("Reported", record.claims))
    return section("remarks", "Gains and limits", join(listed(name, found) for name, found in parts if found))


def listed(name: str, found: Sequence[Remark]) -> Html:
    items = [tag("li", one.says, " ", tag("span", f"({one.source})", class_="small")) for one in found]
    return join([tag("h3", name, class_="between"), tag("ul", *items, class_="findings")])
