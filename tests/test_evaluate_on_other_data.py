"""evaluate: which images are scored, and whose class is whose. The right numbers are counted here file by file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tiny
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data import Split, load_data, normalise
from dartboard.data.decoding import read_image
from dartboard.data.scored import Scored, load_other, matched
from dartboard.errors import InputError
from dartboard.export.weights import load_trained, write_torch
from dartboard.formats import published
from dartboard.runs.run import Run

V2 = published()["DARTS_V2"].architecture
SHADES = {"ape": 20, "bee": 120, "cow": 220, "dog": 70, "Cow": 220, "zape": 20}
TINY = "--image-size 8 --channels 2 --cells 3 --batch-size 8 --epochs 3 --no-auxiliary --drop-path 0 --cutout 0"


def pictures(root: Path, names: tuple[str, ...], count: int = 5, seed: int = 1) -> Path:
    """A folder of noisy grey pictures, dark, middle or bright by their class."""
    rng = np.random.default_rng(seed)
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(rng.normal(SHADES[name], 40, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pets`, ten pictures of each of three classes, and `run`, which learned from them."""
    folder = tmp_path_factory.mktemp("place")
    pictures(folder / "pets", ("ape", "bee", "cow"), count=10, seed=0)
    with torch.random.fork_rng():
        words = f"train DARTS_V2 --data images:{folder}/pets {TINY} --out {folder}/run"
        assert main(words.split()) == 0
    return folder


@pytest.fixture
def own(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a folder of the test's own, where it is; `pets` there is a copy."""
    for name in ("pets", "run"):
        shutil.copytree(place / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], dict[str, object]]:
    """What `dartboard evaluate WORDS --json` prints."""

    def evaluate(words: str) -> dict[str, object]:
        capsys.readouterr()
        assert main(["evaluate", *words.split(), "--json"]) == 0, capsys.readouterr().err
        found = json.loads(capsys.readouterr().out)
        assert isinstance(found, dict)
        return found

    return evaluate


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    def evaluate(words: str) -> str:
        capsys.readouterr()
        assert main(["evaluate", *words.split()]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and len(said) < 700
        return said

    return evaluate


def counted(folder: Path, run: Path, size: int = 8) -> float:
    """The share of the pictures below a folder that the run's network calls by their folder's name."""
    network, known = load_trained(run)
    right = []
    for path in sorted(folder.glob("*/*.png")):
        image = torch.from_numpy(read_image(path, size).copy())[None]
        with torch.no_grad():
            answer = int(network(normalise(image, known.mean, known.std)).argmax())
        right.append(known.class_names[answer] == path.parent.name)
    return sum(right) / len(right)


OWN, TEST, WHOLE = "test split of what it learned from", "test images of the folder", "whole folder"


@pytest.mark.parametrize("names", [("ape", "bee", "cow"), ("bee", "cow"), ("ape", "cow"), ("cow",)])
def test_another_folder_is_scored_whole_by_the_names_of_its_classes(own: Path, told, names: tuple[str, ...]) -> None:
    pictures(own / "other", names)
    found = told("run --data images:other")
    assert found["test_accuracy"] == pytest.approx(counted(own / "other", own / "run"))
    assert (found["part"], found["images"]) == (WHOLE, 5 * len(names))
    assert (found["classes"], found["known_classes"], found["matched_by"]) == (len(names), 3, "name")
    assert found["data"] == f"images:{own}/other" and found["image_size"] == 8 and found["unfinished"] is None


def test_the_line_says_which_part_and_which_classes(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(own / "other", ("bee", "cow"))
    for words, end in (
        (["run", "--data", "images:other"], f"({WHOLE}; 2 of 3 classes by name, answers are among all 3)"),
        (["run", "--data", f"images:{own}/pets"], f"({OWN}; 3 of 3 classes by name)"),
        (["run"], f"({OWN}; 3 of 3 classes by name)"),
    ):
        assert main(["evaluate", *words]) == 0
        assert capsys.readouterr().out.splitlines()[0].endswith(end)


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("zape", "bee", "cow"), "'zape'"),
        (("bee", "cow", "dog"), "'dog'"),
        (("ape", "bee", "cow", "dog"), "'dog'"),
        (("dog",), "'dog'"),
        (("ape", "bee", "Cow"), "'Cow'; it has 'ape', 'bee', 'cow' ('Cow' is 'cow' there)"),
    ],
)
def test_classes_it_does_not_know_are_refused_by_name(own: Path, refused, names: tuple[str, ...], unknown: str) -> None:
    pictures(own / "other", names)
    write_torch("run", "out")
    for weights in ("run", "out"):
        said = refused(f"{weights} --data images:other")
        assert f"has classes that {weights} does not have: {unknown}" in said and "'ape', 'bee', 'cow'" in said
    said = refused("run --data digits")
    assert "'0', '1', '2', '3', '4', ... (5 more)" in said


