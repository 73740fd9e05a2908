"""Settings edited between stop and resume: those that decide the result are refused, the others noted."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

import tiny
from dartboard.cli import main
from dartboard.config import build, from_toml
from dartboard.runs.held_settings import FREE, digest, record
from dartboard.runs.run import Run
from dartboard.training.from_scratch import Config

SMALL = ["--data", "digits", "--max-images", "48", "--channels", "2", "--cells", "3", "--batch-size", "8"]
MORE = ["--device", "cpu", "--threads", "1", "--epochs", "2"]
COMMANDS = {
    "search": ["search", "darts", *SMALL, *MORE, "--space", "s2"],
    "train": ["train", "DARTS_V1", *SMALL, *MORE],
}

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A search and a training, stopped after two steps."""
    import torch

    folder = tmp_path_factory.mktemp("stopped")
    with torch.random.fork_rng():
        for name, words in COMMANDS.items():
            assert main([*words, "--budget", "2steps", "--out", str(folder / name)]) == 0
    return {name: folder / name for name in COMMANDS}


def copied(stopped: dict[str, Path], name: str, place: Path) -> Path:
    return Path(shutil.copytree(stopped[name], place / "run"))


def edit(folder: Path, **changes: Any) -> None:
    """Writes config.toml with other values; None takes a setting away."""
    table = {**from_toml(folder / "config.toml"), **changes}
    table = {name: value for name, value in table.items() if value is not None}
    (folder / "config.toml").write_text(tomli_w.dumps(table))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def resumed(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    return main(["resume", str(folder)]), capsys.readouterr().err


EDITS: list[tuple[str, dict[str, Any], str]] = [
    ("train", {"lr": 0.1}, "lr: 0.025 at the start, 0.1 now"),
    ("train", {"batch_size": 16}, "batch_size: 8 at the start, 16 now"),
    ("train", {"epochs": 3}, "epochs: 2 at the start, 3 now"),
    ("train", {"precision": "float64"}, 'precision: "float32" at the start, "float64" now'),
    ("train", {"momentum": None}, "momentum: 0.9 at the start, not set now"),
    ("train", {"max_classes": 5}, "max_classes: not set at the start, 5 now"),
    ("train", {"seed": 1}, "seed: 0 at the start, 1 now"),
    ("train", {"threads": 2}, "threads: 1 at the start, 2 now"),
    ("train", {"data": "digits-rotated"}, 'data: "digits" at the start'),
    ("train", {"auxiliary": False, "cutout": 2, "lr": 0.1}, "lr: 0.025"),
    ("search", {"alpha_lr": 1}, "alpha_lr: "),
    ("search", {"second_order": True}, "second_order: false at the start, true now"),
    ("search", {"space": "s3"}, 'space: "s2" at the start, "s3" now'),
    ("search", {"from": "elsewhere", "carry": "weights"}, "from: not set at the start"),
    ("search", {"channels": 4}, "channels: 2 at the start, 4 now"),
    ("search", {"stop": "skips:2"}, 'stop: "" at the start, "skips:2" now'),
]


@pytest.mark.parametrize(("name", "changes", "told"), EDITS, ids=[f"{e[0]} {' '.join(e[1])}" for e in EDITS])
def test_an_edit_of_what_decides_the_result_is_refused_and_nothing_touched(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, changes: dict[str, Any], told: str,
) -> None:  # fmt: skip
    folder = copied(stopped, name, tmp_path)
    edit(folder, **changes)
    before = contents(folder)
    code, said = resumed(folder, capsys)
    assert (code, said.count("\n")) == (2, 1), said
    assert told in said and "undo that, or start a new run with them: dartboard " in said
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"method": "drats"}, 'set method = "darts" again'),
        ({"method": "random_search"}, 'set method = "darts" again'),
        ({"method": None}, 'set method = "darts" again'),
        ({"space": "dart"}, 'set space = "s2" again'),
        ({"command": "train"}, 'set command = "search" again'),
        ({"method": "drats", "space": "dart"}, 'set method = "darts" and set space = "s2" again'),
    ],
    ids=str,
)
def test_settings_with_which_no_new_run_can_begin_are_to_be_set_back(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], remedy: str
) -> None:
    folder = copied(stopped, "search", tmp_path)
    edit(folder, **changes)
    before = contents(folder)
    code, said = resumed(folder, capsys)
    assert (code, said.count("\n")) == (2, 1), said
    assert f"{remedy}, then give the same command once more" in said and "dartboard search" not in said
    assert all(f"{name}: " in said and str(value) in said for name, value in changes.items() if value)
    assert contents(folder) == before


