"""The layers of NAS with RL."""

from math import prod

from cases import FamilyCase
from dartboard.spaces import nas_rl


def of_depth(depth: int, a_layer: int) -> int:
    """Networks of so many layers: each has its own options, and any of the earlier layers as inputs."""
    return prod(a_layer * 2 ** (number - 1) for number in range(1, depth + 1))


CASE = FamilyCase(
    # four heights, widths and numbers of filters a layer; three strides where there are some
    sizes={
        "nas_rl": sum(of_depth(depth, 4**3) for depth in range(6, 40)),
        "nas_rl-strides": sum(of_depth(depth, 4**3 * 3) for depth in range(6, 40)),
        "nas_rl-12": sum(of_depth(depth, 4**3) for depth in range(6, 13)),
    },
    small=nas_rl.space("three or four layers", "made up", (3, 4), (), (3,), (24, 36)),
    drawn=nas_rl.space("three or four layers", "made up", (3, 4), (), (3,), (24,)),
    searched=nas_rl.space("four layers", "made up", (3, 4), (1, 2), (1, 3), (24, 36)),
)
