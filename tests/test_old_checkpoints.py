"""Runs that were stopped before loops counted named sums: their checkpoints are read, and they end as they would."""

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

import tiny
from dartboard import train
from dartboard.config import Setup
from dartboard.errors import InterruptedRunError
from dartboard.runs.checkpoint import checkpoints, read_checkpoint, write_checkpoint
from dartboard.runs.run import Run
from dartboard.training.loop import Place, of_now


def as_before(extra: dict[str, Any]) -> dict[str, Any]:
    """What a place wrote when it had `images`, `loss` and `correct`, in the order of its fields."""
    sums = extra["sums"]
    counted = {"images": extra["count"], "loss": sums.get("loss", 0.0), "correct": int(sums.get("correct", 0))}
    return {
        **{name: extra[name] for name in ("epochs_before", "step_in_epoch")},
        **counted,
        **{name: extra[name] for name in ("epoch_s", "spent")},
    }


def make_old(folder: Path) -> None:
    """Writes every checkpoint of a run as it was written before."""
    for path in checkpoints(folder / "checkpoint"):
        found = read_checkpoint(path)
        assert found is not None and found.extra.keys() == {
            "epochs_before", "step_in_epoch", "count", "sums", "epoch_s", "spent",
        }  # fmt: skip
        assert bool(found.extra["count"]) == bool(found.extra["sums"])
        old = as_before(found.extra)
        assert of_now(old) == found.extra and of_now(found.extra) == found.extra
        shutil.rmtree(path)
        write_checkpoint(folder / "checkpoint", replace(found, extra=old))
    assert old["images"] and old["loss"]


def test_between_two_epochs_there_is_nothing_in_the_sums() -> None:
    fresh = Place().to_json()
    assert as_before(fresh)["correct"] == 0 and of_now(as_before(fresh)) == fresh and fresh["sums"] == {}


@pytest.mark.parametrize("steps", [6, 4])  # of four an epoch: within the second, and at the end of the first
def test_a_search_that_was_stopped_ends_as_if_never_stopped(steps: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 9, "space": tiny.space_of("skip_connect", "max_pool_3x3")}
    whole = tiny.search(tmp_path / "whole", **settings)
    with pytest.raises(InterruptedRunError):
        tiny.search(tmp_path / "cut", budget=f"{steps}steps", **settings)
    make_old(tmp_path / "cut")
    with Run.open(tmp_path / "cut", write=True) as run:
        found = tiny.resume(run, space=settings["space"])
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(dict(found.supernet.state_dict()), dict(whole.supernet.state_dict()))
    assert tiny.same_tensors(found.alpha, whole.alpha)


def test_a_training_that_was_stopped_ends_as_if_never_stopped(tmp_path: Path) -> None:
    cell = tiny.FEW.sample(Random(0))
    score, network = tiny.fit(tmp_path / "whole", cell, drop_path=0.3)
    with pytest.raises(InterruptedRunError):
        tiny.fit(tmp_path / "cut", cell, drop_path=0.3, setup=Setup(device="cpu", budget="6steps"))
    make_old(tmp_path / "cut")
    with Run.open(tmp_path / "cut", write=True) as run:
        config = train.Config(**run.settings)
        again = tiny.sized(cell, config, tiny.digits())
        assert train.fit(config, again, tiny.digits(), run) == score
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(dict(again.state_dict()), dict(network.state_dict()))
