"""search --from RUN: what is carried, what is not, and that the new run stands by itself."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data import Data, load_data
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import darts
from dartboard.runs.checkpoint import checkpoints, read_checkpoint
from dartboard.runs.run import Run
from dartboard.runs.start import WarmStart
from dartboard.search.warm_start import check_parent


def go_on_from(
    parent: Path, folder: Path, *, carry: str = "weights,alphas", restart: bool = True, budget: str | None = None,
    data: Data | None = None, **changes: Any,
) -> darts.Result:  # fmt: skip
    """A tiny search that begins with what another has learned."""
    config = darts.Config(**{**tiny.SEARCH, **changes})
    warm_start = WarmStart(str(parent), carry, restart)
    start = check_parent(Run.open(parent), {"method": "darts"}, config, warm_start.parts, darts.CARRIED)
    setup = Setup(device="cpu", budget=budget)
    with Run.create(folder, config, setup=setup, parent=parent, warm_start=warm_start, start=start) as run:
        return darts.search(config, tiny.FEW, data or tiny.digits(), run)


def saved(folder: Path, newest: int = -1) -> dict[str, torch.Tensor]:
    checkpoint = read_checkpoint(checkpoints(folder / "checkpoint")[newest])
    assert checkpoint is not None
    return checkpoint.tensors


def first_state(parent: Path, folder: Path, **how: Any) -> dict[str, torch.Tensor]:
    """The tensors a run begins with: those it has after steps that move nothing."""
    result = go_on_from(parent, folder, lr=1e-30, weight_decay=0.0, alpha_lr=1e-30, alpha_weight_decay=0.0, **how)
    tensors = {f"alpha/{kind}": tensor for kind, tensor in result.alpha.items()}
    return {**tensors, **{f"supernet/{name}": tensor for name, tensor in result.supernet.named_parameters()}}


def made(channels: int) -> Data:
    """Noise of four classes."""
    images = np.random.RandomState(0).randint(256, size=(80, channels, 8, 8)).astype(np.uint8)
    return load_data(images, np.arange(80) % 4)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent") / "run"
    tiny.search(folder, epochs=2)
    return folder


@pytest.mark.parametrize("carry", ["weights", "alphas", "weights,alphas"])
def test_what_is_carried_is_the_parents_and_all_else_is_new(carry: str, parent: Path, tmp_path: Path) -> None:
    found = first_state(parent, tmp_path / "child", carry=carry)
    fresh = tiny.search(tmp_path / "fresh", lr=1e-30, weight_decay=0.0, alpha_lr=1e-30, alpha_weight_decay=0.0)
    own = {f"alpha/{kind}": tensor for kind, tensor in fresh.alpha.items()}
    own |= {f"supernet/{name}": tensor for name, tensor in fresh.supernet.named_parameters()}
    theirs = saved(parent)
    for name, tensor in found.items():
        part = "alphas" if name.startswith("alpha/") else "weights"
        taken = part in carry and not name.startswith("supernet/classifier.")
        torch.testing.assert_close(tensor.detach(), (theirs if taken else own)[name].detach(), rtol=0, atol=1e-12)
        assert taken is False or not torch.equal(theirs[name], own[name])


@pytest.mark.slow
def test_a_schedule_that_goes_on_has_the_learning_rates_of_one_long_search(parent: Path, tmp_path: Path) -> None:
    def rates(folder: Path) -> list[float]:
        return [line["lr"] for line in Run.open(folder).metrics() if line["event"] == "epoch"]

    tiny.search(tmp_path / "long", epochs=6)
    tiny.search(tmp_path / "one", epochs=2, schedule_epochs=6)
    go_on_from(tmp_path / "one", tmp_path / "two", restart=False, epochs=2, schedule_epochs=6)
    go_on_from(tmp_path / "two", tmp_path / "three", restart=False, epochs=2)
    again = [rate for name in ("one", "two", "three") for rate in rates(tmp_path / name)]
    assert again == rates(tmp_path / "long")
    go_on_from(parent, tmp_path / "anew", restart=True, epochs=2)
    assert rates(tmp_path / "anew") == rates(parent)
    with pytest.raises(InputError, match="--schedule-epochs 3 is less"):
        go_on_from(tmp_path / "one", tmp_path / "past", restart=False, epochs=2, schedule_epochs=3)


def test_the_optimizers_go_on_only_with_the_schedule(parent: Path, tmp_path: Path) -> None:
    go_on_from(parent, tmp_path / "on", restart=False)
    go_on_from(parent, tmp_path / "anew", restart=True)
    steps = [int(saved(tmp_path / name)["alpha_adam/0/step"]) for name in ("on", "anew")]
    before = int(saved(parent)["alpha_adam/0/step"])
    assert steps == [before + 2, 2]  # two steps in each of the new runs


def test_a_run_that_took_over_ends_the_same_when_it_is_stopped_and_its_parent_is_gone(
    parent: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "parent"
    shutil.copytree(parent, copy)
    whole = go_on_from(copy, tmp_path / "whole", restart=False)
    with pytest.raises(InterruptedRunError):
        go_on_from(copy, tmp_path / "cut", restart=False, budget="1steps")
    shutil.rmtree(copy)
    with Run.open(tmp_path / "cut", write=True) as run:
        again = tiny.resume(run)
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(dict(again.supernet.state_dict()), dict(whole.supernet.state_dict()))


def test_the_same_data_goes_on_with_other_classes(parent: Path, tmp_path: Path) -> None:
    result = go_on_from(parent, tmp_path / "child", data=made(channels=3))
    assert result.supernet.classifier.weight.shape[0] == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "nowhere"], "no run in"),
        (["--carry", "weights"], "give --from RUN"),
        (["--no-restart-schedule"], "give --from RUN"),
        (["--from", "PARENT", "--carry", "head"], "--carry is 'head'"),
        (["--from", "PARENT", "--channels", "4"], "has channels 2, not 4"),
        (["--from", "EMPTY"], "no intact checkpoint"),
    ],
    ids=str,
)
def test_what_cannot_be_carried_is_refused_in_one_line(
    words: list[str], message: str, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parent, tmp_path / "empty", ignore=shutil.ignore_patterns("checkpoint"))
    places = {"PARENT": str(parent), "EMPTY": str(tmp_path / "empty")}
    sizes = ["--channels", "2", "--cells", "3", "--out", str(tmp_path / "out")]
    words = ["search", "darts", "--data", "digits", *sizes, *(places.get(word, word) for word in words)]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_images_of_other_channels_are_refused(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images of other channels"):
        go_on_from(parent, tmp_path / "child", data=made(channels=1))
