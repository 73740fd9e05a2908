"""--seeds N --select K: each seed's architecture is trained on train, and the best on val is the result."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

import tiny
from dartboard import train
from dartboard.cli import main
from dartboard.commands import dryrun, select
from dartboard.config import from_toml
from dartboard.data import sources
from dartboard.report.selection_page import margin_words
from dartboard.runs.run import Run
from dartboard.studies.selection import Selection, batches, best_of, search_seed, train_seed
from dartboard.testing.methods import Sealed
from dartboard.training.by_training import by_training

# Two steps a search and two a training, of each seed.
SIZES = ["--max-images", "64", "--channels", "2", "--cells", "3", "--batch-size", "16", "--epochs", "1"]
HERE = ["--device", "cpu", "--threads", "1"]
ALONE = ["search", "darts", *SIZES, *HERE]
WORDS = [*ALONE, "--seeds", "2", "--select", "1"]
TRIALS = ["search", "random_search", *SIZES, *HERE, "--seeds", "2", "--select", "2", "--trials", "2"]

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a selection that was never stopped."""
    folder = tmp_path_factory.mktemp("made") / "run"
    with torch.random.fork_rng():
        assert main([*WORDS, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed and drawn of a result takes longer than the work of these tests."""
    monkeypatch.setattr(select, "print_result", lambda selection, found: None)


def result(folder: Path) -> dict[str, Any]:
    """selection.json."""
    found: dict[str, Any] = json.loads((folder / "selection.json").read_text())
    return found


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if not name.endswith("_s")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def check_same(one: Path, other: Path) -> None:
    """Bit for bit: the result, what it was read from, and the weights."""
    assert without_times(result(one)) == without_times(result(other))
    assert (one / "architecture.json").read_bytes() == (other / "architecture.json").read_bytes()
    for seed in (0, 1):
        for name in (f"seed-{seed}", f"select-{seed}"):
            assert tiny.history(one / name) == tiny.history(other / name)
        weights = [(folder / f"select-{seed}" / "weights.safetensors").read_bytes() for folder in (one, other)]
        assert weights[0] == weights[1]


# --- What is selected, and what it costs -----------------------------------------------------------------------------


def test_the_result_is_the_architecture_of_the_seed_that_is_best_on_val(made: Path) -> None:
    found = result(made)
    rows = found["seeds"]
    best = max(rows, key=lambda row: row["val_accuracy"])
    assert [row["seed"] for row in rows] == [0, 1] and found["seed"] == best["seed"]
    assert (made / "architecture.json").read_bytes() == (made / best["search"] / "architecture.json").read_bytes()
    for row in rows:
        search, training = Run.open(made / row["search"]), Run.open(made / row["training"])
        assert (search.command, search.seed, training.seed) == ("search", row["seed"], row["seed"])
        assert training.architecture == search.architecture
        assert training.metrics()[-1]["val_accuracy"] == row["val_accuracy"]
        assert search.environment["data"]["fingerprint"] == training.environment["data"]["fingerprint"]
    assert best_of([0.5, 0.7, 0.7]) == 1


@pytest.mark.slow
def test_each_seed_finds_what_its_search_alone_finds(made: Path, tmp_path: Path) -> None:
    assert main([*ALONE, "--seed", "1", "--out", str(tmp_path / "alone")]) == 0
    assert tiny.history(tmp_path / "alone") == tiny.history(made / "seed-1")


def test_each_training_is_that_which_serves_as_a_score_at_the_sizes_of_the_search(made: Path, tmp_path: Path) -> None:
    search = Run.open(made / "seed-1")
    config = train.Config(**Run.open(made / "select-1").settings)
    sizes = (config.channels, config.cells, config.batch_size, config.epochs, config.auxiliary, config.drop_path)
    assert sizes == (2, 3, 16, 1, False, 0.0) and config.crop_padding == 1 and not config.flip
    with Run.create(tmp_path / "run", config, setup=search.setup, command="search") as run:
        assert search.architecture is not None
        score = by_training(config, sources.load_setup(search.setup), run)(search.architecture, 0)
    assert score.value == result(made)["seeds"][1]["val_accuracy"]
    assert score.numbers["val_loss"] == result(made)["seeds"][1]["val_loss"]


def test_the_cost_counts_searches_and_trainings_apart(made: Path) -> None:
    found = result(made)
    cost = found["cost"]
    assert [cost[name]["steps"] for name in ("search", "selection", "total")] == [4, 4, 8]
    assert (
        [row["search_steps"] for row in found["seeds"]] == [row["selection_steps"] for row in found["seeds"]] == [2, 2]
    )
    assert cost["total"]["elapsed_s"] == cost["search"]["elapsed_s"] + cost["selection"]["elapsed_s"] > 0
    assert [batches(32, 16), batches(33, 16), batches(34, 16), batches(1, 16), batches(3, 1)] == [2, 2, 3, 1, 3]


def test_no_test_image_is_looked_at(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = sources.load_setup
    monkeypatch.setattr(sources, "load_setup", lambda *words: replace(load(*words), test=Sealed()))  # type: ignore[arg-type]
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("select.toml", "environment.json"):
        shutil.copy(made / name, folder)
    for piece in (search_seed, train_seed):
        piece(str(folder), 1)
    lines = [line for name in ("seed-1", "select-1") for line in tiny.history(folder / name)]
    assert lines == tiny.history(made / "seed-1") + tiny.history(made / "select-1")
    assert not any("test" in name for line in lines for name in line)


def test_searches_by_trials_are_selected_from_as_well(tmp_path: Path, no_pages: None) -> None:
    assert main([*TRIALS, "--no-auxiliary", "--drop-path", "0.1", "--out", str(tmp_path / "run")]) == 0
    found = result(tmp_path / "run")
    assert [found["cost"][name]["steps"] for name in ("search", "selection")] == [8, 8]  # of 2 trials, of 2 epochs
    assert Run.open(tmp_path / "run" / "select-0").settings["drop_path"] == 0.1
    assert found["seeds"][0]["search_score_is"] == "training of 1 epoch, val"


@pytest.mark.slow
def test_what_shared_weights_scored_is_trained_at_the_sizes_of_their_search(made: Path, tmp_path: Path) -> None:
    words = ["search", "random_search", "--shared-weights", str(made / "seed-0"), *HERE, "--batch-size", "16"]
    assert main([*words, "--trials", "3", "--seeds", "2", "--select", "1", "--out", str(tmp_path / "run")]) == 0
    assert "The best of 2 searches on digits" in (tmp_path / "run" / "report.html").read_text()
    found, training = result(tmp_path / "run"), Run.open(tmp_path / "run" / "select-1")
    assert [found["cost"][name]["steps"] for name in ("search", "selection")] == [0, 4]
    assert (training.settings["channels"], training.settings["cells"]) == (2, 3)
    known = Run.open(made / "seed-0").environment["data"]["fingerprint"]
    assert training.environment["data"]["fingerprint"] == known


# --- What the folder is good for -------------------------------------------------------------------------------------


def test_the_folder_is_trained_shown_exported_and_reported_as_a_run_is(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, selected = str(made), made / result(made)["search"]
    words = ["train", folder, *SIZES, *HERE, "--no-auxiliary", "--out", str(tmp_path / "trained")]
    assert main(words) == 0
    trained = Run.open(tmp_path / "trained")
    assert trained.architecture == Run.open(selected).architecture and trained.environment["parent"] == str(selected)
    capsys.readouterr()
    for command in (["show", "--no-counts"], ["export", "--to", "json"]):
        said = []
        for one in (folder, str(selected)):
            assert main([command[0], one, *command[1:]]) == 0
            said.append(capsys.readouterr().out.replace(Path(one).name, "X"))
        assert said[0] == said[1]
    before = (made / "report.html").read_text()
    assert main(["report", folder, "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text() == before


def test_its_main_table_is_written_as_csv_and_latex(made: Path, tmp_path: Path) -> None:
    names = {flag: tmp_path / name for flag, name in (("--out", "p.html"), ("--csv", "t.csv"), ("--latex", "t.tex"))}
    assert main(["report", str(made), *(str(word) for pair in names.items() for word in pair)]) == 0
    found = result(made)
    with open(names["--csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_accuracy"]) for row in rows] == [row["val_accuracy"] for row in found["seeds"]]
    assert [int(row["selection_steps"]) for row in rows] == [row["selection_steps"] for row in found["seeds"]]
    assert names["--latex"].read_text().count(r"\\") == len(rows) + 1


def test_the_page_names_the_selected_one_its_lead_and_the_cost(made: Path) -> None:
    page, found = (made / "report.html").read_text(), result(made)
    told = (f"Seed {found['seed']} was selected", margin_words(found), "after 1 epoch", "The cells of", "8 steps")
    assert [words for words in told[:3] if words not in page] == []
    assert 'id="seeds"' in page and 'id="cost"' in page and "clearly better" in page and "8 steps" in page
    assert page.count("normal cell") >= 2 and "dartboard train" in page
    assert (made / "seed-0" / "report.html").is_file()


def found_with(*accuracies: float, images: int = 1000) -> dict[str, Any]:
    rows = [{"seed": seed, "val_accuracy": accuracy} for seed, accuracy in enumerate(accuracies)]
    best = rows[best_of(accuracies)]
    return {"seed": best["seed"], "val_accuracy": best["val_accuracy"], "val_images": images, "seeds": rows}


def test_a_lead_is_clear_only_if_the_val_images_say_so() -> None:
    assert margin_words(found_with(0.9, 0.8, 0.7)).endswith(": clearly better")
    close = margin_words(found_with(0.79, 0.8, 0.7))
    assert close.startswith("1.00 points ahead of seed 0, 95 % interval -2.5") and close.endswith("not clearly better")
    assert margin_words(found_with(0.8, 0.8)) == "as good as seed 1: of equal ones the first is taken"


def test_a_training_that_selects_is_not_resumed_by_itself(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(made / "select-0")]) == 2
    assert f"resume the search: dartboard resume {made}" in capsys.readouterr().err


# --- Stopped, and resumed --------------------------------------------------------------------------------------------


def test_stopped_in_a_search_and_in_a_training_it_ends_as_if_never_stopped(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pages: None
) -> None:
    words, again = [*WORDS, "--out", str(tmp_path / "run")], ["resume", str(tmp_path / "run")]
    for budget, command in (("3steps", words), ("3steps", words), ("1steps", again)):  # after the steps 3, 6 and 7 of 8
        assert main([*command, "--budget", budget]) == 0
        assert f"resume with: dartboard resume {tmp_path / 'run'}" in capsys.readouterr().err
        assert not (tmp_path / "run" / "selection.json").exists()
    assert main(again) == 0
    check_same(tmp_path / "run", made)


@pytest.mark.slow
def test_stopped_after_every_step_it_ends_as_if_never_stopped(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, again = [*WORDS, "--out", str(tmp_path / "run")], ["resume", str(tmp_path / "run")]
    for step in range(8):
        assert not (tmp_path / "run" / "selection.json").exists()
        assert main([*(words if step % 2 == 0 else again), "--budget", "1steps"]) == 0
    assert main(again) == 0
    check_same(tmp_path / "run", made)
    capsys.readouterr()
    assert main(words) == 0 and main(again) == 0
    assert capsys.readouterr().out.count("already finished") == 2


@pytest.mark.slow
def test_searched_together_and_stopped_it_ends_the_same(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pages: None
) -> None:
    words = [*WORDS, "--together", "--out", str(tmp_path / "run")]
    assert main([*words, "--budget", "1steps"]) == 0
    told = capsys.readouterr()
    assert told.err.count("dartboard resume") == 1 and told.out.splitlines()[-1] == f"dartboard resume {tmp_path}/run"
    assert all(not Run.open(tmp_path / "run" / f"seed-{seed}").done for seed in (0, 1))
    assert main(words) == 0
    assert "seed 0  epoch 1/1" in capsys.readouterr().out
    check_same(tmp_path / "run", made)


def test_a_signal_stops_it_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pulse = Run.pulse

    def signalled(self: Run, save: Any, step: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        pulse(self, save, step)

    monkeypatch.setattr(Run, "pulse", signalled)
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 143
    assert f"after step 1, saved; resume with: dartboard resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert (tmp_path / "run" / "seed-0" / "checkpoint").is_dir() and not (tmp_path / "run" / "seed-1").exists()


def test_without_a_folder_the_same_command_goes_on_in_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(select, "run_selection", lambda *words: None)  # stopped before the first step
    for seed in (5, 0, 0):  # another command, the first start of this one, its second
        assert main([*WORDS, "--seed", str(seed)]) == 0
    assert sorted(os.listdir("runs")) == ["darts-digits-s0-select", "darts-digits-s5-select"]
    (tmp_path / "runs/darts-digits-s0-select/selection.json").write_text("{}")  # finished
    assert main(WORDS) == 0
    assert (tmp_path / "runs/darts-digits-s0-select-2/select.toml").is_file()


KILLING = """
import os, sys
replace, count, last = os.replace, 0, int(sys.argv[1])
def killing(*words, **more):
    global count
    count += 1
    if count == last: os.kill(os.getpid(), 9)
    replace(*words, **more)
os.replace = killing
from dartboard.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_never_stopped(made: Path, tmp_path: Path) -> None:
    """SIGKILL before a file is put in place, at random ones: of the folder, of the runs, of the result."""
    rng, kills, code = Random(0), 0, -1
    words = [*WORDS, "--save-every", "0.01s"]
    while code != 0:
        last = rng.randrange(1, 9)
        done = subprocess.run(
            [sys.executable, "-c", KILLING, str(last), *words, "--out", str(tmp_path / "run")], capture_output=True
        )
        code, kills = done.returncode, kills + 1
        assert code in (0, -signal.SIGKILL), done.stderr
        assert kills < 40
    assert kills > 4
    check_same(tmp_path / "run", made)


# --- Wrong input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("darts --select 1", "--select chooses among several seeds; give --seeds 4"),
        ("darts --seeds 2 --select 0", "--select is 0; give 1 or more"),
        ("darts --seeds 2 --select=-3", "--select is -3; give 1 or more"),
        ("darts --seeds 2 --select 1e9", "--select"),
        ("darts --seeds 2 --select 2000000", "--select is 2000000; give 1e+06 or less"),
        ("darts --seeds 2 --select 1 --from gone", "leave out --from, or --select"),
        ("darts --seeds 2 --select-config more.toml", "give --select 100, or leave it out"),
        ("darts --seeds 2 --select 1 --select-config gone.toml", "gone.toml"),
        ("darts --seeds 2 --select 1 --select-config more.toml", "unknown setting in more.toml 'alpha_lr'"),
        (
            "darts --seeds 2 --select 1 --select-config large.toml",
            "--batch-size 33 is more than the 32 images of train",
        ),
        ("darts --seeds 2 --select 1 --batch-size 33", "--batch-size 33 is more than the 32 images"),
        ("darts --seeds 2 --select 1 --out full", "full is not empty"),
        ("random_search --space nasbench201 --seeds 2 --select 1 --truth more.toml", "more.toml"),
        ("random_search --seeds 2 --select 1 --together", "--together is for searches that train a supernet"),
    ],
)
def test_what_cannot_be_selected_is_refused_in_one_line(
    words: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.toml").write_text("alpha_lr = 1.0\n")
    (tmp_path / "large.toml").write_text("batch_size = 33\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    sizes = ["--data", "digits", "--max-images", "64", "--channels", "2", "--cells", "3"]
    sizes += [] if "--batch-size" in words else ["--batch-size", "16"]
    assert main(["search", *words.split(), *([] if "truth" in words else sizes)]) == 2
    said = capsys.readouterr().err
    assert told in said and len(said.splitlines()) == 1
    assert sorted(os.listdir()) == ["full", "large.toml", "more.toml"]


@pytest.mark.slow
def test_workers_select_the_same(made: Path, tmp_path: Path, no_pages: None) -> None:
    folder = tmp_path / "run"
    assert main([*WORDS, "--workers", "2", "--out", str(folder)]) == 0
    check_same(made, folder)


def test_workers_that_cannot_work_on_a_selection_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for more, said in (
        (["--together", "--workers", "2"], "--together searches in one process, and --workers in several"),
        (["--workers", "2", "--budget", "5steps"], "--budget 5steps counts the steps of one process"),
        (["--workers", "0"], "--workers is '0'"),
    ):
        assert main([*WORDS, *more]) == 2
        assert said in capsys.readouterr().err


def test_a_table_has_the_accuracy_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dartboard.commands import select
    from dartboard.errors import InputError

    class Flags:
        select, from_ = 1, None
        new = type("New", (), {"seeds": 2, "workers": None})
        config = type("Config", (), {"truth": "accuracies.csv"})

    with pytest.raises(InputError, match="a table has its accuracy already; leave --select out"):
        select.refuse(Flags, "random_search")


def test_a_folder_of_other_settings_is_refused_and_left_as_it_is(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(made, tmp_path / "run")
    assert main([*WORDS, "--lr", "0.5", "--out", str(copied)]) == 2
    said = capsys.readouterr().err
    assert "search.lr: 0.025 at the start, 0.5 in this command" in said and "give another --out" in said
    check_same(copied, made)
    (copied / "select.toml").write_text((copied / "select.toml").read_text().replace("lr = 0.025", "lr = 0.5"))
    assert main(["resume", str(copied)]) == 2
    assert "select.toml was edited since the work started: search.lr" in capsys.readouterr().err


def test_a_run_of_other_settings_in_the_folder_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(made, tmp_path / "run")
    (copied / "selection.json").unlink()
    shutil.rmtree(copied / "seed-0")
    shutil.copytree(copied / "seed-1", copied / "seed-0")
    assert main(["resume", str(copied)]) == 2
    said = capsys.readouterr().err
    assert "seed-0 was made with other settings than" in said and "seed: 0 at the start, 1 now" in said
    assert main(["report", str(copied)]) == 2
    assert f"has no result yet; finish it with: dartboard resume {copied}" in capsys.readouterr().err


# --- Before the work -------------------------------------------------------------------------------------------------


def test_the_settings_are_printed_with_those_of_the_trainings_and_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more.toml").write_text("channels = 5\nauxiliary = true\n")
    more = ["--select-config", str(tmp_path / "more.toml")]
    assert main([*WORDS, *more, "--print-config"]) == 0
    said = capsys.readouterr().out
    (tmp_path / "printed.toml").write_text(said)
    assert from_toml(tmp_path / "printed.toml")["channels"] == 2
    assert "--select 1" in said and "# channels = 5" in said and "# auxiliary = true" in said and "# epochs = 1" in said
    words = ["search", "darts", "--config", str(tmp_path / "printed.toml"), "--print-config"]
    assert main(words) == 0


def test_a_dry_run_counts_the_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs: list[Any] = []

    def estimate(job: Any, seeds: int) -> float:
        jobs.append(job)
        return 60.0 * len(jobs)  # a minute a search, two a training

    monkeypatch.setattr(dryrun, "estimate", estimate)
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "selection: 2 trainings on train, scored on val" in said
    assert "2 trainings one after another, about 4 min; with the searches about 6 min in all" in said
    assert [(job.images, len(job.scored), job.config.epochs) for job in jobs] == [(32, 32, 1), (32, 32, 1)]
    assert os.listdir() == []


def test_an_open_selection_has_what_was_typed(made: Path) -> None:
    selection = Selection.open(made)
    assert (selection.method, selection.space, list(selection.seeds), selection.epochs) == ("darts", "darts", [0, 1], 1)
    assert selection.threads == 1 and selection.done and not selection.together
