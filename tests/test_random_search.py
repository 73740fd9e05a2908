"""Random search: by a table, by shared weights, by trainings; what it keeps, how it is resumed, what its page tells.

What it has in common with every method is tried by test_contracts.py.
"""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

import tiny
from dartboard import train
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data import Data
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import random_search
from dartboard.report import write_report
from dartboard.report.facts import mixed_of
from dartboard.runs.run import Run
from dartboard.scoring import tables
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.scoring.limits import Limit
from dartboard.scoring.scorers import Score, by_shared_weights, by_table
from dartboard.scoring.tables import Layout
from dartboard.spaces import SPACES, nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.training.by_training import by_training

CELLS = nasbench201.SPACE
SMALL = nasbench201.space("nasbench201", "made up", ("none", "nor_conv_3x3"))  # 64 cells
TRAINED: dict[str, Any] = {**tiny.TRAIN, "trials": 3}  # four steps a trial
SIZES = ["--channels", "2", "--cells", "3", "--epochs", "1", "--max-images", "64", "--batch-size", "32"]


@pytest.fixture
def small_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A table of 64 cells, in place of the 15,625: the more convolutions, the better; one column says the opposite."""
    columns = {"cifar10": ("cifar10-val", "cifar10-test"), "cifar100": ("cifar100-val", "cifar10-test")}
    layout = Layout(SMALL, "arch", nasbench201.from_string, nasbench201.to_string, columns)
    monkeypatch.setitem(tables.LAYOUTS, "nasbench201", layout)
    monkeypatch.setitem(SPACES, "nasbench201", SMALL)
    path = tmp_path / "accuracies.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "cifar10-val", "cifar10-test", "cifar100-val"])
        for cell in SMALL.enumerate():
            score = 10 + 10 * convolutions(cell)
            writer.writerow([nasbench201.to_string(cell), score, score + 5, 80 - score])
    yield path
    mixed_of.cache_clear()  # pages remember what the edges of a space mix


def convolutions(cell: Architecture) -> int:
    return [value for _, value in cell.choices].count("nor_conv_3x3")


def search(
    folder: Path, *, data: Data | None = None, space: SearchSpace = tiny.FEW, setup: Setup | None = None,
    more: dict[str, Any] | None = None, **settings: Any,
) -> random_search.Result:  # fmt: skip
    """A random search in a new folder."""
    config = random_search.Config(**settings)
    with Run.create(folder, config, setup=setup or Setup(device="cpu"), space=space.name) as run:
        return random_search.search(config, space, data, run, **(more or {}))


def resumed(
    folder: Path, data: Data | None = None, space: SearchSpace = tiny.FEW, steps: int | None = None
) -> random_search.Result:
    """Goes on with it, for so many steps."""
    with Run.open(folder, write=True) as run:
        run.limits.steps = steps
        return random_search.search(random_search.Config(**run.settings), space, data, run)


def trained(folder: Path, **more: Any) -> random_search.Result:
    return search(folder, data=tiny.digits(), **{**TRAINED, **more})


def weights_of(folder: Path, result: random_search.Result) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "trials" / f"{result.number:04d}" / "weights.safetensors")


def lines(folder: Path) -> list[dict[str, Any]]:
    return [line for line in tiny.history(folder) if line["event"] == "trial"]


# --- By a table ------------------------------------------------------------------------------------------------------


def test_the_best_by_the_column_seen_is_found_and_shown_by_the_other(small_table: Path, tmp_path: Path) -> None:
    result = search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=40)
    told = lines(tmp_path / "run")
    assert [line["trial"] for line in told] == list(range(40))
    assert (
        result.score.value
        == max(line["score"] for line in told)
        == pytest.approx(0.1 + 0.1 * convolutions(result.architecture))
    )
    assert result.number == next(line["trial"] for line in told if line["score"] == result.score.value)
    end = tiny.history(tmp_path / "run")[-1]
    assert (end["event"], end["shown_by"]) == ("result", "cifar10-test")
    assert end["shown"] == pytest.approx(result.score.value + 0.05)
    assert all("shown" not in line for line in told)
    assert Run.open(tmp_path / "run").architecture == result.architecture


def test_the_planted_best_of_64_cells_is_found(small_table: Path, tmp_path: Path) -> None:
    result = search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=300)
    assert result.architecture == nasbench201.architecture(["nor_conv_3x3"] * 6)
    opposite = search(tmp_path / "other", space=SMALL, truth=f"{small_table}:cifar100", trials=300)
    assert opposite.architecture == nasbench201.architecture(["none"] * 6)


def test_more_trials_begin_with_the_same_ones(small_table: Path, tmp_path: Path) -> None:
    search(tmp_path / "few", space=SMALL, truth=str(small_table), trials=5)
    search(tmp_path / "many", space=SMALL, truth=str(small_table), trials=9)
    assert lines(tmp_path / "many")[:5] == lines(tmp_path / "few")


def test_a_search_by_a_table_that_was_stopped_ends_as_one_that_was_not(small_table: Path, tmp_path: Path) -> None:
    whole = search(tmp_path / "whole", space=SMALL, truth=str(small_table), trials=12)
    cut = {"space": SMALL, "truth": str(small_table), "trials": 12, "setup": Setup(device="cpu", budget="5steps")}
    with pytest.raises(InterruptedRunError):
        search(tmp_path / "cut", **cut)
    with pytest.raises(InterruptedRunError):
        resumed(tmp_path / "cut", space=SMALL, steps=1)
    assert resumed(tmp_path / "cut", space=SMALL) == whole
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert resumed(tmp_path / "cut", space=SMALL) == whole  # a finished one gives its result again
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")


def test_a_table_that_has_changed_is_refused_on_resume(small_table: Path, tmp_path: Path) -> None:
    setup = Setup(device="cpu", budget="2steps")
    with pytest.raises(InterruptedRunError):
        search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=9, setup=setup)
    small_table.write_text(small_table.read_text().replace(",20,", ",21,"))
    with pytest.raises(InputError, match=r"is not that of the start of"):
        resumed(tmp_path / "run", space=SMALL)


def test_a_scorer_by_a_table_refuses_what_the_table_lacks(small_table: Path) -> None:
    scorer = by_table(tables.read_truth(str(small_table), "nasbench201"))
    with pytest.raises(InputError, match="the table has no line for"):
        scorer(nasbench201.architecture(["skip_connect"] * 6), 0)


# --- By trainings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [tiny.FEW, CELLS], ids=["darts", "nasbench201"])
def test_every_trial_is_a_training_whose_line_and_best_weights_stay(space: SearchSpace, tmp_path: Path) -> None:
    result = trained(tmp_path / "run", space=space)
    told = lines(tmp_path / "run")
    assert len(told) == 3 and all(line["architecture"] and line["macs"] > 0 and line["params"] > 0 for line in told)
    assert {"val_accuracy", "val_loss", "train_accuracy"} <= told[0].keys()
    assert not any("test" in name for line in tiny.history(tmp_path / "run") for name in line)
    kept = [folder.name for folder in (tmp_path / "run" / "trials").iterdir()]
    assert kept == [f"{result.number:04d}"]
    assert not (tmp_path / "run" / "trials" / kept[0] / "checkpoint").exists()
    assert sum(tensor.numel() for tensor in weights_of(tmp_path / "run", result).values()) >= result.cost.params


def test_a_score_says_of_how_many_epochs_its_training_was(tmp_path: Path) -> None:
    for epochs, source in ((1, "training of 1 epoch, val"), (2, "training of 2 epochs, val")):
        trained(tmp_path / str(epochs), trials=1, epochs=epochs)
        assert [line["source"] for line in lines(tmp_path / str(epochs))] == [source]


def test_a_search_stopped_at_every_step_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Three trials of four steps, and a step for each trial's end. Fewer stops: test_contracts.py."""
    stops = [1] * 14
    whole = trained(tmp_path / "whole")
    with pytest.raises(InterruptedRunError, match=r"dartboard resume .*cut$"):
        trained(tmp_path / "cut", setup=Setup(device="cpu", budget=f"{stops[0]}steps"))
    for steps in stops[1:]:
        with pytest.raises(InterruptedRunError):
            resumed(tmp_path / "cut", tiny.digits(), steps=steps)
    again = resumed(tmp_path / "cut", tiny.digits())
    assert (again.architecture, again.number, again.score.value) == (
        whole.architecture,
        whole.number,
        whole.score.value,
    )
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(weights_of(tmp_path / "cut", again), weights_of(tmp_path / "whole", whole))
    assert len(list((tmp_path / "cut" / "trials").iterdir())) == 1


