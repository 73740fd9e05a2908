"""The distance between cells: by enumeration of small spaces, against graphs searched in another way."""

from itertools import combinations, permutations, product
from random import Random

import pytest
from hypothesis import given, settings

from cell_strategies import cells
from dartboard.analysis.edit_distance import (
    MAX_MATCHED,
    aligned,
    canonical,
    compare,
    distance,
    inputs_changed,
    isomorphic,
    relabel,
    share,
    size,
)
from dartboard.formats import published
from dartboard.spaces import darts

TWO = ("skip_connect", "sep_conv_3x3")


def small_cells(num_nodes: int, operations: tuple[str, ...] = TWO) -> list[darts.Cell]:
    """Every cell of so many nodes with two inputs of different predecessors each, all nodes in the concat."""
    options = [
        [
            tuple(zip(names, sources, strict=True))
            for sources in combinations(range(number), 2)
            for names in product(operations, repeat=2)
        ]
        for number in range(2, 2 + num_nodes)
    ]
    return [darts.Cell(nodes, tuple(range(2, 2 + num_nodes))) for nodes in product(*options)]


def one_input_cells(num_nodes: int) -> list[darts.Cell]:
    """Every cell whose nodes have one input each, with every concat."""
    options = [[((op, source),) for op in TWO for source in range(number)] for number in range(2, 2 + num_nodes)]
    numbers = range(2, 2 + num_nodes)
    concats = [joined for length in numbers for joined in combinations(numbers, length - 1)]
    return [darts.Cell(nodes, concat) for nodes in product(*options) for concat in concats]


def edges_of(cell: darts.Cell, names: tuple[int, ...]) -> list[tuple[str, int, int]]:
    """The cell as a list of (operation, source, target) under other names for its nodes; concats lead to -1."""
    name = {0: 0, 1: 1} | {number: names[number - 2] for number in range(2, 2 + len(names))}
    found = [(op, name[source], name[target]) for target, inputs in enumerate(cell.nodes, 2) for op, source in inputs]
    return found + [("concat", name[node], -1) for node in cell.concat]


def brute(one: darts.Cell, other: darts.Cell) -> int:
    """Eq. 2 by all renumberings and by pairing off equal edges, target by target."""
    number = max(len(one.nodes), len(other.nodes))
    found = []
    for order in permutations(range(2, 2 + number)):
        mine, theirs = edges_of(one, order[: len(one.nodes)]), edges_of(other, tuple(range(2, 2 + len(other.nodes))))
        cost = 0
        for target in range(2, 2 + number):
            left, right = ([edge for edge in edges if edge[2] == target] for edges in (mine, theirs))
            unpaired = list(right)
            for edge in left:
                if edge in unpaired:
                    unpaired.remove(edge)
            cost += max(len(left), len(right)) - (len(right) - len(unpaired))
        joined = [{edge for edge in edges if edge[2] == -1} for edges in (mine, theirs)]
        found.append(cost + len(joined[0] ^ joined[1]))
    return min(found)


@pytest.mark.parametrize("found", [small_cells(2), one_input_cells(2)], ids=["two inputs", "one input"])
def test_the_distance_of_every_two_small_cells_is_the_least_over_all_renumberings(found: list[darts.Cell]) -> None:
    for one, other in product(found, repeat=2):
        assert compare(one, other).edits == brute(one, other)


def test_the_distance_is_a_metric_on_every_three_cells_of_a_small_space() -> None:
    found = small_cells(2)
    table = [[compare(one, other).edits for other in found] for one in found]
    for a, b in product(range(len(found)), repeat=2):
        assert table[a][b] == table[b][a]
        assert (table[a][b] == 0) == (canonical(found[a]) == canonical(found[b]))
    for a, b, c in product(range(len(found)), repeat=3):
        assert table[a][c] <= table[a][b] + table[b][c]


def test_the_distance_and_its_share_obey_the_triangle_among_cells_of_unlike_sizes() -> None:
    rng = Random(0)
    found = [rng.choice(small_cells(number)) for number in (1, 2, 3) for _ in range(6)] + one_input_cells(2)[:8]

    def part(one: darts.Cell, other: darts.Cell) -> float:
        edits = compare(one, other).edits
        return 2 * edits / (size(one) + size(other) + edits)

    for one, other, third in product(found, repeat=3):
        assert compare(one, third).edits <= compare(one, other).edits + compare(other, third).edits
        assert part(one, third) <= part(one, other) + part(other, third) + 1e-12
    assert max(part(one, other) for one, other in product(found, repeat=2)) <= 1


