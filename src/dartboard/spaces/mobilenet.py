"""Mobile networks of inverted residual blocks, elastic and published, as plain data.

An architecture of an elastic space says its plan (mobilenet_plans.py) and what is chosen in it: the resolution to which
a network brings its images, how many blocks a stage has, their kernels and expansions, and, where the plan leaves them
open, widths. A published network says its blocks themselves. Either way `net_of` gives the list of blocks with all
their widths, which is what networks/mobilenet.py builds and what the picture shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces.mobilenet_plans import EXPAND, PLANS, Plan, Stage, divisible
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, quote

BLOCKS = "mobile_blocks"  # the one kind of place
PUBLISHED = "blocks"  # the "plan" of an architecture that says its blocks itself
OPERATIONS = ("k3", "k5", "k7")  # what tells blocks apart in a picture: their kernels

# --- Spaces ----------------------------------------------------------------------------------------------------------


def space(plan: Plan, name: str = "") -> SearchSpace:
    """All networks of a plan. The first choice is the plan itself, of which there is one."""
    choices = [Choice("plan", (plan.name,)), *open_choice("resolution", plan.resolutions)]
    choices += open_choice("stem.width", plan.stem)
    for number, stage in enumerate(plan.stages):
        choices += of_stage(plan, f"stage.{number}", stage)
    choices += open_choice("head.width", plan.head)
    kinds = frozenset({"path", "slice"})
    return SearchSpace(name or plan.name, plan.source, tuple(choices), family="mobilenet", kinds=kinds)


def open_choice(name: str, options: Sequence[int], when: tuple[str, tuple[Value, ...]] | None = None) -> list[Choice]:
    """The choice between the options; none if there is only one."""
    return [Choice(name, tuple(options), when)] if len(options) > 1 else []


def of_stage(plan: Plan, name: str, stage: Stage) -> Iterator[Choice]:
    """The choices of a stage: width, depth, and the kernel and the expansion of each block, or of all."""
    yield from open_choice(f"{name}.width", stage.widths)
    yield from open_choice(f"{name}.depth", stage.depths)
    if not plan.by_block:
        yield from open_choice(f"{name}.kernel", stage.kernels)
        yield from open_choice(f"{name}.expansion", stage.expansions)
        return
    for block in range(1, stage.depths[-1] + 1):
        deep = tuple(depth for depth in stage.depths if depth >= block)
        when = None if deep == stage.depths else (f"{name}.depth", deep)
        yield from open_choice(f"{name}.block.{block}.kernel", stage.kernels, when)
        yield from open_choice(f"{name}.block.{block}.expansion", stage.expansions, when)


SPACES = {name: space(plan) for name, plan in PLANS.items()}

# --- Networks as lists of blocks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """An inverted residual block. inputs, middle, outputs: channels; squeeze: channels of squeeze and excitation, 0 for
    none; shortcut: "", "equal" or "pool", as in Plan; stage and number: its place in a supernet, the number from 0."""

    kernel: int
    inputs: int
    middle: int
    outputs: int
    stride: int
    squeeze: int
    activation: str
    shortcut: str
    stage: int = 0
    number: int = 0


@dataclass(frozen=True)
class Net:
    """A network. resolution: None takes images as they are; expand: channels before pooling; head: channels between
    pooling and classifier, 0 for none; biased: whether the head's convolution has a bias."""

    resolution: int | None
    stem: int
    stem_stride: int
    stem_activation: str
    blocks: tuple[Block, ...]
    expand: int
    activation: str
    head: int
    biased: bool = False

    @property
    def stride(self) -> int:
        """Pixels of an image for one of the last map, along a side."""
        total = self.stem_stride
        for block in self.blocks:
            total *= block.stride
        return total


def plan_of(architecture: Architecture) -> Plan:
    """The plan that an architecture says. Raises InputError for an unknown one, and for one that has none."""
    name = dict(architecture.choices).get("plan")
    if name not in PLANS:
        raise InputError(f"{quote(name)} is no plan of an elastic mobile network; known: {', '.join(PLANS)}")
    return PLANS[name]