def test_a_process_killed_in_a_trial_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    """SIGKILL while the second trial trains: nothing of its process is saved but what lies on the disk."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from dartboard.runs.run import Run\n"
        "pulse, steps = Run.pulse, []\n"
        "def killing(self, save, step):\n"
        "    pulse(self, save, step); steps.append(step)\n"
        "    if len(steps) == 8: os.kill(os.getpid(), 9)\n"
        "Run.pulse = killing\n"
        "import test_random_search; from pathlib import Path\n"
        "test_random_search.trained(Path(sys.argv[2]))\n"
    )
    words = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "cut")]
    done = subprocess.run(words, env=os.environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "cut" / "trials" / "0001" / "checkpoint").is_dir()
    whole, again = trained(tmp_path / "whole"), resumed(tmp_path / "cut", tiny.digits())
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(weights_of(tmp_path / "cut", again), weights_of(tmp_path / "whole", whole))


def test_a_score_by_training_learns_on_train_alone(tmp_path: Path) -> None:
    data, cell = tiny.digits(), tiny.FEW.sample(Random(0))
    config = train.Config(**tiny.TRAIN)
    seen = []
    for name, val in (("one", data.val), ("other", replace(data.val, labels=data.val.labels.flip(0)))):
        with Run.create(tmp_path / name, config, setup=Setup(device="cpu"), command="search") as run:
            score = by_training(config, replace(data, val=val), run)(cell, 7)
        seen.append((score.numbers["train_accuracy"], score.numbers["val_loss"]))
        assert (tmp_path / name / "trials" / "0007" / "weights.safetensors").is_file()
    assert seen[0][0] == seen[1][0]  # the val images changed nothing of what was learned
    assert seen[0][1] != seen[1][1]


def test_fit_refuses_to_score_on_what_it_learned(tmp_path: Path) -> None:
    config = train.Config(**tiny.TRAIN)
    module = tiny.sized(tiny.FEW.sample(Random(0)), config, tiny.digits())
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        with pytest.raises(InputError, match="learn on 'train' to score on 'val'"):
            train.fit(config, module, tiny.digits(), run, score_on="val")
        with pytest.raises(InputError, match="fit learns on"):
            train.fit(config, module, tiny.digits(), run, learn_on="test")  # type: ignore[arg-type]


def test_a_trial_is_not_resumed_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InterruptedRunError):
        trained(tmp_path / "run", setup=Setup(device="cpu", budget="1steps"))
    assert main(["resume", str(tmp_path / "run" / "trials" / "0000")]) == 2
    assert f"is a trial of a search; resume the search: dartboard resume {tmp_path / 'run'}" in capsys.readouterr().err


# --- By shared weights -----------------------------------------------------------------------------------------------


def test_shared_weights_score_the_path_through_the_supernet(tmp_path: Path) -> None:
    supernet, data = tiny.search(tmp_path / "darts").supernet, tiny.digits()
    result = search(tmp_path / "run", data=data, **{**TRAINED, "trials": 4}, more={"supernet": supernet})
    loss, accuracy = shared_weights_score(supernet, result.architecture, data, 16)
    assert (result.score.value, result.score.numbers["val_loss"]) == (accuracy, loss)
    assert by_shared_weights(supernet, data, 16)(result.architecture, 0).value == accuracy
    assert not (tmp_path / "run" / "trials").exists()


def test_the_weights_of_another_search_are_copied_when_the_run_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    darts = str(tmp_path / "darts")
    assert main(["search", "darts", *SIZES, "--out", darts]) == 0
    words = ["search", "random_search", "--shared-weights", darts, "--trials", "4", "--seed", "3", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    assert main([*words, str(tmp_path / "cut"), "--budget", "2steps"]) == 0
    shutil.rmtree(tmp_path / "darts" / "checkpoint")  # the run has a copy of the weights
    assert main(["resume", str(tmp_path / "cut")]) == 0
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert {line["source"] for line in lines(tmp_path / "whole")} == {"shared weights, val"}
    run = Run.open(tmp_path / "whole")
    assert (run.setup.data, run.setup.max_images, run.seed) == ("digits", 64, 3)
    assert main(["search", "random_search", "--shared-weights", str(tmp_path / "whole")]) == 2
    assert "trained no supernet; give the folder of a search that did" in capsys.readouterr().err


# --- Limits, and other scorers ---------------------------------------------------------------------------------------


def test_only_architectures_within_the_limits_are_scored(small_table: Path, tmp_path: Path) -> None:
    result = search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=8, limit="macs<=100M")
    assert all(line["macs"] <= 100e6 for line in lines(tmp_path / "run"))
    assert result.cost.macs <= 100e6 and convolutions(result.architecture) <= 2
    more = {"limits": [Limit("params", 1e5)]}
    other = search(tmp_path / "other", space=SMALL, truth=str(small_table), trials=2, more=more)
    assert other.cost.params <= 1e5


@pytest.mark.parametrize("method", ["random_search", "reinforce", "ppo"])  # the last two write before they draw
def test_a_limit_that_nothing_meets_leaves_no_run(
    method: str, small_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", method, "--space", "nasbench201", "--truth", str(small_table), "--limit", "macs<=3M"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "the smallest architecture of nasbench201 has 7,783,040 multiply-adds" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_scorer_of_ones_own_needs_no_data(tmp_path: Path) -> None:
    def scorer(architecture: Architecture, number: int) -> Score:
        return Score(1 / (2 + number), source="made up")

    result = search(tmp_path / "run", space=SMALL, trials=3, more={"scorer": scorer})
    assert (result.number, result.score.value) == (0, 0.5)  # the first trial is the best
    with pytest.raises(InputError, match="there is nothing to score with"):
        search(tmp_path / "other", space=SMALL, trials=3)


def test_a_scorer_of_ones_own_comes_before_the_table(small_table: Path, tmp_path: Path) -> None:
    more = {"scorer": lambda architecture, number: Score(number / 10, source="by hand")}
    found = search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=3, more=more)
    assert (found.score.value, found.score.source) == (0.2, "by hand")


def test_every_cell_is_drawn_equally_often() -> None:
    """Chi-square over the 15,625 cells, ten draws a cell: mean 15,624, standard deviation 177."""
    rng, number = Random(0), 156_250
    drawn = Counter(CELLS.sample(rng).choices for _ in range(number))
    expected = number / CELLS.size
    chi2 = sum((count - expected) ** 2 / expected for count in drawn.values()) + expected * (CELLS.size - len(drawn))
    assert abs(chi2 - (CELLS.size - 1)) < 4 * (2 * (CELLS.size - 1)) ** 0.5


# --- The command line and the page -----------------------------------------------------------------------------------


def test_the_command_searches_by_a_table_and_its_settings_begin_it_again(
    small_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "random_search", "--space", "nasbench201", "--truth", f"{small_table}:cifar10"]
    assert main([*words, "--trials", "30", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "score " in said and "shown by cifar10-test: " in said and "report: " in said
    table = (tmp_path / "run" / "config.toml").read_text()
    assert 'data = "none"' in table and f'truth = "{small_table}:cifar10"' in table
    again = ["search", "random_search", "--space", "nasbench201", "--config", str(tmp_path / "run" / "config.toml")]
    assert main([*again, "--out", str(tmp_path / "again")]) == 0
    assert tiny.history(tmp_path / "again") == tiny.history(tmp_path / "run")
    assert main([*words, "--trials", "3", "--dry-run"]) == 0
    assert "3 trials, each looked up in the table" in capsys.readouterr().out


def test_without_a_folder_the_run_is_named_for_the_table(
    small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--space", "nasbench201", "--truth", "accuracies.csv", "--trials", "2", "--seeds", "2"]
    assert main(["search", "random_search", *words]) == 0
    assert {folder.name for folder in (tmp_path / "runs").iterdir()} == {
        "random_search-accuracies-s0", "random_search-accuracies-s1"
    }  # fmt: skip


def test_what_a_table_scored_is_not_trained_on_images_that_nobody_named(
    small_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=2, setup=Setup(data="none"))
    assert main(["train", str(tmp_path / "run"), "--print-config"]) == 2
    assert "was scored by a table, without images; give --data, such as digits" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "run"), "--print-config", "--data", "digits"]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--truth {table}", "there is no layout of tables for the space darts; give --space nasbench201"),
        ("--space nasbench201 --truth {table}:cifar1", "unknown column 'cifar1'"),
        ("--space nasbench201 --truth gone.csv", "there is no file gone.csv"),
        ("--space nasbench201 --truth {table} --data digits", "--data and --truth exclude each other"),
        ("--space nasbench201 --truth {table} --trials 0", "--trials is 0; give 1"),
        ("--space nasbench201 --truth {table} --epochs 3", "--epochs has no effect if a table scores"),
        ("--space nasbench201 --truth {table} --no-flip", "--flip has no effect if a table scores"),
        ("--space nasbench201 --truth {table} --limit macs", "--limit has 'macs'; give it as macs<=330M"),
        ("--space nasbench201 --truth {table} --limit latency_ms<=2", "--limit latency_ms needs a table"),
        ("--space nasbench201 --truth {table} --shared-weights .", "no run in ."),
        ("--shared-weights gone", "no run in gone"),
        ("--data digits --shared-weights gone", "--data and --shared-weights exclude each other"),
        ("--data digits --from gone", "random_search takes nothing from another search"),
        ("--data digits --together --seeds 2", "--together is for searches that train a supernet"),
        ("--data digits --batch-size 100000 --max-images 64", "--batch-size 100000 is more than the 32 images"),
        ("--data none", "only a search scored by a table"),
        ("--space s9", "unknown space 's9'"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_in_one_line(
    words: str, told: str, small_table: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["search", "random_search", *words.format(table=small_table).split(), "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert told in said and len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_table_of_another_space_is_refused(small_table: Path, tmp_path: Path) -> None:
    other = nasbench201.space("three operations", "made up", ("none", "skip_connect", "nor_conv_3x3"))
    with pytest.raises(InputError, match="the table is of the space nasbench201, not three operations"):
        search(tmp_path / "run", space=other, truth=str(small_table), trials=2)


def test_the_page_tells_the_trials_and_marks_the_front(small_table: Path, tmp_path: Path) -> None:
    result = search(tmp_path / "run", space=SMALL, truth=str(small_table), trials=30)
    page = write_report([tmp_path / "run"]).read_text()
    titles = ("Best so far over trials", "Score against multiply-adds", "Pareto front")
    for told in ("The best of 30 architectures", *titles):
        assert told in page
    assert f"{100 * result.score.value:.2f} %" in page and nasbench201.to_string(result.architecture) in page
    assert "Finished: 30 trials" in page and "which the search did not see" in page


def test_pages_of_unfinished_and_of_several_searches_are_written(small_table: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        search(tmp_path / "cut", space=SMALL, truth=str(small_table), trials=9, setup=Setup(budget="3steps"))
    assert "Not finished: 3 trials of 9" in write_report([tmp_path / "cut"]).read_text()
    search(tmp_path / "one", space=SMALL, truth=str(small_table), trials=3)
    tiny.search(tmp_path / "darts")
    several = write_report([tmp_path / "cut", tmp_path / "one", tmp_path / "darts"]).read_text()
    assert "Searches by trials" in several
    alone = write_report([tmp_path / "darts"]).read_text()
    assert 'id="trials"' not in alone


def test_a_checkpoint_of_another_kind_of_run_is_refused(tmp_path: Path) -> None:
    tiny.search(tmp_path / "darts")
    config = random_search.Config(**TRAINED)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        run.save({}, step=1, epoch=0)
        with pytest.raises(InputError, match="is of another run"):
            random_search.search(config, tiny.FEW, tiny.digits(), run)


def test_two_ways_to_score_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="two ways to score"):
        random_search.Config(truth="a.csv", shared_weights="b")
