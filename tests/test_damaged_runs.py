"""Something else in the place of each file of a run, for each command that reads it: one line, and never a wait."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.runs.checkpoint import prune
from dartboard.runs.json_files import read_json

SMALL = ["--data", "digits", "--max-images", "32", "--cells", "3", "--batch-size", "8", "--device", "cpu"]
MORE = [*SMALL, "--threads", "1", "--channels", "2"]
WAIT_S = 60  # for a command that waits for a pipe, which none may

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that were stopped: of each kind, and of other sizes and spaces; and two that are finished."""
    import torch

    folder = tmp_path_factory.mktemp("runs")
    stopped = ["--epochs", "2", "--budget", "3steps", "--out"]
    with torch.random.fork_rng():
        for words in (
            ["search", "darts", *MORE, "--epochs", "1", "--out", "found"],
            ["train", "found", *MORE, "--epochs", "1", "--out", "trained"],
            ["search", "darts", *MORE, *stopped, "search"],
            ["search", "darts", *MORE, "--from", "found", *stopped, "second"],
            ["search", "darts", *SMALL, "--threads", "1", "--channels", "4", *stopped, "wider"],
            ["search", "darts", *MORE, "--space", "s3", *stopped, "s3"],
            ["train", "DARTS_V1", *MORE, *stopped, "training"],
        ):
            before = Path.cwd()
            os.chdir(folder)
            try:
                assert main(words) == 0
            finally:
                os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def no_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own; a test that waits for a pipe fails."""

    def over(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the command waits")

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(WAIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nowhere")


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def deep_toml(path: Path) -> None:
    path.write_text("a = " + "[" * 100_000)


def an_empty_file(path: Path) -> None:
    path.write_text("")


def an_empty_object(path: Path) -> None:
    path.write_text("{}\n")


Damage = Callable[[Path], None]
DAMAGES: tuple[Damage, ...] = (a_folder, a_pipe, a_link_to_nothing, deep, deep_toml, an_empty_file, an_empty_object)
NO_FILE: tuple[Damage, ...] = DAMAGES[:3]
NEW = [*MORE, "--epochs", "1", "--budget", "1steps", "--out", "new"]
# Which run, the words, the file, and what of DAMAGES must be refused there; anything else may also be as good as new.
READ: list[tuple[str, list[str], str, tuple[Damage, ...]]] = [
    *(("search", ["resume", "x"], file, DAMAGES) for file in ("config.toml", "checkpoint/*/state.json")),
    ("search", ["resume", "x"], "environment.json", DAMAGES[:-1]),
    ("search", ["resume", "x"], "metrics.jsonl", NO_FILE),
    ("search", ["resume", "x"], "lock", NO_FILE),
    ("search", ["resume", "x"], "checkpoint", DAMAGES[1:]),
    ("search", ["resume", "x"], "checkpoint/*", DAMAGES),
    ("search", ["resume", "x"], "checkpoint/*/tensors.safetensors", DAMAGES),
    ("search", ["resume", "x"], "architecture.json", DAMAGES[:1]),
    ("second", ["resume", "x"], "checkpoint/*/state.json", DAMAGES),
    ("training", ["resume", "x"], "architecture.json", DAMAGES),
    ("training", ["resume", "x"], "weights.safetensors", DAMAGES[:1]),
    ("training", ["resume", "x"], "report.html", DAMAGES[:1]),
    *(("found", ["report", "x"], file, NO_FILE) for file in ("metrics.jsonl", "architecture.json", "environment.json")),
    ("found", ["report", "x"], "config.toml", DAMAGES[:5]),
    ("found", ["report", "x"], "report.html", DAMAGES[:1]),
    ("trained", ["evaluate", "x"], "weights.safetensors", DAMAGES),
    ("trained", ["evaluate", "x"], "architecture.json", DAMAGES),
    ("trained", ["evaluate", "x"], "config.toml", DAMAGES[:5]),
    ("found", ["show", "x", "--no-counts"], "architecture.json", DAMAGES),
    ("found", ["show", "x", "--no-counts", "--epoch", "0"], "metrics.jsonl", DAMAGES[:3]),
    ("found", ["export", "x"], "architecture.json", DAMAGES),
    ("found", ["train", "x", *NEW], "architecture.json", DAMAGES),
    ("found", ["search", "darts", "--from", "x", *NEW], "config.toml", DAMAGES[:5]),
    ("found", ["search", "darts", "--from", "x", *NEW], "checkpoint", DAMAGES),
    ("found", ["search", "darts", "--from", "x", *NEW], "checkpoint/*/tensors.safetensors", DAMAGES),
    *(("found", ["why", "x"], file, DAMAGES) for file in ("checkpoint", "checkpoint/*/state.json", "config.toml")),
    ("found", ["why", "x"], "environment.json", DAMAGES[:-1]),
    ("found", ["why", "x"], "architecture.json", DAMAGES),
]
# The first and the last damage of each; those between in make test-slow.
CASES = [
    pytest.param(run, words, file, damage, marks=() if damage in (damages[0], damages[-1]) else pytest.mark.slow)
    for run, words, file, damages in READ
    for damage in damages
]


def put(folder: Path, file: str, damage: Damage) -> None:
    """Something else in the place of the files that a pattern names."""
    for path in list(folder.glob(file)) or [folder / file]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        damage(path)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refusal; what is said of torn checkpoints comes before it."""
    capsys.readouterr()
    assert main(words) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "is damaged; the one before" not in line]
    assert len(said) == 1 and said[0].startswith("dartboard: ") and "delete" not in said[0], said
    return said[0]


