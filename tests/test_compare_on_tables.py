"""`dartboard compare` on a table: what counts as a seed's result, what stays on the disk, what is refused."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import made_up_tables
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.methods import random_search
from dartboard.report.facts import mixed_of
from dartboard.runs.limits import Terminated
from dartboard.runs.run import Run
from dartboard.scoring import many_counts
from dartboard.scoring.cost import count
from dartboard.scoring.many_counts import macs_of
from dartboard.scoring.tables import read_truth
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.studies import compare_on_table
from dartboard.studies.budgets import Budget, parse_size
from dartboard.studies.comparison_folder import ComparisonFolder
from dartboard.studies.comparison_values import comparison_of
from dartboard.studies.contenders import Comparison
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces
from dartboard.studies.values_on_table import best_so_far


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A table of 64 cells with random accuracies, in place of the 15,625."""
    made_up_tables.put_in_place(monkeypatch)
    yield made_up_tables.write(tmp_path / "accuracies.csv")
    mixed_of.cache_clear()  # pages remember what the edges of a space mix


def words(truth: Path, out: Path, *more: str, trials: int = 12, seeds: int = 3) -> list[str]:
    size = ["--budget", f"{trials}trials", "--seeds", str(seeds)]
    return ["compare", "--methods", "random_search", "--space", "nasbench201", "--truth", str(truth), *size,
            "--out", str(out), *more]  # fmt: skip


def found(folder: Path) -> Comparison:
    return comparison_of(ComparisonFolder.open(folder))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials-random_search.jsonl").read_text().splitlines()]


def stopping_after(pieces: int) -> Any:
    """`run_seeds`, stopped by SIGTERM after so many pieces of work."""
    run, seen = compare_on_table.run_seeds, []

    def stopping(**piece: Any) -> Any:
        seen.append(piece)
        if len(seen) > pieces:
            raise Terminated
        return run(**piece)

    return stopping


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    """The one line of an exit with code 2."""
    assert main(list(given)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("dartboard: ")
    return said


# --- What is compared ------------------------------------------------------------------------------------------------


def test_every_seed_is_the_search_of_that_seed(truth: Path, tmp_path: Path) -> None:
    assert main(words(truth, tmp_path / "out")) == 0
    for one in found(tmp_path / "out").contenders[0].repetitions:
        config = random_search.Config(trials=12, truth=str(truth))
        folder = tmp_path / f"run{one.seed}"
        with Run.create(folder, config, setup=Setup(device="cpu", seed=one.seed), space="nasbench201") as run:
            random_search.search(config, SPACES["nasbench201"], None, run)
            told = run.metrics()
        shown = read_truth(str(truth), "nasbench201").shown
        trials = [line for line in told if line["event"] == "trial"]
        assert (one.result, one.cost) == (told[-1]["shown"], 12.0)
        family = FAMILIES["nasbench201"]
        best = max(trials, key=lambda line: line["score"])
        assert one.architecture == best["architecture"]
        assert one.costs == tuple(range(1, 13)) and len(one.best) == 12
        from dartboard import formats

        assert one.best[0] == shown[formats.read(trials[0]["architecture"])[0]]
        assert one.best[-1] == one.result and family.notation == "nasbench201"


def test_the_result_is_the_first_of_the_best_by_what_is_seen() -> None:
    assert best_so_far([3.0, 5.0, 5.0, 4.0, 7.0, 7.0]).tolist() == [0, 1, 1, 1, 4, 4]
    assert best_so_far([0.0, 0.0]).tolist() == [0, 0]


def test_random_search_and_the_largest_of_as_many_draws_are_always_there(truth: Path, tmp_path: Path) -> None:
    main(words(truth, tmp_path / "out"))
    one = found(tmp_path / "out")
    assert [(c.label, c.role) for c in one.contenders] == [
        ("random_search", "random at equal cost"),
        ("most multiply-adds", "most multiply-adds"),
    ]
    space, shown = SPACES["nasbench201"], read_truth(str(truth), "nasbench201").shown
    everything = list(space.enumerate())
    for line, largest in zip(lines(tmp_path / "out"), one.contenders[1].repetitions, strict=True):
        drawn = [everything[number] for number in line["trials"]]
        macs = [count(architecture).macs for architecture in drawn]
        assert largest.result == shown[drawn[macs.index(max(macs))]]
        assert len(largest.best) == len(drawn) == 12


def test_the_table_of_results_is_written_and_printed(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(truth, tmp_path / "out")) == 0
    said = capsys.readouterr().out
    assert "random_search" in said and "most multiply-adds" in said and "n = 3, 12 trials" in said
    with open(tmp_path / "out" / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["contender"] for row in rows] == ["random_search", "most multiply-adds"]
    results = [one.result for one in found(tmp_path / "out").contenders[0].repetitions]
    assert float(rows[0]["mean_accuracy"]) == pytest.approx(sum(results) / 3)  # type: ignore[arg-type]


def test_settings_from_a_file_are_among_the_conditions(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("lr = 0.5\n")
    given = words(truth, tmp_path / "out", "--config", f"random_search={tmp_path}/one.toml", seeds=1)
    assert main(given) == 0
    conditions = found(tmp_path / "out").conditions
    assert conditions["settings of random_search"] == "lr = 0.5"
    assert conditions["budget"] == "12 trials for each method and seed" and conditions["seeds"] == "0 to 0"


def test_sums_over_choices_are_the_counts_of_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_counts, "TRIED", 5)
    space = SPACES["nasbench201"]
    drawn = [space.sample(Random(number)) for number in range(20)]
    assert macs_of(space, drawn) == [count(one).macs for one in drawn]
    assert macs_of(space, drawn[:3]) == [count(one).macs for one in drawn[:3]]


def test_a_space_whose_choices_do_not_add_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_counts, "TRIED", 5)
    monkeypatch.setattr(many_counts, "summing", lambda space: lambda architecture: -1)
    space = SPACES["nasbench201"]
    drawn = [space.sample(Random(number)) for number in range(20)]
    assert macs_of(space, drawn) == [count(one).macs for one in drawn]


