"""dartboard report --csv and --latex: the main table of any page, and the folder of a comparison."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dartboard.cli import main
from dartboard.report import comparison_page, write_report
from dartboard.report.facts import read_facts
from synthetic_comparisons import on_data
from synthetic_runs import write_search, write_training, write_trials
from test_report_page import words_of


def written(folder: Path, *runs: Path) -> list[dict[str, str]]:
    """The rows of the CSV; the LaTeX beside it has a line for each of them."""
    words = ["report", *map(str, runs), "--csv", str(folder / "t.csv"), "--latex", str(folder / "t.tex")]
    assert main(words) == 0
    rows = list(csv.DictReader(io.StringIO((folder / "t.csv").read_bytes().decode(), newline=""), strict=True))
    latex = (folder / "t.tex").read_text()
    assert latex.count("\\\\\n") == len(rows) + 1 and latex.count("\\hline") == 3
    return rows


def test_one_run_gives_its_epochs_with_all_that_was_logged(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=4)
    rows = written(tmp_path, folder)
    epochs = read_facts(folder).epochs
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    for row, epoch in zip(rows, epochs, strict=True):
        assert {name: float(value) for name, value in row.items() if name != "epoch"} == dict(epoch.numbers)


def test_a_search_by_trials_gives_its_trials(tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "run", trials=5)
    rows = written(tmp_path, folder)
    for row, line in zip(rows, read_facts(folder).trials, strict=True):
        assert int(row["trial"]) == line["trial"] and float(row["score"]) == line["score"]
        assert row["architecture"] == line["architecture"] and float(row["macs"]) == line["macs"]


def test_a_run_without_an_epoch_gives_a_table_without_rows(tmp_path: Path) -> None:
    assert written(tmp_path, write_training(tmp_path / "run", epochs=0)) == []


def test_several_runs_give_their_groups(tmp_path: Path) -> None:
    runs = [
        write_training(tmp_path / f"{lr}-{seed}", seed=seed, config={"lr": lr}) for lr in (0.1, 0.2) for seed in (0, 1)
    ]
    runs += [write_search(tmp_path / f"s{seed}", seed=seed) for seed in (0, 1, 2)]
    rows = written(tmp_path, *runs)
    assert [tuple(row[name] for name in ("kind", "group", "settings", "n")) for row in rows] == [
        ("training", "DARTS_V2", "lr = 0.1", "2"),
        ("training", "DARTS_V2", "lr = 0.2", "2"),
        ("search", "darts", "", "3"),
    ]
    for row, part in zip(rows, (runs[:2], runs[2:4], runs[4:]), strict=True):
        name = "val_accuracy" if row["kind"] == "search" else "test_accuracy"
        values = [read_facts(folder).number(name) or 0.0 for folder in part]
        assert float(row["mean_accuracy"]) == pytest.approx(sum(values) / len(values))
        assert float(row["max_accuracy"]) == max(values)
    assert rows[0]["macs"] == "7654321.0" and rows[2]["macs"] == ""


def test_the_folder_of_a_comparison_gives_its_page_again_and_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "compared"
    folder.mkdir()
    page = comparison_page.write(on_data(), folder)
    before = page.read_bytes(), (folder / "table.csv").read_bytes(), (folder / "table.tex").read_bytes()
    for path in (page, folder / "table.csv", folder / "table.tex"):
        path.unlink()
    assert main(["report", str(folder)]) == 0 and capsys.readouterr().out == f"{page}\n"
    assert (page.read_bytes(), (folder / "table.csv").read_bytes(), (folder / "table.tex").read_bytes()) == before
    page.unlink()
    rows = written(tmp_path, folder)
    assert [row["contender"] for row in rows] == [one.label for one in on_data().contenders]
    assert (tmp_path / "t.csv").read_bytes() == before[1] and (tmp_path / "t.tex").read_bytes() == before[2]
    page.unlink()
    assert main(["report", str(folder), "--out", str(tmp_path / "other.html")]) == 0
    assert (tmp_path / "other.html").read_bytes() == before[0] and not page.exists()


def test_wrong_words_are_one_line_and_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, compared = write_search(tmp_path / "run", epochs=1), tmp_path / "compared"
    compared.mkdir()
    comparison_page.write(on_data(), compared)
    one = str(tmp_path / "t")
    for words, said in (
        ([str(folder), "--csv", one, "--latex", one], "--csv and --latex name one file"),
        ([str(folder), "--out", one, "--csv", f"{tmp_path}/./t"], "--out and --csv name one file"),
        ([str(folder), "--csv", ""], "--csv is empty"),
        ([str(compared), "--gif"], "the folder of a comparison"),
        ([str(compared), str(folder)], "config.toml"),
    ):
        assert main(["report", *words]) == 2
        assert said in capsys.readouterr().err and not os.path.exists(one)
    assert not (folder / "report.html").exists()
    (compared / "comparison.json").write_text("{}")
    assert main(["report", str(compared)]) == 2 and "comparison.json is damaged" in capsys.readouterr().err
    assert main(["report", str(folder), "--csv", str(tmp_path)]) == 2 and "is a folder" in capsys.readouterr().err


def test_a_table_on_standard_output_is_all_that_is_printed(tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "run", trials=2)
    os.symlink("/proc/self/fd/1", tmp_path / "out")
    if not os.path.exists("/proc/self/fd/1"):
        pytest.skip("no /proc here")
    words = [sys.executable, "-m", "dartboard", "report", str(folder), "--csv", str(tmp_path / "out")]
    printed = subprocess.run(words, capture_output=True, check=True).stdout.decode()
    assert printed.startswith("trial,score,") and printed.count("\r\n") == 3 and "report.html" not in printed


# --- The page over several runs --------------------------------------------------------------------------------------


def by_method(folder: Path, methods: tuple[str, ...] = ("random_search", "other"), seeds: int = 3) -> list[Path]:
    return [
        write_trials(folder / f"{method}-s{seed}", seed=seed, trials=8, method=method, numbers=10 * place + seed)
        for place, method in enumerate(methods)
        for seed in range(seeds)
    ]


def test_searches_by_trials_have_a_headline_a_figure_and_a_curve_for_each_group(tmp_path: Path) -> None:
    page = write_report(by_method(tmp_path))
    said, text = words_of(page), page.read_text()
    top = re.search(r"<h1>(.*?)</h1>", text)
    assert top is not None and "has the highest mean" in top[1] and "3 pairs of seeds cannot" in top[1]
    for part in (
        "6 searches, side by side", "best score, n = 3", "Best so far over trials", "differ in method",
        "So few seeds can show little", "too few seeds", "Every search by trials", "mean time", "random_search-s0",
    ):  # fmt: skip
        assert part in said, part
    (picture,) = re.findall(r'<svg [^>]*aria-label="Best so far over trials.*?</svg>', text, re.S)
    assert [picture.count(name) for name in ("random_search", "other")] == [2, 2]  # label and legend
    assert "stroke: var(--one)" in picture and "stroke: var(--two)" in picture


def test_groups_that_were_measured_by_other_tables_or_by_supernets_are_not_ranked(tmp_path: Path) -> None:
    runs = by_method(tmp_path / "trials")
    for run in runs[3:]:
        (run / "config.toml").write_text((run / "config.toml").read_text().replace("made-up.csv", "other.csv"))
    said = words_of(write_report(runs, out=tmp_path / "page.html"))
    assert "highest mean" not in said and "6 searches, side by side" in said and "p, Holm" not in said
    runs = [write_search(tmp_path / f"{order}{seed}", seed=seed, config={"second_order": order})
            for order in (True, False) for seed in (0, 1)]  # fmt: skip
    said = words_of(write_report(runs, out=tmp_path / "page.html"))
    assert "highest mean" not in said and "p, Holm" not in said


def test_trainings_of_two_architectures_are_tested_by_pairs_of_seeds(tmp_path: Path) -> None:
    runs = [
        write_training(tmp_path / f"{name}{seed}", name, seed=seed)
        for name in ("DARTS_V2", "PDARTS")
        for seed in range(6)
    ]
    said = words_of(write_report(runs))
    assert "No difference is shown between" in said  # both are made up by the same numbers
    assert "95 % interval" in said and "p, Holm" in said and "12 trainings, side by side" in said


def test_unfinished_searches_by_trials_that_are_not_equally_far_are_apart(tmp_path: Path) -> None:
    runs = [write_trials(tmp_path / str(trials), trials=trials) for trials in (4, 6)]
    for run in runs:
        lines = (run / "metrics.jsonl").read_text().splitlines()[:-1]
        (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        (run / "config.toml").write_text((run / "config.toml").read_text().replace("trials = 4", "trials = 6"))
    said = words_of(write_report(runs))
    assert "stopped after 4 trials" in said and "stopped after 6 trials" in said and "n = 2" not in said
