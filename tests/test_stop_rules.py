"""The stopping rules against sequences made by hand. No torch."""

import subprocess
import sys
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dartboard import formats
from dartboard.errors import InputError
from dartboard.search.stop_rules import Rule, Stopped, first, outcome, parse, verdict
from dartboard.spaces import SPACES, darts

DARTS, S2, S1 = (darts.mixed(SPACES[name]) for name in ("darts", "s2", "s1"))


def cell_with(skips: int, mark: int = 0) -> str:
    """A cell with so many skip connections, unlike those with another mark."""
    names = ["skip_connect"] * skips + ["sep_conv_3x3"] * (8 - skips)
    nodes = tuple(((names[2 * i], 0), (names[2 * i + 1], 1)) for i in range(4))
    other = tuple((("max_pool_3x3", mark % 2), ("dil_conv_3x3", 2 if node and mark > 1 else 1 - mark % 2))
                  for node in range(4))  # fmt: skip
    plain = darts.Cell(nodes, (2, 3, 4, 5))
    return formats.write(darts.architecture({"normal": plain, "reduce": darts.Cell(other, (2, 3, 4, 5))}), "quark0")


def line(epoch: int, **values: Any) -> dict[str, Any]:
    return {"event": "epoch", "epoch": epoch, "architecture": f"cell of {epoch}", **values}


def rule(text: str) -> Rule:
    return parse(text)[0]


# --- The text --------------------------------------------------------------------------------------------------------


