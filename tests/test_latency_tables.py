"""Tables of latency, with a clock whose times are known: no test looks at a real one's."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dartboard.cli import main
from dartboard.errors import InputError, InterruptedRunError, InUseError
from dartboard.scoring.cost import count
from dartboard.scoring.latency import Conditions, Line, command_of, fitted, key_of, own_sizes, read_table, timed_of
from dartboard.scoring.stopwatch import Placing, calls_of, clock_words, medians, one_round, seconds_of_call
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.mobilenet_timed import of_space
from dartboard.spaces.timed_layers import Layer
from dartboard.studies import latency_tables
from dartboard.studies.latency_tables import ROUNDS, Plan, agreement, build, check_rounds, drawn, own_measurements
from dartboard.studies.pieces import Pieces
from latency_table import CONSTANT_MS, MS_OF_MAC, by_formula, clock_of_macs

SPACE = SPACES["bignas-8"]
HERE = Conditions("cpu", "a processor", torch.get_num_threads())
SMALL = {"channels": 4, "num_classes": 10, "in_channels": 3, "image_size": 8}


def plan(**more: Any) -> Plan:
    usual = {"space": SPACE, "sizes": own_sizes(SPACE), "rounds": 3, "fitted": 4, "checked": 20}
    return Plan(**{**usual, "conditions": HERE, **more})


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("latency") / "table.json"
    return out, build(plan(), out, clock_of_macs())


def test_a_constant_and_times_of_layers_that_add_up_are_found_again(table: tuple[Path, dict[str, Any]]) -> None:
    """Independent answer: latency = a + b MACs by construction, so the constant is a and the slope 1."""
    _, record = table
    assert record["constant_ms"] == pytest.approx(CONSTANT_MS, rel=1e-5)
    assert record["slope"] == pytest.approx(1.0, rel=1e-5)
    for found in (record["checked"]["by_layers"], record["checked"]["by_macs"]):
        assert found["n"] == 20 and found["share_within_10_percent"] == 1.0 and found["largest_error"] < 1e-5
        assert found["kendall_tau"] == pytest.approx(1.0)
    assert record["checked"]["by_macs"]["slope"] == pytest.approx(MS_OF_MAC, rel=1e-5)


def test_a_table_predicts_networks_that_were_never_timed(table: tuple[Path, dict[str, Any]]) -> None:
    found, rng = read_table(str(table[0])), Random(5)
    for _ in range(10):
        one = SPACE.sample(rng)
        expected = CONSTANT_MS + MS_OF_MAC * count(one, channels=8, num_classes=10, image_size=8).macs
        assert found.predict_ms(one) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["darts", "nasbench201", "enas_micro", pytest.param("nasnet", marks=pytest.mark.slow)])
def test_a_table_of_cells_predicts_networks_that_were_never_timed(name: str, tmp_path: Path) -> None:
    """Independent answer as above: what joins, and pools, have no multiply-adds and take no time."""
    space, sizes = SPACES[name], {**SMALL, "cells": 5}
    record = build(plan(space=space, sizes=sizes, checked=2), tmp_path / "t.json", clock_of_macs())
    assert record["constant_ms"] == pytest.approx(CONSTANT_MS, rel=1e-4)
    found, one = read_table(str(tmp_path / "t.json")), space.sample(Random(9))
    assert found.predict_ms(one) == pytest.approx(CONSTANT_MS + MS_OF_MAC * count(one, **sizes).macs, rel=1e-4)
    assert "--cells 5" in command_of(space, sizes, 1) and "--cells" not in command_of(SPACE, own_sizes(SPACE), 1)


@pytest.mark.parametrize(
    "name", ["enas_macro", "nas_rl-12", pytest.param("nas_rl-strides", marks=pytest.mark.slow)]
)
def test_a_table_of_layers_that_take_several_maps_predicts_networks_too(name: str, tmp_path: Path) -> None:
    """As above; multiply-adds grow with width and pixels, so those of layers between timed ones are exact."""
    space = SPACES[name]
    sizes = {**SMALL, "cells": own_sizes(space)["cells"]}
    table = by_formula(name, sizes, tmp_path / "t.json")
    found, one = read_table(str(table)), space.sample(Random(9))
    macs = count(one, **sizes).macs
    if name == "nas_rl-strides":  # sides are rounded up where a stride divides them, and so are pixels between sides
        assert found.predict_ms(one) == pytest.approx(CONSTANT_MS + MS_OF_MAC * macs, rel=0.1)
    else:
        assert found.predict_ms(one) == pytest.approx(CONSTANT_MS + MS_OF_MAC * macs, rel=1e-9)
    assert "--cells" not in command_of(space, sizes, 1)


def test_all_layers_of_the_space_are_in_the_table_with_what_they_were_timed_under(
    table: tuple[Path, dict[str, Any]],
) -> None:
    keys = set(table[1]["layers"])
    assert keys == {key_of(layer, HERE) for layer in of_space(SPACE, own_sizes(SPACE))}
    assert all(key.endswith(f"batch=1 threads={HERE.threads} channels_first float32") for key in keys)


def test_networks_that_are_checked_are_none_that_was_fitted_on() -> None:
    chosen = drawn(plan())
    assert len(set(chosen)) == len(chosen) == 24
    assert chosen[:2] == [SPACE.smallest(), SPACE.largest()]
    assert drawn(plan(seed=1))[2:] != chosen[2:]


def test_a_stopped_build_continues_with_the_rounds_that_are_left(tmp_path: Path) -> None:
    timed = list[int]()
    num_things = len(of_space(SPACE, own_sizes(SPACE))) + 24

    def stop() -> None:
        if len(timed) == 3 * num_things + 5:  # calls, two rounds, and a part of the third
            raise InterruptedRunError("stopped", 130)

    def clock(module: nn.Module, maps: Sequence[Tensor], calls: int) -> float:
        timed.append(calls)
        return 0.001

    with pytest.raises(InterruptedRunError):
        build(plan(), tmp_path / "t.json", clock, stop)
    assert not (tmp_path / "t.json").exists()
    timed.clear()
    with pytest.raises(InputError, match="of a build with other settings; delete it"):
        build(plan(seed=1), tmp_path / "t.json", clock)
    build(plan(), tmp_path / "t.json", clock)
    assert len(timed) == num_things
    assert not (tmp_path / f"t.json{ROUNDS}").exists()


@pytest.mark.parametrize("ms", [[0.1], ["a"] * 2, [float("nan")] * 2, 3, None, [0.0] * 2])
def test_damaged_rounds_are_refused_in_one_line(ms: object, tmp_path: Path) -> None:
    pieces = Pieces(tmp_path, "t.json.rounds.jsonl")
    pieces.add_all({"calls": {"calls": [3, 3]}, "round/0": {"ms": [0.1, 0.2]}})
    check_rounds(pieces, 2)
    (tmp_path / "t.json.rounds.jsonl").open("a").write(json.dumps({"key": "round/1", "ms": ms}) + "\n")
    with pytest.raises(InputError, match="is damaged; delete it, and the table is built from the start"):
        check_rounds(Pieces(tmp_path, "t.json.rounds.jsonl"), 2)


def test_what_is_refused_leaves_nothing_and_measured_rounds_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "deep" / "t.json"
    words = ["latency", "build", "--space", "shufflenetv2-8", "--image-size", "2", "--out", str(out)]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "new").exists()

    def no_memory(*words: Any) -> list[Any]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(latency_tables, "timed", no_memory)
    with pytest.raises(InputError, match="too little memory for these layers; give fewer --channels"):
        build(plan(), out, clock_of_macs())
    assert not (tmp_path / "new").exists()
    monkeypatch.undo()

    def stop() -> None:
        raise InterruptedRunError("stopped", 130)

    with pytest.raises(InterruptedRunError):
        build(plan(), out, clock_of_macs(), stop)
    with pytest.raises(InputError, match="of a build with other settings; delete it"):
        build(plan(seed=1), out, clock_of_macs())
    assert (out.parent / f"t.json{ROUNDS}").exists()


def test_a_table_that_another_process_builds_is_refused(tmp_path: Path) -> None:
    with own_measurements(tmp_path / "t.json"), pytest.raises(InUseError, match="another process builds"):
        build(plan(), tmp_path / "t.json", clock_of_macs())


def test_a_median_and_the_distance_of_quartiles() -> None:
    assert medians([[1.0, 5.0], [2.0, 5.0], [9.0, 5.0]]) == ([2.0, 5.0], [4.0, 0.0])


def test_a_line_is_fitted_by_relative_errors() -> None:
    line = fitted([1.0, 2.0, 3.0], [3.0, 5.0, 7.0])
    assert (line.constant_ms, line.slope) == (pytest.approx(1.0), pytest.approx(2.0))
    entering = [3.0, 1.0, 2.0, 5.0]
    line = fitted([1.0, 2.0, 3.0, 4.0], [3.0 - 0.5 * one + 2.0 * n for n, one in enumerate(entering)], entering)
    assert (line.constant_ms, line.slope, line.reordering_ms) == pytest.approx((1.0, 2.0, -0.5))
    assert line.at(4.0, 5.0) == pytest.approx(1.0 + 8.0 - 2.5)
    # by hand, of points (0, 1) and (0, 2): the c that minimises (c - 1)^2 + (c / 2 - 1)^2 is 1.2
    assert fitted([0.0, 0.0], [1.0, 2.0]).at(0.0) == pytest.approx(1.2)


def test_agreement_by_hand() -> None:
    found = agreement([1.0, 2.2, 4.0], [1.0, 2.0, 3.0])
    assert found["mean_error"] == pytest.approx((0.0 + 0.1 + 1 / 3) / 3)
    assert found["share_within_10_percent"] in (pytest.approx(1 / 3), pytest.approx(2 / 3))  # 2.2 / 2 rounds
    assert agreement([1.0, 2.1, 4.0], [1.0, 2.0, 3.0])["share_within_10_percent"] == pytest.approx(2 / 3)
    assert found["kendall_tau"] == pytest.approx(1.0)


def test_rounds_time_everything_once_each_in_an_order_of_its_own(global_rng: None) -> None:
    places = Placing(HERE)
    things = [places.placed(str(n), nn.Conv2d(1, n + 1, 1), 1, 2) for n in range(6)]
    seen = list[int]()

    def clock(module: nn.Module, maps: Sequence[Tensor], calls: int) -> float:
        assert not torch.is_grad_enabled() and not module.training
        seen.append(module.out_channels)  # type: ignore[arg-type]
        return 0.001

    assert calls_of(things, clock) == [3] * 6
    orders = []
    for number in (0, 1):
        seen.clear()
        assert one_round(things, [3] * 6, number, clock) == [1.0] * 6
        orders.append([*seen])
    assert sorted(orders[0]) == sorted(orders[1]) == [1, 2, 3, 4, 5, 6] and orders[0] != orders[1]


def test_a_real_clock_gives_seconds_and_placed_maps_their_format(global_rng: None) -> None:
    conditions = replace(HERE, batch_size=3, memory_format="channels_last")
    one = Placing(conditions).placed("a", nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)), 4, 5)
    assert all(x.shape == (3, 4, 5, 5) and x.is_contiguous(memory_format=torch.channels_last) for x in one.maps)
    assert seconds_of_call(one.call, one.maps, 3) > 0.0
    assert clock_words("cpu", 1) == "CPU time of the one thread"
    assert clock_words("cpu", 2) == clock_words("cuda", 1) == "wall clock"
    out = one.call(one.maps[0])
    assert 0.1 < float(out.detach().std()) < 10.0  # by statistics of its own


@pytest.mark.parametrize(("batch_size", "number"), [(1, 16), (3, 6), (16, 1), (40, 1)])
def test_maps_are_taken_in_turn_and_have_all_images(batch_size: int, number: int, global_rng: None) -> None:
    places, seen = Placing(replace(HERE, batch_size=batch_size)), list[Tensor]()
    one, other = (places.placed(name, nn.Conv2d(2, 2, 1), 2, 3) for name in "ab")
    assert len(one.maps) == number and all(x.shape == (batch_size, 2, 3, 3) for x in one.maps)
    assert len({image.numpy().tobytes() for x in one.maps for image in x}) == 16
    assert (one.maps[0].data_ptr() == other.maps[0].data_ptr()) == (batch_size == 1)  # one tensor for all
    seconds_of_call(seen.append, one.maps, 3)  # each of three calls behind two that are not timed
    assert [x.data_ptr() for x in seen[:number]] == [x.data_ptr() for x in one.maps][: len(seen)]
    assert len(seen) == 9


# --- What does not serve ----------------------------------------------------------------------------------------------


def test_a_table_of_elsewhere_is_refused_with_the_command_that_builds_one(table: tuple[Path, dict[str, Any]]) -> None:
    found, sizes = read_table(str(table[0])), own_sizes(SPACE)
    found.check(SPACE, sizes, "a processor", HERE.threads)
    for words, space, changed, name, threads in (
        ("the device a processor, and this is the device another", SPACE, sizes, "another", HERE.threads),
        ("and this is 99 threads", SPACE, sizes, "a processor", 99),
        (
            "3 image channels, and this is 1 image channel;",
            SPACE,
            {**sizes, "in_channels": 1},
            "a processor",
            HERE.threads,
        ),
        ("the space bignas-8, and this is the space ofa-8", SPACES["ofa-8"], sizes, "a processor", HERE.threads),
    ):
        with pytest.raises(InputError, match=words) as caught:
            found.check(space, changed, name, threads)
        assert command_of(space, changed, threads) in str(caught.value)


def test_a_layer_that_is_not_in_the_table_is_refused(table: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(InputError, match=r"has no 'stem channels=3 side=99 batch=1 .* of the space bignas-8"):
        read_table(str(table[0])).of_layer(Layer("stem", 3, 99))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"layers": {"a": 3}},
        {"constant_ms": None},
        {"conditions": {"device": "cpu"}},
        {"space": "nowhere"},
        {"sizes": [1]},
        {"layers": {}},
        {"layers": {"a": {"median_ms": -1.0}}},
        {"layers": {"a": {"median_ms": float("nan")}}},
        {"slope": float("nan")},
        {"reordering_ms": float("inf")},
        {"slope": 10**400},
        {"sizes": {"channels": float("inf")}},
        {"conditions": {"device": "cpu", "device_name": "x", "threads": "1"}},
        {"conditions": {"device": "cpu", "device_name": "x", "threads": 1, "memory_format": "x"}},
    ],
)
def test_damaged_tables_are_refused(change: dict[str, Any], table: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({**table[1], **change}))
    with pytest.raises(InputError, match=r"it is no table of latencies|does not know here"):
        read_table(str(tmp_path / "t.json"))


def test_a_line() -> None:
    assert Line(1.0, 2.0).at(3.0) == 7.0


# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_shows_what_a_table_says(
    table: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latency", "show", str(table[0])]) == 0
    out = capsys.readouterr().out
    assert "bignas-8: 179 layers on a processor (cpu)" in out
    assert "latency = 0.25 ms + 1 x the sum of its layers" in out
    assert "by layers           mean error   0.0 %" in out and "Kendall's tau 1.000" in out
    assert "predicts badly" not in out
    bad = {"by_layers": {**table[1]["checked"]["by_layers"], "share_within_10_percent": 0.4}}
    worse = tmp_path / "bad.json"
    worse.write_text(json.dumps({**table[1], "checked": {**table[1]["checked"], **bad}}))
    assert main(["latency", "show", str(worse)]) == 0
    assert "this table predicts badly; build another one" in capsys.readouterr().out


def test_every_space_of_this_house_has_layers_that_are_timed() -> None:
    assert all(timed_of(space) is not None for space in SPACES.values())


def test_a_space_whose_family_names_no_layers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "theirs", replace(FAMILIES["darts"], timed=None))
    with pytest.raises(InputError, match="networks of theirs-1 are not timed by layers; spaces that are: darts, "):
        timed_of(replace(SPACES["darts"], name="theirs-1", family="theirs"))


@pytest.mark.parametrize("change", [{"measured": 3}, {"checked": {"by_layers": {"n": 20}}}, {"layers": {}}])
def test_a_damaged_table_is_not_shown(
    change: dict[str, Any], table: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.json").write_text(json.dumps({**table[1], **change}))
    assert main(["latency", "show", str(tmp_path / "t.json")]) == 2
    said = capsys.readouterr()
    assert "is damaged: it is no table of latencies; make one with" in said.err and said.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latency"], ""),
        (["latency", "biuld"], "did you mean 'build'"),
        (["latency", "--space", "ofa-8"], "say what to do"),
        (["latency", "build", "--space", "ofa-9"], "unknown space"),
        (["latency", "build", "--space", "darts", "--cells", "2"], "--cells"),
        (["latency", "build", "--space", "nasbenchmacro", "--cells", "9"], "has 8 layers; leave it out"),
        (["latency", "build", "--checked", "3"], "--checked"),
        (["latency", "build", "--threads", "0"], "--threads"),
        (["latency", "show"], "name a table"),
        (["latency", "show", "nowhere.json"], "there is no file nowhere.json; give a file of dartboard latency build"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == (2 if message else 0)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == bool(message)


def test_a_file_that_is_there_is_not_overwritten(
    table: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latency", "build", "--space", "bignas-8", "--out", str(table[0])]) == 2
    assert "exists; give another file with --out" in capsys.readouterr().err
