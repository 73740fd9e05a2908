"""Tables as CSV and LaTeX: what is written is what is read again, and no text can become a command."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dartboard.report.sheets import Column, Sheet, as_csv, as_html, as_latex, escaped

TEXT = st.text(max_size=12)
COMMANDS = (
    *("textbackslash", "textasciicircum", "textasciitilde", "textasciigrave", "textless", "textgreater", "textbar"),
    *("ldots", "ss", "ae", "AE", "o", "O", "oe", "OE", "l", "L", "i"),
)
MATHS = {"$-$", "$\\pm$", "$\\times$", "$\\leq$", "$\\geq$", "$\\cdot$", "$\\mu$", "$\\to$"}
# Everything that may stand in a cell: a group of one bracket or mark, a command, an accent, a symbol, plain letters.
WORD = re.compile(
    r"\{[\[\]*-]\}"
    rf"|\\(?:{'|'.join(COMMANDS)})\{{\}}"
    r"|\\[`'^~\"=.rcvuH]\{[A-Za-z]\}"
    r"|\\[{}$&#%_]"
    r"|\$(?:-|\\[a-z]+)\$"
    r"|[A-Za-z0-9 !'()+,./:;=?@`-]"
)
HOSTILE = ["\\input{x}", "100 % & $5_0^2 #1 ~", "a--b", "[2em]", "*", "{", "}", "é ž ő ç Å ß", "中 Đ 🙂", "\n\t% x", ""]
HOSTILE += ["`'\"<|>", "\0\x7f", "−1 ± 2 × 3 … “x”", "\\\\[1cm]", "^^M"]


def sheet(*rows: tuple[object, ...]) -> Sheet:
    columns = (Column("name", "name"), Column("share", "share_accuracy", lambda value: f"{100 * value:.1f} %"),
               Column("", "only_csv_s"), Column("shown", "", str))  # fmt: skip
    return Sheet("A caption: 100 % of\nit", columns, rows)


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_escaped_text_is_made_of_nothing_but_what_plain_latex_sets(text: str) -> None:
    assert WORD.sub("", escaped(text)) == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_made_of_nothing_but_what_plain_latex_sets(text: str) -> None:
    assert WORD.sub("", escaped(text)) == ""
    assert set(re.findall(r"\$[^$]*\$", escaped(text).replace("\\$", ""))) <= MATHS


def test_letters_and_marks_of_latex_are_escaped_one_by_one() -> None:
    assert escaped("lr_0 = 5 % & {x}") == "lr\\_0 = 5 \\% \\& \\{x\\}"
    assert escaped("\\a") == "\\textbackslash{}a" and escaped("é – −1 ± 2") == "\\'{e} -- $-$1 $\\pm$ 2"
    assert escaped("中") == "U+4E2D" and escaped("a\nb") == "a b" and escaped("--out") == "{-}{-}out"


def test_a_tabular_has_a_line_for_each_row_with_as_many_cells_as_columns() -> None:
    lines = as_latex(sheet(("a & b", 0.5, 1, "x"), ("[c]", None, 2, "y"))).splitlines()
    assert lines[0].startswith("% A caption: 100 \\% of it")
    assert lines[1] == "\\begin{tabular}{lrl}" and lines[-1] == "\\end{tabular}"
    assert lines[3] == "name & share & shown \\\\"
    assert lines[5:7] == ["a \\& b & 50.0 \\% & x \\\\", "{[}c{]} & -- & y \\\\"]
    assert [line for line in lines if line == "\\hline"] == ["\\hline"] * 3


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_a_tabular_of_hostile_text_compiles(tmp_path: Path) -> None:
    (tmp_path / "table.tex").write_text(as_latex(sheet(*((text, 0.5, 1, text) for text in HOSTILE))))
    (tmp_path / "paper.tex").write_text("\\documentclass{article}\\begin{document}\\input{table.tex}\\end{document}")
    subprocess.run(["pdflatex", "-halt-on-error", "paper.tex"], cwd=tmp_path, check=True, capture_output=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT.filter(lambda text: "\0" not in text), st.floats(0, 1)), max_size=4))
def test_what_a_csv_says_is_read_again_by_the_standard_reader(rows: list[tuple[str, float]]) -> None:
    raw = as_csv(sheet(*((text, value, None, "x") for text, value in rows)))
    head, *found = csv.reader(io.StringIO(raw, newline=""), strict=True)
    assert head == ["name", "share_accuracy", "only_csv_s"] and raw.endswith("\r\n")
    assert [(text, float(value), last) for text, value, last in found] == [(text, value, "") for text, value in rows]


def test_a_table_of_the_page_has_the_columns_with_a_head() -> None:
    page = as_html(sheet(("<a>", None, 1, "x")))
    assert "&lt;a&gt;" in page and "–" in page and "only_csv_s" not in page and page.count("<th ") == 4
