"""What is saved is on the disk: the order of writes, syncs and renames, each of them made to fail, crashes at each."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

import plain_loop
import tiny
from crashes import Disk, failing
from dartboard.config import Setup
from dartboard.errors import CannotContinueError
from dartboard.formats import load_weights
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from dartboard.runs.run import Run

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are named by Linux")
RUN = Path("runs") / "run"  # on the disk


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of two epochs with two steps each."""
    monkeypatch.setattr(plain_loop, "EPOCHS", 2)
    monkeypatch.setattr(plain_loop, "STEPS", 2)


@contextmanager
def watched(root: Path) -> Iterator[Disk]:
    root.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        yield Disk(root, patch)


def create_or_resume(folder: Path) -> None:
    if (folder / "config.toml").exists():
        return plain_loop.resume(Run.open(folder, write=True))
    plain_loop.resume(plain_loop.begin(folder, Setup(device="cpu")))


@pytest.fixture
def whole(tmp_path: Path) -> list[dict[str, Any]]:
    """The metrics of a loop that nothing happened to."""
    create_or_resume(tmp_path / "whole")
    return Run.open(tmp_path / "whole").metrics()


def test_a_file_that_was_replaced_is_on_the_disk_when_it_is_told_and_never_less_than_the_one_before(
    tmp_path: Path,
) -> None:
    with watched(tmp_path / "disk") as disk:
        seen: list[str] = []

        def look(number: int, name: str) -> None:
            left = disk.after_a_crash(tmp_path / f"left{number}")
            seen.append((left / "file").read_text() if (left / "file").exists() else "")

        disk.before = look
        for text in ("one", "two"):
            replace_file(disk.root / "file", text)
            assert (disk.after_a_crash(tmp_path / text) / "file").read_text() == text
    assert [name for name, _ in disk.done] == ["write", "sync", "rename", "sync"] * 2
    assert seen == [""] * 4 + ["one"] * 4


@pytest.mark.parametrize("renames", [True, False])
def test_a_checkpoint_is_on_the_disk_when_it_is_told_also_where_it_is_copied_into_place(
    tmp_path: Path, renames: bool
) -> None:
    (tmp_path / "disk/run").mkdir(parents=True)
    with watched(tmp_path / "disk") as disk:
        if not renames:
            disk.replace = refused
        for step in (1, 2):
            path = write_checkpoint(disk.root / "run/checkpoint", Checkpoint({"w": torch.ones(step)}, step, 0))
            left = disk.after_a_crash(tmp_path / f"left{step}") / path.relative_to(disk.root)
            found = read_checkpoint(left)
            assert found is not None and found.step == step and found.tensors["w"].tolist() == [1.0] * step


def refused(*_: Any) -> None:
    raise OSError(errno.EXDEV, "no rename here")


def test_a_run_is_on_the_disk_when_it_is_made_and_loses_nothing_that_it_saved(tmp_path: Path) -> None:
    with watched(tmp_path / "disk") as disk:
        run = plain_loop.begin(disk.root / RUN, Setup(device="cpu"))
        made = disk.after_a_crash(tmp_path / "made") / RUN
        assert {path.name for path in made.iterdir()} >= {"config.toml", "environment.json"}
        assert Run.open(made).settings == run.settings
        keep = run.save

        def save(state: Any, *, step: int, **place: Any) -> None:
            keep(state, step=step, **place)
            left = Run.open(disk.after_a_crash(tmp_path / f"left{step}") / RUN, write=True)
            with left:
                found = left.load()
                assert found is not None and found.step == step and left.metrics() == run.metrics()

        run.save = save  # type: ignore[method-assign]
        plain_loop.resume(run)
    assert Run.open(disk.after_a_crash(tmp_path / "end") / RUN).done


def test_metrics_that_begin_after_the_first_checkpoint_are_on_the_disk_with_the_second(tmp_path: Path) -> None:
    with watched(tmp_path / "disk") as disk:
        run = plain_loop.begin(disk.root / RUN, Setup(device="cpu"))
        for step in (1, 2):
            run.save({"place": torch.zeros(3)}, step=step, epoch=0)
            found = Run.open(disk.after_a_crash(tmp_path / f"left{step}") / RUN).load()
            assert found is not None and found.step == step
            run.log(event="step", step=step)


def test_whenever_the_machine_or_the_process_dies_the_run_comes_to_the_same_end(
    tmp_path: Path, whole: list[dict[str, Any]]
) -> None:
    """Before each write, sync and rename: what a crash leaves at worst, and what a killed process leaves."""
    with watched(tmp_path / "disk") as disk:

        def look(number: int, name: str) -> None:
            disk.after_a_crash(tmp_path / f"{number}-crash")
            shutil.copytree(disk.root, tmp_path / f"{number}-kill")

        disk.before = look
        create_or_resume(disk.root / RUN)
    places = list(tmp_path.glob("*-*"))
    assert len(places) == 2 * disk.count > 60
    for place in places:
        create_or_resume(place / RUN)
        assert Run.open(place / RUN).metrics() == whole, place.name


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_whichever_write_sync_or_rename_fails_the_run_comes_to_the_same_end(
    tmp_path: Path, whole: list[dict[str, Any]], code: int
) -> None:
    with watched(tmp_path / "disk") as disk:
        create_or_resume(disk.root / RUN)
    for number in range(disk.count):
        with watched(tmp_path / f"disk{number}") as broken:
            failing(broken, number, code)
            with pytest.raises((CannotContinueError, OSError)):
                create_or_resume(broken.root / RUN)
            assert broken.count == number + 1
        assert not list((broken.root / RUN).rglob("*.part"))  # nothing half-written is left
        create_or_resume(broken.root / RUN)
        assert Run.open(broken.root / RUN).metrics() == whole, (number, disk.done[number])


def test_whatever_fails_at_the_end_of_a_training_it_has_the_same_weights(tmp_path: Path) -> None:
    cell, setup = tiny.FEW.sample(Random(0)), Setup(device="cpu")

    def fit(folder: Path) -> None:
        tiny.fit(folder, cell, setup=setup, epochs=1)

    with watched(tmp_path / "disk") as disk:
        fit(disk.root / RUN)
    first = next(number for number, (_, path) in enumerate(disk.done) if "weights" in path.name)
    assert disk.count - first >= 6  # write, sync, rename, sync; a line of metrics, its sync
    for number in range(first, disk.count):
        with watched(tmp_path / f"disk{number}") as broken:
            failing(broken, number, errno.ENOSPC)
            with pytest.raises(CannotContinueError):
                fit(broken.root / RUN)
        with Run.open(broken.root / RUN, write=True) as run:
            config = tiny.train.Config(**run.settings)
            tiny.train.fit(config, tiny.sized(cell, config, tiny.digits()), tiny.digits(), run)
        assert tiny.history(broken.root / RUN) == tiny.history(disk.root / RUN)
        weights = [load_weights(root / RUN / "weights.safetensors") for root in (broken.root, disk.root)]
        assert tiny.same_tensors(*weights)
