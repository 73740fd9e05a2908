"""The edit distance of two cells: the number of edits that turn one into the other. No torch.

A cell is a labelled graph: its inputs (operation, predecessor) are the edges, and each of its nodes is in the concat or
not. One edit replaces, adds or removes an input of a node, or adds a node to the concat or removes it; each costs 1.
For two cells with the same numbering the cost is, with A_i and B_i the inputs of node i as multisets and C the concats,

    cost(A, B) = sum over nodes i of (max(|A_i|, |B_i|) - |A_i and B_i in common|) + |C_A xor C_B|                   (1)

The numbers of intermediate nodes have no meaning: the distance is the least cost over all renumberings pi of them
(the cell's two inputs keep their places; nodes that only one cell has are matched with empty ones):

    d(A, B) = min over pi of cost(pi A, B)                                                                           (2)

(1) is a metric that does not change if both cells are renumbered, so (2) is a metric on cells up to isomorphism:
symmetric, zero for isomorphic cells only, with the triangle inequality. It is a graph edit distance (A. Sanfeliu and
K. S. Fu, IEEE Trans. SMC 13(3), 1983) with unit costs; isomorphic cells are counted as one, as in NAS-Bench-101
(C. Ying et al., ICML 2019). With |A| the edits that build A from nothing, the share 2d / (|A| + |B| + d) is in [0, 1]
and is a metric as well (Li Yujian and Liu Bo, A Normalized Levenshtein Distance Metric, IEEE Trans. PAMI 29(6), 2007).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from dartboard.errors import InputError
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

MAX_MATCHED = 7  # nodes; 7! = 5040 renumberings. Larger cells are compared with the numbers that their nodes have

Inputs = tuple[darts.Edge, ...]
COMPARED = ("darts",)  # the families whose architectures are pairs of such cells


def check_compared(family: str, who: str) -> None:
    """Raises InputError unless cells of this family can be compared. who: what would compare them, such as "why"."""
    if family not in COMPARED:
        raise InputError(f"{who} compares normal and reduction cells; the space {family} has none")


@dataclass(frozen=True)
class Comparison:
    """Two cells at their best matching.

    inputs: inputs to replace, add or remove; edges: those of them with another predecessor (the rest, `operations`,
    keep it and change the operation); concat: nodes that only one of the two joins; of: inputs of the larger
    cell; matching: for each node of the first cell, from node 2 on, the number of its partner in the second.
    """

    inputs: int
    edges: int
    concat: int
    of: int
    matching: tuple[int, ...]

    @property
    def operations(self) -> int:
        return self.inputs - self.edges

    @property
    def edits(self) -> int:
        """Eq. 2."""
        return self.inputs + self.concat


def distance(one: Architecture, other: Architecture) -> int:
    """Edits between two pairs of cells: Eq. 2 of the normal cells plus that of the reduction cells."""
    return sum(compare(darts.cell(one, kind), darts.cell(other, kind)).edits for kind in darts.CELLS)


def inputs_changed(one: Architecture, other: Architecture) -> int:
    """`distance` without the concats: how many inputs of both cells differ."""
    return sum(compare(darts.cell(one, kind), darts.cell(other, kind)).inputs for kind in darts.CELLS)


def share(one: Architecture, other: Architecture) -> float:
    """The distance as a metric in [0, 1]: 2 d / (|A| + |B| + d); 0 for isomorphic cells."""
    edits = distance(one, other)
    sizes = sum(size(darts.cell(each, kind)) for each in (one, other) for kind in darts.CELLS)
    return 2 * edits / (sizes + edits)


def size(cell: darts.Cell) -> int:
    """Edits that build the cell from nothing: its inputs and the nodes of its concat."""
    return sum(map(len, cell.nodes)) + len(cell.concat)


@lru_cache(maxsize=8192)
def compare(one: darts.Cell, other: darts.Cell) -> Comparison:
    """The two cells at a matching of least cost (Eq. 2); of several, the one nearest to the present numbers."""
    matching = best_matching(one, other)
    inputs = edges = concat = 0
    for node, partner in enumerate(matching):
        own, theirs = renumbered(one, node, matching), inputs_of(other, partner)
        inputs += differing(own, theirs)
        edges += differing([source for _, source in own], [source for _, source in theirs])
        concat += joined(one, node) != joined(other, partner)
    most = max(sum(map(len, cell.nodes)) for cell in (one, other))
    numbers = tuple(darts.NUM_INPUTS + partner for partner in matching[: len(one.nodes)])
    return Comparison(inputs, edges, concat, most, numbers)


def best_matching(one: darts.Cell, other: darts.Cell) -> tuple[int, ...]:
    """For each node of the first cell, counted from 0, its partner; the shorter cell is filled up with empty nodes.

    Node by node in the order of the first cell: a node's predecessors then have partners already, so its cost is known.
    A branch is abandoned if its cost, with the least that the remaining nodes can add, reaches that of the best one.
    """
    number = max(len(one.nodes), len(other.nodes))
    best = tuple(range(number))
    if number > MAX_MATCHED:
        return best
    least = sum(node_cost(one, other, best[: node + 1]) for node in range(number))
    remaining = least_remaining(one, other, number)
    stack: list[tuple[tuple[int, ...], int]] = [((), 0)]
    while stack:
        matching, cost = stack.pop()
        if cost + remaining[len(matching)] >= least:
            continue
        if len(matching) == number:
            best, least = matching, cost
            continue
        longer = [(*matching, partner) for partner in nearest_last(len(matching), number) if partner not in matching]
        stack += [(each, cost + node_cost(one, other, each)) for each in longer]
    return best


def least_remaining(one: darts.Cell, other: darts.Cell, number: int) -> list[int]:
    """For each node, what it and those after it cost at least: with any partners, whatever their predecessors."""
    found = [0]
    for node in reversed(range(number)):
        own = [operation for operation, _ in inputs_of(one, node)]
        theirs = ([operation for operation, _ in inputs_of(other, partner)] for partner in range(number))
        found.append(found[-1] + min(differing(own, each) for each in theirs))
    return found[::-1]


def nearest_last(node: int, number: int) -> list[int]:
    """Partners in the order in which the stack returns them: the node's own number first, then the nearest."""
    return sorted(range(number), key=lambda partner: (-abs(partner - node), -partner))


