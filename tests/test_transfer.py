"""The transfer study: its stages, its controls, its arithmetic, and that it survives whatever stops it."""

import csv
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tiny
from dartboard import train
from dartboard.cli import main
from dartboard.config import Setup, flat
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import METHODS, darts, method_module
from dartboard.report.checklist import against_random
from dartboard.report.facts import read_facts
from dartboard.report.transfer_page import caution, differences, page_html, side_names
from dartboard.report.transfer_words import carry_verdict, sentence, who_carries
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.scoring.cost import Cost
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture
from dartboard.studies import elsewhere, transfer
from dartboard.studies.cells import Cell
from dartboard.studies.comparisons import Contrast, carry_contrasts, contrast, moves, pairs, ranks
from dartboard.studies.matrix import Findings, findings, group_words
from dartboard.studies.protocol import Protocol, drawn, parse_proxies, stages
from dartboard.studies.study import Study, load

SMALL: dict[str, Any] = {"space": "s2", "seeds": 1, "epochs": 1, "epochs_b": 1, "train_epochs": 1, "random": 0}
SHORT: dict[str, Any] = {"proxy": "images:0.5", "images_a": 120}  # six stages
TIMES = re.compile(r'"[a-z_]*_s": [^,}]*,? ?')


def study(folder: Path, a: str = "digits", b: str = "digits", **changes: Any) -> Study:
    """A study of two-step searches on 60 digits, not begun."""
    protocol = Protocol(a, b, **{**SMALL, "images_a": 60, "images_b": 60, **changes})
    settings = flat(darts.Config(**tiny.SEARCH)), flat(train.Config(**{**tiny.TRAIN, "epochs": 1}))
    return Study.create(folder, protocol, *settings, Setup(device="cpu", threads=1))


