"""Searches with stopping rules: what they measure, when they end, what they keep, and that none of it disturbs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from dartboard import formats
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.search import early_stopping, stop_rules
from dartboard.spaces import darts as cells

ALL = "skips:1,stable:1,eigenvalue:1.3:2,held-out:0.1"
TWO = tiny.space_of("skip_connect", "dil_conv_3x3")
WATCHED = ("eigenvalue", "held_out_accuracy", "held_out_loss")


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    return [line for line in tiny.history(folder) if line["event"] == "epoch"]


def test_watching_changes_nothing_but_what_is_written(tmp_path: Path) -> None:
    """Rules that take no images away: the search is bit for bit the one without them."""
    settings: dict[str, Any] = {"epochs": 2, "space": TWO}
    without = tiny.search(tmp_path / "without", **settings)
    watched = tiny.search(tmp_path / "with", stop="skips:1,stable:1,eigenvalue", stop_mode="report", **settings)
    assert tiny.same_tensors(dict(without.supernet.state_dict()), dict(watched.supernet.state_dict()))
    assert without.architecture == watched.architecture
    lines = [{k: v for k, v in line.items() if k not in WATCHED} for line in epochs_of(tmp_path / "with")]
    assert lines == epochs_of(tmp_path / "without")
    assert epochs_of(tmp_path / "with")[0]["eigenvalue"] > 0


def test_in_report_mode_the_result_names_the_cell_of_every_rule_and_holds_it_as_a_file(tmp_path: Path) -> None:
    result = tiny.search(tmp_path / "run", space=TWO, epochs=3, stop=ALL, stop_mode="report", alpha_lr=0.05)
    *_, last = tiny.history(tmp_path / "run")
    lines, mixed = tiny.history(tmp_path / "run"), cells.mixed(TWO)
    assert last["stopped_by"] is None
    assert [entry["rule"] for entry in last["stopped"]] == ["skips:1", "stable:1", "eigenvalue:1.3:2", "held-out:0.1:0"]
    for rule, entry in zip(stop_rules.parse(ALL), last["stopped"], strict=True):
        stopped = stop_rules.outcome(rule, lines, mixed)
        assert stopped is not None
        assert entry == {"rule": rule.text, "epoch": stopped.epoch, "kept": stopped.kept,
                         "architecture": stopped.architecture, "why": stopped.why}  # fmt: skip
        told = formats.read(entry["architecture"])[0]
        assert formats.load(tmp_path / "run" / "stopped" / rule.file_name)[0] == told
        assert entry["architecture"] == epochs_of(tmp_path / "run")[entry["kept"]]["architecture"]
    assert len(epochs_of(tmp_path / "run")) == 3
    assert formats.load(tmp_path / "run" / "architecture.json")[0] == result.architecture
    assert formats.write(result.architecture, "quark0") == epochs_of(tmp_path / "run")[-1]["architecture"]


def test_in_stop_mode_the_search_ends_with_the_first_rule_and_its_cell(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"space": TWO, "epochs": 3, "stop": "stable:1", "alpha_lr": 1e-6}
    reported = tiny.search(tmp_path / "all", stop_mode="report", **settings)
    told = tiny.history(tmp_path / "all")[-1]["stopped"][0]
    assert told["epoch"] == 1
    result = tiny.search(tmp_path / "run", **settings)
    last = tiny.history(tmp_path / "run")[-1]
    assert epochs_of(tmp_path / "run") == epochs_of(tmp_path / "all")[: told["epoch"] + 1]
    assert last["stopped_by"] == "stable:1"
    assert last["stopped"] == [told]
    assert formats.write(result.architecture, "quark0") == told["architecture"]
    line = epochs_of(tmp_path / "all")[told["kept"]]
    assert (result.val_accuracy, last["val_accuracy"]) == (line["val_accuracy"], line["val_accuracy"])
    assert reported.val_accuracy == epochs_of(tmp_path / "all")[-1]["val_accuracy"]


@pytest.mark.parametrize("mode", ["stop", "report"])
def test_a_watched_search_interrupted_at_any_step_ends_as_the_whole_one(mode: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 3, "stop": "stable:1,eigenvalue:1.3:2,held-out:0.1"}
    settings |= {"stop_mode": mode, "space": TWO, "alpha_lr": 1e-6}
    whole = tiny.search(tmp_path / "whole", **settings)
    with pytest.raises(InterruptedRunError):
        tiny.search(tmp_path / "cut", **settings, budget="1steps")
    for _ in range(20):
        with Run.open(tmp_path / "cut", write=True) as run:
            run.limits.steps = 1
            try:
                again = tiny.resume(run, space=TWO)
                break
            except InterruptedRunError:
                continue
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(dict(whole.supernet.state_dict()), dict(again.supernet.state_dict()))
    assert whole.architecture == again.architecture
    files = [sorted((tmp_path / name / "stopped").iterdir()) for name in ("whole", "cut")]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_held_out_alone_gives_the_cell_of_its_best_score(tmp_path: Path) -> None:
    result = tiny.search(tmp_path / "run", space=TWO, epochs=4, stop="held-out:0.3", alpha_lr=0.05)
    lines = epochs_of(tmp_path / "run")
    best = max(lines, key=lambda line: (line["held_out_accuracy"], -line["held_out_loss"]))
    last = tiny.history(tmp_path / "run")[-1]
    assert (last["stopped_by"], last["stopped"][0]["kept"]) == ("held-out:0.3:0", best["epoch"])
    assert formats.write(result.architecture, "quark0") == best["architecture"]


def test_the_held_out_images_are_a_part_of_train_that_the_search_does_not_train_on(tmp_path: Path) -> None:
    data, config = tiny.digits(), darts.Config(**tiny.SEARCH, stop="held-out:0.25")
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        watch, rest = early_stopping.begin(config, TWO, data, run)
        again, _ = early_stopping.begin(config, TWO, data, run)
    assert watch.held_out is not None
    assert again.held_out is not None
    assert (len(watch.held_out), len(rest.train), rest.val, rest.test) == (8, 24, data.val, data.test)
    both = torch.cat([rest.train.images, watch.held_out.images]).flatten(1)  # type: ignore[list-item]
    everything = data.train.images.flatten(1)  # type: ignore[union-attr]
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, everything.tolist()))
    assert torch.equal(watch.held_out.images, again.held_out.images)  # type: ignore[arg-type]


def test_the_eigenvalue_is_read_at_its_interval_with_the_same_images(tmp_path: Path) -> None:
    tiny.search(tmp_path / "run", space=TWO, epochs=3, stop="eigenvalue")
    assert ["eigenvalue" in line for line in epochs_of(tmp_path / "run")] == [True, False, True]
    config, data = darts.Config(**tiny.SEARCH, stop="eigenvalue"), tiny.digits()
    with Run.create(tmp_path / "other", config, setup=Setup(device="cpu")) as run:
        state = darts.begin(config, TWO, data, run, None)
        watch, _ = early_stopping.begin(config, TWO, data, run)
        before = {name: tensor.clone() for name, tensor in state.supernet.state_dict().items()}
        alpha = {kind: tensor.detach().clone() for kind, tensor in state.alpha.items()}
        found = [
            early_stopping.readings(watch, epoch, state.supernet, state.alpha, darts.mixture, data, run)
            for epoch in (0, 1, 2)
        ]
    assert found[0] == found[2]
    assert found[1] == {}
    assert tiny.same_tensors(before, dict(state.supernet.state_dict()))
    assert all(torch.equal(alpha[kind], tensor) for kind, tensor in state.alpha.items())
    assert all(tensor.requires_grad for tensor in state.supernet.parameters())


def test_too_many_images_held_out_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--batch-size 32 is more than the 29 images of train"):
        tiny.search(tmp_path / "run", batch_size=32, stop="held-out:0.1")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.usefixtures("global_rng")
def test_a_search_is_watched_from_the_command_line_and_its_kept_cells_are_shown_and_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = "--channels 2 --cells 3 --batch-size 16 --max-images 64 --device cpu"
    rules = "--alpha-lr 1e-6 --stop stable:1,skips --stop-mode report"
    assert main(f"search darts --data digits --space s2 --epochs 2 {rules} --out run {sizes}".split()) == 0
    said = capsys.readouterr().out
    assert "stable:1 fired after epoch 1 and selects the cell of epoch 1: run/stopped/stable-1.json" in said
    assert "skips:2" in said
    assert main(["show", "run/stopped/stable-1.json", "--no-counts"]) == 0
    assert (
        main(f"train run/stopped/stable-1.json --data digits --epochs 1 --no-auxiliary --out trained {sizes}".split())
        == 0
    )
    environment = json.loads((tmp_path / "trained" / "environment.json").read_text())
    assert Path(environment["parent"]).name == "run"
    assert main(["search", "darts", "--data", "digits", "--stop", "skip:2"]) == 2
    assert "did you mean 'skips'" in capsys.readouterr().err


def test_a_dry_run_needs_no_images_to_hold_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = "--channels 2 --cells 3 --batch-size 16 --max-images 64 --device cpu"
    assert main(f"search darts --data digits --space s2 --stop held-out:0.3,eigenvalue {sizes} --dry-run".split()) == 0
    assert 'stop = "held-out:0.3,eigenvalue"' in capsys.readouterr().out


def test_rules_are_checked_with_the_config() -> None:
    with pytest.raises(InputError, match="unknown rule of --stop 'never'"):
        replace(darts.Config(), stop="never")
