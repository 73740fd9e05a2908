"""Names and presets of data sets answer without torch."""

import subprocess
import sys

import pytest

import dartboard.data
from dartboard.data import NAMES, check_name, presets
from dartboard.errors import InputError


def test_names_presets_and_missing_files_are_told_without_torch_or_numpy(tmp_path):
    code = f"""
import sys
from dartboard.data import NAMES, check_name
from dartboard.data.layouts import check_files
from dartboard.data.presets import SEARCH, TRAIN
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


def test_every_name_has_a_preset_of_its_own():
    kinds = {name.partition(":")[0] for name in NAMES}
    assert set(presets.SEARCH) == kinds and set(presets.TRAIN) == kinds


def test_every_preset_is_a_config_that_its_own_checks_accept():
    from dartboard import train
    from dartboard.methods import darts

    for values in presets.SEARCH.values():
        assert all(getattr(darts.Config(**values), field) == value for field, value in values.items())
    for values in presets.TRAIN.values():
        assert all(getattr(train.Config(**values), field) == value for field, value in values.items())


def test_every_name_tells_its_source_in_one_line():
    assert all("\n" not in text and len(text) < 120 for text in NAMES.values())
    assert "CC BY 4.0" in NAMES["digits"]


def test_the_package_gives_its_public_names_and_no_others():
    for name in dartboard.data.__all__:
        assert getattr(dartboard.data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dartboard.data.nothing