def test_a_rule_is_written_with_or_without_its_numbers() -> None:
    found = parse("skips:3, stable,eigenvalue:1.5 ,held-out")
    assert [one.text for one in found] == ["skips:3", "stable:10", "eigenvalue:1.5:2", "held-out:0.05:0"]
    assert found == parse(",".join(one.text for one in found))
    assert found[3].file_name == "held-out-0.05-0.json"
    assert parse("") == parse("  ") == ()
    assert [one.text for one in parse("skips:1,skips:2")] == ["skips:1", "skips:2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("skip:2", "unknown rule of --stop 'skip'; did you mean 'skips'"),
        ("skips:0", "--stop skips:0: give a whole number, 1 to 100"),
        ("skips:2.5", "give a whole number"),
        ("skips:many", "give a whole number"),
        ("skips:", "give a whole number"),
        ("skips:2:3", "skips takes 1 number at most, as in skips:2"),
        ("eigenvalue:nan", "--stop eigenvalue:nan: give"),
        ("eigenvalue:0", "give more than 0"),
        ("eigenvalue:1.3:0", "give a whole number, 1 to 1000"),
        ("held-out:0.9", "give more than 0 and 0.5 or less"),
        ("skips:2,,stable", "unknown rule of --stop ''"),
        ("skips,skips:2", "more than once"),
        ("held-out:0.1,held-out:0.2", "more than once"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parse(text)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 300


# --- skips -----------------------------------------------------------------------------------------------------------


def skip_lines(counts: Sequence[int]) -> list[dict[str, Any]]:
    return [line(epoch, architecture=cell_with(count, epoch)) for epoch, count in enumerate(counts)]


@pytest.mark.parametrize(
    ("counts", "fired", "kept"),
    [
        ([0, 1, 1, 2, 5], 3, 2),
        ([0, 3], 1, 0),
        ([3, 2, 1, 2], 3, 2),  # what the noise of the first epochs has is no collapse
        ([3, 4, 5, 8], None, 3),
        ([0, 1, 0, 1], None, 3),
        ([1], None, 0),
    ],
)
def test_skips_keeps_the_last_cell_before_there_were_too_many(counts: list[int], fired: int | None, kept: int) -> None:
    lines = skip_lines(counts)
    found = outcome(rule("skips:2"), lines, DARTS)
    assert found is not None
    assert (found.epoch, found.kept) == (fired, kept)
    assert found.architecture == lines[kept]["architecture"]


def test_skips_of_the_reduction_cell_do_not_count() -> None:
    lines = skip_lines([0, 0, 0])
    for one in lines[1:]:
        found, _ = formats.read(one["architecture"])
        turned = darts.architecture(
            {"normal": darts.cell(found, "normal"), "reduce": darts.cell(skip_cell(), "normal")}
        )
        one["architecture"] = formats.write(turned, "quark0")
    assert verdict(rule("skips:2"), lines, DARTS) is None


def skip_cell() -> Any:
    return formats.read(cell_with(8))[0]


# --- stable ----------------------------------------------------------------------------------------------------------


def alphas(normal: Sequence[Sequence[float]], mixed: darts.Mixed = DARTS) -> dict[str, Any]:
    return {
        "alpha_normal": [list(row) for row in normal],
        "alpha_reduce": [[0.0] * len(row) for row in mixed["reduce"]],
    }


def table(*changes: tuple[int, int, float], mixed: darts.Mixed = DARTS) -> list[list[float]]:
    """Logits that fall from column to column, and a little from edge to edge, but for (edge, column, logit)."""
    rows = [[-0.1 * column - 0.01 * edge for column in range(len(row))] for edge, row in enumerate(mixed["normal"])]
    for edge, column, value in changes:
        rows[edge][column] = value
    return rows


def test_stable_fires_after_so_many_epochs_without_a_change_of_the_order() -> None:
    """Columns 4 to 7 are the convolutions; the order changes from epoch 1 to epoch 2 and never again."""
    changed = table((13, 7, 1.0))
    lines = [line(epoch, **alphas(table() if epoch < 2 else changed)) for epoch in range(8)]
    assert verdict(rule("stable:3"), lines, DARTS) == Stopped(
        5, 5, "cell of 5", "the same order of operations for 3 epochs"
    )
    assert verdict(rule("stable:3"), lines[:5], DARTS) is None
    assert verdict(rule("stable:1"), lines, DARTS).epoch == 1  # type: ignore[union-attr]
    assert outcome(rule("stable:9"), lines, DARTS) == Stopped(None, 7, "cell of 7", "never fired; the last epoch")


def test_stable_does_not_see_operations_without_weights_nor_the_order_of_edges_where_edges_have_several() -> None:
    moving = [table(*((edge, epoch % 4, 2.0) for edge in range(14))) for epoch in range(6)]  # none, pools, skip
    lifted = [[[value + epoch * edge for value in row] for edge, row in enumerate(table())] for epoch in range(6)]
    for tables in (moving, lifted):
        lines = [line(epoch, **alphas(rows)) for epoch, rows in enumerate(tables)]
        assert verdict(rule("stable:5"), lines, DARTS).epoch == 5  # type: ignore[union-attr]


def test_where_an_edge_has_one_learnable_operation_its_nodes_order_their_edges() -> None:
    """S2: skip_connect and sep_conv_3x3 on every edge. Edges 2, 3, 4 lead into node 3."""
    lines = [line(epoch, **alphas(table(mixed=S2), S2)) for epoch in range(4)]
    assert verdict(rule("stable:3"), lines, S2).epoch == 3  # type: ignore[union-attr]
    swapped = alphas(table((3, 1, 0.5), mixed=S2), S2)
    lines = [line(epoch, **(swapped if epoch == 2 else alphas(table(mixed=S2), S2))) for epoch in range(4)]
    assert verdict(rule("stable:3"), lines, S2) is None
    shifted = alphas([[value + 5 * epoch for value in row] for epoch, row in enumerate(table(mixed=S2))], S2)
    lines = [line(epoch, **(shifted if epoch == 2 else alphas(table(mixed=S2), S2))) for epoch in range(4)]
    assert verdict(rule("stable:3"), lines, S2).epoch == 3  # type: ignore[union-attr]


def test_in_s1_only_edges_with_two_convolutions_are_compared() -> None:
    """The last two edges of the normal cell offer dil_conv_3x3 and dil_conv_5x5, all others one of the two at most."""
    for edge, expected in ((12, None), (13, None), (0, 2)):
        flipped = alphas(table((edge, 1, 0.9), mixed=S1), S1)
        lines = [line(epoch, **(flipped if epoch == 1 else alphas(table(mixed=S1), S1))) for epoch in range(3)]
        found = verdict(rule("stable:2"), lines, S1)
        assert (found.epoch if found else None) == expected


# --- eigenvalue ------------------------------------------------------------------------------------------------------


def eigen_lines(values: dict[int, float], last: int) -> list[dict[str, Any]]:
    return [line(epoch, **({"eigenvalue": values[epoch]} if epoch in values else {})) for epoch in range(last + 1)]


def by_hand(values: dict[int, float], last: int) -> tuple[int, int] | None:
    """The rule at its defaults, written with the epochs' own numbers. (fired, kept)."""
    for now in range(0, last + 1, 2):
        kept = now - 12
        if kept >= 10:
            late = sum(values[epoch] for epoch in (now - 8, now - 6, now - 4, now - 2, now)) / 5
            soon = sum(values[epoch] for epoch in (kept - 4, kept - 2, kept, kept + 2, kept + 4)) / 5
            if late / soon > 1.3:
                return now, kept
    return None


def test_the_window_is_credited_to_its_middle_and_compared_with_the_one_four_readings_before() -> None:
    """Flat at 1, then one reading of 3.6 at epoch 30: the average is 1.52 from epoch 30 on, credited to epoch 26."""
    values = dict.fromkeys(range(0, 50, 2), 1.0) | {30: 3.6}
    found = verdict(rule("eigenvalue"), eigen_lines(values, 49), DARTS)
    assert found is not None
    assert (found.epoch, found.kept, found.architecture) == (30, 18, "cell of 18")
    assert found.why == "the eigenvalue grew from 1 to 1.52, 1.52 times"
    assert verdict(rule("eigenvalue"), eigen_lines(values, 29), DARTS) is None
    assert verdict(rule("eigenvalue:1.52"), eigen_lines(values, 49), DARTS) is None


@pytest.mark.parametrize(("epoch", "fired"), [(8, None), (20, 22), (22, 22), (24, 24)])
def test_nothing_before_epoch_ten_is_kept(epoch: int, fired: int | None) -> None:
    """A step from 1 to 9 at an epoch: the first window that may be kept is that of epoch 10, compared at epoch 22."""
    values = {reading: 1.0 if reading < epoch else 9.0 for reading in range(0, 50, 2)}
    found = verdict(rule("eigenvalue"), eigen_lines(values, 49), DARTS)
    assert (found.epoch if found else None) == fired
    assert found is None or found.kept == found.epoch - 12 >= 10  # type: ignore[operator]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.1, 0.3, 0.6]))
def test_random_sequences_are_judged_as_by_hand(seed: int, spread: float) -> None:
    rng = Random(seed)
    values = {epoch: rng.lognormvariate(epoch / 60, spread) for epoch in range(0, 50, 2)}
    found = verdict(rule("eigenvalue"), eigen_lines(values, 49), DARTS)
    assert (None if found is None else (found.epoch, found.kept)) == by_hand(values, 49)


def test_the_interval_scales_the_window_in_epochs() -> None:
    values = {epoch: 1.0 if epoch < 20 else 5.0 for epoch in range(40)}
    found = verdict(rule("eigenvalue:1.3:1"), eigen_lines(values, 39), DARTS)
    assert found is not None
    assert (found.epoch, found.kept) == (20, 14)
    wide = {epoch: 1.0 if epoch < 60 else 5.0 for epoch in range(0, 100, 5)}
    found = verdict(rule("eigenvalue:1.3:5"), eigen_lines(wide, 99), DARTS)
    assert found is not None
    assert (found.epoch, found.kept) == (60, 30)


def test_a_reading_that_is_missing_stops_nothing() -> None:
    values = dict.fromkeys(range(0, 30, 2), 1.0) | {26: 9.0, 28: 9.0}
    lines = eigen_lines(values, 29)
    assert verdict(rule("eigenvalue"), lines, DARTS).epoch == 26  # type: ignore[union-attr]
    lines[24]["eigenvalue"] = None
    assert verdict(rule("eigenvalue"), lines, DARTS) is None


def test_readings_that_are_not_positive_stop_nothing() -> None:
    values = {epoch: 0.0 if epoch < 20 else 1.0 for epoch in range(0, 50, 2)}
    found = verdict(rule("eigenvalue"), eigen_lines(values, 49), DARTS)
    assert found is not None
    assert found.kept == 16  # its window, epochs 12 to 20, is the first that is not all zero


# --- held-out --------------------------------------------------------------------------------------------------------


def held_lines(scores: Sequence[tuple[float | None, float | None]]) -> list[dict[str, Any]]:
    names = ("held_out_accuracy", "held_out_loss")
    return [line(epoch, **dict(zip(names, pair, strict=True))) for epoch, pair in enumerate(scores)]


def test_held_out_keeps_the_best_score_and_of_equal_ones_the_lowest_loss() -> None:
    lines = held_lines([(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (0.6, 0.1)])
    assert outcome(rule("held-out"), lines, DARTS) == Stopped(
        None, 2, "cell of 2", "best score: 70.0 % of the held-out images"
    )
    assert verdict(rule("held-out"), lines, DARTS) is None


def test_held_out_with_patience_fires_when_the_best_is_so_many_epochs_old() -> None:
    lines = held_lines([(0.5, 1.0), (0.7, 0.9), (0.6, 0.8), (0.6, 0.8), (0.9, 0.1)])
    found = verdict(rule("held-out:0.05:2"), lines, DARTS)
    assert found is not None
    assert (found.epoch, found.kept) == (3, 1)
    assert verdict(rule("held-out:0.05:3"), lines, DARTS) is None
    assert verdict(rule("held-out:0.05:2"), lines[:3], DARTS) is None


# --- Together --------------------------------------------------------------------------------------------------------


def test_the_first_rule_is_the_first_in_time_and_of_one_epoch_the_one_named_first() -> None:
    lines = [
        one | values
        for one, values in zip(
            skip_lines([0, 0, 2, 2]), held_lines([(0.5, 1), (0.4, 1), (0.4, 1), (0.4, 1)]), strict=True
        )
    ]
    for epoch, one in enumerate(lines):
        one["architecture"] = skip_lines([0, 0, 2, 2])[epoch]["architecture"]
    assert first(parse("skips:2,held-out:0.05:2"), lines, DARTS)[0].name == "skips"  # type: ignore[index]
    assert first(parse("held-out:0.05:2,skips:2"), lines, DARTS)[0].name == "held-out"  # type: ignore[index]
    assert first(parse("skips:2,held-out:0.05:1"), lines, DARTS)[0].name == "held-out"  # type: ignore[index]
    assert first(parse("skips:5"), lines, DARTS) is None
    assert outcome(rule("skips:2"), [{"event": "start", "architecture": cell_with(0)}], DARTS) is None


def test_the_rules_load_no_torch() -> None:
    program = "import sys, dartboard.search.stop_rules as s; s.parse('skips'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
