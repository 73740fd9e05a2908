"""What training by single paths has in common, recalibrated scores, and random search with weight sharing."""

import re
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import path_settings
import tiny
from dartboard import spaces
from dartboard.cli import main
from dartboard.commands import compare_budgets, dryrun
from dartboard.config import Setup
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import method_module, random_search_ws
from dartboard.report import write_report
from dartboard.report.words import percent
from dartboard.runs.run import Run
from dartboard.scoring.cost import count_path
from dartboard.scoring.evaluate import calibration_index, recalibrated_score, shared_weights_score
from dartboard.scoring.scorers import Score, by_shared_weights
from dartboard.search import paths, supernets
from dartboard.search.proposals import Trial
from dartboard.search.trials import stream, supernet_of
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies.budgets import parse_size
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch
from dartboard.training import dry_run, loop

NAMES = ("nasbench201", "nasbenchmacro", "shufflenetv2-8-channels", "shufflenetv2-8-bits")
SPACES = {"darts": tiny.FEW, **{name: spaces.SPACES[name] for name in NAMES}}
SMALL: dict[str, Any] = {**path_settings.BASE, "candidates": 5, "round": 3, "batches": 1, "finalists": 2}


def config_for(space: SearchSpace, **changes: Any) -> random_search_ws.Config:
    return random_search_ws.Config(**{**SMALL, **tiny.fixed(space), **changes})


def found(folder: Path, space: SearchSpace = tiny.FEW, **changes: Any) -> paths.Result:
    config = config_for(space, **changes)
    with Run.create(folder, config, setup=Setup(device="cpu"), method="random_search_ws") as run:
        return random_search_ws.search(config, space, tiny.digits(), run)


def trained(state: supernets.State) -> dict[str, Tensor]:
    """All that a step of SGD may move: weights, and the state of their optimizer, by the names of the weights."""
    names = {parameter: name for name, parameter in state.supernet.named_parameters()}
    tensors = {name: parameter.detach().clone() for parameter, name in names.items()}
    for parameter, kept in state.w_optimizer.state.items():
        tensors |= {f"{names[parameter]}/{key}": value.clone() for key, value in kept.items() if value is not None}
    return tensors


@pytest.mark.parametrize("name", SPACES)
def test_weights_off_the_path_and_their_momentum_do_not_move_by_a_bit(name: str, tmp_path: Path) -> None:
    """Over the whole supernet: what moves are the weights that computing the path alone needs, and no others."""
    space = SPACES[name]
    config = config_for(space, weight_decay=0.1)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method="random_search_ws") as run:
        state, _, task = paths.begin(config, space, tiny.digits(), run, {}, None)
        for step in range(4):
            path, before = space.sample(Random(step)), trained(state)
            batch = task.batch("train", torch.arange(16), run, step, state.supernet)
            used = used_by(state.supernet, lambda x, path=path: state.supernet(x, path), batch)
            paths.descend(config, state, task, run, path, paths.Minibatch(batch, 0.1))
            after = trained(state)
            moved = {n for n in after if n not in before or not torch.equal(before[n], after[n])}
            assert moved == {n for n in after if n.partition("/")[0] in used}
            assert used < {n for n, _ in state.supernet.named_parameters()}
            assert before.keys() <= after.keys()


def used_by(supernet: nn.Module, compute: Any, batch: Batch) -> set[str]:
    """The names of the weights that the answer depends on, by autograd alone."""
    named = dict(supernet.named_parameters())
    with torch.enable_grad():
        grads = torch.autograd.grad(compute(batch.x).sum(), list(named.values()), allow_unused=True)
    return {name for name, grad in zip(named, grads, strict=True) if grad is not None}


# --- Scores by shared weights -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("recalibrate", [None, 20])
def test_a_score_does_not_depend_on_what_was_scored_before_and_leaves_no_trace(
    name: str, recalibrate: int | None
) -> None:
    space, data = SPACES[name], tiny.digits()
    supernet = tiny.supernet(space)
    scorer = by_shared_weights(supernet, data, 16, recalibrate)
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    drawn = [space.sample(Random(seed)) for seed in range(3)]
    forwards = [scorer(one, 0).numbers for one in drawn]
    backwards = [scorer(one, 0).numbers for one in reversed(drawn)]
    assert forwards == backwards[::-1]
    assert tiny.same_tensors(before, dict(supernet.state_dict()))
    assert supernet.training and len({numbers["val_loss"] for numbers in forwards}) > 1


