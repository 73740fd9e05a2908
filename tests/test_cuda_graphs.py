"""Steps through places that stay: as recorded by CUDA graphs, tried on the CPU with a recording that is a call."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tiny
from dartboard.config import Setup
from dartboard.errors import InterruptedRunError
from dartboard.formats import published
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.training import cuda_graphs

ORDERS = pytest.mark.parametrize("second_order", [False, True], ids=["first order", "second order"])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def recorded_as_a_call(step: Callable[..., Any], places: Sequence[Tensor], pool: Any) -> cuda_graphs.Recording:
    """What CUDA does, without a GPU: nothing runs now; a replay reads the places and overwrites the same results."""
    kept: dict[Any, Tensor] = {}

    def replay() -> Any:
        found = step(*places)
        named = dict(enumerate(found)) if isinstance(found, tuple) else found if isinstance(found, dict) else {0: found}
        for name, result in named.items():
            kept.setdefault(name, result.clone()).copy_(result)
        return tuple(kept.values()) if isinstance(found, tuple) else kept if isinstance(found, dict) else kept[0]

    return replay


@ORDERS
def test_a_search_through_places_is_the_search_bit_for_bit(
    second_order: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven steps of two batch sizes, four of them replayed."""
    changes: dict[str, Any] = {
        "second_order": second_order,
        "epochs": 2,
        "batch_size": 9,
        "space": tiny.space_of(*SOME),
    }
    plain = tiny.search(tmp_path / "plain", **changes)
    monkeypatch.setattr(cuda_graphs, "recorder", lambda device: cuda_graphs.Recorder(recorded_as_a_call).captured)
    replayed = tiny.search(tmp_path / "replayed", **changes)
    assert tiny.history(tmp_path / "plain") == tiny.history(tmp_path / "replayed")
    assert tiny.same_tensors(dict(plain.supernet.state_dict()), dict(replayed.supernet.state_dict()))
    assert tiny.same_tensors(plain.alpha, replayed.alpha)


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_a_training_through_places_is_the_training_bit_for_bit(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drop path from the second epoch on, so each size of batch is recorded with its factors and without."""
    changes: dict[str, Any] = {"epochs": 3, "batch_size": 9, "drop_path": 0.5, "network": form}
    cell, recorded = published()["DARTS_V2"].architecture, list[int]()

    def record(step: Callable[..., Any], places: Sequence[Tensor], pool: Any) -> cuda_graphs.Recording:
        recorded.append(len(places))
        return recorded_as_a_call(step, places, pool)

    score, network = tiny.fit(tmp_path / "direct", cell, **changes)
    monkeypatch.setattr(cuda_graphs, "recorder", lambda device: cuda_graphs.Recorder(record).captured)
    again, replayed = tiny.fit(tmp_path / "replayed", cell, **changes)
    assert recorded == ([3, 4] if form == "fast" else [])
    assert tiny.history(tmp_path / "direct") == tiny.history(tmp_path / "replayed") and score == again
    assert tiny.same_tensors(dict(network.state_dict()), dict(replayed.state_dict()))


SOME = ("max_pool_3x3", "dil_conv_3x3")


def counted(record: Any = recorded_as_a_call) -> tuple[Callable[..., Any], list[int], cuda_graphs.Recorder]:
    """A step that adds its arguments to a total, and how often its Python ran."""
    calls: list[int] = []
    total = torch.zeros(2)

    def step(x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(1)
        total.add_(x[:2] * scale)
        return total.clone(), scale * 1

    recorder = cuda_graphs.Recorder(record)
    return recorder.captured(step), calls, recorder


def test_numbers_and_tensors_of_each_call_reach_a_replay_and_results_are_kept() -> None:
    call, _, _ = counted()
    kept = [call(torch.full((2,), float(n)), 0.5)[0] for n in range(1, 8)]
    assert [float(one[0]) for one in kept] == [0.5, 1.5, 3.0, 5.0, 7.5, 10.5, 14.0]
    assert float(call(torch.ones(2), 0.25)[1]) == 0.25


def test_another_shape_is_warmed_up_and_recorded_by_itself() -> None:
    recorded: list[tuple[int, ...]] = []

    def record(step: Callable[..., Any], places: Sequence[Tensor], pool: Any) -> cuda_graphs.Recording:
        recorded.append(tuple(places[0].shape))
        return recorded_as_a_call(step, places, pool)

    call, _, _ = counted(record)
    for _ in range(cuda_graphs.WARM_UP + 2):
        call(torch.ones(2), 1.0)
        call(torch.ones(3), 1.0)
    assert recorded == [(2,), (3,)]


def test_what_cannot_be_recorded_runs_on_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: Any) -> cuda_graphs.Recording:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    call, calls, _ = counted(fails)
    totals = [float(call(torch.ones(2), 1.0)[0][0]) for _ in range(6)]
    assert totals == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] and len(calls) == 6
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "operation not permitted" in told


def test_want_of_memory_while_recording_is_not_hidden() -> None:
    def fails(*_: Any) -> cuda_graphs.Recording:
        raise RuntimeError("CUDA out of memory")

    call, _, _ = counted(fails)
    for _ in range(cuda_graphs.WARM_UP):
        call(torch.ones(2), 1.0)
    with pytest.raises(RuntimeError, match="out of memory"):
        call(torch.ones(2), 1.0)


def test_graphs_are_for_gpus_and_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not cuda_graphs.wanted(torch.device("cpu")) and cuda_graphs.wanted(torch.device("cuda"))
    monkeypatch.setenv("DARTBOARD_GRAPHS", "0")
    assert not cuda_graphs.wanted(torch.device("cuda"))


# --- On a GPU --------------------------------------------------------------------------------------------------------


def gpu_search(folder: Path, **changes: Any) -> darts.Result:
    config = darts.Config(**{**tiny.SEARCH, "epochs": 4, **changes})
    with Run.create(folder, config, setup=Setup(device="cuda")) as run:
        return darts.search(config, tiny.FEW, tiny.digits(), run)


@pytest.mark.gpu
@needs_gpu
@ORDERS
def test_a_search_by_graphs_is_the_eager_search(
    second_order: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = gpu_search(tmp_path / "graphs", second_order=second_order)
    assert "no CUDA graph" not in capsys.readouterr().err
    monkeypatch.setenv("DARTBOARD_GRAPHS", "0")
    eager = gpu_search(tmp_path / "eager", second_order=second_order)
    assert replayed.architecture == eager.architecture
    for name, tensor in eager.supernet.state_dict().items():
        assert torch.allclose(replayed.supernet.state_dict()[name].double(), tensor.double(), rtol=1e-3, atol=1e-4), (
            name
        )


@pytest.mark.gpu
@needs_gpu
def test_a_search_by_graphs_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = gpu_search(tmp_path / "whole")
    config = darts.Config(**{**tiny.SEARCH, "epochs": 4})
    run = Run.create(tmp_path / "cut", config, setup=Setup(device="cuda", budget="5steps"))
    with run, pytest.raises(InterruptedRunError):
        darts.search(config, tiny.FEW, tiny.digits(), run)
    with Run.open(tmp_path / "cut", write=True) as run:
        again = tiny.resume(run)
    assert again.architecture == whole.architecture
    assert all(torch.allclose(again.alpha[kind], whole.alpha[kind], atol=1e-4) for kind in whole.alpha)


@pytest.mark.gpu
@needs_gpu
def test_a_training_by_graphs_is_the_eager_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same losses, epoch by epoch, drop path included."""
    cell, setup = published()["DARTS_V2"].architecture, Setup(device="cuda")
    changes: dict[str, Any] = {"epochs": 4, "drop_path": 0.5, "setup": setup}
    tiny.fit(tmp_path / "graphs", cell, **changes)
    assert "no CUDA graph" not in capsys.readouterr().err
    monkeypatch.setenv("DARTBOARD_GRAPHS", "0")
    tiny.fit(tmp_path / "eager", cell, **changes)
    losses = [
        [line["train_loss"] for line in tiny.history(tmp_path / name) if line["event"] == "epoch"]
        for name in ("graphs", "eager")
    ]
    assert len(losses[0]) == 4 and losses[0] == pytest.approx(losses[1], rel=1e-3)
