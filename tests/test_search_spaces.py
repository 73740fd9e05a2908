"""Spaces and architectures as values: drawing, changing, counting and writing them stays inside the space."""

import json
from collections import Counter
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartboard.errors import InputError
from dartboard.spaces import SPACES, darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.family import not_derived
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, as_lists, as_tuples, quote

FIXED = ((2, "x"),)
CHOICES = (Choice("width", (8, 16, 32)), Choice("kind", ("a", "b")), Choice("fixed", (FIXED,)))
TOY = SearchSpace("small toys", "made up", CHOICES, family="toy")
seeds = st.integers(0, 2**32)
spaces = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))
MANY = 200  # choices, from which on drawing often takes long
drawn = pytest.mark.parametrize(
    "space",
    [pytest.param(one, marks=pytest.mark.slow if len(one.choices) > MANY else ()) for one in SPACES.values()],
    ids=list(SPACES),
)


@drawn
@given(seed=seeds)
def test_what_is_sampled_mutated_or_crossed_lies_in_the_space(space: SearchSpace, seed: int) -> None:
    rng = Random(seed)
    one, other = space.sample(rng), space.sample(rng)
    child, mutant = space.cross(one, other, rng), space.mutate(one, rng)
    assert all(architecture in space for architecture in (one, other, child, mutant))
    fixed = [choice.name for choice in space.choices if choice.name in one and choice.name in mutant]
    assert sum(one[name] != mutant[name] for name in fixed) == 1
    assert all(pair in (*one.choices, *other.choices) for pair in child.choices)


@drawn
@given(seed=seeds)
def test_an_architecture_comes_back_from_its_json(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(Random(seed))
    record = json.loads(str(architecture))
    assert record == architecture.to_json()
    assert record["space"] == space.family
    again = FAMILIES[space.family].read({name: as_tuples(value) for name, value in record["choices"].items()})
    assert again == architecture
    assert hash(again) == hash(architecture)


@spaces
def test_every_space_knows_its_name_its_source_and_its_family(space: SearchSpace) -> None:
    assert space.family in FAMILIES
    assert SPACES[space.name] is space
    assert space.source


@spaces
def test_sampling_depends_on_the_generator_alone(space: SearchSpace) -> None:
    drawn = [space.sample(Random(seed)) for seed in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_enumeration_gives_every_architecture_once() -> None:
    found = list(TOY.enumerate())
    assert len(found) == len(set(found)) == TOY.size == 6
    assert all(architecture in TOY for architecture in found)
    assert found[0] == TOY.build({"width": 8, "kind": "a", "fixed": FIXED})
    assert found[1]["kind"] == "b"


def test_sampling_is_uniform() -> None:
    rng = Random(0)
    counts = Counter(TOY.sample(rng) for _ in range(6000))
    assert len(counts) == 6
    assert all(850 < count < 1150 for count in counts.values())


def test_mutation_reaches_every_neighbour_and_leaves_alone_what_has_no_alternative() -> None:
    rng = Random(0)
    start = next(TOY.enumerate())
    neighbours = {TOY.mutate(start, rng) for _ in range(200)}
    assert {(mutant["width"], mutant["kind"]) for mutant in neighbours} == {(16, "a"), (32, "a"), (8, "b")}


def test_crossing_mixes_both_parents() -> None:
    rng = Random(0)
    one = TOY.build({"width": 8, "kind": "a", "fixed": FIXED})
    other = TOY.build({"width": 32, "kind": "b", "fixed": FIXED})
    children = {(child["width"], child["kind"]) for child in (TOY.cross(one, other, rng) for _ in range(200))}
    assert children == {(8, "a"), (8, "b"), (32, "a"), (32, "b")}


def test_what_lies_outside_a_space_is_told_from_what_lies_in_it() -> None:
    inside = next(TOY.enumerate())
    assert inside in TOY
    assert "toy" not in TOY
    assert Architecture("small toys", inside.choices) not in TOY
    assert Architecture("toy", inside.choices[:2]) not in TOY
    assert Architecture("toy", (*inside.choices, ("more", 1))) not in TOY
    assert Architecture("toy", (("width", 9), *inside.choices[1:])) not in TOY


def test_an_architecture_answers_for_its_choices_by_name() -> None:
    architecture = next(TOY.enumerate())
    assert architecture["width"] == 8
    assert "width" in architecture
    assert "depth" not in architecture
    with pytest.raises(KeyError):
        architecture["depth"]


@given(st.recursive(st.integers() | st.text(), st.lists))
def test_lists_and_tuples_are_each_others_inverse(value: object) -> None:
    assert as_lists(as_tuples(value)) == value


@given(st.recursive(st.integers() | st.text() | st.floats(), st.lists) | st.dictionaries(st.text(), st.text()))
def test_a_quoted_value_is_one_short_line(value: object) -> None:
    assert len(quote(value)) <= 100
    assert len(quote(value).splitlines()) == 1


def test_the_darts_space_has_the_size_of_the_papers_formula() -> None:
    pairs = [comb(number, 2) * 7**2 for number in range(2, 6)]
    per_cell = pairs[0] * pairs[1] * pairs[2] * pairs[3]
    assert darts.SPACE.size == per_cell**2
    assert 1e18 < darts.SPACE.size < 2e18  # "approximately 10^18", DARTS, section 3.1.1
    assert all(len(set(choice.options)) == len(choice.options) for choice in darts.SPACE.choices)


def test_the_relaxed_cell_has_fourteen_edges_by_target_then_source() -> None:
    edges = darts.edges()
    assert edges[:6] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4))
    assert len(edges) == 14
    assert edges == tuple(sorted(edges, key=lambda edge: (edge[1], edge[0])))
    assert len(darts.edges(2)) == 5