def net_of(architecture: Architecture, channels: int | None = None, plan: Plan | None = None) -> Net:
    """The blocks of an architecture. channels: of the widest stem; all widths are scaled as it is. plan: of the
    architecture, if it is not one of PLANS."""
    if plan is None and architecture["plan"] == PUBLISHED:
        return published_net(architecture, channels)
    own = plan_of(architecture) if plan is None else plan
    return elastic_net(own, dict(architecture.choices), 1.0 if channels is None else channels / own.stem[-1])


def elastic_net(plan: Plan, values: Mapping[str, Value], factor: float) -> Net:
    """The blocks of an architecture of a plan, its widths times a factor."""

    def width(name: str, options: Sequence[int]) -> int:
        chosen: int = values.get(name, options[-1])
        return chosen if factor == 1.0 else divisible(factor * chosen)

    stem = before = width("stem.width", plan.stem)
    blocks: list[Block] = []
    for place, stage in enumerate(plan.stages):
        name = f"stage.{place}"
        own = width(f"{name}.width", stage.widths)
        for number in range(values.get(f"{name}.depth", stage.depths[-1])):
            where = f"{name}.block.{number + 1}" if plan.by_block else name
            kernel = values.get(f"{where}.kernel", stage.kernels[-1])
            expansion = values.get(f"{where}.expansion", stage.expansions[-1])
            stride = stage.stride if number == 0 else 1
            blocks.append(block_of(plan, stage, before, own, kernel, expansion, stride, place, number))
            before = own
    head = width("head.width", plan.head)
    resolution = values.get("resolution", plan.resolutions[-1])
    return Net(
        resolution, stem, plan.stem_stride, plan.activation, tuple(blocks), EXPAND * before, plan.activation, head
    )


