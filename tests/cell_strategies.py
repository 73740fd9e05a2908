"""Hypothesis strategies: architectures of the DARTS space's value, far beyond SPACE."""

from hypothesis import strategies as st

from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

ALL_OPERATIONS = darts.OPERATIONS + darts.OTHER_OPERATIONS


@st.composite
def cells(draw: st.DrawFn, operations: tuple[str, ...] = ALL_OPERATIONS, max_inputs: int = 4) -> darts.Cell:
    """1 to 8 nodes, 1 to `max_inputs` inputs each, one predecessor used again, any concat."""
    count = draw(st.integers(1, 8))
    edge = st.tuples(st.sampled_from(operations), st.integers(0, 10**6))
    nodes = []
    for number in range(2, 2 + count):
        inputs = draw(st.lists(edge, min_size=1, max_size=max_inputs))
        nodes.append(tuple((operation, predecessor % number) for operation, predecessor in inputs))
    concat = draw(st.lists(st.integers(2, 1 + count), min_size=1, unique=True))
    return darts.Cell(tuple(nodes), tuple(concat))


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Two cells drawn apart."""
    return darts.architecture({kind: draw(cells()) for kind in darts.CELLS})


@st.composite
def two_input_architectures(draw: st.DrawFn, operations: tuple[str, ...] = ALL_OPERATIONS) -> Architecture:
    """Every node has two inputs: what the flat notation holds."""
    made = {}
    for kind in darts.CELLS:
        cell = draw(cells(operations, max_inputs=2))
        nodes = tuple((inputs * 2)[:2] for inputs in cell.nodes)
        made[kind] = darts.Cell(nodes, cell.concat)
    return darts.architecture(made)


@st.composite
def nnabla_architectures(draw: st.DrawFn) -> Architecture:
    """Two inputs a node, operations with an id, the same number of nodes in both cells, all of them in the output."""
    architecture = draw(two_input_architectures(darts.OPERATIONS))
    parts = {kind: darts.cell(architecture, kind).nodes for kind in darts.CELLS}
    count = min(len(nodes) for nodes in parts.values())
    concat = tuple(range(2, 2 + count))
    return darts.architecture({kind: darts.Cell(nodes[:count], concat) for kind, nodes in parts.items()})
