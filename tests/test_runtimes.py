"""What computes the networks that are timed: torch, or onnxruntime. What needs onnxruntime is skipped without it."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dartboard.cli import main
from dartboard.commands.flags import parse
from dartboard.commands.latency import BuildFlags, plan_of
from dartboard.devices import processor
from dartboard.errors import InputError, InterruptedRunError
from dartboard.scoring import runtimes
from dartboard.scoring.latency import Conditions, key_of, own_sizes, read_table, table_from, timed_of
from dartboard.scoring.stopwatch import Placing, seconds_of_call
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import from_json
from dartboard.spaces.timed_layers import Layer
from dartboard.studies.latency_tables import Plan, build, timed

HERE = Conditions("cpu", "a processor", 1)
EXPORTED = replace(HERE, runtime="onnxruntime")
LAYER = Layer("stem", 3, 8)
installed = pytest.mark.skipif(
    not all(map(find_spec, runtimes.PACKAGES)), reason='needs: pip install "dartboard[onnxruntime]"'
)
TIMED_SPACES = ("bignas-8", "shufflenetv2-8-channels", "nasbenchmacro")


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No onnxruntime, as far as Python can see."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


# --- Without onnxruntime ----------------------------------------------------------------------------------------------


def test_a_runtime_that_is_missing_is_named_with_what_installs_it(
    missing: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.json"
    words = ["latency", "build", "--space", "bignas-8", "--runtime", "onnxruntime", "--out", str(out)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert 'pip install "dartboard[onnxruntime]"' in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
    runtimes.check_installed("torch")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "cuda"], "does not go with --device cuda, exports are timed on a CPU"),
        (["--channels-last"], "does not go with --channels-last, in ONNX channels are first"),
    ],
)
def test_what_onnxruntime_does_not_do_here_is_refused_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latency", "build", "--space", "bignas-8", "--runtime", "onnxruntime", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_runtime_is_in_the_keys_of_a_table_and_those_of_torch_are_what_they_were() -> None:
    assert key_of(LAYER, HERE) == "stem channels=3 side=8 batch=1 threads=1 channels_first float32"
    assert key_of(LAYER, EXPORTED) == key_of(LAYER, HERE) + " onnxruntime"


def record_of(conditions: dict[str, Any]) -> dict[str, Any]:
    """A table's file."""
    layers = {"a layer": {"median_ms": 1.0}}
    about = {"format": "dartboard latency table 1", "space": "bignas-8", "sizes": own_sizes(SPACES["bignas-8"])}
    return {**about, "conditions": conditions, "layers": layers, "constant_ms": 0.0, "slope": 1.0}


def test_a_table_from_before_there_were_runtimes_is_one_of_torch() -> None:
    old = {"device": "cpu", "device_name": "a processor", "threads": 1, "batch_size": 1}
    old |= {"memory_format": "channels_first", "number_format": "float32"}
    assert table_from(record_of(old), "t.json").conditions == HERE
    assert table_from(record_of({**old, "runtime": "onnxruntime"}), "t.json").conditions == EXPORTED


def test_a_table_that_does_not_serve_is_refused_with_the_command_for_its_own_runtime(tmp_path: Path) -> None:
    space, sizes = SPACES["bignas-8"], own_sizes(SPACES["bignas-8"])
    for conditions, words in ((HERE, "--threads 2 --out"), (EXPORTED, "--threads 2 --runtime onnxruntime --out")):
        known = {name: getattr(conditions, name) for name in conditions.__dataclass_fields__}
        (tmp_path / "t.json").write_text(json.dumps(record_of(known)))
        with pytest.raises(InputError, match=words):
            read_table(str(tmp_path / "t.json")).check(space, sizes, "a processor", 2)


def test_torch_is_the_module_itself(global_rng: None) -> None:
    module = nn.Conv2d(3, 2, 1)
    assert runtimes.callable_of("a", module, [torch.zeros(1, 3, 2, 2)], HERE) is module


