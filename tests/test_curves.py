"""Curves of the page: legends that fit, steps where their epochs stand, marks of the swap."""

import re
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from dartboard.report.facts import Swap, read_facts
from dartboard.report.figures import Series, curves, dots, legend_rows, wrapped
from dartboard.report.plots import line, plot, step_line
from dartboard.report.stability import entropy_plot
from synthetic_runs import write_folder, write_search

LONG = [f"search-of-a-very-long-name-on-cifar10-with-seed-{seed}" for seed in range(4)]


def test_four_long_names_stand_below_each_other_and_differ() -> None:
    assert legend_rows(LONG) == (1, 4)
    assert legend_rows(["normal cell", "reduction cell"]) == (2, 1)
    assert legend_rows(["one", "two", "three", "four"]) == (4, 1)
    assert legend_rows(["search-first-s0", "search-first-s1", "search-second-s0", "search-second-s1"]) == (2, 2)
    drawn = curves(
        [
            Series(name, [0, 1], [0, 1], f"--{colour}")
            for name, colour in zip(LONG, ("one", "two", "three", "four"), strict=True)
        ],
        "x" * 20,
    )
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn).groups())  # type: ignore[union-attr]
    places = {
        name: re.search(rf'x="([-\d.]+)" y="([-\d.]+)"[^>]*>{re.escape(name)}</text>', drawn)
        or re.search(rf"translate\(([-\d.]+) ([-\d.]+)\)[^>]*>{re.escape(name)}</text>", drawn)
        for name in LONG
    }
    for name, place in places.items():
        assert place is not None, name
        assert 0 <= float(place[1]) < width - 5 * len(name) * 0.8
        assert 0 <= float(place[2]) < height


def test_a_mark_leaves_the_picture_as_high_as_it_is() -> None:
    views = [
        re.search('viewBox="[^"]*"', curves([Series("one", [0, 1], [0.1, 0.2])], "x" * 20, marks=marks))
        for marks in ([], [(0.1, "chance")], [(3.0, "undecided")])
    ]
    assert len({view and view[0] for view in views}) == 1


def test_what_is_counted_has_no_fractions_beside_its_axis() -> None:
    for counts in ([4, 3], [1, 0, 0], [2, 2], [7, 0]):
        drawn = curves([Series("cell", range(len(counts)), counts)], "x" * 20, integers=True)
        texts = [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]
        assert not [text for text in texts if re.fullmatch(r"-?\d+\.\d+", text)], counts


@pytest.mark.parametrize(("mark", "above"), [(0.1, True), (0.9, False)])
def test_the_word_of_a_mark_stands_on_the_side_of_the_middle(mark: float, above: bool) -> None:
    drawn = curves([Series("one", [0, 1], [0.1, 0.9])], "x" * 20, marks=[(mark, "chance")])
    found = re.findall(r'<text[^>]*?(?:y="|translate\([-\d.]+ )([-\d.]+)[^>]*>([^<]*)</text>', drawn)
    places = {text.strip(): float(y) for y, text in found}
    ticks = (places["0.2"] - 3, places["0.8"] - 3)  # the baselines of their numbers are lower than their lines
    line = ticks[0] + (mark - 0.2) / 0.6 * (ticks[1] - ticks[0])
    assert (places["chance"] < line) == above


def test_no_name_beside_a_chart_is_cut() -> None:
    names = ["digits-rotated alone, both budgets", "digits-rotated, then digits", "x" * 130]
    for drawn in (dots([(name, [0.1]) for name in names], "y" * 20), curves([Series(names[2], [0], [1])], "z" * 20)):
        assert "…" not in drawn
    told = re.sub("<[^>]*>", " ", dots([(name, [0.1, 0.2]) for name in names], "y" * 20, 0.1))
    assert "".join("".join(names).split()) in "".join(told.split()) and "chance" in told
    assert wrapped("x" * 130, 52).count("\n") == 2 and legend_rows(["x" * 130, "one"]) == (1, 4)


def test_names_that_start_with_a_bar_and_faint_lines_are_not_in_the_legend() -> None:
    drawn = curves(
        [Series("seen", [0], [1]), Series("_unseen", [0], [1]), Series("faint", [0], [1], faint=True)], "x" * 20
    )
    assert ">seen</text>" in drawn
    assert "unseen" not in drawn
    assert "faint" not in drawn


def test_the_last_step_of_an_epoch_stands_where_the_epoch_stands(tmp_path: Path) -> None:
    facts = read_facts(write_search(tmp_path / "run", epochs=3, steps=4))
    epochs = tuple(replace(epoch, step=step) for epoch, step in zip(facts.epochs, (4, 12, 14), strict=True))
    steps = tuple(replace(facts.steps[0], step=step) for step in (0, 2, 4, 8, 12, 13, 14, 15))
    found = step_line(replace(facts, epochs=epochs, steps=steps), "train_loss", "--one")[0]
    assert list(found.x) == pytest.approx([-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5])
    assert step_line(replace(facts, steps=()), "train_loss", "--one") == []


def test_a_swap_is_a_line_between_two_epochs(tmp_path: Path) -> None:
    facts = read_facts(write_search(tmp_path / "run", epochs=4))
    series = line(facts, "val_loss", "validation", "--two")
    plain = plot(facts, "Loss", series, "words")
    marked = plot(replace(facts, swaps=(Swap(2, "other", "digits"),)), "Loss", series, "words")
    assert plain is not None
    assert marked is not None
    assert marked.count("<path") == plain.count("<path") + 1


def test_undecided_is_the_entropy_of_as_many_operations_as_an_edge_offers(tmp_path: Path) -> None:
    rows = [[0.0, 1.0]] * 14
    line = {"event": "epoch", "epoch": 0, "step": 1, "alpha_normal": rows, "alpha_reduce": rows}
    folder = write_folder(tmp_path / "run", {"command": "search", "space": "s1"}, {}, [line])
    drawn = entropy_plot(read_facts(folder))
    assert drawn is not None
    assert "1 is undecided between 2 operations" in drawn
    whole = entropy_plot(read_facts(write_search(tmp_path / "other", epochs=1)))
    assert whole is not None
    assert "3 is undecided between 8 operations" in whole


@pytest.mark.parametrize("name", [r"$\frac$", "$a_1$", "n\udcffme", "a<b&c"])
def test_a_name_stands_in_a_picture_as_it_is_typed(name: str) -> None:
    for svg in (dots([(name, [0.5])], f"of {name}"), curves([Series(name, [1, 2], [0.1, 0.2])], f"of {name}")):
        assert escape(name.encode(errors="backslashreplace").decode()) in svg[svg.index(">") :]
