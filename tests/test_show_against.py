"""dartboard show A --against B: the difference of two architectures in words, as an object, and as a picture."""

import json
from pathlib import Path

import pytest

from dartboard.analysis.edit_distance import compare, share
from dartboard.cli import main
from dartboard.formats import published, write
from dartboard.report.drawing import SUFFIXES
from dartboard.report.drawn_difference import draw_difference
from dartboard.spaces import darts
from synthetic_runs import write_search
from test_drawing import titles

ONE, OTHER = published()["DARTS_V1"].architecture, published()["DARTS_V2"].architecture


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_show_against_tells_the_distance_of_each_kind_of_cell(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "DARTS_V1", "--against", "DARTS_V2", "--no-counts")
    assert "against DARTS_V2" in text
    for kind in darts.CELLS:
        found = compare(darts.cell(ONE, kind), darts.cell(OTHER, kind))
        alike = f"{found.operations} of them only in the operation"
        line = f"{kind} cell: {found.inputs} of {found.of} inputs differ, {alike}"
        assert line in text
    alone = printed(capsys, "show", "DARTS_V1", "--no-counts")
    assert text.startswith(alone.rstrip())
    same = printed(capsys, "show", "DARTS_V1", "--against", "DARTS_V1", "--no-counts")
    assert "normal cell: the same" in same and "reduce cell: the same" in same


def test_show_against_has_the_same_numbers_as_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    alone = json.loads(printed(capsys, "show", "DARTS_V1", "--json"))
    found = json.loads(printed(capsys, "show", "DARTS_V1", "--against", "DARTS_V2", "--json"))
    against = found.pop("against")
    assert found == alone
    assert against["genotype"] == OTHER.to_json()
    assert against["share"] == share(ONE, OTHER)
    for kind in darts.CELLS:
        wanted = compare(darts.cell(ONE, kind), darts.cell(OTHER, kind))
        assert against[kind]["edits"] == wanted.edits
        assert against[kind]["edges"] + against[kind]["operations"] == against[kind]["inputs"] == wanted.inputs


def test_an_epoch_of_a_search_is_held_against_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_search(tmp_path / "found", epochs=4)
    text = printed(capsys, "show", "found/", "--epoch", "0", "--against", "found/", "--no-counts", "--image", "x.svg")
    assert "found, epoch 0" in text
    assert "against found" in text
    assert "found, epoch 0 → found" in (tmp_path / "x.svg").read_text()


def test_renumbered_nodes_are_no_difference_in_words_nor_in_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = darts.Cell(((("skip_connect", 0), ("skip_connect", 1)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))), (2, 3))
    other = darts.Cell((one.nodes[1], one.nodes[0]), (2, 3))
    for name, cell in (("one", one), ("other", other)):
        (tmp_path / f"{name}.txt").write_text(write(darts.architecture({"normal": cell, "reduce": cell}), "quark0"))
    picture = tmp_path / "difference.svg"
    names = (str(tmp_path / "one.txt"), "--against", str(tmp_path / "other.txt"))
    assert "normal cell: the same" in printed(capsys, "show", *names, "--no-counts", "--image", str(picture))
    assert "edge gone" not in picture.read_text()
    assert "edge new" not in picture.read_text()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_difference_is_drawn_in_the_format_that_the_suffix_names(tmp_path: Path, suffix: str) -> None:
    magic = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    path = draw_difference(ONE, OTHER, tmp_path / f"both{suffix}", title="V1 & V2")
    assert path.read_bytes().startswith(magic[suffix])


def test_the_drawn_difference_has_every_input_of_both_cells_once(tmp_path: Path) -> None:
    svg = draw_difference(ONE, OTHER, tmp_path / "both.svg").read_text().replace("&#45;", "-")
    pills = [title for title in titles(svg) if " to " in title and "->" not in title]
    for kind in darts.CELLS:
        found = compare(darts.cell(ONE, kind), darts.cell(OTHER, kind))
        counts = [sum(pill.startswith(f"{kind} {word} ") for pill in pills) for word in ("kept", "gone", "new")]
        assert counts == [found.of - found.inputs, found.inputs, found.inputs]
    for words in ("in both", "in the first alone", "in the second alone", "stroke-dasharray"):
        assert words in svg


def test_what_cannot_be_compared_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["--against", "DARTS_V3"], ["--against", str(tmp_path)], ["--against"]):
        assert main(["show", "DARTS_V1", "--no-counts", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
