"""The micro space of ENAS, as plain data (Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via
Parameters Sharing, ICML 2018, arXiv 1802.03268; melodyguan/enas).

A cell has two inputs, node 0 (output of the layer before the last) and node 1 (output of the last layer), and five
blocks, nodes 2 to 6. A block takes two earlier nodes, which may be the same one, applies an operation to each, and adds
the results. The output joins all nodes that no block takes: the loose ends. There are two cells, `normal` and `reduce`.

The authors write an architecture as an arc of 40 integers: 20 for the normal cell, then 20 for the reduction cell, of
each block (first input, its operation, second input, its operation). The choices here are in the order in which their
controller takes them: of each block both inputs, then both operations.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from dartboard.errors import InputError
from dartboard.spaces import blocks as cells_of_blocks
from dartboard.spaces import timed_blocks
from dartboard.spaces.blocks import CELLS, NUM_INPUTS, TITLES, loose_ends, read_cells
from dartboard.spaces.family import Family
from dartboard.spaces.graph import Graph
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_blocks import Blocks, State
from dartboard.spaces.timed_cells import distinct
from dartboard.spaces.timed_layers import Layer, Sizes, TimedLayers

OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")  # by their ids
NUM_BLOCKS = 5
PARTS = ("input1", "input2", "operation1", "operation2")  # of a block, in the controller's order
BLOCKS = {"normal": "normal_blocks", "reduce": "reduce_blocks"}  # how the lists of `mixed` are called
MAX_BLOCKS = 20

Block = tuple[int, int, str, str]  # both inputs, both operations
mixed = partial(cells_of_blocks.mixed, names=BLOCKS)


def space(name: str, source: str, nodes: int = NUM_BLOCKS, operations: Sequence[str] = OPERATIONS) -> SearchSpace:
    """All pairs of cells of so many blocks with these operations."""
    choices = []
    for kind in CELLS:
        for node in range(NUM_INPUTS, NUM_INPUTS + nodes):
            options = (tuple(range(node)), tuple(range(node)), tuple(operations), tuple(operations))
            choices += [Choice(f"{kind}.{node}.{part}", own) for part, own in zip(PARTS, options, strict=True)]
    return SearchSpace(name, source, tuple(choices), family="enas_micro", kinds=frozenset({"path"}))


SPACE = space("enas_micro", "Pham et al., ENAS, ICML 2018; melodyguan/enas")

# --- Reading and writing ---------------------------------------------------------------------------------------------


def architecture(cells: Mapping[str, Sequence[Block]]) -> Architecture:
    """The architecture of both cells' blocks, checked. Raises InputError, which names the block."""
    found: list[tuple[str, Value]] = []
    for kind in CELLS:
        if not 1 <= len(cells[kind]) <= MAX_BLOCKS:
            raise InputError(f"the {TITLES[kind]} has {len(cells[kind])} blocks; give 1 to {MAX_BLOCKS}")
        for node, block in enumerate(cells[kind], NUM_INPUTS):
            check_block(f"block {node - 1} of the {TITLES[kind]}", node, block)
            found += [(f"{kind}.{node}.{part}", value) for part, value in zip(PARTS, block, strict=True)]
    return Architecture("enas_micro", tuple(found))