def test_running_statistics_of_the_supernet_play_no_part_in_a_recalibrated_score() -> None:
    space, data = SPACES["nasbenchmacro"], tiny.digits()
    supernet, path = tiny.supernet(space), space.sample(Random(0))
    clean = recalibrated_score(supernet, path, data, 16, 20)
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.fill_(7.0)
    assert recalibrated_score(supernet, path, data, 16, 20) == clean
    assert shared_weights_score(supernet, path, data, 16) != clean


def test_recalibration_takes_the_same_images_each_time_and_no_more_than_there_are() -> None:
    train = tiny.digits().train
    one, again = (torch.cat(tuple(calibration_index(train, 20, 16))) for _ in range(2))
    assert torch.equal(one, again) and len(set(one.tolist())) == 20
    assert [len(part) for part in calibration_index(train, 20, 16)] == [10, 10]
    assert len(torch.cat(tuple(calibration_index(train, 10**6, 16)))) == len(train)


# --- Selection --------------------------------------------------------------------------------------------------------


def test_a_round_is_scored_on_the_same_batches_and_its_best_on_all_of_val(tmp_path: Path) -> None:
    """Each number in the metrics is that which these weights give again on those images."""
    result = found(tmp_path / "run")
    config, data, history = config_for(tiny.FEW), tiny.digits(), tiny.history(tmp_path / "run")
    trials = [line for line in history if line["event"] == "trial"]
    finalists = [line for line in history if line["event"] == "finalist"]
    assert [line["round"] for line in trials] == [0, 0, 0, 1, 1]
    drawn = [tiny.FEW.sample(stream(0, number)) for number in range(5)]
    task = task_of(config, data)
    for line in trials:
        run = Run.open(tmp_path / "run")
        few = paths.with_val(data, task.order("val", run, line["round"])[0])
        assert line["score"] == shared_weights_score(result.supernet, drawn[line["trial"]], few, 16)[1]
        assert line["source"] == "shared weights, 1 batch of val"
    for number, first in ((0, 0), (1, 3)):
        ranked = sorted((line for line in trials if line["round"] == number), key=lambda line: -line["score"])
        assert [line["trial"] for line in finalists[2 * number :][:2]] == [line["trial"] for line in ranked[:2]]
        assert ranked[0]["trial"] >= first
    for line in finalists:
        assert line["score"] == shared_weights_score(result.supernet, drawn[line["trial"]], data, 16)[1]
    best = max(finalists, key=lambda line: (line["score"], -line["trial"]))
    assert (history[-1]["trial"], history[-1]["score"]) == (best["trial"], best["score"])
    assert history[-1]["source"] == "shared weights, all of val"
    assert history[-1]["score_on_batches"] == trials[best["trial"]]["score"]
    assert result.architecture == drawn[best["trial"]]


def test_the_best_are_different_architectures_and_of_equal_scores_the_earliest() -> None:
    one, other, third = (tiny.FEW.sample(Random(seed)) for seed in range(3))
    trials = [Trial(0, one, Score(0.5)), Trial(1, other, Score(0.7)), Trial(2, other, Score(0.7)),
              Trial(3, third, Score(0.5))]  # fmt: skip
    assert [trial.number for trial in paths.best_of(trials, 3)] == [1, 0, 3]
    assert [trial.number for trial in paths.best_of(trials, 2)] == [1, 0]


@pytest.mark.parametrize("space", ["nasbench201", "nasbenchmacro"])
def test_the_command_searches_spaces_of_paths_and_its_weights_score_for_others(space: str, tmp_path: Path) -> None:
    flags = ["--channels", "2", "--epochs", "1", "--candidates", "2", "--batches", "1", "--max-images", "64"]
    flags += ["--batch-size", "16"] + ([] if space == "nasbenchmacro" else ["--cells", "3"])
    out = tmp_path / "run"
    assert main(["search", "random_search_ws", "--space", space, "--data", "digits", *flags, "--out", str(out)]) == 0
    parent, data = Run.open(out), tiny.digits()
    config = method_module("random_search_ws").Config(**parent.settings)
    with Run.create(tmp_path / "other", config, setup=Setup(device="cpu"), method="random_search") as run:
        supernet = supernet_of(parent, spaces.SPACES[space], data, run)
    saved = loop.tensors_of(supernet)
    assert saved and (out / "report.html").read_text().count("The trials")
    assert Run.open(out).metrics()[-1]["macs"] > 0