def test_a_space_that_is_not_known_here_is_one_line_where_no_digest_was_kept(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "search", tmp_path)
    edit(folder, space="dart")
    environment = json.loads((folder / "environment.json").read_text())
    del environment["settings"], environment["settings_digest"]
    (folder / "environment.json").write_text(json.dumps(environment))
    code, said = resumed(folder, capsys)
    assert code == 2 and "searches the space 'dart', and this version knows darts, s1, s2" in said.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_refusal_names_a_command_that_starts_a_new_run_with_the_edited_settings(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = copied(stopped, name, tmp_path)
    edit(folder, lr=0.1)
    command = resumed(folder, capsys)[1].partition("with them: dartboard ")[2]
    assert main([word.replace("NEW", str(tmp_path / "new")) for word in shlex.split(command)]) == 0
    assert from_toml(tmp_path / "new/config.toml") == from_toml(folder / "config.toml")
    assert Run.open(tmp_path / "new").architecture == Run.open(folder).architecture


def test_a_search_that_began_from_another_is_started_anew_from_it_too(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*COMMANDS["search"], "--from", str(stopped["search"]), "--carry", "alphas", "--no-restart-schedule"]
    assert main([*words, "--budget", "1steps", "--out", str(tmp_path / "run")]) == 0
    edit(tmp_path / "run", lr=0.1)
    said = resumed(tmp_path / "run", capsys)[1]
    command = said.partition("with them: dartboard ")[2]
    assert f"--from {stopped['search']} --carry alphas --no-restart-schedule --out NEW" in command
    assert main([word.replace("NEW", str(tmp_path / "new")) for word in shlex.split(command)]) == 0
    assert from_toml(tmp_path / "new/config.toml") == from_toml(tmp_path / "run/config.toml")


def test_the_same_values_written_otherwise_are_no_edit(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "train", tmp_path)
    lines = (folder / "config.toml").read_text().splitlines()
    text = "# a word of mine\n" + "\n".join(reversed(lines)) + "\n"
    for old, new in [
        ("lr = 0.025", "lr = 0.0250  # small"),
        ("batch_size", "batch-size"),
        ("lr_min = 0.0", "lr_min = 0"),
    ]:
        assert old in text
        text = text.replace(old, new)
    (folder / "config.toml").write_text(text)
    assert resumed(folder, capsys) == (0, "")
    assert not [line for line in Run.open(folder).metrics() if line["event"] == "setting"]


FREELY: list[tuple[str, dict[str, Any]]] = [
    ("search", {"supernet": "plain"}),
    ("train", {"data_dir": "."}),
    ("train", {"download": True}),
    ("train", {"save_every": "1m"}),
    ("train", {"device": "auto"}),
    ("train", {"stream": "never"}),
    ("train", {"budget": None}),
    ("train", {"until": "1h"}),
]


def test_every_free_setting_is_tried_here() -> None:
    assert {name for _, changes in FREELY for name in changes} == set(FREE)


@pytest.mark.parametrize(("name", "changes"), FREELY, ids=[next(iter(changes)) for _, changes in FREELY])
def test_what_does_not_decide_the_result_may_change_and_is_noted_once(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, changes: dict[str, Any]
) -> None:
    folder = copied(stopped, name, tmp_path)
    before = from_toml(folder / "config.toml")
    edit(folder, **changes)
    capsys.readouterr()
    assert main(["resume", str(folder), "--budget", "1steps"]) == 0  # noted, and saved with the note
    code, _ = resumed(folder, capsys)
    ((setting, value),) = changes.items()
    noted = [line for line in Run.open(folder).metrics() if line["event"] == "setting"]
    line = {"event": "setting", "setting": setting, "before": before.get(setting), "now": value, "step": 2}
    assert code == 0 and noted == [line]
    assert Run.open(folder).done and "Finished: 2 epochs" in (folder / "report.html").read_text()


def test_another_device_is_told_to_change_the_last_bits(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "train", tmp_path)
    edit(folder, device="auto")
    code, said = resumed(folder, capsys)
    assert code == 0 and said.count("\n") == 1 and "was cpu (cpu) and is auto" in said and "last bits" in said


def test_a_device_that_auto_no_longer_finds_is_told_too(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "train", tmp_path)
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps({**environment, "device": "cuda"}))
    code, said = resumed(folder, capsys)
    assert code == 0 and "was cpu (cuda) and is cpu (cpu)" in said


def test_noted_changes_leave_the_result_as_it_is(stopped: dict[str, Path], tmp_path: Path) -> None:
    folder, plain = copied(stopped, "train", tmp_path), Path(shutil.copytree(stopped["train"], tmp_path / "plain"))
    edit(folder, save_every="1m")
    assert main(["resume", str(folder)]) == main(["resume", str(plain)]) == 0
    assert [line for line in tiny.history(folder) if line["event"] != "setting"] == tiny.history(plain)
    assert (folder / "weights.safetensors").read_bytes() == (plain / "weights.safetensors").read_bytes()


