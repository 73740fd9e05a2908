"""The page over several runs averages only what repeats itself, and says what sets the rest apart."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dartboard.report import write_report
from dartboard.report.facts import Facts, read_facts
from dartboard.report.groups import groups_of, numbered
from synthetic_runs import ENVIRONMENT, write_search, write_training


def said(page: Path) -> str:
    """The page's text, one space between words; pictures and styles left out."""
    whole = re.sub(r"<(script|style|svg).*?</\1>", " ", page.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", whole))


def data_named(name: str, mark: str = "f", **changes: Any) -> dict[str, Any]:
    return {"data": {**ENVIRONMENT["data"], "name": name, "fingerprint": mark * 64, **changes}}


def both_orders(folder: Path) -> list[Path]:
    """Six searches, three seeds of either order; those of second order came further."""
    return [
        write_search(
            folder / f"order-{order}-s{seed}",
            epochs=6 if order else 3,
            seed=seed,
            config={"second_order": bool(order), "epochs": 6},
        )
        for order in (0, 1)
        for seed in range(3)
    ]


def accuracies(folders: list[Path]) -> list[float]:
    return [json.loads((one / "metrics.jsonl").read_text().splitlines()[-1])["val_accuracy"] for one in folders]


def mean_words(values: list[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}"


def test_searches_of_both_orders_have_a_figure_each_and_none_over_both(tmp_path: Path) -> None:
    runs = both_orders(tmp_path)
    page = write_report(runs)
    text, values = said(page), accuracies(runs)
    first, second, both = mean_words(values[:3]), mean_words(values[3:]), mean_words(values)
    assert len({first, second, both}) == 3
    top = text[text.index("side by side") : text.index("Searches side by side")]
    assert f"second_order = false {first} ± 0.0 % supernets, validation, n = 3" in top
    assert f"second_order = true {second} ± 0.0 % supernets, validation, n = 3" in top
    assert f"{both} " not in text and "n = 6" not in text
    for order, mean in (("false", first), ("true", second)):
        assert f"mean (n = 3) second_order = {order} {mean} %" in text
    assert "differ in second_order. Averages are only over runs with equal settings." in text
    assert text.count("settings data seed") == 1
    for order in range(2):
        assert text.count(f"order-{order}-s0 second_order = {'true' if order else 'false'} digits 0") == 1


def test_curves_of_one_group_have_one_colour_and_the_legend_names_each(tmp_path: Path) -> None:
    page = write_report(both_orders(tmp_path)).read_text()
    (picture,) = re.findall(r'<svg [^>]*aria-label="Validation accuracy of the supernets: 6 runs.*?</svg>', page, re.S)
    lines = re.findall(r'style="fill: none; [^"]*?stroke: var\((--\w+)\); stroke-width: 1.7', picture)
    assert lines.count("--one") == lines.count("--two") == 3 + 1  # and one in the legend
    assert [picture.count(f"second_order = {order}") for order in ("false", "true")] == [1, 1]


def test_repetitions_alone_have_no_column_for_what_differs(tmp_path: Path) -> None:
    runs = [write_search(tmp_path / f"run{seed}", seed=seed) for seed in range(3)]
    text = said(write_report(runs))
    assert f"supernets, validation {mean_words(accuracies(runs))} ± 0.0 % n = 3" in text
    assert "mean (n = 3)" in text and "unlike" not in text and "run data seed" in text


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({"config": {"method": "other"}}, "method = other"),
        ({"config": {"space": "s2"}}, "space = s2"),
        ({"config": {"data": "cifar10"}, "environment": data_named("cifar10")}, "data = cifar10"),
        ({"environment": data_named("digits", train=100)}, "images (train, val, test) = 100/719/359"),
        ({"environment": data_named("digits", mark="e"), "seed": 0}, "fingerprint = eeeeeeeeeeee"),
        ({"finished": False}, "stopped after 6 epochs"),
        ({"config": {"alpha_lr": 0.1}}, "alpha_lr = 0.1"),
        ({"config": {"from": "elsewhere/run"}}, "from = elsewhere/run"),
    ],
)
def test_what_is_not_alike_is_apart_and_told_by_what_differs(
    tmp_path: Path, changed: dict[str, Any], label: str
) -> None:
    runs = [write_search(tmp_path / f"run{seed}", seed=seed) for seed in range(2)]
    runs += [write_search(tmp_path / "other", **{"seed": 2, **changed})]
    groups = groups_of([read_facts(folder) for folder in runs])
    assert label in [group.settings for group in groups]
    assert "other" not in {facts.name for group in groups if len(group.runs) > 1 for facts in group.runs}
    text = said(write_report(runs))
    assert label in text and "n = 3" not in text


