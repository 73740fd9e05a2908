"""Tables of any rows and columns in a search's epochs: drawn with names or numbers, moved by the slider."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from dartboard.config import Setup
from dartboard.methods import darts
from dartboard.report import write_report
from dartboard.report.facts import read_facts
from dartboard.report.logged_tables import faults, logged_tables, unit_of
from dartboard.runs.run import Run
from dartboard.search.epoch_log import Labels, log_start
from synthetic_runs import write_controller_search, write_search
from test_report_page import outline, words_of

CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
OPTIONS = [["skip_connect", "sep_conv_3x3", "max_pool_3x3"], ["0", "1"], ["skip_connect", "sep_conv_3x3"]]
LABELS = {"policy": {"rows": ["normal.2.operation", "normal.2.input", "reduce.2.operation"], "columns": OPTIONS}}


def policy(epoch: int) -> dict[str, Any]:
    """A controller's probabilities, with rows of different lengths, and a table of other numbers."""
    share = 0.05 + 0.05 * max(epoch, 0)
    rows = [[share, 0.5, 0.5 - share], [share, 1 - share], [1 - share, share]]
    return {"policy": rows, "advantage": [[1500.0 * epoch, -2.0, 0.25], [3.0, 4.0, 5.0]]}


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'class="slider-data">(.*?)</script>', page.read_text())
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_tables_are_drawn_with_the_names_that_the_start_gives_or_else_with_numbers(tmp_path: Path) -> None:
    page = write_report([write_controller_search(tmp_path / "run", policy, LABELS, epochs=4)])
    said, text = words_of(page), page.read_text()
    for words in ("The search, epoch by epoch", "Table policy", "Table advantage", "In percent", "normal.2.operation"):
        assert words in said, words
    assert "Relaxed normal cell" not in said  # this search has no alpha
    policy_picture, advantage = re.findall(r'<svg class="grid heat free".*?</svg>', text)
    assert len(re.findall("data-edge", policy_picture)) == 3 + 2 + 2
    assert len(re.findall("data-edge", advantage)) == 6
    assert policy_picture.count(">skip_connect</text>") == 2
    assert [re.findall(rf">{number}</text>", advantage)[:1] for number in range(3)] == [
        [f">{n}</text>"] for n in range(3)
    ]
    tables = data_of(page)["tables"]
    assert [pytest.approx(row) for row in policy(2)["policy"]] == tables[0]["weights"][3]
    assert len(tables[1]["weights"]) == 5  # the start and four epochs
    assert (tables[0]["unit"], tables[0]["decimals"]) == (0.01, 0)


def test_tables_stand_below_alpha_where_a_search_has_both_and_alpha_is_drawn_as_without_them(tmp_path: Path) -> None:
    page = write_report([write_controller_search(tmp_path / "with", policy, LABELS, epochs=3, alpha=True)])
    said = words_of(page)
    assert said.index("Alpha, reduction cell") < said.index("Table policy")
    plain = write_report([write_search(tmp_path / "plain", epochs=3, steps=4)])
    assert data_of(page)["kinds"] == data_of(plain)["kinds"]
    assert "tables" not in data_of(plain)
    assert 'class="tables"' not in plain.read_text()


ODD: dict[str, Any] = {
    "words": lambda epoch: [["a", "b"]],
    "flags": lambda epoch: [[True, False]],
    "mixture": lambda epoch: [[1.0], 2.0],
    "deep": lambda epoch: [[[1.0]]],
    "empty": lambda epoch: [],
    "hollow": lambda epoch: [[], []],
    "growing": lambda epoch: [[1.0]] * (epoch + 2),
    "widening": lambda epoch: [[1.0] * (epoch + 2)],
    "silent": lambda epoch: [[math.nan, None]],
    "endless": lambda epoch: [[1.0] * 50] * 50,
    "astronomic": lambda epoch: [[10**400]],
}


@pytest.mark.parametrize("name", ODD)
def test_a_table_that_cannot_be_drawn_is_named_in_one_line_and_the_others_are_drawn(name: str, tmp_path: Path) -> None:
    folder = write_controller_search(
        tmp_path / "run", lambda epoch: {name: ODD[name](epoch), **policy(epoch)}, epochs=3
    )
    said = words_of(write_report([folder]))
    (line,) = faults(read_facts(folder))
    assert ("no number" in line) == (name == "silent") and ("empty" in line) == (name in ("empty", "hollow"))
    assert line in said and line.startswith(f"The table {name} of the log is not drawn: ")
    assert "Table policy" in said and f"Table {name}" not in said
    alone = write_controller_search(tmp_path / "alone", lambda epoch: {name: ODD[name](epoch)}, epochs=3)
    page = write_report([alone])
    assert line in words_of(page) and 'class="epoch-slider"' not in page.read_text()


