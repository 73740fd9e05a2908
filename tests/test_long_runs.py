"""A run that takes more than an hour says so once, and changes nothing; a search tells the training that fits."""

import itertools
import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

import tiny
from dartboard import networks
from dartboard.cli import main
from dartboard.commands import next_training
from dartboard.config import Setup, field_names, flat
from dartboard.report import next_training as report
from dartboard.report.next_training import NextTraining, Sizes
from dartboard.runs import known_speeds, pace
from dartboard.runs.json_files import as_json
from dartboard.runs.limits import Limits
from dartboard.runs.pace import Pace
from dartboard.runs.run import Run
from dartboard.scoring import cost
from dartboard.spaces import SPACES
from dartboard.studies import transfer
from dartboard.studies.protocol import Protocol
from dartboard.studies.study import Study

SAID = re.compile(r"will take about .* here; Ctrl-C saves and stops")
SIZES = ["--channels", "2", "--cells", "3", "--epochs", "1", "--batch-size", "8"]

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(autouse=True)
def in_a_folder_with_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("dartboard.training.dry_run.ENOUGH_S", 0.0)


def lines(total: int, step_s: float, first: int = 1, first_s: float | None = None, **limits: object) -> list[tuple]:
    """(seconds, line) of what a pace says in a run of steps that take so long each."""
    clock = [0.0]
    watch = Pace(total, advice="stop it", now=lambda: clock[0], **limits)  # type: ignore[arg-type]
    watch.begin()
    found = []
    for step in range(first, min(total, first + 2000) + 1):
        clock[0] += first_s if first_s is not None and step == first else step_s
        if (line := watch.line(step)) is not None:
            found.append((clock[0], line))
    return found


def test_a_long_run_says_so_once_within_its_first_minute() -> None:
    assert lines(1440, 10.0) == [(20.0, "this run will take about 4.0 h here; stop it")]
    assert lines(60_000, 0.5) == [(10.5, "this run will take about 8.3 h here; stop it")]
    assert lines(100, 45.0)[0] == (45.0, "this run will take about 75 min here; stop it")  # after one slow step
    assert lines(3, 7200.0)[0][0] == 7200.0
    for total, step_s in itertools.product((50, 1000), (1.0, 3.0)):
        assert lines(total, step_s) == []


def test_a_slow_beginning_is_not_taken_for_the_pace() -> None:
    assert lines(2000, 0.1, first_s=25.0) == []


def test_of_a_run_that_goes_on_the_rest_is_told() -> None:
    assert lines(10_000, 1.0, first=5001)[0][1] == "the rest of this run will take about 83 min here; stop it"
    assert lines(10_000, 1.0, first=8001) == []


def test_a_run_that_its_limits_end_within_an_hour_says_nothing() -> None:
    assert lines(100_000, 1.0, most_s=3000.0) == lines(100_000, 1.0, most_steps=500) == []
    assert "2.0 h" in lines(100_000, 1.0, most_s=7200.0)[0][1]
    assert lines(100_000, 1.0, said=True) == []


def test_the_advice_names_smaller_sizes_where_there_are_any() -> None:
    assert pace.advice_for({"channels": 36, "cells": 20}).endswith("smaller: --channels 18 --cells 10")
    assert pace.advice_for({"channels": 1, "cells": 5}).endswith("smaller: --cells 3")
    assert pace.advice_for({"channels": 1, "cells": 3}).endswith("shorter: fewer --epochs")


def test_searches_and_trainings_say_it_and_their_numbers_stay(monkeypatch, tmp_path, capsys) -> None:
    cell = tiny.FEW.sample(Random(0))
    tiny.search(tmp_path / "a")
    tiny.fit(tmp_path / "b", cell)
    assert SAID.search(capsys.readouterr().out) is None
    monkeypatch.setattr(pace, "LONG_S", 0.0)
    monkeypatch.setattr(pace, "SURE_S", 0.0)
    for name, begin in (("a", lambda folder: tiny.search(folder)), ("b", lambda folder: tiny.fit(folder, cell))):
        begin(tmp_path / f"long-{name}")
        assert len(SAID.findall(capsys.readouterr().out)) == 1
        assert tiny.history(tmp_path / f"long-{name}") == tiny.history(tmp_path / name)