def test_where_runs_lie_and_how_long_at_a_time_they_ran_sets_nothing_apart(tmp_path: Path) -> None:
    places = [{"data_dir": f"/data/{seed}", "threads": seed + 1, "save_every": f"{seed + 1}m"} for seed in range(3)]
    runs = [write_search(tmp_path / f"run{seed}", seed=seed, config=place) for seed, place in enumerate(places)]
    assert len(groups_of([read_facts(folder) for folder in runs])) == 1


def test_searches_that_go_on_from_runs_of_other_seeds_repeat_each_other(tmp_path: Path) -> None:
    def went_on(number: int, parent: Path) -> Path:
        return write_search(
            tmp_path / f"next{number}", seed=number, config={"from": str(parent)}, environment={"parent": str(parent)}
        )

    parents = [write_search(tmp_path / f"first{seed}", seed=seed) for seed in range(2)]
    other = write_search(tmp_path / "second", seed=2, config={"second_order": True})
    runs = [went_on(number, parent) for number, parent in enumerate([*parents, other])]
    groups = groups_of([read_facts(folder) for folder in [*parents, *runs]])
    assert [[facts.name for facts in group.runs] for group in groups] == [
        ["first0", "first1"], ["next0", "next1"], ["next2"]
    ]  # fmt: skip
    assert groups[1].settings == "from = darts on digits" and len({group.label for group in groups}) == 3
    circle = json.dumps({**ENVIRONMENT, "parent": str(runs[0])})
    (parents[0] / "environment.json").write_text(circle)
    (parents[0] / "config.toml").write_text((runs[0] / "config.toml").read_text())
    assert len(groups_of([read_facts(folder) for folder in runs])) == 3  # a circle of parents comes to an end


def test_trainings_of_one_architecture_are_apart_by_settings_and_named_by_both(tmp_path: Path) -> None:
    runs = [
        write_training(tmp_path / f"{name}-{lr}-{seed}", name, seed=seed, config={"lr": lr})
        for name in ("DARTS_V2", "PDARTS")
        for lr in (0.025, 0.5)
        for seed in (0, 1)
    ]
    text = said(write_report(runs))
    for name in ("DARTS_V2", "PDARTS"):
        for lr in ("0.025", "0.5"):
            assert f"{name}, lr = {lr}" in text and f"{name} lr = {lr} 2" in text
    assert "n = 4" not in text and "n = 8" not in text


VALUES = {"lr": [0.1, 0.2], "second_order": [True, False], "stop": ["", "skips:2"], "epochs": [6, 7]}
CONFIGS = st.lists(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}),
    min_size=2,
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(CONFIGS)
def test_two_runs_share_a_group_if_and_only_if_their_settings_are_equal(configs: list[dict[str, Any]]) -> None:
    runs = [
        Facts(Path(str(seed)), "search", "darts", {**config, "seed": seed}, {}, None, (), (), {}, None, 0)
        for seed, config in enumerate(configs)
    ]
    groups = groups_of(runs)
    number = {facts.name: place for place, group in enumerate(groups) for facts in group.runs}
    assert len(number) == len(runs)
    for one, other in combinations(range(len(runs)), 2):
        assert (number[str(one)] == number[str(other)]) == (configs[one] == configs[other])
    assert len({group.label for group in groups}) == len(groups)
    assert all(bool(group.settings) == bool(group.label) == (len(groups) > 1) for group in groups)


def test_labels_that_come_again_get_numbers_that_are_free() -> None:
    assert numbered(["a", "b", "a", "a (2)", "a"]) == ["a", "b", "a (3)", "a (2)", "a (4)"]
