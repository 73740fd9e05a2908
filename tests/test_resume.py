"""A real search, of both orders, and a real training: killed or stopped, resumed, and equal to the unstopped one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from dartboard.cli import main
from dartboard.runs.run import Run

TINY = [
    "--data",
    "digits",
    "--max-images",
    "96",
    "--channels",
    "2",
    "--cells",
    "3",
    "--device",
    "cpu",
    "--threads",
    "1",
]
COMMANDS = {
    "first order": ["search", "darts", *TINY, "--batch-size", "11", "--epochs", "3"],
    "second order": ["search", "darts", *TINY, "--batch-size", "11", "--epochs", "2", "--second-order"],
    "training": ["train", "DARTS_V1", *TINY, "--batch-size", "11", "--epochs", "4", "--drop-path", "0.3"],
}

pytestmark = pytest.mark.usefixtures("global_rng")


def process(*words: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "dartboard", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def evidence(folder: Path) -> tuple[list[dict[str, Any]], object, dict[str, Tensor], bytes]:
    """What must be the same bit for bit: metrics without times, architecture, last checkpoint, weights."""
    run = Run.open(folder)
    checkpoint = run.load()
    assert run.done and checkpoint is not None
    lines = [{name: value for name, value in line.items() if not name.endswith("_s")} for line in run.metrics()]
    weights = folder / "weights.safetensors"
    return lines, run.architecture, checkpoint.tensors, weights.read_bytes() if weights.exists() else b""


def check_same(one: Path, other: Path) -> None:
    lines, architecture, tensors, weights = evidence(one)
    lines_too, architecture_too, tensors_too, weights_too = evidence(other)
    assert lines == lines_too and architecture == architecture_too and weights == weights_too
    assert tensors.keys() == tensors_too.keys()
    assert all(torch.equal(tensor, tensors_too[name]) for name, tensor in tensors.items())


class Unstopped(dict[str, Path]):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        with torch.random.fork_rng():
            assert main([*COMMANDS[name], "--out", str(self.folder / name)]) == 0
        self[name] = self.folder / name
        return self[name]


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the three runs, never stopped, each made when it is first asked for."""
    return Unstopped(tmp_path_factory.mktemp("unstopped"))


def wait_for(path: Path, child: "subprocess.Popen[str]") -> None:
    """Waits until a file is there, or the process has ended."""
    end = time.monotonic() + 120
    while not path.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def steps_saved(folder: Path) -> int:
    """The step of the newest checkpoint, -1 where there is none."""
    return max((int(path.name[5:14]) for path in folder.glob("checkpoint/step-*")), default=-1)


def killed(folder: Path, words: list[str], step: int, after_s: float) -> bool:
    """Begins a run, or goes on with it, and kills it some time after a step is saved. Whether it still lived."""
    child = process("resume", str(folder)) if (folder / "config.toml").exists() else process(*words)
    wait_for(folder / "config.toml", child)
    while steps_saved(folder) < step and child.poll() is None:
        time.sleep(0.01)
    time.sleep(after_s)
    child.kill()
    child.communicate()
    return child.returncode == -signal.SIGKILL


def end_of(folder: Path) -> None:
    """Goes on to the end."""
    assert main(["resume", str(folder)]) == 0


QUICK = [pytest.param(name, marks=() if name == "training" else pytest.mark.slow) for name in COMMANDS]


