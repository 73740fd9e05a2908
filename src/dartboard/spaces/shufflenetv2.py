"""The spaces of SPOS, as plain data (Guo et al.: Single Path One-Shot Neural Architecture Search with Uniform Sampling,
ECCV 2020, arXiv 1904.00420; megvii-model/SinglePathOneShot).

An architecture is a chain of blocks of ShuffleNetV2 in stages, and each block is one of four: a shuffle block of kernel
3, 5 or 7, or a block like Xception's. The authors write it as a list of numbers, 0 to 3. Two more things may be chosen
for each block: a factor on its channels in the middle, and the bits of its weights and of its activations.

The paper's chain has 20 blocks and is for images of 224x224; a network of it halves an image five times. Two chains of
our own are for smaller images: 12 blocks for 32x32, six for 8x8. The number of blocks tells them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from dartboard.errors import InputError, unknown
from dartboard.spaces.family import Family, Mixed
from dartboard.spaces.graph import Graph
from dartboard.spaces.places import Part, Place
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote
from dartboard.spaces.timed_layers import Layer, Sizes, TimedLayers, halved

OPERATIONS = ("shuffle_3x3", "shuffle_5x5", "shuffle_7x7", "xception")  # by their numbers
FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)  # of the channels in the middle of a block
FLOAT = (32, 32)
BITS = ((1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4))  # of weights, of activations
PARTS = {"": OPERATIONS, ".factor": FACTORS, ".bits": (*BITS, FLOAT)}  # choices of a block: ends of names, all values
AS_PUBLISHED: Mapping[str, Value] = {".factor": 1.0, ".bits": FLOAT}  # of a block that leaves it out
BLOCKS, CHANNELS, PRECISION = "shuffle_blocks", "shuffle_factors", "shuffle_bits"  # names of the lists in `mixed`


@dataclass(frozen=True)
class Layout:
    """What a network has around its blocks. stages: blocks of each, the first of which halves the map; widths: of each
    stage, in channels of the stem; head: of the last convolution, likewise; stem_stride: 2 if the stem halves, too."""

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    head: int
    stem_stride: int

    @property
    def stride(self) -> int:
        """By what a network divides the side of an image; no image is smaller."""
        return int(self.stem_stride) << len(self.stages)

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """(width in channels of the stem, stride) of each block."""
        return [
            (width, 1 if place else 2)
            for number, width in zip(self.stages, self.widths, strict=True)
            for place in range(number)
        ]


LAYOUTS = {  # by the number of blocks
    20: Layout((4, 4, 8, 4), (4, 10, 20, 40), head=64, stem_stride=2),  # the paper's
    12: Layout((4, 4, 4), (4, 10, 20), head=32, stem_stride=1),  # ours, for 32x32
    6: Layout((3, 3), (8, 16), head=32, stem_stride=1),  # ours, for 8x8
}
NETWORKS = {20: "imagenet", 12: "cifar", 6: "digits"}  # whose sizes are those of chains of so many blocks


def space(
    name: str,
    source: str,
    blocks: int = 20,
    operations: Sequence[str] = OPERATIONS,
    factors: Sequence[float] = (),
    bits: Sequence[tuple[int, int]] = (),
) -> SearchSpace:
    """All chains of so many blocks; with factors or bits, these are chosen for each block, too."""
    offered = {"": tuple(operations), ".factor": tuple(factors), ".bits": tuple(bits)}
    choices = [
        Choice(f"block.{number}{part}", options)
        for number in range(1, blocks + 1)
        for part, options in offered.items()
        if options
    ]
    kinds = {"path"}  # factors are slices, but no network holds all others: operations differ
    return SearchSpace(name, source, tuple(choices), family="shufflenetv2", kinds=frozenset(kinds))


SOURCE = "Guo et al., SPOS, ECCV 2020; megvii-model/SinglePathOneShot"
OF_SIZE = {"": (20, SOURCE), "-32": (12, f"{SOURCE}; for images of 32x32"), "-8": (6, f"{SOURCE}; for images of 8x8")}
SPACES = tuple(
    space(f"shufflenetv2{size}{more}", source, blocks, factors=factors, bits=bits)
    for size, (blocks, source) in OF_SIZE.items()
    for more, factors, bits in (("", (), ()), ("-channels", FACTORS, ()), ("-bits", (), BITS))
)
SPACE = SPACES[0]

# --- Reading and writing ---------------------------------------------------------------------------------------------


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"block.1": ..., "block.1.factor": ..., "block.1.bits": ..., "block.2": ...}, checked.

    Factors and bits are there for every block or for none. Raises InputError, which names the choice.
    """
    number = num_blocks(list(values))
    if number not in LAYOUTS:
        raise InputError(f"a chain of {number} blocks; give {in_words(LAYOUTS)}")
    parts = [part for part in PARTS if f"block.1{part}" in values or not part]
    names = [f"block.{block}{part}" for block in range(1, number + 1) for part in parts]
    if other := [name for name in values if name not in names]:
        raise InputError(f"the choice {quote(other[0])} has no place in a chain of {number} blocks such as block.1")
    if missing := [name for name in names if name not in values]:
        raise InputError(f"the choice {missing[0]!r} is missing; each of the {number} blocks has one")
    return Architecture("shufflenetv2", tuple((name, checked(name, values[name])) for name in names))


