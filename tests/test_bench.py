"""The benchmark runs through at the smallest size and writes its page; its pieces measure what they say."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import alone
import bench
import bench_page
import forms
import growth
import identities
import latency_of_maps
import path_steps
import peak_memory

pytestmark = pytest.mark.slow
TINY = forms.Size(2, 3, 4, 8)


@pytest.mark.usefixtures("global_rng")
def test_the_quick_benchmark_writes_table_picture_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK_PAPER", TINY)
    monkeypatch.setattr(bench, "QUICK_TRAINED", TINY)
    monkeypatch.setattr(bench, "QUICK_SMALL", ())
    monkeypatch.setattr(growth, "QUICK_POINTS", {"cells": (3, 4)})
    monkeypatch.setattr(growth, "QUICK_BASE", TINY)
    monkeypatch.setattr(forms, "best", lambda: forms.PURE)
    monkeypatch.setattr(forms, "forms", lambda: [forms.ORIGINAL, forms.PURE])
    peaks = {forms.ORIGINAL: 400, forms.PURE: 100}  # what the child process tells is tried below
    monkeypatch.setattr(peak_memory, "measured", lambda form, size, threads: peaks[form])
    monkeypatch.setattr(path_steps, "peak", lambda name, form, size, threads: 400)
    page = tmp_path / "performance.md"
    page.write_text(f"mine\n{bench_page.BEGIN}\nold\n{bench_page.END}\nmine too\n")
    bench.main(["--quick", "--threads", "1", "--budget-s", "1", "--out", str(tmp_path / "performance")])
    text, record = page.read_text(), json.loads((tmp_path / "performance.json").read_text())
    assert text.startswith("mine\n") and text.endswith("mine too\n") and "old" not in text
    assert f"| peak memory of forward + backward | {TINY} | fast, pure torch | 0 | 0.25 | 1 |" in text
    assert "(performance-growth.svg)" in text and "<svg" in (tmp_path / "performance-growth.svg").read_text()
    works = {row["work"] for row in record["rows"] if row["unit"] == "s"}
    steps = {*forms.PASSES, *path_steps.OF_PATHS, *path_steps.OF_SLICES}
    assert works == {*steps, "training step", "evaluation of a batch"}
    for work in (forms.FORWARD_BACKWARD, "training step"):
        compared = {row["form"] for row in record["rows"] if row["work"] == work}
        assert compared == {form.name for form in (forms.ORIGINAL, forms.PURE, *forms.ALONE)}
    for row in record["rows"]:
        if row["unit"] == "s":
            assert 0.0 < row["lowest"] <= row["median"] <= row["highest"] and row["n"] >= 1
            assert row["times_faster"] > 0.0 and str(row["size"]) in text
    assert record["conditions"]["threads"] == 1 and record["conditions"]["torch"] == torch.__version__
    assert set(record["growth"]) == {"cells", "epochs"}


def test_peak_memory_is_that_of_the_pass_and_grows_with_it() -> None:
    small, large = (peak_memory.measured(forms.PURE, forms.Size(4, 3, batch, 16), 1) for batch in (16, 128))
    assert small is not None and large is not None
    assert large > 50e6 and large > 2 * small


@pytest.mark.usefixtures("global_rng")
def test_a_path_and_a_draw_take_less_memory_in_the_fast_form() -> None:
    size = forms.Size(4, 3, 32, 16)
    for name in path_steps.OF_PATHS:
        plain, fast = (path_steps.peak(name, form, size, 1) for form in (path_steps.PLAIN, forms.COMPILED))
        assert plain is not None and fast is not None and 0 < fast < plain


@pytest.mark.usefixtures("global_rng")
def test_a_sandwich_step_takes_the_memory_of_its_largest_network() -> None:
    size = forms.Size(8, 4, 32, 32)
    names = (path_steps.SANDWICH, path_steps.ALONE)
    sandwich, alone = (path_steps.peak(name, forms.COMPILED, size, 1) for name in names)
    assert sandwich is not None and alone is not None and sandwich <= 1.1 * alone


@pytest.mark.usefixtures("global_rng")
def test_the_same_draws_are_timed_in_every_form_and_work_is_counted_by_passes() -> None:
    seen: list[tuple[str, int]] = []
    steps = {form: lambda number, form=form: seen.append((form.name, number)) for form in path_steps.FORMS}
    seconds = path_steps.timed(steps, 2)
    assert seen == [(form.name, number) for number in range(3) for form in path_steps.FORMS]
    assert {len(values) for values in seconds.values()} == {2} and path_steps.ratio(seconds, path_steps.PLAIN) == 1.0
    first, second = (path_steps.work_of(name, TINY).step_macs for name in (forms.FIRST, forms.SECOND))
    assert 2 * second == 5 * first
    told = list(path_steps.work_lines(TINY, 1))
    assert len(told) == 2 + len(path_steps.WORKS) and all("within a third" in line for line in told[2:])


def test_bytes_kept_for_backward_are_counted_once_a_piece() -> None:
    x = torch.ones(1000, requires_grad=True)
    assert growth.saved_bytes(lambda: (x * x, x.exp().square())) == 2 * 4000  # x itself, and exp(x)


def test_fitted_lines_have_slope_start_and_exponent() -> None:
    line = growth.Series("cells", "", (1.0, 2.0, 4.0), (5.0, 7.0, 11.0)).fitted()
    assert (line.slope, line.start, line.r2) == pytest.approx((2.0, 3.0, 1.0))
    power = growth.Series("channels", "", (2.0, 4.0, 8.0), (4.0, 16.0, 64.0)).fitted()
    assert power.exponent == pytest.approx(2.0) and power.r2 < 1.0
    assert list(growth.powers(6)) == [1, 2, 4, 6]


def test_forms_are_interleaved_and_fewer_where_time_is_short() -> None:
    calls: list[Any] = []
    works = {form: lambda form=form: calls.append(form) for form in (forms.ORIGINAL, forms.PURE)}
    ready = {forms.PURE: lambda: calls.append("ready")}
    found = bench.interleaved(works, ready, 60.0, 3, warm=True)
    assert calls == [forms.ORIGINAL, "ready", forms.PURE] * 4  # the first round is not counted
    assert [len(values) for values in found.values()] == [3, 3]
    assert [len(values) for values in bench.interleaved(works, ready, 0.0, 3, warm=False).values()] == [1, 1]


def test_forms_that_differ_in_one_thing_are_timed_in_turn() -> None:
    calls: list[Any] = []
    found = alone.cpu_seconds({form: lambda form=form: calls.append(form) for form in alone.FORMS}, 2)
    neither, last, kept, both = alone.FORMS
    assert calls == [neither, last, kept, kept, both, both] * 3  # the first round is not counted
    assert [len(values) for values in found.values()] == [2] * 4
    assert {(form.channels_last, form.kept) for form in alone.FORMS} == {
        (a, b) for a in (False, True) for b in (False, True)
    }
    assert {(form.supernet, form.kernels) for form in alone.FORMS} == {("plain", False)}


@pytest.mark.usefixtures("global_rng")
def test_an_identity_left_out_changes_nothing_but_time(capsys: pytest.CaptureFixture[str]) -> None:
    """The program itself ends where both sides do not agree."""
    names = ["convolved", "normalised", "skipping", "tall_product", "dilated"]
    threads = str(torch.get_num_threads())
    identities.main(["--quick", "--repeats", "1", "--batch-size", "4", "--threads", threads, "--only", *names])
    told = capsys.readouterr().out
    assert all(f"| {name} |" in told for name in names) and told.count("\n") == 2 + len(names)


def test_operations_are_timed_of_so_many_maps_in_turn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], global_rng: None
) -> None:
    seen = []

    def clock(call: object, maps: Sequence[torch.Tensor], calls: int) -> float:
        seen.append(len({x.data_ptr() for x in maps}))
        return 0.001 * len(maps)

    monkeypatch.setattr(latency_of_maps, "seconds_of_call", clock)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    latency_of_maps.main(["--channels", "2", "--side", "4", "--repeats", "1"])
    assert seen == 4 * [1, 2, 4, 8, 16, 64]
    assert "| max_pool_3x3 | 1.000 | 2.000 | 4.000 | 8.000 | 16.000 | 64.000 | 0.02 |" in capsys.readouterr().out
