"""The space of NASNet, as plain data (Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable
Image Recognition, CVPR 2018, arXiv 1707.07012).

A cell has two inputs, state 0 (output of the last cell) and state 1 (output of the cell before it), and five blocks,
states 2 to 6. A block takes two earlier states, which may be the same one, applies one of 13 operations to each, and
combines the results: it adds or joins them. The output of a cell joins its loose states, which no block takes, inputs
included. There are two cells, `normal` and `reduce`.

The choices are in the order in which the paper's controller takes them: of each block both inputs, then both
operations, then what combines. As text a cell is 25 integers, of each block (first input, its operation, second input,
its operation, what combines).

A published cell may join states that a block takes as well: NASNet-A's normal cell joins state 1, its reduction state
3. Such an architecture names the states that it joins, `normal.joined` and `reduce.joined`; none of the space does.
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

OPERATIONS = (  # by their ids
    "identity",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
COMBINERS = ("add", "concat")  # by their ids
NUM_BLOCKS = 5
PARTS = ("input1", "input2", "operation1", "operation2", "combine")  # of a block, in the controller's order
NUM_PARTS = len(PARTS)
BLOCKS = {"normal": "normal_pairs", "reduce": "reduce_pairs"}  # how the lists of `mixed` are called
MAX_BLOCKS = 20
LENGTHS = (2 * NUM_PARTS * NUM_BLOCKS, 2 * (NUM_PARTS * NUM_BLOCKS + NUM_INPUTS + NUM_BLOCKS))  # of integers: 50, 64

Block = tuple[int, int, str, str, str]  # both inputs, both operations, what combines
mixed = partial(cells_of_blocks.mixed, names=BLOCKS)


def space(name: str, source: str, blocks: int = NUM_BLOCKS, operations: Sequence[str] = OPERATIONS) -> SearchSpace:
    """All pairs of cells of so many blocks with these operations."""
    choices = []
    for kind in CELLS:
        for node in range(NUM_INPUTS, NUM_INPUTS + blocks):
            options = (tuple(range(node)), tuple(range(node)), tuple(operations), tuple(operations), COMBINERS)
            choices += [Choice(f"{kind}.{node}.{part}", own) for part, own in zip(PARTS, options, strict=True)]
    return SearchSpace(name, source, tuple(choices), family="nasnet")


SPACE = space("nasnet", "Zoph et al., NASNet, CVPR 2018")

# --- Reading and writing ---------------------------------------------------------------------------------------------


def architecture(
    cells: Mapping[str, Sequence[Block]], joined: Mapping[str, Sequence[int]] | None = None
) -> Architecture:
    """The architecture of both cells' blocks, checked.

    joined: the states that a cell joins, by its kind, if they are not its loose ones. Raises InputError, which names
    the block.
    """
    found: list[tuple[str, Value]] = []
    for kind in CELLS:
        if not 1 <= len(cells[kind]) <= MAX_BLOCKS:
            raise InputError(f"the {TITLES[kind]} has {len(cells[kind])} blocks; give 1 to {MAX_BLOCKS}")
        for node, block in enumerate(cells[kind], NUM_INPUTS):
            check_block(f"block {node - 1} of the {TITLES[kind]}", node, block)
            found += [(f"{kind}.{node}.{part}", value) for part, value in zip(PARTS, block, strict=True)]
    for kind, states in (joined or {}).items():
        check_joined(kind, states, cells[kind])
        if list(states) != loose_ends(cells[kind]):
            found.append((f"{kind}.joined", tuple(states)))
    return Architecture("nasnet", tuple(found))


def check_block(where: str, node: int, block: Block) -> None:
    """Raises InputError unless a block takes two earlier states, and does what is known."""
    *reads, one, other, combine = block
    for read in reads:
        if isinstance(read, bool) or not isinstance(read, int) or not 0 <= read < node:
            raise InputError(f"{where} takes state {quote(read)}; it can take 0 to {node - 1}")
    for name in (one, other):
        if name not in OPERATIONS:
            raise InputError(f"{where} has the operation {quote(name)}; known: {', '.join(OPERATIONS)}")
    if combine not in COMBINERS:
        raise InputError(f"{where} combines by {quote(combine)}; known: {', '.join(COMBINERS)}")


def check_joined(kind: str, states: object, blocks: Sequence[Block]) -> None:
    """Raises InputError unless a cell joins states that it has, in order, all loose ones among them."""
    last, needed = NUM_INPUTS + len(blocks) - 1, loose_ends(blocks)
    known = isinstance(states, list | tuple) and all(type(one) is int and 0 <= one <= last for one in states)
    if not isinstance(states, list | tuple) or not known or list(states) != sorted({*states, *needed}):
        told = ", ".join(map(str, needed))
        raise InputError(f"the {TITLES[kind]} joins {quote(states)}; give states of 0 to {last} in order, with {told}")


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"normal.2.input1": 0, ..., "reduce.6.combine": "add"}, checked.

    Raises InputError for a missing or unknown choice, and for what `architecture` refuses.
    """
    names = [f"{kind}.joined" for kind in CELLS]
    cells = cast(Mapping[str, Sequence[Block]], read_cells(values, PARTS, names))
    return architecture(cells, {kind: values[name] for kind in CELLS if (name := f"{kind}.joined") in values})


