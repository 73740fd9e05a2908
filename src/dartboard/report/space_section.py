"""The section of a search's page that says what the networks of its space cost, from the smallest to the largest."""

from pathlib import Path

from dartboard.report.blocks import command, section, table
from dartboard.report.facts import Facts
from dartboard.report.markup import Html, tag
from dartboard.scoring.limits import number_in_words
from dartboard.scoring.space_costs import NETWORKS, WORDS, SpaceCosts, noted, question


def space_section(facts: Facts) -> Html | None:
    """None for a run that noted no such costs."""
    costs = noted(facts.environment)
    if costs is None:
        return None
    met = [tag("p", tag("code", one.limit), f": {one.words}.", class_="prose") for one in costs.limits]
    lead = f"{costs.space} has {costs.size:,} networks, whose weights are all in one supernet."
    ask = command(question(costs, Path(facts.folder)), "Ask it for the best network within limits:")
    return section("space", "The space", table_of(costs), *met, ask if facts.done else None, lead=lead)


def table_of(costs: SpaceCosts) -> Html:
    """Smallest, middle and largest network, and how far apart they are."""
    names = list(costs.smallest)
    rows = [(name, *(number_in_words(getattr(costs, name)[cost]) for cost in names)) for name in NETWORKS]
    rows.append(("largest / smallest", *(f"{costs.ratio(cost):.3g}" for cost in names)))
    caption = "Of the network in the middle, all choices have their middle option. MB: float32 weights and live maps."
    return table(("network", *(WORDS[cost] for cost in names)), rows, caption=caption)
