"""The notebook in examples/: its cells run, top to bottom, twice: the study is begun, stopped, and ended."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dartboard.studies.study import Study
from documents import ROOT

NOTEBOOK = ROOT / "examples" / "transfer_on_a_hosted_gpu.ipynb"
WORDS = (
    "--a digits --b digits --space s2 --max-images 120 --seeds 1 --random 0 --epochs 1 --train-epochs 1 --channels 2 "
    "--cells 3 --batch-size 16 --train-channels 2 --train-cells 3 --train-batch-size 16 --threads 1 --device cpu "
    "--proxy images:0.5"
)


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_all(until: str | None = None) -> dict[str, Any]:
    """Runs the code cells in order, as a notebook does. until: in place of the notebook's own limit."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in code_cells():
        exec(compile(source, str(NOTEBOOK), "exec"), names)
        if until is not None:
            names["UNTIL"] = until
    return names


def test_the_notebook_is_one_and_holds_no_results() -> None:
    content = json.loads(NOTEBOOK.read_text())
    assert content["nbformat"] == 4 and content["cells"]
    for cell in content["cells"]:
        assert set(cell) >= {"cell_type", "id", "metadata", "source"}
        assert cell["cell_type"] != "code" or (cell["outputs"] == [] and cell["execution_count"] is None)


@pytest.mark.slow
def test_the_notebook_begins_a_study_is_stopped_and_ends_it_when_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DARTBOARD_DRIVE", str(tmp_path / "drive"))
    monkeypatch.setenv("DARTBOARD_WORDS", WORDS)
    monkeypatch.setitem(sys.modules, "IPython", None)
    names = run_all(until="0.01s")
    study = Study.open(names["STUDY"])
    assert not all(study.is_done(stage) for stage in study.stages)
    run_all()
    assert all(study.is_done(stage) for stage in study.stages)
    assert (names["STUDY"] / "report.html").is_file()
    assert "6 of 6 stages are done" in capfd.readouterr().out
