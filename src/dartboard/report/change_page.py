"""The part of a search's page that shows whether the cell changes with the epochs: in pictures and in numbers.

Every function takes the facts of a run, or those of a chain of runs as `chain.joined` gives them.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from dartboard.analysis.edit_distance import aligned, compare
from dartboard.report import changes, grids, words
from dartboard.report.blocks import box, legend, pair, picture, section, sentences
from dartboard.report.chain import swap_index
from dartboard.report.changes import Change, Points, change_of, inputs_of, random_distance, with_cells
from dartboard.report.drawn_difference import difference_svg
from dartboard.report.facts import Epoch, Facts
from dartboard.report.figures import DASHED, Series
from dartboard.report.forms import TITLES
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import cell_of, difference
from dartboard.report.plots import plot
from dartboard.report.strip import epoch_frames, strip
from dartboard.spaces import darts

COLOURS = ("--one", "--two")  # of the kinds of cells
CLAIM = "“The drawn cells do not change with the epochs”"
DIFFERENCE_LEAD = "Grey: inputs that both cells have. Dashed, −: only the first has them. Thick, +: only the second."


def change_section(facts: Facts) -> Html | None:
    """The complete part; None if fewer than two epochs have a cell."""
    known, kinds = with_cells(facts.history), facts.form.kinds
    if len(known) < 2:
        return None
    pairs = facts.form.competing  # strips and differences need cells in which a node has only some of its inputs
    used = (name for epoch in known for kind in kinds for _, _, name in inputs_of(epoch, kind))
    return section(
        "change",
        "Does the cell change?",
        claim_box(facts),
        *(strip_picture(facts, kind) for kind in kinds if pairs),
        legend(name for name in used if name != "none"),
        duo(distance_plot(facts), remaining_plot(facts)),
        duo(*(past(facts, known, kind) for kind in kinds), None if pairs else margin_plot(facts, "operation")),
        *(comparisons(facts, known) if pairs else ()),
        duo(margin_plot(facts, "operation"), margin_plot(facts, "edge")) if pairs else None,
        duo(drift_plot(facts), step_plot(facts)),
        lead="The cell that would be derived after each epoch, and its edit distance to the epoch before and to the "
        "last epoch.",
    )


def duo(*plots: Html | None) -> Html:
    return tag("div", *(one for one in plots if one is not None), class_="duo")


# --- The claim --------------------------------------------------------------------------------------------------------


def claim_box(facts: Facts) -> Html | None:
    """Whether the claim that the drawn cells do not change is true for this run, counted from its own epochs."""
    found = {kind: change_of(facts.history, kind) for kind in facts.form.kinds}
    known = {kind: change for kind, change in found.items() if change is not None}
    if not known:
        return None
    lines = [kind_words(kind, change) for kind, change in known.items()]
    return box("note", f"{CLAIM}: {verdict(facts, list(known.values()))}", sentences(*lines), *foot(facts, known))


def verdict(facts: Facts, found: Sequence[Change]) -> str:
    """Whether the claim is true, in a few words."""
    last = max((change.last for change in found if change.last is not None), default=None)
    if last is None:
        return "true for this search"
    end = with_cells(facts.history)[-1].epoch
    if last < 0.5 * end:
        return f"true for this search only after epoch {last}"
    return "not true for this search"


def kind_words(kind: str, change: Change) -> str:
    """One kind of cell in two sentences."""
    name = words.capital(TITLES[kind])
    if change.times == 0:
        again = "; only the numbering of its nodes changed, so its drawing differs" if change.renumbered else ""
        return f"{name}: the same cell at all {change.moments + 1} epochs{again}."
    exchanged = words.plural(change.inputs, "input")
    return (
        f"{name}: the cell changed at {change.times} of {change.moments} epochs, with {exchanged} exchanged in total; "
        f"the last change was at epoch {change.last}. The first and the last cell differ in {change.apart} of "
        f"{change.of} inputs."
    )


def foot(facts: Facts, known: dict[str, Change]) -> list[str]:
    """The baseline for the numbers, and how exchanged nodes are treated."""
    space = str(facts.config.get("space", "darts"))
    far = {kind: random_distance(space, kind) for kind in known}
    distances = [f"{value:.1f} inputs ({TITLES[kind]})" for kind, value in far.items() if value is not None]
    pairs = f"mean of {changes.BASELINE_PAIRS} pairs of the space {space}"
    baseline = f"Two random cells differ in {' and '.join(distances)} ({pairs}). " if distances else ""
    drawn = "Two cells count as equal if they differ only in the numbers of their nodes or in the order of inputs."
    if not facts.form.competing:
        drawn = "An input is an edge with its operation, none among them."
    return [baseline + drawn, *swap_words(facts), *given_words(facts)]


def given_words(facts: Facts) -> list[str]:
    """If the result of the run is not the cell of its last epoch: a line that says so."""
    last = with_cells(facts.history)[-1].architecture
    if facts.final is None or last is None or facts.final.space != last.space:
        return []
    edits = sum(facts.form.apart(facts.final, last, kind).edits for kind in facts.form.kinds)
    if edits == 0:
        return []
    return [f"The result of the run is not the cell of its last epoch: their edit distance is {edits}."]


def swap_words(facts: Facts) -> list[str]:
    """For each swap of the chain: how many inputs changed from just before it to the end."""
    history = with_cells(facts.history)
    lines = []
    for swap in facts.swaps:
        at = swap_index(history, swap)
        if 0 < at < len(history):
            parts = []
            for kind in facts.form.kinds:
                found = changes.apart(history[at - 1], history[-1], kind)
                parts.append(f"{found.inputs} of {found.of} inputs changed in the {TITLES[kind]}")
            since = f"From just before the swap to {swap.data} (epoch {swap.epoch}) to the end"
            lines.append(f"{since}: {' and '.join(parts)}.")
    return lines


# --- Pictures of cells ------------------------------------------------------------------------------------------------


def strip_picture(facts: Facts, kind: str) -> Html:
    """Every epoch's derived cell in a small picture, as a figure of the page."""
    frames = epoch_frames(facts, with_cells(facts.history), kind)
    caption = (
        "One picture per epoch, with each node in the same place; the two dots at the left are the cell's inputs. "
        "Thick: inputs that the cell of the epoch before did not have. A stronger frame: the cell differs from the one "
        "before."
    )
    title = f"The derived {TITLES[kind]} of every epoch"
    return picture(strip(frames, kind), caption, f"{facts.name}-strip-{kind}", title=title, wide=True)


