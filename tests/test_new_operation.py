"""A new candidate operation is a few lines in one file: CONTRIBUTING.md shows them, and here they are applied."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 15

# What everything must do with the operation, in a process of its own that imports the changed copy.
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

import dartboard
from dartboard import formats, spaces
from dartboard.config import Setup
from dartboard.scoring.cost import count
from dartboard.data import load_data
from dartboard.methods import darts
from dartboard.networks.darts import Network, Supernet
from dartboard.report.drawing import draw
from dartboard.runs.run import Run

name, folder = sys.argv[1], Path(sys.argv[2])
assert Path(dartboard.__file__).is_relative_to(folder), dartboard.__file__
space = spaces.SPACES["darts"]
operations = spaces.darts.candidates(space)
assert name in operations

# The supernet, in both forms, which compute the same.
plain, fast = (Supernet(channels=2, cells=3, operations=operations, form=form).double() for form in ("plain", "fast"))
fast.load_state_dict(plain.state_dict())
mixture = {kind: torch.rand(shape).double() for kind, shape in plain.choice_shapes().items()}
x = torch.randn(4, 3, 8, 8).double()
assert torch.allclose(plain(x, mixture), fast(x, mixture), rtol=0, atol=1e-9)

# Two steps of a search.
config = darts.Config(channels=2, cells=3, epochs=1, batch_size=16, crop_padding=1, flip=False)
data = load_data("digits", max_images=64)
with Run.create(folder / "run", config, setup=Setup(device="cpu")) as run:
    result = darts.search(config, space, data, run)
assert result.alpha["normal"].shape == (14, len(operations))

# A cell that uses it is derived, built, counted, written, read and drawn.
strongest = [[float(operation == name) for operation in operations] for _ in range(14)]
architecture = spaces.darts.derive({"normal": strongest, "reduce": strongest}, operations)
assert architecture in space
assert str(architecture).count(name) == 16
assert Network(architecture, channels=2, cells=3, image_size=8)(torch.randn(2, 3, 8, 8)).shape == (2, 10)
assert count(architecture, channels=4, cells=3).macs > 0
for notation in ("quark0", "nested", "json"):
    assert formats.read(formats.write(architecture, notation))[0] == architecture
draw(architecture, folder / "cell.svg")
assert name.replace("_", " ") in (folder / "cell.svg").read_text().replace("_", " ")
print("all of it works")
"""


def documented_change() -> tuple[Path, list[tuple[str, str]]]:
    """The file that CONTRIBUTING names for a new operation, and (old, new) text of each hunk of its diff."""
    section = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## A new operation", 1)[1].split("\n## ", 1)[0]
    )
    (file,) = set(re.findall(r"\]\((src/dartboard/spaces/[a-z_]+\.py)\)", section))
    diff = re.search(r"```diff\n(.*?)```", section, re.DOTALL)
    assert diff
    hunks = []
    for hunk in diff[1].split("...\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        hunks.append((old, new))
    return ROOT / file, hunks


def added_name(hunks: list[tuple[str, str]]) -> str:
    """The operation that the change adds."""
    names = {name for _, new in hunks for name in re.findall(r'^    "(\w+)": \(', new, re.MULTILINE)}
    names -= {name for old, _ in hunks for name in re.findall(r'^    "(\w+)": \(', old, re.MULTILINE)}
    (name,) = names
    return name


def test_the_documented_change_is_in_one_file_and_at_most_15_lines() -> None:
    file, hunks = documented_change()
    assert file.is_file()
    changed = [line for old, new in hunks for line in set(new.splitlines()) ^ set(old.splitlines())]
    assert 1 <= len(changed) <= MAX_LINES


@pytest.mark.timeout(300)
def test_with_the_documented_change_everything_knows_the_operation(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src/dartboard", tmp_path / "dartboard", ignore=shutil.ignore_patterns("__pycache__"))
    file, hunks = documented_change()
    copy = tmp_path / file.relative_to(ROOT / "src")
    text = copy.read_text(encoding="utf-8")
    for old, new in hunks:
        assert text.count(old) == 1, f"CONTRIBUTING.md shows lines that are not in {file.name}:\n{old}"
        text = text.replace(old, new)
    copy.write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, added_name(hunks), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all of it works" in done.stdout