@pytest.mark.parametrize("method", ["random_search_ws"])
def test_settings_of_single_paths_are_checked(method: str) -> None:
    config = method_module(method).Config
    for name in ("candidates", "round", "batches", "finalists", "recalibrate"):
        with pytest.raises(Exception, match=f"--{name}"):
            config(**{name: 0})


def test_the_preset_paper_is_the_papers_best_setting() -> None:
    config = random_search_ws.Config(**random_search_ws.PAPER)
    assert (config.epochs, config.batch_size, config.grad_clip) == (150, 64, 1.0)
    assert (config.channels, config.candidates) == (24, 5000)
    one = random_search_ws.Config()
    assert (one.epochs, one.batch_size, one.grad_clip, one.channels) == (50, 64, 5.0, 16)


# --- What people see --------------------------------------------------------------------------------------------------


def page_of(folder: Path) -> str:
    """The text of the page, without its tags."""
    return re.sub(r"<[^>]+>", " ", write_report([folder]).read_text())


def test_the_page_has_the_number_that_was_selected_by_and_the_training_of_the_weights(tmp_path: Path) -> None:
    found(tmp_path / "run")
    text, last = page_of(tmp_path / "run"), Run.open(tmp_path / "run").metrics()[-1]
    assert f"The best of 5 architectures: {percent(last['score'], 32)}" in text
    assert "shared weights, all of val; statistics of each batch" in text
    assert "A supernet was trained for 1 epoch, by networks drawn for every minibatch." in text
    for words in ("The trials", "Scored again", "The supernet", "Learning rate of the weights", "one path, validation"):
        assert words in text


def test_the_page_of_a_search_that_stopped_while_its_weights_were_trained_says_so(tmp_path: Path) -> None:
    config = config_for(tiny.FEW, epochs=2)
    setup = Setup(device="cpu", budget="3steps")
    with (
        pytest.raises(InterruptedRunError),
        Run.create(tmp_path / "run", config, setup=setup, method="random_search_ws") as run,
    ):
        random_search_ws.search(config, tiny.FEW, tiny.digits(), run)
    text = page_of(tmp_path / "run")
    assert "A supernet of single paths, after 1 epoch" in text and "No architecture was scored yet." in text
    assert "dartboard resume" in text and "The supernet" in text and "cut out" not in text


def test_what_is_scored_after_the_last_epoch_is_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """224 images at 0.01 s: ten candidates on a batch of 16, and two of them on all 32."""
    config, data = config_for(tiny.FEW, candidates=10, round=10, finalists=2), tiny.digits()
    header = {"command": "search", "method": "random_search_ws", "space": "darts"}
    job = dryrun.search_job(header, Setup(device="cpu"), config, data)
    seconds = dry_run.Seconds(begin=0.0, steps=(0.5, 0.5), score=0.32, scored=32, save=0.0)
    assert dryrun.after_s(job, seconds) == pytest.approx(2.24)
    assert dryrun.total_s(job, seconds, 2) == pytest.approx(2 * 0.5 + 0.32 + 2.24)
    monkeypatch.setattr(dry_run, "measure_steps", lambda job, batch_size, *more: (seconds, 0))
    settings = {name: value for name, value in vars(config).items() if value is not None}
    sized = partial(compare_budgets.sized, method="random_search_ws", space="darts", settings=settings,
                    setup=Setup(device="cpu"), data=data, known=None)  # fmt: skip
    assert sized(parse_size("6s"))["epochs"] == 2  # (6 - 2.24) / 1.32
    with pytest.raises(InputError, match="smaller than one epoch of random_search_ws, which takes about 4 s"):
        sized(parse_size("3s"))


def test_a_dry_run_counts_all_weights_and_the_multiply_adds_of_a_path() -> None:
    for space in (one for one in SPACES.values() if "path" in one.kinds):
        cost = count_path(space, 2, tiny.fixed(space).get("cells", 3), 10, 8, tiny.digits().channels)
        assert cost.params == sum(one.numel() for one in tiny.supernet(space).parameters())
        path = paths.counting(config_for(space), tiny.digits())(space.sample(Random(0)))
        assert cost.macs == path.macs and cost.params > path.params


def test_transfer_refuses_to_carry_alphas_of_single_paths(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["transfer", "--a", "digits", "--b", "digits-inverted", "--method", "random_search_ws"]
    for carry in ("alphas", "weights,alphas", "each"):
        assert main([*words, "--carry", carry, "--out", str(tmp_path / "study")]) == 2
        assert f"--carry is '{carry}'; give weights\n" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
