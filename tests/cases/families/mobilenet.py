"""Elastic mobile networks."""

from math import prod

from cases import FamilyCase
from dartboard.spaces import mobilenet
from dartboard.spaces.mobilenet_plans import BIGNAS_8, OFA_8, PLANS
from dartboard.spaces.search_space import SearchSpace


def by_block(stages: int, depths: tuple[int, ...], places: int, resolutions: int) -> int:
    """Each block has its own of so many kernels and expansions."""
    return int(resolutions * sum(places**depth for depth in depths) ** stages)


def by_stage(plan: str) -> int:
    """The product of what every stage offers, stem, head and resolution."""
    own = PLANS[plan]
    stages = prod(len(s.widths) * len(s.depths) * len(s.kernels) * len(s.expansions) for s in own.stages)
    return stages * len(own.resolutions) * len(own.stem) * len(own.head)


def some(space: SearchSpace, keep: tuple[str, ...]) -> SearchSpace:
    """The space in which all but these choices have their first option alone."""
    return space.narrowed({one.name: one.options[:1] for one in space.choices if one.name not in keep}, "a few choices")


OPEN = ("resolution", "stage.1.depth", "stage.2.depth", "stage.2.kernel", "head.width")
SMALL = some(mobilenet.space(BIGNAS_8), OPEN)
CASE = FamilyCase(
    # Once-for-All: about 2e19 networks at each of 25 resolutions
    sizes={
        **dict.fromkeys(("ofa", "ofa-w1.2"), by_block(5, (2, 3, 4), 9, 25)),
        "ofa-32": by_block(3, (1, 2, 3), 9, 4),
        "ofa-8": by_block(3, (1, 2, 3), 9, 2),
        **{name: by_stage(name) for name in ("bignas", "bignas-32", "bignas-8")},
    },
    small=SMALL,
    drawn=some(mobilenet.space(OFA_8), ("resolution", "stage.1.depth", "stage.1.block.2.kernel")),
    searched=mobilenet.space(BIGNAS_8),
    forms=("plain", "fast"),
)