def test_preparations_can_be_stopped() -> None:
    space = SPACES["bignas-8"]

    def stop() -> None:
        raise InterruptedRunError("stopped", 130)

    for layers, networks in (([LAYER], []), ([], [space.smallest()])):
        with pytest.raises(InterruptedRunError):
            timed(Plan(space, own_sizes(space), HERE), layers, networks, stop)


# --- With onnxruntime -------------------------------------------------------------------------------------------------


@installed
@pytest.mark.parametrize("name", TIMED_SPACES)
def test_exported_layers_and_networks_compute_what_torch_computes(name: str, global_rng: None) -> None:
    """A mismatch raises InputError: see below."""
    space, rng = SPACES[name], Random(1)
    plan = Plan(space, own_sizes(space), replace(EXPORTED, batch_size=2))
    layers = list(timed_of(space).of_space(space, plan.sizes))
    things = timed(plan, rng.sample(layers, 3), [space.smallest()], lambda: None)
    shapes = [one.call.result.numpy().shape for one in things]  # type: ignore[attr-defined]
    assert len(shapes) == 4 and shapes[3] == (2, plan.sizes["num_classes"])


@installed
@pytest.mark.parametrize("threads", [1, 2])
def test_a_call_computes_anew_and_takes_time(threads: int, global_rng: None) -> None:
    conditions = replace(EXPORTED, threads=threads)
    one = Placing(conditions).placed("a", nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)), 4, 5)
    assert isinstance(one.call, runtimes.Session)
    one.call(one.maps[0])
    before = one.call.result.numpy().copy()
    options = one.call.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    assert one.call.session.get_providers() == ["CPUExecutionProvider"]
    one.call.result.update_inplace(before * 0)
    one.call(one.maps[0])
    assert (one.call.result.numpy() == before).all() and before.any()
    one.call(one.maps[1])
    assert not (one.call.result.numpy() == before).any()
    assert seconds_of_call(one.call, one.maps, 3) > 0.0


class Astray(nn.Module):
    """Computes something else where it is exported."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (2.0 if torch.onnx.is_in_onnx_export() else 1.0)


@installed
def test_other_numbers_than_those_of_torch_are_refused() -> None:
    with pytest.raises(InputError, match=r"computes other numbers than torch for a layer, 1 of the largest apart"):
        Placing(EXPORTED).placed("a layer", Astray(), 3, 4)


class Unknown(nn.Module):
    """What ONNX has no word for."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


@installed
def test_what_cannot_be_exported_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"cannot export a layer to ONNX \(.*; build the table by") as caught:
        Placing(EXPORTED).placed("a layer", Unknown(), 3, 4)
    assert "\n" not in str(caught.value)


@installed
@pytest.mark.usefixtures("one_thread_throughout")
def test_a_table_by_onnxruntime_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "t.json")
    words = ["--space", "nasbenchmacro", "--channels", "4", "--image-size", "8", "--rounds", "3"]
    plan = plan_of(parse(BuildFlags, [*words, "--runtime", "onnxruntime"], "latency build", ""))
    record = build(replace(plan, fitted=3, checked=3), Path(out))
    table = read_table(out)
    assert table.conditions == replace(EXPORTED, device_name=processor())
    assert all(key.endswith(" onnxruntime") for key in table.layers)
    assert record["measured"]["onnxruntime"] == runtimes.version("onnxruntime")
    first = record["networks"]["fitted"][0]
    architecture = from_json(first["architecture"])
    assert table.predict_ms(architecture) == pytest.approx(first["predicted_ms"])
    layers = timed_of(SPACES["nasbenchmacro"]).of_network(architecture, table.sizes)
    alone = record["constant_ms"] + record["slope"] * sum(map(table.of_layer, layers))
    entering = sum(layer.channels * layer.side**2 for layer in layers) / 1e6
    assert first["predicted_ms"] == pytest.approx(alone + record["reordering_ms"] * entering)
    assert record["reordering_ms"] != 0.0
    capsys.readouterr()
    assert main(["latency", "show", out]) == 0
    told = capsys.readouterr().out
    assert f"onnxruntime {runtimes.version('onnxruntime')}, exported by torch {torch.__version__}" in told
    assert "CPU time of the one thread" in told and "ms a million numbers that enter them" in told
