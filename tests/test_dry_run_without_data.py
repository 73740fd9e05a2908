"""A dry run of CIFAR without CIFAR: the known shapes tell sizes, steps, memory and time; nothing is downloaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_files import write_cifar10
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data import load_data, shapes

TINY = ["--channels", "2", "--cells", "3", "--epochs", "1", "--batch-size", "8"]
HEAD = "the data set is not on this machine: the known shapes of {} are used"

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(autouse=True)
def no_network_and_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run must not download")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("dartboard.data.cifar.fetch", refuse)
    monkeypatch.setattr("dartboard.training.dry_run.ENOUGH_S", 0.0)
    yield


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["search", "darts", "--data", "cifar10"], "data: cifar10, 25000 train, 25000 val, 10000 test images of 32x32"),
        (["train", "DARTS_V2", "--data", "cifar100", "--image-size", "8", "--max-images", "600", "--no-auxiliary"],
         "data: cifar100, 300 train, 300 val, 10000 test images of 8x8, 100 classes"),
        (["search", "darts", "--data", "cifar100", "--max-classes", "3", "--download"],
         "data: cifar100, 750 train, 750 val, 300 test images of 32x32, 3 classes"),
    ],
)  # fmt: skip
def test_shapes_stand_in_for_a_data_set_that_is_not_here(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*words, *TINY, "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert HEAD.format(words[3]) in out.splitlines() and told in out and err == ""
    assert "in all" in out
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


def test_a_transfer_study_tells_its_stages_without_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--a", "cifar10", "--b", "digits", "--image-size", "8", "--seeds", "1", "--max-images", "100"]
    sizes = ["--train-channels", "2", "--train-cells", "3", "--train-batch-size", "8", "--train-epochs", "1"]
    assert main(["transfer", *words, *TINY, *sizes, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines().count(HEAD.format("cifar10")) == 1 and HEAD.format("digits") not in out
    assert "search on cifar10: " in out and "train on digits: " in out


def test_data_that_are_there_are_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    words = ["search", "darts", "--data", "cifar10", "--data-dir", str(tmp_path), *TINY, "--dry-run"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "not here" not in out and "100 train, 100 val, 40 test" in out
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").unlink()  # a part of the files is a mistake, as in a run
    assert main(words) == 2
    assert "but not test_batch.bin" in capsys.readouterr().err


def test_a_folder_of_images_that_is_missing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "darts", "--data", "images:nowhere", *TINY, "--dry-run"]) == 2
    assert "'nowhere' is not a folder" in capsys.readouterr().err


def test_the_shapes_are_those_of_the_files_and_take_no_memory(tmp_path: Path) -> None:
    write_cifar10(tmp_path, num=40)
    real, shown = load_data("cifar10", data_dir=tmp_path), shapes.of_known_shapes(Setup(data="cifar10"))
    assert (shown.class_names, shown.mean, shown.std) == (real.class_names, real.mean, real.std)
    for one, other in zip((shown.train, shown.val, shown.test), (real.train, real.val, real.test), strict=True):
        assert one.images.shape[1:] == other.images.shape[1:] and one.images.dtype == other.images.dtype
        assert one.labels.dtype == other.labels.dtype and set(one.labels.tolist()) == set(range(10))
    assert [len(one) for one in (shown.train, shown.val, shown.test)] == [25_000, 25_000, 10_000]
    assert shapes.bytes_to_come(real) == 0 and 184_000_000 < shapes.bytes_to_come(shown) < 60_000 * 3072
