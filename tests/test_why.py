"""`dartboard why`: its changes of a cell enumerated, its scores against the search's own, stopped and gone on with."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from dartboard import train
from dartboard.analysis import motifs, p_values
from dartboard.cli import main
from dartboard.commands import why as command
from dartboard.data import Split
from dartboard.errors import InputError, InterruptedRunError
from dartboard.networks.darts import inherit
from dartboard.report.why_training import cell_lines
from dartboard.spaces import SPACES
from dartboard.spaces import darts as cells_space
from dartboard.studies import findings, headlines, shared_weights, short_trainings, subject, why
from dartboard.studies.pieces import Pieces
from dartboard.studies.questions import Config
from dartboard.studies.subject import Search
from dartboard.studies.variants import variants

SMALL = Config(batches=1, samples=4, random=2, top=1, seeds=1, epochs=2, few_steps=2)
FLAGS = ["--batches=1", "--samples=4", "--random=2", "--top=1", "--seeds=1", "--epochs=2", "--few-steps=2"]
TINY = ("--data digits --max-images 96 --channels 2 --cells 3 --epochs 2 --batch-size 16 --space s3 "
        "--lr 0.1 --device cpu --threads 1")  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny finished search."""
    folder = tmp_path_factory.mktemp("why") / "run"
    assert main(["search", "darts", *TINY.split(), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def searched(found: Path) -> Search:
    with torch.random.fork_rng():
        return command.loaded(command.searched(str(found)))


@pytest.fixture(scope="module")
def studied(found: Path, searched: Search, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A whole study, by the command."""
    folder = tmp_path_factory.mktemp("study") / "out"
    assert main(["why", str(found), *FLAGS, "--out", str(folder)]) == 0
    return folder, json.loads((folder / "why.json").read_text())


def a_study(searched: Search, folder: Path, config: Config = SMALL) -> subject.Study:
    folder.mkdir(parents=True, exist_ok=True)
    return why.planned(searched, config, folder, lambda line: None)


# --- Changes of a cell -----------------------------------------------------------------------------------------------


def test_the_changes_are_all_cells_that_differ_in_one_input() -> None:
    rng = Random(4)
    for name in ("darts", "s1", "s3"):
        space = SPACES[name]
        architecture, offered = space.sample(rng), cells_space.mixed(space)
        found = list(variants(architecture, offered))
        expected = set()
        for kind in cells_space.CELLS:
            for node in range(2, 6):
                inputs = architecture[f"{kind}.{node}"]
                for position, (operation, pred) in enumerate(inputs):
                    places = [pred, *(source for source in range(node) if source not in {p for _, p in inputs})]
                    for source in places:
                        for other in {"none", *cells_space.OPERATIONS}:
                            on_edge = offered[kind][cells_space.edges().index((source, node))]
                            same_edge, same_name = source == pred, other == operation
                            removed = other == "none" and same_edge
                            if same_edge != same_name and (removed or (other in on_edge and other != "none")):
                                expected.add((kind, node, position, other, source))
        assert {(one.kind, one.node, one.input, *one.after) for one in found} == expected
        assert len({one.key for one in found}) == len(found) == len(expected)
        for one in found:
            differing = [name for name, value in one.architecture.choices if value != architecture[name]]
            assert differing == [f"{one.kind}.{one.node}"]
            assert (cells_space.canonical(one.architecture) in space) == (one.change != "removed")


def test_a_removed_input_is_none_of_the_supernet(searched: Search, global_rng: None) -> None:
    """S3 mixes `none` in, so the supernet's own cut shows what a removed input must compute."""
    x = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    removed = [one for one in shared_weights.all_variants(searched) if one.change == "removed"]
    for variant in removed[::3]:
        ours = shared_weights.cut(searched, variant)
        theirs = inherit(searched.supernet, variant.architecture)
        with torch.no_grad():
            assert ours.train()(x).equal(theirs.train()(x))


def test_a_search_that_was_stopped_is_asked_about_the_cell_it_would_give(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["search", "darts", *TINY.split(), "--budget", "4steps", "--out", str(folder)]) == 0
    stopped = command.searched(str(folder))
    assert not stopped.done and stopped.architecture is None
    with torch.random.fork_rng():
        found = command.loaded(stopped)
    rows = {kind: weights.tolist() for kind, weights in found.weights.items()}
    strongest = {
        (kind, edge, max((w, n) for w, n in zip(rows[kind][edge], names, strict=True) if n != "none")[1])
        for kind, on_edges in cells_space.mixed(found.space).items()
        for edge, names in enumerate(on_edges)
    }
    for kind in cells_space.CELLS:
        for node in range(2, 6):
            for operation, pred in found.architecture[f"{kind}.{node}"]:
                assert (kind, cells_space.edges().index((pred, node)), operation) in strongest


# --- Scores ----------------------------------------------------------------------------------------------------------


def test_the_soft_supernet_and_the_cell_score_as_the_search_said(searched: Search, tmp_path: Path) -> None:
    one = a_study(searched, tmp_path)
    last = [line for line in searched.run.metrics() if line["event"] == "epoch"][-1]
    soft = shared_weights.by_batch_statistics(one, searched.weights)
    cell = shared_weights.by_batch_statistics(one, searched.architecture)
    assert (soft.accuracy, cell.accuracy) == (last["val_accuracy"], last["derived_val_accuracy"])
    assert soft.loss == pytest.approx(last["val_loss"], rel=1e-6)


def test_a_cell_put_beside_is_scored_as_the_found_one(found: Path, searched: Search, tmp_path: Path) -> None:
    one = a_study(searched, tmp_path, replace(SMALL, beside=(str(found), str(found / "architecture.json"))))
    cut_out = shared_weights.inherited(searched)
    note = shared_weights.by_running_statistics(one, cut_out, recalibrated=True)
    one.pieces.add("gap/recalibrated", accuracy=note.accuracy)
    shared_weights.score_beside(one)
    assert [name for name, _ in why.controls(one)] == ["found", "random-0", "random-1", "beside-0", "beside-1"]
    sizes = {"channels": 2, "cells": 3, "image_size": 8}
    trained = {name: [{"end": {"accuracy": 0.5 + step}}] for name, step in
               (("found", 0.0), ("beside-0", 0.1), ("beside-1", 0.2))}  # fmt: skip
    rows = findings.cell_table(one.pieces, trained, searched.architecture, sizes)
    assert [row["shared"] for row in rows] == [note.accuracy] * 3 and rows[1]["label"] == found.name
    assert {row["n"] for row in findings.correlated(rows, 0)["beside"]} == {3}
    assert findings.correlated(rows, 0)["shared"] == []


def test_one_hot_alpha_is_the_strongest_operation_of_each_edge(searched: Search) -> None:
    hard, mixed = shared_weights.one_hot(searched), cells_space.mixed(searched.space)
    for kind, rows in hard.items():
        assert rows.sum(1).eq(1).all() and rows.max(1).values.eq(1).all()
        for edge, names in enumerate(mixed[kind]):
            chosen = names[int(rows[edge].argmax())]
            others = [float(searched.weights[kind][edge, i]) for i, name in enumerate(names) if name != "none"]
            assert chosen != "none" and float(searched.weights[kind][edge, names.index(chosen)]) == max(others)


def test_scoring_leaves_the_supernet_as_it_was(searched: Search, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in searched.supernet.state_dict().items()}
    one = a_study(searched, tmp_path)
    shared_weights.by_batch_statistics(one, shared_weights.one_hot(searched))
    shared_weights.by_running_statistics(one, shared_weights.inherited(searched), recalibrated=True)
    assert all(tensor.equal(before[name]) for name, tensor in searched.supernet.state_dict().items())


class Untouchable:
    """Test images that fail when anything is asked of them."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test images were asked for {name}")


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


# --- Stopped and gone on with ----------------------------------------------------------------------------------------


class Killed(BaseException):
    """As sudden as a kill: nothing of ours catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, done: list[str], number: int) -> None:
    """Lets so many pieces be written, then leaves half a line and stops; done: the keys that were written."""
    add, before = Pieces.add, len(done)

    def counted(self: Pieces, key: str, **fields: Any) -> dict[str, Any]:
        if len(done) - before == number:
            with open(self.path, "ab") as file:
                file.write(b'{"key": "gap/so')
            raise Killed
        done.append(key)
        return add(self, key, **fields)

    monkeypatch.setattr(Pieces, "add", counted)


@pytest.mark.slow
def test_a_study_killed_three_times_ends_the_same_repeats_nothing_and_reads_no_test_image(
    searched: Search, studied: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, done = made(tmp_path / "out"), list[str]()
    untouched = replace(searched.data, test=Split(Untouchable(), Untouchable()))  # type: ignore[arg-type]
    search = replace(searched, data=untouched)
    for number in (3, 58):  # among the changes of the cell, and between two looks at a training
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, done, number)
            why.study(search, SMALL, folder, lambda line: None)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, done, 10**6)
        patch.setattr(train, "write_weights", lambda *words: raised(Killed()))  # as a training ends
        why.study(search, SMALL, folder, lambda line: None)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, done, 10**6)
        content = why.study(search, SMALL, folder, lambda line: None)
    assert json.loads(json.dumps(content)) == studied[1]
    assert done == list(Pieces(studied[0]).done)


