"""Files on a file system that cannot rename in one step, as some mounted drives: copied into place, and said so."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from dartboard.config import Setup
from dartboard.errors import InputError, InterruptedRunError
from dartboard.runs import atomic_files
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.checkpoint import Checkpoint, checkpoints, read_checkpoint, write_checkpoint
from dartboard.runs.run import Run


@pytest.fixture(params=[errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def no_rename(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "replace", refuse)
    atomic_files.say_once.cache_clear()


@pytest.mark.usefixtures("no_rename")
def test_files_and_checkpoints_are_whole_and_one_word_says_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("one", "two"):
        replace_file(tmp_path / "file", text)
    assert (tmp_path / "file").read_text() == "two"
    for step in (1, 2):
        path = write_checkpoint(tmp_path / "checkpoint", Checkpoint({"w": torch.full((3,), float(step))}, step, 0))
        found = read_checkpoint(path)
        assert found is not None and found.tensors["w"].tolist() == [step] * 3
    assert [path.name for path in checkpoints(tmp_path / "checkpoint")] == ["step-000000001", "step-000000002"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "file"]
    told = capsys.readouterr().err
    assert told.count("without atomic rename") == 1 and told.count("\n") == 1


def test_a_search_stopped_and_gone_on_with_there_ends_as_anywhere(tmp_path: Path, no_rename: None) -> None:
    whole = tiny.search(tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        tiny.search(tmp_path / "cut", budget="1steps")
    with Run.open(tmp_path / "cut", write=True) as run:
        again = tiny.resume(run)
    assert tiny.same_tensors(dict(again.supernet.state_dict()), dict(whole.supernet.state_dict()))


@pytest.mark.usefixtures("no_rename")
def test_a_copy_that_a_crash_cut_short_is_known_as_torn(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path, Checkpoint({"w": torch.zeros(100)}, 1, 0))
    second = write_checkpoint(tmp_path, Checkpoint({"w": torch.ones(100)}, 2, 0))
    (second / "tensors.safetensors").write_bytes((second / "tensors.safetensors").read_bytes()[:200])
    assert read_checkpoint(second) is None and read_checkpoint(first) is not None


def test_a_folder_that_may_not_be_written_is_still_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match="make it writable"):
        Run.create(tmp_path / "run", tiny.darts.Config(), setup=Setup(device="cpu"))
