"""Regularized evolution: who is removed, who is the parent, how a population begins, batches, limits, any space.

What it has in common with every method is tried by test_contracts.py.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

import tiny
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.methods import random_search
from dartboard.methods import regularized_evolution as evolution
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost
from dartboard.scoring.limits import Limit
from dartboard.scoring.scorers import Score, Scorer
from dartboard.search import trials
from dartboard.search.proposals import Trial, drawing
from dartboard.spaces import SPACES, nasbench201
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace
from trial_settings import chance

CELLS = nasbench201.SPACE


def search(
    scorer: Scorer = chance, method: Any = evolution, space: SearchSpace = CELLS, **settings: Any
) -> list[Architecture]:
    """What a search scores, in the order of the trials; without a run."""
    config, seen = method.Config(**settings), list[Architecture]()
    proposer = method.proposer(config, space, drawing(space, (), lambda architecture: Cost(0, 0, 0)), Random(0))
    for start in range(0, config.trials, size := getattr(config, "batch", 1)):
        numbers = range(start, min(start + size, config.trials))
        found = proposer.ask([trials.stream(0, number) for number in numbers])
        seen += found
        proposer.tell([Trial(number, one, scorer(one, number)) for number, one in zip(numbers, found, strict=True)])
    return seen


def differences(one: Architecture, other: Architecture) -> int:
    return sum(pair not in other.choices for pair in one.choices)


def population(space: SearchSpace = CELLS, **settings: Any) -> evolution.Population:
    draw = drawing(space, (), lambda architecture: Cost(0, 0, 0))
    return evolution.proposer(evolution.Config(**settings), space, draw, Random(0))


def trial(number: int, value: float, space: SearchSpace = CELLS) -> Trial:
    return Trial(number, space.sample(Random(number)), Score(value))


def test_the_oldest_is_removed_even_if_it_is_the_best() -> None:
    members = population(population=3)
    members.tell([trial(0, 1.0), trial(1, 0.1), trial(2, 0.2)])
    members.tell([trial(3, 0.05)])
    assert [member.number for member in members.members] == [1, 2, 3]


def test_each_child_is_one_change_of_the_best_of_those_that_are_young() -> None:
    """The first trial is the best of all, and has no children once it is too old. Samples hold everybody."""
    values = [1.0, *(number * 7 % 11 / 20 for number in range(1, 24))]
    seen = search(lambda a, number: Score(values[number]), trials=24, population=4, sample=60)
    for number in range(4, 24):
        parent = max(range(number - 4, number), key=values.__getitem__)
        assert differences(seen[number], seen[parent]) == 1


def test_the_population_begins_at_random_as_a_random_search_does() -> None:
    found, drawn = search(trials=12, population=8), search(method=random_search, trials=12)
    assert found[:8] == drawn[:8] and found[8:] != drawn[8:]


def test_children_of_a_batch_have_their_parents_in_the_population_before_it() -> None:
    """What one of them scores changes nothing of the others in their batch, and something after it."""
    settings = {"trials": 12, "population": 4, "batch": 4, "sample": 4}
    found = search(**settings)
    other = search(lambda a, number: Score(2.0) if number == 6 else chance(a, number), **settings)
    assert other[:8] == found[:8] and other[8:] != found[8:]


def test_a_batch_larger_than_the_population_begins_at_random_and_goes_on() -> None:
    seen, drawn = search(trials=15, population=2, batch=5), search(method=random_search, trials=15)
    assert len(seen) == 15 and seen[:5] == drawn[:5]
    assert all(min(differences(child, seen[n]) for n in (3, 4)) == 1 for child in seen[5:10])


def test_a_population_is_read_back_exactly() -> None:
    first, second = population(population=3), population(population=3)
    first.tell([trial(number, 0.1 + number / 3) for number in range(5)])
    second.tell([trial(9, 0.5)])
    second.load({}, json.loads(json.dumps(first.extra())))
    assert second.members == first.members
    rngs = [Random(number) for number in range(4)]
    assert second.ask([Random(number) for number in range(4)]) == first.ask(rngs)


def test_a_checkpoint_without_a_population_is_refused(tmp_path: Path) -> None:
    config = evolution.Config(trials=4)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), space=CELLS.name) as run:
        run.save({}, step=1, epoch=0, extra={"done": 1, "best": None})
        with pytest.raises(InputError, match="is of another run"):
            evolution.search(config, CELLS, None, run, scorer=chance)


def test_children_are_within_the_limits_and_the_result_is_the_best_of_all_trials(tmp_path: Path) -> None:
    space = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))
    config = evolution.Config(trials=20, population=3, limit="macs<=100M")
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        result = evolution.search(config, space, None, run, scorer=lambda a, number: Score(1 / (1 + number)))
    lines = [line for line in tiny.history(tmp_path / "run") if line["event"] == "trial"]
    assert len(lines) == 20 and all(line["macs"] <= 100e6 for line in lines)
    assert (result.number, result.score.value) == (0, 1.0)


def test_where_no_mutation_is_within_the_limits_the_child_is_drawn_at_random() -> None:
    """Only two architectures that differ in both choices are cheap enough."""
    space = SearchSpace("two", "made up", (Choice("a", (0, 1)), Choice("b", (0, 1))), family="toy")
    draw = drawing(space, [Limit("params", 1)], lambda a: Cost(0 if a["a"] == a["b"] else 2, 0, 0))
    members = evolution.proposer(evolution.Config(population=1), space, draw, Random(0))
    members.tell([Trial(0, space.smallest(), Score(1.0))])
    found = {one["a"] for one in members.ask([Random(number) for number in range(20)])}
    assert found == {0, 1}


def test_conditional_spaces_and_a_space_of_one_architecture_are_searched() -> None:
    conditional = SearchSpace(
        "small",
        "made up",
        (Choice("depth", (1, 2)), Choice("kernel", (3, 5, 7), ("depth", (2,))), Choice("width", (1, 2))),
        family="toy",
    )
    single = SearchSpace("one", "made up", (Choice("a", (0,)),), family="toy")
    for space in (conditional, single):
        members = population(space, population=2, sample=2)
        for number in range(30):
            (child,) = members.ask([Random(number)])
            assert child in space
            members.tell([Trial(number, child, Score(number % 5))])
        assert len(members.members) == 2


@pytest.mark.parametrize("name", ["population", "sample", "batch"])
def test_sizes_of_0_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"--{name} is 0"):
        evolution.Config(**{name: 0})


@pytest.mark.parametrize("changed", [{"population": 5}, {"sample": 1}, {"batch": 3}], ids=str)
def test_every_setting_of_the_population_changes_what_is_scored(changed: dict[str, int]) -> None:
    base = {"trials": 30, "population": 4, "sample": 2}
    assert search(**{**base, **changed}) != search(**base)


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
def test_children_are_in_every_space(space: SearchSpace) -> None:
    found = search(space=space, trials=12, population=3)
    assert len(set(found)) > 8 and all(one in space for one in found)
