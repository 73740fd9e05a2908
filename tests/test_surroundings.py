"""No home, outputs that cannot hold a name, names that are not UTF-8, paths that no file can have, closed outputs."""

import json
import os
import pwd
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dartboard import kernels
from dartboard.cli import main
from dartboard.config import from_toml, to_toml
from dartboard.data import layouts
from dartboard.data.layouts import cache_folder
from dartboard.errors import InputError
from dartboard.paths import escaped, expanded, quoted, restored

SIZES = ["--channels", "2", "--cells", "3", "--max-images", "64", "--batch-size", "16"]
FEW = [*SIZES, "--device", "cpu", "--epochs", "1"]
ODD = os.fsdecode(b"gr\xfc\xdfe-\xff")  # no UTF-8


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is where the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- No home ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without home folder, as in a container; returns the folder for temporary files."""

    def unknown(_: object) -> None:
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    layouts.without_home.cache_clear()
    return tmp_path


def test_without_a_home_the_cache_is_a_temporary_folder_with_a_word(
    no_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cache_folder() == cache_folder() == no_home / f"dartboard-{os.geteuid()}"
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    assert capsys.readouterr().err.count("this user has no home folder") == 1


def test_without_a_home_a_folder_that_others_prepared_is_not_taken(no_home: Path) -> None:
    prepared = no_home / f"dartboard-{os.geteuid()}"
    prepared.mkdir()
    prepared.chmod(0o777)
    assert cache_folder() != prepared and cache_folder().stat().st_mode & 0o777 == 0o700


def test_a_tilde_without_a_home_is_one_line(no_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="there is no home folder for ~ in ~/data; write the path out"):
        expanded("~/data")
    for words in (["--data", "images:~/pictures"], ["--data", "cifar10", "--data-dir", "~/data"], ["--from", "~/run"]):
        assert main(["search", "darts", *words]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "no home folder for ~ in" in said


HOMELESS = """
import os, pwd, sys
del pwd.getpwuid, pwd.getpwnam  # as where the list of users has no entry
pwd.getpwuid = pwd.getpwnam = lambda _: {}["no such user"]
from dartboard.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_user_without_entry_and_home_searches(place: Path) -> None:
    left_out = ("HOME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    words = [sys.executable, "-c", HOMELESS, "search", "darts", "--data", "digits", *FEW, "--out", "run"]
    done = subprocess.run(words, env={**environment, "TMPDIR": str(place)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "this user has no home folder" in done.stderr and (place / "run/report.html").is_file()
    assert list(place.glob("dartboard-*/kernels/*.so")) or not kernels.available()


# --- What an output cannot hold --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["größe-细胞.txt", ODD])
def test_a_name_that_an_output_cannot_hold_is_written_escaped(place: Path, encoding: str, name: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    words = [sys.executable, "-m", "dartboard", "export", "DARTS_V2", "--out", name]
    done = subprocess.run(words, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).strip() == name.encode(encoding, "backslashreplace").decode(encoding)
    assert os.listdir(place) == [name]


@pytest.mark.parametrize("closed", ["1", "2", "1 2", "0 1 2"])
def test_closed_outputs_are_no_error(place: Path, closed: str) -> None:
    shut = " ".join(f"{number}>&-" for number in closed.split())
    for words, code in (("show DARTS_V2 --no-counts --image cell.svg", 0), ("export NOTHING", 2)):
        line = f'"{sys.executable}" -m dartboard {words} {shut}'
        assert subprocess.run(line, shell=True, capture_output=True).returncode == code
    assert "<svg" in Path("cell.svg").read_text()


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = f'rmdir "{gone}"; "{sys.executable}" -m dartboard'
    few = " ".join(FEW)
    tried = {f"search darts --data digits {few}": 2, "export DARTS_V2 --out cell.txt": 2, "list data": 0}
    for command, code in tried.items():
        gone.mkdir(exist_ok=True)
        done = subprocess.run(f"{words} {command}", shell=True, cwd=gone, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1 if code else 0), done.stderr


def test_no_folder_for_temporary_files_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], global_rng: None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(place / "nowhere")])
    assert main(["search", "darts", "--data", "digits", *FEW, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "set TMPDIR" in said
    monkeypatch.setattr("dartboard.commands.listing.lines", lambda kind: 1 / 0)
    assert main(["list", "data"]) == 1
    assert "the traceback could not be written to a file" in capsys.readouterr().err


# --- Names that are not UTF-8 ----------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.binary())))
def test_settings_hold_every_name_a_file_can_have(parts: list[str | bytes]) -> None:
    name = "".join(os.fsdecode(part.replace(b"\0", b"")) if isinstance(part, bytes) else part for part in parts)
    text = to_toml({"data": name})
    text.encode()
    assert restored(tomllib.loads(text)["data"]) == name
    if name == name.encode(errors="ignore").decode():
        assert escaped(name) == name


@given(st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"x")))
def test_the_words_to_go_on_with_are_what_a_shell_takes(name: bytes) -> None:
    words = quoted(os.fsdecode(name))
    assert words.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {words}"], capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert done.stdout == name


def test_a_nul_in_a_file_of_settings_is_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("nul.toml").write_text('data_dir = "a\\u0000b"')
    assert main(["search", "darts", "--config", "nul.toml"]) == 2
    assert "nul.toml has a NUL character in data_dir" in capsys.readouterr().err


def images(folder: Path) -> None:
    """Class folders of small images, one of them and one file with a name that is not UTF-8."""
    for shade, label in enumerate(("a", ODD)):
        (folder / label).mkdir(parents=True)
        for number in range(16):
            Image.new("RGB", (8, 8), (shade * 90, number * 9, 0)).save(folder / label / f"{number}.png")
    (folder / "a/0.png").rename(folder / "a" / f"{ODD}.png")


@pytest.mark.slow
def test_a_search_on_names_that_are_not_utf_8_is_stopped_gone_on_with_and_shown(
    place: Path, capsys: pytest.CaptureFixture[str], global_rng: None
) -> None:
    images(place / f"data-{ODD}")
    run = f"run-{ODD}"
    few = [*FEW, "--data", f"images:data-{ODD}", "--image-size", "8", "--batch-size", "8", "--stream", "always"]
    assert main(["search", "darts", *few, "--out", run, "--budget", "1steps"]) == 0
    assert "dartboard resume $'run-gr\\374" in capsys.readouterr().err
    for name in ("config.toml", "environment.json", "metrics.jsonl"):
        (Path(run) / name).read_bytes().decode()
    assert from_toml(f"{run}/config.toml")["data"] == f"images:{place}/data-{ODD}"
    assert json.loads(Path(f"{run}/environment.json").read_text())["data"]["class_names"] == ["a", ODD]
    assert main(["resume", run]) == 0
    assert main(["train", run, *few, "--no-auxiliary", "--out", f"train-{ODD}"]) == 0
    assert main(["report", run, f"train-{ODD}", "--gif", "--out", f"page-{ODD}.html"]) == 0
    assert main(["show", run, "--no-counts", "--image", f"cell-{ODD}.svg"]) == 0
    assert main(["export", f"train-{ODD}", "--to", "torch", "--out", f"torch-{ODD}"]) == 0
    assert main(["evaluate", f"train-{ODD}"]) == 0
    assert main(["export", run, "--to", "json", "--out", f"cell-{ODD}.json"]) == 0
    for page in (Path(run) / "report.html", Path(f"train-{ODD}/report.html"), Path(f"page-{ODD}.html")):
        assert "\\udcff" in page.read_bytes().decode()
    assert f"cell-{ODD}.svg" in os.listdir(place)


# --- What no file is called ------------------------------------------------------------------------------------------

NAMES: dict[str, tuple[str, str]] = {
    "empty": ("", "is empty"),
    "blank": (" \t", "is empty"),
    "long name": ("x" * 256, "too long"),
    "long in bytes": ("ü" * 128, "too long"),
    "long path": ("a/" * 2050 + "a", "too long"),
    "nul": ("a\0b", "NUL"),
}
FLAGS: dict[str, list[str]] = {
    "search --out": ["search", "darts", "--data", "digits", "--out"],
    "search --config": ["search", "darts", "--config"],
    "search --from": ["search", "darts", "--from"],
    "search --data-dir": ["search", "darts", "--data", "cifar10", "--data-dir"],
    "train --out": ["train", "DARTS_V2", "--data", "digits", "--out"],
    "transfer --out": ["transfer", "--a", "digits", "--b", "digits-rotated", "--out"],
    "transfer --search-config": ["transfer", "--a", "digits", "--b", "digits-rotated", "--search-config"],
    "export --out": ["export", "DARTS_V2", "--out"],
    "export torch --out": ["export", "DARTS_V2", "--to", "torch", "--out"],
    "report --out": ["report", "run", "--out"],
    "show --image": ["show", "DARTS_V2", "--no-counts", "--image"],
    "why --out": ["why", "run", "--out"],
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of a search, stopped after a step."""
    place = tmp_path_factory.mktemp("searched")
    words = ["search", "darts", "--data", "digits", *FEW, "--out", str(place / "run"), "--budget", "1steps"]
    with torch.random.fork_rng():
        assert main(words) == 0
    return place


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flag", FLAGS)
def test_a_name_that_no_file_has_is_one_line(
    searched: Path, name: str, flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.chdir(searched)
    before = sorted(searched.rglob("*"))
    value, reason = NAMES[name]
    if flag == "show --image" and name != "nul":
        value, reason = (value + ".svg", reason) if "long" in name else (value, "")
    assert main([*FLAGS[flag], value]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and reason in said
    assert sorted(searched.rglob("*")) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", [["show"], ["train"], ["export"], ["evaluate"], ["report"], ["resume"], ["why"]])
def test_a_word_that_no_file_is_called_is_one_line(
    place: Path, words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, NAMES[name][0]]) == 2
    assert capsys.readouterr().err.count("\n") == 1