def node_cost(one: darts.Cell, other: darts.Cell, matching: tuple[int, ...]) -> int:
    """The term of Eq. 1 of the last node that `matching` gives a partner."""
    node, partner = len(matching) - 1, matching[-1]
    cost = differing(renumbered(one, node, matching), inputs_of(other, partner))
    return cost + (joined(one, node) != joined(other, partner))


def differing(one: Sequence[object], other: Sequence[object]) -> int:
    """max(|A|, |B|) - |A and B in common| of two multisets: replacements, additions and removals."""
    return max(len(one), len(other)) - (Counter(one) & Counter(other)).total()


def inputs_of(cell: darts.Cell, node: int) -> Inputs:
    return cell.nodes[node] if node < len(cell.nodes) else ()


def joined(cell: darts.Cell, node: int) -> bool:
    return node + darts.NUM_INPUTS in cell.concat


def renumbered(cell: darts.Cell, node: int, matching: Sequence[int]) -> Inputs:
    """The node's inputs with the numbers that `matching` gives their predecessors."""
    return tuple((operation, renumber(source, matching)) for operation, source in inputs_of(cell, node))


def renumber(source: int, matching: Sequence[int]) -> int:
    """The new number of a predecessor; the cell's two inputs keep theirs."""
    return source if source < darts.NUM_INPUTS else darts.NUM_INPUTS + matching[source - darts.NUM_INPUTS]


# --- Isomorphic cells -------------------------------------------------------------------------------------------------


def isomorphic(one: darts.Cell, other: darts.Cell) -> bool:
    """Whether a renumbering of the intermediate nodes turns one into the other; up to MAX_MATCHED nodes."""
    return compare(one, other).edits == 0


@lru_cache(maxsize=8192)
def canonical(cell: darts.Cell) -> darts.Cell:
    """One cell for all isomorphic ones: the least of the legal renumberings, inputs and concat sorted.

    A cell of more than MAX_MATCHED nodes keeps its numbers.
    """
    orders = legal_orders(cell) if len(cell.nodes) <= MAX_MATCHED else [range(len(cell.nodes))]
    return min((relabel(cell, order) for order in orders), key=lambda one: (one.nodes, one.concat))


def legal_orders(cell: darts.Cell) -> Iterator[tuple[int, ...]]:
    """New places of the nodes, counted from 0, by which every node still reads earlier nodes only."""
    for order in permutations(range(len(cell.nodes))):
        if all(
            renumber(source, order) < darts.NUM_INPUTS + order[node]
            for node, inputs in enumerate(cell.nodes)
            for _, source in inputs
        ):
            yield order


def relabel(cell: darts.Cell, places: Sequence[int]) -> darts.Cell:
    """The cell with node i + 2 at the number places[i] + 2, inputs by operation and concat by number."""
    nodes: dict[int, Inputs] = {
        places[node]: tuple(sorted(renumbered(cell, node, places))) for node in range(len(cell.nodes))
    }
    concat = tuple(sorted(renumber(node, places) for node in cell.concat))
    return darts.Cell(tuple(nodes[place] for place in range(len(cell.nodes))), concat)


def aligned(one: darts.Cell, other: darts.Cell) -> darts.Cell:
    """The second cell with the numbers of the first at their best matching, for a picture of both.

    If the second has more nodes than the first, those without a partner get the remaining numbers. A node may then read
    one with a higher number: the returned cell is for drawing and counting, and is not an architecture.
    """
    matching = best_matching(one, other)
    places = {partner: node for node, partner in enumerate(matching)}
    number = max(len(one.nodes), len(other.nodes))
    order = [places[partner] for partner in range(number)]
    nodes = {order[node]: renumbered(other, node, order) for node in range(len(other.nodes))}
    concat = tuple(sorted(renumber(node, order) for node in other.concat))
    return darts.Cell(tuple(nodes.get(place, ()) for place in range(number)), concat)
