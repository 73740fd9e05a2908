"""`dartboard explain`: every method has a record whose functions and tests exist, its page, and counted passes."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dartboard import methods
from dartboard.cli import main
from dartboard.methods import METHODS
from dartboard.methods.explained import record_of
from dartboard.methods.explained.record import FAMILIES, MIXTURE, STAGES, THROUGH, Record
from dartboard.spaces import SPACES
from dartboard.studies.step_cost import counted, sizes_of
from documents import ROOT


def existing(name: str) -> Any:
    """What a dotted name names: modules as far as they go, then attributes."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


@pytest.mark.parametrize("method", methods.OURS)
def test_every_method_has_a_record_whose_steps_name_functions_that_exist(method: str) -> None:
    record = record_of(method)
    assert record.family in FAMILIES and tuple(step.stage for step in record.steps) == STAGES
    assert {passes.through for passes in record.passes} <= set(THROUGH)
    named = [step.function for step in record.steps if step.function is not None]
    assert len(named) >= 4 and all(callable(existing(name)) for name in named)
    start, end = record.loop
    assert STAGES.index(end) < STAGES.index(start)
    assert all(one.source for one in (*record.gains, *record.limits, *record.claims)) and record.gains and record.limits


@pytest.mark.parametrize("method", methods.OURS)
def test_every_equation_has_a_test_that_exists(method: str) -> None:
    equations = record_of(method).equations
    assert equations
    for equation in equations:
        file, _, name = equation.test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), equation.test


def test_a_function_that_does_not_exist_is_found() -> None:
    with pytest.raises(AttributeError):
        existing("dartboard.methods.darts.no_such_function")


def test_records_have_no_torch_and_passes_fit_what_a_method_needs() -> None:
    program = "import sys; from dartboard.methods.explained import record_of; from dartboard.methods import OURS\n"
    program += "[record_of(name) for name in OURS]; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
    for name, method in methods.OURS.items():
        mixes = any(passes.through == MIXTURE for passes in record_of(name).passes)
        assert mixes == (method.needs == {"mixture"} and not method.draws), name


def test_a_method_is_explained_in_its_steps_and_equations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "darts", "--no-counts"]) == 0
    said = capsys.readouterr().out
    assert "Family: gradient" in said and "5 passes" in said and "Eq. 7" in said
    assert all(f". {stage}: " in said for stage in STAGES) and "multiply-adds" not in said


def test_the_second_order_costs_five_passes_of_what_the_first_pays_two() -> None:
    space, sizes = SPACES["nasbench201"], {"channels": 2, "cells": 3}
    first, second = (counted(passes, space, sizes) for passes in record_of("darts").passes)
    assert 2 * second.forward_macs == 5 * first.forward_macs > 0
    drawn = counted(record_of("gdas").passes[0], space, sizes)
    path = counted(record_of("spos").passes[0], space, sizes)
    assert 2 * path.macs == drawn.forward_macs < first.forward_macs and path.params == first.params


def test_sizes_are_those_of_the_method_on_its_space() -> None:
    assert sizes_of("darts", SPACES["darts"]) == {"channels": 16, "cells": 8}
    assert sizes_of("spos", SPACES["nasbenchmacro"])["channels"] == 32


def test_the_page_draws_every_step_and_goes_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "spos", "--no-counts"]) == 0 and not list(tmp_path.iterdir())
    assert main(["explain", "spos", "--no-counts", "--out", str(tmp_path)]) == 0
    assert f"page: {tmp_path / 'explain-spos.html'}" in capsys.readouterr().out
    html = (tmp_path / "explain-spos.html").read_text()
    assert html.count("<svg") >= 2 and "http://" not in html.replace("http://www.w3.org", "")
    drawn = html[html.index('class="cell"') :]
    assert all(f">{stage}<" in drawn for stage in STAGES)
    assert all(f"<code>{step.function}</code>" in html for step in record_of("spos").steps)


WRONG = {
    "an unknown method": (["explain", "dart"], "unknown method 'dart'"),
    "no method": (["explain"], "name a method"),
    "two methods": (["explain", "darts", "spos"], "name a method"),
    "an unknown space": (["explain", "darts", "--space", "nowhere"], "unknown space"),
    "a space that it cannot search": (["explain", "darts", "--space", "nasbenchmacro"], "mixture"),
    "a table of one method": (["explain", "darts", "--csv", "x.csv"], "--all"),
    "a folder that is not there": (["explain", "darts", "--no-counts", "--out", "nowhere/x.html"], "cannot write"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words, said = WRONG[name]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_packages_method_without_a_record_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(METHODS, "theirs", methods.Method("something else", "Somebody, 2026", module="json"))
    monkeypatch.setattr("dartboard.methods.explained.method_module", lambda method: import_module("json"))
    assert main(["explain", "theirs"]) == 2
    error = capsys.readouterr().err
    assert "theirs does not say how it works" in error and "Somebody, 2026" in error and error.count("\n") == 1
    monkeypatch.setattr(import_module("json"), "EXPLAINED", record_of("random_search"), raising=False)
    assert isinstance(record_of("theirs"), Record)
