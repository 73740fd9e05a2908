"""Wrong input: exit 2, one line on stderr that says what and what to do, no traceback, nothing created."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dartboard.cli import main

SEARCH = ["search", "darts", "--data", "digits"]
TRAIN = ["train", "DARTS_V2", "--data", "digits"]

# words -> what the line must hold
WRONG = {
    "serch": "unknown command 'serch'; did you mean 'search'?",
    "--vresion": "did you mean '--version'?",
    "search": "name a method first: dartboard search darts",
    "search drats": "unknown method 'drats'; did you mean 'darts'?",
    "search darts --space drats": "unknown space 'drats'; did you mean 'darts'?",
    "search darts --data digts": "unknown data set 'digts'; did you mean 'digits'?",
    "search darts --data images:": "images:DIR",
    "search darts --data images:nowhere": "nowhere",
    "search darts --data cifar10 --data-dir .": "no cifar10 files in",
    "search darts --epoch 3": "unknown flag '--epoch'; did you mean '--epochs'?",
    "search darts -e 3": "unknown flag '-e'",
    "search darts darts": "unexpected word 'darts'",
    "search darts --truth table.csv": "one by one, and darts is none; give random_search",
    "search darts --space nasbench201 --trials=3": ", or leave --trials out",
    "search darts --epochs": "--epochs",
    "search darts --epochs three": "--epochs is 'three'; give a whole number",
    "search darts --epochs 2.5": "--epochs is '2.5'; give a whole number",
    "search darts --lr fast": "--lr is 'fast'; give a number",
    "search darts --epochs -1": "--epochs is -1; give 1 or more",
    "search darts --batch-size 0": "--batch-size is 0; give 1 or more",
    "search darts --batch-size 100000": "--batch-size",
    "search darts --max-images 64 --batch-size 33": "--batch-size",
    "search darts --channels 0": "--channels is 0; give 1 or more",
    "search darts --cells 2": "--cells",
    "search darts --lr nan": "--lr is nan",
    "search darts --momentum 1": "--momentum is 1.0; give 0 or more and less than 1",
    "search darts --seed -1": "--seed is -1",
    "search darts --seeds 0": "--seeds is 0",
    "search darts --threads 0": "--threads is 0",
    "search darts --device gpu": "'--device'",
    "search darts --device mps": "--device mps is not available",
    "search darts --precision half": "'--precision'",
    "search darts --preset papre": "'--preset'",
    "search darts --budget 5": "--budget",
    "search darts --until tomorrow": "--until",
    "search darts --save-every 0s": "--save-every",
    "search darts --config nothing.toml": "nothing.toml",
    "search darts --config typo.toml": "unknown setting in typo.toml 'epcohs'; did you mean 'epochs'?",
    "search darts --config wrong.toml": "--epochs is 'many'; give a whole number",
    "search darts --config training.toml": "training.toml has settings for command = 'train'",
    "search darts --config binary.bin": "binary.bin is not TOML",
    "search darts --out full": "full is not empty",
    "search darts --out typo.toml": "typo.toml is a file",
    "search darts --out": "--out",
    "train": "name an architecture",
    "train DARTS_V3": "unknown architecture 'DARTS_V3'; did you mean 'DARTS_V2'?",
    "train full": "full has no architecture.json",
    "train binary.bin": "binary.bin",
    "train empty.json": "empty.json",
    "train cut.json": "cut.json",
    "train DARTS_V2 --cells 2": "--cells",
    "train DARTS_V2 --drop-path 1.5": "--drop-path is 1.5",
    "resume": "name the run's folder",
    "resume full": "no run in full",
    "resume nowhere": "no run in nowhere",
    "resume nowhere --until never": "no run in nowhere",
    "evaluate": "name a training's run folder or a weight file",
    "evaluate nowhere": "there is no file or folder nowhere",
    "evaluate full": "no run in full",
    "evaluate weights.safetensors": "--arch",
    "evaluate weights.safetensors --arch DARTS_V3": "did you mean 'DARTS_V2'?",
    "evaluate weights.safetensors --arch DARTS_V2": "--data",
    "evaluate weights.safetensors --arch DARTS_V2 --data digits": "weights.safetensors",
    "evaluate binary.bin --arch DARTS_V2 --data digits": "binary.bin",
    "show": "name an architecture",
    "show DARTS": "unknown architecture 'DARTS'",
    "show deep.json": "deep.json",
    "show DARTS_V2 --image cell.bmp": ".svg, .png or .pdf",
    "show DARTS_V2 --no-counts --image nowhere/cell.svg": "no folder nowhere",
    "show DARTS_V2 --network cfiar": "--network is cfiar",
    "show DARTS_V2 --channels 0": "--channels is 0",
    "show DARTS_V2 --json --no-counts": "--no-counts",
    "show full --epoch 3": "no run in full",
    "report": "name one run folder or several",
    "report nowhere": "no run in nowhere",
    "report full": "no run in full",
    "export": "name an architecture",
    "export DARTS_V2 --to quark": "unknown value of --to 'quark'; did you mean 'quark0'?",
    "export AmoebaNet --to nnabla": "NNabla",
    "export DARTS_V2 --out nowhere/cell.txt": "no folder nowhere",
    "export DARTS_V2 --out full": "full: it is a folder",
    "export DARTS_V2 --to torch": "--out",
    "list dta": "did you mean 'data'?",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wrong things, which is where the commands are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    (tmp_path / "typo.toml").write_text("epcohs = 3")
    (tmp_path / "wrong.toml").write_text('epochs = "many"')
    (tmp_path / "training.toml").write_text('command = "train"')
    (tmp_path / "binary.bin").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "cut.json").write_text('{"space": "darts", "choices": {"normal.2": [["sep_')
    (tmp_path / "deep.json").write_text("[" * 10_000)
    save_file({"a": torch.zeros(2)}, tmp_path / "weights.safetensors")
    return tmp_path


def contents(folder: Path) -> list[tuple[str, float]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("words", WRONG)
def test_wrong_input_is_one_line_and_exit_2_and_creates_nothing(
    place: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    before = contents(place)
    code = main(words.split())
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1), said
    assert WRONG[words] in said
    assert "Traceback" not in said and len(said) < 600
    assert contents(place) == before


@pytest.mark.parametrize("value", ["\n\n", "a\nb", "\x1b[31m", "é" * 300, "x" * 5000])
@pytest.mark.parametrize(
    "words",
    [
        ["search"],
        ["train"],
        ["show"],
        ["list"],
        ["resume"],
        ["evaluate"],
        ["report"],
        ["export"],
        [],
        ["search", "darts", "--lr"],
    ],
)
def test_odd_words_are_refused_in_one_short_line(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], value: str
) -> None:
    assert main([*words, value]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and len(said) < 800 and "\x1b" not in said


PATHS = [
    [*SEARCH, "--out"],
    [*SEARCH, "--config"],
    ["search", "darts", "--data", "cifar10", "--data-dir"],
    ["train", "DARTS_V2", "--out"],
    ["evaluate", "weights.safetensors", "--data", "digits", "--arch"],
    ["evaluate", "weights.safetensors", "--arch", "DARTS_V2", "--data", "cifar10", "--data-dir"],
    ["search", "darts", "--data", "cifar10", "--download", "--data-dir"],
    ["show", "DARTS_V2", "--no-counts", "--image"],
    ["export", "DARTS_V2", "--out"],
    ["report", "full", "--out"],
]


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("words", PATHS, ids=" ".join)
@pytest.mark.parametrize("value", ["x" * 5000, "full/notes.txt/below", "y" * 300 + "/z.svg", "images:" + "x" * 400])
def test_impossible_paths_are_refused_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], value: str
) -> None:
    before = contents(place)
    assert main([*words, value]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(place) == before


def test_an_empty_word_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["search", ""], ["train", ""], ["show", ""], ["resume", ""], [""], [*SEARCH, "--out", ""]):
        assert main(words) == 2, words
        assert capsys.readouterr().err.count("\n") == 1


def test_a_run_whose_data_is_gone_is_refused_by_resume(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(place / "pictures")
    words = ["search", "darts", "--data", "images:pictures", "--image-size", "8", "--out", "run", "--epochs", "1"]
    tiny = ["--channels", "2", "--cells", "3", "--batch-size", "4", "--budget", "1steps"]
    assert main([*words, *tiny]) == 0
    changed = place / "pictures/a/0.png"
    changed.write_bytes((place / "pictures/b/0.png").read_bytes())
    capsys.readouterr()
    assert main(["resume", "run"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the data of run has changed" in said
    (place / "pictures").rename(place / "moved")
    assert main(["resume", "run"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def images(folder: Path) -> None:
    """Two classes of ten small pictures each."""
    from PIL import Image

    for kind in ("a", "b"):
        (folder / kind).mkdir(parents=True)
        for number in range(10):
            shade = 20 * number + (5 if kind == "a" else 12)
            Image.new("RGB", (8, 8), (shade, 255 - shade, 100)).save(folder / kind / f"{number}.png")


def test_a_damaged_run_is_refused_by_resume(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--max-images", "32", "--channels", "2", "--cells", "3", "--batch-size", "8", "--budget", "1steps"]
    assert main([*SEARCH, *tiny, "--out", "run"]) == 0
    config = (place / "run/config.toml").read_text()
    for content in ("", "epochs = ", config.replace("epochs", "epcohs"), config.replace('"darts"', '"drats"')):
        (place / "run/config.toml").write_text(content)
        capsys.readouterr()
        assert main(["resume", "run"]) == 2, content
        assert capsys.readouterr().err.count("\n") == 1
    (place / "run/config.toml").write_text(config)
    for path in (place / "run/checkpoint").iterdir():
        (path / "state.json").write_text(json.dumps({"step": 1}))
    assert main(["resume", "run"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "is damaged" in said[0] and "nothing was touched" in said[-1] and "delete" not in said[-1]