def checked(name: str, value: Value) -> Value:
    """The value of a choice. Raises InputError for one that it cannot have."""
    known = PARTS["".join(name.partition(".")[2].partition(".")[1:])]
    same = [one for one in known if one == value and not isinstance(value, bool)]
    if same:
        return same[0]
    if known is OPERATIONS and isinstance(value, str):
        raise InputError(f"{name}: {unknown('operation', value, OPERATIONS)}")
    raise InputError(f"{name} is {quote(value)}; give one of {', '.join(map(str, known))}")


def in_words(numbers: Mapping[int, object]) -> str:
    """Numbers of blocks: "20, 12 or 6"."""
    *others, last = map(str, numbers)
    return f"{', '.join(others)} or {last}"


def num_blocks(names: Sequence[str]) -> int:
    """Blocks of a chain with choices of these names."""
    return sum(name.count(".") == 1 for name in names)


def from_numbers(
    numbers: Sequence[int], factors: Sequence[float] = (), bits: Sequence[tuple[int, int]] = ()
) -> Architecture:
    """The architecture that the authors write as these numbers, one a block. Raises InputError, naming the block.

    factors, bits: one a block, if they are not those of the published networks.
    """
    if len(numbers) not in LAYOUTS:
        raise InputError(f"a list of {len(numbers)} blocks; one of SPOS has {in_words(LAYOUTS)}")
    values: dict[str, Value] = {}
    for block, number in enumerate(numbers, 1):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(OPERATIONS):
            known = ", ".join(f"{place} {name}" for place, name in enumerate(OPERATIONS))
            raise InputError(f"block {block} is {quote(number)}; give {known}")
        values[f"block.{block}"] = OPERATIONS[number]
    for part, given in ((".factor", factors), (".bits", bits)):
        if given and len(given) != len(numbers):
            raise InputError(f"{len(given)} {part[1:].rstrip('s')}s for {len(numbers)} blocks; give one for each")
        values |= {f"block.{block}{part}": value for block, value in enumerate(given, 1)}
    return from_choices(values)


def to_numbers(architecture: Architecture) -> list[int]:
    """The list that the authors write: of each block its number."""
    return [OPERATIONS.index(operation) for operation in part_of(architecture)]


def part_of(architecture: Architecture, part: str = "") -> list[Value]:
    """Of every block its operation; or its factor, or bits, which are the published networks' if it has none.

    part: a key of PARTS.
    """
    values = dict(architecture.choices)
    names = [f"block.{block}{part}" for block in range(1, num_blocks([*values]) + 1)]
    return [values.get(name, AS_PUBLISHED.get(part)) for name in names]


def chosen(architecture: Architecture) -> list[tuple[str, float, tuple[int, int]]]:
    """Operation, factor and bits of every block."""
    return list(zip(*(part_of(architecture, part) for part in PARTS), strict=True))


# --- Words and pictures ----------------------------------------------------------------------------------------------


def mixed(space: SearchSpace) -> Mixed:
    """What each block has to choose from: operations, factors and bits, as words."""
    offered = {choice.name: choice.options for choice in space.choices}
    names = [f"block.{block}" for block in range(1, num_blocks([*offered]) + 1)]
    return {
        BLOCKS: tuple(offered[name] for name in names),
        CHANNELS: tuple(tuple(map(str, offered.get(f"{name}.factor", (1.0,)))) for name in names),
        PRECISION: tuple(tuple(map(bits_in_words, offered.get(f"{name}.bits", (FLOAT,)))) for name in names),
    }


def bits_in_words(bits: tuple[int, int]) -> str:
    """ "2/4": two bits for weights, four for activations."""
    return "/".join(map(str, bits))


def words(operation: str, factor: float, bits: tuple[int, int]) -> str:
    """A block in words: its operation, and what of it is not as published."""
    more = [f"x{factor}"] if factor != 1.0 else []
    more += [f"{bits_in_words(bits)} bits"] if bits != FLOAT else []
    return " ".join([operation, *more])


def in_stages(architecture: Architecture) -> list[list[str]]:
    """The blocks in words, by stage."""
    blocks, found, first = [words(*one) for one in chosen(architecture)], list[list[str]](), 0
    for number in LAYOUTS[len(blocks)].stages:
        found.append(blocks[first : first + number])
        first += number
    return found


