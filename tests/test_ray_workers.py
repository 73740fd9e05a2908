"""Pieces of work by a Ray cluster on this machine: as in one process, bit for bit. Left out without Ray."""

import os
from pathlib import Path

import pytest

import tiny
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.runs.workers import done, outcomes
from dartboard.search import trials_by_workers
from pieces_for_workers import check_that_a_killed_worker_loses_nothing

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("global_rng")]

SIZES = ["--data", "digits", "--max-images", "64", "--channels", "2", "--cells", "3", "--batch-size", "16"]
WORDS = [*SIZES, "--epochs", "1", "--device", "cpu", "--threads", "1"]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's workers import the pieces, and dartboard as it is here."""
    here = Path(__file__).resolve().parent
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parent / "src"), before]))


def test_two_workers_of_which_one_is_killed_end_as_one_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check_that_a_killed_worker_loses_nothing(tmp_path, "ray")
    assert "piece 2: its worker was killed" in capfd.readouterr().err


def test_trials_by_ray_of_which_one_worker_is_killed_are_those_of_one_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["search", "random_search", *WORDS, "--trials", "3", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    monkeypatch.setattr(trials_by_workers, "BY_WORKER", "pieces_for_workers:score")
    assert main([*words, str(tmp_path / "workers"), "--workers", "ray"]) == 0
    assert "trial 2: its worker was killed" in capfd.readouterr().err
    assert tiny.history(tmp_path / "workers") == tiny.history(tmp_path / "alone")


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    found = list(outcomes("pieces_for_workers:root", [{"number": 4}], "ray", 1, sees=str(tmp_path / "elsewhere")))
    assert isinstance(found[0].error, InputError)
    assert "does not see the folder" in str(found[0].error) and "all machines of the cluster share" in str(
        found[0].error
    )


def test_a_cluster_without_room_for_a_worker_is_refused() -> None:
    with pytest.raises(InputError, match="no machine for a worker, which takes 4000 CPU threads"):
        list(done("pieces_for_workers:root", [{"number": 4}], "ray", 4000))


def test_seeds_of_a_training_by_ray_are_those_of_one_process(tmp_path: Path) -> None:
    words = ["train", "DARTS_V2", *WORDS, "--no-auxiliary", "--seeds", "2", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    assert main([*words, str(tmp_path / "workers"), "--workers", "ray"]) == 0
    for seed in (0, 1):
        folders = [tmp_path / f"{name}-s{seed}" for name in ("alone", "workers")]
        assert Run.open(folders[1]).done and tiny.history(folders[0]) == tiny.history(folders[1])
        weights = [(folder / "weights.safetensors").read_bytes() for folder in folders]
        assert weights[0] == weights[1]
