"""`dartboard explain`: every method has a record whose functions and tests exist, its page, and counted passes."""

import csv
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from dartboard import methods
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.methods import METHODS
from dartboard.methods.explained import record_of
from dartboard.methods.explained.record import FAMILIES, MIXTURE, STAGES, THROUGH, Record
from dartboard.scoring.cost import count
from dartboard.spaces import SPACES, nasbench201
from dartboard.studies import sharing, sharing_claims
from dartboard.studies.comparison_folder import COMPARE
from dartboard.studies.rank_truth import Truth
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
    "counts of all methods": (["explain", "--all", "--no-counts"], "leave it out"),
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


# --- All methods, and runs --------------------------------------------------------------------------------------------


def made_up_run(folder: Path, method: str = "spos", seed: int = 0, more: dict[str, Any] | None = None) -> Path:
    """The folder of a finished search of nasbench201, with what `explain --all` reads. more: changes of what it holds;
    accuracy, peak, tau (with its lower end), space, data, epochs, command, done."""
    found = {"accuracy": 0.5, "peak": None, "tau": None, "space": "nasbench201", "data": "f", "epochs": 2}
    found |= {"samples": 50, **(more or {})}
    folder.mkdir(parents=True)
    config = {"command": found.get("command", "search"), "method": method, "space": found["space"], "data": "digits"}
    (folder / "config.toml").write_text(tomli_w.dumps({**config, "seed": seed, "epochs": found["epochs"]}))
    environment = {"data": {"name": "digits", "fingerprint": found["data"]}, "peak_memory_mb": found["peak"]}
    (folder / "environment.json").write_text(json.dumps(environment))
    line = {"event": "result", "score": found["accuracy"], "elapsed_s": 3.0}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n" if found.get("done", True) else "")
    if found["tau"] is not None:
        measures = {"tau": {"estimate": found["tau"], "low": found["tau"] - 0.1, "high": found["tau"] + 0.1}}
        judges = [{"name": name, "measures": measures} for name in ("shared weights", "multiply-adds", "parameters")]
        (folder / "rank").mkdir()
        rows: list[dict[str, Any]] = [{}] * found["samples"]
        rank = {"judges": judges, "rows": rows, "samples": len(rows), "source": {"scores": "x"}}
        (folder / "rank" / "rank.json").write_text(json.dumps(rank))
    return folder


def groups_in(*folders: Path) -> list[sharing.Group]:
    return sharing.groups_of(sharing.read([str(folder) for folder in folders], "nasbench201"))


def verdicts(groups: list[sharing.Group]) -> list[str]:
    return [claim.judged(groups)[0] for claim in sharing_claims.claims_of(groups)]


def test_claims_agree_or_not_by_their_rules_and_are_not_measured_without_numbers(tmp_path: Path) -> None:
    def run(name: str, method: str, seed: int, accuracy: float, **more: Any) -> Path:
        return made_up_run(tmp_path / name, method, seed, {"accuracy": accuracy, **more})

    a, b = run("a", "darts", 0, 0.50, tau=0.3, peak=900.0), run("b", "darts", 1, 0.70, tau=0.2, peak=950.0)
    c, d = run("c", "spos", 0, 0.61, peak=300.0), run("d", "spos", 1, 0.63, tau=0.05)
    darts, spos = groups_in(a, b, c, d)
    assert darts.accuracy == pytest.approx(0.6) and darts.spread == pytest.approx(0.02**0.5)
    assert (darts.tau, darts.peak_memory_mb, spos.peak_memory_mb) == (0.25, 950.0, 300.0)
    assert verdicts([darts, spos]) == ["agrees", "agrees", "agrees"]
    e, f = run("e", "gdas", 0, 0.20, tau=0.05, peak=999.0), run("f", "gdas", 1, 0.21)
    assert verdicts(groups_in(c, d, e, f, a)) == ["not shown", "does not", "does not"]
    assert verdicts(groups_in(c)) == ["not measured"] * 3


def claim_of(folder: Path, number: int) -> tuple[str, str]:
    groups = groups_in(folder)
    return sharing_claims.claims_of(groups)[number].judged(groups)


