"""The epoch slider of a search with the relaxed cells and heat maps, and the JSON from which page.js redraws them."""

from collections.abc import Sequence

from dartboard.report import grids, palette, words
from dartboard.report.blocks import legend, picture, section
from dartboard.report.cells import genotype_text
from dartboard.report.chain import swap_index
from dartboard.report.drawing import relaxed_svg
from dartboard.report.facts import Epoch, Facts, Swap, Table
from dartboard.report.forms import TITLES, has_form
from dartboard.report.logged_tables import faults, logged_tables, table_data, table_pictures
from dartboard.report.markup import Html, embedded_json, tag
from dartboard.report.measures import Scale, offered, scale_of, strongest
from dartboard.spaces.graph import Graph

ALPHA_LEAD = (
    "Every edge starts as a mixture of all operations. Move the slider to see how the weights change over the epochs."
)
TABLES_LEAD = "The tables that the search logged. Move the slider to see how they change over the epochs."


def slider_section(facts: Facts) -> Html | None:
    """The slider with its pictures, and the names of tables that cannot be drawn; None if nothing was logged."""
    history = [epoch for epoch in facts.history if epoch.weights and has_form(epoch.architecture)]
    lead = ALPHA_LEAD if history else TABLES_LEAD
    if not history and any(epoch.tables for epoch in facts.history):
        history = [epoch for epoch in facts.history if epoch.tables or epoch.epoch >= 0]
    if not history:
        return None
    has_pictures = lead == ALPHA_LEAD or logged_tables(facts, history)
    lines = [tag("p", line, class_="small") for line in faults(facts)]
    pictures = slider_with_pictures(facts, history) if has_pictures else None
    return section("story", "The search, epoch by epoch", pictures, *lines, lead=lead)


def slider_with_pictures(facts: Facts, history: Sequence[Epoch]) -> Html:
    """The epoch slider with the relaxed cells and the heat maps; it starts at the last epoch."""
    last = history[-1]
    controls = tag(
        "div",
        tag("button", "◀", type="button", class_="step", data_by=-1, aria_label="One epoch back"),
        tag("button", "▶", type="button", class_="step", data_by=1, aria_label="One epoch forward"),
        tag("button", "Play", type="button", class_="play"),
        slider(facts, history),
        tag("output", readout(last), class_="readout"),
        class_="controls",
    )
    form, tables = facts.form, logged_tables(facts, history)
    kinds = [kind for kind in form.kinds if form.relaxed(kind, len(last.weights.get(kind, ()))) is not None]
    halves = [half(facts, history, kind) for kind in kinds]
    genotype = tag("pre", tag("code", genotype_of(last), class_="now"), tabindex=0, class_="genotype")
    more = {"tables": [table_data(one) for one in tables]} if tables else {}
    return tag(
        "div",
        controls,
        tag("div", *halves, class_="pair") if halves else None,
        legend(name for name in facts.operations if name != "none") if halves else None,
        table_pictures(facts, tables),
        genotype if any(epoch.architecture for epoch in history) else None,
        embedded_json({**slider_data(facts, history, kinds), **more}, class_="slider-data"),
        class_="epoch-slider",
    )


def slider(facts: Facts, history: Sequence[Epoch]) -> Html:
    """The range over the epochs, with a mark before the first epoch after each swap."""
    last = len(history) - 1
    control = tag(
        "input",
        type="range",
        class_="slider",
        min=0,
        max=last,
        value=last,
        step=1,
        aria_label="Epoch",
        aria_valuetext=grids.epoch_word(history[-1]),
    )
    return tag("div", control, *(swap_mark(facts, history, swap) for swap in facts.swaps), class_="slide")


def swap_mark(facts: Facts, history: Sequence[Epoch], swap: Swap) -> Html | None:
    """A mark on the slider; the middle of its thumb stays 8 px from either end."""
    index = swap_index(history, swap)
    if not 0 < index < len(history):
        return None
    share = (index - 0.5) / (len(history) - 1)
    place = f"left:calc(8px + (100% - 16px) * {share:.4f})"
    side = "swap-mark late" if share > 0.5 else "swap-mark"
    return tag("span", tag("span", f"swap → {swap.data}"), class_=side, style=place)


