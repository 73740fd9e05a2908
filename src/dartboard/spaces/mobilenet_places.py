"""The places of elastic mobile networks: what enters, each block that a stage may have, and what leaves.

A block is decided by its stage's width, depth, kernel and expansion, by the resolution, and, if it is the first, by the
width before it; the last part by the width of the last stage. Counts are those of mobilenet_counts.py, layers those of
mobilenet_timed.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial

from dartboard.spaces.mobilenet import Block, Net, block_of
from dartboard.spaces.mobilenet_counts import Sums
from dartboard.spaces.mobilenet_plans import EXPAND, PLANS, Plan, divisible
from dartboard.spaces.mobilenet_timed import entering, leaving, of_block
from dartboard.spaces.places import Counts, Part, Place
from dartboard.spaces.search_space import SearchSpace, Value
from dartboard.spaces.timed_layers import Layer, Sizes, halved

Values = Mapping[str, Value]


def places(space: SearchSpace, sizes: Sizes) -> list[Place]:
    """The places of the networks of a plan's space, or of a part of it."""
    plan = PLANS[space.choices[0].options[0]]
    there = {choice.name for choice in space.choices}

    def place(names: Sequence[str], part: Callable[[Values], Part | None]) -> Place:
        return Place(tuple(name for name in names if name in there), part)

    found = [place(("resolution", "stem.width"), partial(entry, plan, sizes))]
    for number, stage in enumerate(plan.stages):
        for block in range(stage.depths[-1]):
            names = ("resolution", before(number, block), *names_of(plan, number, block))
            found.append(place(names, partial(block_part, plan, sizes, number, block)))
    last = f"stage.{len(plan.stages) - 1}.width"
    return [*found, place(("resolution", last, "head.width"), partial(exit_part, plan, sizes))]


def before(stage: int, block: int) -> str:
    """The choice of the width that comes into a block."""
    if block:
        return f"stage.{stage}.width"
    return f"stage.{stage - 1}.width" if stage else "stem.width"


def names_of(plan: Plan, stage: int, block: int) -> tuple[str, ...]:
    """The choices of a block itself: width, depth, kernel, expansion."""
    where = f"stage.{stage}.block.{block + 1}" if plan.by_block else f"stage.{stage}"
    return f"stage.{stage}.width", f"stage.{stage}.depth", f"{where}.kernel", f"{where}.expansion"


def width(plan: Plan, sizes: Sizes, values: Values, name: str, options: Sequence[int]) -> int:
    """The channels of a choice of widths, in networks of these sizes."""
    chosen: int = values.get(name, options[-1])
    return chosen if sizes["channels"] == plan.stem[-1] else divisible(sizes["channels"] / plan.stem[-1] * chosen)


def entering_width(plan: Plan, sizes: Sizes, values: Values, stage: int, block: int) -> int:
    """The channels that come into a block."""
    earlier = stage if block else stage - 1
    options = plan.stages[earlier].widths if earlier >= 0 else plan.stem
    return width(plan, sizes, values, before(stage, block), options)


def side_at(plan: Plan, values: Values, strides: Iterable[int]) -> int:
    """The side of the map behind the stem and these strides."""
    side = halved(resolution_of(plan, values), plan.stem_stride)
    for stride in strides:
        side = halved(side, stride)
    return side


def resolution_of(plan: Plan, values: Values) -> int:
    found: int = values.get("resolution", plan.resolutions[-1])
    return found


# --- Parts ------------------------------------------------------------------------------------------------------------


def entry(plan: Plan, sizes: Sizes, values: Values) -> Part:
    """The resize, where images have another size than the network takes, and the stem."""
    sums, resolution = Sums(), resolution_of(plan, values)
    stem = width(plan, sizes, values, "stem.width", plan.stem)
    sums.enter(sizes["in_channels"], sizes["image_size"], resolution, stem, plan.stem_stride)
    return as_part(sums, entering(sizes, resolution, stem, plan.stem_stride, plan.activation))


def block_part(plan: Plan, sizes: Sizes, stage: int, block: int, values: Values) -> Part | None:
    """A block of a stage, both numbers from 0; None if the stage has not so many."""
    own, names = plan.stages[stage], names_of(plan, stage, block)
    if block >= values.get(names[1], own.depths[-1]):
        return None
    inputs = entering_width(plan, sizes, values, stage, block)
    outputs = width(plan, sizes, values, names[0], own.widths)
    kernel, expansion = values.get(names[2], own.kernels[-1]), values.get(names[3], own.expansions[-1])
    stride = own.stride if block == 0 else 1
    strides = [one.stride for one in plan.stages[: stage + (block > 0)]]
    made = block_of(plan, own, inputs, outputs, kernel, expansion, stride, 0, 0)
    return counted(made, side_at(plan, values, strides))


@lru_cache(maxsize=2**14)
def counted(block: Block, side: int) -> Part:
    """A block on a map of that side."""
    sums = Sums()
    sums.block(block, side)
    return as_part(sums, (of_block(block, side),))


def exit_part(plan: Plan, sizes: Sizes, values: Values) -> Part:
    """What follows the last block."""
    number, stage = len(plan.stages) - 1, plan.stages[-1]
    last = width(plan, sizes, values, f"stage.{number}.width", stage.widths)
    side = side_at(plan, values, [one.stride for one in plan.stages])
    head = width(plan, sizes, values, "head.width", plan.head)
    net = Net(None, 0, plan.stem_stride, plan.activation, (), EXPAND * last, plan.activation, head)
    sums = Sums()
    sums.leave(net, last, side, sizes["num_classes"])
    return as_part(sums, (leaving(net, last, side, sizes["num_classes"]),))


def as_part(sums: Sums, layers: Iterable[Layer]) -> Part:
    return Part(tuple(layers), Counts(sums.params, sums.macs, sums.statistics, sums.live))