def from_arc(arc: Sequence[int]) -> Architecture:
    """The architecture of 25 integers for each cell, or of these and then, of each cell, a bit for each of its seven
    states: whether it is joined. Raises InputError, which names the block."""
    if len(arc) not in LENGTHS:
        raise InputError(f"an architecture of NASNet has {LENGTHS[0]} integers, 25 a cell; this has {len(arc)}")
    half, states = LENGTHS[0] // 2, NUM_INPUTS + NUM_BLOCKS
    cells = {kind: blocks_of(kind, arc[place * half : (place + 1) * half]) for place, kind in enumerate(CELLS)}
    joined = {}
    for place, kind in enumerate(CELLS if len(arc) > LENGTHS[0] else ()):
        bits = arc[LENGTHS[0] + place * states :][:states]
        if others := [bit for bit in bits if bit not in (0, 1)]:
            raise InputError(f"the states that the {TITLES[kind]} joins are 0 or 1, not {quote(others[0])}")
        joined[kind] = [state for state, bit in enumerate(bits) if bit]
    return architecture(cells, joined)


def blocks_of(kind: str, arc: Sequence[int]) -> list[Block]:
    """The blocks of a cell's integers. Raises InputError, which names the block."""
    blocks: list[Block] = []
    for place in range(0, len(arc), NUM_PARTS):
        where = f"block {place // NUM_PARTS + 1} of the {TITLES[kind]}"
        first, one, second, other, combine = arc[place : place + NUM_PARTS]
        names = [named(where, "operation", index, OPERATIONS) for index in (one, other)]
        blocks.append((first, second, names[0], names[1], named(where, "combiner", combine, COMBINERS)))
    return blocks


def named(where: str, what: str, index: object, names: Sequence[str]) -> str:
    """The name of an id. Raises InputError for one that there is not."""
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(names):
        raise InputError(f"{where} has the {what} {quote(index)}; {what}s are 0 to {len(names) - 1}")
    return names[index]


def to_arc(architecture: Architecture) -> list[int]:
    """The integers of an architecture, as `from_arc` reads those of five blocks a cell."""
    arc = []
    for kind in CELLS:
        for first, second, one, other, combine in blocks(architecture, kind):
            arc += [first, OPERATIONS.index(one), second, OPERATIONS.index(other), COMBINERS.index(combine)]
    if any(f"{kind}.joined" in dict(architecture.choices) for kind in CELLS):
        for kind in CELLS:
            states = joined(architecture, kind)
            arc += [int(state in states) for state in range(NUM_INPUTS + len(blocks(architecture, kind)))]
    return arc


def to_text(architecture: Architecture) -> str:
    """The integers of an architecture with spaces between."""
    return " ".join(map(str, to_arc(architecture)))


def blocks(architecture: Architecture, kind: str) -> list[Block]:
    """The blocks of the cell `normal` or `reduce`."""
    return cast(list[Block], cells_of_blocks.blocks_of(architecture, kind, PARTS))


def joined(architecture: Architecture, kind: str) -> list[int]:
    """The states that the output of a cell joins: those that the architecture names, otherwise the loose ones."""
    own = dict(architecture.choices).get(f"{kind}.joined")
    return loose_ends(blocks(architecture, kind)) if own is None else list(own)


# --- Words and pictures ----------------------------------------------------------------------------------------------


