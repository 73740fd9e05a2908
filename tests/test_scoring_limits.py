"""Limits on costs, draws within them, and fronts."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartboard.errors import InputError
from dartboard.scoring.cost import Cost
from dartboard.scoring.limits import Limit, limits_from, sample_within
from dartboard.scoring.pareto import front
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture

SPACE = nasbench201.SPACE


def cost(architecture: Architecture) -> Cost:
    """A parameter for every place of an operation in the list, and one."""
    places = [nasbench201.OPERATIONS.index(value) for _, value in architecture.choices]
    return Cost(1 + sum(places), 0, 10 * (1 + sum(places)))


def test_limits_are_read_with_their_sizes() -> None:
    assert limits_from("") == limits_from("  ") == ()
    assert limits_from("params<=3M, macs <= 1.5G") == (Limit("params", 3e6), Limit("macs", 1.5e9))
    assert limits_from("bitops<=1.5T") == (Limit("bitops", 1.5e12),)
    assert limits_from("macs<=20k,params<=7") == (Limit("macs", 2e4), Limit("params", 7.0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("macs", "--limit has 'macs'"),
        ("macs<3M", "--limit has 'macs<3M'"),
        ("macs<=-3", "--limit has"),
        ("macs<=3P", "--limit has"),
        ("macs<=3M,", "--limit has ''"),
        ("flops<=3M", "unknown limit 'flops'"),
        ("macs<=3M,macs<=4M", "--limit names macs twice"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        limits_from(text)


def test_draws_within_limits_are_those_of_the_space_that_fit() -> None:
    rng, limits = Random(0), limits_from("params<=10,macs<=90")
    drawn = {sample_within(SPACE, rng, limits, cost) for _ in range(200)}
    assert all(cost(one).macs <= 90 for one in drawn)
    assert {cost(one).macs for one in drawn} > {80, 90}
    assert sample_within(SPACE, Random(3), (), cost) == SPACE.sample(Random(3))


def test_neighbours_within_limits_are_drawn_by_the_draw_that_is_given() -> None:
    start, rng = SPACE.smallest(), Random(0)
    drawn = {
        sample_within(SPACE, rng, limits_from("params<=3"), cost, lambda rng: SPACE.mutate(start, rng))
        for _ in range(200)
    }
    assert len(drawn) == 6 * 2 and all(1 < cost(one).params <= 3 for one in drawn)


def test_where_nothing_fits_the_smallest_possible_is_named() -> None:
    with pytest.raises(InputError, match="the smallest architecture of nasbench201 has 1 parameters; give"):
        sample_within(SPACE, Random(0), [Limit("params", 0.5)], cost)
    with pytest.raises(InputError, match=r"none of 1,000 draws is within --limit, though .* has 1 parameters: such"):
        sample_within(SPACE, Random(0), [Limit("params", 1)], cost)


def test_limits_serve_where_the_options_do_not_go_from_small_to_large() -> None:
    turned = nasbench201.space("turned", "made up", nasbench201.OPERATIONS[::-1])
    drawn = sample_within(turned, Random(0), [Limit("params", 8)], cost)
    assert cost(drawn).params <= 8 < cost(turned.smallest()).params
    with pytest.raises(InputError, match="the smallest architecture of turned has"):
        sample_within(turned, Random(0), [Limit("params", 0.5)], cost)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    costs, values = [one for one, _ in points], [other for _, other in points]
    places = front(costs, values)

    def beaten(place: int) -> bool:
        return any(
            (c <= costs[place] and v > values[place]) or (c < costs[place] and v >= values[place]) for c, v in points
        )

    assert {points[place] for place in places} == {points[place] for place in range(len(points)) if not beaten(place)}
    assert len({points[place] for place in places}) == len(places)
    assert [costs[place] for place in places] == sorted(costs[place] for place in places)
