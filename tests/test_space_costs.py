"""What a search says of its space before it begins: costs from smallest to largest, and which limits can be met."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dartboard import Run
from dartboard.cli import main
from dartboard.commands import dryrun, search
from dartboard.methods import bignas, ofa, spos
from dartboard.report.facts import read_facts
from dartboard.report.space_section import space_section
from dartboard.scoring.cost import count
from dartboard.scoring.limits import limits_from
from dartboard.scoring.space_costs import DRAWS, SpaceCosts, Within, lines, question, space_costs
from dartboard.search.shrinking import PHASES, opened
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace
from dartboard.testing import tiny

SIZES = {"channels": 4, "num_classes": 10, "image_size": 8, "in_channels": 3}
TOY = SearchSpace("toy", "here", tuple(Choice(f"layer.{n}.width", (1, 2, 4)) for n in range(4)), family="toy")


def toy_cost(architecture: Architecture) -> Any:
    """The product of all widths as multiply-adds, their sum as parameters."""
    widths = [int(str(value)) for _, value in architecture.choices]
    macs = widths[0] * widths[1] * widths[2] * widths[3]
    return SimpleNamespace(macs=macs, params=sum(widths), numbers={"params": sum(widths), "macs": macs})


def toy(limit: str) -> SpaceCosts:
    middle = TOY.walk(lambda choice: choice.options[1])
    return space_costs(TOY, middle, toy_cost, limits_from(limit))


def test_the_share_within_a_limit_is_that_of_all_networks() -> None:
    found = toy("macs<=16,params<=8")
    every = [toy_cost(one) for one in TOY.enumerate()]
    exact = [sum(test(one) for one in every) / len(every) for test in (
        lambda one: one.macs <= 16, lambda one: one.params <= 8, lambda one: one.macs <= 16 and one.params <= 8,
    )]  # fmt: skip
    assert [one.limit for one in found.limits] == ["macs<=16", "params<=8", "macs<=16,params<=8"]
    assert [one.share for one in found.limits] == pytest.approx(exact, abs=4 * (0.25 / DRAWS) ** 0.5)
    assert found.size == len(every) == 81
    assert (found.smallest, found.middle, found.largest) == (
        {"params": 4, "macs": 1}, {"params": 8, "macs": 16}, {"params": 16, "macs": 256},
    )  # fmt: skip
    assert found.ratio("macs") == 256 and found.ratio("params") == 4


def test_a_limit_that_only_the_smallest_meets_is_said_and_nothing_is_drawn_without_limits() -> None:
    rare = SearchSpace("rare", "here", tuple(Choice(f"{n}.width", (1, 2, 4)) for n in range(12)), family="toy")

    def cost(architecture: Architecture) -> Any:
        drawn.append(architecture)
        total = sum(int(str(value)) for _, value in architecture.choices)
        return SimpleNamespace(params=total, numbers={"params": total})

    drawn: list[Architecture] = []
    found = space_costs(rare, rare.smallest(), cost, limits_from("params<=12"))
    assert found.limits[0].words == "none of 1,000 draws is within it, only the smallest is"
    assert len(drawn) == DRAWS + 3
    drawn.clear()
    assert space_costs(rare, rare.smallest(), cost).limits == () and len(drawn) == 3
    assert "nor is the smallest" in space_costs(rare, rare.smallest(), cost, limits_from("params<=1")).limits[0].words


@pytest.mark.parametrize("method", [bignas, spos])
def test_the_costs_of_a_search_are_those_of_the_networks_it_could_cut_out(method: Any) -> None:
    space, name = SPACES["bignas-8"], method.__name__.rpartition(".")[2]
    found = dryrun.costs_before({"method": name, "space": space.name}, method.Config(channels=4), tiny.digits(96))
    assert found is not None and found.size == space.size
    assert found.smallest == count(space.smallest(), **SIZES).numbers
    assert found.largest == count(space.largest(), **SIZES).numbers
    assert found.smallest["macs"] < found.middle["macs"] < found.largest["macs"]


def test_a_search_that_ends_at_an_earlier_phase_counts_only_what_it_trains() -> None:
    space, config = SPACES["ofa-8"], ofa.Config(channels=4, last_phase="kernel", epochs=2)
    found = dryrun.costs_before({"method": "ofa", "space": "ofa-8"}, config, tiny.digits(96))
    assert found is not None and found.size == opened(space, PHASES[1]).size < space.size
    assert found.smallest["macs"] > count(space.smallest(), **SIZES).macs


def test_a_space_without_slices_has_no_smallest_network_to_speak_of() -> None:
    assert dryrun.costs_before({"method": "spos", "space": "nasbench201"}, spos.Config(), tiny.digits(96)) is None


def test_the_question_to_ask_a_supernet_is_within_counted_limits_or_those_of_the_middle() -> None:
    asked = {limit: question(toy(limit), Path("runs/a b")) for limit in ("macs<=12", "macs<=9,params<=8", "")}
    assert asked["macs<=12"] == "dartboard specialise 'runs/a b' --limit \"macs<=12\""
    assert asked["macs<=9,params<=8"].endswith('--limit "macs<=9,params<=8"')
    assert asked[""].endswith('--limit "macs<=16"')  # 2 x 2 x 2 x 2
    by_table = replace(toy(""), limits=(Within("latency_ms<=3", 1.0, True),))
    assert question(by_table, Path("run")).endswith('--limit "macs<=16"')


def test_a_limit_is_written_as_it_can_be_typed() -> None:
    for text in ("macs<=400K", "params<=1.5M", "latency_ms<=2.5", "memory_mb<=0.3", "macs<=999", "bitops<=4T"):
        assert ",".join(map(str, limits_from(text))) == text
    assert limits_from(str(limits_from("macs<=1234567")[0])) == limits_from("macs<=1234567")


def test_a_search_says_it_once_before_it_trains_and_notes_it_for_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, data = bignas.Config(channels=4, limit="macs<=400K"), tiny.digits(96)
    monkeypatch.setattr(bignas, "search", lambda *given: print("it trains"))
    with Run.create(tmp_path / "run", config, seed=0, space="bignas-8") as run:
        run.check_data(data)
        search.search(run, config, data)
        said = capsys.readouterr().out
        search.search(run, config, data)
        assert "smallest" not in capsys.readouterr().out  # as after a stop
    costs = dryrun.costs_before({"method": "bignas", "space": "bignas-8"}, config, data)
    assert costs is not None
    text = "\n".join(lines(costs))
    assert said.index(text) < said.index("it trains")
    assert "space: bignas-8, " in text and "  macs<=400K: " in text and "% of 1,000 draws are within it" in text
    html = str(space_section(read_facts(run.folder)))
    assert f"{costs.smallest['macs']:,}" in html and "macs&lt;=400K" in html and f"{costs.ratio('macs'):.3g}" in html
    noted = run.environment | {"space_costs": {"limits": 3}}
    (run.folder / "environment.json").write_text(json.dumps(noted))
    assert space_section(read_facts(run.folder)) is None


def test_a_dry_run_says_it_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(dryrun, "estimate", lambda job, seeds: 0.0)
    words = ["search", "bignas", "--space", "bignas-8", "--data", "digits", "--limit", "macs<=60K,params<=20K"]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "space: bignas-8, 746,496 networks" in said and "  macs<=60K,params<=20K: " in said