def test_an_order_is_refuted_only_by_an_interval_that_leaves_none(tmp_path: Path) -> None:
    for tau, verdict in ((0.2, "agrees"), (0.05, "not shown"), (-0.05, "does not")):
        assert claim_of(made_up_run(tmp_path / f"{tau}", more={"tau": tau}), 0)[0] == verdict, tau
    few = made_up_run(tmp_path / "few", more={"tau": 0.7, "samples": 6})
    assert claim_of(few, 0) == ("not shown", "1 ranked fewer than 10 architectures")


def test_networks_are_good_as_they_are_if_fine_tuning_brings_less_than_a_point(tmp_path: Path) -> None:
    cases = {"agrees": (0.001, 0.002, 0.0), "does not": (0.03, 0.032, 0.031), "not shown": (0.0, 0.03, 0.01)}
    for verdict, gains in cases.items():
        run = made_up_run(tmp_path / verdict, "ofa")
        assert claim_of(run, 3) == ("not measured", sharing_claims.as_they_are("ofa", groups_in(run))[1])
        for number, gain in enumerate(gains):
            (run / "specialised" / f"{number}").mkdir(parents=True)
            answer = {"val_accuracy": 0.5 + gain, "fine_tuned": {"epochs": 2, "val_accuracy_before": 0.5}}
            (run / "specialised" / f"{number}" / "answer.json").write_text(json.dumps(answer))
        assert claim_of(run, 3)[0] == verdict
    assert len(sharing_claims.claims_of(groups_in(run))) == 4


