"""Spaces in which some choices exist only by the value of another: counted, walked, drawn, changed, refused."""

import json
from collections import Counter
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartboard.errors import InputError
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value, as_tuples

seeds = st.integers(0, 2**32)


def space_of(*choices: Choice) -> SearchSpace:
    return SearchSpace("small", "made up", choices, family="toy")


@st.composite
def small_spaces(draw: st.DrawFn) -> SearchSpace:
    """Up to five choices of up to three options, each free or by one of those before it."""
    choices: list[Choice] = []
    for number in range(draw(st.integers(0, 5))):
        options = tuple(range(draw(st.integers(1, 3))))
        when = None
        if choices and draw(st.booleans()):
            earlier = draw(st.sampled_from(choices))
            values = draw(st.lists(st.sampled_from(earlier.options), min_size=1, unique=True))
            when = (earlier.name, tuple(values))
        choices.append(Choice(f"choice {number}", options, when))
    return space_of(*choices)


def elastic(stages: int = 5) -> SearchSpace:
    """Stages of two to four blocks, each of three kernels and three expansions, as those of Once-for-All."""
    choices = []
    for stage in range(stages):
        depth = f"{stage}.depth"
        choices.append(Choice(depth, (2, 3, 4)))
        for block in range(4):
            when = None if block < 2 else (depth, tuple(range(block + 1, 5)))
            choices.append(Choice(f"{stage}.{block}.kernel", (3, 5, 7), when))
            choices.append(Choice(f"{stage}.{block}.expansion", (3, 4, 6), when))
    return space_of(*choices)


NESTED = space_of(
    Choice("a", (0, 1)),
    Choice("b", (0, 1, 2), ("a", (1,))),
    Choice("c", ("x", "y"), ("b", (1, 2))),
    Choice("free", (0, 1)),
)


def by_hand(space: SearchSpace) -> list[Architecture]:
    """Every architecture: all values of all choices, without those of choices that do not exist, each once."""
    found: dict[Architecture, None] = {}
    for values in product(*(choice.options for choice in space.choices)):
        kept: dict[str, Value] = {}
        for choice, value in zip(space.choices, values, strict=True):
            if choice.when is None or kept.get(choice.when[0], "absent") in choice.when[1]:
                kept[choice.name] = value
        found[Architecture("toy", tuple(kept.items()))] = None
    return list(found)


@given(small_spaces())
def test_a_small_space_is_enumerated_without_doubles_in_order_and_counted_without_enumerating(
    space: SearchSpace,
) -> None:
    found = list(space.enumerate())
    assert found == by_hand(space)
    assert len(set(found)) == len(found) == space.size
    assert all(architecture in space for architecture in found)


@given(small_spaces())
def test_the_networks_of_a_narrowed_space_are_those_that_have_the_options_that_are_left(space: SearchSpace) -> None:
    left = {choice.name: choice.options[-1:] for choice in space.choices[::2]}
    wanted = [a for a in by_hand(space) if all(value in left.get(name, (value,)) for name, value in a.choices)]
    part = space.narrowed(left, "a part")
    assert part.name == "a part" and list(part.enumerate()) == wanted
    assert space.narrowed({}) == space


@given(small_spaces())
def test_what_a_space_lacks_is_not_in_it(space: SearchSpace) -> None:
    inside, names = set(by_hand(space)), [choice.name for choice in space.choices]
    for values in product(*((None, *choice.options) for choice in space.choices)):
        given_values = tuple((n, v) for n, v in zip(names, values, strict=True) if v is not None)
        architecture = Architecture("toy", given_values)
        assert (architecture in space) == (architecture in inside)


def test_five_stages_of_two_to_four_blocks_are_counted_exactly_beyond_what_a_length_can_be() -> None:
    assert elastic().size == (9**2 + 9**3 + 9**4) ** 5 == 21_758_655_492_572_485_851  # "2 x 10^19", Once-for-All
    with pytest.raises(OverflowError):
        len(range(elastic().size))
    assert not hasattr(SearchSpace, "__len__")
    assert elastic(1).size == len(list(elastic(1).enumerate()))


