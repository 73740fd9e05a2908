"""Whole runs are what they were when recorded: bit for bit in the same surroundings, else in their numbers."""

import json
from pathlib import Path
from typing import Any

import pytest

from golden import runs
from golden.runs import COMMANDS, RECORD, make, surroundings

RECORDED = json.loads(RECORD.read_text())


def close(found: Any, recorded: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of their numbers."""
    if isinstance(recorded, dict):
        return found.keys() == recorded.keys() and all(close(found[name], recorded[name]) for name in recorded)
    if isinstance(recorded, list):
        return len(found) == len(recorded) and all(map(close, found, recorded))
    return bool(found == pytest.approx(recorded, rel=1e-6)) if isinstance(recorded, float) else bool(found == recorded)


def check(folder: Path, names: tuple[str, ...]) -> None:
    found, same_place = make(folder, names), RECORDED["surroundings"] == surroundings()
    for name, one in found.items():
        recorded = RECORDED["runs"][name]
        if same_place:
            assert one == recorded, name
        elif "metrics" in recorded:
            assert close(one["metrics"], recorded["metrics"]), name


def test_only_the_named_runs_are_recorded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, made = tmp_path / "runs.json", list[str]()

    def make(_: Path, names: tuple[str, ...]) -> dict[str, str]:
        made.extend(names)
        return {f"{name}/stages/01" if name == "transfer" else name: "new" for name in names}

    monkeypatch.setattr(runs, "RECORD", record)
    monkeypatch.setattr(runs, "make", make)
    old = {"surroundings": surroundings(), "runs": {"first-order": "old", "from": "old", "transfer/stages/01": "old"}}
    record.write_text(json.dumps(old))
    runs.record(["from", "transfer"])
    assert made == ["first-order", "from", "transfer"]
    assert json.loads(record.read_text())["runs"] == {"first-order": "old", "from": "new", "transfer/stages/01": "new"}
    record.write_text(json.dumps(old | {"surroundings": {"torch": "another"}}))
    for names, told in ((["nonsense"], "no such runs: nonsense"), (["from"], "other surroundings")):
        with pytest.raises(SystemExit, match=told):
            runs.record(names)
    runs.record([])
    assert list(json.loads(record.read_text())["runs"].values()) == ["new"] * len(COMMANDS)


QUICK = ("first-order", "second-order-in-double", "from", "train")
REST = tuple(name for name in COMMANDS if name not in (*QUICK, "transfer"))


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("names", [QUICK, pytest.param(("first-order", *REST), marks=pytest.mark.slow)])
def test_searches_and_trainings_repeat_what_was_recorded(names: tuple[str, ...], tmp_path: Path) -> None:
    check(tmp_path, names)


@pytest.mark.slow
@pytest.mark.usefixtures("global_rng")
def test_a_transfer_study_repeats_what_was_recorded(tmp_path: Path) -> None:
    check(tmp_path, ("transfer",))