def test_a_folder_of_images_may_move_and_not_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for kind in "ab":
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8), (20 * number, ord(kind), 90)).save(tmp_path / f"pictures/{kind}/{number}.png")
    words = ["train", "DARTS_V1", "--data", "images:pictures", "--image-size", "8", *SMALL[4:8], "--batch-size", "4"]
    assert main([*words, *MORE, "--budget", "1steps", "--out", "run"]) == 0
    (tmp_path / "pictures").rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    edit(tmp_path / "run", data=f"images:{tmp_path}/moved")
    assert resumed(tmp_path / "run", capsys) == (0, "")
    noted = [line["setting"] for line in Run.open("run").metrics() if line["event"] == "setting"]
    assert noted == ["data"]
    (tmp_path / "moved/a/1.png").write_bytes((tmp_path / "moved/a/2.png").read_bytes())
    edit(tmp_path / "other", data=f"images:{tmp_path}/moved")
    code, said = resumed(tmp_path / "other", capsys)
    assert code == 2 and "other has changed: it started with other images" in said


def test_a_run_of_an_older_version_is_resumed_with_a_notice(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "train", tmp_path)
    environment = json.loads((folder / "environment.json").read_text())
    del environment["settings"], environment["settings_digest"]
    (folder / "environment.json").write_text(json.dumps(environment))
    code, said = resumed(folder, capsys)
    assert code == 0 and said.count("\n") == 1 and "without a digest of its settings" in said


def test_a_run_of_before_a_setting_was_there_is_resumed(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The digest is over the settings that the run stored; a setting of a later version has its default."""
    folder = copied(stopped, "train", tmp_path)
    edit(folder, network=None)
    environment = json.loads((folder / "environment.json").read_text())
    environment |= record(from_toml(folder / "config.toml"))
    (folder / "environment.json").write_text(json.dumps(environment))
    with Run.open(folder, write=True) as run:
        assert build(Config, run.settings).network == "fast"
    assert capsys.readouterr().err == ""


def test_settings_edited_in_both_files_are_refused(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "train", tmp_path)
    edit(folder, lr=0.1)
    environment = json.loads((folder / "environment.json").read_text())
    environment["settings"]["lr"] = 0.1
    (folder / "environment.json").write_text(json.dumps(environment))
    code, said = resumed(folder, capsys)
    assert code == 2 and said.count("\n") == 1 and "do not match their digest" in said


def test_why_of_a_search_whose_settings_were_edited_is_refused(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "search", tmp_path)
    edit(folder, channels=4)
    capsys.readouterr()
    assert main(["why", str(folder)]) == 2
    assert "channels: 2 at the start, 4 now" in capsys.readouterr().err and not (folder / "why").exists()


VALUES = st.one_of(
    st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text(max_size=5)
)
TABLES = st.dictionaries(st.text("abcdef_", min_size=1, max_size=4), st.one_of(VALUES, st.lists(VALUES, max_size=3)))


@given(TABLES)
def test_a_digest_survives_being_written_in_any_order(table: dict[str, Any]) -> None:
    known = json.loads(json.dumps(record(table), ensure_ascii=False))
    again = dict(reversed(table.items()))
    assert digest(again) == known["settings_digest"] == digest(known["settings"])


@given(TABLES, st.sampled_from(FREE), VALUES)
def test_a_digest_holds_every_setting_but_the_free_ones(table: dict[str, Any], free: str, value: Any) -> None:
    assert digest({**table, free: value}) == digest(table)
    assert digest({**table, "held": value}) != digest(table)
    for name in table:
        assert digest({one: table[one] for one in table if one != name}) != digest(table)


def test_an_edited_study_is_refused_by_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["transfer", "--a", "digits", "--b", "digits-rotated", *SMALL[2:], "--epochs", "1", "--seeds", "1"]
    more = ["--train-channels", "2", "--train-cells", "3", "--train-batch-size", "8", "--train-epochs", "1"]
    assert main([*words, *more, "--until", "0.1s", "--out", str(tmp_path / "study")]) == 0
    file = tmp_path / "study/study.toml"
    text = file.read_text()
    edited = {
        "precision": ('"float32"', '"float64"'),
        "seeds": ("seeds = 1", "seeds = 2"),
        "lr": ("lr = 0.025", "lr = 0.1"),
    }
    for old, new in edited.values():
        assert old in text
        file.write_text(text.replace(old, new, 1))
        code, said = resumed(tmp_path / "study", capsys)
        assert code == 2 and said.count("\n") == 1 and "study.toml was edited since the work started" in said
    file.write_text(text.replace('save_every = "10m"', 'save_every = "1m"'))
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "study"), "--until", "0.1s"]) == 0


def test_edited_settings_of_why_are_refused_by_resume(
    stopped: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(stopped, "search", tmp_path)
    assert main(["why", str(folder), "--until", "0.1s", "--epochs", "1", "--few-steps", "1"]) == 0
    file = folder / "why/settings.json"
    file.write_text(file.read_text().replace('"epochs": 1', '"epochs": 2'))
    code, said = resumed(folder / "why", capsys)
    assert code == 2 and said.count("\n") == 1 and "settings.json was edited since the study started" in said
