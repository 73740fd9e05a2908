"""A disk that fails under a file is no defect of ours: one line that names the file, and the run goes on later."""

import errno
import os
from pathlib import Path

import pytest

from crashes import Disk
from dartboard.cli import main
from dartboard.runs.run import Run

WORDS = ["train", "DARTS_V1", "--data", "digits", "--max-images", "32", "--channels", "2", "--cells", "3",
         "--batch-size", "16", "--epochs", "1", "--device", "cpu"]  # fmt: skip
WATCHED = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are named by Linux")

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_outside_of_a_run_it_is_exit_2_and_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def broken(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", broken)
    assert main(["export", "DARTS_V2", "--out", str(tmp_path / "cell.txt")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cell.txt" in said and os.strerror(number) in said and "defect" not in said


def test_reading_what_no_other_line_foresees_names_the_file_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(kind: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/mnt/drive/file")

    monkeypatch.setattr("dartboard.commands.listing.lines", lines)
    assert main(["list", "data"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "/mnt/drive/file cannot be read or written" in said


@WATCHED
@pytest.mark.parametrize("file", ["metrics.jsonl", "tensors.safetensors", "weights.safetensors"])
def test_inside_a_run_it_is_exit_3_with_the_words_to_go_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(tmp_path, patch)

        def look(number: int, name: str) -> None:
            if list(tmp_path.rglob(f"*{file}*")):
                raise OSError(errno.EIO, os.strerror(errno.EIO))  # as a write raises it: without the file's name

        disk.before = look
        code = main([*WORDS, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert code == 3 and said.count("\n") == 1, said
    assert "cannot be read or written" in said and f"resume with: dartboard resume {tmp_path / 'run'}" in said
    assert str(tmp_path / "run") in said.partition(" cannot")[0]
    assert not (tmp_path / "run/traceback.txt").exists()
    assert main(["resume", str(tmp_path / "run")]) == 0 and Run.open(tmp_path / "run").done
