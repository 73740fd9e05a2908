"""Accuracy against cost of a supernet's networks: which are scored, which lie on the front, the CSV and the page."""

import csv
import html
import json
import re
import shlex
from pathlib import Path

import pytest

import elastic_runs
from dartboard.cli import main
from dartboard.scoring.cost import count
from dartboard.search import coarse_to_fine
from dartboard.spaces import mobilenet
from dartboard.studies import fronts, specialise
from dartboard.studies.pieces import Pieces
from elastic_runs import FEW, SPACE

ASKED = ["--samples", "4", "--targets", "2", "--scorings", "3", *FEW]
Row = dict[str, str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search."""
    return elastic_runs.made(tmp_path_factory.mktemp("front") / "run")


@pytest.fixture(scope="module")
def rows(run: Path) -> list[Row]:
    """The CSV of its front, with the grid."""
    assert main(["front", str(run), *ASKED, "--grid"]) == 0
    with (run / "front/front.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_has_the_cloud_scaled_networks_the_best_under_limits_and_the_grid(rows: list[Row]) -> None:
    kinds = [row["kind"] for row in rows]
    numbers = {kind: kinds.count(kind) for kind in set(kinds)}
    of_grid = len(coarse_to_fine.grid(SPACE))
    assert numbers == {fronts.RANDOM: 4, fronts.UNIFORM: 3, fronts.FOUND: 2, fronts.GRID: of_grid}
    scaled = [row["architecture"] for row in rows if row["kind"] == fronts.UNIFORM]
    assert len(set(scaled)) == 3, "in a space of two or three options five levels are three networks"
    assert [int(row["macs"]) for row in rows] == sorted(int(row["macs"]) for row in rows)
    for row in rows:
        architecture = mobilenet.from_choices(json.loads(row["architecture"])["choices"])
        own = count(architecture, channels=4, num_classes=10, image_size=8)
        assert (own.macs, own.params) == (int(row["macs"]), int(row["params"]))
        levels = {
            name.removeprefix("level_"): float(row[name]) for name in row if name.startswith("level_") and row[name]
        }
        assert not levels or coarse_to_fine.uniform(SPACE, levels) == architecture


def test_no_network_beats_one_on_the_front_and_one_of_the_front_beats_each_other(rows: list[Row]) -> None:
    def at_least(one: Row, other: Row) -> bool:
        return float(one["val_accuracy"]) >= float(other["val_accuracy"]) and int(one["macs"]) <= int(other["macs"])

    front = [row for row in rows if row["on_front"] == "1"]
    for row in front:
        better = [one for one in rows if at_least(one, row) and not at_least(row, one)]
        assert not better
    for row in rows:
        assert any(at_least(one, row) for one in front)


def test_every_score_is_that_of_specialise_and_asking_again_scores_nothing(run: Path, rows: list[Row]) -> None:
    known = {key.split("/", 3)[3]: piece["score"] for key, piece in Pieces(run, specialise.SCORES).done.items()}
    for row in rows:
        architecture = mobilenet.from_choices(json.loads(row["architecture"])["choices"])
        assert known[str(architecture)] == float(row["val_accuracy"])
    before = (run / specialise.SCORES).read_bytes()
    assert main(["front", str(run), *ASKED]) == 0
    assert (run / specialise.SCORES).read_bytes() == before


def test_the_page_names_the_networks_of_the_front_and_how_to_cut_one_out(run: Path, rows: list[Row]) -> None:
    text = (run / "front/report.html").read_text()
    assert "dartboard specialise" in text and "Accuracy on val against multiply-adds" in text
    assert "<script src" not in text and "https://" not in text


@pytest.mark.usefixtures("rows")
def test_the_command_beside_a_network_of_the_front_cuts_that_network_out(run: Path) -> None:
    rows = csv.DictReader((run / "front/front.csv").read_text().splitlines())
    text = html.unescape((run / "front/report.html").read_text())
    commands = [shlex.split(line) for line in re.findall(r"<code>(dartboard specialise .*?)</code>", text)]
    best = [row for row in rows if row["on_front"] == "1"]
    assert len(commands) == len(best)
    assert main(commands[0][1:]) == 0
    answers = [json.loads(path.read_text()) for path in run.glob("specialised/given-*/answer.json")]
    assert answers[-1]["val_accuracy"] == float(best[0]["val_accuracy"])


def test_wrong_questions_are_refused_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["front", str(tmp_path / "nowhere")], "there is no"),
        (["front", str(run), "--targets", "0"], "--targets is 0"),
        (["front", str(run), "--strategy", "luck"], "luck"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
