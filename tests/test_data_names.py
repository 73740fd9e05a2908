"""Names and presets of data sets answer without torch."""

import subprocess
import sys
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dartboard.data
from dartboard import train
from dartboard.data import NAMES, check_name, names
from dartboard.errors import InputError, unknown
from dartboard.methods import METHODS
from dartboard.training import presets


def test_names_presets_and_missing_files_are_told_without_torch_or_numpy(tmp_path):
    code = f"""
import sys
from dartboard.data import NAMES, check_name
from dartboard.data.layouts import check_files
from dartboard.training.presets import PRESETS
from dartboard.errors import InputError
for call in (lambda: check_name("cifar"), lambda: check_files("cifar10", {str(tmp_path)!r}, False)):
    try:
        call()
    except InputError as error:
        print(error)
print(sorted(set(sys.modules) & {{"torch", "numpy", "PIL"}}))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[0].startswith("unknown data set 'cifar'; did you mean 'cifar10'?")
    assert out[1].startswith("no cifar10 files in") and out[2] == "[]"


@pytest.mark.parametrize(
    ("given", "near"),
    [("digit", "digits"), ("CIFAR-10", "cifar10"), ("cifar1000", "cifar100"), ("image:x", "images:DIR")],
)
def test_an_unknown_name_names_the_nearest(given, near):
    with pytest.raises(InputError, match=f"did you mean '{near}'"):
        check_name(given)


def test_known_names_are_told_apart(tmp_path):
    assert check_name("digits") == ("digits", "") and check_name("cifar100") == ("cifar100", "")
    assert check_name(f"images:{tmp_path}") == ("images", str(tmp_path))


@pytest.mark.parametrize("written", ["./photos", "photos/", "photos", "{}/photos", "~/photos", "../{here}/photos"])
def test_a_path_or_the_name_of_a_folder_means_that_folder(tmp_path, monkeypatch, written):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    source = written.format(tmp_path, here=tmp_path.name)
    assert check_name(source) == ("images", source)
    assert names.anchored(source) == names.anchored(f"images:{source}") == f"images:{tmp_path}/photos"


def test_dots_mean_folders_and_the_run_is_named_after_them(tmp_path, monkeypatch):
    (tmp_path / "photos" / "more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "photos" / "more")
    assert (
        names.anchored("..") == f"images:{tmp_path}/photos" and names.anchored(".") == f"images:{tmp_path}/photos/more"
    )


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert check_name("digits") == ("digits", "") and names.anchored("digits") == "digits"
    assert check_name("./digits") == ("images", "./digits")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("./nowhere", "'./nowhere' is not a folder"),
        ("nowhere/", "is not a folder"),
        ("~nobody-of-this-name/photos", "there is no home folder for ~nobody-of-this-name"),
        ("photos.zip", "'photos.zip' is a file; unpack it if it is an archive"),
        ("images:photos.zip", "'photos.zip' is a file"),
        ("\0/x", "is not a folder"),
        ("x/" * 3000, "is not a folder"),
        ("phtos", "the nearest of the known: "),
    ],
)
def test_what_is_no_folder_is_refused(tmp_path, monkeypatch, source, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(InputError) as caught:
        check_name(source)
    assert words in str(caught.value) and len(str(caught.value)) < 400


def test_a_folder_is_data_by_its_path_from_python_too(tmp_path, monkeypatch):
    from PIL import Image

    from dartboard.data import load_data

    monkeypatch.chdir(tmp_path)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (8, 8), 40 * number).save(tmp_path / "photos" / label / f"{number}.png")
    assert load_data("./photos").fingerprint == load_data("images:photos").fingerprint


@pytest.mark.parametrize(
    ("name", "ranked"),
    [
        ("digts", "did you mean 'digits'? or digits-rotated, digits-inverted, "),
        ("cifar", "did you mean 'cifar10'? or cifar100, "),
        ("CIFAR100", "did you mean 'cifar100'? or cifar10, "),
        ("mnist", "the nearest of the known: "),
    ],
)
def test_an_unknown_name_names_the_five_nearest_the_nearest_first(name, ranked):
    said = str(unknown("data set", name, NAMES))
    assert said.startswith(f"unknown data set {name!r}; {ranked}")
    named = said.partition("; ")[2].replace("did you mean ", "").replace("the nearest of the known: ", "")
    found = [word.strip("' ") for word in named.replace("? or", ",").split(",")]
    assert len(set(found)) == len(found) == 5 and set(found) <= set(NAMES)


@given(st.text(max_size=30), st.lists(st.text("abcXYZ-_1", min_size=1, max_size=12), max_size=12, unique=True))
def test_unknown_names_of_any_kind_get_at_most_five_and_all_that_there_are(name, known):
    said = str(unknown("thing", name, known))
    assert "\n" not in said
    named = [word for word in known if word in said.partition("; ")[2]]
    assert len(named) >= min(5, len(known))


def test_every_name_has_a_preset_of_its_own():
    kinds = {name.partition(":")[0] for name in NAMES}
    owners = [import_module(f"dartboard.methods.{name}") for name in METHODS]
    assert all(set(owner.PRESETS) == kinds for owner in (*owners, presets))


def test_every_preset_is_a_config_that_its_own_checks_accept():
    owners = [import_module(f"dartboard.methods.{name}") for name in METHODS]
    for config, table in (*((owner.Config, owner.PRESETS) for owner in owners), (train.Config, presets.PRESETS)):
        for values in table.values():
            assert all(getattr(config(**values), field) == value for field, value in values.items())


def test_every_name_tells_its_source_in_one_line():
    assert all("\n" not in text and len(text) < 120 for text in NAMES.values())
    assert "CC BY 4.0" in NAMES["digits"]


def test_the_package_gives_its_public_names_and_no_others():
    for name in dartboard.data.__all__:
        assert getattr(dartboard.data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dartboard.data.nothing