@pytest.mark.parametrize("name", QUICK)
def test_killed_at_a_random_moment_it_ends_as_if_never_stopped(
    tmp_path: Path, unstopped: dict[str, Path], name: str
) -> None:
    rng, folder = Random(name), tmp_path / "run"
    words = [*COMMANDS[name], "--save-every", "0.1s", "--out", str(folder)]
    last = steps_saved(unstopped[name])
    assert killed(folder, words, rng.randrange(1, last // 2), rng.uniform(0.0, 0.3))
    end_of(folder)
    check_same(folder, unstopped[name])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments_again_and_again_it_ends_as_if_never_stopped(
    tmp_path: Path, unstopped: dict[str, Path], name: str, seed: int
) -> None:
    rng, folder = Random(f"{name} {seed}"), tmp_path / "run"
    words = [*COMMANDS[name], "--save-every", ("0.05s", "0.3s", "1h")[seed], "--out", str(folder)]
    last = steps_saved(unstopped[name])
    moments = sorted(rng.randrange(-1, last - 1) for _ in range(3))
    kills = [killed(folder, words, moment, rng.uniform(0.0, 0.3)) for moment in moments]
    assert sum(kills) >= 2
    end_of(folder)
    check_same(folder, unstopped[name])


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_stopped_by_a_signal_it_says_how_to_go_on_and_ends_as_if_never_stopped(
    tmp_path: Path, unstopped: dict[str, Path], number: int, code: int
) -> None:
    folder = tmp_path / "run"
    child = process(*COMMANDS["training"], "--save-every", "0.1s", "--out", str(folder))
    wait_for(folder / "checkpoint", child)  # written in the loop, where signals are noted
    child.send_signal(number)
    out, err = child.communicate()
    assert child.returncode == code, err
    assert out.splitlines()[-1] == f"dartboard resume {folder}"
    assert err.count("\n") == 1 and "saved" in err and err.endswith(f"dartboard resume {folder}\n")
    end_of(folder)
    check_same(folder, unstopped["training"])


@pytest.mark.parametrize("name", ["first order", *QUICK[1:]])
def test_a_budget_of_steps_ends_in_any_epoch_and_goes_on_exactly(
    tmp_path: Path, unstopped: dict[str, Path], name: str
) -> None:
    folder = tmp_path / "run"
    assert main([*COMMANDS[name], "--budget", "5steps", "--out", str(folder)]) == 0
    assert main(["resume", str(folder), "--budget", "3steps"]) == 0
    assert not Run.open(folder).done
    end_of(folder)
    check_same(folder, unstopped[name])


@pytest.mark.slow
def test_a_search_may_change_the_form_of_its_supernet_between_save_and_resume(
    tmp_path: Path, unstopped: dict[str, Path]
) -> None:
    folder = tmp_path / "run"
    assert main([*COMMANDS["first order"], "--budget", "5steps", "--out", str(folder)]) == 0
    config = folder / "config.toml"
    assert 'supernet = "fast"' in config.read_text()
    config.write_text(config.read_text().replace('supernet = "fast"', 'supernet = "plain"'))
    end_of(folder)
    wanted, found = (evidence(one)[2] for one in (unstopped["first order"], folder))
    assert wanted.keys() == found.keys()
    for name in wanted:
        if name.startswith("alpha"):
            torch.testing.assert_close(found[name], wanted[name], rtol=0.02, atol=2e-4)


def test_a_torn_newest_checkpoint_costs_only_time(
    tmp_path: Path, unstopped: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([*COMMANDS["training"], "--budget", "20steps", "--out", str(folder)]) == 0
    newest = max((folder / "checkpoint").iterdir())
    whole = (newest / "tensors.safetensors").read_bytes()
    (newest / "tensors.safetensors").write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    end_of(folder)
    assert f"{newest} is damaged; the one before it is used" in capsys.readouterr().err
    check_same(folder, unstopped["training"])


@pytest.mark.slow
def test_killed_before_its_first_checkpoint_a_run_starts_again(tmp_path: Path, unstopped: dict[str, Path]) -> None:
    folder = tmp_path / "run"
    assert killed(folder, [*COMMANDS["first order"], "--save-every", "1h", "--out", str(folder)], -1, 1.0)
    end_of(folder)
    check_same(folder, unstopped["first order"])


def test_a_run_that_is_at_work_cannot_be_resumed_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    child = process(*COMMANDS["training"], "--epochs", "500", "--out", str(folder))
    wait_for(folder / "config.toml", child)
    assert main(["resume", str(folder)]) == 2
    assert f"in use by process {child.pid}" in capsys.readouterr().err
    child.kill()
    child.communicate()
