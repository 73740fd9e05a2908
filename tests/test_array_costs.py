"""Costs of many networks at once, looked up by place, are those of each network counted by itself."""

from dataclasses import replace
from functools import partial
from random import Random

import numpy as np
import pytest

from dartboard.errors import InputError
from dartboard.methods import ofa
from dartboard.scoring import array_costs
from dartboard.scoring.cost import Cost, count
from dartboard.scoring.latency import Conditions, LatencyTable, Line, key_of, own_sizes, with_latency
from dartboard.scoring.limits import fits, limits_from
from dartboard.spaces import SPACES
from dartboard.spaces.columns import Columns
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace

SPACES_WITH_PLACES = ("ofa-8", "bignas-8", "ofa-32", "bignas-32", "ofa", "ofa-w1.2", "bignas")
SPACES_WITH_PLACES += ("shufflenetv2-8-channels", "shufflenetv2-8-bits")
COUNTED = ("params", "macs", "bitops", "memory_mb")
CONDITIONS = Conditions("cpu", "made up", threads=1)


def drawn(space: SearchSpace, number: int = 40) -> list[Architecture]:
    rng = Random(7)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(number))]


def one_by_one(sizes: dict[str, int], architecture: Architecture) -> Cost:
    own = {name: size for name, size in sizes.items() if name != "cells"}
    return count(architecture, cells=sizes["cells"], **own)


def table_of(space: SearchSpace, sizes: dict[str, int]) -> LatencyTable:
    """Made-up times of all layers of a space."""
    rng, timed = Random(1), FAMILIES[space.family].timed
    assert timed is not None
    layers = {key_of(layer, CONDITIONS): rng.uniform(0.01, 1.0) for layer in timed.of_space(space, sizes)}
    return LatencyTable("made up", space.name, sizes, CONDITIONS, layers, Line(0.3, 1.7, -0.4))


def other_sizes(space: SearchSpace) -> dict[str, int]:
    """Others than the space's own."""
    own = own_sizes(space)
    return {**own, "channels": own["channels"] + 8, "num_classes": 7, "in_channels": 1, "image_size": 37}


@pytest.mark.parametrize("sizes_of", [own_sizes, other_sizes])
@pytest.mark.parametrize("name", SPACES_WITH_PLACES)
def test_counts_are_exactly_those_of_each_network(name: str, sizes_of: partial[dict[str, int]]) -> None:
    space = SPACES[name]
    sizes, architectures, columns = sizes_of(space), drawn(space), Columns(space)
    found = array_costs.counting(columns, sizes, None)(columns.rows(architectures))  # type: ignore[arg-type]
    for number, architecture in enumerate(architectures):
        cost = one_by_one(sizes, architecture)
        assert {one: found[one][number] for one in COUNTED} == {one: getattr(cost, one) for one in COUNTED}


def test_the_published_largest_network_of_once_for_all_has_its_counts() -> None:
    space = SPACES["ofa"]
    columns, values = Columns(space), {"resolution": 224}
    largest = space.walk(lambda choice: values.get(choice.name, choice.options[-1]))
    found = array_costs.counting(columns, own_sizes(space), None)(columns.rows([largest]))  # type: ignore[arg-type]
    assert (found["params"][0], found["macs"][0]) == (7_664_760, 566_170_656)


@pytest.mark.parametrize("phase", ["full", "kernel", "depth 1", "width 1"])
def test_a_part_of_a_space_is_counted_as_the_space_is(phase: str) -> None:
    space = ofa.trained_space(ofa.Config(last_phase=phase), SPACES["ofa-8"])
    sizes, architectures, columns = own_sizes(SPACES["ofa-8"]), drawn(space, 10), Columns(space)
    found = array_costs.counting(columns, sizes, None)(columns.rows(architectures))  # type: ignore[arg-type]
    assert found["macs"].tolist() == [one_by_one(sizes, one).macs for one in architectures]


@pytest.mark.parametrize("name", ["ofa-8", "bignas-8", "bignas-32"])
def test_latencies_are_those_that_the_table_predicts(name: str) -> None:
    space = SPACES[name]
    sizes, architectures, columns = other_sizes(space), drawn(space), Columns(space)
    table = table_of(space, sizes)
    found = array_costs.counting(columns, sizes, None, table)(columns.rows(architectures))  # type: ignore[arg-type]
    assert found["latency_ms"] == pytest.approx([table.predict_ms(one) for one in architectures], rel=1e-12)


def test_a_table_that_lacks_a_layer_is_refused() -> None:
    space = SPACES["bignas-8"]
    table = table_of(space, own_sizes(space))
    lacking = replace(table, layers=dict(list(table.layers.items())[1:]), known={})
    with pytest.raises(InputError, match="made up has no"):
        array_costs.counting(Columns(space), own_sizes(space), None, lacking)  # type: ignore[arg-type]


def test_a_family_without_places_is_counted_one_by_one() -> None:
    space = SPACES["nasbenchmacro"]
    assert FAMILIES[space.family].places is None
    sizes, architectures, columns = own_sizes(space), drawn(space, 2), Columns(space)
    costs = with_latency(partial(one_by_one, sizes), None)
    found = array_costs.counting(columns, sizes, costs)(columns.rows(architectures))
    assert found["params"].tolist() == [costs(one).params for one in architectures]


def test_rows_within_limits_are_those_whose_costs_fit() -> None:
    space, limits = SPACES["ofa-8"], limits_from("macs<=400K,params<=60K,memory_mb<=0.3")
    sizes, architectures, columns = own_sizes(space), drawn(space, 200), Columns(space)
    fit = array_costs.within(array_costs.counting(columns, sizes, None), limits)  # type: ignore[arg-type]
    wanted = [fits(one_by_one(sizes, one), limits) for one in architectures]
    assert fit(columns.rows(architectures)).tolist() == wanted and 0 < sum(wanted) < len(wanted)
    assert fit(columns.rows([])).shape == (0,)
    nothing = array_costs.within(array_costs.counting(columns, sizes, None), ())  # type: ignore[arg-type]
    assert nothing(columns.rows(architectures)).all()
    assert np.asarray(wanted).dtype == bool
