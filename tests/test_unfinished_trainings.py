"""A training that is not finished is scored, exported and loaded as of its last checkpoint, and left as it was."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import tiny
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.errors import InputError, InterruptedRunError
from dartboard.export.run_weights import Unfinished
from dartboard.export.weights import load_network, load_trained, write_torch
from dartboard.formats import published
from dartboard.runs.checkpoint import checkpoints, newest, read_checkpoint
from dartboard.runs.run import Run

V2 = published()["DARTS_V2"].architecture
WORDS = "not finished: epoch 1 of 3, step 6"  # four steps an epoch


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of three epochs that was stopped in the middle of the second."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    with torch.random.fork_rng(), pytest.raises(InterruptedRunError):
        tiny.fit(folder, V2, setup=Setup(device="cpu", max_images=64, budget="6steps"), epochs=3)
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path / "run"


def contents(folder: Path) -> list[tuple[str, bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted((str(path), path.read_bytes(), path.stat().st_mtime_ns) for path in files)


def test_its_weights_are_those_of_the_newest_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = read_checkpoint(checkpoints(run / "checkpoint")[-1])
    assert saved is not None
    state = {name.removeprefix("network/"): t for name, t in saved.tensors.items() if name.startswith("network/")}
    before = contents(run)
    network, description = load_trained(run)
    assert tiny.same_tensors(network.state_dict(), state) and not network.training
    assert description.unfinished == Unfinished(1, 3, 6) and description.trained
    assert tiny.same_tensors(load_network(run).state_dict(), state)
    assert WORDS in capsys.readouterr().err
    assert contents(run) == before


def test_evaluate_scores_it_and_says_where_it_stands(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith(f"; {WORDS})") and "of 359 images" in first
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == {"epoch": 1, "epochs": 3, "step": 6}
    assert main(["evaluate", str(run), "--arch", "DARTS_V2"]) == 0 and WORDS in capsys.readouterr().out
    assert main(["evaluate", str(run), "--arch", "PDARTS"]) == 2
    assert contents(run) == before


def test_a_part_of_a_checkpoint_is_answered_with_the_runs_folder(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = checkpoints(run / "checkpoint")[-1]
    for part in (step / "tensors.safetensors", step, run / "checkpoint"):
        for more in ([], ["--arch", "DARTS_V2", "--data", "digits"]):
            assert main(["evaluate", str(part), *more]) == 2
            said = capsys.readouterr().err
            assert said.count("\n") == 1 and said.endswith(f"give the run's folder: dartboard evaluate {run}\n")
    monkeypatch.chdir(step)
    assert main(["evaluate", "tensors.safetensors"]) == 2 and f"evaluate {run}\n" in capsys.readouterr().err
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace('command = "train"', 'command = "search"'))
    assert main(["evaluate", str(step)]) == 2 and "train what it found first" in capsys.readouterr().err


def test_export_writes_it_and_the_copy_says_so_for_good(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, out = contents(run), run.parent / "out"
    assert main(["export", str(run), "--to", "torch", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n" and said.err.count("\n") == 1 and WORDS in said.err
    assert json.loads((out / "description.json").read_text())["unfinished"] == {"epoch": 1, "epochs": 3, "step": 6}
    assert load_trained(out)[1] == load_trained(run)[1] and contents(run) == before
    assert main(["evaluate", str(out), "--data", "digits"]) == 0
    assert WORDS in capsys.readouterr().out


def test_it_may_be_at_work_at_the_same_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Run.open(run, write=True) as working:
        working.log(event="step", step=7)  # more than the checkpoint knows of
        before = contents(run)
        assert main(["evaluate", str(run)]) == 0
        assert WORDS in capsys.readouterr().out and contents(run) == before


def test_checkpoints_that_are_replaced_while_they_are_read_are_looked_for_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, late = run / "checkpoint/step-000000006", run / "checkpoint/step-000000008"

    def overtaken(path: Path) -> object:
        if old.exists():
            for place in checkpoints(run / "checkpoint"):
                place.rename(late) if place == old else shutil.rmtree(place)
        return read_checkpoint(path)

    monkeypatch.setattr("dartboard.runs.checkpoint.read_checkpoint", overtaken)
    found = newest(run / "checkpoint")
    assert found is not None and found.step == 6 and late.exists()


def test_a_torn_checkpoint_is_passed_over(run: Path) -> None:
    places = checkpoints(run / "checkpoint")
    assert [place.name for place in places] == ["step-000000004", "step-000000006"]
    (places[1] / "state.json").write_text("{")
    assert load_trained(run)[1].unfinished == Unfinished(1, 3, 4)
    (places[0] / "tensors.safetensors").write_bytes(b"torn")
    before = contents(run)
    with pytest.raises(InputError, match=r"no checkpoint in .* is intact, so there are no weights"):
        load_trained(run)
    assert contents(run) == before


@pytest.mark.parametrize("command", ["evaluate {}", "export {} --to torch --out out"])
def test_without_a_checkpoint_the_line_says_what_to_do(
    command: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    shutil.rmtree(run / "checkpoint")
    assert main(command.format("run").split()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no checkpoint yet; wait for its first epoch" in said
    assert "resume with: dartboard resume run" in said and not Path("out").exists()


def test_a_finished_training_and_what_was_exported_of_old_say_nothing_of_it(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Run.open(run, write=True) as again:
        from dartboard.training.from_scratch import Config, fit

        fit(Config(**again.settings), load_network(run), tiny.digits(), again)
    capsys.readouterr()
    network, description = load_trained(run)
    assert description.unfinished is None
    out = write_torch(run, tmp_path / "out")
    record = json.loads((out / "description.json").read_text())
    assert record["unfinished"] is None and capsys.readouterr().err == ""
    old = {name: value for name, value in record.items() if name not in ("unfinished", "learned_from")}
    (out / "description.json").write_text(json.dumps(old))
    again_, told = load_trained(out)
    assert tiny.same_tensors(again_.state_dict(), network.state_dict())
    assert (told.unfinished, told.learned_from) == (None, None)


@pytest.mark.parametrize("key", ["unfinished", "learned_from"])
@pytest.mark.parametrize("value", [5, "x", {"epoch": "three"}, {"epoch": 3}, [1], {"other": 1}])
def test_a_damaged_word_of_it_is_refused_in_one_line(run: Path, key: str, value: object) -> None:
    out = write_torch(run, run.parent / "out")
    record = json.loads((out / "description.json").read_text())
    (out / "description.json").write_text(json.dumps({**record, key: value}))
    with pytest.raises(InputError) as caught:
        load_trained(out)
    assert len(str(caught.value).splitlines()) == 1