def test_the_largest_and_the_smallest_bound_the_others_if_their_losses_do(tmp_path: Path) -> None:
    def run(seed: int, losses: tuple[float, ...]) -> Path:
        folder = made_up_run(tmp_path / f"{seed}", "bignas", seed)
        line = {"event": "epoch", **dict(zip(sharing.LOSSES, losses, strict=False))}
        (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n" + (folder / "metrics.jsonl").read_text())
        return folder

    inside, outside = (0.2, 0.3, 0.5), (0.2, 0.6, 0.5)
    made = [run(seed, losses) for seed, losses in enumerate((inside, inside, outside, outside, outside, inside[:1]))]
    judged = {
        number: verdicts(groups_in(*(made[one] for one in number)))[-1]
        for number in ((5,), (0, 1), (0, 1, 2), (0, 2, 3), (1, 2, 3, 4))
    }
    assert list(judged.values()) == ["not measured", "not shown", "agrees", "does not", "does not"]


def test_a_step_by_the_sandwich_rule_is_counted_as_its_four_networks() -> None:
    space, sizes = SPACES["bignas-8"], {"channels": 4, "cells": 4}
    step, path = (counted(record_of(name).passes[0], space, sizes) for name in ("bignas", "spos"))
    ends = [count(one, channels=4, num_classes=10, image_size=32).macs for one in (space.largest(), space.smallest())]
    assert step.forward_macs == pytest.approx(sum(ends) + 2 * path.macs, rel=1e-12)


def test_a_step_of_once_for_all_is_counted_with_the_networks_of_its_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dartboard.studies.step_cost.DRAWS", 4)
    space, sizes = SPACES["ofa-8"], {"channels": 4, "cells": 4}
    full, kernel, depth, width = (counted(passes, space, sizes) for passes in record_of("ofa").passes)
    largest = count(space.largest(), channels=4, num_classes=10, image_size=32).macs
    assert largest >= full.macs > depth.macs > width.macs and kernel.macs > depth.macs
    assert [one.count for one in (full, kernel, depth, width)] == [1, 1, 2, 4]


def test_runs_are_grouped_by_method_and_settings_and_accuracies_are_named(tmp_path: Path) -> None:
    two = [made_up_run(tmp_path / f"{seed}", seed=seed) for seed in (0, 1)]
    other = made_up_run(tmp_path / "other", more={"epochs": 9})
    groups = groups_in(*two, other, two[0])
    assert [(group.label, len(group.runs)) for group in groups] == [("spos, epochs = 2", 2), ("spos, epochs = 9", 1)]
    assert {one.measure for group in groups for one in group.runs} == {sharing.VAL}
    assert groups[1].spread is None and groups[1].tau is None and groups[1].peak_memory_mb is None


def test_where_a_run_was_ranked_by_a_table_all_have_true_accuracies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = nasbench201.SPACE.largest()
    monkeypatch.setattr(sharing.rank_truth, "of_table", lambda place, space: Truth({best: 0.9}, "made up", "d"))
    runs = [made_up_run(tmp_path / name, method, 0, {"tau": 0.1}) for name, method in (("a", "spos"), ("b", "gdas"))]
    (tmp_path / "table.csv").touch()
    rank = json.loads((runs[0] / "rank/rank.json").read_text())
    rank["source"] = {"truth": str(tmp_path / "table.csv")}
    (runs[0] / "rank/rank.json").write_text(json.dumps(rank))
    for run in runs:
        (run / "architecture.json").write_text(json.dumps(best.to_json()))
    groups = groups_in(*runs)
    assert [(one.accuracy, one.runs[0].measure) for one in groups] == [(0.9, sharing.TRUTH)] * 2
    (runs[1] / "architecture.json").unlink()
    with pytest.raises(InputError, match="b has no true accuracy"):
        groups_in(*runs)


def test_all_methods_are_drawn_with_what_runs_measured_and_written_as_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(made_up_run(tmp_path / f"s{seed}", seed=seed, more={"tau": 0.4})) for seed in (0, 1)]
    words = ["explain", "--all", "--space", "nasbench201", *runs]
    assert main([*words, "--out", str(tmp_path / "x.html"), "--csv", str(tmp_path / "x.csv")]) == 0
    said, html = capsys.readouterr().out, (tmp_path / "x.html").read_text()
    assert "  agrees: Shared weights open" in said and "not measured: One path" in said and "15,625" in said
    drawn = html[html.index('class="cell"') :]
    assert all(f">{name}<" in drawn for name in [*FAMILIES, *methods.OURS])
    assert 'class="verdict yes">agrees<' in html and 'class="verdict unknown">not measured<' in html
    head, row = (tmp_path / "x.csv").read_text().split()[:2]
    assert head.startswith("method,seeds,accuracy") and row.startswith("spos,2,0.5,0.0,0.4,3.0,,nasbench201,15625,")
    assert main(["explain", "--all", "--csv", str(tmp_path / "y.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "y.csv").open(newline="")))
    assert {row["method"] for row in rows} == set(methods.OURS) and all(row["gains"] for row in rows)


WRONG_RUNS: dict[str, tuple[dict[str, Any], str]] = {
    "a run of another space": ({"space": "darts"}, "is a search of the space darts"),
    "a training": ({"command": "train"}, "is not a search"),
    "one that is not finished": ({"done": False}, "dartboard resume"),
    "one by trials": ({"method": "random_search"}, "trained no supernet"),
    "other data": ({"data": "g", "seed": 1}, "different data"),
    "the same seed twice": ({}, "one seed"),
}


@pytest.mark.parametrize("name", WRONG_RUNS)
def test_runs_that_cannot_be_compared_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, said = WRONG_RUNS[name]
    first = made_up_run(tmp_path / "first")
    other = made_up_run(tmp_path / "other", changes.get("method", "spos"), changes.get("seed", 0), changes)
    words = ["explain", "--all", "--space", "nasbench201", str(first), str(other), "--out", str(tmp_path / "x.html")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "x.html").exists()


def test_a_space_without_runs_runs_without_a_space_and_folders_of_no_run_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = tmp_path / "comparison"
    comparison.mkdir()
    (comparison / COMPARE).touch()
    for words, said in (
        (["--space", "nasbench201"], "RUN..."),
        ([str(tmp_path)], "name the space"),
        (["--space", "nowhere", str(tmp_path)], "unknown space"),
        (["--space", "nasbench201", str(tmp_path)], "no run in"),
        (["--space", "nasbench201", str(comparison)], "is a comparison or a ranking"),
    ):
        assert main(["explain", "--all", *words]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error


@pytest.mark.parametrize("space", ["enas_macro", "enas_macro-24"])
def test_a_step_is_counted_on_as_many_layers_as_the_space_has(space: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "spos", "--space", space]) == 0
    assert f"{24 if space.endswith('24') else 12} cells or layers" in capsys.readouterr().out
