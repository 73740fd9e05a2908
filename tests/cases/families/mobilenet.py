"""Elastic mobile networks."""

from dataclasses import replace
from math import prod

from cases import FamilyCase
from dartboard.spaces import mobilenet
from dartboard.spaces.mobilenet_plans import BIGNAS_8, OFA_8, PLANS
from dartboard.spaces.search_space import Choice, SearchSpace


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
    choices = tuple(one if one.name in keep else replace(one, options=one.options[:1]) for one in space.choices)
    return replace(space, name="a few choices", choices=without_dead(choices))


def without_dead(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """The choices that may exist, by the options that are left."""
    options, alive = {one.name: one.options for one in choices}, list[Choice]()
    for one in choices:
        name, values = one.when or ("", ())
        left = tuple(value for value in values if value in options[name])
        if one.when is None or left:
            alive.append(one if one.when is None else replace(one, when=(name, left)))
    return tuple(alive)


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
)
