"""Architectures side by side in arrays: the same space, the same operators, the same chances as one by one."""

from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dartboard.spaces import SPACES
from dartboard.spaces.columns import ABSENT, Columns, keys
from dartboard.spaces.search_space import Architecture, SearchSpace
from test_conditional_spaces import NESTED, elastic, small_spaces

seeds = st.integers(0, 2**32)
LARGE = ("ofa", "bignas", "ofa-8", "bignas-8", "shufflenetv2-channels", "darts", "nas_rl-12")
DRAWS = 20_000


def check(columns: Columns, rows: np.ndarray) -> None:
    """The rows are architectures of the space, and the same when read back."""
    found = columns.architectures(rows)
    assert columns.contains(rows).all() and all(one in columns.space for one in found)
    assert (columns.rows(found) == rows).all() and len(found) == len(rows)


def operators(space: SearchSpace, seed: int, number: int) -> None:
    """All that makes rows gives architectures of the space."""
    columns, rng = Columns(space), np.random.default_rng(seed)
    one, other = columns.sample(number, rng), columns.sample(number, rng)
    for rows in (one, columns.mutate(one, rng, 0.3), columns.mutate(one, rng, 1.0), columns.cross(one, other, rng)):
        check(columns, rows)
    assert (columns.mutate(one, rng, 0.0) == one).all()
    assert (columns.cross(one, one, rng) == one).all()


@given(small_spaces(), seeds)
def test_what_is_drawn_mutated_or_crossed_is_in_a_small_space(space: SearchSpace, seed: int) -> None:
    operators(space, seed, 12)


@pytest.mark.parametrize("space", [*(SPACES[name] for name in LARGE), elastic()], ids=lambda space: space.name)
def test_what_is_drawn_mutated_or_crossed_is_in_a_large_space(space: SearchSpace) -> None:
    operators(space, 3, 60)


@given(small_spaces())
def test_a_row_is_in_the_space_where_its_architecture_is(space: SearchSpace) -> None:
    columns = Columns(space)
    places = [range(ABSENT, len(choice.options)) for choice in space.choices]
    settings = list(product(*places))
    rows = np.array(settings, dtype=np.int16).reshape(len(settings), len(columns))
    inside = columns.contains(rows)
    assert inside.tolist() == [one in space for one in columns.architectures(rows)]
    assert inside.sum() == space.size == len(set(keys(rows[inside]))) or not len(columns)
    beyond = rows[inside] + columns.options.astype(np.int16)
    assert not columns.contains(beyond).any() or not len(columns)


@given(small_spaces(), seeds)
def test_a_child_of_two_has_each_value_from_a_parent(space: SearchSpace, seed: int) -> None:
    columns, rng = Columns(space), np.random.default_rng(seed)
    one, other = columns.sample(10, rng), columns.sample(10, rng)
    child = columns.cross(one, other, rng)
    assert ((child == one) | (child == other) | (child == ABSENT)).all()


def expected(space: SearchSpace, chance: Callable[[str, object, int], float]) -> dict[Architecture, float]:
    """The chance of every architecture: the product over its choices. chance: (name, value, number of options)."""
    options = {choice.name: len(choice.options) for choice in space.choices}
    found = {}
    for architecture in space.enumerate():
        total = 1.0
        for name, value in architecture.choices:
            total *= chance(name, value, options[name])
        found[architecture] = total
    return found


def agree(columns: Columns, rows: np.ndarray, chances: dict[Architecture, float]) -> None:
    """A chi-square test that rows come as often as they should, at a level of 1e-4."""
    assert sum(chances.values()) == pytest.approx(1.0)
    counted = Counter(columns.architectures(rows))
    possible = [one for one, chance in chances.items() if chance > 0.0]
    assert set(counted) <= set(possible)
    numbers = [counted[one] for one in possible]
    assert chisquare(numbers, [len(rows) * chances[one] for one in possible]).pvalue > 1e-4


def parent(columns: Columns, *values: tuple[str, object]) -> tuple[Architecture, np.ndarray]:
    one = Architecture("toy", values)
    assert one in columns.space
    return one, np.repeat(columns.rows([one]), DRAWS, axis=0)


ONE = (("a", 1), ("b", 2), ("c", "x"), ("free", 0))
OTHER = (("a", 0), ("free", 1))


def test_draws_have_each_choice_that_exists_uniformly() -> None:
    columns = Columns(NESTED)
    rows = columns.sample(DRAWS, np.random.default_rng(0))
    agree(columns, rows, expected(NESTED, lambda name, value, options: 1 / options))


@pytest.mark.parametrize("values", [ONE, OTHER])
def test_mutations_are_as_frequent_as_they_should_be(values: tuple[tuple[str, object], ...]) -> None:
    """A choice stays with chance 1 - p, or is drawn again, and may get the value it had; a new one is drawn."""
    columns, p = Columns(NESTED), 0.3
    one, rows = parent(columns, *values)

    def chance(name: str, value: object, options: int) -> float:
        return 1 / options if name not in one else (1 - p) * (one[name] == value) + p / options

    agree(columns, columns.mutate(rows, np.random.default_rng(1), p), expected(NESTED, chance))


def test_each_choice_may_have_a_chance_of_its_own() -> None:
    columns = Columns(NESTED)
    one, rows = parent(columns, *ONE)
    own = {"a": 0.0, "b": 0.5, "c": 0.1, "free": 0.9}

    def chance(name: str, value: object, options: int) -> float:
        return 1 / options if name not in one else (1 - own[name]) * (one[name] == value) + own[name] / options

    found = columns.mutate(rows, np.random.default_rng(2), list(own.values()))
    agree(columns, found, expected(NESTED, chance))


def test_crossovers_are_as_frequent_as_they_should_be() -> None:
    """Equal chance where both parents have a choice, and where one has it, its value."""
    columns = Columns(NESTED)
    (one, first), (other, second) = parent(columns, *ONE), parent(columns, *OTHER)

    def chance(name: str, value: object, options: int) -> float:
        having = [one[name] for one in (one, other) if name in one]
        return having.count(value) / len(having)

    agree(columns, columns.cross(first, second, np.random.default_rng(3)), expected(NESTED, chance))


def test_one_hot_has_a_one_for_each_choice_that_exists_and_zeros_for_others() -> None:
    columns = Columns(NESTED)
    rows = columns.rows([Architecture("toy", ONE), Architecture("toy", OTHER)])
    assert columns.one_hot(rows).tolist() == [
        [0, 1, 0, 0, 1, 1, 0, 1, 0],  # a: 0 1, b: 0 1 2, c: x y, free: 0 1
        [1, 0, 0, 0, 0, 0, 0, 0, 1],
    ]


def test_the_same_seed_draws_the_same() -> None:
    columns = Columns(SPACES["bignas"])
    first, again = (columns.sample(20, np.random.default_rng(5)) for _ in range(2))
    assert (first == again).all() and len(set(keys(first))) == 20


def test_a_value_of_another_space_is_refused() -> None:
    with pytest.raises(KeyError):
        Columns(NESTED).rows([Architecture("toy", (("a", 7), ("free", 0)))])
