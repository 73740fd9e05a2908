"""The best network under limits out of a trained supernet: what is scored, what is written, what is refused."""

import json
import shutil
from pathlib import Path
from random import Random

import pytest
import torch

import elastic_runs
from dartboard.cli import main
from dartboard.errors import InterruptedRunError
from dartboard.export.weights import load_network
from dartboard.networks.mobilenet import inherit
from dartboard.runs.limits import Limits, limits_of
from dartboard.scoring.limits import limits_from
from dartboard.spaces import mobilenet
from dartboard.studies import fine_tuning, specialise
from dartboard.studies.pieces import Pieces
from elastic_runs import FEW, SPACE


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search."""
    return elastic_runs.made(tmp_path_factory.mktemp("specialise") / "run")


@pytest.fixture
def one(run: Path) -> specialise.Trained:
    return elastic_runs.opened(run)


def question(limit: str, strategy: str, scorings: int = 12) -> specialise.Question:
    return specialise.Question(limits_from(limit), strategy, scorings, 32, 40)


@pytest.mark.parametrize("strategy", specialise.STRATEGIES)
def test_every_candidate_is_new_and_within_all_limits_and_the_best_is_the_answer(
    strategy: str, one: specialise.Trained, tmp_path: Path
) -> None:
    pieces = Pieces(tmp_path, specialise.SCORES)
    asked = question("macs<=300K,params<=40K", strategy)
    answer = specialise.answer(one, asked, pieces)
    scores = {key.split("/", 3)[3]: piece["score"] for key, piece in pieces.done.items()}
    assert answer.scorings == answer.new == len(scores) == 12
    for text in scores:
        cost = one.count(mobilenet.from_choices(json.loads(text)["choices"]))
        assert cost.macs <= 300_000 and cost.params <= 40_000
    assert answer.best.score.value == max(scores.values()) == scores[str(answer.best.architecture)]


def test_a_score_is_kept_and_does_not_depend_on_what_was_scored_before(one: specialise.Trained, tmp_path: Path) -> None:
    known, fresh = Pieces(tmp_path, "known"), Pieces(tmp_path, "fresh")
    first = specialise.answer(one, question("macs<=300K", "random", 6), known)
    again = specialise.answer(one, question("macs<=300K", "random", 6), known)
    assert (first.new, again.new) == (6, 0) and first.best == again.best
    scorer = specialise.remembering(one, 32, 40, fresh)
    for text, piece in reversed(known.done.items()):
        architecture = mobilenet.from_choices(json.loads(text.split("/", 3)[3])["choices"])
        assert scorer(architecture, 0).value == piece["score"]


def test_the_network_that_is_written_has_the_score_and_the_supernets_logits(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    words = ["specialise", str(run), "--limit", "macs<=400K", "--scorings", "4", *FEW]
    assert main([*words, "--out", str(out)]) == 0
    answer = json.loads((out / "answer.json").read_text())
    kept = Pieces(run, specialise.SCORES)
    scores = {key.split("/", 3)[3]: piece["score"] for key, piece in kept.done.items()}
    architecture = mobilenet.from_choices(answer["architecture"]["choices"])
    assert answer["val_accuracy"] == scores[str(architecture)]
    assert answer["cost"]["macs"] <= 400_000
    network = load_network(out)
    assert sum(one.numel() for one in network.parameters()) == answer["cost"]["params"]
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    capsys.readouterr()
    assert main([*words, "--out", str(out)]) == 0
    assert "answered before" in capsys.readouterr().out
    (out / "answer.json").write_text("{")
    assert "answer.json is damaged" in refused([*words, "--out", str(out)], capsys)


def test_a_network_that_is_given_is_cut_out_without_a_search(run: Path, tmp_path: Path) -> None:
    given = SPACE.sample(Random(5))
    out = tmp_path / "given"
    assert main(["specialise", str(run), "--architecture", str(given), *FEW, "--out", str(out)]) == 0
    answer = json.loads((out / "answer.json").read_text())
    assert main(["specialise", str(run), "--architecture", str(given), *FEW]) == 0  # the usual folder, one a network
    assert main(["specialise", str(run), "--architecture", str(SPACE.smallest()), *FEW]) == 0
    assert len(list((run / "specialised").glob("given-*"))) == 2
    assert mobilenet.from_choices(answer["architecture"]["choices"]) == given and answer["scorings"] == 1


TUNED = ["--fine-tune", "2", *FEW]


def test_a_network_is_fine_tuned_the_same_twice_and_says_so_with_statistics_of_its_own(
    run: Path, one: specialise.Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = SPACE.smallest(), tmp_path / "tuned"
    words = ["specialise", str(run), "--architecture", str(given), *TUNED]
    assert main([*words, "--out", str(out)]) == 0
    said, answer = capsys.readouterr().out, json.loads((out / "answer.json").read_text())
    as_it_was = specialise.write_network(one, given, question("", "random"), tmp_path / "cut")
    assert answer["fine_tuned"] == {"epochs": 2, "val_accuracy_before": as_it_was[0]} and as_it_was[0] == as_it_was[1]
    assert f"fine-tuned 2 epochs; {100 * as_it_was[0]:.2f} % before, by the supernet's weights" in said
    tuned, cut = load_network(out), load_network(tmp_path / "cut")
    assert any(not torch.equal(a, b) for a, b in zip(tuned.parameters(), cut.parameters(), strict=True))
    # the statistics that were written are those of the tuned weights, and give the accuracy that is told
    assert specialise.recalibrated_accuracy(one, tuned, question("", "random")) == answer["val_accuracy"]
    state = {name: tensor.clone() for name, tensor in load_network(out).state_dict().items()}
    assert all(torch.equal(tensor, state[name]) for name, tensor in tuned.state_dict().items() if "batches" not in name)
    again = one.run.folder / fine_tuning.FOLDER
    shutil.rmtree(again)
    assert main([*words, "--out", str(tmp_path / "again")]) == 0
    assert all(torch.equal(found, state[name]) for name, found in load_network(tmp_path / "again").state_dict().items())


def test_a_fine_tuning_that_was_stopped_ends_as_if_it_was_not(
    one: specialise.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = SPACE.sample(Random(6))

    def tuned(limits: Limits | None) -> dict[str, torch.Tensor]:
        monkeypatch.setattr("dartboard.runs.run.limits_of", lambda budget, until: limits or Limits())
        with torch.random.fork_rng():
            network = inherit(one.supernet, given)
        fine_tuning.tuner(one, given, 2, 0)(network)
        return dict(network.state_dict())

    with pytest.raises(InterruptedRunError):
        tuned(Limits(steps=3))
    resumed = tuned(None)
    shutil.rmtree(one.run.folder / fine_tuning.FOLDER)
    straight = tuned(None)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in straight.items())


def test_the_training_that_ends_a_specialise_is_not_resumed_by_itself(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["specialise", str(run), "--architecture", str(SPACE.largest()), *TUNED[:1], "1", *FEW]
    assert main([*words, "--out", str(tmp_path / "tuned")]) == 0
    folder = next((run / fine_tuning.FOLDER).iterdir())
    capsys.readouterr()
    assert "give that command again" in refused(["resume", str(folder)], capsys)


def test_a_limit_that_only_the_smallest_network_meets_is_answered_with_it(
    run: Path, one: specialise.Trained, tmp_path: Path
) -> None:
    out, smallest = tmp_path / "smallest", SPACE.smallest()
    limit = f"macs<={one.count(smallest).macs}"
    assert main(["specialise", str(run), "--limit", limit, *FEW, "--out", str(out)]) == 0
    answer = json.loads((out / "answer.json").read_text())
    assert mobilenet.from_choices(answer["architecture"]["choices"]) == smallest


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_wrong_questions_are_refused_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["specialise", str(run), *FEW]
    assert "the smallest architecture of bignas-8 has" in refused([*asked, "--limit", "macs<=1K"], capsys)
    assert "unknown limit 'speed'" in refused([*asked, "--limit", "speed<=1"], capsys)
    assert "--limit names macs twice" in refused([*asked, "--limit", "macs<=1M,macs<=2M"], capsys)
    largest = [*asked, "--architecture", str(SPACE.largest()), "--limit", "macs<=100K"]
    assert "multiply-adds of an image, more than macs<=100K; give a larger --limit" in refused(largest, capsys)
    other = str(mobilenet.SPACES["ofa-8"].smallest())
    assert "not among those of bignas-8" in refused([*asked, "--architecture", other], capsys)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "is not an empty folder" in refused([*asked, "--out", str(tmp_path / "full")], capsys)
    assert "there is no" in refused(["specialise", str(tmp_path / "nowhere")], capsys)


def test_an_answer_serves_only_the_same_question_to_the_same_supernet(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, moved, other = tmp_path / "out", tmp_path / "moved", tmp_path / "other"
    shutil.copytree(run, moved)
    words = ["--scorings", "1", *FEW, "--out", str(out)]
    assert main(["specialise", str(run), *words]) == 0
    assert "1 network scored" in capsys.readouterr().out
    assert main(["specialise", str(moved), *words]) == 0  # the same supernet in another place
    assert "answered before" in capsys.readouterr().out
    assert "answers another question (seed 0, not 3)" in refused(
        ["specialise", str(run), *words, "--seed", "3"], capsys
    )
    assert "(fine_tune None, not 1)" in refused(["specialise", str(run), *words, "--fine-tune", "1"], capsys)
    shutil.copytree(run, other)
    about = json.loads((other / "environment.json").read_text())
    (other / "environment.json").write_text(json.dumps({**about, "created": "2020-01-01T00:00:00+00:00"}))
    assert "has an answer of another supernet" in refused(["specialise", str(other), *words], capsys)
    answer = json.loads((out / "answer.json").read_text())
    (out / "answer.json").write_text(json.dumps({"question": answer["question"], "cost": 3}))
    assert "answer.json is damaged" in refused(["specialise", str(run), *words], capsys)
    (out / "answer.json").write_text(json.dumps(answer))
    (out / "weights.safetensors").unlink()
    assert "is not an empty folder" in refused(["specialise", str(run), *words], capsys)


def test_a_supernet_that_is_not_finished_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "stopped"
    assert main([*elastic_runs.WORDS, "--budget", "1steps", "--out", str(folder)]) in (0, 130)
    capsys.readouterr()
    assert "is not finished; first: dartboard resume" in refused(["specialise", str(folder)], capsys)


def test_a_network_beyond_the_finished_phases_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, ofa = tmp_path / "ofa", mobilenet.SPACES["ofa-8"]
    data = elastic_runs.WORDS[4:8]
    words = ["search", "ofa", "--space", "ofa-8", *data, "--channels", "4", "--epochs", "2"]
    more = ["--batch-size", "16", "--last-phase", "kernel", "--scorings", "1", "--threads", "1"]
    assert main([*words, *more, "--out", str(folder)]) == 0
    capsys.readouterr()
    error = refused(["specialise", str(folder), "--architecture", str(ofa.smallest())], capsys)
    assert "not among those of ofa-8 that this supernet was trained for" in error
    assert limits_of(None, None).reason() is None
