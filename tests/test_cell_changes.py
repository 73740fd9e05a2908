"""Whether the cell changes: what the page counts of a run or a chain of runs, and what it draws of it."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dartboard.analysis.edit_distance import compare, distance
from dartboard.formats import published
from dartboard.report import changes, write_report
from dartboard.report.chain import chain_of, joined, swap_index
from dartboard.report.change_page import CLAIM, change_section, claim_box, difference_picture, drift_plot, two_epochs
from dartboard.report.facts import Epoch, Facts, read_facts, softmax
from dartboard.report.strip import Frame, epoch_frames, layout, strip
from dartboard.spaces import darts
from synthetic_runs import search_lines, write_folder, write_search
from test_report_page import words_of

SKIP, SEP = "skip_connect", "sep_conv_3x3"


def cell_of_sources(*sources: int) -> darts.Cell:
    """Two nodes of two inputs: operations skip_connect, sep_conv_3x3 from the given predecessors."""
    pairs = [((SKIP, sources[0]), (SEP, sources[1])), ((SKIP, sources[2]), (SEP, sources[3]))]
    return darts.Cell(tuple(pairs), (2, 3))


def history_of(*cells: darts.Cell) -> list[Epoch]:
    made = [darts.architecture({"normal": cell, "reduce": cells[0]}) for cell in cells]
    return [Epoch(number, 0, architecture=architecture) for number, architecture in enumerate(made)]


def facts_of(tmp_path: Path, **options: Any) -> Facts:
    return read_facts(write_search(tmp_path / "run", **options))


def test_a_cell_whose_nodes_are_exchanged_counts_as_unchanged_and_the_page_says_that_it_looks_otherwise() -> None:
    one = darts.Cell((((SKIP, 0), (SKIP, 1)), ((SEP, 0), (SEP, 1))), (2, 3))
    other = darts.Cell((one.nodes[1], one.nodes[0]), (2, 3))
    found = changes.change_of(history_of(one, other, one), "normal")
    assert found is not None
    assert (found.times, found.moments, found.inputs, found.last, found.apart, found.renumbered) == (
        0, 2, 0, None, 0, True,
    )  # fmt: skip


def test_changes_are_counted_where_they_happen() -> None:
    one, two, three = cell_of_sources(0, 1, 0, 1), cell_of_sources(0, 1, 0, 2), cell_of_sources(0, 0, 1, 2)
    history = history_of(one, one, two, three, three)
    found = changes.change_of(history, "normal")
    assert found is not None
    assert (found.times, found.moments, found.last) == (2, 4, 3)
    assert [value for _, value in changes.between_epochs(history, "normal")] == [
        compare(before, after).inputs for before, after in ((one, one), (one, two), (two, three), (three, three))
    ]
    assert changes.to_last(history, "normal")[-1] == (4, 0)
    assert found.inputs == sum(value for _, value in changes.between_epochs(history, "normal"))
    reduce = changes.change_of(history, "reduce")
    assert reduce is not None
    assert reduce.last is None
    assert changes.change_of(history[:1], "normal") is None


def test_the_claim_is_answered_from_the_runs_own_epochs(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, epochs=9)
    change = changes.change_of(facts.history, "normal")
    assert change is not None
    said = claim_box(facts)
    assert said is not None
    assert "not true for this search" in said
    assert f"at {change.times} of {change.moments} epochs, with {change.inputs} inputs exchanged in total" in said
    assert f"differ in {change.apart} of {change.of} inputs" in said
    lines = [json.loads(line) for line in (facts.folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if "architecture" in line:
            line["architecture"] = lines[0]["architecture"]
    (facts.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    still = claim_box(read_facts(facts.folder))
    assert still is not None
    assert f"{CLAIM}: true for this search" in still
    assert "the same cell at all 10 epochs" in still


def test_a_cell_that_settles_in_the_first_half_is_told_as_settled(tmp_path: Path) -> None:
    one, two = cell_of_sources(0, 1, 0, 1), cell_of_sources(0, 1, 0, 2)
    facts = facts_of(tmp_path, epochs=1)
    early, late = (one, two, two, two, two, two), (one, one, two)
    for cells, told in ((early, "true for this search only after epoch 1"), (late, "not true for this search")):
        said = claim_box(replace(facts, start=None, epochs=tuple(history_of(*cells))))
        assert said is not None
        assert told in said


def test_a_run_that_gives_an_earlier_epochs_cell_says_so(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, epochs=4)
    assert "not the cell of its last epoch" not in str(claim_box(facts))
    earlier = replace(facts, final=facts.epochs[0].architecture)
    assert facts.final is not None
    assert earlier.final is not None
    told = f"not the cell of its last epoch: their edit distance is {distance(earlier.final, facts.final)}."
    assert told in str(claim_box(earlier))


def test_random_cells_of_the_space_are_the_baseline() -> None:
    far = changes.random_distance("darts", "normal")
    assert far is not None
    assert 5 < far < 8
    assert changes.random_distance("no such space", "normal") is None


def test_margins_are_those_of_alpha_by_hand() -> None:
    operations = ("none", SKIP, SEP)
    table = (
        (0.8, 0.15, 0.05), (0.1, 0.3, 0.6),
        (0.1, 0.5, 0.4), (0.2, 0.35, 0.45), (0.1, 0.2, 0.7),
    )  # fmt: skip
    cell = darts.Cell((((SKIP, 0), (SEP, 1)), ((SKIP, 0), (SEP, 2))), (2, 3))
    epoch = Epoch(0, 0, weights={"normal": table}, architecture=darts.architecture({"normal": cell, "reduce": cell}))
    assert changes.operation_margins(epoch, "normal", operations) == pytest.approx([0.1, 0.3, 0.1, 0.5])
    assert changes.edge_margins(epoch, "normal", operations) == pytest.approx([0.5 - 0.45])
    assert changes.least([0.2, 0.1]) == 0.1
    assert math.isnan(changes.least([]))
    assert math.isnan(changes.least([0.1, math.nan]))


def test_the_drift_is_the_norm_of_alphas_way() -> None:
    history = [Epoch(number, 0, alpha={"normal": ((x, 0.0), (0.0, -math.inf))}) for number, x in enumerate((0, 3, 2))]
    assert changes.drift_from_start(history, "normal") == [(0, 0.0), (1, 3.0), (2, 2.0)]
    assert changes.drift_between_epochs(history, "normal") == [(1, 3.0), (2, 1.0)]
    assert changes.root_mean_square_step(history, "normal") == pytest.approx(
        math.sqrt(1 / 3)
    )  # of those that may be chosen
    assert changes.root_mean_square_step(history[:1], "normal") is None
    assert changes.norm_between(((1.0, 2.0),), ((4.0, 6.0),)) == 5.0


# --- The strip --------------------------------------------------------------------------------------------------------


def test_the_layout_of_small_pictures_has_every_node_and_edge_of_the_relaxed_cell() -> None:
    for number in (1, 4, 6):
        place = layout(number)
        assert set(place.paths) == set(darts.edges(number))
        assert set(place.nodes) == set(range(2 + number))
        assert len(set(place.nodes.values())) == 2 + number
        inside = [
            place.left < x < place.left + place.width and place.top < y < place.top + place.height
            for x, y in place.nodes.values()
        ]
        assert all(inside)


def test_the_strip_has_a_picture_an_epoch_and_draws_new_inputs_thick(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, epochs=5)
    frames = epoch_frames(facts, facts.history, "normal")
    drawn = strip(frames, "normal")
    thumbs = drawn.split('class="thumb"')[1:]
    assert len(thumbs) == 6
    for frame, thumb in zip(frames, thumbs, strict=True):
        new = compare(frame.before, frame.cell).inputs if frame.before is not None else 0
        assert (thumb.count('stroke-width="10"'), thumb.count("<path")) == (new, 8)
        assert frame.words in thumb
    assert [frame.index for frame in frames] == list(range(6))


def test_cells_of_unlike_sizes_and_inputs_that_are_used_twice_fit_one_strip() -> None:
    twice = darts.Cell((((SKIP, 0), (SKIP, 0)),), (2,))
    large = darts.cell(published()["AmoebaNet"].architecture, "normal")
    drawn = strip([Frame("one", twice), Frame("two", large, twice)], "normal")
    assert drawn.count("<path") == 2 + sum(map(len, large.nodes))
    assert "two: " in drawn


# --- Chains of runs ---------------------------------------------------------------------------------------------------


def write_chain(folder: Path, *, carried: bool = True) -> tuple[Path, Path]:
    """A search of 4 epochs and one of 3 that goes on from it, on other data."""
    first = write_search(folder / "first", epochs=4, seed=0)
    lines = search_lines(3, 1, 0.0, True, 10)
    if carried:
        last = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()][-2]
        lines[0] = {"event": "start"} | {key: last[key] for key in ("alpha_normal", "alpha_reduce", "architecture")}
    config = {"command": "search", "method": "darts", "space": "darts", "data": "digits-inverted", "seed": 0}
    data = {"name": "digits-inverted", "train": 719, "val": 719, "test": 359}
    second = write_folder(folder / "second", config, {"parent": str(first), "data": data}, lines)
    return first, second


def test_a_chain_of_runs_is_one_history_that_knows_its_swap(tmp_path: Path) -> None:
    first, second = write_chain(tmp_path)
    chain = chain_of(read_facts(second))
    assert [facts.name for facts in chain] == ["first", "second"]
    whole = joined(chain)
    assert [epoch.epoch for epoch in whole.history] == [-1, 0, 1, 2, 3, 4, 5, 6]
    assert [(swap.epoch, swap.run, swap.data) for swap in whole.swaps] == [(4, "second", "digits-inverted")]
    assert swap_index(whole.history, whole.swaps[0]) == 5
    assert whole.epochs[5].alpha == read_facts(second).epochs[1].alpha
    assert whole.epochs[5].place == "epoch 1 of second"
    assert [epoch.step for epoch in whole.epochs] == [10, 20, 30, 40, 50, 60, 70]
    assert whole.folder == second
    assert joined(chain_of(read_facts(first))) == read_facts(first)


def test_an_alpha_that_was_not_carried_over_is_an_epoch_of_its_own(tmp_path: Path) -> None:
    _, second = write_chain(tmp_path, carried=False)
    whole = joined(chain_of(read_facts(second)))
    assert [epoch.epoch for epoch in whole.history] == [-1, 0, 1, 2, 3, 3, 4, 5, 6]
    assert whole.history[5].place == "start of second"
    assert whole.history[swap_index(whole.history, whole.swaps[0])] is whole.history[5]


def test_a_chain_ends_where_a_parent_is_missing_of_another_form_or_met_again(tmp_path: Path) -> None:
    first, second = write_chain(tmp_path)
    environment = json.loads((first / "environment.json").read_text())
    (first / "environment.json").write_text(json.dumps({**environment, "parent": str(second)}))
    assert [facts.name for facts in chain_of(read_facts(second))] == ["first", "second"]
    (first / "environment.json").write_text(json.dumps({**environment, "parent": str(tmp_path / "gone")}))
    assert [facts.name for facts in chain_of(read_facts(second))] == ["first", "second"]
    lines = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        for kind in darts.CELLS:
            if f"alpha_{kind}" in line:
                line[f"alpha_{kind}"] = line[f"alpha_{kind}"][:5]
    (first / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [facts.name for facts in chain_of(read_facts(second))] == ["second"]


def test_the_page_of_a_chain_passes_through_both_runs_and_marks_the_swap(tmp_path: Path) -> None:
    first, second = write_chain(tmp_path)
    page = write_report([second])
    said, text = words_of(page), page.read_text()
    through = "epochs are counted through 2 runs, with second (digits-inverted) from epoch 4 on"
    assert f"continues another one: below, {through}" in said
    assert "From just before the swap to digits-inverted (epoch 4) to the end: " in said
    assert "epoch 3 (epoch 3 of first) → epoch 6 (epoch 2 of second)" in said
    assert "swap → digits-inverted" in said
    assert text.count('class="swap"') == 4
    data = json.loads(re.search(r'class="slider-data">(.*?)</script>', text)[1])  # type: ignore[index]
    assert data["swaps"] == [5]
    assert [frame["epoch"] for frame in data["frames"]] == [-1, 0, 1, 2, 3, 4, 5, 6]
    assert "epoch 4 · epoch 0 of second" in data["frames"][5]["readout"]
    alone = write_report([first]).read_text()
    assert 'class="swap"' not in alone
    assert 'class="swap-mark"' not in alone


def test_the_drift_of_a_chain_is_one_curve(tmp_path: Path) -> None:
    _, second = write_chain(tmp_path)
    whole = joined(chain_of(read_facts(second)))
    norms = changes.drift_from_start(whole.history, "normal")
    assert [epoch for epoch, _ in norms] == [-1, 0, 1, 2, 3, 4, 5, 6]
    assert norms[6][1] == changes.norm_between(whole.history[0].alpha["normal"], whole.history[6].alpha["normal"])
    drawn = drift_plot(whole)
    assert drawn is not None
    assert "Dotted: the swap" in drawn


# --- Pages that have little to show ---------------------------------------------------------------------------------


def relaxed_lines(num_nodes: int, epochs: int) -> list[dict[str, Any]]:
    """A history of cells of another number of nodes: alpha and the cell stay as they are."""
    rows = [[0.1 * ((row + column) % 5) for column in range(8)] for row in range(len(darts.edges(num_nodes)))]
    nodes = tuple(((SEP, 0), (SKIP, 1)) for _ in range(num_nodes))
    cell = darts.Cell(nodes, tuple(range(2, 2 + num_nodes)))
    from dartboard import formats

    text = formats.write(darts.architecture({"normal": cell, "reduce": cell}), "quark0")
    fields = {"alpha_normal": rows, "alpha_reduce": rows, "architecture": text}
    return [{"event": "epoch", "epoch": epoch, "step": 1 + epoch, **fields} for epoch in range(epochs)]


@pytest.mark.parametrize("nodes", [1, 2, 6])
def test_a_page_of_cells_of_another_number_of_nodes_is_whole(tmp_path: Path, nodes: int) -> None:
    config = {"command": "search", "method": "darts", "data": "digits", "seed": 0}
    folder = write_folder(tmp_path / "run", config, {}, relaxed_lines(nodes, 3))
    said = words_of(write_report([folder]))
    assert f"{CLAIM}: true for this search" in said
    assert "The derived normal cell of every epoch" in said


def test_one_epoch_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    config = {"command": "search", "method": "darts", "data": "digits", "seed": 0}
    folder = write_folder(tmp_path / "run", config, {}, relaxed_lines(2, 1))
    assert change_section(read_facts(folder)) is None
    assert "Does the cell change?" not in words_of(write_report([folder]))


def test_a_space_whose_edges_offer_unlike_operations_has_its_columns_told_apart(tmp_path: Path) -> None:
    config = {"command": "search", "method": "darts", "space": "s1", "data": "digits", "seed": 0}
    from dartboard.spaces import SPACES

    mixed = darts.mixed(SPACES["s1"])
    rows = {f"alpha_{kind}": [[0.0, 1.0] for _ in mixed[kind]] for kind in darts.CELLS}
    folder = write_folder(tmp_path / "run", config, {}, [{"event": "epoch", "epoch": 0, "step": 1, **rows}])
    facts = read_facts(folder)
    for kind in darts.CELLS:
        for row, own in zip(facts.epochs[0].weights[kind], mixed[kind], strict=True):
            found = dict(zip(facts.operations, row, strict=True))
            assert [found[name] for name in own] == pytest.approx(softmax([0.0, 1.0]))
            assert sum(found.values()) == pytest.approx(1)
    text = "Genotype(normal=[{0}], normal_concat=range(2, 6), reduce=[{0}], reduce_concat=range(2, 6))"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines[0]["architecture"] = text.format(", ".join(["('skip_connect', 0), ('skip_connect', 1)"] * 4))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = write_report([folder]).read_text()
    data = json.loads(re.search(r'class="slider-data">(.*?)</script>', page)[1])  # type: ignore[index]
    told = [[weight is not None for weight in row] for row in data["kinds"]["normal"]["weights"][0]]
    assert told == [[name in own for name in facts.operations] for own in mixed["normal"]]
    assert all(f"</svg>{name}</li>" in page for name in facts.operations)


def test_the_difference_of_isomorphic_cells_has_nothing_gone_or_new() -> None:
    one = darts.Cell((((SKIP, 0), (SKIP, 1)), ((SEP, 0), (SEP, 1))), (2, 3))
    other = darts.Cell((one.nodes[1], one.nodes[0]), (2, 3))
    drawn = difference_picture(one, other, "normal", "x")
    assert "4 inputs in both, 0 removed, 0 added" in drawn
    assert "3 as 2, 2 as 3" in drawn
    whole = two_epochs(*history_of(one, cell_of_sources(0, 1, 0, 1)), "x")
    assert "epoch 0 → epoch 1" in whole