def test_choices_that_depend_on_choices_that_depend_on_others() -> None:
    assert NESTED.size == (1 + 1 + 2 + 2) * 2
    assert [dict(a.choices) for a in NESTED.enumerate()][:3] == [
        {"a": 0, "free": 0},
        {"a": 0, "free": 1},
        {"a": 1, "b": 0, "free": 0},
    ]
    assert "c" not in NESTED.build({"a": 0, "b": 1, "c": "x", "free": 0})
    chain = [Choice("0", (0, 1)), *(Choice(f"{n}", (0, 1), (f"{n - 1}", (1,))) for n in range(1, 3000))]
    assert space_of(*chain).size == 3001


@given(small_spaces())
def test_a_walk_asks_for_the_choices_that_exist_in_their_order_and_nothing_else(space: SearchSpace) -> None:
    for architecture in space.enumerate():
        asked: list[str] = []

        def pick(choice: Choice, asked: list[str] = asked, architecture: Architecture = architecture) -> Value:
            asked.append(choice.name)
            return architecture[choice.name]

        assert space.walk(pick) == architecture
        assert asked == [name for name, _ in architecture.choices]


@given(small_spaces())
def test_the_smallest_and_the_largest_have_the_first_and_the_last_options(space: SearchSpace) -> None:
    options = {choice.name: choice.options for choice in space.choices}
    assert all(value == options[name][0] for name, value in space.smallest().choices)
    assert all(value == options[name][-1] for name, value in space.largest().choices)
    assert space.smallest() in space
    assert space.largest() in space
    assert space.smallest() == next(space.enumerate())
    assert space.largest() == list(space.enumerate())[-1]


def test_the_largest_of_elastic_stages_has_all_blocks_and_the_smallest_the_fewest() -> None:
    assert dict(elastic(1).smallest().choices) == {
        "0.depth": 2, "0.0.kernel": 3, "0.0.expansion": 3, "0.1.kernel": 3, "0.1.expansion": 3
    }  # fmt: skip
    assert len(elastic(1).largest().choices) == 9
    assert elastic(1).largest()["0.3.expansion"] == 6


@given(small_spaces(), seeds, st.floats(0, 1))
def test_what_is_sampled_mutated_or_crossed_stays_in_the_space(space: SearchSpace, seed: int, chance: float) -> None:
    rng = Random(seed)
    one, other = space.sample(rng), space.sample(rng)
    assert one in space
    assert space.mutate(one, rng, chance) in space
    assert space.mutate(one, rng, 0) == one
    child = space.cross(one, other, rng)
    assert child in space
    assert all(value in [parent[name] for parent in (one, other) if name in parent] for name, value in child.choices)
    assert space.cross(one, one, rng) == one


@given(small_spaces(), seeds)
def test_a_mutation_without_a_chance_gives_another_value_to_exactly_one_choice(space: SearchSpace, seed: int) -> None:
    rng = Random(seed)
    one = space.sample(rng)
    if all(len(choice.options) == 1 for choice in space.choices if choice.name in one):
        with pytest.raises(IndexError):
            space.mutate(one, rng)
        return
    mutant = space.mutate(one, rng)
    assert mutant in space
    assert sum(mutant[name] != value for name, value in one.choices if name in mutant) == 1


def test_what_comes_into_being_by_a_mutation_is_drawn_and_what_ceases_to_exist_is_gone() -> None:
    rng, start = Random(0), NESTED.build({"a": 0, "free": 0})
    mutants = {NESTED.mutate(start, rng) for _ in range(300)}
    grown = {architecture for architecture in NESTED.enumerate() if architecture["a"] == 1 and not architecture["free"]}
    assert mutants == {NESTED.build({"a": 0, "free": 1}), *grown}
    back = {NESTED.mutate(NESTED.build({"a": 1, "b": 0, "free": 0}), rng) for _ in range(300)}
    assert NESTED.build({"a": 0, "free": 0}) in back


def test_mutation_by_a_chance_draws_each_choice_anew_that_often() -> None:
    rng, space = Random(0), space_of(Choice("a", (0, 1)), Choice("b", (0, 1, 2, 3)))
    mutants = [space.mutate(space.smallest(), rng, 0.4) for _ in range(4000)]
    assert abs(sum(mutant["a"] != 0 for mutant in mutants) / 4000 - 0.4 / 2) < 0.03
    assert abs(sum(mutant["b"] != 0 for mutant in mutants) / 4000 - 0.4 * 3 / 4) < 0.03
    anew = Counter(space.mutate(space.smallest(), rng, 1.0) for _ in range(4000))
    assert len(anew) == 8
    assert even(list(anew.values()))