def lines(architecture: Architecture) -> list[str]:
    """The authors' numbers, and the chain in words, a line a stage."""
    stages = enumerate(in_stages(architecture), 1)
    numbers = ", ".join(map(str, to_numbers(architecture)))
    return [f"({numbers})", "", *(f"stage {stage}: {' -> '.join(blocks)}" for stage, blocks in stages)]


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """A picture of each stage: blocks are edges, and a node has the number of the block that it comes from."""
    pictures, first = [], 0
    stages = in_stages(architecture)
    widths = LAYOUTS[sum(map(len, stages))].widths
    for stage, (blocks, width) in enumerate(zip(stages, widths, strict=True), 1):
        own = tuple(str(number) if number else "stem" for number in range(first, first + len(blocks) + 1))
        caption = f"Block {first + 1} halves the map. The stage has {width} times the channels of the stem."
        edges = tuple(zip(own, own[1:], blocks, strict=False))
        pictures.append(Graph(f"stage{stage}", f"stage {stage}", own, edges, caption=caption))
        first += len(blocks)
    return tuple(pictures)


# --- Layers that are timed --------------------------------------------------------------------------------------------

Options = Sequence[tuple[str, float, tuple[int, int]]]  # operation, factor and bits of a block


def in_layers(options: Sequence[Options], sizes: Sizes) -> list[list[Layer]]:
    """Stem, blocks and head of networks whose blocks have these options, as entries of a table of latencies: by place,
    a layer an option."""
    layout, before = LAYOUTS[len(options)], sizes["channels"]
    side = halved(sizes["image_size"], layout.stem_stride)
    settings = (("outputs", before), ("stride", layout.stem_stride))
    layers = [[Layer("stem", sizes["in_channels"], sizes["image_size"], settings)]]
    for (wide, stride), own in zip(layout.blocks, options, strict=True):
        width = (("outputs", wide * sizes["channels"]), ("stride", stride))
        layers.append([Layer("block", before, side, (*width, *settings_of(*one))) for one in own])
        before, side = wide * sizes["channels"], halved(side, stride)
    head = (("outputs", layout.head * sizes["channels"]), ("classes", sizes["num_classes"]))
    return [*layers, [Layer("head", before, side, head)]]


def settings_of(operation: str, factor: float, bits: tuple[int, int]) -> tuple[tuple[str, Value], ...]:
    """What is chosen of a block, as its layer has it."""
    return ("operation", operation), ("factor", factor), ("bits", bits_in_words(bits))


def layers_of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's network, from images to logits."""
    return [layer for (layer,) in in_layers([[one] for one in chosen(architecture)], sizes)]


def layers_of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that networks of the space have, each once."""
    return list(dict.fromkeys(layer for place in in_layers(options_of(space), sizes) for layer in place))


def options_of(space: SearchSpace) -> list[Options]:
    """All that each block can be."""
    offered = {choice.name: choice.options for choice in space.choices}
    return [
        [*product(*(offered.get(f"block.{number}{part}", (AS_PUBLISHED.get(part),)) for part in PARTS))]
        for number in range(1, num_blocks([*offered]) + 1)
    ]


def places(space: SearchSpace, sizes: Sizes) -> list[Place]:
    """Stem, blocks and head, each block decided by its own choices."""
    options, there = options_of(space), {choice.name for choice in space.choices}
    stem, *blocks, head = in_layers(options, sizes)
    found = [fixed(stem)]
    for number, (own, layers) in enumerate(zip(options, blocks, strict=True), 1):
        names = tuple(name for part in PARTS if (name := f"block.{number}{part}") in there)
        found.append(Place(names, partial(one_of, f"block.{number}", dict(zip(own, layers, strict=True)))))
    return [*found, fixed(head)]


def fixed(layers: Sequence[Layer]) -> Place:
    """A place at which every network has the same."""
    return Place((), lambda values: Part(tuple(layers)))


def one_of(block: str, layers: Mapping[tuple[Value, ...], Layer], values: Mapping[str, Value]) -> Part:
    """The layer of a block by the values of its choices."""
    return Part((layers[tuple(values.get(f"{block}{part}", AS_PUBLISHED.get(part)) for part in PARTS)],))


FAMILY = Family(
    read=from_choices,
    notation="spos",
    lines=lines,
    graphs=graphs,
    sizes={
        "imagenet": {"channels": 16, "cells": 20, "num_classes": 1000, "image_size": 224},
        "cifar": {"channels": 16, "cells": 12, "num_classes": 10, "image_size": 32},
        "digits": {"channels": 4, "cells": 6, "num_classes": 10, "image_size": 8},
    },
    kinds={BLOCKS: "chain", CHANNELS: "channel factors", PRECISION: "bits"},
    operations=OPERATIONS,
    mixed=mixed,
    num_skips=lambda architecture: 0,
    is_learnable=lambda operation: True,
    training={"auxiliary": False, "drop_path": 0.0},
    defaults={"channels": 16, "lr": 0.1},
    layers=num_blocks,
    usual=lambda names: NETWORKS[num_blocks(names)],
    counted="blocks",
    timed=TimedLayers(layers_of_network, layers_of_space, in_a_row=True),
    places=places,
)