def past(facts: Facts, known: Sequence[Epoch], kind: str) -> Html:
    """Edges against epochs."""
    cells = [facts.form.graph(epoch.architecture, kind) for epoch in known if epoch.architecture is not None]
    largest = max(cells, key=lambda one: len(one.nodes))
    swaps = [swap_index(known, swap) for swap in facts.swaps]
    caption = (
        "One row per edge, one column per epoch; coloured if the edge is in the derived cell. The frame follows the "
        "epoch slider."
    )
    return picture(
        grids.history(known, largest, facts.form, swaps),
        caption,
        f"{facts.name}-history-{kind}",
        title=f"Derived {TITLES[kind]}",
        wide=True,
    )


def comparisons(facts: Facts, known: Sequence[Epoch]) -> list[Html]:
    """The first cell against the last one; for each swap the cell before it against the last one after it."""
    ends = [swap_index(known, swap) for swap in facts.swaps] + [len(known)]
    found = [two_epochs(known[0], known[-1], facts.name)]
    for start, end in pairwise(ends):
        if 0 < start < end:
            found.append(two_epochs(known[start - 1], known[end - 1], f"{facts.name}-swap-{start}"))
    return [join([tag("h3", "Two epochs in one picture"), tag("p", DIFFERENCE_LEAD, class_="small"), *found])]


def two_epochs(one: Epoch, other: Epoch, name: str) -> Html:
    """The difference of two epochs' cells, under a heading."""
    pictures = [
        difference_picture(cell_of(one, kind), cell_of(other, kind), kind, f"{name}-difference-{kind}")
        for kind in darts.CELLS
    ]
    return join([tag("h4", f"{moment(one)} → {moment(other)}", class_="between"), pair(*pictures)])