def test_budgets_are_trials_steps_or_a_time() -> None:
    assert parse_size("200trials") == Budget(200, "trials") and parse_size("1 trial") == Budget(1, "trials")
    assert parse_size("500steps") == Budget(500, "steps") and parse_size("1m30s") == Budget(90.0, "seconds")
    assert [str(parse_size(text)) for text in ("1trial", "2000steps", "10m")] == ["1 trial", "2,000 steps", "10 min"]


# --- Files, and going on ---------------------------------------------------------------------------------------------


def test_a_comparison_that_was_stopped_ends_as_one_that_was_not(
    truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_on_table, "seeds_at_once", lambda done: 2)
    assert main(words(truth, tmp_path / "whole", seeds=5)) == 0
    assert main(words(truth, tmp_path / "cut", "--until", "0.000001s", seeds=5)) == 0
    assert f"dartboard resume {tmp_path / 'cut'}" in capsys.readouterr().err
    assert not (tmp_path / "cut" / "trials-random_search.jsonl").exists()
    with monkeypatch.context() as patched:
        patched.setattr(compare_on_table, "run_seeds", stopping_after(1))
        assert main(["resume", str(tmp_path / "cut")]) == 143
    assert len(lines(tmp_path / "cut")) == 2
    with open(tmp_path / "cut" / "trials-random_search.jsonl", "a") as file:
        file.write('{"key": "2", "tri')  # as a process leaves it that is killed while it writes
    assert main(["resume", str(tmp_path / "cut")]) == 0
    trials = [{line["key"]: line["trials"] for line in lines(tmp_path / name)} for name in ("cut", "whole")]
    assert trials[0] == trials[1] and len(trials[0]) == 5