def test_numbers_that_are_none_and_epochs_without_the_table_are_left_blank(tmp_path: Path) -> None:
    made = write_controller_search(
        tmp_path / "run", lambda epoch: {} if epoch == 1 else {"reward": [math.nan, epoch / 10, None]}, epochs=3
    )
    facts = read_facts(made)
    (one,) = logged_tables(facts, facts.history)
    assert [frame is None for frame in one.frames] == [False, False, True, False]
    tables = data_of(write_report([made]))["tables"]
    assert tables[0]["weights"] == [[[None, -0.1, None]], [[None, 0.0, None]], [], [[None, 0.2, None]]]


@pytest.mark.parametrize(
    "labels",
    [
        [],
        {"policy": 3},
        {"policy": {"rows": ["a"], "columns": [["b"]]}},
        {"policy": {"rows": [1, 2, 3], "columns": {}}},
    ],
)
def test_labels_that_do_not_fit_leave_numbers(labels: Any, tmp_path: Path) -> None:
    facts = read_facts(write_controller_search(tmp_path / "run", policy, labels, epochs=2))
    one = logged_tables(facts, facts.history)[0]
    assert one.rows == ("0", "1", "2") and one.columns == (("0", "1", "2"), ("0", "1"), ("0", "1"))


def test_names_from_a_log_cannot_become_markup(tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>"
    labels = {hostile: {"rows": [hostile], "columns": [[hostile, f"{hostile}2"]]}}
    page = write_report([write_controller_search(tmp_path / "run", lambda epoch: {hostile: [[0.5, 0.5]]}, labels)])
    assert "img" not in outline(page).names
    assert f"Table {hostile}" in words_of(page)


def test_large_and_small_numbers_are_written_with_three_digits() -> None:
    assert unit_of(0.0) == (1.0, 2)
    assert unit_of(5.0) == (1.0, 2) and unit_of(150.0) == (1.0, 0) and unit_of(0.5) == (1.0, 3)
    assert unit_of(12345.0) == (1e4, 2) and unit_of(3e-6)[0] == pytest.approx(1e-6)


def test_the_start_of_a_run_tells_the_names_and_rows_of_different_lengths(tmp_path: Path) -> None:
    labels = {"policy": Labels(["operation", "input"], [["skip_connect", "none"], ["0", "1", "2"]])}
    with Run.create(tmp_path / "run", darts.Config(), setup=Setup(device="cpu")) as run:
        log_start(run, {"policy": [torch.zeros(2), torch.ones(3)]}, None, tiny.SPACE, labels)
        log_start(run, {"policy": torch.zeros(2, 2)}, None, tiny.SPACE)
    first, second = [line for line in tiny.history(tmp_path / "run") if line["event"] == "start"]
    assert first["policy"] == [[0.0, 0.0], [1.0, 1.0, 1.0]]
    assert first["labels"] == {
        "policy": {"rows": ["operation", "input"], "columns": [["skip_connect", "none"], ["0", "1", "2"]]}
    }
    assert "labels" not in second


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.slow
def test_the_slider_moves_tables_in_a_browser_and_a_phone_scrolls_them_in_their_boxes(
    alpha: bool, tmp_path: Path
) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    wide = {"queue": [[epoch / 7 for _ in range(40)] for epoch in range(2)]}
    folder = write_controller_search(tmp_path / "run", lambda epoch: {**policy(epoch), **wide}, LABELS, alpha=alpha)
    page, wrong = write_report([folder]), []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda message: wrong.append(message.text))
        tab.goto(page.as_uri())
        for index, epoch in ((0, -1), (3, 2), (6, 5)):
            tab.locator(".slider").fill(str(index))
            shown = tab.locator('[data-table="0"] .box text:not(.option)').all_text_contents()
            assert shown == [f"{100 * value:.0f}" for row in policy(epoch)["policy"] for value in row]
            assert tab.locator('[data-table="1"] .box text').first.text_content() == f"{1500 * epoch}"
        for width in (400, 1280):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert not wrong