def raised(error: BaseException) -> None:
    raise error


def test_a_signal_stops_after_the_piece_at_hand(searched: Search, tmp_path: Path) -> None:
    folder = made(tmp_path / "out")

    def once(line: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError) as caught:
        why.study(searched, SMALL, folder, once)
    assert caught.value.exit_code == 130 and 5 < len(Pieces(folder).done) < 60


def test_the_command_a_second_time_does_nothing_again(
    found: Path,
    studied: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _ = studied
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setattr(Pieces, "add", None)  # any work would call it
    assert main(["why", str(found), *FLAGS, "--out", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "- The most important input is" in text or "- No single input is certain to matter" in text
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.slow
def test_a_study_stopped_by_its_time_limit_goes_on_by_resume(
    found: Path, studied: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert main(["why", str(found), *FLAGS, "--out", str(folder), "--until", "0.5s"]) == 0
    assert f"stopped by time limit, saved; resume with: dartboard resume {folder}" in capsys.readouterr().err
    assert len(Pieces(folder).done) < len(Pieces(studied[0]).done)
    assert main(["resume", str(folder)]) == 0
    assert json.loads((folder / "why.json").read_text()) == json.loads((studied[0] / "why.json").read_text())
    (folder / "settings.json").write_text("{}")
    assert main(["resume", str(folder)]) == 2
    assert "settings.json is damaged; repeat the `dartboard why` command that started it" in capsys.readouterr().err


def test_pieces_are_read_back_and_a_torn_line_is_cut_away(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path)
    assert pieces.add("a/1", value=1.5, none=float("nan")) == {"value": 1.5, "none": None}
    pieces.add("a/2", value=2)
    with open(pieces.path, "ab") as file:
        file.write(b'{"key": "a/3", "val')
    again = Pieces(tmp_path)
    assert list(again.under("a/")) == ["1", "2"] and again["a/2"] == {"value": 2} and "a/3" not in again
    again.add("a/3", value=3)
    assert list(Pieces(tmp_path).done) == ["a/1", "a/2", "a/3"]
    pieces.path.write_bytes(b"{}\n")
    with pytest.raises(InputError, match="damaged in line 1"):
        Pieces(tmp_path)


# --- What is found ---------------------------------------------------------------------------------------------------


def test_every_table_follows_from_the_answers_image_by_image(studied: tuple[Path, dict[str, Any]]) -> None:
    folder, content = studied
    pieces, number = Pieces(folder), content["images"]
    base = np.array(findings.bits(pieces["gap/recalibrated"]["right"], number))
    assert base.mean() == pytest.approx(pieces["gap/recalibrated"]["accuracy"], abs=1e-12)
    drops = [row["drop"] for row in content["ablation"]]
    assert drops == sorted(drops, reverse=True) and len(drops) == len(pieces.under("variant/"))
    for row in content["ablation"]:
        right = np.array(findings.bits(pieces[f"variant/{row['key']}"]["right"], number))
        assert row["drop"] == pytest.approx(base.mean() - right.mean(), abs=1e-12)
        assert (row["lost"], row["gained"]) == (int((base > right).sum()), int((base < right).sum()))
        assert row["low"] <= row["drop"] <= row["high"] and row["p"] <= row["p_holm"]
    assert [row["p_holm"] for row in content["ablation"]] == p_values.holm([row["p"] for row in content["ablation"]])


def test_the_gap_goes_from_the_supernet_to_the_trained_cell(studied: tuple[Path, dict[str, Any]]) -> None:
    rows = studied[1]["gap"]
    assert [row["name"] for row in rows] == ["soft", "one-hot", "inherited", "recalibrated", "retrained"]
    for before, row in pairwise(rows):
        assert row["step"] == pytest.approx(row["accuracy"] - before["accuracy"], abs=1e-12)
        assert row["step_low"] <= row["step"] <= row["step_high"] and row["low"] <= row["accuracy"] <= row["high"]


def test_trainings_are_runs_of_the_short_protocol_scored_on_val(
    searched: Search, studied: tuple[Path, dict[str, Any]]
) -> None:
    from dartboard.runs.run import Run

    folder, content = studied
    worst = content["ablation"][0]["key"]
    names = {path.name for path in (folder / "trainings").iterdir()}
    assert names == {"found-s0", "random-0-s0", "random-1-s0", f"{worst}-s0"}
    run = Run.open(folder / "trainings" / "found-s0")
    assert run.done and run.settings["epochs"] == 2 and run.settings["channels"] == 2
    sizes = run.environment["data"]
    assert (sizes["train"], sizes["val"], sizes["test"]) == (len(searched.data.train), 0, len(searched.data.val))
    assert sizes["fingerprint"] != searched.data.fingerprint  # so that `resume` refuses to go on with other images
    assert [row["n"] for row in content["trained_changes"]] == [1]
    assert {(row["low"], row["high"], row["how"]) for row in content["trained_changes"]} == {(None, None, "none")}
    assert "one seed has no interval" in (folder / "why.html").read_text()


def test_motifs_are_correlated_over_the_random_cells_alone(studied: tuple[Path, dict[str, Any]]) -> None:
    content = studied[1]
    drawn = [row for row in content["cells"] if row["name"] != "found"]
    table = motifs.correlations([row["motifs"] for row in drawn], [row["shared"] for row in drawn], 0)
    assert len(drawn) == 4 and [row["rho"] for row in content["motifs"]["shared"]] == [one.rho for one in table]
    assert content["motifs"]["trained"] == [] and content["agreement"]["n"] == 3  # two random cells order nothing
    assert [row["name"] for row in content["convergence"]["cells"]] == ["found", "random-0", "random-1"]


def test_gradients_are_told_for_every_cell_and_input(studied: tuple[Path, dict[str, Any]]) -> None:
    for when in ("start", "early"):
        look = studied[1]["gradient"][when]
        assert set(look["cells"]) == {"found", "random-0", "random-1"}
        assert all(len(cells) == 3 and all(cell["output"] > 0 for cell in cells) for cells in look["cells"].values())
        assert len(look["edges"]) == 16
        skips = [row for row in look["operations"] if (row["operation"], row["stride"]) == ("skip_connect", 1)]
        assert all(row["transmission"] == pytest.approx(1.0, abs=1e-6) for row in skips)
        assert (
            0 < sum(row["n"] for row in look["operations"]) <= 3 * 24
        )  # three networks of three cells of eight inputs


def test_the_page_shows_everything_and_fetches_nothing(studied: tuple[Path, dict[str, Any]]) -> None:
    folder, content = studied
    text = (folder / "why.html").read_text()
    for name in ("answer", "ablation", "gap", "motifs", "convergence", "gradient", "protocol", "conditions"):
        assert f'id="{name}"' in text
    assert text.count('<svg class="cell"') == 2 and text.count('class="curves"') >= 5
    assert "nan" not in text.lower().replace("dominan", "") and "http://" not in text.replace("http://www.w3.org", "")
    assert all(line.split("'")[0][:40].replace("&", "&amp;") in text for line in content["headlines"])


def test_the_numbers_name_what_made_each_interval_by_the_number_of_its_values() -> None:
    runs = [{"end": {"accuracy": accuracy}} for accuracy in (0.9, 0.95)]
    row = dict.fromkeys(("kind", "node", "input", "change", "before", "after")) | {"key": "x", "drop": 0.1}
    lower = [{"end": {"accuracy": accuracy}} for accuracy in (0.8, 0.83)]
    (told,) = findings.trained_changes({"found": runs, "x": lower}, [row], 0)
    half = 12.7062047 * 0.01  # t with one degree of freedom; the differences 0.10 and 0.12 deviate by 0.0141
    assert told["how"] == "Student's t" and (told["low"], told["high"]) == pytest.approx((0.11 - half, 0.11 + half))
    many = {"found": [run for run in runs for _ in range(5)], "x": lower[:1] * 10}
    assert findings.trained_changes(many, [row], 0)[0]["how"] == "bootstrap"


def ends(low: float, high: float) -> dict[str, Any]:
    return {"step_low": low, "step_high": high, "step_how": "bootstrap"}


def test_the_words_say_no_more_than_the_intervals() -> None:
    sure = {"change": "removed", "kind": "normal", "node": 3, "before": ["skip_connect", 1], "drop": 0.05, "low": 0.01,
            "high": 0.09, "how": "bootstrap"}  # fmt: skip
    most = "The most important input is skip_connect from c[k-1] into node 3 of the normal cell"
    assert headlines.edge_line([sure]).startswith(most)
    assert "No single input is certain to matter" in headlines.edge_line([{**sure, "low": -0.01}])
    assert "(no interval)" in headlines.edge_line([{**sure, "low": None, "high": None, "how": "none"}])
    rows = [
        {"name": "soft", "label": "soft", "accuracy": 0.5},
        {"name": "one-hot", "label": "one-hot", "accuracy": 0.4, "step": -0.1, **ends(-0.2, -0.01)},
        {"name": "recalibrated", "label": "cell", "accuracy": 0.6, "step": 0.2, **ends(0.1, 0.3)},
        {"name": "retrained", "label": "trained", "accuracy": 0.3, "step": -0.3, **ends(-0.4, -0.2)},
    ]
    fall = "largest loss is at 'one-hot', −10.0 points (95 % interval −20.0 to −1.0, bootstrap)"
    assert fall in headlines.gap_line(rows)
    assert "no step loses accuracy" in headlines.gap_line([rows[0], *rows[2:]])
    motif = {"motif": "normal.skips", "rho": -0.5, "n": 9, "p": 0.04, "p_holm": 0.4}
    assert headlines.motif_line([motif]).startswith("No motif correlates significantly with")
    assert headlines.motif_line([{**motif, "p_holm": 0.04}]).startswith("A motif correlates with")
    assert headlines.motif_line([]) == headlines.agreement_line({"tau": None}) == ""


# --- Settings --------------------------------------------------------------------------------------------------------


CHANGES: dict[str, tuple[dict[str, Any], Callable[[subject.Study], object]]] = {
    "images": ({"images": 20}, lambda one: one.val.labels.tolist()),
    "batches": ({"batches": 2}, lambda one: [batch.tolist() for batch in one.index]),
    "samples": ({"samples": 3}, lambda one: len(shared_weights.sampled(one.search, one.config.samples))),
    "random": ({"random": 1}, lambda one: [name for name, _ in why.controls(one)]),
    "top": ({"top": 2}, lambda one: one.config.top),
    "seeds": ({"seeds": 2}, lambda one: one.config.seeds),
    "epochs": ({"epochs": 3}, lambda one: short_trainings.train_config(one.search, one.config).epochs),
    "channels": ({"channels": 4}, lambda one: short_trainings.train_config(one.search, one.config).channels),
    "cells": ({"cells": 4}, lambda one: short_trainings.train_config(one.search, one.config).cells),
    "batch_size": ({"batch_size": 8}, lambda one: short_trainings.train_config(one.search, one.config).batch_size),
    "few_steps": ({"few_steps": 1}, lambda one: one.config.few_steps),
    "beside": ({"beside": ("DARTS_V2",)}, lambda one: [name for name, _ in why.controls(one)]),
}


@pytest.mark.parametrize("name", Config.__dataclass_fields__)
def test_every_setting_changes_what_is_done(name: str, searched: Search, tmp_path: Path) -> None:
    changes, look = CHANGES[name]
    assert look(a_study(searched, tmp_path)) != look(a_study(searched, tmp_path, replace(SMALL, **changes)))


# --- Wrong input -----------------------------------------------------------------------------------------------------


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that is refused."""
    capsys.readouterr()
    assert main(["why", *words]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "Traceback" not in text
    return text


@pytest.fixture
def copied(found: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(found, tmp_path / "copy"))


def test_what_is_no_search_is_refused(
    studied: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "name a search's run folder" in told(capsys)
    assert "there is no such folder" in told(capsys, str(tmp_path / "nowhere"))
    assert "it has no config.toml" in told(capsys, str(tmp_path))
    training = str(studied[0] / "trainings" / "found-s0")
    assert f"{training} is a training; give the folder of the search" in told(capsys, training)


def test_a_search_without_its_checkpoint_or_its_alpha_is_refused(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dartboard.runs.checkpoint import checkpoints, read_checkpoint, write_checkpoint

    last = checkpoints(copied / "checkpoint")[-1]
    whole = read_checkpoint(last)
    assert whole is not None
    bare = {name: tensor for name, tensor in whole.tensors.items() if not name.startswith("alpha/")}
    shutil.rmtree(copied / "checkpoint")
    write_checkpoint(copied / "checkpoint", replace(whole, tensors=bare))
    assert "has no alpha" in told(capsys, str(copied))
    shutil.rmtree(copied / "checkpoint")
    assert "has no checkpoint and therefore no supernet to evaluate" in told(capsys, str(copied))


def test_changed_data_are_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = json.loads((copied / "environment.json").read_text())
    environment["data"]["fingerprint"] = "0" * 64
    (copied / "environment.json").write_text(json.dumps(environment))
    assert "has changed: it started with other images" in told(capsys, str(copied))
    assert not (copied / "why").exists()


def test_a_folder_of_something_else_and_other_settings_are_refused(
    found: Path, studied: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert "is not empty and is not a study" in told(capsys, str(found), "--out", str(tmp_path))
    assert "is a file" in told(capsys, str(found), "--out", str(tmp_path / "file"))
    other = [*FLAGS[:-1], "--few-steps=3"]
    assert "was started with --few-steps 2; repeat that" in told(capsys, str(found), *other, "--out", str(studied[0]))


def test_settings_out_of_range_are_refused(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--random 9 is more than --samples 2" in told(capsys, str(found), "--random", "9", "--samples", "2")
    assert "--epochs is 0; give 1 to 100000" in told(capsys, str(found), "--epochs", "0")
    assert "did you mean '--epochs'" in told(capsys, str(found), "--epoch", "3")
    assert "--beside DARTS_V2: the supernet has no" in told(capsys, str(found), *FLAGS, "--beside", "DARTS_V2")
    assert "unknown architecture" in told(capsys, str(found), *FLAGS, "--beside", "DARTS_V9")
    long = [*FLAGS[:-1], "--few-steps=100", "--out", str(tmp_path / "out")]
    assert "--few-steps 100 is the complete training, 6 steps" in told(capsys, str(found), *long)
    assert not (tmp_path / "out").exists()


def test_a_study_at_work_is_not_joined(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dartboard.runs.locks import take_lock

    (tmp_path / "settings.json").write_text("{}")
    lock = take_lock(tmp_path)
    try:
        assert "is in use by" in told(capsys, str(found), "--out", str(tmp_path))
    finally:
        os.close(lock)


def test_cells_put_beside_are_drawn_as_such_and_each_kind_is_named_once() -> None:
    names = ("found", "random-0", "random-1", "beside-0", "beside-1")
    series = cell_lines({name: [0.5, 0.25] for name in names})
    assert [(line.name, line.colour) for line in series] == [
        ("random", "--one"), ("_", "--one"), ("given with --beside", "--three"), ("_", "--three"), ("found", "--two")
    ]  # fmt: skip


def test_its_page_is_written_again_and_its_main_table_as_csv_and_latex(
    studied: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, found = studied
    before = (folder / "why.html").read_text()
    files = [str(tmp_path / name) for name in ("page.html", "changes.csv", "changes.tex")]
    assert main(["report", str(folder), "--out", files[0], "--csv", files[1], "--latex", files[2]]) == 0
    assert capsys.readouterr().out.split() == files
    assert Path(files[0]).read_text() == before
    with open(files[1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == [row["accuracy"] for row in found["ablation"]]
    assert [int(row["lost_images"]) for row in rows] == [row["lost"] for row in found["ablation"]]
    assert "removed" in {row["change"] for row in rows} and Path(files[2]).read_text().count("removed") >= 1


def test_a_study_that_is_not_finished_has_no_page(
    studied: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(studied[0], tmp_path / "out")
    (tmp_path / "out" / "why.json").unlink()
    assert main(["report", str(tmp_path / "out")]) == 2
    assert "is not finished; resume it with: dartboard resume" in capsys.readouterr().err
