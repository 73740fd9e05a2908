"""The cells of an architecture on the page, and whether the normal one is turning into skip connections."""

from dartboard import formats
from dartboard.errors import InputError
from dartboard.paths import quoted
from dartboard.report import palette, words
from dartboard.report.blocks import box, legend, pair, picture, sentences
from dartboard.report.drawing import graph_svg
from dartboard.report.facts import Facts
from dartboard.report.forms import form_for, has_form
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import PARAMETER_FREE, cell_of, has_cells, num_skips
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.graph import Graph, skips_and_pools
from dartboard.spaces.search_space import Architecture

DARTS_PLUS_SKIPS = 2


def cells(architecture: Architecture | None, name: str) -> Html:
    """The pictures of an architecture, several side by side, with a legend and its text."""
    if architecture is None:
        return tag("p", "This run has no architecture yet.")
    code = tag("code", genotype_text(architecture))
    graphs = FAMILIES[architecture.space].graphs(architecture)
    pictures = [
        picture(graph_svg(one), caption(one), f"{name}-{one.kind}", title=one.title.capitalize(), wide=True)
        for one in graphs
    ]
    used = legend(palette.named(operation) for one in graphs for _, _, operation in one.edges)
    if len(pictures) == 1:
        return join([*pictures, used, note(architecture), tag("pre", code, tabindex=0, class_="genotype")])
    genotype = tag("details", tag("summary", "As text"), tag("pre", code, tabindex=0))
    return join([pair(*pictures), used, note(architecture), genotype])


def note(architecture: Architecture) -> Html | None:
    """The note of its family below the pictures."""
    words_below = FAMILIES[architecture.space].note
    return tag("p", words_below, class_="small") if words_below else None


def caption(one: Graph) -> str:
    operations = [operation for _, _, operation in one.edges]
    return one.caption or f"{words.plural(len(operations), 'edge')}, {skips_and_pools(operations)}."


def genotype_text(architecture: Architecture) -> str:
    """In the notation of its family; as JSON, which can express every architecture, if that notation cannot."""
    try:
        return formats.write(architecture, FAMILIES[architecture.space].notation)
    except InputError:  # an imported cell, of nodes with one input or three
        return formats.write(architecture, "json")


def collapse_box(facts: Facts) -> Html | None:
    """Whether the normal cell has turned into skip connections, in three steps, and the sources of the thresholds."""
    if facts.architecture is None or not has_form(facts.architecture):
        return None
    form = form_for(facts.architecture)
    title = form.family.main
    operations = [operation for _, _, operation in form.inputs(facts.architecture, form.kinds[0])]
    skips, free = operations.count("skip_connect"), sum(operation in PARAMETER_FREE for operation in operations)
    verb = "is a skip connection" if skips == 1 else "are skip connections"
    share = f"{skips} of the {len(operations)} inputs of the {title} {verb}, {free} in total have no weights."
    if 2 * skips > len(operations) or free == len(operations):
        look = tag("code", f"dartboard show {quoted(facts.folder)} --epoch N")
        advice = "Networks of such cells train poorly. An earlier epoch may be better; this command shows its cell: "
        own = "The threshold of this warning, more than half or no weights at all, is dartboard's own."
        return box("warning", f"The {title} has collapsed", sentences(share, advice, look), f"{own} {rule(facts)}")
    if skips >= DARTS_PLUS_SKIPS and form.competing:
        return box("note", "Two skip connections or more", f"{share} {rule(facts)}")
    return box("good", f"No sign of collapse {'at the end' if facts.done else 'so far'}", f"{share} {rule(facts)}")


def rule(facts: Facts) -> str:
    """The rule of DARTS+, when it would have stopped this search, and how far it applies."""
    if not facts.form.competing:
        return ""
    known = [epoch for epoch in facts.epochs if has_cells(epoch.architecture)]
    early = next((epoch for epoch in known if num_skips(cell_of(epoch, "normal")) >= DARTS_PLUS_SKIPS), None)
    when = f"here after epoch {early.epoch}" if early else "which never happened here"
    return (
        f"DARTS+ (Liang et al. 2019) stops a search once the normal cell has {DARTS_PLUS_SKIPS} skip connections, "
        f"{when}. That threshold is theirs, for cells of eight inputs on CIFAR; the published DARTS_V2 has two as well."
    )
