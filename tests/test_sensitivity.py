"""Sensitivity: the cell under noise on alpha, held against the method's own derivation and against closed forms."""

import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

import tiny
from dartboard.analysis.sensitivity import as_cell, cell_sensitivity, derive_many, num_nodes
from dartboard.report import write_report
from dartboard.report.changes import root_mean_square_step
from dartboard.report.facts import read_facts, softmax
from dartboard.report.sensitivity_page import sensitivity_of, sensitivity_section
from dartboard.spaces import SPACES, darts
from synthetic_runs import write_search
from test_report_page import words_of

NAMES = ("none", "skip_connect", "sep_conv_3x3")


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_many_alphas_give_the_cells_that_the_method_derives(nodes: int) -> None:
    from dartboard.spaces.darts import derive

    rng = np.random.default_rng(nodes)
    tables = rng.normal(size=(30, len(darts.edges(nodes)), len(darts.OPERATIONS)))
    tables[:10] = np.round(tables[:10])  # ties
    for table in tables:
        weights = [softmax(row) for row in table.tolist()]
        wanted = darts.cell(derive(dict.fromkeys(darts.CELLS, weights), darts.OPERATIONS), "normal")
        assert as_cell(table.tolist(), darts.OPERATIONS) == wanted


def test_an_operation_that_an_edge_does_not_offer_is_never_derived() -> None:
    space = SPACES["s1"]
    mixed, names = darts.mixed(space)["normal"], darts.candidates(space)
    rng = np.random.default_rng(0)
    table = [[rng.normal() if name in own else -math.inf for name in names] for own in mixed]
    for row, own in zip(derive_many(table + rng.normal(size=(50, 14, len(names))), names).T, mixed, strict=True):
        assert {names[index] for index in row if index >= 0} <= set(own)


def test_without_noise_everything_stays_and_nothing_rivals() -> None:
    table = np.random.default_rng(3).normal(size=(14, 8)).tolist()
    found = cell_sensitivity(table, darts.OPERATIONS, 0.0, draws=20)
    assert found.unchanged == 1.0
    assert len(found.inputs) == 8
    assert all((one.edge, one.same_operation, one.rival) == (1.0, 1.0, None) for one in found.inputs)


def test_the_share_of_one_choice_between_two_operations_is_that_of_the_normal_distribution() -> None:
    """Both edges of a cell of one node are kept whatever happens; its operation wins by a lead of 0.5 logits."""
    table = [[-9.0, 0.5, 0.0], [-9.0, 5.0, 0.0]]
    found = cell_sensitivity(table, NAMES, 0.4, draws=20_000)
    share = NormalDist().cdf(0.5 / (0.4 * math.sqrt(2)))
    first, second = found.inputs
    assert first.same_operation == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 20_000))
    assert (first.edge, second.edge, second.same_operation) == (1.0, 1.0, 1.0)
    assert first.rival is not None
    assert first.rival[:2] == ("sep_conv_3x3", 0)
    assert first.rival[2] == pytest.approx(1 - first.same_operation)
    assert found.unchanged == first.same_operation


def test_the_edges_of_a_node_share_its_two_places() -> None:
    table = np.random.default_rng(5).normal(scale=0.05, size=(14, 8)).tolist()
    drawn = derive_many(table + 0.1 * np.random.default_rng(0).standard_normal((200, 14, 8)), darts.OPERATIONS)
    first = 0
    for number in range(2, 6):
        assert ((drawn[:, first : first + number] >= 0).sum(axis=1) == 2).all()
        first += number
    found = cell_sensitivity(table, darts.OPERATIONS, 0.1, draws=200)
    for one in found.inputs:
        row = darts.edges().index((one.source, one.target))
        assert one.edge == (drawn[:, row] >= 0).mean()
        assert one.same_operation == (drawn[:, row] == darts.OPERATIONS.index(one.operation)).mean()
        assert one.rival is not None
        assert one.rival[:2] not in {
            (each.operation, each.source) for each in found.inputs if each.target == one.target
        }


def test_the_same_seed_draws_the_same_and_another_seed_other_noise() -> None:
    table = np.random.default_rng(1).normal(scale=0.05, size=(14, 8)).tolist()
    one, again = (cell_sensitivity(table, darts.OPERATIONS, 0.1, draws=300) for _ in range(2))
    other = cell_sensitivity(table, darts.OPERATIONS, 0.1, draws=300, seed=1)
    assert one == again != other


def test_an_alpha_that_is_no_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        cell_sensitivity([[math.nan] * 3] * 2, NAMES, 0.1)
    with pytest.raises(ValueError, match="no relaxed cell has 3 edges"):
        cell_sensitivity([[0.0] * 3] * 3, NAMES, 0.1)
    assert [num_nodes(edges) for edges in (2, 5, 9, 14)] == [1, 2, 3, 4]


# --- On the page -----------------------------------------------------------------------------------------------------


def test_the_page_states_the_noise_and_the_shares(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=5)
    facts = read_facts(folder)
    found = sensitivity_of(facts, "normal")
    assert found is not None
    assert found.scale == root_mean_square_step(facts.history, "normal")
    said = words_of(write_report([folder]))
    assert f"{found.scale:.3f} (normal cell)" in said
    assert "1000 times (seed 0)" in said
    assert f"The complete cell is the same in {100 * found.unchanged:.1f} % of them" in said
    section = sensitivity_section(facts)
    assert section is not None
    for one in found.inputs:
        assert f">{one.operation} &#160;{100 * one.same_operation:.0f} %</text>" in section
    closest = min(found.inputs, key=lambda one: one.same_operation)
    assert f"<td>{100 * closest.same_operation:.1f} %</td>" in section


def test_nothing_is_told_of_a_cell_that_was_derived_by_another_rule_or_of_an_alpha_that_stood_still(
    tmp_path: Path,
) -> None:
    folder = write_search(tmp_path / "run", epochs=2)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    kept = dict(epochs[-1])
    epochs[-1]["architecture"] = lines[0]["architecture"]
    rewrite(folder, lines)
    assert sensitivity_section(read_facts(folder)) is None
    epochs[-1].update(kept, alpha_normal=epochs[0]["alpha_normal"], alpha_reduce=epochs[0]["alpha_reduce"])
    epochs[-1]["architecture"] = epochs[0]["architecture"]
    rewrite(folder, lines)
    assert sensitivity_section(read_facts(folder)) is None
    assert "How sensitive is the choice of the cell?" not in words_of(write_report([folder]))


def rewrite(folder: Path, lines: list[dict[str, object]]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_page_of_a_search_over_operations_of_its_own_names_their_columns_and_has_their_sensitivity(
    tmp_path: Path,
) -> None:
    tiny.search(tmp_path / "run", space=tiny.FEW)
    facts, own = read_facts(tmp_path / "run"), ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    assert facts.operations == own
    page = write_report([tmp_path / "run"]).read_text()
    assert f'"operations":{json.dumps(own, separators=(",", ":"))}' in page.replace(", ", ",").replace(": ", ":")
    assert 'id="sensitivity"' in page


def test_a_run_that_does_not_tell_its_columns_has_no_sensitivity_of_other_operations(tmp_path: Path) -> None:
    """As runs over a space of their own were written before they noted what they mix."""
    tiny.search(tmp_path / "run", space=tiny.FEW)
    path = tmp_path / "run" / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    del lines[0]["mixed"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert 'id="sensitivity"' not in write_report([tmp_path / "run"]).read_text()
