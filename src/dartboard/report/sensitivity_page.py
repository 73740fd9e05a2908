"""The part of a search's page that shows how sensitive the choice of the derived cell is to noise on alpha."""

import math

from dartboard.analysis.sensitivity import DRAWS, InputShare, Sensitivity, as_cell, cell_sensitivity
from dartboard.report.blocks import pair, picture, section, table
from dartboard.report.changes import root_mean_square_step, with_cells
from dartboard.report.drawing import shares_svg
from dartboard.report.facts import Facts
from dartboard.report.forms import TITLES
from dartboard.report.grids import edge_words, node_words
from dartboard.report.markup import Html, join
from dartboard.report.measures import cell_of
from dartboard.spaces import darts

NAMES = darts.drawn_names(darts.MAX_NODES)
LARGER = 3  # the second noise of the table, as a multiple of the first
HALF = 0.5  # the caption counts the inputs that remain in a smaller share of the draws


def sensitivity_section(facts: Facts) -> Html | None:
    """Cells with the share of draws in which each input stays, and the table; None if there is nothing to show."""
    kinds = facts.form.kinds if facts.form.competing else ()
    found = {kind: result for kind in kinds if (result := sensitivity_of(facts, kind)) is not None}
    if not found:
        return None
    pictures = [shares_picture(facts, kind, result) for kind, result in found.items()]
    title = "How sensitive is the choice of the cell?"
    return section("sensitivity", title, pair(*pictures), sensitivity_table(facts, found), lead=lead(found))


def sensitivity_of(facts: Facts, kind: str, times: float = 1.0) -> Sensitivity | None:
    """The cell of the last epoch under noise that is `times` as large as the step of alpha in that epoch.

    None if alpha or its step is not known, if its columns are not those of a named space (a search from Python over
    operations of its own), or if the cell was derived from alpha by another rule than that of DARTS.
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
    return cell_sensitivity(alpha, facts.operations, times * scale)


def lead(found: dict[str, Sensitivity]) -> str:
    scales = " and ".join(f"{result.scale:.3f} ({TITLES[kind]})" for kind, result in found.items())
    return (
        f"Noise is added to every logit of the last alpha and the cell is derived again, {DRAWS} times (seed 0). The "
        f"standard deviation of the noise is {scales}: the root mean square of a logit's step in the last epoch."
    )


def shares_picture(facts: Facts, kind: str, result: Sensitivity) -> Html:
    """The cell with the share of the draws at each input."""
    cell = cell_of(with_cells(facts.history)[-1], kind)
    shares = {(one.source, one.target): one.same_operation for one in result.inputs}
    rare = sum(one.same_operation < HALF for one in result.inputs)
    caption = (
        "Share of the draws in which the input has the same predecessor and operation; faint and thin lines: few. "
        f"{rare} of {len(result.inputs)} inputs remain in fewer than half of the draws. The complete cell is the same "
        f"in {100 * result.unchanged:.1f} % of them."
    )
    svg = shares_svg(darts.graph(cell, kind), shares)
    return picture(svg, caption, f"{facts.name}-sensitivity-{kind}", title=TITLES[kind].capitalize(), wide=True)


def sensitivity_table(facts: Facts, found: dict[str, Sensitivity]) -> Html:
    """One row per input, the most sensitive input first."""
    rows = []
    for kind, result in found.items():
        more_noise = sensitivity_of(facts, kind, LARGER)
        larger = {(one.source, one.target): one for one in more_noise.inputs} if more_noise is not None else {}
        rows += [(one.same_operation, kind, one, larger[one.source, one.target]) for one in result.inputs]
    rows.sort(key=lambda row: row[0])
    head = (
        "input",
        "operation",
        "same edge",
        "same edge and operation",
        f"at {LARGER} times the noise",
        "strongest rival",
    )
    caption = "Shares of draws. Strongest rival: the most frequent input of the same node that is not in the cell."
    return table(head, [row_of(kind, one, larger) for _, kind, one, larger in rows], caption=caption)


def row_of(kind: str, one: InputShare, larger: InputShare) -> tuple[object, ...]:
    rival: object = "none"
    if one.rival is not None:
        operation, source, share = one.rival
        rival = join([f"{operation} of ", node_words(NAMES[source]), f", {share_words(share)}"])
    name = join([f"{kind}, ", edge_words(NAMES[one.source], NAMES[one.target])])
    shares = (one.edge, one.same_operation, larger.same_operation)
    return (name, one.operation, *map(share_words, shares), rival)


def share_words(share: float) -> str:
    return f"{100 * share:.1f} %"