def num_skips(architecture: Architecture) -> int:
    """Identities of the normal cell."""
    return sum(block[2:4].count("identity") for block in blocks(architecture, "normal"))


def is_learnable(operation: str) -> bool:
    """Whether it has weights wherever it stands: a convolution."""
    return "conv" in operation


def state_name(number: int) -> str:
    """h[k-1] and h[k-2], the outputs of the two cells before; n2, n3 ... for the blocks."""
    return ("h[k-1]", "h[k-2]")[number] if number < NUM_INPUTS else f"n{number}"


def lines(architecture: Architecture) -> list[str]:
    """Both cells in words, one line a block: what it adds up or joins."""
    found: list[str] = []
    for kind in CELLS:
        found += [*([""] if found else []), TITLES[kind]]
        for node, (first, second, one, other, combine) in enumerate(blocks(architecture, kind), NUM_INPUTS):
            sides = [f"{one}({state_name(first)})", f"{other}({state_name(second)})"]
            found.append(
                f"  n{node} = {' + '.join(sides)}" if combine == "add" else f"  n{node} = concat({', '.join(sides)})"
            )
        found.append(f"  out = concat({', '.join(map(state_name, joined(architecture, kind)))})")
    return found


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """Both cells as pictures."""
    return tuple(graph(blocks(architecture, kind), joined(architecture, kind), kind) for kind in CELLS)


def graph(blocks: Sequence[Block], states: Sequence[int], kind: str) -> Graph:
    """A cell as a picture: its two inputs, its blocks, and the output that joins these states."""
    names = ("h_{k-1}", "h_{k-2}", *(str(node) for node in range(NUM_INPUTS, NUM_INPUTS + len(blocks))), "h_{k}")
    edges = []
    for target, (first, second, one, other, _) in enumerate(blocks, NUM_INPUTS):
        edges += [(names[first], names[target], one), (names[second], names[target], other)]
    together = tuple(names[state] for state in states)
    place = "Keeps the size of the maps." if kind == "normal" else "Halves the maps, doubles the channels."
    widened = [names[node] for node, block in enumerate(blocks, NUM_INPUTS) if block[-1] == "concat"]
    combined = f"Joined instead of added: {', '.join(widened)}" if widened else "Every block adds"
    return Graph(
        kind,
        TITLES[kind],
        names,
        tuple(edges),
        NUM_INPUTS,
        together,
        caption=f"{place} {combined}; the output joins {', '.join(together)}.",
    )


# --- Layers that are timed --------------------------------------------------------------------------------------------


def timed(blocks: Sequence[Block], joined: Sequence[int]) -> Blocks:
    """What a cell computes, in the order in which its network has it."""
    states = [State(0), State(1), *(State(wide=block[-1] == "concat") for block in blocks)]
    pairs = [pair for *reads, one, other, _ in blocks for pair in ((one, reads[0]), (other, reads[1]))]
    joins = sum(state.wide for state in states)
    operations = [(name, states[read]) for name, read in pairs]
    return Blocks(operations, len(blocks) - joins, joins, [states[number] for number in joined])


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's network, from images to logits."""
    normal, reduce = (timed(blocks(architecture, kind), joined(architecture, kind)) for kind in CELLS)
    return list(timed_blocks.of_network(timed_blocks.nasnet_cell, normal, reduce, sizes))


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that networks of the space have, each once."""
    offered, number = cells_of_blocks.offered(space), len(blocks(space.smallest(), "normal"))
    return distinct(timed_blocks.of_space(timed_blocks.nasnet_cell, offered, number, True, sizes))


FAMILY = Family(
    read=from_choices,
    notation="nasnet",
    lines=lines,
    graphs=graphs,
    note="State 0 is the output of the last cell, state 1 that of the cell before it.",  # of both pictures
    sizes={"cifar": {"channels": 32, "cells": 20, "num_classes": 10, "image_size": 32}},
    kinds={BLOCKS[kind]: title for kind, title in TITLES.items()},
    operations=OPERATIONS,
    mixed=mixed,
    cheapest=partial(cells_of_blocks.cheapest, order=("max_pool_3x3", "avg_pool_3x3", "identity", "add")),
    num_skips=num_skips,
    is_learnable=is_learnable,
    recipe={"channels": 32, "cells": 20, "epochs": 600},
    timed=TimedLayers(layers_of_network, layers_of_space),
)