def even(counts: list[int]) -> bool:
    """A chi-square test of equal chances, for up to eight counts: passed by all but one of 10,000 fair draws."""
    quantile = {2: 15.1, 3: 18.4, 4: 21.1, 8: 29.9}[len(counts)]
    mean = sum(counts) / len(counts)
    return sum((count - mean) ** 2 for count in counts) / mean < quantile


@pytest.mark.parametrize("space", [NESTED, elastic(1)], ids=["nested", "elastic"])
def test_every_choice_is_drawn_evenly_where_it_exists(space: SearchSpace) -> None:
    rng = Random(1)
    drawn = [space.sample(rng) for _ in range(6000)]
    for choice in space.choices:
        counts = Counter(architecture[choice.name] for architecture in drawn if choice.name in architecture)
        assert counts.keys() == set(choice.options)
        assert even(list(counts.values()))


def test_every_architecture_of_a_conditional_space_is_drawn() -> None:
    rng = Random(0)
    assert {NESTED.sample(rng) for _ in range(500)} == set(NESTED.enumerate())


def test_a_child_takes_what_exists_by_a_parents_value_from_that_parent() -> None:
    one, other = NESTED.build({"a": 1, "b": 2, "c": "y", "free": 0}), NESTED.build({"a": 0, "free": 1})
    rng = Random(0)
    children = {NESTED.cross(one, other, rng) for _ in range(200)}
    assert children == {
        NESTED.build({**dict(parent.choices), "free": free}) for parent in (one, other) for free in (0, 1)
    }


@given(small_spaces(), seeds)
def test_an_architecture_without_some_choices_survives_json(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(Random(seed))
    record = json.loads(str(architecture))["choices"]
    assert record == dict(architecture.choices)
    assert space.build({name: as_tuples(value) for name, value in record.items()}) == architecture


WITHOUT_CONDITIONS = [name for name, space in SPACES.items() if all(one.when is None for one in space.choices)]


@pytest.mark.parametrize("name", WITHOUT_CONDITIONS)
def test_draws_in_spaces_without_conditions_are_those_of_independent_choices(name: str) -> None:
    """Golden runs depend on the order of the draws: one a choice, in the space's order."""
    space, rng, by_choice = SPACES[name], Random(3), Random(3)
    one = space.sample(rng)
    assert dict(one.choices) == {choice.name: by_choice.choice(choice.options) for choice in space.choices}
    mutant = space.mutate(one, rng)
    changed = by_choice.choice([choice for choice in space.choices if len(choice.options) > 1])
    others = [option for option in changed.options if option != one[changed.name]]
    assert dict(mutant.choices) == {**dict(one.choices), changed.name: by_choice.choice(others)}
    child = space.cross(one, mutant, rng)
    assert all(value == by_choice.choice((one, mutant))[name] for name, value in child.choices)
    assert rng.getstate() == by_choice.getstate()


def test_the_darts_spaces_offer_mixtures_and_paths() -> None:
    assert all(space.kinds == {"mixture", "path"} for space in SPACES.values() if space.family == "darts")


DEPTH = Choice("depth", (2, 3))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ((DEPTH, DEPTH), "choice 'depth': two choices have this name"),
        ((Choice("depth", ()),), "choice 'depth': it has no options"),
        ((Choice("depth", (2, 2)),), "choice 'depth': it has an option twice"),
        ((Choice("kernel", (3,), ("depth", (2,))),), "choice 'kernel': it depends on 'depth', which is not an earlier"),
        ((Choice("kernel", (3,), ("depth", (2,))), DEPTH), "'depth', which is not an earlier choice"),
        ((Choice("kernel", (3,), ("kernel", (3,))),), "'kernel', which is not an earlier choice"),
        ((DEPTH, Choice("kernel", (3,), ("depth", (4,)))), r"'depth' is never 4; its options are \(2, 3\)"),
        ((DEPTH, Choice("kernel", (3,), ("depth", ()))), "it exists for no value of 'depth'"),
    ],
)
def test_choices_that_make_no_space_are_refused_in_one_line(choices: tuple[Choice, ...], words: str) -> None:
    with pytest.raises(InputError, match=rf"space 'small', .*{words}") as caught:
        space_of(*choices)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_kind_of_space_is_refused() -> None:
    kinds: Any = frozenset({"mixtures"})
    with pytest.raises(InputError, match="unknown kind of search space 'mixtures'; did you mean 'mixture'"):
        SearchSpace("small", "made up", (DEPTH,), family="toy", kinds=kinds)