@pytest.mark.parametrize("where", ["moved", "pets"])
def test_the_folder_it_learned_from_is_known_wherever_it_is(own: Path, told, where: str) -> None:
    if where == "moved":
        (own / "pets").rename(own / "moved")
    write_torch("run", "out")
    for weights in ("run", "out"):
        found = told(f"{weights} --data images:{where}")
        assert (found["part"], found["images"]) == (OWN, 6)
        smaller = told(f"{weights} --data images:{where} --image-size 12")
        assert (smaller["part"], smaller["images"], smaller["image_size"]) == (OWN, 6, 12)
    assert found["test_accuracy"] == told("run")["test_accuracy"]


@pytest.mark.parametrize("flags", ["--seed 3", "--max-images 12", "--max-classes 2", "--stream always"])
def test_the_folder_it_learned_from_is_known_however_it_was_divided(own: Path, told, flags: str) -> None:
    assert main(f"train DARTS_V2 --data images:pets {TINY} --batch-size 4 {flags} --epochs 1 --out again".split()) == 0
    write_torch("again", "out")
    (own / "pets").rename(own / "moved")
    for weights in ("again", "out"):
        assert told(f"{weights} --data images:moved")["part"] == OWN


@pytest.mark.usefixtures("global_rng")
def test_the_folder_it_learned_from_is_known_of_a_run_of_python_with_another_share_of_val(own: Path, told) -> None:
    for share in (0.3, 0.5, 0.71):
        data = load_data(f"images:{own}/pets", image_size=8, val_fraction=share)
        tiny.fit(own / f"fit-{share}", V2, data=data, setup=Setup(device="cpu", data=f"images:{own}/pets"), epochs=1)
        assert told(f"fit-{share} --data images:pets")["part"] == OWN


def test_a_folder_that_has_changed_is_not_the_one_it_learned_from(own: Path, told, refused) -> None:
    run = Run.open("run")
    shutil.copytree(run.setup.data.removeprefix("images:"), own / "was")
    config = (own / "run/config.toml").read_text()
    (own / "run/config.toml").write_text(config.replace(run.setup.data, f"images:{own}/was"))
    assert told("run")["images"] == 6
    shutil.copy(own / "was/ape/0.png", own / "was/ape/more.png")
    said = refused("run")
    assert "differs from the data on which run was trained" in said and f"--data images:{own}/was" in said
    found = told(f"run --data images:{own}/was")
    assert (found["part"], found["images"]) == (WHOLE, 31)
    shutil.rmtree(own / "was")
    assert "name its present place with --data images:DIR" in refused("run")


@pytest.mark.parametrize("others", [(), ("train",), ("train", "val"), ("val",)])
def test_of_named_splits_only_test_is_scored(own: Path, told, others: tuple[str, ...]) -> None:
    pictures(own / "other/test", ("bee", "cow"), count=4)
    for name in others:
        pictures(own / "other" / name, ("ape", "bee", "cow"), seed=2)
    found = told("run --data images:other")
    assert (found["part"], found["images"], found["classes"]) == (TEST, 8, 2)
    assert found["test_accuracy"] == pytest.approx(counted(own / "other/test", own / "run"))


@pytest.mark.parametrize("layout", [("train", "val"), ("", "val"), ("", "test"), ("train",)])
def test_without_test_the_other_parts_are_scored_together(own: Path, told, layout: tuple[str, ...]) -> None:
    for number, name in enumerate(layout):
        pictures(own / "other" / name, ("ape", "bee"), seed=number)
    found = told("run --data images:other")
    parts = ["test"] if "test" in layout else layout
    assert (found["part"], found["images"]) == (TEST if "test" in layout else WHOLE, 10 * len(parts))
    right = [counted(own / "other" / name, own / "run") for name in parts]
    assert found["test_accuracy"] == pytest.approx(sum(right) / len(right))


def test_one_image_is_enough_and_none_is_refused(own: Path, told, refused) -> None:
    pictures(own / "one", ("cow",), count=1)
    assert told("run --data images:one")["images"] == 1
    (own / "none").mkdir()
    assert "has no class folders" in refused("run --data images:none")
    (own / "none/ape").mkdir()
    assert "none" in refused("run --data images:none")


