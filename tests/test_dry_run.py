"""Estimates before a run: what a few real steps say, and what does not fit is refused before it starts."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

import tiny
from dartboard import train
from dartboard.cli import main
from dartboard.commands import dryrun, estimate
from dartboard.config import Setup, flat
from dartboard.data import Split, load_data
from dartboard.data.splits import picked
from dartboard.errors import InputError
from dartboard.methods import darts, explained, method_module
from dartboard.networks.darts import sized
from dartboard.scoring.cost import Cost
from dartboard.spaces import SPACES
from dartboard.studies import elsewhere, step_cost
from dartboard.studies.protocol import Protocol, stages
from dartboard.studies.study import Study
from dartboard.training import dry_run

SEARCH = {"command": "search", "method": "darts", "space": "darts"}
CPU = Setup(device="cpu")


def search_job(**changes: object) -> dry_run.Job:
    return dryrun.search_job(SEARCH, CPU, darts.Config(**{**tiny.SEARCH, **changes}), tiny.digits())


def training_job(**changes: object) -> dry_run.Job:
    config = train.Config(**{**tiny.TRAIN, **changes})
    network = sized(tiny.FEW.sample(Random(0)), config, tiny.digits())
    return dryrun.training_job({"command": "train"}, CPU, config, tiny.digits(), network)


@pytest.mark.parametrize("make", [search_job, training_job], ids=["search", "train"])
def test_a_dry_run_makes_whole_epochs_of_one_real_step_and_leaves_nothing(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job = make()
    seconds, taken = dry_run.measure_steps(job, 16, enough_s=0.0)
    assert len(seconds.steps) == 1 and min(*seconds.steps, seconds.score, seconds.save) > 0 and taken >= 0
    assert seconds.scored == 32  # the 32 val images of the search, the 32 test images of the training
    monkeypatch.setattr(dry_run, "ENOUGH_EPOCHS", 3)
    assert len(dry_run.measure_steps(job, 16, enough_s=1e9)[0].steps) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_step_of_a_dry_run_is_as_large_as_those_of_the_run() -> None:
    shapes: list[tuple[int, int, int]] = []

    def work(config, data, run):
        shapes.append((len(data.train), len(data.val), len(data.train_and_val())))
        raise InputError("seen")

    for made in (search_job(), training_job()):
        job = replace(made, work=work)
        with pytest.raises(InputError, match="seen"):
            dry_run.measure_steps(job, 12, scored=20)
    assert shapes == [(12, 20, 32), (11, 1, 12)]


def test_the_first_step_counts_only_where_there_is_no_other() -> None:
    assert dry_run.Seconds(0.0, (9.0, 1.0, 2.0, 3.0), 0.0, 1, 0.0).step == 2.0
    assert dry_run.Seconds(0.0, (9.0,), 0.0, 1, 0.0).step == 9.0


@pytest.mark.parametrize(
    ("method", "settings", "passes"),
    [("darts", {}, 2), ("darts", {"second_order": True}, 5), ("gdas", {}, 2), ("spos", {}, 1),
     ("random_search_ws", {}, 1)],
)  # fmt: skip
def test_a_step_counts_the_passes_of_its_method(method: str, settings: dict[str, object], passes: int) -> None:
    """The multiply-adds of a step are those of all images in all its passes: forward, and twice as many backward."""
    config = method_module(method).Config(channels=2, cells=3, batch_size=10, **settings)
    job = dryrun.search_job({**SEARCH, "method": method}, CPU, config, tiny.digits())
    assert dryrun.num_passes(job) == passes
    assert dryrun.step_line(job).endswith(f"forward and backward, {passes * 3 * 10 * job.cost.macs:,} multiply-adds")
    one = step_cost.counted(explained.passes_of(method, settings), SPACES["darts"], {"channels": 2, "cells": 3})
    assert one.count == passes and one.step_macs == 3 * passes * one.macs
    assert dryrun.num_passes(training_job()) == 1


def test_a_first_step_that_makes_things_ready_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def note(run: dry_run.DryRun, part: str) -> None:
        run.times[part].append(1.0 if run.times[part] else 9.0)

    monkeypatch.setattr(dry_run.DryRun, "note", note)
    ready = iter(range(0, 10**6, 10))
    monkeypatch.setattr(dry_run.time, "perf_counter", lambda: float(next(ready)))
    seconds, _ = dry_run.measure_steps(search_job(), 16, enough_s=3.0)
    assert (seconds.steps, seconds.step, seconds.score, seconds.save) == ((9.0, 1.0), 1.0, 1.0, 1.0)
    assert dry_run.measure_steps(search_job(), 16, enough_s=2.0)[0].steps == (9.0,)


def test_the_whole_is_steps_scores_and_saves_of_every_epoch() -> None:
    job = replace(search_job(epochs=10, batch_size=16), data=load_data("digits"))
    seconds = dry_run.Seconds(2.0, (5.0, 0.5, 0.5), 0.25, 100, 0.125)
    line = dryrun.time_line(job, seconds, 45, "cpu")
    assert "0.500 s per step (0.500 to 5.000, n = 3)" in line and "1.80 s to score" in line
    whole = 2.0 + 10 * (45 * 0.5 + 0.25 * 719 / 100 + 0.125)
    assert whole > 90 and f"about {whole / 60:.0f} min in all" in line


# --- What does not fit -----------------------------------------------------------------------------------------------


def pretend(monkeypatch: pytest.MonkeyPatch, free: int, base: float = 100e6, slope: float = 1e6) -> list[int]:
    """Steps of B images that take base + slope * B bytes, and so many free bytes. Returns the batches measured."""
    tried: list[int] = []

    def measure_steps(job, batch, *values):
        tried.append(batch)
        return None, int(base + slope * batch)

    monkeypatch.setattr(dry_run, "free_bytes", lambda device=None: free)
    monkeypatch.setattr(dry_run, "measure_steps", measure_steps)
    return tried


def test_a_batch_that_does_not_fit_is_refused_with_the_largest_that_does(monkeypatch) -> None:
    tried = pretend(monkeypatch, 200_000_000)
    dry_run.check_memory(search_job(channels=64, batch_size=100))  # just fits
    with pytest.raises(InputError, match=r"101 images takes about 201 MB .* 200 MB are free; --batch-size 80 or less"):
        dry_run.check_memory(search_job(channels=64, batch_size=101))
    assert set(tried) == {2, 8}
    tried = pretend(monkeypatch, 10**9, base=0.0)
    with pytest.raises(InputError, match=r"2000 images takes about 2\.0 GB"):
        dry_run.check_memory(search_job(channels=64, batch_size=2000))
    assert tried == [2, 2, 8, 32, 128]  # until the next might not fit


@pytest.mark.parametrize(("precision", "number_bytes"), [("float32", 4), ("bf16", 4), ("float64", 8)])
@pytest.mark.parametrize("at_once", [1, 3])
def test_what_fits_for_certain_is_weights_and_maps_of_a_batch_six_times_over(
    precision: str, number_bytes: int, at_once: int
) -> None:
    cost = Cost(params=1, params_with_auxiliary=1000, macs=10**12, map_values=70)
    setup = Setup(device="cpu", precision=precision)  # type: ignore[arg-type]
    job = replace(search_job(batch_size=5), cost=cost, at_once=at_once, setup=setup)
    needed = number_bytes * 6 * at_once * (1000 + 70 * 5)
    assert dry_run.certainly_fits(job, needed + 1) and not dry_run.certainly_fits(job, needed)


@pytest.mark.parametrize("changes", [{"channels": 4}, {"cells": 6}, {"batch_size": 32}], ids=str)
def test_what_is_tiny_grows_with_every_size_the_precision_and_the_number_at_once(changes, monkeypatch) -> None:
    """tiny.SEARCH: 10,000 numbers for each of 8x8 pixels, 2 channels, 3 cells and 16 images."""
    config, data = darts.Config(**tiny.SEARCH), tiny.digits()
    needed = 10_000 * 64 * 2 * 3 * 16 * 4
    for free, fits in ((needed + 4, True), (needed, False)):
        monkeypatch.setattr(dry_run, "free_bytes", lambda device, free=free: free)
        assert dry_run.is_tiny(CPU, config, data) == fits
    monkeypatch.setattr(dry_run, "free_bytes", lambda device: 2 * needed)
    assert dry_run.is_tiny(CPU, config, data)
    assert not dry_run.is_tiny(CPU, replace(config, **changes), data)
    assert not dry_run.is_tiny(replace(CPU, precision="float64"), config, data)
    assert not dry_run.is_tiny(CPU, config, data, at_once=2)
    assert not dry_run.is_tiny(CPU, config, replace(data, test=larger(data.test), train=larger(data.train)))


def larger(split: Split) -> Split:
    """The images at twice the size."""
    return replace(split, images=split.images.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_the_memory_that_is_told_is_what_was_there_what_the_steps_take_and_the_copy_of_the_images() -> None:
    search, training = search_job(), training_job()
    line = dryrun.memory_line(replace(search, at_once=2), 3_000_000, 50_000_000, torch.device("cpu"))
    assert line.startswith("peak memory: 56 MB, 6 MB of it for the steps; ")
    many = Split(torch.zeros(1, 3, 8, 8, dtype=torch.uint8).expand(100_000, 3, 8, 8), torch.zeros(100_000).long())
    for job, whole in ((search, 53), (training, 53 + 2 * 100_000 * 192 / 1e6)):  # a training joins train and val
        job = replace(job, data=replace(job.data, train=many, val=many))
        line = dryrun.memory_line(job, 3_000_000, 50_000_000, torch.device("cpu"))
        assert line.startswith(f"peak memory: {whole:.0f} MB, 3 MB of it for the steps; ")


@pytest.mark.parametrize(
    ("making", "images", "scored"), [(search_job, 33, 31), (training_job, 64, 32)], ids=["search", "train"]
)
def test_an_epoch_is_its_steps_the_last_one_uneven_its_scoring_and_its_checkpoint(making, images, scored) -> None:
    job = making(batch_size=16)
    train, val = picked(job.data.train_and_val(), np.arange(33)), picked(job.data.val, np.arange(31))
    job = replace(job, data=replace(job.data, train=train, val=val))
    seconds = dry_run.Seconds(2.0, (9.0, 0.5), 0.25, 8, 0.125)
    assert (job.images, len(job.scored)) == (images, scored)
    wanted = -(-images // 16) * 0.5 + 0.25 * scored / 8 + 0.125
    assert estimate.per_epoch(job, seconds) == pytest.approx(wanted)
    assert dryrun.total_s(job, seconds, -(-images // 16)) == pytest.approx(2.0 + job.config.epochs * wanted)


def test_hours_elsewhere_are_steps_of_every_stage_by_the_formula_a_seed(tmp_path: Path) -> None:
    """Of each epoch all steps, the last one uneven; searches and trainings apart, by the number of seeds."""
    protocol = Protocol("digits", "digits", seeds=2, random=0, epochs=3, epochs_b=5, train_epochs=7)
    for second_order in (False, True):
        search = {**flat(darts.Config(**tiny.SEARCH)), "second_order": second_order}
        study = Study(tmp_path, protocol, search, {}, {}, stages(protocol))
        jobs: dict = {}
        for side, cost in (("a", Cost(0, 0, 10**9, 1)), ("b", Cost(0, 0, 1, 10**7))):
            jobs["search", side] = replace(search_job(batch_size=15, second_order=second_order), cost=cost)
            jobs["train", side] = replace(training_job(batch_size=15), cost=cost)
        device = elsewhere.Device("made up", peak=1e9, bandwidth=1e6)
        seconds = {"a": 3 * 1e9 / 0.3e9, "b": 7 * 1e7 * 4 / 0.5e6}  # an image and pass: arithmetic on a, traffic on b
        hours = {"search": 0.0, "train": 0.0}
        for stage in study.stages:
            of_32_images, of_64_images = (3, 5 if second_order else 2), (5, 1)
            steps, passes = of_32_images if stage.command == "search" else of_64_images
            hours[stage.command] += stage.epochs * steps * passes * 15 * seconds[stage.side] / 3600
        told = estimate.elsewhere_line(study, jobs, device)
        wanted = f"about {hours['search'] / 2:.1f} h of searches and {hours['train'] / 2:.1f} h of trainings per seed"
        assert told == f"on one made up, computed and not measured: {wanted}" and hours["train"] > 1


def test_searches_at_once_need_memory_for_each(monkeypatch) -> None:
    pretend(monkeypatch, 600_000_000)
    job = search_job(channels=64, batch_size=100)
    dry_run.check_memory(replace(job, at_once=3))  # just fits
    with pytest.raises(InputError, match=r"each of 4 searches at once takes about 800 MB .* 35 or less fits, or leave"):
        dry_run.check_memory(replace(job, at_once=4))
    assert dry_run.certainly_fits(job, 2**36) and not dry_run.certainly_fits(replace(job, at_once=10**4), 2**36)


def test_batches_of_a_few_images_are_looked_at_too(monkeypatch) -> None:
    for batch, measured in ((2, [2]), (5, [2, 2, 5]), (8, [2, 2, 8])):
        tried = pretend(monkeypatch, 101_000_000)
        with pytest.raises(InputError, match=f"a step of {batch} images takes about 10[2-8] MB"):
            dry_run.check_memory(search_job(channels=512, batch_size=batch))
        assert tried == measured


def test_where_no_batch_fits_a_smaller_network_is_advised(monkeypatch) -> None:
    pretend(monkeypatch, 50_000_000)
    with pytest.raises(InputError, match="give fewer --channels or --cells"):
        dry_run.check_memory(search_job(channels=64, batch_size=64))


def test_what_fits_for_certain_is_not_tried(monkeypatch) -> None:
    tried = pretend(monkeypatch, 10**12)
    dry_run.check_memory(search_job(channels=64, batch_size=64))
    assert tried == []
    assert dry_run.is_tiny(CPU, darts.Config(**tiny.SEARCH), tiny.digits())
    assert not dry_run.is_tiny(CPU, darts.Config(channels=64, cells=20, batch_size=10**6), tiny.digits())


WORDS = ("search", "darts", "--data", "digits", "--cells", "3", "--device", "cpu", "--out", "run")


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
@pytest.mark.parametrize("words", [WORDS, ("train", "DARTS_V2", *WORDS[2:])], ids=["search", "train"])
def test_the_command_says_so_before_it_makes_a_folder(words, dry, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    pretend(monkeypatch, 200_000_000)
    assert main([*words, "--batch-size", "300", "--channels", "64", *dry]) == 2
    assert "--batch-size 80 or less fits" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("global_rng")
def test_memory_that_ends_in_the_middle_exits_3_says_what_to_change_and_can_be_resumed(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "DARTS_V2", "--data", "digits", "--max-images", "48", "--channels", "2", "--cells", "3"]
    words += ["--batch-size", "16", "--epochs", "1", "--device", "cpu", "--save-every", "0.001s"]
    assert main([*words, "--out", "whole"]) == 0
    original, steps = train.step, []

    def hungry(*values):
        steps.append(1)
        return original(*values) if len(steps) < 3 else torch.empty(10**15)

    with monkeypatch.context() as patched:
        patched.setattr(train, "step", hungry)
        capsys.readouterr()
        assert main([*words, "--out", "run"]) == 3
    out, err = capsys.readouterr()
    assert "out of memory, the last checkpoint is step-000000002; start a new run" in err and err.count("\n") == 1
    assert "smaller --batch-size (8 in place of 16)" in err and out.splitlines()[-1] == "dartboard resume run"
    assert main(["resume", "run"]) == 0
    assert tiny.history(Path("run"))[-1] == tiny.history(Path("whole"))[-1]


LIMITED = """
import resource, sys
from dartboard.cli import main
from dartboard.devices import STATUS, kibibytes
import torch, dartboard.methods.darts, dartboard.report, matplotlib.figure
torch.nn.functional.conv2d(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 3, 3))
limit = kibibytes(STATUS, "VmSize") + 350_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the size of the process from Linux")
def test_with_really_little_memory_a_search_is_refused_and_half_the_advised_batch_runs(tmp_path: Path) -> None:
    """Half: the limit is one of addresses, which libraries take more of than of memory."""
    command = [sys.executable, "-c", LIMITED, *WORDS, "--channels", "8", "--batch-size"]
    refused = subprocess.run([*command, "700"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2 and not (tmp_path / "run").exists(), refused.stderr
    advised = re.search(r"--batch-size (\d+) or less fits", refused.stderr)
    assert advised and 8 < int(advised[1]) < 700, refused.stderr
    words = [*command, str(int(advised[1]) // 2), "--budget", "1steps"]
    assert subprocess.run(words, cwd=tmp_path).returncode == 0


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize(
    ("words", "said"), [([], "one after another, about"), (["--together"], "at once in one process")]
)
def test_a_dry_run_of_several_seeds_tells_the_time_of_all(words, said, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dry_run, "ENOUGH_EPOCHS", 2)
    sizes = ["--max-images", "64", "--channels", "2", "--batch-size", "16", "--epochs", "3", "--stop", "skips:2"]
    assert main([*WORDS[:-2], *sizes, "--seeds", "2", *words, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert f"2 seeds, {said}" in told and "the rules of --stop are not in these times" in told
    assert list(tmp_path.iterdir()) == []