def test_stages_of_studies_say_it_and_so_does_the_whole(monkeypatch, tmp_path, capsys) -> None:
    protocol = Protocol("digits", "digits", space="s2", seeds=1, epochs=1, epochs_b=1, train_epochs=1, random=0)
    settings = flat(tiny.darts.Config(**tiny.SEARCH)), flat(tiny.train.Config(**tiny.TRAIN))
    study = Study.create(tmp_path / "study", replace(protocol, images_a=60), *settings, Setup(device="cpu", threads=1))
    monkeypatch.setattr(pace, "LONG_S", 1e-6)
    monkeypatch.setattr(pace, "SURE_S", 0.0)
    transfer.run_stage(study, study.stages[0], Limits())
    of_stage = "this stage of the study will take about .* here; Ctrl-C saves and stops the study"
    assert len(re.findall(of_stage, capsys.readouterr().out)) == 1
    metrics = study.place(study.stages[0]) / "metrics.jsonl"
    before = metrics.read_text()
    metrics.write_text(re.sub(r'("event": "result".*"elapsed_s": )[^,}]*', r"\g<1>1000.0", before))
    monkeypatch.setattr(transfer, "LONG_S", 7000.0)
    assert transfer.announce_length(study, study.stages[1:], Limits())  # seven more searches, two of two epochs
    assert "the rest of this study will take about 2.5 h here; Ctrl-C saves and stops it" in capsys.readouterr().out
    assert not transfer.announce_length(study, study.stages[1:], Limits(seconds=60.0))
    metrics.write_text(before)
    assert not transfer.announce_length(study, study.stages[1:], Limits())
    assert capsys.readouterr().out == ""


def test_what_an_earlier_run_took_tells_it_before_the_first_step(monkeypatch, capsys) -> None:
    words = ["train", "DARTS_V2", "--data", "digits", "--max-images", "40", *SIZES]
    assert main([*words, "--out", "one"]) == 0
    assert SAID.search(capsys.readouterr().out) is None
    (seconds,) = known_speeds.known_speeds().values()
    metrics = Run.open("one").metrics()
    assert seconds == pytest.approx(metrics[0]["epoch_s"] / (40 * metrics[-1]["macs"]))
    monkeypatch.setattr(known_speeds, "LONG_S", 0.0)
    assert main([*words, "--cells", "4", "--out", "two"]) == 0  # another depth: by its multiply-adds
    out = capsys.readouterr().out
    assert out.index("this run will take about") < out.index("epoch 1/1") and len(SAID.findall(out)) == 1
    assert main([*words, "--channels", "3", "--out", "three"]) == 0  # other widths are not known: nothing before it
    assert SAID.search(capsys.readouterr().out) is None
    Path("cache/dartboard/speed.json").write_text("no JSON")
    assert known_speeds.known_speeds() == {}


# --- What a search says to train ------------------------------------------------------------------------------------


