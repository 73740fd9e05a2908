"""Run folders: made once, opened, refused, in use; metrics; random numbers; the data they began with."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
import torch

import dartboard
import tiny
from dartboard import train
from dartboard.config import Setup, build, from_toml
from dartboard.data import Data, load_data
from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.methods import darts
from dartboard.runs import environment
from dartboard.runs.environment import program
from dartboard.runs.run import Run


@dataclass(frozen=True)
class Config:
    epochs: int = 3
    lr: float = 0.1
    betas: tuple[float, float] = (0.5, 0.9)


CPU = Setup(device="cpu", seed=5)


def new_run(folder: Path, setup: Setup = CPU) -> Run:
    return Run.create(folder, Config(), setup=setup, command="search", method="darts", space="darts")


def test_a_command_is_noted_as_it_is_typed_also_where_python_runs_the_package() -> None:
    package = Path(dartboard.__file__).parent
    assert program(str(package / "__main__.py")) == program("/usr/bin/dartboard") == "dartboard"
    assert program("mine/__main__.py") == "__main__.py" and program("examples/search.py") == "search.py"


def test_a_run_comes_back_as_it_was_made(tmp_path: Path) -> None:
    architecture = published()["DARTS_V2"].architecture
    made = Run.create(tmp_path / "a/b", Config(lr=1e-3), setup=CPU, command="train", architecture=architecture)
    made.close()
    run = Run.open(tmp_path / "a/b")
    assert (run.command, run.method, run.setup, run.architecture) == ("train", None, CPU, architecture)
    assert build(Config, run.settings) == Config(lr=1e-3)
    assert run.environment["torch"] == torch.__version__ and run.environment["threads"] == torch.get_num_threads()


def test_seed_is_short_for_a_setup(tmp_path: Path) -> None:
    assert Run.create(tmp_path / "run", Config(), seed=7).seed == 7
    assert from_toml(tmp_path / "run/config.toml")["seed"] == 7


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "config.toml", "checkpoint"])
def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        new_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_empty_folder_and_the_leftover_of_a_killed_beginning_are_taken(tmp_path: Path) -> None:
    new_run(tmp_path).close()
    (tmp_path / "config.toml").unlink()  # killed before it was written
    (tmp_path / ".config.toml.part").write_text("command = ")
    new_run(tmp_path).close()
    assert Run.open(tmp_path).method == "darts"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        new_run(tmp_path / "file")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="no run in"):
            Run.open(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"space": "darts"}', "\0", "[" * 100000])
def test_damaged_files_of_a_run_are_named(tmp_path: Path, content: str) -> None:
    run = new_run(tmp_path)
    (tmp_path / "architecture.json").write_text(content)
    with pytest.raises(InputError, match=r"architecture\.json"):
        _ = run.architecture


@pytest.mark.parametrize("line", ["", "{", "[]", "3", "\0", "[" * 100000, "{}}"])
def test_damaged_metrics_are_named(tmp_path: Path, line: str) -> None:
    run = new_run(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("{}\n" + line + "\n{}\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl is damaged"):
        run.metrics()


def test_a_folder_in_use_by_a_living_process_is_refused_and_free_when_it_dies(tmp_path: Path) -> None:
    new_run(tmp_path).close()
    words = (
        f"from dartboard import Run; Run.open({str(tmp_path)!r}, write=True); print('open', flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "open\n"
    with pytest.raises(InputError, match=f"in use by process {holder.pid}"):
        Run.open(tmp_path, write=True)
    assert Run.open(tmp_path).seed == 5  # reading is always possible
    holder.kill()
    holder.communicate()
    with Run.open(tmp_path, write=True) as run:
        assert run.seed == 5


def test_two_runs_of_one_process_do_not_share_a_folder(tmp_path: Path) -> None:
    with new_run(tmp_path), pytest.raises(InputError, match=r"in use by this process; call its run\.close"):
        Run.open(tmp_path, write=True)
    Run.open(tmp_path, write=True).close()


def test_a_run_that_is_discarded_leaves_nothing_behind_unless_it_has_worked(tmp_path: Path) -> None:
    with new_run(tmp_path / "a/b") as run:
        run.discard()
    assert list(tmp_path.iterdir()) == []
    with new_run(tmp_path / "c") as run:
        run.log(event="start")
        run.discard()
    assert (tmp_path / "c/config.toml").exists()


def test_metrics_keep_numbers_exactly_and_drop_a_last_line_that_is_not_whole(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    exact = [0.1 + 0.2, 1e-310, 1 / 3, 2**53 + 1]
    run.log(event="step", values=exact, tensor=torch.tensor([0.1], dtype=torch.float64), bad=float("nan"))
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"event": "st')
    assert run.metrics() == [{"event": "step", "values": exact, "tensor": [0.1], "bad": None}]
    assert all(json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()[:1])


def test_a_run_is_done_when_its_result_is_written(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert not run.done and run.architecture is None
    run.finish(published()["DARTS_V1"].architecture, val_accuracy=0.5)
    assert run.done and run.architecture == published()["DARTS_V1"].architecture
    assert Run.open(tmp_path).metrics()[-1] == {"event": "result", "val_accuracy": 0.5}


def test_random_numbers_are_a_function_of_seed_name_and_index(tmp_path: Path) -> None:
    one, other = new_run(tmp_path / "one"), new_run(tmp_path / "other")
    another_seed = new_run(tmp_path / "seed", replace(CPU, seed=6))

    def draw(run: Run, name: str, index: int) -> list[float]:
        return torch.rand(4, generator=run.generator(name, index)).tolist()

    assert draw(one, "order", 3) == draw(other, "order", 3) == draw(one, "order", 3)
    different = [draw(one, "order", 4), draw(one, "noise", 3), draw(another_seed, "order", 3), draw(one, "order", 3)]
    assert len({tuple(numbers) for numbers in different}) == 4


def digits(seed: int = 0) -> Data:
    return load_data("digits", seed=seed, max_images=40)


def test_the_same_data_is_taken_and_changed_data_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.check_data(digits())
    run.check_data(digits())
    assert run.environment["data"]["train"] == 20
    with pytest.raises(InputError, match="has changed: it started with other images"):
        run.check_data(digits(seed=1))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to make a file immutable")
def test_a_folder_where_nothing_can_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    if subprocess.run(["chattr", "+i", str(tmp_path)], capture_output=True).returncode != 0:
        pytest.skip("this file system has no immutable files")
    try:
        with pytest.raises(InputError, match="cannot write in"):
            new_run(tmp_path)
    finally:
        subprocess.run(["chattr", "-i", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write in"):
        new_run(tmp_path / "run")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("work", ["search", "fit"])
def test_work_begun_from_python_notes_its_data_and_is_not_gone_on_with_on_others(tmp_path: Path, work: str) -> None:
    other = replace(tiny.digits(), fingerprint="of other images")
    if work == "search":
        tiny.search(tmp_path / "run")
        resume = darts.search, darts.Config(**tiny.SEARCH), tiny.FEW
    else:
        architecture = tiny.FEW.sample(Random(0))
        module = tiny.fit(tmp_path / "run", architecture, epochs=1)[1]
        resume = train.fit, train.Config(**{**tiny.TRAIN, "epochs": 1}), module
    with Run.open(tmp_path / "run", write=True) as run:
        assert run.environment["data"]["fingerprint"] == tiny.digits().fingerprint
        function, *first = resume
        with pytest.raises(InputError, match="has changed"):
            function(*first, other, run)


def test_the_commit_of_a_run_is_that_of_the_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    for name in ("runs", "networks"):
        (package / name).mkdir(parents=True)
    monkeypatch.setattr(dartboard, "__file__", str(package / "__init__.py"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    for name in ("runs", "networks"):
        (package / name / "file.py").write_text("")
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", name], check=True)
    last = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert environment.commit() == last
    (package / "networks" / "file.py").write_text("changed")
    assert environment.commit() == f"{last}+changes"