def moment(epoch: Epoch) -> str:
    """The epoch's number in the chain and, if there is a chain, in its own run."""
    word = grids.epoch_word(epoch)
    return f"{word} ({epoch.place})" if epoch.place else word


def difference_picture(one: darts.Cell, other: darts.Cell, kind: str, name: str) -> Html:
    """Two cells in one figure: inputs in both, removed and added. The second has the numbers of its best matching."""
    drawn, found = aligned(one, other), compare(one, other)
    change = difference(one, drawn)
    shared = words.plural(len(change.shared), "input")
    counts = f"{shared} in both, {len(change.removed)} removed, {len(change.added)} added."
    numbers = ", ".join(f"{partner} as {node}" for node, partner in enumerate(found.matching, 2) if partner != node)
    matched = f" Nodes of the second cell are drawn at their best match in the first: {numbers}." if numbers else ""
    svg = difference_svg(one, drawn, kind)
    return picture(svg, counts + matched, name, title=TITLES[kind].capitalize(), wide=True)


# --- Curves -----------------------------------------------------------------------------------------------------------


def both(facts: Facts, points: Callable[[str], Points], *, dashed: bool = False, name: str = "") -> list[Series]:
    """A line for each kind of cell that has points which are numbers."""
    found, dashes = [], DASHED if dashed else ()
    for kind, colour in zip(facts.form.kinds, COLOURS, strict=False):
        known = [(x, y) for x, y in points(kind) if math.isfinite(y)]
        if known:
            line = Series(f"{TITLES[kind]}{name}", [x for x, _ in known], [y for _, y in known], colour, dashes)
            found.append(line)
    return found


def distance_plot(facts: Facts) -> Html | None:
    """Distance between the derived cells of successive epochs."""
    lines = both(facts, lambda kind: changes.between_epochs(facts.history, kind))
    matching = ", at the best matching of nodes" if facts.form.competing else ""
    caption = f"Inputs that differ from those of the epoch before{matching}.{dotted(facts)}"
    return plot(facts, "Changed since the epoch before", lines, caption, integers=True)


def remaining_plot(facts: Facts) -> Html | None:
    """Distance of every epoch's derived cell to that of the last epoch."""
    lines = both(facts, lambda kind: changes.to_last(facts.history, kind))
    caption = f"Inputs that differ from those of the last epoch's cell.{dotted(facts)}"
    return plot(facts, "Distance to the last cell", lines, caption, integers=True)


def margin_plot(facts: Facts, of: str) -> Html | None:
    """Smallest margin of the operations, or of the edges, of the derived cell over the epochs."""
    measure = {"operation": changes.operation_margins, "edge": changes.edge_margins}[of]
    known = [epoch for epoch in with_cells(facts.history) if set(facts.form.kinds) <= set(epoch.weights)]

    def points(kind: str) -> Points:
        return [(epoch.epoch, changes.least(measure(epoch, kind, facts.operations))) for epoch in known]

    caption = {
        "operation": "Smallest margin of an operation over the second strongest, over the edges in the cell, in points "
        "of weight.",
        "edge": "Smallest margin, over the nodes, of the weakest edge in the cell over the strongest edge not in it, "
        "in points of weight.",
    }[of]
    return plot(facts, f"Smallest margin of an {of}", both(facts, points), caption + dotted(facts), percent=True)


def drift_plot(facts: Facts) -> Html | None:
    """Distance of alpha from its first value; for a chain of runs, from the first value of the first run."""
    lines = both(facts, lambda kind: changes.drift_from_start(facts.history, kind))
    caption = f"Euclidean norm of alpha minus its first value, over all edges and operations.{dotted(facts)}"
    return plot(facts, "Drift of alpha", lines, caption)


def step_plot(facts: Facts) -> Html | None:
    """How far alpha moves in each epoch."""
    lines = both(facts, lambda kind: changes.drift_between_epochs(facts.history, kind))
    caption = f"Euclidean norm of the change of alpha from the start to the end of an epoch.{dotted(facts)}"
    return plot(facts, "Step of alpha in an epoch", lines, caption)


def dotted(facts: Facts) -> str:
    return " Dotted: the swap." if facts.swaps else ""