@given(seed=seeds)
def test_an_architecture_is_the_sum_of_its_two_cells(seed: int) -> None:
    architecture = darts.SPACE.sample(Random(seed))
    assert darts.architecture({kind: darts.cell(architecture, kind) for kind in darts.CELLS}) == architecture


@given(seed=seeds)
def test_the_canonical_form_orders_inputs_and_changes_nothing_else(seed: int) -> None:
    architecture = darts.SPACE.sample(Random(seed))
    turned = Architecture("darts", tuple((name, value[::-1]) for name, value in architecture.choices))
    assert darts.canonical(turned) == darts.canonical(architecture) == architecture


NODE = (("skip_connect", 0), ("sep_conv_3x3", 1))


@pytest.mark.parametrize(
    ("nodes", "concat", "words"),
    [
        ((), (2,), "0 intermediate nodes"),
        ((NODE,) * 65, (2,), "65 intermediate nodes"),
        ((NODE, ()), (2,), r"node 3 of the normal cell has inputs \(\)"),
        ((((("skip_connect", 2)),),), (2,), "node 2 of the normal cell reads node 2"),
        (((("skip_connect", True),),), (2,), "has input"),
        (((("skip_connect", 1.0),),), (2,), "has input"),
        ((((["skip_connect"], 1),),), (2,), "has input"),
        (((("skip", 1),),), (2,), "did you mean 'skip_connect'"),
        ((NODE,), (1,), "concat"),
        ((NODE,), (3,), "concat"),
        ((NODE,), (True,), "concat"),
        ((NODE,), (2, 2), "concat"),
        ((NODE,), (), "concat"),
        ((NODE,), [2], "concat"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(nodes: tuple[object, ...], concat: object, words: str) -> None:
    good = darts.Cell((NODE,), (2,))
    bad = darts.Cell(nodes, concat)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        darts.architecture({"normal": bad, "reduce": good})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normal.concat": None}, "'normal.concat' is missing"),
        ({"reduce.3": None}, "'reduce.3' is missing"),
        ({"reduce.7": NODE}, "'reduce.6' is missing"),
        ({"middle.2": NODE}, "unknown choice 'middle.2'"),
        ({"normal": NODE}, "unknown choice 'normal'"),
    ],
)
def test_choices_that_make_no_cell_are_refused(change: dict[str, object], words: str) -> None:
    values = {**dict(darts.SPACE.sample(Random(0)).choices), **change}
    with pytest.raises(InputError, match=words):
        darts.from_choices({name: value for name, value in values.items() if value is not None})


def test_nothing_is_derived_in_a_family_that_mixes_nothing() -> None:
    with pytest.raises(InputError, match="not read off mixture weights; give a method that needs none"):
        not_derived({"chain": [[1.0]]}, {"chain": [["skip_connect"]]})
