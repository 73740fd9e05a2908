"""What a person calls the architecture of a run. No torch."""

from pathlib import Path

from dartboard import formats
from dartboard.report.facts import Facts
from dartboard.report.measures import has_cells
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture


def architecture_name(facts: Facts) -> str:
    """The published name of the run's architecture, or the search it comes from, or the run's own name."""
    if (name := published_name(facts.architecture)) is not None:
        return name
    parent = facts.environment.get("parent")
    return Path(parent).name if isinstance(parent, str) and parent else facts.name


def published_name(architecture: Architecture | None) -> str | None:
    if architecture is None:
        return None
    own = ordered(architecture)
    return next((name for name, entry in formats.published().items() if ordered(entry.architecture) == own), None)


def ordered(architecture: Architecture) -> Architecture:
    """The architecture in one order, where it may be written in several that have the same meaning."""
    return darts.canonical(architecture) if has_cells(architecture) else architecture
