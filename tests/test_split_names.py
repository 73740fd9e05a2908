"""The words by which people call the folders of their splits, and folders that are no data set as they lie."""

import io
import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from dartboard.cli import main
from dartboard.commands import dryrun, work
from dartboard.data import load_data
from dartboard.data.contents import in_lines
from dartboard.data.folders import list_splits, split_folders
from dartboard.data.split_names import WORDS, split_name
from dartboard.errors import InputError

NAMES = {
    "train": "train",
    "Training": "train",
    "TRAIN": "train",
    "train_set": "train",
    "trainSet": "train",
    "TrainImages": "train",
    "seg_train": "train",
    "mnist-train-images": "train",
    "train 2017": "train",
    "train2017": "train",
    "trainval": "train",
    "TrainVal": "train",
    "train_val": "train",
    "tr": "train",
    "validation": "val",
    "Valid": "val",
    "dev": "val",
    "dev-set": "val",
    "val.images": "val",
    "Testing": "test",
    "testing_data": "test",
    "02_test": "test",
    "eval": "test",
    "Evaluation": "test",
    "te": "test",
    "contest": None,
    "latest": None,
    "trainer": None,
    "strain": None,
    "invalid": None,
    "medieval": None,
    "teapot": None,
    "train_test": None,
    "cat": None,
    "": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_the_split_of_the_word_in_it(name):
    found = split_name(name)
    assert (found and found.split) == NAMES[name]


def tree(root, *files):
    """Small images at these paths; a path that ends in .txt is a text."""
    for number, file in enumerate(files):
        path = Path(root) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("some words")
        else:
            Image.frombytes("RGB", (5, 5), bytes((7 * number + 3 * at) % 256 for at in range(75))).save(path, "PNG")
    return Path(root)


def classes(*folders, names=("a", "b", "c"), count=2):
    """Paths of images: `count` of each class in each folder."""
    return [f"{folder}/{name}/{number}.png" for folder in folders for name in names for number in range(count)]


LAYOUTS = [  # folders with the classes a, b, c in them -> the split of each
    ({"Training": "train", "Testing": "test"}, ()),
    ({"training": "train", "testing": "test"}, ()),
    ({"train_set": "train", "test_set": "test"}, ()),
    ({"seg_train": "train", "seg_test": "test"}, ()),
    ({"train_images": "train", "test_images": "test"}, ()),
    ({"train": "train", "dev": "val"}, ()),
    ({"train": "train", "testing": "test"}, ()),
    ({"train": "train", "eval": "test"}, ()),
    ({"training": "train", "val": "val"}, ()),
    ({"trainval": "train", "test": "test"}, ()),
    ({"TRAIN": "train", "VALID": "val", "TEST": "test"}, ()),
    ({"train2017": "train", "val2017": "val"}, ()),
    ({"imagenet-train": "train", "imagenet-validation": "val"}, ()),
    ({"Dogs Train": "train", "Dogs Dev": "val", "Dogs Test": "test"}, ()),
    ({"train_set": "train"}, ()),
    ({"Testing": "test"}, classes(".")),  # beside the class folders
    ({"dev": "val", "test_images": "test"}, classes(".")),
    ({"train": "train", "test": "test"}, ["weights/notes.txt", "readme.txt", "@eaDir/x/1.png", ".cache/y/2.png"]),
]


@pytest.mark.parametrize(("folders", "more"), LAYOUTS)
def test_folders_called_as_splits_are_splits_and_not_classes(tmp_path, folders, more):
    tree(tmp_path, *classes(*folders), *more)
    found = split_folders(tmp_path)
    assert {path.name: split for split, path in found.items()} == folders
    names, listings = list_splits(tmp_path)
    assert names == ("a", "b", "c") and set(listings) == {"train", *folders.values()}
    for split, folder in found.items():
        assert (
            all(Path(file).is_relative_to(folder) for file in listings[split].files) and len(listings[split].files) == 6
        )


CLASSES = [  # what is learnt as classes, as ever
    ["bus/1.png", "train/1.png"],
    ["test_tube/1.png", "beaker/1.png"],
    ["training_shoes/1.png", "test_tube/1.png"],
    ["training_shoes/x/1.png", "test_tube/y/1.png", "cup/z/1.png"],
    ["testing/x/1.png", "resting/y/1.png"],
    ["training/x/1.png", "running/y/1.png", "jumping/1.png"],
    ["valid/1.png", "invalid/1.png"],
    ["cat/images/1.png", "dog/images/1.png"],
    ["cat/2020/1.png", "cat/2021/1.png", "dog/2020/1.png"],
    ["bus/1.png", "train/1.png", "val/bus/2.png", "val/train/2.png"],
    ["contest/a/1.png", "contest/b/1.png", "latest/c/1.png"],
]


@pytest.mark.parametrize("files", CLASSES)
def test_classes_whose_names_only_sound_like_splits_stay_classes(tmp_path, files):
    names, _ = list_splits(tree(tmp_path, *files))
    assert names == tuple(sorted({file.split("/")[0] for file in files} - {"val"}))


REFUSED = [  # (files, what the line says)
    (
        classes("fold1", "fold2"),
        "fold1, fold2 in ROOT all hold the same folders (a, b, c), so they are parts of one data",
    ),
    (classes("fold1", "fold2"), "give one of them, such as images:ROOT/fold1, or join them"),
    (
        classes("1", "2", "3", "4") + classes("5", names=("a", "b")),
        "1, 2, 3, ... in ROOT all hold the same folders (a, b)",
    ),
    (classes("train/f1", "train/f2"), "f1, f2 in ROOT/train all hold the same folders"),
    (
        classes("cat", "dog", names=("train", "test")),
        "put the splits outside and the classes inside, such as ROOT/test/cat",
    ),
    ([*classes("train"), "test/1.png"], "ROOT/test holds images and no class folders, so their classes are unknown"),
    ([*classes("train"), "test/1.png"], "or move test out of ROOT (a fifth of each class is then set aside as test)"),
    ([*classes("train_set"), "test_set/1.png"], "ROOT/test_set holds images and no class folders"),
    ([*classes("train"), "val/1.png"], "or move val out of ROOT (val is then taken from the training images)"),
    (
        [*classes("train"), "test/images/1.png"],
        "ROOT/test holds images and no folder of the classes of train (a, b, c)",
    ),
    (["train/1.png", "test/1.png"], "ROOT/test holds images and no class folders"),
    (["mnist_train/1.png", "mnist_test/1.png"], "sort them into one folder for each class"),
    (["train/1.png"], "ROOT/train holds images and no class folders"),
    ([*classes("train"), "plots/1.png"], "ROOT has train and next to it plots, which also holds images"),
    ([*classes("train", "Testing"), "plots/1.png"], "move it into train; otherwise move it out of ROOT"),
    (
        classes("train", "seg_test"),
        "next to it seg_test, which also holds images; if it is its test split, rename it test",
    ),
    (
        classes("train", "holdout"),
        "next to it holdout, which also holds images, in folders of the same names; if it is val or test, rename it so",
    ),
    (classes("test"), "ROOT has test and no train; put train next to it, or learn from one of its folders"),
    (classes("validation", "test"), "has test, validation and no train; put train next to it"),
    (classes("photos"), "has only one folder, photos; give images:ROOT/photos"),
    (classes("photos/train", "photos/test"), "has only one folder, photos; give images:ROOT/photos"),
    (classes("one/two/three/train"), "give images:ROOT/one/two/three"),
    ([*classes("photos"), "weights/x.txt"], "give images:ROOT/photos"),
    (classes("train/images"), "ROOT/train has only one folder, images; move the folders in ROOT/train/images up into"),
    (classes("train", "training"), "has both train and training; keep one"),
    (classes("train", "trainval", "test"), "has both train and trainval; keep one"),
    (classes("val", "dev", "train"), "has both dev and val; keep one"),
    (["1.png", "2.png"], "has no class folders; it needs one folder for each of two or more classes; the images in it"),
    (
        ["cat/1.txt", "dog/1.txt"],
        "none of its files is an image (JPEG, PNG, WebP, BMP, TIFF, GIF, PPM or JPEG 2000): 2 .txt",
    ),
    (["cat/1.png", "dog/1.txt"], "has only one class folder, cat"),
    ([], "has no class folders; it needs one folder for each of two or more classes"),
]


@pytest.mark.parametrize(("files", "words"), REFUSED)
def test_a_folder_that_is_no_data_set_is_refused_with_what_to_do(tmp_path, files, words):
    with pytest.raises(InputError) as caught:
        list_splits(tree(tmp_path, *files))
    said = str(caught.value)
    assert words.replace("ROOT", str(tmp_path)) in said
    assert "\n" not in said and len(said) < 700


TRAIN = st.sampled_from(WORDS["train"])
OTHER = st.sampled_from([(word, split) for split, words in WORDS.items() for word in words])
CASING = st.sampled_from([str.lower, str.upper, str.title])
AROUND = st.sampled_from(
    ["{}", "{}_set", "seg_{}", "{} images", "{}.2017", "my-{}-data", "Dogs {}", "{}_cats_and_dogs"]
)


@given(TRAIN, OTHER, CASING, AROUND, st.booleans())
def test_any_word_for_train_beside_any_for_another_split_makes_splits(
    tmp_path_factory, train, other, casing, around, more
):
    assume(train != other[0])
    root = tmp_path_factory.mktemp("layout")
    folders = {around.format(casing(word)): split for word, split in ((train, "train"), other)}
    tree(root, *classes(*folders, count=1), *(["cat/1.png"] if more else []))
    splits = set(folders.values())
    if more or len(splits) < len(folders):
        with pytest.raises(InputError, match=r"next to it cat|keep one"):
            list_splits(root)
        return
    names, listings = list_splits(root)
    assert names == ("a", "b", "c") and set(listings) == splits
    for folder, split in folders.items():
        assert {Path(file).relative_to(root).parts[0] for file in listings[split].files} == {folder}


@given(st.lists(st.text("abtestrainvld_- .0123", min_size=1, max_size=8), min_size=2, max_size=6, unique_by=str.lower))
def test_folders_with_images_right_in_them_are_classes_whatever_they_are_called(tmp_path_factory, names):
    names = sorted({name.strip(" .") for name in names} - {""})
    names = [name for name in names if not name.startswith(("__", "."))]
    root = tree(tmp_path_factory.mktemp("flat"), *(f"{name}/1.png" for name in names))
    try:
        found, _ = list_splits(root)
    except InputError as error:
        meant = [split_name(name) for name in names]
        assert len(names) < 2 or all(meant), error
        return
    assert found == tuple(names)


def test_train_and_dev_give_their_own_images_and_a_note(tmp_path):
    tree(tmp_path, *classes("Training", count=5), *classes("Dev", count=2))
    data = load_data(f"images:{tmp_path}", image_size=8)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 6, 3)
    assert data.notes == ("by their names, Training is train, Dev is val",)


