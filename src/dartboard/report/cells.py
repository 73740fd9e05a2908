"""The cells of an architecture on the page, and whether the normal one is turning into skip connections."""

from dartboard import formats
from dartboard.paths import quoted
from dartboard.report import words
from dartboard.report.blocks import box, legend, pair, picture, sentences
from dartboard.report.drawing import GRAPHS, cell_svg, plain_svg
from dartboard.report.facts import Facts
from dartboard.report.forms import FORMS, TITLES, has_form
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import PARAMETER_FREE, cell_of, has_cells, num_skips, operations_of
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture

DARTS_PLUS_SKIPS = 2
NUMBERS_NOTE = "Numbers are the genotype's; its nodes 0 and 1 are the outputs of the two cells before."


def cells(architecture: Architecture | None, name: str) -> Html:
    """Both cells side by side, with a legend and the genotype; other architectures as text."""
    if architecture is None:
        return tag("p", "This run has no architecture yet.")
    if not has_cells(architecture):
        return plain(architecture, name)
    found = {kind: darts.cell(architecture, kind) for kind in darts.CELLS}
    pictures = [
        picture(
            cell_svg(cell, kind), cell_caption(cell, kind), f"{name}-{kind}", title=TITLES[kind].capitalize(), wide=True
        )
        for kind, cell in found.items()
    ]
    used = [operation for cell in found.values() for operation in operations_of(cell)]
    genotype = tag(
        "details", tag("summary", "As text"), tag("pre", tag("code", genotype_text(architecture)), tabindex=0)
    )
    return join([pair(*pictures), legend(used), tag("p", NUMBERS_NOTE, class_="small"), genotype])


def plain(architecture: Architecture, name: str) -> Html:
    """The graphs of an architecture of another family, one below the other; as text alone where it has none."""
    code = tag("pre", tag("code", genotype_text(architecture)), tabindex=0, class_="genotype")
    if architecture.space not in GRAPHS:
        return code
    graphs = GRAPHS[architecture.space](architecture)
    pictures = []
    for one in graphs:
        caption, file_name = graph_caption(architecture, one), f"{name}-{one.title}"
        pictures.append(picture(plain_svg(one), caption, file_name, title=one.title.capitalize(), wide=True))
    return join([*pictures, legend(operation for one in graphs for _, _, operation in one.edges), code])


def graph_caption(architecture: Architecture, one: Graph) -> str:
    operations = [operation for _, _, operation in one.edges]
    skips = words.plural(operations.count("skip_connect"), "skip connection")
    pools = words.plural(sum("pool" in operation for operation in operations), "pool")
    most = len(architecture.choices)
    told = f"{len(operations)} of {most} edges, {skips}, {pools}; an edge that is none is not drawn."
    return f"{told} A node is the sum of its inputs."


def cell_caption(cell: darts.Cell, kind: str) -> str:
    operations = operations_of(cell)
    skips = words.plural(num_skips(cell), "skip connection")
    pools = words.plural(sum("pool" in operation for operation in operations), "pool")
    place = "Keeps the size of the maps." if kind == "normal" else "Halves the maps, doubles the channels."
    return f"{place} {len(operations)} inputs, {skips}, {pools}; joins {', '.join(map(str, cell.concat))}."


def genotype_text(architecture: Architecture) -> str:
    return formats.write(architecture, FAMILIES[architecture.space].notation)


def collapse_box(facts: Facts) -> Html | None:
    """Whether the normal cell has turned into skip connections, in three steps, and whose thresholds these are."""
    if facts.architecture is None or not has_form(facts.architecture):
        return None
    form = FORMS[facts.architecture.space]
    title = TITLES[form.kinds[0]]
    operations = [operation for _, _, operation in form.inputs(facts.architecture, form.kinds[0])]
    skips, free = operations.count("skip_connect"), sum(operation in PARAMETER_FREE for operation in operations)
    verb = "is a skip connection" if skips == 1 else "are skip connections"
    share = f"{skips} of the {len(operations)} inputs of the {title} {verb}, {free} in all have no weights."
    if 2 * skips > len(operations) or free == len(operations):
        look = tag("code", f"dartboard show {quoted(facts.folder)} --epoch N")
        advice = "Such cells train to poor networks. An earlier epoch may be better; this shows its cell: "
        own = "More than half, or no weights at all: that line is this page's own."
        return box("warning", f"The {title} has collapsed", sentences(share, advice, look), f"{own} {rule(facts)}")
    if skips >= DARTS_PLUS_SKIPS and form.competing:
        return box("note", "Two skip connections or more", f"{share} {rule(facts)}")
    return box("good", f"No sign of collapse {'at the end' if facts.done else 'so far'}", f"{share} {rule(facts)}")


def rule(facts: Facts) -> str:
    """The rule of DARTS+, when it would have stopped this search, and what it is worth."""
    if not facts.form.competing:
        return ""
    known = [epoch for epoch in facts.epochs if has_cells(epoch.architecture)]
    early = next((epoch for epoch in known if num_skips(cell_of(epoch, "normal")) >= DARTS_PLUS_SKIPS), None)
    when = f"here after epoch {early.epoch}" if early else "which never happened here"
    return (
        f"DARTS+ (Liang et al. 2019) stops a search once the normal cell has {DARTS_PLUS_SKIPS} skip connections, "
        f"{when}. That threshold is theirs, for cells of eight inputs on CIFAR; the published DARTS_V2 has two as well."
    )