def half(facts: Facts, history: Sequence[Epoch], kind: str) -> Html:
    """One kind of cell: relaxed cell and heat map."""
    table, one = history[-1].weights[kind], relaxed_cell(facts, history[-1], kind)
    heat, thick = heat_scale(history, kind), thickness_scale(facts, history, kind)
    grid = grids.heat_map(table, one, facts.operations[: len(table[0])], heat)
    relaxed = (
        "Colour: an edge's strongest operation other than none. Thickness: its weight, from "
        f"{points(thick.low)} to {points(thick.high)}. Full colour: in the derived cell."
    )
    heated = f"Softmax of alpha in percent; the colour deepens from {points(heat.low)} to {points(heat.high)}. "
    heated += "Framed: in the derived cell."
    drawn = relaxed_svg(one)
    return tag(
        "div",
        picture(drawn, relaxed, f"{facts.name}-relaxed-{kind}", title=f"Relaxed {TITLES[kind]}"),
        picture(grid, heated, f"{facts.name}-alpha-{kind}", title=f"Alpha, {TITLES[kind]}", wide=True),
        class_="half",
        data_kind=kind,
    )


def relaxed_cell(facts: Facts, epoch: Epoch, kind: str) -> Graph:
    """The relaxed cell of an epoch whose table has the rows of one."""
    one = facts.form.relaxed(kind, len(epoch.weights[kind]))
    assert one is not None
    return one


def points(weight: float) -> str:
    return f"{100 * weight:.0f} %"


def heat_scale(history: Sequence[Epoch], kind: str) -> Scale:
    return scale_of(
        weight for epoch in history for row in epoch.weights.get(kind, ()) for weight in row if offered(weight)
    )


def thickness_scale(facts: Facts, history: Sequence[Epoch], kind: str) -> Scale:
    return scale_of(strongest(row, facts.operations) for epoch in history for row in epoch.weights.get(kind, ()))


def slider_data(facts: Facts, history: Sequence[Epoch], kinds: Sequence[str]) -> dict[str, object]:
    """What page.js needs: per frame the weights (rounded to 1e-6), the derived inputs and the words."""
    return {
        "operations": list(facts.operations),
        "colours": [palette.colour(operation) for operation in facts.operations],
        "frames": [
            {
                "label": grids.epoch_word(epoch),
                "epoch": epoch.epoch,
                "readout": readout(epoch),
                "genotype": genotype_of(epoch),
            }
            for epoch in history
        ],
        "swaps": [swap_index(history, swap) for swap in facts.swaps],
        "kinds": {kind: kind_data(facts, history, kind) for kind in kinds},
    }


def kind_data(facts: Facts, history: Sequence[Epoch], kind: str) -> dict[str, object]:
    one = relaxed_cell(facts, history[-1], kind)
    edges = one.places
    derived = [
        [
            [edges.index((source, target)), facts.operations.index(operation)]
            for source, target, operation in known_inputs(facts, epoch, kind, edges)
        ]
        for epoch in history
    ]
    return {
        "title": TITLES[kind],
        "edges": [list(edge) for edge in edges],
        "names": [grids.edge_name(one, edge) for edge in edges],
        "heat": scale_data(heat_scale(history, kind)),
        "thickness": scale_data(thickness_scale(facts, history, kind)),
        "weights": [rounded(epoch.weights.get(kind, ())) for epoch in history],
        "kept": derived,
    }


def scale_data(scale: Scale) -> list[float]:
    return [scale.low, scale.high]


def known_inputs(facts: Facts, epoch: Epoch, kind: str, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int, str]]:
    found = sorted(set(facts.form.inputs(epoch.architecture, kind))) if epoch.architecture else []
    return [edge for edge in found if edge[:2] in edges and edge[2] in facts.operations]


def rounded(table: Table) -> list[list[float | None]]:
    return [[round(weight, 6) if offered(weight) else None for weight in row] for row in table]


def readout(epoch: Epoch) -> str:
    """One line about an epoch."""
    if epoch.epoch < 0:
        return "before the first step"
    numbers = [("supernet", epoch.get("val_accuracy")), (words.CUT_OUT, epoch.get("derived_val_accuracy"))]
    parts = [f"{name} {words.percent(value)}" for name, value in numbers if value is not None]
    return " · ".join([f"epoch {epoch.epoch}", *([epoch.place] if epoch.place else []), *parts])


def genotype_of(epoch: Epoch) -> str:
    return genotype_text(epoch.architecture) if epoch.architecture is not None else ""
