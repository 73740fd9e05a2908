"""The best network by a predictor: what is scored, what is written and said, what is refused."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

import elastic_runs
import latency_table
from dartboard.analysis.statistics import kendall_tau
from dartboard.cli import main
from dartboard.devices import processor
from dartboard.errors import InputError, InterruptedRunError
from dartboard.scoring.latency import Conditions, LatencyTable, Line, as_record, key_of
from dartboard.scoring.limits import limits_from
from dartboard.spaces import SPACES, mobilenet
from dartboard.spaces.mobilenet_timed import TIMED
from dartboard.studies import predicted, specialise
from dartboard.studies.pieces import Pieces
from elastic_runs import FEW, SPACE

PREDICTED = ["--strategy", "predicted", "--samples", "20", "--candidates", "150", "--scorings", "3", *FEW]
pytestmark = pytest.mark.usefixtures("one_thread_throughout")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search."""
    return elastic_runs.made(tmp_path_factory.mktemp("predicted") / "run")


@pytest.fixture
def one(run: Path) -> specialise.Trained:
    return elastic_runs.opened(run)


def question(limit: str = "", scorings: int = 3, seed: int = 0) -> specialise.Question:
    return specialise.Question(limits_from(limit), "predicted", scorings, 32, 40, seed)


def scores_of(pieces: Pieces) -> dict[str, float]:
    return {key.split("/", 3)[3]: piece["score"] for key, piece in pieces.done.items()}


def test_the_answer_is_the_best_score_within_all_limits_of_samples_and_finalists(
    one: specialise.Trained, tmp_path: Path
) -> None:
    pieces = Pieces(tmp_path, specialise.SCORES)
    answer, found = predicted.answer(one, question("macs<=300K,params<=40K"), 30, 200, pieces)
    scores, fitting = scores_of(pieces), dict[str, float]()
    for text, score in scores.items():
        cost = one.count(mobilenet.from_choices(json.loads(text)["choices"]))
        if cost.macs <= 300_000 and cost.params <= 40_000:
            fitting[text] = score
    assert 3 <= len(fitting) < len(scores) <= 33 and answer.new == len(scores) and answer.scorings == 33
    assert answer.best.score.value == max(fitting.values()) == fitting[str(answer.best.architecture)]
    assert {str(trial.architecture) for trial in answer.ranked} == set(fitting)
    assert found.learned == 24 and len(found.held_out) == 6 and found.candidates == 200


def test_the_same_question_has_the_same_answer_and_scores_nothing_again(
    one: specialise.Trained, tmp_path: Path
) -> None:
    pieces = Pieces(tmp_path, specialise.SCORES)
    first, found = predicted.answer(one, question("macs<=300K"), 20, 150, pieces)
    again, other = predicted.answer(one, question("macs<=300K"), 20, 150, pieces)
    assert again.new == 0 and again.best == first.best and again.ranked == first.ranked
    assert found.qualities == other.qualities and found.held_out == other.held_out


def test_networks_that_were_scored_before_are_learned_from(one: specialise.Trained, tmp_path: Path) -> None:
    pieces = Pieces(tmp_path, specialise.SCORES)
    scorer, rng = specialise.remembering(one, 32, 40, pieces), Random(11)
    before = [SPACE.sample(rng) for _ in range(15)]
    for architecture in before:
        scorer(architecture, 0)
    specialise.remembering(one, 16, 40, pieces)(SPACE.largest(), 0)  # another way of scoring
    known = predicted.scored(one, question(), 20, pieces, lambda: None)
    assert [trial.architecture for trial in known[:15]] == before and len({one.architecture for one in known}) == 20
    assert SPACE.largest() not in [trial.architecture for trial in known]


