"""`dartboard compare --workers N`: the same numbers as in one process, and workers that are not there."""

from pathlib import Path
from typing import Any

import pytest

from dartboard.cli import main
from dartboard.runs.run import Run
from dartboard.studies import comparison_file

SIZES = ["--epochs", "1", "--channels", "2", "--cells", "3", "--batch-size", "16", "--threads", "1"]
TRAININGS = ["--train-epochs", "1", "--train-channels", "2", "--train-cells", "3", "--train-batch-size", "32"]
DATA = ["--space", "nasbench201", "--data", "digits", "--max-images", "64", "--device", "cpu", *SIZES, *TRAININGS]


def words(out: Path, *more: str) -> list[str]:
    size = ["--budget", "1trials", "--seeds", "2", "--out", str(out)]
    return ["compare", "--methods", "random_search", *DATA, *size, *more]


def lines(folder: Path) -> list[dict[str, Any]]:
    return [{name: v for name, v in line.items() if not name.endswith("_s")} for line in Run.open(folder).metrics()]


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    assert main(words(tmp_path / "alone")) == 0
    assert main(words(tmp_path / "both", "--workers", "2")) == 0
    for name in ("runs/random_search-s0", "trainings/random_search-s1", "trainings/most-macs-s1"):
        assert lines(tmp_path / "alone" / name) == lines(tmp_path / "both" / name)
    alone, both = (comparison_file.read(tmp_path / name) for name in ("alone", "both"))
    for one, other in zip(alone.contenders, both.contenders, strict=True):
        assert [each.result for each in one.repetitions] == [each.result for each in other.repetitions]


@pytest.mark.parametrize("given", ["0", "two", "ray://", "ray://nobody.invalid:1"])
def test_workers_that_are_not_there_are_one_line(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path / "out", "--workers", given)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and not (tmp_path / "out").exists()
