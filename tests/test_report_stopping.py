"""The part of the page that tells where stopping rules fired, of made-up runs. No torch."""

import json
from pathlib import Path
from typing import Any

import pytest

from dartboard.report import write_report
from dartboard.report.facts import mixed_of, read_facts
from dartboard.report.stopping import stopped, stopping_section
from dartboard.search.stop_rules import outcome, parse
from synthetic_runs import write_search

RULES = "skips:2,stable:3,eigenvalue,held-out"


def watched(folder: Path, *, finished: bool = True, **more: Any) -> Path:
    """A run of 40 epochs whose normal cell collapses, with readings of an eigenvalue that rises from epoch 20 on."""
    config = {"stop": RULES, "stop_mode": "report", **more}
    write_search(folder, epochs=40, skip_pull=0.08, finished=finished, config=config, steps=2)
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["event"] == "epoch":
            epoch = line["epoch"]
            line |= {"held_out_accuracy": 0.9 - 0.01 * abs(epoch - 17), "held_out_loss": 1.0, "stopping_s": 0.2}
            line |= {"eigenvalue": 0.3 + max(0, epoch - 20) / 10} if epoch % 2 == 0 else {}
    rewrite(folder, lines)
    return folder


def rewrite(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("finished", [True, False])
def test_the_page_tells_of_every_rule_what_it_would_have_kept(finished: bool, tmp_path: Path) -> None:
    folder = watched(tmp_path / "run", finished=finished)
    found = stopped(read_facts(folder))
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    assert found == {rule: outcome(rule, lines, mixed_of("darts")) for rule in parse(RULES)}
    by_name = {rule.name: one for rule, one in found.items()}
    assert by_name["held-out"].kept == 17
    assert by_name["eigenvalue"].epoch == by_name["eigenvalue"].kept + 12  # type: ignore[operator]
    section = stopping_section(read_facts(folder))
    assert section is not None
    for rule, one in found.items():
        assert f'<th scope="row">{rule.text}</th>' in section
        assert one.why in section
    assert ("stopped/skips-2.json" in section) == finished
    titles = ("The cells of the rules", "Dominant eigenvalue", "Accuracy on the held-out part")
    assert all(title in section for title in titles)
    page = write_report([folder]).read_text()
    assert page.count('id="stopping"') == 1
    assert "stopping rules" in page


def test_a_finished_run_is_told_by_its_result(tmp_path: Path) -> None:
    folder = watched(tmp_path / "run")
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    entry = {"rule": "skips:2", "epoch": 3, "kept": 2, "architecture": lines[0]["architecture"]}
    lines[-1] |= {"stopped": [{**entry, "why": "<b>because</b>"}], "stopped_by": "skips:2"}
    rewrite(folder, lines)
    section = stopping_section(read_facts(folder))
    assert section is not None
    assert "is the cell of the rule skips:2" in section
    assert "&lt;b&gt;because" in section
    assert "<b>because" not in section


def test_a_search_without_rules_has_no_such_part(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run")
    assert stopping_section(read_facts(folder)) is None
    for name, config in (("odd", {"stop": "odd:rule"}), ("elsewhere", {"stop": "skips", "space": "of another world"})):
        assert stopping_section(read_facts(write_search(tmp_path / name, config=config))) is None


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_a_run_too_short_for_an_average_has_its_page(epochs: int, tmp_path: Path) -> None:
    folder = watched(tmp_path / "run", finished=False)
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    rewrite(folder, [line for line in lines if line.get("epoch", -1) < epochs])
    section = stopping_section(read_facts(folder))
    assert (section is None) == (epochs == 0)
    assert section is None or "never" in section
