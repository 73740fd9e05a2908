"""Whole runs are what they were when recorded: bit for bit in the same surroundings, else in their numbers."""

import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.usefixtures("global_rng")
def test_searches_and_trainings_repeat_what_was_recorded(tmp_path: Path) -> None:
    check(tmp_path, tuple(name for name in COMMANDS if name != "transfer"))


@pytest.mark.slow
@pytest.mark.usefixtures("global_rng")
def test_a_transfer_study_repeats_what_was_recorded(tmp_path: Path) -> None:
    check(tmp_path, ("transfer",))