def test_other_images_are_brought_to_the_size_of_the_training_unless_told(own: Path, told) -> None:
    pictures(own / "other", ("ape", "bee", "cow"))
    write_torch("run", "out")
    for weights in ("run", "out"):
        assert told(f"{weights} --data images:other")["image_size"] == 8
        assert told(f"{weights} --data images:other --image-size 12")["image_size"] == 12
    for stream in ("auto", "never", "always"):
        config = (own / "run/config.toml").read_text().replace('stream = "auto"', f'stream = "{stream}"')
        (own / "run/config.toml").write_text(config)
        found = told("run --data images:other")
        assert found["test_accuracy"] == pytest.approx(counted(own / "other", own / "run"))


def test_a_weight_file_cannot_know_and_says_so(own: Path, told, refused, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(own / "other", ("zape", "bee", "cow"))
    words = "run/weights.safetensors --arch DARTS_V2 --image-size 8 --data images:other"
    found = told(words)
    assert (found["part"], found["images"], found["matched_by"]) == (WHOLE, 15, "order")
    assert main(["evaluate", *words.split()]) == 0
    end = "(whole folder; 3 classes by their order, as a weight file does not record their names)\n"
    assert end in capsys.readouterr().out
    pictures(own / "fewer", ("bee", "cow"))
    said = refused("run/weights.safetensors --arch DARTS_V2 --data images:fewer")
    assert "has 3 classes, and" in said and "has 2" in said


def test_the_training_images_of_a_folder_tell_a_weight_file_mean_and_spread(own: Path, told) -> None:
    for name in ("train", "test"):
        pictures(own / "other" / name, ("ape", "bee", "cow"), seed=len(name))
    words = "run/weights.safetensors --arch DARTS_V2 --image-size 8 --data images:other"
    found, data = told(words), load_data("images:other", image_size=8)
    network = load_trained("run")[0]
    with torch.no_grad():
        answers = network(normalise(data.test.images, data.mean, data.std)).argmax(1)
    assert found["test_accuracy"] == pytest.approx(float((answers == data.test.labels).double().mean()))
    assert (found["part"], found["images"]) == (TEST, 15)


def test_a_network_without_names_is_scored_by_order_and_the_line_says_so(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(own / "other", ("zape", "bee", "cow"))
    network, known = load_trained("run")
    write_torch(network, "bare", image_size=8, mean=known.mean, std=known.std)
    assert main(["evaluate", "bare", "--data", "images:other"]) == 0
    assert "(whole folder; 3 classes by their order, as it does not record their names)" in capsys.readouterr().out
    write_torch(network, "same", class_names=("a", "a", "b"))
    assert main(["evaluate", "same", "--data", "images:other"]) == 2
    assert "two classes of same have one name" in capsys.readouterr().err


def test_broken_images_are_named(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(own / "other", ("ape", "cow"), count=15)
    (own / "other/ape/3.png").write_bytes(b"no picture")
    assert main(["evaluate", "run", "--data", "images:other"]) == 0
    out = capsys.readouterr().out
    assert "of 29 images" in out and "1 of 30 images are broken and left out: ape/3.png" in out


# --- Data sets that have a name --------------------------------------------------------------------------------------

DIGITS = "--channels 2 --cells 3 --batch-size 16 --epochs 1 --no-auxiliary --max-images 64"


def test_other_digits_are_scored_on_their_test_split_by_name(own: Path, told) -> None:
    assert main(f"train DARTS_V2 --data digits {DIGITS} --out whole".split()) == 0
    assert main(f"train DARTS_V2 --data digits {DIGITS} --max-classes 4 --image-size 16 --out four".split()) == 0
    write_torch("whole", "whole-out")
    write_torch("four", "four-out")
    turned, network = load_data("digits-rotated"), load_trained("whole")
    images = normalise(turned.test.images, network[1].mean, network[1].std)
    with torch.no_grad():
        right = float((network[0](images).argmax(1) == turned.test.labels).double().mean())
    for weights in ("whole", "whole-out"):
        found = told(f"{weights} --data digits-rotated")
        assert (found["part"], found["images"], found["classes"]) == ("test split", 359, 10)
        assert found["test_accuracy"] == pytest.approx(right, abs=0.003)
    for weights in ("four", "four-out"):
        found = told(f"{weights} --data digits-rotated")
        assert (found["classes"], found["known_classes"], found["image_size"]) == (4, 4, 16)
    assert told("four")["part"] == OWN and told("four")["images"] == found["images"]


def test_digits_in_folders_are_the_classes_of_digits(own: Path, told) -> None:
    assert main(f"train DARTS_V2 --data digits {DIGITS} --out whole".split()) == 0
    data = load_data("digits")
    for number, (image, label) in enumerate(zip(data.test.images[:40], data.test.labels[:40], strict=True)):
        if int(label) in (7, 3, 4):
            (own / "some" / str(int(label))).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(own / f"some/{int(label)}/{number}.png")
    found = told("whole --data images:some")
    assert (found["classes"], found["known_classes"], found["image_size"]) == (3, 10, 8)
    assert found["test_accuracy"] == pytest.approx(counted(own / "some", own / "whole"))


@pytest.mark.usefixtures("global_rng")
def test_a_run_of_arrays_does_not_take_other_data_for_its_own(own: Path, told, refused) -> None:
    data = tiny.digits()
    arrays = load_data(data.train_and_val().images, data.train_and_val().labels)
    tiny.fit(own / "arrays", V2, data=arrays, epochs=1)
    assert "arrays was trained on arrays, but its settings name digits; give --data" in refused("arrays")
    assert told("arrays --data digits")["matched_by"] == "name"  # of arrays too the classes are 0 to 9


# --- Names -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=4), unique=True, min_size=1, max_size=8), st.data())
def test_labels_keep_their_names(known: list[str], draw: st.DataObject) -> None:
    names = draw.draw(st.lists(st.sampled_from(known), unique=True, min_size=1))
    labels = torch.tensor(draw.draw(st.lists(st.integers(0, len(names) - 1), min_size=1)))
    images = torch.zeros(len(labels), 3, 4, 4, dtype=torch.uint8)
    there = Scored("images:x", WHOLE, Split(images, labels), tuple(names), (), ())
    found = matched(there, known, "run")
    assert [known[label] for label in found.split.labels] == [names[label] for label in labels]
    with pytest.raises(InputError, match="has classes that run does not have"):
        matched(there, [name + "x" * 9 for name in known], "run")


def test_a_name_that_differs_in_how_it_is_written_is_named() -> None:
    split = Split(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.tensor([0]))
    for name, known in (("e\u0301clair", "\u00e9clair"), ("polar_bear", "Polar bear"), ("CAT", "cat")):
        with pytest.raises(InputError, match="there"):
            matched(Scored("images:x", WHOLE, split, (name,), (), ()), [known, "other"], "run")


def test_folders_without_images_beside_the_classes_are_passed_over(own: Path, told) -> None:
    folder = shutil.copytree(Run.open("run").setup.data.removeprefix("images:"), own / "other")
    (folder / "weights").mkdir()
    (folder / "weights/notes.txt").write_text("mine")
    (folder / "ape/more.png").write_bytes((folder / "bee/0.png").read_bytes())
    assert told(f"run --data images:{folder}")["images"] == 31


@pytest.mark.usefixtures("global_rng")
def test_images_of_more_than_8_bits_are_scaled_as_those_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place, values in {"low": {"a": 200, "b": 900}, "other": {"a": 260, "b": 840}}.items():
        for name, value in values.items():
            (tmp_path / place / name).mkdir(parents=True)
            for number in range(12):
                grey = np.full((8, 8), value + number, np.uint16)
                Image.fromarray(grey).save(tmp_path / place / name / f"{number}.png")
    words = "--image-size 8 --channels 2 --cells 3 --no-auxiliary --epochs 1 --batch-size 8 --cutout 0 --out run"
    assert main(["train", "DARTS_V2", "--data", "low", *words.split()]) == 0
    _, known = load_trained("run")
    assert known.value_range is not None and known.value_range[0] >= 200 and known.value_range[1] <= 911
    low, high = known.value_range
    scored = load_other(Setup(data="images:other", image_size=8), normalised=True, value_range=known.value_range)
    expected = {round(255 * (value + number - low) / (high - low)) for value in (260, 840) for number in range(12)}
    assert {int(value) for value in scored.split.images.unique()} == {min(255, max(0, one)) for one in expected}
    assert main(["evaluate", "run", "--data", "other"]) == 0
    assert f"their values {low} to {high} become 0 to 255" in capsys.readouterr().out


def test_a_weight_file_alone_scales_images_of_more_than_8_bits_by_their_own_range(own: Path, told, capsys) -> None:
    for name, value in {"ape": 300, "bee": 500, "cow": 900}.items():
        (own / "deep" / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), value, np.uint16)).save(own / "deep" / name / "1.png")
    scored = load_other(Setup(data="images:deep", image_size=8), normalised=False)
    assert {int(value) for value in scored.split.images.unique()} == {0, 85, 255}
    assert scored.notes == (
        "3 images have more than 8 bits; their values 300 to 900 become 0 to 255 (their own range)",
    )
