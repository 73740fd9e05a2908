"""Checkpoints: whole or not at all, the last two kept, torn ones known as such, metrics cut to their length."""

import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from dartboard import train
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.methods import darts
from dartboard.runs import start as run_start
from dartboard.runs.checkpoint import Checkpoint, checkpoints, read_checkpoint, write_checkpoint
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.training import loop
from dartboard.training.loop import Place
from dartboard.training.optimizers import momentum_sgd


@dataclass(frozen=True)
class Config:
    epochs: int = 3


def new_run(folder: Path) -> Run:
    return Run.create(folder, Config(), setup=Setup(device="cpu"), command="search", method="darts")


def state(step: int) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3, 2), float(step), dtype=torch.float64), "steps": torch.tensor(step)}


def saved(folder: Path, *steps: int) -> None:
    """A closed run with a checkpoint at each of the steps, and a line of metrics for each step."""
    with new_run(folder) as run:
        for step in range(1, max(steps) + 1):
            run.log(event="step", step=step)
            if step in steps:
                run.save(state(step), step=step, epoch=step // 10, extra={"seen": [step]})
        run.log(event="step", step="after the last checkpoint")


def reopened(folder: Path) -> tuple[int | None, list[object]]:
    """(step of the checkpoint a resumed run begins with, the steps its metrics then hold)."""
    with Run.open(folder, write=True) as run:
        checkpoint = run.load()
        if checkpoint is not None:
            assert checkpoint.tensors["w"].equal(state(checkpoint.step)["w"])
            assert checkpoint.tensors["steps"].equal(torch.tensor(checkpoint.step))
            assert checkpoint.extra == {"seen": [checkpoint.step]}
        return (None if checkpoint is None else checkpoint.step), [line["step"] for line in run.metrics()]


def test_a_run_goes_on_from_its_last_checkpoint_and_its_metrics_are_cut_to_it(tmp_path: Path) -> None:
    saved(tmp_path, 2, 5, 9)
    assert reopened(tmp_path) == (9, list(range(1, 10)))


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 2, 5, 9, 11)
    assert [path.name for path in checkpoints(tmp_path / "checkpoint")] == ["step-000000009", "step-000000011"]


def test_a_run_without_checkpoint_starts_anew(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        run.log(event="step", step=1)
    (tmp_path / "checkpoint/.step-000000001.part").mkdir(parents=True)  # killed while the first one was written
    assert reopened(tmp_path) == (None, [])


def test_reading_a_run_changes_nothing_in_it(tmp_path: Path) -> None:
    saved(tmp_path, 2, 5)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    checkpoint = Run.open(tmp_path).load()
    assert checkpoint is not None and checkpoint.step == 5
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_one_step_can_be_saved_twice_and_the_later_one_holds(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        for epoch in (0, 1, 2):
            run.log(event="epoch", step=epoch)
            run.save(state(4), step=4, epoch=epoch)
    with Run.open(tmp_path, write=True) as run:
        checkpoint = run.load()
        assert checkpoint is not None and checkpoint.epoch == 2 and len(run.metrics()) == 3
    assert len(checkpoints(tmp_path / "checkpoint")) == 2


def test_memory_layout_and_shared_parts_do_not_change_what_is_saved(tmp_path: Path) -> None:
    images = torch.arange(48.0).reshape(2, 4, 2, 3).to(memory_format=torch.channels_last)
    with new_run(tmp_path) as run:
        run.save({"a": images, "b": images[1:], "c": images[..., ::2], "d": torch.zeros(0, 3)}, step=1, epoch=0)
        checkpoint = run.load()
    assert checkpoint is not None
    assert checkpoint.tensors["a"].equal(images) and checkpoint.tensors["c"].equal(images[..., ::2])
    assert checkpoint.tensors["b"].equal(images[1:]) and checkpoint.tensors["d"].shape == (0, 3)


@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors"])
def test_a_checkpoint_cut_at_any_byte_falls_back_to_the_one_before(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, 2, 5)
    path = tmp_path / "checkpoint/step-000000005" / name
    whole, metrics = path.read_bytes(), (tmp_path / "metrics.jsonl").read_bytes()
    end = len(whole.rstrip(b"\n"))
    for length in (*range(0, end, 7), end - 1):
        path.write_bytes(whole[:length])
        (tmp_path / "metrics.jsonl").write_bytes(metrics)
        assert reopened(tmp_path) == (2, [1, 2])
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "step-000000005 is damaged" in said


@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors"])
def test_a_changed_byte_anywhere_in_a_checkpoint_is_found(tmp_path: Path, name: str) -> None:
    saved(tmp_path, 2, 5)
    path, rng = tmp_path / "checkpoint/step-000000005" / name, Random(0)
    whole, metrics = path.read_bytes(), (tmp_path / "metrics.jsonl").read_bytes()
    for _ in range(60):
        position = rng.randrange(len(whole.rstrip(b"\n")))
        changed = bytes([whole[position] ^ (1 << rng.randrange(8))])
        path.write_bytes(whole[:position] + changed + whole[position + 1 :])
        (tmp_path / "metrics.jsonl").write_bytes(metrics)
        if changed.isspace() and whole[position : position + 1].isspace():
            continue
        assert reopened(tmp_path) == (2, [1, 2]), position


@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors"])
def test_a_checkpoint_that_lacks_a_file_falls_back(tmp_path: Path, name: str) -> None:
    saved(tmp_path, 2, 5)
    (tmp_path / "checkpoint/step-000000005" / name).unlink()
    assert reopened(tmp_path) == (2, [1, 2])


def test_a_checkpoint_whose_metrics_are_short_is_gone_on_from_and_the_gap_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, 2, 5)
    lines = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(lines[:2]))
    with Run.open(tmp_path, write=True) as run:
        checkpoint = run.load()
        assert checkpoint is not None and checkpoint.step == 5
        assert run.metrics()[:2] == [{"event": "step", "step": step} for step in (1, 2)]
        start, size = len(b"".join(lines[:2])), len(b"".join(lines[2:5]))
        assert run.metrics()[2:] == [{"event": "gap", "byte": start, "bytes": size, "until_step": 5}]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "metrics.jsonl has a gap before step 5" in said and "intact" in said