def check_block(where: str, node: int, block: Block) -> None:
    """Raises InputError unless a block takes two earlier nodes and applies two operations that are known."""
    for read in block[:2]:
        if isinstance(read, bool) or not isinstance(read, int) or not 0 <= read < node:
            raise InputError(f"{where} reads node {quote(read)}; it can read 0 to {node - 1}")
    for name in block[2:]:
        if name not in OPERATIONS:
            raise InputError(f"{where} has the operation {quote(name)}; known: {', '.join(OPERATIONS)}")


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"normal.2.input1": 0, ..., "reduce.6.operation2": "identity"}, checked.

    Raises InputError for a missing or unknown choice, and for what `architecture` refuses.
    """
    return architecture(cast(Mapping[str, Sequence[Block]], read_cells(values, PARTS)))


def from_arc(arc: Sequence[int]) -> Architecture:
    """The architecture of an arc: as many integers for the normal cell as for the reduction cell. Raises InputError."""
    if len(arc) % 8 or not arc:
        raise InputError(f"an arc of ENAS micro has 20 integers for each of both cells, 40 in all; this has {len(arc)}")
    half = len(arc) // 2
    return from_cell_arcs(arc[:half], arc[half:])


def from_cell_arcs(normal: Sequence[int], reduce: Sequence[int]) -> Architecture:
    """The architecture of the arcs of both cells, of four integers a block. Raises InputError."""
    return architecture({kind: blocks_of(kind, arc) for kind, arc in zip(CELLS, (normal, reduce), strict=True)})


def blocks_of(kind: str, arc: Sequence[int]) -> list[Block]:
    """The blocks of a cell's arc. Raises InputError, which names the block."""
    if len(arc) % 4 or not arc:
        raise InputError(
            f"the arc of the {TITLES[kind]} has {len(arc)} integers; give four a block, 20 for five blocks"
        )
    blocks: list[Block] = []
    for number in range(len(arc) // 4):
        first, one, second, other = arc[4 * number : 4 * number + 4]
        for index in (one, other):
            if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(OPERATIONS):
                told = f"the operation {quote(index)}; operations are 0 to {len(OPERATIONS) - 1}"
                raise InputError(f"block {number + 1} of the {TITLES[kind]} has {told}")
        blocks.append((first, second, OPERATIONS[one], OPERATIONS[other]))
    return blocks


def to_arc(architecture: Architecture) -> list[int]:
    """The arc of an architecture, the normal cell first."""
    arc = []
    for kind in CELLS:
        for first, second, one, other in blocks(architecture, kind):
            arc += [first, OPERATIONS.index(one), second, OPERATIONS.index(other)]
    return arc


def to_text(architecture: Architecture) -> str:
    """The arc as the authors' scripts have it: integers with spaces between."""
    return " ".join(map(str, to_arc(architecture)))


def blocks(architecture: Architecture, kind: str) -> list[Block]:
    """The blocks of the cell `normal` or `reduce`."""
    return cast(list[Block], cells_of_blocks.blocks_of(architecture, kind, PARTS))


# --- Words and pictures ----------------------------------------------------------------------------------------------


def num_skips(architecture: Architecture) -> int:
    """Identities of the normal cell."""
    return sum(block[2:].count("identity") for block in blocks(architecture, "normal"))


def is_learnable(operation: str) -> bool:
    """Whether it has weights: a convolution."""
    return operation.startswith("sep_conv")


def node_name(number: int) -> str:
    """h[k-2] and h[k-1], the outputs of the two layers before; n2, n3 ... for the blocks."""
    return ("h[k-2]", "h[k-1]")[number] if number < NUM_INPUTS else f"n{number}"


def lines(architecture: Architecture) -> list[str]:
    """The arc, and both cells in words, one line a block: what it adds up."""
    found = [to_text(architecture)]
    for kind in CELLS:
        own = blocks(architecture, kind)
        found += ["", TITLES[kind]]
        for node, (first, second, one, other) in enumerate(own, NUM_INPUTS):
            found.append(f"  {node_name(node)} = {one}({node_name(first)}) + {other}({node_name(second)})")
        found.append(f"  out = concat({', '.join(map(node_name, loose_ends(own)))})")
    return found


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """Both cells as pictures."""
    return tuple(graph(blocks(architecture, kind), kind) for kind in CELLS)


def graph(blocks: Sequence[Block], kind: str) -> Graph:
    """A cell as a picture: its two inputs, its blocks, and the output that joins the loose ends."""
    names = ("h_{k-2}", "h_{k-1}", *(str(node) for node in range(NUM_INPUTS, NUM_INPUTS + len(blocks))), "h_{k}")
    edges = []
    for target, (first, second, one, other) in enumerate(blocks, NUM_INPUTS):
        edges += [(names[first], names[target], one), (names[second], names[target], other)]
    joined = tuple(names[node] for node in loose_ends(blocks))
    place = "Keeps the size of the maps." if kind == "normal" else "Halves the maps, doubles the channels."
    taken = [name for _, _, *both in blocks for name in both]
    counted = f"{taken.count('identity')} identities, {sum('pool' in name for name in taken)} pools"
    caption = f"{place} {counted}; joins {', '.join(joined)}, which no block takes."
    return Graph(kind, TITLES[kind], names, tuple(edges), NUM_INPUTS, joined, caption=caption)


# --- Layers that are timed --------------------------------------------------------------------------------------------


def state_of(node: int) -> State:
    return State(node if node < NUM_INPUTS else None)


def timed(blocks: Sequence[Block]) -> Blocks:
    """What a cell computes, in the order in which its network has it."""
    pairs = [pair for first, second, one, other in blocks for pair in ((one, first), (other, second))]
    operations = [(name, state_of(node)) for name, node in pairs]
    return Blocks(operations, len(blocks), 0, [state_of(node) for node in loose_ends(blocks)])


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's final network, from images to logits."""
    normal, reduce = (timed(blocks(architecture, kind)) for kind in CELLS)
    return list(timed_blocks.of_network(timed_blocks.enas_cell, normal, reduce, sizes))


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that final networks of the space have, each once."""
    offered, number = cells_of_blocks.offered(space), len(blocks(space.smallest(), "normal"))
    return distinct(timed_blocks.of_space(timed_blocks.enas_cell, offered, number, False, sizes))


NOTE = "Numbers are the arc's; its nodes 0 and 1 are the outputs of the two layers before."  # of both pictures
FAMILY = Family(
    read=from_choices,
    notation="enas_micro",
    lines=lines,
    graphs=graphs,
    note=NOTE,
    sizes={"cifar": {"channels": 36, "cells": 17, "num_classes": 10, "image_size": 32}},
    kinds={BLOCKS[kind]: title for kind, title in TITLES.items()},
    operations=OPERATIONS,
    mixed=mixed,
    cheapest=partial(cells_of_blocks.cheapest, order=("max_pool_3x3", "avg_pool_3x3", "identity")),
    num_skips=num_skips,
    is_learnable=is_learnable,
    recipe={
        "cells": 17,
        "epochs": 630,
        "batch_size": 144,
        "lr": 0.05,
        "lr_min": 1e-4,
        "weight_decay": 4e-4,
        "cutout": 0,
    },
    counted="layers",
    timed=TimedLayers(layers_of_network, layers_of_space),
)
