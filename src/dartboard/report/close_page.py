"""The part of a search's page that tells which choices of the derived cell were close calls."""

import math

from dartboard.analysis.sensitivity import DRAWS, CloseCalls, Survival, as_cell, close_cell
from dartboard.report.blocks import pair, picture, section, table
from dartboard.report.changes import root_mean_square_step, with_cells
from dartboard.report.drawing import survival_svg
from dartboard.report.facts import Facts
from dartboard.report.forms import TITLES
from dartboard.report.grids import edge_words, node_words
from dartboard.report.markup import Html, join
from dartboard.report.measures import cell_of
from dartboard.spaces import darts

NAMES = darts.drawn_names(darts.MAX_NODES)
LARGER = 3  # the second noise of the table, as a multiple of the first
CLOSE = 0.5  # an input that fewer than half of the draws keep is a close call


def close_section(facts: Facts) -> Html | None:
    """Cells with the share of draws in which each input stays, and the table; None where there is nothing to tell."""
    kinds = facts.form.kinds if facts.form.competing else ()
    found = {kind: calls for kind in kinds if (calls := calls_of(facts, kind)) is not None}
    if not found:
        return None
    pictures = [survival_picture(facts, kind, calls) for kind, calls in found.items()]
    return section("close", "Which choices were close?", pair(*pictures), close_table(facts, found), lead=lead(found))


def calls_of(facts: Facts, kind: str, times: float = 1.0) -> CloseCalls | None:
    """The last epoch's cell under noise as large, times `times`, as alpha's own step in that epoch.

    None where alpha or its step is not known, where its columns are not those of a space by name (a search from Python
    over operations of its own), or where the cell was derived from alpha by another rule than that of DARTS.
    """
    known = [epoch for epoch in with_cells(facts.history) if kind in epoch.alpha]
    scale = root_mean_square_step(known, kind)
    if not known or scale is None or not math.isfinite(scale) or scale <= 0.0:
        return None
    alpha = known[-1].alpha[kind]
    if any(len(row) != len(facts.operations) for row in alpha):
        return None
    if facts.form.relaxed(kind, len(alpha)) is None or any(math.isnan(logit) for row in alpha for logit in row):
        return None
    derived, own = as_cell(alpha, facts.operations), cell_of(known[-1], kind)
    if [sorted(inputs) for inputs in derived.nodes] != [sorted(inputs) for inputs in own.nodes]:
        return None
    return close_cell(alpha, facts.operations, times * scale)


def lead(found: dict[str, CloseCalls]) -> str:
    scales = " and ".join(f"{calls.scale:.3f} ({TITLES[kind]})" for kind, calls in found.items())
    return (
        f"Noise is added to every logit of the last alpha and the cell is derived anew, {DRAWS} times (seed 0). Its "
        f"standard deviation is {scales}: as large as a logit's own step in the last epoch, in root mean square."
    )


def survival_picture(facts: Facts, kind: str, calls: CloseCalls) -> Html:
    """The cell with the share of the draws at each input."""
    cell = cell_of(with_cells(facts.history)[-1], kind)
    shares = {(one.source, one.target): one.whole for one in calls.inputs}
    close = sum(one.whole < CLOSE for one in calls.inputs)
    caption = (
        f"Share of draws that keep predecessor and operation; faint and thin: few. {close} of {len(calls.inputs)} "
        f"inputs stay in less than half of them. The whole cell comes out the same in {100 * calls.unchanged:.1f} %."
    )
    svg = survival_svg(darts.graph(cell, kind), shares)
    return picture(svg, caption, f"{facts.name}-close-{kind}", title=TITLES[kind].capitalize(), wide=True)


def close_table(facts: Facts, found: dict[str, CloseCalls]) -> Html:
    """A row an input, the closest call first."""
    rows = []
    for kind, calls in found.items():
        larger = calls_of(facts, kind, LARGER)
        wide = {(one.source, one.target): one for one in larger.inputs} if larger is not None else {}
        rows += [(one.whole, kind, one, wide[one.source, one.target]) for one in calls.inputs]
    rows.sort(key=lambda row: row[0])
    head = ("input", "operation", "edge stays", "with its operation", f"at {LARGER} times the noise", "strongest rival")
    caption = "Shares of draws. Rival: the input of the same node, none of the cell's own, that came up most often."
    return table(head, [row_of(kind, one, wide) for _, kind, one, wide in rows], caption=caption)


def row_of(kind: str, one: Survival, wide: Survival) -> tuple[object, ...]:
    rival: object = "none"
    if one.rival is not None:
        operation, source, share = one.rival
        rival = join([f"{operation} of ", node_words(NAMES[source]), f", {share_words(share)}"])
    name = join([f"{kind}, ", edge_words(NAMES[one.source], NAMES[one.target])])
    return (name, one.operation, share_words(one.edge), share_words(one.whole), share_words(wide.whole), rival)


def share_words(share: float) -> str:
    return f"{100 * share:.1f} %"
