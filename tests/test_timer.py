"""Where the time of an epoch goes: parts, parts of parts, and what of it stands in the metrics."""

import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

import tiny
from dartboard.errors import InterruptedRunError
from dartboard.runs.run import Run
from dartboard.runs.timer import Timer

PARTS = {"data_s", "alpha_s", "weights_s", "scoring_s"}
INSIDE = {"forward_s", "backward_s", "optimizers_s"}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A clock that stands still until it is set."""
    now = {"s": 0.0}
    monkeypatch.setattr(time, "perf_counter", lambda: now["s"])
    return now


def test_seconds_are_added_by_name(at: dict[str, float]) -> None:
    timer = Timer()
    for length in (1.0, 2.5):
        with timer("data"):
            at["s"] += length
        with timer("scoring"):
            at["s"] += 10.0
    assert timer.seconds() == {"data_s": 3.5, "scoring_s": 20.0}


def test_the_time_of_a_part_that_fails_is_counted_and_the_next_part_stands_alone(at: dict[str, float]) -> None:
    timer = Timer()
    with pytest.raises(ZeroDivisionError), timer("data"), timer("inner"):
        at["s"] += 1.0
        raise ZeroDivisionError
    with timer("save"):
        at["s"] += 2.0
    assert timer.seconds() == {"data_s": 1.0, "save_s": 2.0}


def test_a_step_is_told_apart_into_forward_optimizer_and_the_rest_which_is_backward(at: dict[str, float]) -> None:
    class Slow(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            at["s"] += 1.0
            return super().forward(x)

    class SlowSGD(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            at["s"] += 0.25
            return super().step(closure)

    with torch.random.fork_rng():
        network = Slow(2, 2)
    timer, optimizer, x = Timer(), SlowSGD(network.parameters(), 0.1), torch.ones(1, 2)
    with timer.watching(network, optimizer):
        for part in ("alpha", "weights"):
            with timer(part):
                loss = network(x).sum()
                at["s"] += 3.0
                loss.backward()
                optimizer.step()
        with timer("scoring"):
            network(x)
    network(x)
    expected = {"alpha_s": 4.25, "weights_s": 4.25, "scoring_s": 1.0}
    assert timer.seconds() == {**expected, "forward_s": 2.0, "optimizers_s": 0.5, "backward_s": 6.0}


def epochs(folder: Path) -> list[dict[str, Any]]:
    return [line for line in Run.open(folder).metrics() if line["event"] == "epoch"]


def test_every_epoch_of_a_search_says_where_its_time_went(tmp_path: Path) -> None:
    tiny.search(tmp_path / "run", epochs=2)
    first, second = epochs(tmp_path / "run")
    assert first.keys() >= PARTS | INSIDE and PARTS | INSIDE | {"save_s"} <= second.keys()
    for line in (first, second):
        assert all(line[name] > 0.0 for name in PARTS | INSIDE)
        assert sum(line.get(name, 0.0) for name in PARTS | {"save_s"}) <= line["epoch_s"]
        assert sum(line[name] for name in INSIDE) == pytest.approx(line["alpha_s"] + line["weights_s"])


def test_every_epoch_of_a_training_says_where_its_time_went(tmp_path: Path) -> None:
    tiny.fit(tmp_path / "run", tiny.FEW.sample(Random(0)))
    for line in epochs(tmp_path / "run"):
        assert (PARTS | INSIDE) - {"alpha_s"} <= line.keys() and "alpha_s" not in line
        assert sum(line[name] for name in INSIDE) == pytest.approx(line["weights_s"])


def test_the_time_before_a_stop_counts_after_it(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        tiny.search(tmp_path / "run", budget="1steps")
    spent = Run.open(tmp_path / "run").load().extra["spent"]  # type: ignore[union-attr]
    assert spent.keys() >= {"data", "alpha", "weights"}
    with Run.open(tmp_path / "run", write=True) as run:
        tiny.resume(run)
    (line,) = epochs(tmp_path / "run")
    assert all(line[f"{name}_s"] > spent[name] for name in ("data", "alpha", "weights"))
