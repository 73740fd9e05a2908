"""The least of what a family calls its cheapest costs no more than draws and than all that differ in one choice."""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from dartboard import spaces
from dartboard.errors import InputError
from dartboard.scoring.cost import Cost, count
from dartboard.scoring.limits import Limit, cheapest, sample_within
from dartboard.spaces import enas_macro, enas_micro, nas_rl, nasnet
from dartboard.spaces.search_space import Architecture, SearchSpace

FEW = ("sep_conv_3x3", "avg_pool_3x3", "max_pool_3x3", "identity")
SMALL = [
    pytest.param(enas_micro.space("small", "made up", 3), marks=pytest.mark.slow),
    enas_macro.space("small", "made up", 4),
    pytest.param(nasnet.space("small", "made up", 2), marks=pytest.mark.slow),
    nas_rl.space("small", "made up", (4,)),
    nas_rl.space("strides", "made up", (4,), strides=nas_rl.STRIDES),
    enas_micro.space("small", "made up", 2, FEW[:1] + FEW[3:]),
    *(spaces.SPACES[name] for name in ("nasbench201", "nasbenchmacro")),
]


def counting(space: SearchSpace) -> Callable[[Architecture], Cost]:
    sizes = {"channels": 4, "num_classes": 3, "image_size": 16}
    cells = {"nasbench201": 5, "nasbenchmacro": 8, "enas_macro": 4, "nas_rl": 4}.get(space.family, 5)
    return partial(count, cells=cells, **sizes)


def neighbours(space: SearchSpace, one: Architecture) -> list[Architecture]:
    """All architectures that differ from it in one choice."""
    values = dict(one.choices)
    others = [(choice.name, option) for choice in space.choices for option in choice.options]
    return [
        space.walk(lambda choice, name=name, option=option: option if choice.name == name else values[choice.name])
        for name, option in others
        if values[name] != option
    ]


@pytest.mark.parametrize("strides", [(), (1, 3)], ids=["no-strides", "strides"])
@pytest.mark.parametrize("channels", [1, 2, 3, 24])
def test_no_small_network_of_nas_rl_costs_less(channels: int, strides: tuple[int, ...]) -> None:
    """Of all inputs of three layers; channels and strides decide whether the image or a chain is cheaper."""
    space = nas_rl.space("three", "made up", (3,), strides=strides, sides=(1,), filters=(24,))
    cost = partial(count, channels=channels, cells=3, num_classes=3, image_size=16)
    costs, named = [cost(one) for one in space.enumerate()], [cost(one) for one in cheapest(space)]
    assert min(one.params for one in named) == min(one.params for one in costs)
    assert min(one.macs for one in named) == min(one.macs for one in costs)


@pytest.mark.parametrize("space", SMALL, ids=lambda space: f"{space.family}-{len(space.choices)}")
def test_nothing_that_is_drawn_or_next_to_it_costs_less(space: SearchSpace) -> None:
    cost, rng = counting(space), Random(0)
    named = cheapest(space)
    costs = [cost(one) for one in named]
    least = {name: min(getattr(one, name) for one in costs) for name in ("params", "macs")}
    best = min(named, key=lambda one: cost(one).macs)
    for other in [*(space.sample(rng) for _ in range(40)), *neighbours(space, best)]:
        found = cost(other)
        assert found.params >= least["params"] and found.macs >= least["macs"], (other, found, least)


def test_a_limit_that_nothing_is_within_is_told_the_least_number() -> None:
    space = enas_micro.space("small", "made up", 3)
    least = min(counting(space)(one).params for one in cheapest(space))
    with pytest.raises(InputError, match=f"has {least:,} parameters; give a --limit above that"):
        sample_within(space, Random(0), [Limit("params", least - 1)], counting(space))
