"""What searches with shared weights have in common, tried with a method that is none of the package's: random paths."""

from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tiny
from dartboard.config import Setup
from dartboard.data import Data
from dartboard.errors import InputError, InterruptedRunError
from dartboard.methods import darts
from dartboard.runs.checkpoint import Checkpoint
from dartboard.runs.run import Run
from dartboard.runs.start import WarmStart
from dartboard.search import epoch_log, relaxation, supernets, warm_start
from dartboard.spaces.search_space import SearchSpace
from dartboard.tasks import task_of
from dartboard.tasks.task import rest_of_epoch
from dartboard.training import from_scratch, loop

CARRIED = {"weights": ("supernet", "w")}


@dataclass(frozen=True)
class Config(supernets.Settings):
    """Of random paths: a method without alpha, in no more lines than its loop has."""

    lr: float = 0.05
    """learning rate of the weights at the start (made up)"""


def search(config: Config, space: SearchSpace, data: Data, run: Run) -> nn.Module:
    """Each step trains the weights of one path."""
    task = task_of(config, data)
    task.check("train")
    run.check_data(data)
    supernet = supernets.placed(config, space, data, run)
    state = supernets.State(space, supernet, supernets.sgd(config, supernet), loop.Place())
    supernets.start(state, config, run, CARRIED)
    place = state.place
    with supernets.at_work(config, state, task, run) as progress:
        for epoch in range(place.epoch, config.epochs):
            lr = supernets.learning_rate(config, place, epoch)
            for index in rest_of_epoch(task, run, epoch, place.step_in_epoch, place.step):
                batch = task.batch("train", index, run, place.step, supernet)
                path = space.sample(Random(run.generator("path", place.step).initial_seed()))
                outcome = task.loss(loop.model_of(run, supernet, path), batch)
                from_scratch.step(outcome.loss, state.w_optimizer, lr, config.grad_clip)
                place.advance(outcome.count, outcome.sums, lr)
                loop.note_step(run, place, progress)
                run.pulse(lambda: supernets.save(state, run), place.step)
            epoch_log.log_epoch(run, place, {"lr": lr, **place.means(task)}, progress)
            place.next_epoch()
            supernets.save(state, run)
    return supernet


def begun(folder: Path, budget: str | None = None, **changes: Any) -> nn.Module:
    settings = {name: value for name, value in tiny.SEARCH.items() if name != "alpha_lr"}
    config = Config(**{**settings, "epochs": 2, **changes})
    with Run.create(folder, config, setup=Setup(device="cpu", budget=budget), command="search") as run:
        return search(config, tiny.FEW, tiny.digits(), run)


def test_a_method_without_alpha_needs_no_more_than_its_loop_and_resumes_to_the_bit(tmp_path: Path) -> None:
    whole = begun(tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        begun(tmp_path / "cut", budget="3steps")
    with Run.open(tmp_path / "cut", write=True) as run:
        again = search(Config(**run.settings), tiny.FEW, tiny.digits(), run)
    assert tiny.same_tensors(dict(whole.state_dict()), dict(again.state_dict()))
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    rates = [line["lr"] for line in tiny.history(tmp_path / "whole") if line["event"] == "epoch"]
    assert rates == [0.05, pytest.approx((0.05 + 0.001) / 2)]


@pytest.mark.parametrize("settings", [{"momentum": 1.0}, {"cells": 2}, {"lr_min": -1.0}, {"epochs": 0}], ids=str)
def test_the_shared_settings_check_their_ranges_in_every_method(settings: dict[str, Any]) -> None:
    for config in (Config, darts.Config):
        with pytest.raises(InputError, match="--" + next(iter(settings)).replace("_", "-")):
            config(**settings)


def test_the_settings_of_darts_are_those_of_every_supernet_those_of_relaxation_and_its_own() -> None:
    kinds = (supernets.Settings, relaxation.Settings, darts.Config)
    names = {kind: {one.name for one in fields(kind)} for kind in kinds}
    own = {"stop", "stop_mode", "limit", "latency", "cost_weight"}
    assert names[relaxation.Settings] - names[supernets.Settings] == own
    alpha = {"alpha_lr", "alpha_beta1", "alpha_beta2", "alpha_weight_decay", "alpha_init"}
    assert names[darts.Config] - names[relaxation.Settings] == {"second_order", "epsilon", *alpha}


# --- What a warm start carries ---------------------------------------------------------------------------------------


class Headed(nn.Module):
    """A supernet whose classifier has a name of its own."""

    head_prefix = "exit."

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body, self.exit = nn.Linear(2, 3), nn.Linear(3, classes)


OF_CONTROLLER = {"weights": ("supernet", "descent"), "controller": ("theta", "theta_adam")}


def parts(classes: int, value: float) -> dict[str, Any]:
    """What another method would save: its supernet and a controller, each with an optimizer that has made a step."""
    supernet, theta = Headed(classes), {"logits": torch.full((2,), value, requires_grad=True)}
    for parameter in supernet.parameters():
        nn.init.constant_(parameter, value)
    descent, adam = torch.optim.Adam(supernet.parameters()), torch.optim.Adam(theta.values())
    return {"supernet": supernet, "descent": descent, "theta": theta, "theta_adam": adam}


def learned(classes: int, value: float) -> dict[str, Tensor]:
    """The tensors of its checkpoint, after a step."""
    made = parts(classes, value)
    for tensor in (*made["supernet"].parameters(), *made["theta"].values()):
        tensor.grad = torch.ones_like(tensor)
    made["descent"].step()
    made["theta_adam"].step()
    return {f"{name}/{key}": tensor for name, part in made.items() for key, tensor in loop.tensors_of(part).items()}


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("restart", [True, False])
def test_what_is_carried_and_what_is_left_behind_is_what_method_and_supernet_say(restart: bool, tmp_path: Path) -> None:
    theirs, mine = learned(classes=4, value=1.0), parts(classes=5, value=2.0)
    kept = WarmStart("elsewhere", "weights,controller", restart)
    start = Checkpoint(theirs, 1, 1, {})
    with Run.create(tmp_path / "run", Config(), setup=Setup(device="cpu"), warm_start=kept, start=start) as run:
        warm_start.load_carried(run, OF_CONTROLLER, mine["supernet"], mine)
    found = {f"{name}/{key}": tensor for name, part in mine.items() for key, tensor in loop.tensors_of(part).items()}
    for name in ("supernet/body.weight", "supernet/body.bias", "theta/logits"):
        assert torch.equal(found[name], theirs[name])
    assert bool((found["supernet/exit.weight"] == 2.0).all()) and found["supernet/exit.weight"].shape == (5, 3)
    assert ("descent/0/exp_avg" in found) is ("theta_adam/0/step" in found) is not restart
    if not restart:
        assert torch.equal(found["descent/0/exp_avg"], theirs["descent/0/exp_avg"]) and found["descent/0/step"] == 1
        assert not found["descent/2/exp_avg"].any() and found["descent/2/exp_avg"].shape == (5, 3)
        assert found["descent/2/step"] == 0  # the optimizer of the new classifier has made no step


def test_a_word_of_carry_that_a_method_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(InputError, match=r"--carry is 'alphas'; give weights$"):
        warm_start.check_words(("alphas",), CARRIED)
    with pytest.raises(InputError, match=r"give weights, controller, or weights,controller$"):
        warm_start.check_words(("weights", "alphas"), OF_CONTROLLER)
