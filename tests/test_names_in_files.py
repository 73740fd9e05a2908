"""FILE:NAME: what a file's genotypes are called, and the line that answers a name that is not among them."""

from pathlib import Path

import pytest

from dartboard import formats
from dartboard.errors import InputError
from dartboard.formats.files import resolve
from dartboard.spaces.catalogue import published

CELL = formats.write(published()["DARTS_V2"].architecture, "quark0")
RECURRENT = "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=range(1, 9))"
NAMES = [f"CELL_{number}" for number in range(9)]


def refusal(path: Path, name: str) -> str:
    with pytest.raises(InputError) as caught:
        resolve(f"{path}:{name}" if name else path)
    return str(caught.value)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_an_unknown_name_is_answered_with_every_name_that_would_do_aliases_too(tmp_path: Path) -> None:
    cells = [f"{name} = {CELL}" for name in NAMES]
    path = write(tmp_path / "genotypes.py", *cells, "BEST = LATEST  # by far", "LATEST = CELL_4", "other = epochs")
    said = refusal(path, "NOTHING_LIKE_IT")
    assert all(f" {name}" in said for name in [*NAMES, "BEST", "LATEST"]) and "other" not in said
    for name in [*NAMES, "BEST", "LATEST"]:
        assert resolve(f"{path}:{name}")[2] == name
    assert "did you mean 'BEST'?" in refusal(path, "BETS")


def test_a_recurrent_genotype_is_named_as_such_and_not_advised(tmp_path: Path) -> None:
    path = write(tmp_path / "mixed.py", f"V1 = {CELL}", f"V1_RNN = {RECURRENT}", "RNN = V1_RNN")
    said = refusal(path, "V1_RNM")
    assert "did you mean 'V1'?" in said and "the names here: V1;" in said
    assert said.endswith("recurrent cells, which are not supported yet: V1_RNN, RNN")
    assert refusal(path, "").endswith(f"V1, V1_RNN (recurrent); choose with FILE:NAME, such as {path}:V1")
    assert "recurrent cells are not supported yet" in refusal(path, "RNN")
    only = write(tmp_path / "only.py", f"A = {RECURRENT}", "B = Genotype([('tanh', 0)], range(1, 9))")
    assert "there is no other cell here; recurrent cells, which are not supported yet: A, B" in refusal(only, "C")


def test_more_names_than_a_line_holds_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "many.py", *(f"A_NAME_OF_SOME_LENGTH_{number} = {CELL}" for number in range(60)))
    said = refusal(path, "Z")
    assert " and 45 more" in said and len(said) < 700