NAMES = [f"{words[0]} {run} {file} {damage.__name__}" for run, words, file, damage in (case.values for case in CASES)]


@pytest.mark.parametrize(("run", "words", "file", "damage"), CASES, ids=NAMES)
def test_something_else_in_the_place_of_a_file_is_refused_in_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    run: str, words: list[str], file: str, damage: Damage,
) -> None:  # fmt: skip
    shutil.copytree(runs / run, tmp_path / "x")
    put(tmp_path / "x", file, damage)
    refused(words, capsys)
    assert not (tmp_path / "new").exists() and not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "x/traceback.txt").exists()


@pytest.mark.parametrize("other", ["training", "wider", "s3"])
def test_a_checkpoint_of_another_kind_of_run_is_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    folder = Path(shutil.copytree(runs / "search", tmp_path / "x"))
    shutil.rmtree(folder / "checkpoint")
    shutil.copytree(runs / other / "checkpoint", folder / "checkpoint")
    before = (folder / "metrics.jsonl").read_bytes()
    said = refused(["resume", "x"], capsys)
    assert "is of another run" in said and "checkpoint/step-" in said
    assert (folder / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("other", ["search", "wider"])
def test_a_searchs_checkpoint_in_a_training_is_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    folder = Path(shutil.copytree(runs / "training", tmp_path / "x"))
    shutil.rmtree(folder / "checkpoint")
    shutil.copytree(runs / other / "checkpoint", folder / "checkpoint")
    assert "is of another run" in refused(["resume", "x"], capsys)


@pytest.mark.parametrize(("old", "new"), [("channels = 2", "channels = 4"), ('space = "darts"', 'space = "s3"')])
def test_channels_and_space_edited_in_a_run_of_an_older_version_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    """Such a run has no digest, and its checkpoints none: what is in them does not fit."""
    folder = Path(shutil.copytree(runs / "search", tmp_path / "x"))
    config, environment = folder / "config.toml", folder / "environment.json"
    config.write_text(config.read_text().replace(old, new))
    environment.write_text(environment.read_text().replace('"settings_digest"', '"digest_of_nothing"'))
    capsys.readouterr()
    assert main(["resume", "x"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "without a digest" in said[0] and "is of another run" in said[1]


@pytest.mark.parametrize("words", [["why", "x"], ["search", "darts", "--from", "x", *NEW]])
def test_a_trainings_checkpoint_in_a_search_is_refused_by_whoever_takes_it(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    folder = Path(shutil.copytree(runs / "found", tmp_path / "x"))
    shutil.rmtree(folder / "checkpoint")
    shutil.copytree(runs / "training/checkpoint", folder / "checkpoint")
    refused(words, capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_study_whose_file_is_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Damage
) -> None:
    (tmp_path / "study").mkdir()
    damage(tmp_path / "study/study.toml")
    for command in ("resume", "report"):
        refused([command, "study"], capsys)


def test_a_pipe_among_the_checkpoints_is_left_alone_and_nothing_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "step-000000001").mkdir()
    os.mkfifo(tmp_path / "pipe")
    prune(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_lost_environment_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*environment.json; restore it or start a new run"):
        read_json(tmp_path / "environment.json")


def test_the_checkpoint_of_another_run_is_not_evaluated(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "training", "own")
    shutil.rmtree("own/checkpoint")
    shutil.copytree(runs / "search" / "checkpoint", "own/checkpoint")
    for words in (["evaluate", "own"], ["export", "own", "--to", "torch", "--out", "out"]):
        assert main(words) == 2
        assert "is of another run, with other settings" in capsys.readouterr().err
