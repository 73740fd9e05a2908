"""What people bring, drawn at random: the right answer or one clear line; never a defect of ours, and no harm done."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType

import pytest

import odd_inputs
import tiny
from dartboard.cli import main
from dartboard.formats import published

FEW, MANY = 70, 2000
HANGS_S = 60  # a command that takes longer waits for something


class HangsError(Exception):
    """A command did not come back."""


def hangs(number: int, frame: FrameType | None) -> None:
    raise HangsError(f"no answer within {HANGS_S} s")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished search, a stopped one and a training, and with what stands in people's way."""
    from PIL import Image

    place = tmp_path_factory.mktemp("odd")
    tiny.search(place / "run")
    with pytest.raises(Exception, match="budget"):
        tiny.search(place / "stopped", budget="1steps")
    tiny.fit(place / "trained", published()["DARTS_V2"].architecture)
    (place / "empty").mkdir()
    (place / "file.txt").write_text("mine")
    os.mkfifo(place / "fifo")
    (place / "target.txt").write_text("mine")
    (place / "link").symlink_to("target.txt")
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("not-there-yet")
    for name in ("a", "b"):
        (place / "pictures" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (8, 8), (20 * number, 90, 200)).save(place / "pictures" / name / f"{number}.png")
    yield place


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Kind and size of everything below a folder, the links themselves."""
    found = (path for path in folder.rglob("*"))
    return {str(path): (path.lstat().st_mode, path.lstat().st_size) for path in found if not path.is_dir()}


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is wrong with the answer to a command; "" where nothing is."""
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANGS_S)
    try:
        code = main(words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("dartboard: ")]
    right = code == 0 or (code in (2, 3) and len(lines) == 1 and len(said) < 3000)
    return "" if right else f"exit code {code}, {said[-400:]!r}"


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.usefixtures("global_rng")
def test_odd_inputs_get_an_answer_or_one_line_and_do_no_harm(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    wrong = []
    for number in range(count):
        folder = tmp_path / f"{number}"
        shutil.copytree(place, folder, symlinks=True, ignore=shutil.ignore_patterns("fifo"))
        os.mkfifo(folder / "fifo")
        monkeypatch.chdir(folder)
        kind = odd_inputs.KINDS[number % len(odd_inputs.KINDS)]
        words = kind(Random(number), folder)
        before = contents(folder / "pictures")
        reason = complaint(words, capsys)
        if not (folder / "fifo").is_fifo() or not (folder / "link").is_symlink():
            reason += "; a pipe or a link was replaced"
        if contents(folder / "pictures") != before:
            reason += "; images changed"
        if reason:
            wrong.append(f"{number} {kind.__name__}: {' '.join(words)[:300]!r}: {reason}")
        shutil.rmtree(folder)
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong)