def block_of(
    plan: Plan, stage: Stage, inputs: int, outputs: int, kernel: int, expansion: int, stride: int, place: int,
    number: int,
) -> Block:  # fmt: skip
    """A block of an elastic network with its widths inside."""
    middle = inputs if expansion == 1 else divisible(inputs * expansion)
    squeeze = divisible(middle // 4) if stage.squeeze else 0
    shortcut = plan.shortcuts
    if shortcut == "equal" and (stride != 1 or inputs != outputs):
        shortcut = ""  # type: ignore[assignment]
    return Block(kernel, inputs, middle, outputs, stride, squeeze, stage.activation, shortcut, place, number)


def in_stages(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks of every stage."""
    return [list(own) for _, own in groupby(blocks, lambda block: block.stage)]


def largest_net(plan: Plan, factor: float) -> Net:
    """The network of the last option of every choice: what a supernet holds."""
    return elastic_net(plan, {}, factor)


def published_net(architecture: Architecture, channels: int | None) -> Net:
    """The blocks that a published architecture says, its widths scaled by the channels of its stem."""
    values = dict(architecture.choices)
    factor = 1.0 if channels is None else channels / values["stem"][0]

    def brought(width: int) -> int:
        return width if factor == 1.0 or width == 0 else divisible(factor * width)

    before = brought(values["stem"][0])
    blocks = []
    for place, (kernel, middle, outputs, squeeze, activation, stride, shortcut) in enumerate(values["blocks"]):
        own, kind = [brought(width) for width in (middle, outputs, squeeze)], "equal" if shortcut else ""
        blocks.append(Block(kernel, before, own[0], own[1], stride, own[2], activation, kind, place))
        before = own[1]
    (stem, stride, activation), (expand, last, head) = values["stem"], values["head"]
    return Net(
        None, brought(stem), stride, activation, tuple(blocks), brought(expand), last, brought(head), biased=True
    )


# --- Reading ---------------------------------------------------------------------------------------------------------


def from_choices(values: Mapping[str, Value]) -> Architecture:
    """The architecture of {"plan": "ofa", "resolution": 224, "stage.1.depth": 2, ...}, or of a published network's
    {"plan": "blocks", "stem": ..., "blocks": ..., "head": ...}, checked.

    Raises InputError that names the first choice that is missing, unknown, or none of its options.
    """
    name = values.get("plan")
    if name == PUBLISHED:
        names = ("stem", "blocks", "head")
        return published(*map(values.get, names)) if values.keys() == {"plan", *names} else wrong_names(values)
    if name not in SPACES:
        raise InputError(f"the plan is {quote(name)}; give one of {', '.join([*SPACES, PUBLISHED])}")
    return within(SPACES[name], values)


def wrong_names(values: Mapping[str, Value]) -> Architecture:
    raise InputError(f"a network by its blocks has plan, stem, blocks and head; this has {', '.join(values)}")


def within(space: SearchSpace, values: Mapping[str, Value]) -> Architecture:
    """The architecture of a space with these values. Raises InputError as `from_choices`."""
    found: dict[str, Value] = {}
    for choice in space.choices:
        if not choice.exists(found):
            continue
        if choice.name not in values:
            raise InputError(f"the choice {choice.name!r} is missing; {space.name} has it, of {told(choice.options)}")
        value = values[choice.name]
        if isinstance(value, bool) or value not in choice.options:
            raise InputError(f"the choice {choice.name!r} is {quote(value)}; {space.name} has {told(choice.options)}")
        found[choice.name] = value
    if others := [name for name in values if name not in found]:
        known = any(choice.name == others[0] for choice in space.choices)
        why = "belongs to a block beyond the depth" if known else f"is none of {space.name}"
        raise InputError(f"the choice {quote(others[0])} {why}; leave it out")
    return Architecture("mobilenet", tuple(found.items()))


def told(options: Sequence[Value]) -> str:
    """The options in a message: all of a few, the ends of many."""
    words = [str(option) for option in options]
    return " ".join(words) if len(words) <= 8 else f"{' '.join(words[:2])} ... {words[-1]}"


FIELDS = "[kernel, middle channels, channels, squeeze channels, activation, stride, shortcut]"
ACTIVATIONS = ("relu", "h_swish", "swish")
MOST = 2**16  # channels, strides and kernels of a published network


def published(stem: Any, blocks: Any, head: Any) -> Architecture:
    """A network that says its blocks. stem: (channels, stride, activation); blocks: each as FIELDS; head: (channels of
    the last convolution before pooling, its activation, channels before the classifier or 0). Raises InputError."""
    if not (is_row(stem, (int, int, str)) and is_row(head, (int, str, int))):
        raise InputError("stem is [channels, stride, activation], head is [channels, activation, channels or 0]")
    check_ends(stem, head)
    if not isinstance(blocks, tuple | list) or len(blocks) < 3:
        raise InputError(f"blocks is a list of three or more, each {FIELDS}")
    for number, block in enumerate(blocks, 1):
        if not is_row(block, (int, int, int, int, str, int, bool)):
            raise InputError(f"block {number} is {quote(block)}; give {FIELDS}")
        kernel, middle, outputs, squeeze, activation, stride, _ = block
        largest = max(*block[:4], stride)
        if min(kernel, middle, outputs, stride) < 1 or squeeze < 0 or kernel % 2 == 0 or largest > MOST:
            raise InputError(f"block {number} is {quote(block)}; sizes are 1 to {MOST:,}, kernels are odd")
        if activation not in ACTIVATIONS:
            raise InputError(f"block {number} has the activation {quote(activation)}; known: {', '.join(ACTIVATIONS)}")
    rows = tuple(tuple(block) for block in blocks)
    values = (("plan", PUBLISHED), ("stem", tuple(stem)), ("blocks", rows), ("head", tuple(head)))
    found = Architecture("mobilenet", values)
    for number, block in enumerate(published_net(found, None).blocks, 1):
        if block.shortcut and (block.stride != 1 or block.inputs != block.outputs):
            raise InputError(f"block {number} has a shortcut although its width or its size changes; give false")
    return found


def check_ends(stem: Sequence[Any], head: Sequence[Any]) -> None:
    """Raises InputError for a stem or a head of `published` with numbers or activations that no network has."""
    (width, stride, first), (expand, last, channels) = stem, head
    if not (0 < width <= MOST and 0 < stride <= MOST):
        raise InputError(f"the stem has {width} channels and stride {stride}; give 1 to {MOST:,}")
    if not (0 < expand <= MOST and 0 <= channels <= MOST):
        raise InputError(f"the head has {expand} and {channels} channels; give 1 to {MOST:,}, the second may be 0")
    for name, word in (("stem", first), ("head", last)):
        if word not in ACTIVATIONS:
            raise InputError(f"the {name} has the activation {quote(word)}; known: {', '.join(ACTIVATIONS)}")


def is_row(row: Any, types: Sequence[type]) -> bool:
    """Whether it is a list of values of these types."""
    return isinstance(row, tuple | list) and [type(value) for value in row] == list(types)