def numbers(found: Study) -> dict[str, list[str]]:
    """Every line of every stage's metrics, without times."""
    return {
        stage.name: TIMES.sub("", (found.place(stage) / "metrics.jsonl").read_text()).splitlines()
        for stage in found.stages
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study in which A is B."""
    found = study(tmp_path_factory.mktemp("transfer") / "study")
    transfer.work_on(found, Limits())
    return found


# --- The plan --------------------------------------------------------------------------------------------------------


def test_each_seed_has_its_phases_its_controls_and_every_cell_on_both_data_sets() -> None:
    plan = stages(Protocol("digits", "cifar10", seeds=2, random=4, epochs=3, epochs_b=5, train_epochs=7))
    searches = [stage for stage in plan if stage.command == "search"]
    assert Counter(stage.group for stage in searches) == dict.fromkeys(
        ["a", "b", "aa", "ab", "ba", "bb", "a-whole", "b-whole"], 2
    )
    for stage in searches:
        own = {"a": 3, "b": 5}[stage.side]
        assert stage.epochs == (2 * own if stage.group.endswith("-whole") else own)
        before = {"aa": "a", "ab": "a", "ba": "b", "bb": "b"}.get(stage.group)
        assert stage.before == (None if before is None else f"search-{before}-s{stage.seed}")
    trained = Counter((stage.group, stage.side) for stage in plan if stage.command == "train")
    assert trained == {(group, side): 2 if group[:6] != "random" else 1 for group, side in trained}
    assert len(trained) == 2 * (8 + 4)
    names = [stage.name for stage in plan]
    assert len(set(names)) == len(names)
    assert all(stage.before is None or names.index(stage.before) < names.index(stage.name) for stage in plan)


def test_each_way_to_carry_over_has_its_own_swap_and_its_own_stay() -> None:
    plan = stages(Protocol("digits", "digits", seeds=1, random=0, carry="each"))
    carried = {stage.group: stage.carry for stage in plan if stage.command == "search" and stage.before}
    assert carried["ab-weights"] == carried["bb-weights"] == "weights" and carried["ba-alphas"] == "alphas"
    assert len(carried) == 12
    compared = [
        (first, second) for key, first, second, side in pairs(Protocol("a", "b", carry="each")) if key == "swap"
    ]
    assert ("ab-alphas", "bb-alphas") in compared and len(compared) == 6


def test_a_schedule_that_goes_on_is_as_long_as_both_phases() -> None:
    plan = stages(Protocol("digits", "digits", seeds=1, epochs=3, epochs_b=3, restart_schedule=False))
    lengths = {stage.group: stage.schedule_epochs for stage in plan if stage.command == "search"}
    assert (lengths["a"], lengths["b"], lengths["ab"], lengths["a-whole"]) == (6, 6, None, None)
    with pytest.raises(InputError, match="would jump: a phase is 3 epochs on A and 4 on B"):
        Protocol("digits", "digits", epochs=3, epochs_b=4, restart_schedule=False)


def test_random_cells_are_the_same_every_time_and_all_different() -> None:
    protocol = Protocol("digits", "cifar10")
    cells = [drawn(protocol, draw) for draw in range(6)]
    assert cells == [drawn(protocol, draw) for draw in range(6)] and len(set(cells)) == 6
    assert drawn(Protocol("digits", "cifar10", seed=1), 0) not in cells


@pytest.mark.parametrize("text", ["classes", "classes:2", "classes:0", "width:0.5", "images:x", "size:-1"])
def test_a_proxy_without_sense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--proxy has"):
        parse_proxies(text)


def test_a_plan_for_other_devices_grows_with_work_and_is_bound_by_the_slower_of_arithmetic_and_traffic() -> None:
    device = elsewhere.Device("made up", peak=10.0, bandwidth=100.0)
    busy, wide = Cost(0, 0, 600, 1), Cost(0, 0, 1, 100)
    assert elsewhere.step_seconds(busy, 2, 5, device) == pytest.approx(5 * 2 * 3 * 600 / (0.3 * 10))
    assert elsewhere.step_seconds(wide, 2, 1, device) == pytest.approx(2 * 7 * 100 * 4 / (0.5 * 100))


# --- What it finds ---------------------------------------------------------------------------------------------------


def test_where_a_is_b_swap_and_stay_differ_by_exactly_nothing(done: Study) -> None:
    """Every number of both is the same, bit for bit, so their difference is zero."""
    lines = numbers(done)
    for swap, stay in (("ab", "bb"), ("ba", "aa")):
        assert lines[f"search-{swap}-s0"] == lines[f"search-{stay}-s0"]
        for side in "ab":
            assert lines[f"train-{swap}-on-{side}-s0"] == lines[f"train-{stay}-on-{side}-s0"]
    for one in findings(done).contrasts:
        if one.key in ("swap", "transfer"):
            assert one.pairs == (0.0,) and one.interval.estimate == 0.0
            assert one.interval.low is one.interval.high is None  # one pair has no interval


def test_the_matrix_holds_the_accuracies_that_the_trainings_wrote(done: Study) -> None:
    found = findings(done)
    assert found.done == found.total == 24 and len(found.groups) == 8
    for (group, side), entry in found.matrix.items():
        result = Run.open(done.place(f"train-{group}-on-{side}-s0")).metrics()[-1]
        assert entry.values == (result["test_accuracy"],)
    phases = [cell.steps for cell in found.cells if cell.group in ("a", "b", "ab", "aa")]
    assert len(phases) == 4 and len(set(phases)) == 1


def test_the_arithmetic_of_differences_ranks_and_moves() -> None:
    def cell(group: str, seed: int, a: float, b: float, derived: float | None = None) -> Cell:
        side: Any = group[-1] if group in ("a", "b", "ab", "bb") else None
        return Cell(group, seed, None, {"a": a, "b": b}, side, derived=derived)

    cells = [cell("ab", seed, 0.5, value, derived=value) for seed, value in enumerate((0.6, 0.7, 0.8))]
    cells += [cell("bb", seed, 0.5, value, derived=1 - value) for seed, value in enumerate((0.5, 0.5, 0.9))]
    cells += [cell("random0", 0, 0.1, 0.4), cell("random1", 1, 0.3, 0.6)]
    one = contrast(cells, "swap", "ab", "bb", "b", 0)
    assert one is not None and one.paired and one.interval.n == 3
    assert [round(value, 12) for value in one.pairs] == [0.1, 0.2, -0.1]
    assert round(one.interval.estimate, 12) == round(0.2 / 3, 12) and one.p == pytest.approx(6 / 8)
    other = contrast(cells, "found", "ab", "random", "b", 0)
    assert other is not None and not other.paired and other.interval.estimate == pytest.approx(0.7 - 0.5)
    assert contrast(cells, "swap", "ba", "aa", "a", 0) is None
    by_what = {(rank.what, rank.within): rank for rank in ranks(cells, 0)}
    assert by_what["supernet-b", ""].n == 6 and by_what["sides", ""].n == 8
    assert by_what["supernet-a", ""].tau is None
    # of the 15 pairs of (shared, trained) = (.6, .6) (.7, .7) (.8, .8) (.5, .5) (.5, .5) (.1, .9) nine agree, five do
    # not, and one is tied in both
    assert by_what["supernet-b", ""].tau == pytest.approx((9 - 5) / 14)
    # among the three of each kind: all three pairs agree in ab, none of the two that are untied in bb
    assert by_what["supernet-b", "search"].tau == pytest.approx((3 - 2) / 5)
    # seed 0, (a, b) = (.5, .6) (.5, .5) (.1, .4): two pairs agree, one is tied in a; seed 1: (.5, .7)
    # (.5, .5) (.3, .6): one agrees, one does not, one is tied in a; seed 2: one pair, tied in a
    assert by_what["sides", "seed"].tau == pytest.approx((2 + 0) / math.sqrt(4 * 7))


def test_ways_to_carry_over_are_subtracted_seed_by_seed_and_the_page_says_which_one_it_is() -> None:
    protocol = Protocol("digits", "digits", seeds=3, carry="each")

    def cells(group: str, *values: float) -> list[Cell]:
        return [Cell(group, seed, None, {"b": value}, "b") for seed, value in enumerate(values)]

    stays = [cell for suffix in ("", "-weights", "-alphas") for cell in cells(f"bb{suffix}", 0.5, 0.6, 0.7)]
    swaps = cells("ab", 0.55, 0.66, 0.77) + cells("ab-weights", 0.54, 0.64, 0.75) + cells("ab-alphas", 0.5, 0.59, 0.71)
    found = [one for pair in pairs(protocol) if (one := contrast(stays + swaps, *pair, 0)) is not None]
    carries = {(one.first, one.second): one for one in carry_contrasts(found, protocol, 0)}
    assert len(carries) == 3 and all(one.seeds == (0, 1, 2) and one.side == "b" for one in carries.values())
    one = carries["ab-weights", "ab-alphas"]
    assert [round(value, 12) for value in one.pairs] == [0.04, 0.05, 0.04] and one.interval.excludes_zero
    names: Any = {"a": "one", "b": "other"}
    text = carry_verdict([*found, *carries.values()], "b", names)
    assert "weights only +4.33 (+2.90 to +5.77)" in text and "The weights carry the effect" in text
    assert carry_verdict([*found, *carries.values()], "a", names) == ""
    assert carry_contrasts(found, Protocol("digits", "digits", seeds=3), 0) == []  # one way only
    assert "against alphas only" in sentence(one, names)


def compared(seeds: int) -> list[Contrast]:
    """Swap against stay, and found against random cells, of so many seeds."""
    cells = [Cell("ab", seed, None, {"b": 0.6 + seed**2 / 1000}, "b") for seed in range(seeds)]
    cells += [Cell("bb", seed, None, {"b": 0.5 + seed / 1000}, "b") for seed in range(seeds)]
    cells += [Cell(f"random{seed}", seed, None, {"b": 0.4 + seed / 100}) for seed in range(seeds)]
    both = [contrast(cells, "swap", "ab", "bb", "b", 0), contrast(cells, "found", "ab", "random", "b", 0)]
    return [one for one in both if one is not None]


def test_words_and_page_name_what_made_an_interval_by_the_number_of_its_values() -> None:
    names: Any = {"a": "one", "b": "other"}
    few = compared(3)
    assert "95 % interval +9.78 to +10.35, Student's t, n = 3 pairs" in sentence(few[0], names)
    assert "Welch's t, n = 3 and 3 cells" in sentence(few[1], names)
    page = differences(Findings(0, 0, (), {}, tuple(few), (), (), {}), names)
    assert page is not None and "bootstrap" not in page
    assert "the line its 95 % interval, by Student&#x27;s t, and Welch&#x27;s t for unpaired differences." in page
    many = compared(10)
    assert "bootstrap, n = 10 pairs" in sentence(many[0], names)
    page = differences(Findings(0, 0, (), {}, tuple(many), (), (), {}), names)
    assert page is not None and "the line its 95 % interval, by the bootstrap" in page and "Student" not in page
    alone = compared(1)
    assert sentence(alone[0], names).endswith("+10.00 points (n = 1, no interval).")
    assert "if there is one" in str(differences(Findings(0, 0, (), {}, tuple(alone), (), (), {}), names))


def test_differences_that_are_all_the_same_are_not_called_an_effect() -> None:
    cells = [Cell("ab", seed, None, {"b": 0.6 + seed / 10}, "b") for seed in range(3)]
    cells += [Cell("bb", seed, None, {"b": 0.5 + seed / 10}, "b") for seed in range(3)]
    one = contrast(cells, "swap", "ab", "bb", "b", 0)
    assert one is not None
    said = sentence(one, {"a": "one", "b": "other"})
    assert "All values are equal" in said and "does not contain zero" not in said


def test_the_page_says_how_wide_an_interval_of_so_few_seeds_is(tmp_path: Path) -> None:
    three, one = (str(caution(study(tmp_path / f"study{n}", seeds=n))) for n in (3, 1))
    assert "is 0.25, and an interval by Student&#x27;s t extends 2.5 standard deviations to each side" in three
    assert "there is no interval" in one and "bootstrap" not in three + one
    assert caution(study(tmp_path / "study", seeds=5)) is None


@pytest.mark.parametrize(
    ("shown", "apart", "said"),
    [
        ((False, False, False), True, "no effect that"),
        ((True, False, False), False, "only if both"),
        ((True, True, True), False, "no difference between the two"),
        ((False, True, True), True, "they differ"),
        ((True, False, True), True, "The alphas carry"),
        ((True, True, False), False, "cannot be attributed"),
    ],
)
def test_who_carries_the_effect_follows_from_the_intervals(shown: tuple[bool, ...], apart: bool, said: str) -> None:
    assert said in who_carries(dict(zip(("", "weights", "alphas"), shown, strict=True)), apart)


def test_a_move_is_counted_from_the_cell_of_phase_1(done: Study) -> None:
    found = findings(done)
    by_group = {move.group: move for move in found.moves}
    assert set(by_group) == {"aa", "ab", "ba", "bb"} and by_group["ab"].changed == by_group["aa"].changed
    same = cell_of(done)
    still = [Cell("a", 0, same, {}), Cell("ab", 0, same, {}, "b", before="search-a-s0")]
    assert [move.changed for move in moves(still)] == [0]


def cell_of(found: Study) -> Architecture:
    cell = Run.open(found.place("search-a-s0")).architecture
    assert cell is not None
    return cell


def test_the_page_answers_with_matrix_protocol_and_every_stage(done: Study) -> None:
    page = page_html(done)
    for name in ("answer", "study", "matrix", "differences", "change", "ranks", "stages", "protocol", "conditions"):
        assert f'id="{name}"' in page, name
    assert all(f">{stage.name}</" in page for stage in done.stages)
    assert "1 seed can show little" in page and "every phase made 2 steps" in page
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert figures and all("<h3>" in figure for figure in figures)
    assert "test accuracy, n = 1; chance 10 %" in page and ">chance<" in page.replace("> chance", ">chance")
    assert not re.search(r'(src|href)="(?!#|data:|stages/)', page)


def test_the_table_of_a_study_has_a_row_for_each_group_and_each_data_set_it_was_trained_on(
    done: Study, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    words = ["report", str(done.folder), "--out", str(tmp_path / "page.html"), "--csv", str(out)]
    assert main([*words, "--latex", str(tmp_path / "t.tex")]) == 0
    rows, found = list(csv.DictReader(out.read_text().splitlines())), findings(done)
    names = side_names(done)
    expected = {(group_words(group, names), names[side], entry.mean) for (group, side), entry in found.matrix.items()}
    assert {(row["found_on"], row["trained_on"], float(row["mean_accuracy"])) for row in rows} == expected
    assert (tmp_path / "t.tex").read_text().count("\\\\\n") == len(rows) + 1


def test_the_page_of_a_study_that_has_just_begun_says_so(tmp_path: Path) -> None:
    page = page_html(study(tmp_path / "study"))
    assert "Nothing to compare yet" in page and "0 of 24 stages done" in page


def test_a_random_cell_says_so_and_the_checklist_of_the_page_finds_it(done: Study, tmp_path: Path) -> None:
    found = study(tmp_path / "study", random=1)
    for stage in found.stages:
        if stage.draw is not None:
            transfer.run_stage(found, stage, Limits())
    random_, trained = found.place("train-random0-on-a-s0"), done.place("train-a-on-a-s0")
    assert read_facts(random_).environment["drawn"] == 0 and "drawn" not in read_facts(trained).environment
    both, alone = [read_facts(random_), read_facts(trained)], [read_facts(trained)]
    assert (against_random(both).answer, against_random(alone).answer) == ("yes", "no")


@pytest.mark.slow
def test_proxies_are_searched_on_parts_of_a_and_trained_on_both(tmp_path: Path) -> None:
    words = "classes:0.5,images:0.5,size:0.5,channels:0.5"
    found = study(tmp_path / "study", b="digits-rotated", proxy=words, images_a=120)
    transfer.work_on(found, Limits())
    setups = {stage.group: Run.open(found.place(stage)) for stage in found.stages if stage.command == "search"}
    assert setups["classes0.5"].environment["data"]["num_classes"] == 5
    assert setups["images0.5"].environment["data"]["train"] == 30
    assert setups["size0.5"].environment["data"]["image_size"] == 4
    assert setups["channels0.5"].settings["channels"] == 1 and setups["a"].settings["channels"] == 2
    result = findings(found)
    assert len(result.groups) == 5 and {one.key for one in result.contrasts} == {"proxy"}
    assert "Is a part of digits enough" in page_html(found)


# --- It survives the machine -----------------------------------------------------------------------------------------


def process(folder: Path, log: Any) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "dartboard", "resume", str(folder)]
    return subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study of six stages."""
    found = study(tmp_path_factory.mktemp("transfer") / "short", **SHORT)
    transfer.work_on(found, Limits())
    return found


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_numbers(short: Study, tmp_path: Path) -> None:
    kill_and_compare(study(tmp_path / "study", **SHORT), short, kills=3)


@pytest.mark.slow
def test_a_whole_study_killed_at_ten_random_moments_ends_with_the_same_numbers(done: Study, tmp_path: Path) -> None:
    kill_and_compare(study(tmp_path / "study"), done, kills=10)


def kill_and_compare(again: Study, whole: Study, kills: int) -> None:
    rng = random.Random(kills)
    with open(again.folder.with_name("log"), "wb") as log:
        for _ in range(kills):
            child = process(again.folder, log)
            time.sleep(rng.uniform(1.5, 6.0))
            child.kill()
            child.wait()
        assert process(again.folder, log).wait() == 0
    assert numbers(again) == numbers(whole)


@pytest.mark.slow
def test_three_processes_share_a_study_and_one_of_them_may_die(short: Study, tmp_path: Path) -> None:
    again = study(tmp_path / "study", **SHORT)
    with open(tmp_path / "log", "w+b") as log:
        children = [process(again.folder, log) for _ in range(3)]
        while not any(again.is_done(stage) for stage in again.stages):
            assert any(child.poll() is None for child in children)
            time.sleep(0.1)
        children[0].send_signal(signal.SIGKILL)
        assert [child.wait() for child in children[1:]] == [0, 0]
        children[0].wait()
        log.seek(0)
        told = re.findall(rb"\] (?:search|train) (\S+) on", log.read())
    assert numbers(again) == numbers(short)
    again_begun = [name for name, times in Counter(told).items() if times > 1]
    assert len(again_begun) <= 1  # that of the process that died


def test_a_study_that_is_stopped_goes_on_and_repeats_nothing(done: Study, tmp_path: Path) -> None:
    again = study(tmp_path / "study")
    for _ in range(3):
        with pytest.raises(InterruptedRunError, match=re.escape(f"dartboard resume {again.folder}")) as stopped:
            transfer.work_on(again, Limits(steps=3))
        assert stopped.value.exit_code == 0
    finished = {stage.name for stage in again.stages if again.is_done(stage)}
    stamps = {name: (again.place(name) / "metrics.jsonl").stat().st_mtime_ns for name in finished}
    assert finished
    transfer.work_on(again, Limits())
    assert {name: (again.place(name) / "metrics.jsonl").stat().st_mtime_ns for name in finished} == stamps
    assert numbers(again) == numbers(done)


@pytest.mark.parametrize("damage", ["metrics", "checkpoint", "config", "gone"])
def test_a_broken_stage_is_run_again_with_a_word(
    damage: str, done: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(done.folder, tmp_path / "study")
    again = Study.open(tmp_path / "study")
    folder = again.place("train-bb-on-b-s0")
    if damage == "metrics":
        (folder / "metrics.jsonl").write_text("{]\n")
    elif damage == "config":
        (folder / "config.toml").write_text("command = ")
    elif damage == "gone":
        shutil.rmtree(folder)
    else:
        lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        (folder / "metrics.jsonl").write_text("".join(lines[:-1]))  # as before its end
        for path in (folder / "checkpoint").rglob("tensors.safetensors"):
            path.write_bytes(b"torn")
    transfer.work_on(again, Limits())
    assert numbers(again) == numbers(done)
    told = capsys.readouterr().err
    assert ("train-bb-on-b-s0 is run again" in told) == (damage != "gone")


def test_a_stage_that_was_begun_with_other_settings_is_refused(done: Study, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "study")
    again = Study.open(tmp_path / "study")
    metrics = again.place("search-a-s0") / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    file = again.folder / "study.toml"
    file.write_text(file.read_text().replace("alpha_lr = 0.01", "alpha_lr = 0.02"))
    with pytest.raises(InputError, match=r"search-\S+ was \S+ with alpha_lr = 0.01, the study says 0.02"):
        transfer.work_on(Study.open(again.folder), Limits())


def test_a_stage_that_was_done_with_other_settings_is_refused_too(done: Study, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "study")
    file = tmp_path / "study" / "study.toml"
    file.write_text(file.read_text().replace("alpha_lr = 0.01", "alpha_lr = 0.02"))
    with pytest.raises(InputError, match=re.escape("search-a-s0 was made with alpha_lr = 0.01, the study says 0.02")):
        transfer.work_on(Study.open(tmp_path / "study"), Limits())


def test_a_stage_of_before_a_setting_was_there_is_as_good_as_one_with_its_default(done: Study, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "study")
    again = Study.open(tmp_path / "study")
    file = again.place("search-a-s0") / "config.toml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("stop = ")))
    assert len(lines) > len(file.read_text().splitlines())
    transfer.work_on(again, Limits())


def test_fewer_images_of_a_study_that_is_done_are_refused(done: Study, tmp_path: Path) -> None:
    """Settings that only one of both has are compared, too."""
    shutil.copytree(done.folder, tmp_path / "study")
    file = tmp_path / "study" / "study.toml"
    file.write_text("".join(line for line in file.open() if not line.startswith("images_a")))
    with pytest.raises(InputError, match="was made with max_images = 60, the study says None"):
        transfer.work_on(Study.open(tmp_path / "study"), Limits())


def test_data_that_changed_between_two_stages_are_refused(done: Study, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "study")
    again = Study.open(tmp_path / "study")
    shutil.rmtree(again.place("train-bb-on-b-s0"))
    file = again.place("search-b-s0") / "environment.json"
    content = json.loads(file.read_text())
    content["data"]["fingerprint"] = "0" * 64
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="train-bb-on-b-s0 are not those of search-b-s0"):
        transfer.work_on(again, Limits())


@pytest.mark.parametrize(
    ("of", "files", "again_too"),
    [
        ("search-ab-s0", "start/*/tensors.safetensors", False),
        ("search-a-s0", "checkpoint/*/tensors.safetensors", True),
        ("search-ab-s0", "architecture.json", False),
    ],
)
def test_what_a_stage_begins_from_is_made_again_where_it_is_broken(
    of: str, files: str, again_too: bool, done: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged copy of the start; a search that is done with damaged checkpoints; one with a damaged cell."""
    shutil.copytree(done.folder, tmp_path / "study")
    again = Study.open(tmp_path / "study")
    found = list(again.place(of).glob(files))
    assert found
    for path in found:
        path.write_bytes(b"torn")
    if of == "search-ab-s0" and "start" in files:  # as before its end
        metrics = again.place(of) / "metrics.jsonl"
        metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    else:
        shutil.rmtree(again.place("search-ab-s0" if again_too else "train-ab-on-b-s0"))
    transfer.work_on(again, Limits())
    assert f"stage {of} is run again" in capsys.readouterr().err
    assert numbers(again) == numbers(done)


def test_a_part_of_the_classes_is_a_part_of_the_images_that_a_sees(tmp_path: Path) -> None:
    found = study(tmp_path / "study", proxy="classes:0.5", images_a=100)
    whole, part = (load(found.setup_of(stage)) for stage in found.stages if stage.command == "search")
    assert part.num_classes == 5 and len(part.train) + len(part.val) == 50
    seen = {image.tobytes() for image in whole.train_and_val().images.numpy()}
    assert all(image.tobytes() in seen for image in part.train_and_val().images.numpy())


# --- The command -----------------------------------------------------------------------------------------------------

SIZES = ["--channels", "2", "--cells", "3", "--batch-size", "16", "--train-channels", "2", "--train-cells", "3"]
SIZES += ["--train-batch-size", "16"]


def test_the_command_writes_a_study_that_resume_and_report_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "transfer",
        "--a",
        "digits",
        "--b",
        "digits-inverted",
        "--max-images",
        "60",
        "--seeds",
        "1",
        "--random",
        "0",
    ]
    words += [*SIZES, "--epochs", "1", "--train-epochs", "1", "--device", "cpu"]
    assert main([*words, "--until", "0.01s"]) == 0
    assert "dartboard resume" in capsys.readouterr().err
    folder = tmp_path / "runs" / "transfer-digits-digits-inverted-s0"
    found = Study.open(folder)
    assert (found.protocol.images_a, found.protocol.images_b) == (60, 60)
    assert main(["report", str(folder)]) == 0 and (folder / "report.html").is_file()
    assert main(["resume", str(folder), "--until", "0.01s"]) == 0
    assert main([*words, "--out", str(folder)]) == 2
    assert "not empty" in capsys.readouterr().err


FEW = {"random_search_ws": "candidates = 3\nbatches = 1\nfinalists = 1\n", "spos": "population = 3\ngenerations = 1\n"}
CELLS = SPACES["darts"].kinds
SUPERNETS = [name for name, method in METHODS.items() if not method.by_trials and method.needs <= CELLS]


@pytest.mark.slow
@pytest.mark.parametrize("method", SUPERNETS)
def test_every_method_that_trains_a_supernet_is_studied_on_cells_of_darts(method: str, tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text(FEW.get(method, ""))
    data = ["--a", "digits", "--b", "digits", "--max-images", "60", "--seeds", "1", "--random", "1"]
    words = ["transfer", "--method", method, *data, *SIZES, "--epochs", "1", "--train-epochs", "1"]
    words += ["--device", "cpu", "--threads", "1", "--search-config", str(tmp_path / "few.toml")]
    assert main([*words, "--out", str(tmp_path / "study")]) == 0
    found = Study.open(tmp_path / "study")
    assert found.protocol.carry == ",".join(METHODS[method].carries)
    assert all(found.is_done(stage) for stage in found.stages)
    swaps = [one for one in findings(found).contrasts if one.key == "swap"]
    assert len(swaps) == 2 and all(one.pairs == (0.0,) for one in swaps)  # A is B
    page = (tmp_path / "study" / "report.html").read_text()
    assert f"An arrow carries over: {' and '.join(METHODS[method].carries)};" in page


@pytest.mark.parametrize("method", SUPERNETS)
def test_what_a_method_says_that_it_carries_is_what_its_file_can_carry(method: str) -> None:
    assert METHODS[method].carries == tuple(method_module(method).CARRIED)


def test_equal_epochs_are_equal_steps_where_images_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    from PIL import Image

    for label in ("cat", "dog"):
        (photos / label).mkdir(parents=True)
        for number in range(40):
            Image.new("RGB", (8, 8), (number, 3 * number, 5)).save(photos / label / f"{number}.png")
    words = ["transfer", "--a", f"images:{photos}", "--b", "digits", "--image-size", "8", *SIZES]
    sized, words = words, [*words, "--epochs", "6"]
    assert main([*words, "--print-config"]) == 0
    equal = capsys.readouterr().out
    assert "images_b = 64" in equal and "images_a" not in equal and "epochs_b = 6" in equal
    assert main([*words, "--no-equal-images", "--print-config"]) == 0
    other = capsys.readouterr().out
    assert "images_b" not in other and "epochs_b = 1\n" in other  # 45 steps an epoch against 2
    assert main([*sized, "--budget", "9steps", "--print-config"]) == 0
    assert "epochs = 4\n" in capsys.readouterr().out  # of two steps each
    assert main([*sized, "--budget", "1steps", "--print-config"]) == 0
    told = capsys.readouterr()
    assert "epochs = 1\n" in told.out and "an epoch is 2 steps, more than --budget 1steps" in told.err


@pytest.mark.slow
def test_the_dry_run_tells_the_time_of_every_kind_of_stage_and_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dartboard.training.dry_run.ENOUGH_EPOCHS", 2)
    monkeypatch.setattr("dartboard.training.dry_run.ENOUGH_S", 0.0)
    words = ["transfer", "--a", "digits", "--b", "digits-rotated", "--max-images", "60", "--seeds", "2", *SIZES]
    assert main([*words, "--epochs", "1", "--train-epochs", "3", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "16 stages of search, 20 epochs" in told and "40 stages of train, 120 epochs" in told
    assert main([*words, "--epochs", "1", "--train-epochs", "3", "--proxy", "channels:0.5", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "4 stages of search, 4 epochs" in told and "search on digits-rotated" not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name two data sets"),
        (["--a", "digits"], "name two data sets"),
        (["--a", "digits", "--b", "digit"], "unknown data set 'digit'; did you mean 'digits'?"),
        (["--a", "digits", "--b", "digits", "--epochs", "0"], "--epochs is 0"),
        (["--a", "digits", "--b", "digits", "--budget", "0steps"], "--budget is '0steps'"),
        (["--a", "digits", "--b", "digits", "--budget", "0h"], "--budget is '0h'"),
        (["--a", "digits", "--b", "digits", "--budget", "1h", "--epochs", "2"], "give one of them"),
        (["--a", "digits", "--b", "digits", "--seeds", "0"], "--seeds is 0"),
        (["--a", "digits", "--b", "digits", "--carry", "head"], "--carry is 'head'"),
        (["--a", "digits", "--b", "digits", "--proxy", "classes"], "--proxy has 'classes'"),
        (["--a", "digits", "--b", "digits", "--method", "dart"], "did you mean 'darts'?"),
        (["--a", "digits", "--b", "digits", "--method", "random_search"], "give darts"),
        (["--a", "digits", "--b", "digits", "--method", "bignas"], "gdas, random_search_ws, spos\n"),
        (["--a", "digits", "--b", "digits", "--chanels", "4"], "did you mean '--channels'?"),
        (["--a", "digits", "--b", "digits", "--max-images", "100"], "--batch-size 64 is more than the 50 images"),
        (["--a", "digits", "--b", "digits", "--proxy", "images:0.01"], "7 images of digits at images:0.01"),
        (["--a", "images:ROOT/ONE", "--b", "digits"], "class"),
        (["--a", "images:ROOT/LARGE", "--b", "digits"], "bring both to one size with --image-size 8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for name, classes in (("ONE", ["cat"]), ("LARGE", ["cat", "dog"])):
        for label in classes:
            (tmp_path / "data" / name / label).mkdir(parents=True)
            for number in range(12):
                Image.new("RGB", (16, 16), (number, 7, 5)).save(tmp_path / "data" / name / label / f"{number}.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    words = [word.replace("ROOT", f"{tmp_path}/data") for word in words]
    assert main(["transfer", *words]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("text", ["", "command = ", 'command = "search"\n', 'command = "transfer"\na = "digits"\n'])
def test_a_study_file_that_is_broken_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.toml").write_text(text)
    assert main(["resume", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_stage_that_is_missing_is_made_again_from_what_it_needs(done: Study, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "study")
    again = Study.open(tmp_path / "study")
    for name in ("search-b-s0", "search-bb-s0"):
        shutil.rmtree(again.place(name))
    transfer.work_on(again, Limits())
    assert numbers(again) == numbers(done)
    assert json.loads((again.place("search-bb-s0") / "environment.json").read_text())["parent"].endswith("search-b-s0")
