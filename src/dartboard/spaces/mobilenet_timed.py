"""The layers by which the latency of mobile networks is summed up: resize, stem, blocks, and the head with what pools.

Once-for-All's table of latencies has the same entries: first convolution, blocks by their input, expansion, kernel,
stride, squeeze and excitation and activation, and the last convolutions.
"""

from collections.abc import Iterator, Sequence

from dartboard.spaces.mobilenet import Block, Net, block_of, net_of
from dartboard.spaces.mobilenet_plans import EXPAND, PLANS, Plan, divisible
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.spaces.timed_layers import Layer, Sizes, TimedLayers, halved


def of_network(architecture: Architecture, sizes: Sizes) -> list[Layer]:
    """The layers of an architecture's network, from images to logits."""
    net = net_of(architecture, sizes["channels"])
    layers = list(entering(sizes, net.resolution, net.stem, net.stem_stride, net.stem_activation))
    side = halved(net.resolution or sizes["image_size"], net.stem_stride)
    for block in net.blocks:
        layers.append(of_block(block, side))
        side = halved(side, block.stride)
    return [*layers, leaving(net, net.blocks[-1].outputs, side, sizes["num_classes"])]


def entering(sizes: Sizes, resolution: int | None, width: int, stride: int, activation: str) -> Iterator[Layer]:
    """The resize, where images have another size than the network takes, and the stem."""
    channels, side = sizes["in_channels"], sizes["image_size"]
    if resolution not in (None, side):
        yield Layer("resize", channels, side, (("to", resolution),))
    settings = (("outputs", width), ("stride", stride), ("activation", activation))
    yield Layer("stem", channels, resolution or side, settings)


def of_block(block: Block, side: int) -> Layer:
    """A block on a map of that side, wherever it stands in a network."""
    names = ("middle", "outputs", "kernel", "stride", "squeeze", "activation", "shortcut")
    settings = tuple((name, getattr(block, name)) for name in names)
    return Layer("block", block.inputs, side, settings)


def leaving(net: Net, width: int, side: int, num_classes: int) -> Layer:
    """What follows the last block: convolution, pooling, head, classifier."""
    names = ("expand", "activation", "head", "biased")
    settings = tuple((name, getattr(net, name)) for name in names)
    return Layer("head", width, side, (*settings, ("classes", num_classes)))


def of_space(space: SearchSpace, sizes: Sizes) -> list[Layer]:
    """All layers that networks of the space's plan have, each once."""
    plan = PLANS[space.choices[0].options[0]]
    factor = sizes["channels"] / plan.stem[-1]
    found = (layer for resolution in plan.resolutions for layer in at_resolution(plan, factor, resolution, sizes))
    return list(dict.fromkeys(found))


def at_resolution(plan: Plan, factor: float, resolution: int, sizes: Sizes) -> Iterator[Layer]:
    """The layers of the networks of a plan that take images of this size."""

    def widths(options: Sequence[int]) -> list[int]:
        return [option if factor == 1.0 else divisible(factor * option) for option in options]

    before, side = widths(plan.stem), halved(resolution, plan.stem_stride)
    for stem in before:
        yield from entering(sizes, resolution, stem, plan.stem_stride, plan.activation)
    for stage in plan.stages:
        own = widths(stage.widths)
        smaller = halved(side, stage.stride)
        places = [(one, other, stage.stride, side) for one in before for other in own]  # first blocks of the stage
        places += [(one, one, 1, smaller) for one in own if stage.depths[-1] > 1]  # those that follow
        for inputs, outputs, stride, of_map in places:
            for kernel in stage.kernels:
                for expansion in stage.expansions:
                    block = block_of(plan, stage, inputs, outputs, kernel, expansion, stride, 0, 0)
                    yield of_block(block, of_map)
        before, side = own, smaller
    for last in before:
        for head in widths(plan.head):
            net = Net(resolution, 0, plan.stem_stride, plan.activation, (), EXPAND * last, plan.activation, head)
            yield leaving(net, last, side, sizes["num_classes"])


TIMED = TimedLayers(of_network, of_space, in_a_row=True)
