"""What the rest of the house asks of mobile networks: words, pictures, sizes, counts."""

from itertools import pairwise

from dartboard.spaces.family import Family
from dartboard.spaces.graph import Bar, Graph
from dartboard.spaces.mobilenet import BLOCKS, OPERATIONS, PUBLISHED, Block, from_choices, net_of
from dartboard.spaces.mobilenet_counts import counts
from dartboard.spaces.mobilenet_places import places
from dartboard.spaces.mobilenet_plans import PLANS
from dartboard.spaces.mobilenet_timed import TIMED
from dartboard.spaces.search_space import Architecture, SearchSpace

# --- Words and pictures ----------------------------------------------------------------------------------------------


def own_sizes(of: SearchSpace | Architecture) -> dict[str, int]:
    """What `channels`, `cells`, `num_classes` and `image_size` are in networks of a space, or of an architecture."""
    name = of["plan"] if isinstance(of, Architecture) else of.choices[0].options[0]
    if name == PUBLISHED:
        assert isinstance(of, Architecture)
        net = net_of(of)
        return {"channels": net.stem, "cells": len(net.blocks), "num_classes": 1000, "image_size": 224}
    plan = PLANS[name]
    size = of["resolution"] if isinstance(of, Architecture) and "resolution" in of else plan.resolutions[-1]
    sizes = {"channels": plan.stem[-1], "cells": len(plan.stages), "num_classes": plan.num_classes}
    return {**sizes, "image_size": size}


def word_of(block: Block) -> str:
    """The operation of a block: mb6_k5 is expansion 6 and kernel 5."""
    return f"mb{max(1, round(block.middle / block.inputs))}_k{block.kernel}"


def lines(architecture: Architecture) -> list[str]:
    """The network in words: a line for each block."""
    net = net_of(architecture)
    size = "images as they are" if net.resolution is None else f"images of {net.resolution}x{net.resolution} pixels"
    found = [f"{architecture['plan']}: {size}, {len(net.blocks)} blocks", "", f"stem: {net.stem} channels"]
    for number, block in enumerate(net.blocks, 1):
        more = [f"stride {block.stride}"] if block.stride > 1 else []
        more += [f"squeeze and excitation {block.squeeze}"] if block.squeeze else []
        found.append(
            f"block {number}: {word_of(block)}, {block.inputs} -> {block.middle} -> {block.outputs} channels"
            + "".join(f", {one}" for one in more)
        )
    return [*found, f"head: {net.expand} channels" + (f", {net.head}" if net.head else "")]


def inside(block: Block) -> tuple[str, ...]:
    """What stands below the bar of a block."""
    expansion = f"x{block.middle / block.inputs:.1f}".removesuffix(".0")
    return expansion, "se" if block.squeeze else "", "/2" if block.stride == 2 else ""


def graphs(architecture: Architecture) -> tuple[Graph, ...]:
    """The network as a chain of its blocks."""
    net = net_of(architecture)
    nodes = ("stem", *map(str, range(1, len(net.blocks) + 1)))
    edges = tuple((*ends, f"k{block.kernel}") for ends, block in zip(pairwise(nodes), net.blocks, strict=True))
    size = "" if net.resolution is None else f" for images of {net.resolution}x{net.resolution} pixels"
    bars = tuple(Bar(f"k{block.kernel}", block.outputs, inside(block), block.stage) for block in net.blocks)
    caption = (
        f"{len(net.blocks)} blocks{size}. A bar is a block: above it the channels that it gives, in its colour the "
    )
    caption += "kernel, below it the expansion (x6), squeeze and excitation (se), and where it halves the map (/2)."
    return (Graph("strip", "blocks", nodes, edges, strip=bars, caption=caption),)


FAMILY = Family(
    read=from_choices,
    notation="json",
    lines=lines,
    graphs=graphs,
    sizes={"mobile": {"channels": 16, "cells": 6, "num_classes": 1000, "image_size": 224}},
    kinds={BLOCKS: "blocks"},
    operations=OPERATIONS,
    num_skips=lambda architecture: 0,
    is_learnable=lambda operation: True,
    counts=counts,
    built_from=lambda space: {"plan": space.choices[0].options[0]},
    own_sizes=own_sizes,
    training={"auxiliary": False, "drop_path": 0.0},
    counted="stages",
    timed=TIMED,
    places=places,
)
