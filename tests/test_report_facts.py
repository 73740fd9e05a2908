"""What the report reads from a run folder, and how it counts."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.report.facts import Epoch, read_facts, softmax
from dartboard.report.measures import difference, entropy_bits, last_change, num_skips, spread
from dartboard.spaces import darts
from synthetic_runs import search_lines, write_search, write_training


def test_a_search_is_read_from_its_four_files(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=3, seed=7)
    lines = search_lines(3, 7, 0.0, True, 10)
    facts = read_facts(folder)
    assert (facts.command, facts.method, facts.done, len(facts.epochs), len(facts.history)) == (
        "search",
        "darts",
        True,
        3,
        4,
    )
    assert facts.number("val_accuracy") == lines[-1]["val_accuracy"]
    assert [epoch.get("lr") for epoch in facts.epochs] == [line["lr"] for line in lines if line["event"] == "epoch"]
    assert facts.epochs[1].weights["reduce"][5] == softmax(lines[22]["alpha_reduce"][5])
    assert facts.architecture == facts.epochs[-1].architecture
    assert facts.operations == darts.OPERATIONS
    assert (facts.data["test"], facts.unreadable) == (359, 0)


def test_a_torn_last_line_is_left_out_and_other_torn_lines_are_counted(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=3, finished=False)
    metrics = folder / "metrics.jsonl"
    whole = metrics.read_bytes()
    metrics.write_bytes(whole[:-30])
    assert (len(read_facts(folder).epochs), read_facts(folder).unreadable) == (2, 0)
    lines = whole.split(b"\n")
    metrics.write_bytes(b"\n".join([b'{"event": "ep', b"[1]", *lines]))
    assert (len(read_facts(folder).epochs), read_facts(folder).unreadable) == (3, 2)


def test_an_epoch_written_twice_counts_once_and_the_later_line_holds(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "run", epochs=2, finished=False)
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps({"event": "epoch", "epoch": 1, "step": 20, "test_accuracy": 0.125}) + "\n")
    facts = read_facts(folder)
    assert [epoch.epoch for epoch in facts.epochs] == [0, 1]
    assert facts.number("test_accuracy") == 0.125


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.toml", b"= no toml", "TOML"),
        ("config.toml", b"\xff\xfe", "TOML"),
        ("environment.json", b"{", "JSON"),
        ("metrics.jsonl", b'{"event": "epoch", "epoch": 0, "alpha_normal": "no"}\n', "alpha_normal"),
        ("metrics.jsonl", b'{"event": "epoch", "epoch": 0, "alpha_normal": [[1, "x"]]}\n', "alpha_normal"),
    ],
)
def test_damaged_files_are_named_in_one_line(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    folder = write_search(tmp_path / "run", epochs=1)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=told) as error:
        read_facts(folder)
    assert "\n" not in str(error.value)


def test_a_missing_folder_and_a_folder_that_is_no_run_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        read_facts(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a run folder"):
        read_facts(tmp_path)


def test_entropy_is_three_bits_for_eight_equal_weights_and_none_for_one() -> None:
    assert entropy_bits((softmax([0.5] * 8),)) == pytest.approx(3)
    assert entropy_bits((softmax([1000.0] + [0.0] * 7),)) == 0
    assert math.isnan(entropy_bits((softmax([math.nan] + [0.0] * 7),)))


def test_the_spread_uses_n_minus_one_and_one_value_has_none() -> None:
    assert spread([None]) is None
    one = spread([0.5])
    assert one is not None
    assert one.std is None
    three = spread([0.1, 0.2, None, 0.6])
    assert three is not None
    assert (three.n, three.mean, three.minimum, three.maximum) == (3, pytest.approx(0.3), 0.1, 0.6)
    assert three.std == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))


def test_the_last_change_is_the_first_epoch_of_the_final_cell() -> None:
    first, second = published()["DARTS_V1"].architecture, published()["DARTS_V2"].architecture
    cells = {"normal": darts.cell(first, "normal"), "reduce": darts.cell(second, "reduce")}
    mixed = darts.architecture(cells)
    history = [Epoch(number, 0, architecture=one) for number, one in enumerate([first, mixed, second, second])]
    assert (last_change(history), last_change(history, "normal"), last_change(history, "reduce")) == (2, 2, 1)
    assert last_change(history[2:]) is None


def test_the_difference_of_cells_counts_an_input_used_twice_twice() -> None:
    one = darts.Cell(((("skip_connect", 0), ("skip_connect", 0)), (("sep_conv_3x3", 1), ("none", 2))), (2, 3))
    other = darts.Cell(((("skip_connect", 0), ("sep_conv_3x3", 0)), (("sep_conv_3x3", 1), ("none", 2))), (2, 3))
    change = difference(one, other)
    assert change.shared == ((0, 2, "skip_connect"), (1, 3, "sep_conv_3x3"), (2, 3, "none"))
    assert change.removed == ((0, 2, "skip_connect"),)
    assert change.added == ((0, 2, "sep_conv_3x3"),)
    assert (num_skips(one), num_skips(other)) == (2, 1)


def test_reading_a_run_for_the_report_does_not_import_torch(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=2)
    program = (
        "import sys; from dartboard import report; report.write_report(sys.argv[1:]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
