"""Tables of accuracies: what a search sees, what its result shows, and what makes a table no table."""

import csv
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dartboard.errors import InputError
from dartboard.scoring.tables import LAYOUTS, Layout, read_table, read_truth, split_column
from dartboard.spaces import nasbench201

SMALL = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))  # 64 cells
COLUMNS = {"cifar10": ("cifar10-val", "cifar10-test"), "cifar100": ("cifar100-val", "cifar100-test")}
LAYOUT = Layout(SMALL, "arch", nasbench201.from_string, nasbench201.to_string, COLUMNS)
Rows = list[dict[str, Any]]


def rows() -> Rows:
    """A row a cell; accuracies that grow with the number of convolutions, and a column of no use."""
    made = []
    for number, cell in enumerate(SMALL.enumerate()):
        score = 10 + 10 * [value for _, value in cell.choices].count("nor_conv_3x3")
        values = {
            "cifar10-val": score,
            "cifar10-test": score + 5,
            "cifar100-val": score / 2,
            "cifar100-test": score / 3,
        }
        made.append({"index": number, "arch": nasbench201.to_string(cell), **values})
    return made


def written(path: Path, content: Rows) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(tmp_path / "accuracies.csv", rows())


def test_a_search_sees_one_column_and_its_result_shows_another(table: Path) -> None:
    found = read_table(table, LAYOUT)
    best = nasbench201.architecture(["nor_conv_3x3"] * 6)
    assert len(found.seen) == len(found.shown) == 64
    assert max(found.seen, key=found.seen.__getitem__) == best
    assert (found.seen[best], found.shown[best]) == (pytest.approx(0.70), pytest.approx(0.75))
    assert all(0 <= value <= 1 for value in (*found.seen.values(), *found.shown.values()))
    other = read_table(table, LAYOUT, "cifar100")
    assert (other.seen_column, other.shown_column) == ("cifar100-val", "cifar100-test")
    assert other.seen[best] == pytest.approx(0.35)


def test_the_table_says_what_it_holds(table: Path) -> None:
    assert read_table(table, LAYOUT).describe() == [
        "64 architectures of the space two operations",
        "cifar10-val, what the search sees: 10.00 to 70.00 %",
        "cifar10-test, what the result shows: 15.00 to 75.00 %",
        "the best by cifar10-val has 75.00 % by cifar10-test",
        "not used: index, cifar100-val, cifar100-test",
    ]


def test_the_order_of_rows_and_columns_blank_lines_and_a_byte_order_mark_mean_nothing(tmp_path: Path) -> None:
    content = rows()
    Random(0).shuffle(content)
    turned = [dict(reversed(row.items())) for row in content]
    path = written(tmp_path / "turned.csv", turned)
    path.write_text("\ufeff" + path.read_text().replace("\n", "\n\n", 5))
    straight = read_table(written(tmp_path / "straight.csv", rows()), LAYOUT)
    found = read_table(path, LAYOUT)
    assert (found.seen, found.shown) == (straight.seen, straight.shown)


def changed(number: int, **values: Any) -> Rows:
    content = rows()
    content[number] |= {name.replace("_", "-"): value for name, value in values.items()}
    return content


def without(name: str) -> Rows:
    return [{key: value for key, value in row.items() if key != name} for row in rows()]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (rows()[:-1], r"lacks 1 of the 64 architectures, such as \|nor_conv_3x3~0\|.*; give the complete table"),
        ([*rows(), rows()[3]], "line 66 repeats the architecture of line 5"),
        (changed(7, arch="|none~0|"), "line 9: '|none~0|' has 1 node"),
        (changed(7, arch="|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|"), "line 9: .* is not in the space"),
        (changed(7, cifar10_val="100.01"), "line 9, cifar10-val is '100.01'; give an accuracy in percent"),
        (changed(7, cifar10_val=-1), "line 9, cifar10-val is '-1'"),
        (changed(7, cifar10_test="nan"), "line 9, cifar10-test is 'nan'"),
        (changed(7, cifar10_test="9_1"), "line 9, cifar10-test is '9_1'"),
        (changed(7, cifar10_test=""), "line 9, cifar10-test is ''"),
        (changed(7, cifar10_test="high"), "line 9, cifar10-test is 'high'"),
        (without("cifar10-test"), "has no column 'cifar10-test', it has index, arch"),
        (without("arch"), "has no column 'arch'"),
        ([{**row, "cifar10-val": row["cifar10-val"] / 100} for row in rows()], "no accuracy in cifar10-val is above 1"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_table_is_said_in_one_line(content: Rows, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "wrong.csv", content)
    with pytest.raises(InputError, match=words.replace("'|none~0|'", r"'\|none~0\|'")) as caught:
        read_table(path, LAYOUT)
    assert "wrong.csv" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no column 'arch', it is empty"),
        (b"\n\n", "no column 'arch', it is empty"),
        (b"\xff\xfe\x00", "not text"),
        (b"arch,cifar10-val,cifar10-test\n", "lacks 64 of the 64"),
        (b"arch,cifar10-val,cifar10-test\n1,2\n", "line 2 has 2 fields, the first line 3"),
        (b"arch,arch,cifar10-val,cifar10-test\n", "has the column 'arch' twice"),
        (b'arch,cifar10-val,cifar10-test\n"|none', "is not CSV"),
        (b"arch," + b"x" * 200_000, "is not CSV"),
        (b"PK\x03\x04" + bytes(range(256)), "not text"),
    ],
)
def test_a_file_that_is_no_table_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        read_table(path, LAYOUT)
    assert len(str(caught.value).splitlines()) == 1


def test_the_word_of_truth_names_a_file_and_a_column(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYOUTS, "nasbench201", LAYOUT)
    assert read_truth(f"{table}:cifar100", "nasbench201").seen_column == "cifar100-val"
    assert read_truth(str(table), "nasbench201").shown_column == "cifar10-test"
    with pytest.raises(InputError, match="unknown column 'cifar1'; did you mean 'cifar10'"):
        read_truth(f"{table}:cifar1", "nasbench201")
    with pytest.raises(InputError, match="there is no file"):
        read_truth(f"{table}.gone", "nasbench201")
    with pytest.raises(InputError, match="is a folder"):
        read_truth(str(table.parent), "nasbench201")
    with pytest.raises(InputError, match="no layout of tables for the space darts"):
        read_truth(str(table), "darts")


def test_a_file_that_is_there_wins_over_a_column_of_its_name(tmp_path: Path) -> None:
    named = tmp_path / "a:cifar10"
    assert split_column(str(named)) == (str(tmp_path / "a"), "cifar10")
    named.write_text("")
    assert split_column(str(named)) == (str(named), None)
    assert split_column("c:/tables/a.csv") == ("c:/tables/a.csv", None)


@pytest.mark.parametrize("column", ["cifar10", "cifar100", "imagenet16-120"])
def test_the_table_of_the_benchmark_holds_every_cell(column: str, reference: Path) -> None:
    path = reference / "data" / "nasbench201" / "accuracies.csv"
    if not path.is_file():
        pytest.skip("no table of NAS-Bench-201")
    found = read_truth(f"{path}:{column}", "nasbench201")
    assert len(found.seen) == 15_625
    assert (found.seen_column, found.shown_column) == (f"{column}-val", f"{column}-test")
    best = {"cifar10": 0.8916, "cifar100": 0.6118, "imagenet16-120": 0.38267}[column]
    assert max(found.shown.values()) == pytest.approx(best)
