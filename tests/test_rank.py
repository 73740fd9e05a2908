"""`dartboard rank`: scores by shared weights beside a table or trainings, its numbers, its resumption, its refusals."""

import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy import stats

import made_up_tables
from dartboard.cli import main
from dartboard.commands import work
from dartboard.errors import InputError
from dartboard.formats import read
from dartboard.report.facts import mixed_of
from dartboard.runs import checkpoint
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.scoring.cost import count
from dartboard.scoring.evaluate import recalibrated_score, shared_weights_score
from dartboard.search import trials
from dartboard.spaces import SPACES, nasbenchmacro
from dartboard.studies import rank, rank_folder, rank_results, rank_truth
from dartboard.studies.pieces import PIECES, Pieces

SIZES = ["--channels", "2", "--cells", "5", "--image-size", "8", "--epochs", "2", "--batch-size", "32"]
DATA = ["--data", "digits", "--max-images", "128", "--device", "cpu", "--threads", "1"]


@pytest.fixture(scope="module")
def small() -> Iterator[pytest.MonkeyPatch]:
    """The space of 64 cells in place of that of 15,625, for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        made_up_tables.put_in_place(patch)
        yield patch
    mixed_of.cache_clear()


@pytest.fixture(scope="module")
def made(small: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search of shared weights, a search by trainings, and a table."""
    folder = tmp_path_factory.mktemp("rank")
    made_up_tables.write(folder / "table.csv")
    space = ["--space", "nasbench201"]
    assert main(["search", "darts", *space, *DATA, *SIZES, "--lr", "0.2", "--out", str(folder / "shared")]) == 0
    trained = ["--trials", "6", *SIZES[:-4], "--epochs", "1", "--batch-size", "32"]
    assert main(["search", "random_search", *space, *DATA, *trained, "--out", str(folder / "trials")]) == 0
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def ranked(place: Path, *more: str, samples: int = 12) -> Path:
    truth = ["--truth", str(place / "table.csv")] if "--scores" not in more else []
    assert main(["rank", str(place / "shared"), *truth, "--samples", str(samples), *more]) == 0
    return place / "shared" / "rank"