SMALL = ["--image-size", "8", "--channels", "2", "--cells", "3", "--batch-size", "4", "--epochs", "1"]


@pytest.mark.usefixtures("global_rng")
def test_every_run_on_a_folder_begins_with_its_classes_and_counts(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree("photos", *classes("training", count=6), *classes("testing", count=2))
    line = f"images:{tmp_path}/photos: 3 classes (a, b, c); train 9, val 9, test 6 images; of each class: "
    note = "note: by their names, training is train, testing is test\n"
    start = f"{line}train 3, val 3, test 2\n{note}"
    assert (
        main(["train", "DARTS_V1", "--data", "./photos", *SMALL, "--no-auxiliary", "--budget", "1steps", "--out", "t"])
        == 0
    )
    assert capsys.readouterr().out.startswith(start)
    assert main(["search", "darts", "--data", "photos", *SMALL, "--budget", "1steps", "--out", "s"]) == 0
    assert capsys.readouterr().out.startswith(start)
    assert main(["resume", "s", "--budget", "1steps"]) == 0
    assert capsys.readouterr().out.startswith(start)
    monkeypatch.setattr(dryrun, "estimate", lambda job, seeds: None)
    assert main(["train", "DARTS_V1", "--data", "photos/", *SMALL, "--no-auxiliary", "--dry-run"]) == 0
    assert start in capsys.readouterr().out
    assert main(["train", "DARTS_V1", "--data", "photos/", *SMALL, "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "classes" not in printed and f'data = "images:{tmp_path}/photos"' in printed


def test_many_classes_are_told_in_one_short_line(tmp_path):
    names = [f"n{number:05}" for number in range(40)]
    tree(tmp_path, *(f"{name}/{at}.png" for name in names for at in range(5 if name < "n00020" else 10)))
    line = in_lines(load_data(f"images:{tmp_path}", image_size=4))[0]
    assert "40 classes (n00000, n00001, n00002, n00003, n00004, n00005, ..., n00038, n00039); train " in line
    assert re.search(r"of each class: train 2 to 4, val 2 to 4, test 1 to 2$", line) and len(line) < 350


def test_class_names_that_a_terminal_or_a_file_cannot_hold(tmp_path, monkeypatch):
    tree(tmp_path, *(f"{name}/{number}.png" for name in ("café", "b\nc") for number in range(5)))
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    work.announce(load_data(str(tmp_path), image_size=8))
    assert b"2 classes ('b\\nc', caf\\xe9)" in out.buffer.getvalue()
    monkeypatch.undo()
    os.makedirs(os.fsencode(tmp_path) + b"/bad\xe9")
    shutil.copy(tmp_path / "café" / "1.png", os.fsencode(tmp_path) + b"/bad\xe9/1.png")
    assert list_splits(tmp_path)[0] == ("b\nc", "bad\udce9", "café")


def test_a_study_of_two_folders_begins_with_what_is_in_both(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dartboard.commands.estimate.print_estimate", lambda *_: None)
    for name in ("one", "two"):
        tree(name, *classes("Train", "Test", count=8, names=(name, "other")))
    assert (
        main(
            [
                "transfer",
                "--a",
                "./one",
                "--b",
                "two",
                "--image-size",
                "8",
                "--batch-size",
                "2",
                "--train-batch-size",
                "2",
                "--dry-run",
            ]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("; ")[0] for line in lines if "classes" in line] == [
        f"images:{tmp_path}/one: 2 classes (one, other)",
        f"images:{tmp_path}/two: 2 classes (other, two)",
    ]