def photos(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def told(out: str) -> list[str]:
    """The words of the command that a search prints, as a shell takes them."""
    (line,) = [line.removeprefix("train it: ") for line in out.splitlines() if line.startswith("train it: ")]
    return shlex.split(line)


GIVEN = [
    ["--image-size", "8", "--max-images", "24", "--device", "cpu", "--seed", "3", "--precision", "float64"],
    ["--image-size", "8", "--max-classes", "2", "--stream", "always", "--no-flip", "--crop-padding", "1"],
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda words: words[2])
@pytest.mark.parametrize("long", [pytest.param(False, marks=pytest.mark.slow), True], ids=["short", "long"])
def test_the_command_that_a_search_prints_sees_the_same_images_and_runs(
    given: list[str], long: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {36: 50_000.0, 2: 36_000.0} if long else {36: 300.0}
    monkeypatch.setattr(next_training, "counted_s", lambda found, config: None)
    monkeypatch.setattr(next_training, "tried_s", lambda found, config: seconds[config.channels])
    data = photos(Path("my photos"))
    assert main(["search", "darts", "--data", f"images:{data}", *given, *SIZES, "--out", "my run"]) == 0
    out = capsys.readouterr().out
    command = told(out)
    assert command[:3] == ["dartboard", "train", "my run"]
    assert main([*command[1:], "--print-config"]) == 0
    config, search = tomllib.loads(capsys.readouterr().out), Run.open("my run")
    for name in field_names(Setup):
        assert config.get(name) == vars(search.setup).get(name), name
    assert (config["flip"], config["crop_padding"]) == (search.settings["flip"], search.settings["crop_padding"])
    assert (config["batch_size"], config["cutout"]) == (8, 4)  # no more than there are; no more than half of a side
    sizes = (config["channels"], config["cells"], config["epochs"])
    assert sizes == ((2, 3, 48) if long else (36, 20, 600))
    page = (Path("my run") / "report.html").read_text().replace("&#x27;", "'")
    assert shlex.join(command) in re.sub(r'<span class="flag">([^<]*)</span>', r"\1", page)
    recipe = "The recipe, 36 channels, 20 cells, 600 epochs, takes about 13.9 h there"
    assert (recipe in out) == (recipe in page) == long
    assert main([*command[1:], "--channels", "2", "--cells", "3", "--no-auxiliary", "--dry-run"]) == 0
    assert f"{search.environment['data']['train']} train, " in capsys.readouterr().out


def test_whatever_a_search_was_given_of_its_data_is_in_the_command(tmp_path: Path) -> None:
    config = {"data": "cifar10", "data_dir": "/a b", "official_split": True, "threads": 1, "stream": "auto"}
    line = report.command(tmp_path / "it's", {**config, "seed": 0, "max_images": "none"})
    words = ["--data", "cifar10", "--data-dir", "/a b", "--official-split", "--threads", "1"]
    assert shlex.split(line) == ["dartboard", "train", str(tmp_path / "it's"), *words]
    every = set(field_names(Setup)) - {"data", "download", "save_every", "budget", "until"}
    assert set(report.USUAL) == every  # a field that is new has its place in the command


def test_a_recipe_that_surely_fits_is_not_tried(monkeypatch, capsys) -> None:
    def tried(*_: object) -> float:
        raise AssertionError("no step is needed")

    monkeypatch.setattr(next_training, "tried_s", tried)
    monkeypatch.setattr(next_training, "SURE_S", 1e9)
    assert main(["search", "darts", "--data", "digits", "--max-images", "100", *SIZES, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert told(out) == ["dartboard", "train", "run", "--data", "digits", "--max-images", "100"]
    assert "this trains" not in out


def test_the_command_after_a_search_of_few_images_in_a_space_of_slices_has_a_batch_that_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(next_training, "SURE_S", 1e9)
    few = ["--max-images", "40", "--channels", "4", "--epochs", "1", "--batch-size", "8", "--coarse", "1"]
    words = ["search", "bignas", "--space", "bignas-8", "--data", "digits", "--rounds", "0"]
    assert main([*words, *few, "--out", "r"]) == 0
    command = told(capsys.readouterr().out)
    assert command == ["dartboard", "train", "r", "--data", "digits", "--max-images", "40", "--batch-size", "8"]
    assert main([*command[1:], "--epochs", "1"]) == 0


@pytest.mark.parametrize("space", ["nasbench201", "nasbenchmacro", "bignas-8", "shufflenetv2-8"])
def test_a_network_of_every_family_is_counted_for_the_command(space: str, tmp_path: Path) -> None:
    architecture, data = SPACES[space].sample(Random(0)), tiny.digits()
    tiny.search(tmp_path / "run")
    settings = tiny.darts.Config(**tiny.SEARCH)
    found = next_training.Found(Run.open(tmp_path / "run"), settings, data, architecture, 1)
    config = replace(next_training.recipe_of(found)[0], channels=16)
    network = networks.module(architecture.space).sized(architecture, config, data)
    assert next_training.macs_of(found, config) == cost.count_module(network, data.image_size, data.channels).macs


def test_a_trial_tells_seconds_and_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    tiny.search(tmp_path / "run")
    run, data = Run.open(tmp_path / "run"), tiny.digits()
    before = sorted(path.name for path in run.folder.iterdir())
    assert run.architecture is not None
    config = replace(tiny.darts.Config(**tiny.SEARCH))
    found = next_training.Found(run, config, data, run.architecture, 100_000)
    recipe, flags = next_training.recipe_of(found)
    assert flags == ("--batch-size", "16")
    macs = cost.count(run.architecture, "cifar", 8, 5, 10, 8, data.channels).macs
    times = [line["weights_s"] for line in run.metrics() if line["event"] == "epoch"]
    counted = macs * (3 * 64 + 32) * 20 * times[0] / (3 * 100_000 * 32)
    assert next_training.counted_s(found, recipe) == pytest.approx(counted)
    assert next_training.tried_s(found, replace(recipe, channels=2, cells=3)) > 0
    assert sorted(path.name for path in run.folder.iterdir()) == before


def test_a_file_of_sizes_that_is_not_ours_is_passed_over(tmp_path: Path) -> None:
    plan = NextTraining(("--cutout", "4"), Sizes(36, 20, 600, 9e9), Sizes(2, 3, 7, 60.0))
    for text in ("", "[]", "{}", '{"flags": 3}', '{"flags": [], "recipe": {"channels": 1}, "smaller": null}'):
        (tmp_path / "training.json").write_text(text)
        assert report.read(tmp_path) == NextTraining()
        assert report.remark(tmp_path, {"data": "digits"}) == ""
    (tmp_path / "training.json").write_text(as_json(plan.to_json()))
    assert report.read(tmp_path) == plan