def test_what_models_are_worth_is_computed_on_networks_that_were_not_learned_from(
    one: specialise.Trained, tmp_path: Path
) -> None:
    pieces = Pieces(tmp_path, specialise.SCORES)
    known = predicted.scored(one, question(), 40, pieces, lambda: None)
    found = predicted.learned(one, question(), known)
    accuracies = {trial.architecture: trial.score.value for trial in known}
    truth = np.array([accuracies[architecture] for architecture in found.held_out])
    assert found.accuracies == tuple(truth) and len(set(found.held_out)) == 8
    rows = found.model.columns.rows(found.held_out)
    own = found.qualities["predictor"]
    assert own.predicted == tuple(found.model(rows))
    macs = [one.count(architecture).macs for architecture in found.held_out]
    line, tau = found.qualities["macs"], kendall_tau(macs, truth.tolist())
    rising = line.predicted[int(np.argmax(macs))] > line.predicted[int(np.argmin(macs))]
    assert tau is not None and line.tau == pytest.approx(tau if rising else -tau)


def test_the_quality_of_predictions_is_by_hand() -> None:
    quality = predicted.quality(np.array([0.5, 0.6, 0.9]), np.array([0.5, 0.7, 0.6]))
    assert quality.rmse == pytest.approx((0.1 / 3) ** 0.5) and quality.mean_error == pytest.approx(0.4 / 3)
    assert quality.tau == pytest.approx(1 / 3)
    assert predicted.quality(np.array([0.5, 0.5]), np.array([0.5, 0.7])).tau is None