def test_where_all_checkpoints_are_torn_it_says_what_to_do(tmp_path: Path) -> None:
    saved(tmp_path, 2, 5)
    for path in checkpoints(tmp_path / "checkpoint"):
        (path / "state.json").write_text("{")
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with Run.open(tmp_path, write=True) as run, pytest.raises(InputError, match="start a new run with"):
        run.load()
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_after_a_fallback_the_torn_checkpoint_is_replaced_and_the_intact_one_kept(tmp_path: Path) -> None:
    saved(tmp_path, 2, 5)
    (tmp_path / "checkpoint/step-000000005/state.json").write_text("")
    with Run.open(tmp_path, write=True) as run:
        checkpoint = run.load()
        assert checkpoint is not None
        run.log(event="step", step=3)
        run.save(state(3), step=3, epoch=0, extra={"seen": [3]})
    assert [path.name for path in checkpoints(tmp_path / "checkpoint")] == ["step-000000002", "step-000000003"]
    assert reopened(tmp_path) == (3, [1, 2, 3])


def test_seconds_worked_add_up_over_processes(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        run.save(state(1), step=1, epoch=0)
    with Run.open(tmp_path, write=True) as run:
        first = run.load()
        run.save(state(2), step=2, epoch=0)
        second = run.load()
    assert first is not None and second is not None and 0 < first.elapsed_s < second.elapsed_s


# --- Nothing that is to be kept is forgotten -------------------------------------------------------------------------


def filled(cls: Any, **given: Any) -> Any:
    """An instance whose numbers and tables differ from each other and from their defaults."""
    values: dict[str, Any] = {}
    for number, one in enumerate(fields(cls), start=3):
        kind = one.type if isinstance(one.type, str) else getattr(one.type, "__name__", str(one.type))
        if kind.startswith(("int", "float")):
            values[one.name] = number if kind.startswith("int") else number + 0.5
        elif kind.startswith(("str", "bool")):
            values[one.name] = f"text {number}" if kind.startswith("str") else not one.default
        elif kind.startswith("dict[str,"):
            values[one.name] = {"number": number}
    return cls(**{**values, **given})


def test_every_field_of_a_checkpoint_is_written_and_read(tmp_path: Path) -> None:
    checkpoint = filled(Checkpoint, tensors={"w": torch.ones(2)})
    found = read_checkpoint(write_checkpoint(tmp_path, checkpoint))
    assert found is not None and found.tensors["w"].tolist() == [1.0, 1.0]
    for one in fields(Checkpoint):
        if one.name not in ("tensors", "place"):
            assert getattr(found, one.name) == getattr(checkpoint, one.name) != one.default, one.name


@dataclass
class WiderPlace(Place):
    """With sums that nobody named where places are saved."""

    entropy: float = 0.0
    seen: list[int] = field(default_factory=list)


def test_every_field_of_a_place_is_kept_but_those_that_are_named() -> None:
    place = filled(WiderPlace, seen=[5, 7], mark_s=time.perf_counter())
    place.timer.spent = {"data": 2.5}
    again = WiderPlace()
    loop.restore(Checkpoint({}, place.step, place.epoch, place.to_json()), again)
    for one in fields(WiderPlace):
        if one.name not in ("mark_s", "timer", "numbers", "unread", "epoch_s"):
            assert getattr(again, one.name) == getattr(place, one.name) != one.default, one.name
    assert again.epoch_s == pytest.approx(place.epoch_s, abs=5.0) and again.epoch_s >= place.epoch_s > 1.0
    assert again.timer.spent == {"data": 2.5}


def optimizer() -> torch.optim.Optimizer:
    return momentum_sgd([torch.ones(1, requires_grad=True)], 0.1, 0.9, 0.0)


@dataclass
class WiderState(darts.State):
    """A method's, with parts that nobody named where states are saved."""

    beta: dict[str, torch.Tensor] = field(default_factory=dict)
    teacher: torch.nn.Module = field(default_factory=torch.nn.Identity)


def test_every_field_with_tensors_is_a_part_of_what_is_saved_under_the_names_it_always_had() -> None:
    net = torch.nn.Identity()
    state = WiderState(SPACES["darts"], net, optimizer(), Place(), {}, optimizer())
    names = {"supernet": "supernet", "alpha": "alpha", "w": "w_optimizer", "alpha_adam": "alpha_optimizer"}
    assert {**names, "beta": "beta", "teacher": "teacher"}.keys() == state.parts().keys()
    assert all(state.parts()[name] is getattr(state, own) for name, own in names.items())
    training = train.Training(net, optimizer(), Place(), [])
    assert loop.parts_of(training) == {"network": net, "optimizer": training.optimizer}


def test_every_field_of_a_warm_start_is_written_and_read() -> None:
    one = filled(run_start.WarmStart, carry="weights")
    table = run_start.to_table(one)
    assert table == {"from": "text 3", "carry": "weights", "restart_schedule": False}
    assert run_start.from_table(table) == one