def found_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "rank.json").read_text())
    return content


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    capsys.readouterr()
    assert main(list(given)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_scores_truth_and_costs_are_those_of_the_supernet_the_table_and_the_counts(place: Path) -> None:
    out = ranked(place)
    with open(out / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(place / "table.csv", newline="") as file:
        table = {line["arch"]: line for line in csv.DictReader(file)}
    run = Run.open(place / "shared")
    data, space = work.load(run.setup), SPACES["nasbench201"]
    supernet = trials.supernet_like(run, space, data)
    newest = run.load()
    assert newest is not None and len({row["architecture"] for row in rows}) == len(rows) == 12
    trials.load_shared(supernet, run, newest.tensors, space)
    for row in rows[:4]:
        cell = read(row["architecture"])[0]
        assert float(row["score"]) == shared_weights_score(supernet, cell, data, 32)[1]
        assert float(row["score_recalibrated"]) == recalibrated_score(supernet, cell, data, 32, 512)[1]
        assert (int(row["params"]), int(row["macs"])) == (count(cell).params, count(cell).macs)
    for row in rows:
        percent = table[row["architecture"]]
        assert float(row["truth"]) == pytest.approx(float(percent["cifar10-test"]) / 100)
        assert float(row["second"]) == pytest.approx(float(percent["cifar10-val"]) / 100)


def test_the_judges_have_the_taus_of_scipy_in_every_state_of_the_search(place: Path) -> None:
    out = ranked(place, samples=30)
    found, pieces = found_in(out), Pieces(out)
    rows, judges = found["rows"], found["judges"]
    truth = [row["truth"] for row in rows]
    expected = {"multiply-adds": "macs", "parameters": "params", "ceiling": "second"}
    for judge in judges:
        if judge["name"] in expected:
            values = [row[expected[judge["name"]]] for row in rows]
        else:
            values = [pieces[f"{judge['state']['name']}/{judge['way']}/{n}"]["score"] for n in range(30)]
        measured = judge["measures"]
        assert measured["tau"]["estimate"] == pytest.approx(stats.kendalltau(values, truth).statistic)
        assert measured["spearman"]["estimate"] == pytest.approx(stats.spearmanr(values, truth).statistic)
        assert measured["tau"]["low"] <= measured["tau"]["estimate"] <= measured["tau"]["high"]
        assert set(measured) == {"tau", "spearman", "top_3", "top_10"}
    states = [judge["state"]["epoch"] for judge in judges if judge["name"] == "shared weights"]
    assert states == [2, 1]  # the two checkpoints that a run keeps, the newest first
    tau = {judge["name"]: judge["measures"]["tau"]["estimate"] for judge in reversed(judges)}
    for judge in judges[:2]:  # of the newest state
        for other, difference in judge["above"].items():
            assert difference["estimate"] == pytest.approx(tau[judge["name"]] - tau[other])
    assert [*judges[1]["above"]] == ["multiply-adds", "parameters", "shared weights"]


def test_a_score_does_not_depend_on_what_was_scored_before(place: Path) -> None:
    out = ranked(place)
    ranking = rank_folder.read_ranking(out)
    other = place / "other"
    other.mkdir()
    run, space = Run.open(ranking.run), SPACES["nasbench201"]
    pieces = Pieces(other)
    one = rank.Work(other, ranking, run, space, work.load(run.setup), pieces, Limits())
    numbers = Random(0).sample(range(12), 12)
    assert len({row["score"] for row in found_in(out)["rows"]}) > 3
    supernet = trials.supernet_like(run, space, one.data)
    trials.load_shared(supernet, run, rank.checkpoint_of(one, ranking.states[0]).tensors, space)
    for way, scorer in rank.scorers_of(one, supernet, one.data).items():
        for number in [*numbers, *reversed(numbers)]:
            score = scorer(ranking.rows[number].architecture, number).value
            assert score == Pieces(out)[f"{ranking.states[0].name}/{way}/{number}"]["score"]


def test_what_was_trained_is_a_truth_too_without_a_ceiling(place: Path) -> None:
    run = Run.open(place / "trials")
    lines = [line for line in run.metrics() if line["event"] == "trial"]
    distinct = {line["architecture"] for line in lines}
    assert main(["rank", str(place / "shared"), "--scores", str(place / "trials")]) == 0
    found = found_in(place / "shared" / "rank")
    assert {row["architecture"] for row in found["rows"]} == distinct
    for row in found["rows"]:
        same = [line for line in lines if line["architecture"] == row["architecture"]]
        assert row["truth"] == pytest.approx(np.mean([line["score"] for line in same]))
        assert (row["params"], row["macs"]) == (same[0]["params"], same[0]["macs"])
    assert "ceiling" not in [judge["name"] for judge in found["judges"]]
    assert found["source"]["words"] == "val accuracy after trainings of 1 epoch, of trials"


def test_weights_that_a_search_keeps_are_judged_over_its_epochs(
    small: pytest.MonkeyPatch, made: Path, tmp_path: Path
) -> None:
    out, every = tmp_path / "kept", ["--epochs", "5", "--keep-every", "2"]
    words = ["search", "darts", "--space", "nasbench201", *DATA, *SIZES, *every, "--out", str(out)]
    assert main([*words, "--budget", "6steps"]) == 0  # three epochs of two steps
    assert main(["resume", str(out)]) == 0
    assert [path.name for path in checkpoint.checkpoints(out / "kept")] == ["step-000000004", "step-000000008"]
    assert main(["rank", str(out), "--truth", str(made / "table.csv"), "--samples", "6"]) == 0
    judges = [one for one in found_in(out / "rank")["judges"] if one["name"] == "shared weights"]
    assert [one["state"]["epoch"] for one in judges] == [5, 4, 2]
    assert [one["state"]["name"] for one in judges][1:] == ["kept/step-000000008", "kept/step-000000004"]
    kept = checkpoint.read_checkpoint(out / "kept" / "step-000000008")
    whole = checkpoint.read_checkpoint(out / "checkpoint" / "step-000000008")
    assert kept is not None and whole is not None and all(whole.tensors[k].equal(v) for k, v in kept.tensors.items())
    assert {name.split("/")[0] for name in kept.tensors} == {"supernet"}


def test_a_search_by_single_paths_is_judged_alike(small: pytest.MonkeyPatch, made: Path, tmp_path: Path) -> None:
    out, own = tmp_path / "paths", ["--candidates", "3", "--round", "3", "--batches", "1", "--finalists", "1"]
    words = ["search", "random_search_ws", "--space", "nasbench201", *DATA, *SIZES, *own, "--keep-every", "1"]
    assert main([*words, "--out", str(out)]) == 0
    assert main(["rank", str(out), "--truth", str(made / "table.csv"), "--samples", "6", "--recalibrate", "20"]) == 0
    found = found_in(out / "rank")
    assert [one["state"]["epoch"] for one in found["judges"] if one["name"] == "shared weights"] == [2, 1]
    assert all(row["score_recalibrated"] is not None for row in found["rows"])


def test_of_two_seeds_one_is_the_truth_and_the_other_the_ceiling(tmp_path: Path) -> None:
    space, rng = SPACES["nasbenchmacro"], Random(0)
    rows = [(nasbenchmacro.to_code(one), rng.randrange(80, 95), rng.randrange(80, 95)) for one in space.enumerate()]
    with open(tmp_path / "macro.csv", "w", newline="") as file:
        csv.writer(file).writerows([("arch", "test_seed0", "test_seed1"), *rows])
    truth = rank_truth.of_table(str(tmp_path / "macro.csv"), space)
    assert (truth.words, truth.ceiling) == ("test_seed1 of macro.csv", "test_seed0")
    code, first, second = rows[100]
    cell = nasbenchmacro.from_code(code)
    assert (truth.second[cell], truth.values[cell]) == (first / 100, second / 100)


def test_samples_are_uniform_distinct_and_those_of_the_seed(made: Path) -> None:
    space = SPACES["nasbench201"]
    truth = rank_truth.of_table(str(made / "table.csv"), space)
    first = rank_truth.sampled(truth, space, 20, 0)
    assert first == rank_truth.sampled(truth, space, 20, 0) != rank_truth.sampled(truth, space, 20, 1)
    assert len(set(first)) == 20 and len(rank_truth.sampled(truth, space, None, 0)) == 64
    seen = dict.fromkeys(truth.values, 0)
    for seed in range(400):
        for cell in rank_truth.sampled(truth, space, 8, seed):
            seen[cell] += 1
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


def test_scores_that_are_all_the_same_give_no_order_and_are_refused() -> None:
    space = SPACES["nasbench201"]
    values = dict.fromkeys((space.sample(Random(seed)) for seed in range(5)), 0.1)
    with pytest.raises(InputError, match="all 5 architectures have the same score, which gives no order"):
        rank_truth.sampled(rank_truth.Truth(values, "made up", ""), space, None, 0)


def test_a_stopped_ranking_is_resumed_to_the_same_files(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ranked(place)
    before = [(whole / name).read_bytes() for name in ("scores.csv",)]
    judges = found_in(whole)["judges"]
    lines = (whole / PIECES).read_bytes().splitlines(keepends=True)
    (whole / PIECES).write_bytes(b"".join(lines[:17]) + lines[17][:9])  # as a kill -9 may leave it
    (whole / "rank.json").unlink()
    assert main(["resume", str(whole)]) == 0
    assert [(whole / "scores.csv").read_bytes()] == before and found_in(whole)["judges"] == judges
    kept = (whole / PIECES).read_bytes()
    assert ranked(place) == whole and (whole / PIECES).read_bytes() == kept  # the same command repeats nothing


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_resume(place: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import made_up_tables, os, signal, pytest\n"
        "made_up_tables.put_in_place(pytest.MonkeyPatch())\n"
        "from dartboard.studies import pieces\n"
        "add = pieces.Pieces.add\n"
        "def signalled(self, key, **more):\n"
        "    found = add(self, key, **more)\n"
        "    if len(self.done) == 15: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return found\n"
        "pieces.Pieces.add = signalled\n"
        "from dartboard.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    words = ["rank", str(place / "shared"), "--truth", str(place / "table.csv"), "--samples", "12"]
    tests = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, tests, *words], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 128 + signal.SIGINT and done.stderr.count("\n") == 1
    assert f"resume with: dartboard resume {place / 'shared' / 'rank'}" in done.stderr
    assert len(Pieces(place / "shared" / "rank").done) == 15
    assert main(["resume", str(place / "shared" / "rank")]) == 0


def test_a_time_limit_stops_and_saves(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["rank", str(place / "shared"), "--truth", str(place / "table.csv"), "--samples", "12"]
    assert main([*words, "--until", "0.001s"]) == 0
    assert "stopped by time limit, saved; resume with: dartboard resume" in capsys.readouterr().err
    assert not (place / "shared" / "rank" / "rank.json").exists()
    assert main(words) == 0 and (place / "shared" / "rank" / "rank.json").exists()


def test_wrong_input_is_one_line_and_makes_no_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared, table, run_of_trials = (str(place / name) for name in ("shared", "table.csv", "trials"))
    macro = place / "macro.csv"
    macro.write_text("arch,test_seed0,test_seed1\n00000000,50,51\n")
    for words, expected in (
        (["rank"], "name the run of a search"),
        (["rank", shared], "give what the shared weights are compared with"),
        (["rank", shared, "--truth", table, "--scores", run_of_trials], "give what the shared weights"),
        (["rank", str(place / "none"), "--truth", table], "there is no such folder"),
        (["rank", run_of_trials, "--truth", table], "trained no supernet"),
        (["rank", shared, "--truth", str(macro)], "is a table of the space nasbenchmacro; give one of the space"),
        (["rank", shared, "--truth", str(place / "no.csv")], "no.csv"),
        (["rank", shared, "--truth", "x" * 300], "--truth is too long a path"),
        (["rank", shared, "--truth", f"{table}:cifar7"], "unknown column 'cifar7'"),
        (["rank", shared, "--truth", table, "--recalibrate", "1"], "--recalibrate is 1; give 2 or more"),
        (["rank", shared, "--truth", table, "--samples", "65"], "there are scores of 64 architectures; give 64 or"),
        (["rank", shared, "--truth", table, "--samples", "2"], "--samples is 2; give 3 to 5000"),
        (["rank", shared, "--scores", shared], "is not a search by trials"),
        (["rank", shared, "--scores", run_of_trials, "--samples", "50"], "there are scores of"),
        (["rank", shared, "--truth", table, "--out", table], "is a file"),
        (["rank", shared, "--truth", table, "--out", run_of_trials], "is not empty and is not a ranking"),
    ):
        assert expected in refused(capsys, *words), words
    assert not (place / "shared" / "rank").exists()


def test_another_space_is_refused(place: Path, capsys: pytest.CaptureFixture[str], small: pytest.MonkeyPatch) -> None:
    config = place / "trials" / "config.toml"
    text = config.read_text()
    config.write_text(text.replace('space = "nasbench201"', 'space = "darts"'))
    words = ["rank", str(place / "shared"), "--scores", str(place / "trials")]
    assert "searched the space darts; give a run of the space nasbench201" in refused(capsys, *words)
    config.write_text(text + 'truth = "table.csv"\n')
    assert "scored its trials by a table; give the table with --truth" in refused(capsys, *words)
    config.write_text(text + 'shared_weights = "shared"\n')
    assert "scored its trials by shared weights; give another run" in refused(capsys, *words)


def test_changed_data_a_changed_state_and_edited_settings_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ranked(place)
    words = ["rank", str(place / "shared"), "--truth", str(place / "table.csv"), "--samples"]
    assert "was started with --samples 12; repeat that, or" in refused(capsys, *words, "13")
    assert "was started with --seed 0" in refused(capsys, *words, "12", "--seed", "1")
    oldest = sorted((place / "shared" / "checkpoint").iterdir())[0]
    oldest.rename(place / "aside")
    assert "was started with other states of the search" in refused(capsys, *words, "12")
    assert main(["resume", str(out)]) == 0  # all was scored before
    lines = (out / PIECES).read_bytes().splitlines(keepends=True)
    (out / PIECES).write_bytes(b"".join(lines[:-1]))
    assert f"{oldest.name} is gone or damaged" in refused(capsys, "resume", str(out))
    settings = out / "rank_settings.json"
    settings.write_text(settings.read_text().replace('"seed": 0', '"seed": 5'))
    assert "was edited since the ranking started" in refused(capsys, "resume", str(out))
    assert "--workers has no effect" in refused(capsys, "resume", str(out), "--workers", "2")
    environment = place / "shared" / "environment.json"
    content = json.loads(environment.read_text())
    content["data"]["fingerprint"] = "other"
    environment.write_text(json.dumps(content))
    assert "has changed" in refused(capsys, *words, "12", "--out", str(place / "new"))
    assert not (place / "new").exists()


# --- The page --------------------------------------------------------------------------------------------------------


def plain(page: Path) -> str:
    """The words of a page."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", page.read_text())).split())


def test_the_page_says_who_ranks_better_and_is_written_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ranked(place)
    found, said = found_in(out), capsys.readouterr().out
    assert rank_results.headline(found) in said and "\n  ceiling " in said
    text = plain(out / "report.html")
    assert rank_results.headline(found) in text
    assert "12 architectures are few" in text and "after epoch 1, 2: a search keeps its last two checkpoints" in text
    assert "ceiling, cifar10-val" in text and "Shared weights against truth" in text
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    table, latex = place / "t.csv", place / "t.tex"
    assert main(["report", str(out), "--csv", str(table), "--latex", str(latex)]) == 0
    assert (out / "report.html").read_bytes() == before
    with open(table, newline="") as file:
        rows = {row["judge"]: row for row in csv.DictReader(file)}
    shared = ["shared weights", "shared weights, recalibrated"]
    assert list(rows) == [*shared, "multiply-adds", "parameters", "ceiling, cifar10-val"]
    tau = found["judges"][0]["measures"]["tau"]
    assert [float(rows["shared weights"][f"tau{end}"]) for end in ("", "_95_low", "_95_high")] == list(tau.values())
    assert rows["shared weights"]["epoch"] == "2" and rows["parameters"]["tau_above_macs"] == ""
    assert "shared weights & " in latex.read_text()


def difference(low: float | None, high: float | None) -> dict[str, Any]:
    shared = {"name": "shared weights", "above": {"multiply-adds": {"estimate": 0.1, "low": low, "high": high}}}
    return {"judges": [shared, {"name": "multiply-adds"}]}


def test_the_headline_claims_only_what_the_paired_interval_shows() -> None:
    for ends, expected in (
        ((0.01, 0.2), "The shared weights rank better than multiply-adds alone"),
        ((-0.2, -0.01), "The shared weights rank worse than multiply-adds alone"),
        ((-0.1, 0.3), "The shared weights are not shown to rank better than multiply-adds alone"),
        ((None, None), "The shared weights are not shown to rank better than multiply-adds alone"),
    ):
        assert rank_results.headline(difference(*ends)) == expected
    nothing = difference(0, 0)
    nothing["judges"][0]["above"]["multiply-adds"] = None
    assert "cannot be compared" in rank_results.headline(nothing)


def test_what_report_cannot_write_is_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ranked(place)
    assert "this is the folder of a ranking" in refused(capsys, "report", str(out), "--gif")
    (out / "rank.json").write_text('{"judges": []}')
    assert "rank.json is damaged; write it again with: dartboard resume" in refused(capsys, "report", str(out))
    (out / "rank.json").unlink()
    assert "has no rank.json yet; finish it with: dartboard resume" in refused(capsys, "report", str(out))
