"""`dartboard compare DIR...`: comparisons and runs that exist, in groups of equal settings."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import made_up_tables
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.methods import random_search
from dartboard.report.facts import mixed_of
from dartboard.runs.run import Run
from dartboard.scoring import tables
from dartboard.spaces import SPACES
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.contenders import Comparison
from dartboard.studies.equal_settings import joined, of_runs


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A table of 64 cells with random accuracies, in place of the 15,625."""
    made_up_tables.put_in_place(monkeypatch)
    yield made_up_tables.write(tmp_path / "accuracies.csv")
    mixed_of.cache_clear()  # pages remember what the edges of a space mix


def compared(truth: Path, out: Path, *more: str, trials: int = 5) -> Path:
    size = ["--budget", f"{trials}trials", "--seeds", "2"]
    given = ["compare", "--methods", "random_search", "--space", "nasbench201", "--truth", str(truth), *size]
    assert main([*given, "--out", str(out), *more]) == 0
    return out


def together(*folders: Path) -> Comparison:
    return joined([ComparisonFolder.open(folder) for folder in folders])


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    capsys.readouterr()
    assert main(list(given)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_the_page_of_a_comparison_is_written_again(truth: Path, tmp_path: Path) -> None:
    out = compared(truth, tmp_path / "out")
    before = (out / "table.csv").read_text()
    (out / "table.csv").unlink()
    assert main(["compare", str(out)]) == 0
    assert (out / "table.csv").read_text() == before


def test_equal_settings_are_one_contender_and_others_are_labelled(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("lr = 0.5\n")
    one = compared(truth, tmp_path / "one")
    two = compared(truth, tmp_path / "two", "--seed", "2")
    found = together(one, two)
    assert [(c.label, len(c.repetitions)) for c in found.contenders] == [
        ("random_search", 4),
        ("most multiply-adds", 4),
    ]
    other = compared(truth, tmp_path / "other", "--config", f"random_search={tmp_path}/other.toml")
    labels = [contender.label for contender in together(one, other, two).contenders]
    assert labels == [
        "random_search (lr = 0.025)", "most multiply-adds (lr = 0.025)",
        "random_search (lr = 0.5)", "most multiply-adds (lr = 0.5)",
    ]  # fmt: skip
    assert main(["compare", str(one), str(two), "--out", str(tmp_path / "both")]) == 0
    assert (tmp_path / "both" / "table.csv").is_file()


def test_a_comparison_whose_settings_were_edited_is_refused(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = compared(truth, tmp_path / "one"), compared(truth, tmp_path / "two", "--seed", "2")
    settings = two / "compare.toml"
    settings.write_text(settings.read_text().replace("lr = 0.025", "lr = 0.5"))
    assert "compare.toml was edited" in refused(capsys, "compare", str(two))
    assert "compare.toml was edited" in refused(capsys, "compare", str(one), str(two))


def test_the_page_of_a_run_or_of_a_comparison_is_never_replaced(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = compared(truth, tmp_path / "one"), compared(truth, tmp_path / "two", "--seed", "2")
    search = ["search", "random_search", "--space", "nasbench201", "--truth", str(truth), "--trials", "3"]
    for seed in ("0", "1"):
        assert main([*search, "--seed", seed, "--out", str(one / f"run-{seed}")]) == 0
    for folders, out in (
        ([one / "run-0"], []),
        ([one / "run-0", one / "run-1"], []),
        ([one, two], ["--out", str(two)]),
        ([one, two], ["--out", str(one / "run-0")]),
    ):
        said = refused(capsys, "compare", *map(str, folders), *out)
        assert "which has a page; give another folder with --out" in said
    assert not (one / "run-0" / "comparison.json").exists()
    assert main(["compare", str(one / "run-0"), "--out", str(tmp_path / "alone")]) == 0
    assert main(["compare", str(one)]) == 0


def test_a_report_over_several_comparisons_names_the_command(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = compared(truth, tmp_path / "one"), compared(truth, tmp_path / "two", "--seed", "2")
    assert f"dartboard compare {one} {two}" in refused(capsys, "report", str(one), str(two))


def test_a_report_of_a_comparison_without_values_names_the_command(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = compared(truth, tmp_path / "one")
    (one / "comparison.json").unlink()  # as after a stop
    assert f"write it: dartboard compare {one}" in refused(capsys, "report", str(one))
    assert main(["compare", str(one)]) == 0 and main(["report", str(one)]) == 0


def test_what_cannot_be_compared_is_refused(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = compared(truth, tmp_path / "one")
    again, more = compared(truth, tmp_path / "again"), compared(truth, tmp_path / "more", trials=6)
    assert "seed 0 of random_search with equal settings is in" in refused(capsys, "compare", str(one), str(again))
    assert "differ in the budget: 5.0 and 6.0" in refused(capsys, "compare", str(one), str(more))
    assert "no run in" in refused(capsys, "compare", str(tmp_path))
    assert "--methods has no effect on folders" in refused(capsys, "compare", str(one), "--methods", "random_search")


def test_searches_on_a_table_are_compared_by_what_the_table_shows(truth: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        config = random_search.Config(trials=4, truth=str(truth))
        with Run.create(
            tmp_path / f"run{seed}", config, setup=Setup(device="cpu", seed=seed), space="nasbench201"
        ) as run:
            random_search.search(config, SPACES["nasbench201"], None, run)
    found = of_runs([tmp_path / "run0", tmp_path / "run1"])
    [contender] = found.contenders
    assert (contender.label, contender.role, found.unit) == ("random_search", "random at equal cost", "trials")
    assert [one.result for one in contender.repetitions] == [
        Run.open(tmp_path / f"run{seed}").metrics()[-1]["shown"] for seed in (0, 1)
    ]
    assert main(["compare", str(tmp_path / "run0"), str(tmp_path / "run1")]) == 0


def test_searches_of_unequal_cost_or_on_other_columns_are_refused(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"cifar10": ("cifar10-val", "cifar10-test"), "cifar100": ("cifar10-test", "cifar10-val")}
    monkeypatch.setitem(tables.LAYOUTS, "nasbench201", replace(made_up_tables.LAYOUT, columns=columns))
    for name, table, trials in (("one", truth, "3"), ("more", truth, "4"), ("other", f"{truth}:cifar100", "3")):
        search = ["search", "random_search", "--space", "nasbench201", "--truth", str(table), "--trials", trials]
        assert main([*search, "--out", str(tmp_path / name)]) == 0
    one, more, other = (str(tmp_path / name) for name in ("one", "more", "other"))
    assert "these searches have 3 and 4 trials" in refused(capsys, "compare", one, more)
    assert "these results are on cifar10-test and cifar10-val" in refused(capsys, "compare", one, other)
