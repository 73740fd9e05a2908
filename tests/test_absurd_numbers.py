"""Numbers of no sense: each gets its line at once, before anything is built, measured or made."""

from pathlib import Path

import pytest

from dartboard.cli import main
from dartboard.training.dry_run import DryRun

ONE = ("--epochs", "--train-epochs", "--seeds", "--random")
TWO = ("--channels", "--train-channels")
TINY = {
    **dict.fromkeys(ONE, "1"),
    **dict.fromkeys(TWO, "2"),
    "--cells": "3",
    "--train-cells": "3",
    "--max-images": "64",
}
TINY |= {"--batch-size": "8", "--train-batch-size": "8"}
WRONG = {
    "--seeds": ["1000000000", "0", "-1", "nan", "99999999999999999999999999"],
    "--seed": ["-1", "99999999999999999999999999"],
    "--epochs": ["0", "-5", "nan", "1e3", "1000000000000", "99999999999999999999999999"],
    "--train-epochs": ["0", "-5", "nan", "1000000000000"],
    "--channels": ["0", "-1", "nan", "100000", "1000000000000", "99999999999999999999999999"],
    "--train-channels": ["0", "nan", "4097", "1000000000000"],
    "--cells": ["0", "nan", "1001", "1000000000000"],
    "--train-cells": ["2", "1000000000", "99999999999999999999999999"],
    "--batch-size": ["0", "nan", "33", "1000000000000"],
    "--train-batch-size": ["0", "65", "1000000000000"],
    "--random": ["-1", "nan", "1000000000"],
    "--max-images": ["0", "1", "-1", "nan"],
    "--image-size": ["0", "-1", "nan", "5000", "1000000000"],
    "--threads": ["0", "nan", "1000000"],
    "--proxy": ["images:nan", "images:0", "images:1e-9", "classes:2", "images:-1"],
    "--until": ["nan", "0s", "-1s"],
    "--save-every": ["nan", "0s"],
    "--carry": ["nothing"],
}

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(autouse=True)
def nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that makes steps to find out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DryRun, "create", lambda *words, **more: pytest.fail("steps were made"))


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and len(said) < 400 and not list(Path.cwd().iterdir()), said
    return said


@pytest.mark.parametrize(("flag", "value"), [(flag, value) for flag, values in WRONG.items() for value in values])
def test_transfer_refuses_it_in_one_line(capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    words = [f"{name}={one}" for name, one in {**TINY, flag: value}.items()]
    said = refused(capsys, ["transfer", "--a", "digits", "--b", "digits-rotated", *words])
    assert flag.replace("train-", "") in said.replace("train-", "") or value in said


@pytest.mark.parametrize("budget", ["999999999999999steps", "20000000steps", "1000000000h", "1e9h"])
def test_transfer_blames_the_budget_and_not_the_epochs_made_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    monkeypatch.setattr("dartboard.commands.estimate.epoch_seconds", lambda *words: 0.5)
    words = [f"{name}={one}" for name, one in TINY.items() if name != "--epochs"]
    said = refused(capsys, ["transfer", "--a", "digits", "--b", "digits-rotated", *words, "--budget", budget])
    assert f"--budget {budget}" in said.replace("is '", "").replace("'", "") and "--epochs" not in said


@pytest.mark.parametrize("command", [["search", "darts"], ["train", "DARTS_V1"]])
@pytest.mark.parametrize(
    ("flag", "value"), [("--channels", "100000"), ("--cells", "10000000"), ("--epochs", "10000000")]
)
def test_search_and_train_refuse_it_as_well(
    capsys: pytest.CaptureFixture[str], command: list[str], flag: str, value: str
) -> None:
    assert f"{flag}" in refused(capsys, [*command, "--max-images", "64", "--batch-size", "8", flag, value])


@pytest.mark.parametrize(
    "words", [["search", "darts"], ["train", "DARTS_V1"], ["transfer", "--a", "digits", "--b", "digits-rotated"]]
)
def test_weights_that_alone_take_more_than_is_free_are_refused_before_a_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    for module in ("dartboard.devices", "dartboard.training.dry_run"):
        monkeypatch.setattr(f"{module}.free_bytes", lambda device=None: 10_000)
    small = ["--max-images", "64", "--batch-size", "8", "--channels", "8", "--cells", "3"]
    said = refused(capsys, [*words, *small, *(["--train-batch-size", "8"] if words[0] == "transfer" else [])])
    assert "the weights alone take" in said


def test_images_that_do_not_fit_the_memory_at_a_size_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dartboard.data.sources.free_bytes", lambda device=None: 10**8)
    said = refused(capsys, ["search", "darts", "--data", "digits", "--image-size", "1000"])
    assert "1000x1000 take" in said and "smaller --image-size" in said
