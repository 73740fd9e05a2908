"""How the cells of a family are drawn in grids and pictures: its record in spaces/families.py, as the pages read it."""

from dataclasses import dataclass

from dartboard.analysis.edit_distance import COMPARED, Comparison, compare
from dartboard.plugins import Table
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES, Family
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture

Input = tuple[int, int, str]  # (source, target, operation), nodes by their places in the graph


def titles(kind: str = "") -> dict[str, str]:
    """The kinds of cells of all families that are loaded, in words."""
    return {name: title for family in FAMILIES.values() for name, title in family.kinds.items()}


TITLES: dict[str, str] = Table(titles(), titles)


@dataclass(frozen=True)
class Form:
    """A family with a relaxed form, or one of which only the architectures are drawn."""

    family: Family

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cells, as the family names them."""
        return tuple(self.family.kinds)

    @property
    def competing(self) -> bool:
        """Whether a node's edges compete, so that what is derived has only some of them."""
        return self.family.rivals is not None

    def relaxed(self, kind: str, num_rows: int) -> Graph | None:
        """The relaxed cell whose table has this number of rows; None if no cell has."""
        return self.family.relaxed(kind, num_rows) if self.family.relaxed is not None else None

    def graph(self, architecture: Architecture, kind: str) -> Graph:
        """The picture of one kind of its cells."""
        return next(one for one in self.family.graphs(architecture) if one.kind == kind)

    def inputs(self, architecture: Architecture, kind: str) -> list[Input]:
        """All inputs that a kind of cell adds up; `none` for an edge without an operation."""
        one = self.graph(architecture, kind)
        found = [(*place, operation) for place, (_, _, operation) in zip(one.places, one.edges, strict=True)]
        if not one.vacant:
            return found
        found += [(one.nodes.index(source), one.nodes.index(target), "none") for source, target in one.vacant]
        return sorted(found, key=lambda edge: (edge[1], edge[0]))

    def apart(self, one: Architecture, other: Architecture, kind: str) -> Comparison:
        """The edit distance of two cells; if every edge has its place, the number with another operation."""
        if one.space in COMPARED:
            return compare(darts.cell(one, kind), darts.cell(other, kind))
        before, after = self.inputs(one, kind), self.inputs(other, kind)
        return Comparison(len(set(before) - set(after)), 0, 0, len(after), ())


def has_form(architecture: Architecture | None) -> bool:
    """Whether the page can draw the relaxed cells of its family."""
    return architecture is not None and form_of(architecture.space) is not None


def form_of(family: str) -> Form | None:
    """None if the family is not known or has no relaxed form."""
    known = FAMILIES.get(family)
    return Form(known) if known is not None and known.relaxed is not None else None


def form_for(architecture: Architecture) -> Form:
    """The form of an architecture that has one (`has_form`)."""
    return Form(FAMILIES[architecture.space])
