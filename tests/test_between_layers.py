"""Layers of NAS with RL that are too many to be timed: between which of those that are timed they lie."""

from random import Random

import pytest

from dartboard.errors import InputError
from dartboard.scoring.latency import Conditions, LatencyTable, Line, key_of
from dartboard.spaces import SPACES
from dartboard.spaces.nas_rl import between, layers_of_network, layers_of_space
from dartboard.spaces.nas_rl_timed import places_on
from dartboard.spaces.timed_layers import Layer

SIZES = {"channels": 24, "cells": 39, "num_classes": 10, "in_channels": 3, "image_size": 32}
HERE = Conditions("cpu", "a processor", 1, 1, "channels_first")
NAMES = ["nas_rl", "nas_rl-12", "nas_rl-strides"]


def ms_of(layer: Layer) -> float:
    """A time by formula: in proportion to width and pixels, with a rest of each, by the settings."""
    settings = dict(layer.settings)
    weight = settings.get("height", 1) * settings.get("width", 1) * settings.get("outputs", 1)
    weight *= settings.get("maps", 1) + 4
    return 1e-9 * weight * (layer.channels + 5) * (layer.side**2 + 3)  # type: ignore[no-any-return]


def table_of(name: str) -> LatencyTable:
    """The table of a device on which everything takes as long as the formula says."""
    layers = {key_of(layer, HERE): ms_of(layer) for layer in layers_of_space(SPACES[name], SIZES)}
    return LatencyTable("table.json", name, SIZES, HERE, layers, Line(0.5, 1.25))


@pytest.mark.parametrize("name", NAMES)
def test_times_that_grow_with_width_and_pixels_are_found_between_those_of_the_table(name: str) -> None:
    table, rng = table_of(name), Random(0)
    for _ in range(30):
        architecture = SPACES[name].sample(rng)
        exact = 0.5 + 1.25 * sum(map(ms_of, layers_of_network(architecture, SIZES)))
        assert table.predict_ms(architecture) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_lies_between_layers_of_its_own_settings_and_its_weights_sum_to_one(name: str) -> None:
    lies, rng = between(SPACES[name], SIZES), Random(1)
    timed = set(layers_of_space(SPACES[name], SIZES))
    for layer in {layer for _ in range(50) for layer in layers_of_network(SPACES[name].sample(rng), SIZES)}:
        found = lies(layer)
        maps = dict(layer.settings).get("maps")
        if maps is None:
            assert {(one.kind, one.settings) for one, _ in found} == {(layer.kind, layer.settings)}
        else:
            assert sum(weight * dict(one.settings)["maps"] for one, weight in found) == pytest.approx(maps)
        assert sum(weight for _, weight in found) == pytest.approx(1.0)
        assert sum(weight * one.channels for one, weight in found) == pytest.approx(layer.channels)
        assert sum(weight * one.side**2 for one, weight in found) == pytest.approx(layer.side**2)
        assert all(0.0 <= weight <= 1.0 for _, weight in found)
        assert {one for one, _ in found} <= timed


def test_the_layer_on_the_image_is_timed_itself() -> None:
    for name in NAMES:
        lies = between(SPACES[name], SIZES)
        first = layers_of_network(SPACES[name].smallest(), SIZES)[0]
        assert first.channels == 3 and lies(first) == [(first, 1.0)]


def test_numbers_on_a_line() -> None:
    assert places_on((2, 6, 18), 6, 1) == [(6, 1.0)]
    assert places_on((2, 6, 18), 9, 1) == [(6, 0.75), (18, 0.25)]
    assert places_on((1, 4), 3, 2) == [(1, pytest.approx(7 / 15)), (4, pytest.approx(8 / 15))]
    assert places_on((2, 6), 8, 1) == [(2, -0.5), (6, 1.5)]
    assert places_on((32,), 32, 2) == [(32, 1.0)]


def test_a_table_without_a_layer_is_refused_with_its_name() -> None:
    table = table_of("nas_rl-12")
    short = LatencyTable("table.json", "nas_rl-12", SIZES, HERE, dict(list(table.layers.items())[:5]), table.line)
    with pytest.raises(InputError, match=r"table\.json has no 'convolution channels=.*build one of this space"):
        short.predict_ms(SPACES["nas_rl-12"].largest())