def test_the_same_command_goes_on_and_repeats_nothing(
    truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(words(truth, tmp_path / "out")) == 0
    monkeypatch.setattr(compare_on_table, "run_seeds", lambda **piece: pytest.fail("nothing is left to do"))
    assert main(words(truth, tmp_path / "out")) == 0
    assert main(["resume", str(tmp_path / "out")]) == 0


def test_a_process_that_is_killed_loses_the_seeds_in_work_alone(truth: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "import pytest, made_up_tables\n"
        "from dartboard.studies import compare_on_table\n"
        "made_up_tables.put_in_place(pytest.MonkeyPatch())\n"
        "compare_on_table.MOST_SEEDS, run, seen = 1, compare_on_table.run_seeds, []\n"
        "def killing(**piece):\n"
        "    seen.append(piece)\n"
        "    if len(seen) == 3: os.kill(os.getpid(), 9)\n"
        "    return run(**piece)\n"
        "compare_on_table.run_seeds = killing\n"
        "from dartboard.cli import main; main(sys.argv[2:])\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), *words(truth, tmp_path / "out", seeds=4)]
    assert subprocess.run(command, env=os.environ, capture_output=True).returncode == -signal.SIGKILL
    assert [line["key"] for line in lines(tmp_path / "out")] == ["0", "1"]
    before = lines(tmp_path / "out")
    assert main(words(truth, tmp_path / "out", seeds=4)) == 0
    assert lines(tmp_path / "out")[:2] == before and len(lines(tmp_path / "out")) == 4


def test_a_piece_of_work_is_as_many_seeds_as_take_two_seconds(tmp_path: Path) -> None:
    done = Pieces(tmp_path, "trials.jsonl")
    assert compare_on_table.seeds_at_once(done) == 1
    for seconds, number in ((0.5, 4), (0.001, 100), (30.0, 1), (0.0, 100)):
        done.add(str(seconds), trials=[1], seconds=seconds)
        assert compare_on_table.seeds_at_once(done) == number


def test_an_evolution_without_a_child_is_noted(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for trials, noted in ((10, True), (11, False)):
        out = tmp_path / str(trials)
        assert main(words(truth, out, "--methods", "regularized_evolution", trials=trials)) == 0
        text = "its 10 trials only fill its population of 10; they are all random"
        assert (f"note: regularized_evolution: {text}; give" in capsys.readouterr().err) == noted
        assert found(out).conditions.get("note on regularized_evolution") == (text if noted else None)


@pytest.mark.parametrize(
    "edit",
    [("seconds", "long"), ("seconds", None), ("trials", []), ("trials", [64]), ("trials", [-1]), ("trials", [0] * 13)],
    ids=str,
)
def test_a_damaged_line_of_trials_is_one_line(
    edit: tuple[str, Any], truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(truth, tmp_path / "out", seeds=1)) == 0
    (line,) = lines(tmp_path / "out")
    (tmp_path / "out" / "trials-random_search.jsonl").write_text(json.dumps({**line, edit[0]: edit[1]}) + "\n")
    for command in (["compare", str(tmp_path / "out")], ["resume", str(tmp_path / "out")]):
        capsys.readouterr()
        assert main(command) == 2
        assert "trials-random_search.jsonl is damaged at key 0; delete the line" in capsys.readouterr().err


def test_several_pieces_are_written_at_once_and_read_again(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path, "other.jsonl")
    pieces.add_all({"1": {"trials": [1, 2]}, "2": {"trials": [3]}})
    assert Pieces(tmp_path, "other.jsonl").done == pieces.done == {"1": {"trials": [1, 2]}, "2": {"trials": [3]}}


# --- Refusals --------------------------------------------------------------------------------------------------------


def test_another_comparison_in_the_folder_is_refused(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(truth, tmp_path / "out")) == 0
    capsys.readouterr()
    said = refused(capsys, *words(truth, tmp_path / "out", seeds=4))
    assert "is another comparison: seeds: 3 at the start, 4 now; give another folder with --out" in said
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    assert "is not empty" in refused(capsys, *words(truth, tmp_path / "other"))
    path = tmp_path / "out" / "compare.toml"
    path.write_text(path.read_text().replace("amount = 12", "amount = 13"))
    assert "was edited since the work started" in refused(capsys, "resume", str(tmp_path / "out"))


def test_a_table_that_has_changed_is_refused_when_it_goes_on(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(truth, tmp_path / "out")) == 0
    capsys.readouterr()
    made_up_tables.write(truth, seed=1)
    assert "is not that of the start of" in refused(capsys, "resume", str(tmp_path / "out"))


REFUSED = {
    "no methods": ({"--methods": ""}, "name the methods"),
    "an unknown method": ({"--methods": "random_serch"}, "unknown method 'random_serch'; did you mean"),
    "two of one name": ({"--methods": "random_search,random_search"}, "names random_search twice"),
    "an impossible pair": ({"--methods": "darts", "--space": "s9"}, "unknown space"),
    "a supernet on a table": ({"--methods": "darts,random_search"}, "darts queries no truth"),
    "a time": ({"--budget": "10m"}, "a table takes no time; give trials such as 200trials"),
    "steps": ({"--budget": "500steps"}, "nothing is trained on a table; give trials"),
    "no trials": ({"--budget": "0trials"}, "--budget is '0trials'; give 1trial or more"),
    "no steps": ({"--budget": "0steps"}, "--budget is '0steps'; give 1step or more\n"),
    "no budget": ({"--budget": "much"}, "--budget is 'much'; give trials such as 200trials"),
    "another space": ({"--space": "darts"}, "there is no layout of tables for the space darts"),
    "both": ({"--data": "digits"}, "give either --truth FILE or --data NAME"),
    "no such file": ({"--truth": "nowhere.csv"}, "nowhere.csv"),
    "a limit too low": ({"--limit": "macs<=1"}, "the smallest architecture of"),
    "a file of no method": ({"--config": "darts=x.toml"}, "unknown method in --config 'darts'; known: random_search\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_one_line(name: str, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, text = REFUSED[name]
    given = words(truth, tmp_path / "out")
    for flag, value in changes.items():
        given = [*given, flag, value]
    assert text in refused(capsys, *given)
    assert not (tmp_path / "out").exists()


def test_a_table_with_holes_is_refused(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth.write_text("".join(truth.read_text().splitlines(keepends=True)[:-1]))
    assert "lacks 1 of the 64 architectures" in refused(capsys, *words(truth, tmp_path / "out"))


def test_flags_of_trainings_are_refused_on_a_table(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare"]) == 2
    assert "name the methods" in capsys.readouterr().err
    assert "--epochs has no effect if a table scores" in refused(capsys, *words(truth, tmp_path, "--epochs", "3"))


def test_the_time_left_is_said_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    shown = Countdown(10, "seeds", now=lambda: now[0])
    for now[0], number in ((4.0, 2), (12.0, 2), (13.0, 2), (40.0, 4)):
        shown.advance("of reinforce", number)
    assert capsys.readouterr().out == "4 of 10 seeds done, the last one of reinforce; about 18 s left\n"