def test_a_canonical_form_is_shared_by_exactly_the_isomorphic_cells_of_three_nodes() -> None:
    found = Random(1).sample(small_cells(3), 60)
    found += [relabel(cell, order) for cell in found[:12] for order in permutations(range(3)) if legal(cell, order)]
    for one, other in combinations(found, 2):
        assert (canonical(one) == canonical(other)) == isomorphic(one, other) == (brute(one, other) == 0)


def legal(cell: darts.Cell, order: tuple[int, ...]) -> bool:
    return all(
        source < 2 or order[source - 2] < order[node] for node, inputs in enumerate(cell.nodes) for _, source in inputs
    )


@settings(max_examples=25, deadline=None)
@given(cells(max_inputs=3), cells(max_inputs=3))
def test_any_two_cells_have_the_same_distance_both_ways_and_none_to_themselves(
    one: darts.Cell, other: darts.Cell
) -> None:
    there, back = compare(one, other), compare(other, one)
    assert there.edits == back.edits
    assert compare(one, one).edits == 0
    assert 0 <= there.edges <= there.inputs <= there.edits <= size(one) + size(other)
    assert there.edits <= 0 or not isomorphic(one, other)


@settings(max_examples=25, deadline=None)
@given(cells(max_inputs=3), cells(max_inputs=3))
def test_the_aligned_cell_differs_from_the_first_by_the_distance_at_the_numbers_as_they_are(
    one: darts.Cell, other: darts.Cell
) -> None:
    drawn = aligned(one, other)
    cost = len(set(one.concat) ^ set(drawn.concat))
    for node in range(len(drawn.nodes)):
        mine = list(one.nodes[node]) if node < len(one.nodes) else []
        common = 0
        for edge in drawn.nodes[node]:
            if edge in mine:
                mine.remove(edge)
                common += 1
        cost += max(len(one.nodes[node]) if node < len(one.nodes) else 0, len(drawn.nodes[node])) - common
    assert cost == compare(one, other).edits


def test_exchanged_nodes_and_exchanged_inputs_are_no_difference() -> None:
    one = darts.Cell(
        (
            (("skip_connect", 0), ("sep_conv_3x3", 1)),
            (("dil_conv_3x3", 0), ("sep_conv_3x3", 1)),
            (("sep_conv_5x5", 2), ("skip_connect", 3)),
        ),
        (2, 3, 4),
    )
    other = darts.Cell(
        (
            (("sep_conv_3x3", 1), ("dil_conv_3x3", 0)),
            (("skip_connect", 0), ("sep_conv_3x3", 1)),
            (("skip_connect", 2), ("sep_conv_5x5", 3)),
        ),
        (4, 3, 2),
    )
    assert compare(one, other).edits == 0
    assert compare(one, other).matching == (3, 2, 4)
    assert canonical(one) == canonical(other)


def test_edges_and_operations_that_differ_are_told_apart() -> None:
    one = darts.Cell(((("skip_connect", 0), ("skip_connect", 1)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))), (2, 3))
    operation = darts.Cell(((("skip_connect", 0), ("max_pool_3x3", 1)), one.nodes[1]), (2, 3))
    edge = darts.Cell((one.nodes[0], (("sep_conv_3x3", 0), ("sep_conv_3x3", 2))), (2, 3))
    joined = darts.Cell(one.nodes, (3,))
    counts = [
        (found.inputs, found.edges, found.operations, found.concat, found.of)
        for found in (compare(one, each) for each in (operation, edge, joined))
    ]
    assert counts == [(1, 0, 1, 0, 4), (1, 1, 0, 0, 4), (0, 0, 0, 1, 4)]


def test_the_distance_of_architectures_adds_both_cells() -> None:
    one, other = published()["DARTS_V1"].architecture, published()["DARTS_V2"].architecture
    parts = [compare(darts.cell(one, kind), darts.cell(other, kind)) for kind in darts.CELLS]
    assert distance(one, other) == sum(part.edits for part in parts) > 0
    assert inputs_changed(one, other) == sum(part.inputs for part in parts)
    assert share(one, one) == 0 < share(one, other) < 1
    whole = sum(size(darts.cell(each, kind)) for each in (one, other) for kind in darts.CELLS)
    assert share(one, other) == pytest.approx(2 * distance(one, other) / (whole + distance(one, other)))


def test_cells_too_large_to_match_are_compared_by_their_numbers() -> None:
    number = MAX_MATCHED + 1
    one = darts.Cell(tuple((("skip_connect", node % 2),) for node in range(number)), (2,))
    other = darts.Cell(tuple((("skip_connect", (node + 1) % 2),) for node in range(number)), (2,))
    assert compare(one, other).edits == number
    assert compare(one, one).edits == 0
    assert canonical(one) == one