def test_the_command_writes_the_network_and_says_what_the_predictor_is_worth(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["specialise", str(run), "--limit", "macs<=400K", *PREDICTED, "--out", str(tmp_path / "found")]
    assert main(words) == 0
    said = capsys.readouterr().out
    answer = json.loads((tmp_path / "found" / "answer.json").read_text())
    record = json.loads((run / predicted.FILE).read_text())
    assert "learned from 16 scored networks, tried on 4 others" in said and "150 candidates" in said
    assert "multiply-adds alone" in said and "linear model" in said
    assert answer["cost"]["macs"] <= 400_000 and answer["question"]["samples"] == 20
    assert answer["predictor"]["models"] == record["models"]
    assert len(record["held_out"]) == 4 == len(record["predictions"]["linear"])
    assert main(words) == 0
    again = capsys.readouterr().out
    assert "answered before" in again and "learned from 16 scored networks" in again


def made_up_table(file: Path) -> Path:
    """50 ms for every layer, far more than they take, of the networks of the run, on this device with one thread."""
    conditions, sizes = Conditions("cpu", processor(), threads=1), {"channels": 4, "cells": 4, **latency_table.DIGITS}
    layers = {key_of(layer, conditions): {"median_ms": 50.0} for layer in TIMED.of_space(SPACE, sizes)}
    about = as_record(LatencyTable(str(file), SPACE.name, sizes, conditions, {}, Line(10.0, 1.0)))
    file.write_text(json.dumps({**about, "layers": layers}))
    return file


def test_a_limit_on_latency_is_held_to_by_the_table_and_by_measurement(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = made_up_table(tmp_path / "table.json")
    words = ["specialise", str(run), "--latency", str(table), "--threads", "1", *PREDICTED]
    limit = "latency_ms<=420,macs<=500K"  # of eight layers, the stem and the head among them
    assert main([*words, "--limit", limit, "--out", str(tmp_path / "found")]) == 0
    answer = json.loads((tmp_path / "found" / "answer.json").read_text())
    assert answer["latency"]["is_met"] and answer["latency"]["measured_ms"] <= 420
    assert answer["cost"]["latency_ms"] <= 420 and answer["cost"]["macs"] <= 500_000
    assert "latency measured" in capsys.readouterr().out
    error = refused([*words, "--limit", "latency_ms<=0.001", "--out", str(tmp_path / "none")], capsys)
    assert "the smallest architecture of bignas-8 has" in error and "ms of latency by the table" in error


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_wrong_questions_are_refused_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["specialise", str(run), *FEW]
    scores = (run / specialise.SCORES).read_bytes() if (run / specialise.SCORES).exists() else b""
    predicted_words = [*asked, "--strategy", "predicted"]
    assert "--samples is 19; give 20 to 1e+06" in refused([*predicted_words, "--samples", "19"], capsys)
    assert "--candidates is 0" in refused([*predicted_words, "--candidates", "0"], capsys)
    assert "--scorings is 0" in refused([*predicted_words, "--scorings", "0"], capsys)
    assert "the smallest architecture of bignas-8 has" in refused([*predicted_words, "--limit", "macs<=1K"], capsys)
    without = "--samples has no effect without --strategy predicted; leave it out"
    assert without in refused([*asked, "--samples", "30"], capsys)
    assert "--candidates has no effect" in refused([*asked, "--candidates", "30", "--strategy", "random"], capsys)
    given = ["--architecture", str(SPACE.smallest())]
    assert without in refused([*predicted_words, *given, "--samples", "30"], capsys)
    after = (run / specialise.SCORES).read_bytes() if (run / specialise.SCORES).exists() else b""
    assert after == scores


def test_a_space_with_too_few_networks_is_refused(one: specialise.Trained, tmp_path: Path) -> None:
    pieces = Pieces(tmp_path, specialise.SCORES)
    single = SPACE.narrowed({choice.name: choice.options[:1] for choice in SPACE.choices})
    some = SPACE.narrowed({choice.name: choice.options[:1] for choice in SPACE.choices[2:]})
    for space, number in ((single, "1 network,"), (some, "2 networks,")):
        few = specialise.Trained(one.run, space, one.data, one.supernet, one.step)
        with pytest.raises(InputError, match=f"has {number} and a predictor learns from 20 or more"):
            predicted.answer(few, question(), 20, 100, pieces)
    assert not pieces.done


def test_fewer_candidates_are_usual_where_each_is_built_to_be_counted() -> None:
    limits, usual = limits_from("macs<=1M"), predicted.usual_candidates
    assert usual(SPACE, limits) == usual(SPACE, ()) == usual(SPACES["nasbench201"], ()) == 50_000
    assert usual(SPACES["shufflenetv2-8"], limits) == usual(SPACES["nasbenchmacro"], limits) == 50_000
    assert usual(SPACES["nasbench201"], limits) == 2_000


def test_a_stopped_question_loses_no_score(one: specialise.Trained, tmp_path: Path) -> None:
    pieces, calls = Pieces(tmp_path, specialise.SCORES), [0]

    def check() -> None:
        calls[0] += 1
        if calls[0] > 7:
            raise InterruptedRunError("stopped", 130)

    with pytest.raises(InterruptedRunError):
        predicted.answer(one, question(), 20, 100, pieces, check)
    assert len(Pieces(tmp_path, specialise.SCORES).done) == 7


def test_a_damaged_score_is_refused(one: specialise.Trained, tmp_path: Path) -> None:
    line = {"key": f"{one.step}/32/40/no architecture", "score": 0.5}
    (tmp_path / specialise.SCORES).write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match="is damaged"):
        predicted.scored(one, question(), 20, Pieces(tmp_path, specialise.SCORES), lambda: None)


@pytest.mark.parametrize("fields", [{}, {"score": "high", "source": "x"}, {"score": float("nan"), "source": "x"}])
def test_a_damaged_score_of_a_network_is_refused(
    fields: dict[str, object], one: specialise.Trained, tmp_path: Path
) -> None:
    line = {"key": f"{one.step}/32/40/{SPACE.largest()}", **fields}
    (tmp_path / specialise.SCORES).write_text(json.dumps(line) + "\n")
    pieces = Pieces(tmp_path, specialise.SCORES)
    with pytest.raises(InputError, match="is damaged; remove it, and its scores are computed again"):
        predicted.scored(one, question(), 20, pieces, lambda: None)
    with pytest.raises(InputError, match="is damaged"):
        specialise.remembering(one, 32, 40, pieces)(SPACE.largest(), 0)
