"""ENAS: shared weights and controller in turn."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import path_settings
import tiny
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data.splits import Data
from dartboard.errors import InputError
from dartboard.methods import enas
from dartboard.networks.nasbench201 import Supernet
from dartboard.runs.run import Run
from dartboard.search import enas_learning, paths
from dartboard.search.enas_controllers import given, initial
from dartboard.search.enas_learning import State
from dartboard.spaces import enas_macro, enas_micro, nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks import task_of
from dartboard.training import loop
from dartboard.training.optimizers import Adam

micro = partial(enas_micro.space, "micro", "made up")
macro = partial(enas_macro.space, "macro", "made up")

SPACE = nasbench201.SPACE
CONTROLLER = {"controller_units": 4, "controller_steps": 2, "controller_samples": 3, "derive": 4}
ALL = ["nor_conv_3x3"] * 6


def config_of(**changes: Any) -> enas.Config:
    return enas.Config(**{**path_settings.BASE, **CONTROLLER, **changes})


def run_of(folder: Path, config: enas.Config) -> Run:
    return Run.create(folder, config, setup=Setup(device="cpu"), method="enas")


def state_in(run: Run, config: enas.Config, space: SearchSpace = SPACE) -> State:
    supernet = tiny.supernet(space).train()
    return enas.state_of(config, space, run, supernet, loop.Place())


def tensors_of(state: State) -> dict[str, Tensor]:
    """Weights and their momenta, by name."""
    found = {name: tensor.clone() for name, tensor in state.supernet.named_parameters()}
    for name, tensor in state.supernet.named_parameters():
        momentum = state.w_optimizer.state.get(tensor, {}).get("momentum_buffer")
        found |= {} if momentum is None else {f"{name} momentum": momentum.clone()}
    return found


# --- Shared weights ---------------------------------------------------------------------------------------------------


def test_weights_that_were_not_drawn_stand_still_bit_for_bit_and_their_momenta_too(tmp_path: Path) -> None:
    config, data = config_of(weight_decay=0.1), tiny.digits()
    task = task_of(config, data)
    one = nasbench201.architecture(ALL)
    other = nasbench201.architecture(["nor_conv_1x1", *ALL[1:]])
    with run_of(tmp_path / "run", config) as run:
        state = state_in(run, config)
        batch = task.batch("train", task.order("train", run, 0)[0], run, 0, state.supernet)
        paths.descend(config, state, task, run, one, paths.Minibatch(batch, 0.1))
        before = tensors_of(state)
        paths.descend(config, state, task, run, other, paths.Minibatch(batch, 0.1))
    after = tensors_of(state)
    moved = {name for name in after if name not in before or not after[name].equal(before[name])}
    unused = {name for name, tensor in state.supernet.named_parameters() if tensor.grad is None}
    assert unused and moved
    assert not {name for name in moved if name.removesuffix(" momentum") in unused}
    assert any(name in unused and f"{name} momentum" in before for name in before)  # those that only `one` has


def test_the_learning_rate_begins_again_with_periods_that_double(tmp_path: Path) -> None:
    def rate(epoch: int, **changes: Any) -> float:
        return enas.learning_rate(enas.Config(**changes), loop.Place(epoch=epoch))

    assert [rate(epoch) for epoch in (0, 10, 30, 70)] == [0.05] * 4
    assert [rate(epoch) for epoch in (5, 20, 50)] == pytest.approx([0.02525] * 3)  # the middle of each
    assert rate(9) < rate(8) and rate(29) < rate(9)
    assert enas.learning_rate(enas.Config(), loop.Place(epoch=2, epochs_before=8)) == 0.05
    assert rate(75, lr_period=0) == pytest.approx(0.02525)
    with pytest.raises(InputError, match="give --lr-period 0"):
        enas.Config(schedule_epochs=10)


def test_dropout_is_on_the_classifiers_inputs_in_steps_of_the_weights_alone(tmp_path: Path) -> None:
    config = config_of()
    supernet = tiny.supernet(SPACE).train()
    assert isinstance(supernet, Supernet)
    seen: list[Tensor] = []
    supernet.classifier.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    x, a = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), nasbench201.architecture(ALL)
    with run_of(tmp_path / "run", config) as run, torch.no_grad():
        for step in (0, 0, 1):
            with paths.dropped(supernet, 0.5, run, step):
                supernet(x, a)
        supernet(x, a)
    first, again, other, plain = seen
    assert first.equal(again) and not first.equal(other)
    there = first != 0
    assert 0 < int(there.sum()) < first.numel()
    torch.testing.assert_close(first[there], 2 * plain[there])


def test_a_score_does_not_depend_on_those_before_and_leaves_the_statistics_as_they_were() -> None:
    data, supernet = tiny.digits(), tiny.supernet(SPACE).train()
    one, other = nasbench201.architecture(ALL), nasbench201.architecture(["skip_connect"] * 6)
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    found = {}
    for statistics in ("batch", "running"):
        config, index = config_of(statistics=statistics), torch.arange(16)
        losses = [enas.measured(config, supernet, data, index, a)[0] for a in (one, other, one)]
        assert losses[0] == losses[2] != losses[1]
        found[statistics] = losses
    assert found["batch"] != found["running"]
    assert tiny.same_tensors(before, dict(supernet.named_buffers()))


# --- The controller ---------------------------------------------------------------------------------------------------


def test_a_step_of_the_controller_is_one_of_adam_on_the_mean_loss_of_its_draws(tmp_path: Path) -> None:
    config = config_of(controller_clip=0.01)
    rewards: list[tuple[Architecture, float]] = []

    def accuracy(a: Architecture, number: int) -> float:
        rewards.append((a, 0.1 * (number + 1)))
        return rewards[-1][1]

    with run_of(tmp_path / "run", config) as run:
        state = state_in(run, config)
        twin = initial(SPACE, config, run.generator("controller", 0))
        enas_learning.update(config, state, run, accuracy)
    adam = Adam(twin.parameters(), lr=0.0035, betas=(0.0, 0.999), eps=1e-3)
    baseline, losses, entropies = 0.0, [], []
    for a, value in rewards:
        found = twin(given(a, SPACE))
        reward = value + 1e-4 * found.entropy
        baseline = 0.99 * baseline + 0.01 * reward
        losses.append(-(reward - baseline) * found.log_p)
        entropies.append(found.entropy)
    torch.stack(losses).mean().backward()
    torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.01)
    adam.step()
    for one, other in zip(state.controller.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert float(state.told["baseline"]) == pytest.approx(baseline)
    assert enas_learning.numbers(config, state)["entropy"] == pytest.approx(sum(entropies) / 3)
    assert len(rewards) == 3


def test_each_draw_is_scored_on_the_next_batch_of_val(tmp_path: Path) -> None:
    config, data = config_of(), tiny.digits()
    task = task_of(config, data)
    with run_of(tmp_path / "run", config) as run:
        orders = [index for passes in range(2) for index in task.order("val", run, passes)]
        supernet, a = tiny.supernet(SPACE).train(), nasbench201.architecture(ALL)
        found = [enas.accuracy_of_draw(config, supernet, data, task, run, a, number) for number in range(4)]
    assert len(orders) == 4
    assert found == [enas.measured(config, supernet, data, index, a)[1] for index in orders]


@pytest.mark.parametrize(
    "space, field, value",
    [
        (micro(1), "operation_tanh", 1.0),
        (micro(1), "operation_bias", 0.0),
        (micro(1), "operation_pattern", 0.0),
        (macro(3), "skip_target", 0.8),
        (macro(3), "skip_weight", 0.0),
    ],
)
def test_settings_of_one_space_change_its_controller(space: SearchSpace, field: str, value: float) -> None:
    changed = enas.Config(**{field: value})
    losses = []
    for config in (enas.Config(), changed):
        controller = initial(space, config, torch.Generator().manual_seed(0))
        found = controller(given(space.largest(), space))
        losses.append(float(enas_learning.loss(config, found, 1.0, 0.0).detach()))
    assert losses[0] != losses[1]


# --- Deriving ---------------------------------------------------------------------------------------------------------


def searched(folder: Path, data: Data | None = None, **changes: Any) -> tuple[enas.Result, list[dict[str, Any]]]:
    config = config_of(**changes)
    with run_of(folder, config) as run:
        result = enas.search(config, SPACE, data or tiny.digits(), run)
    return result, tiny.history(folder)


def test_the_result_is_the_best_of_different_candidates_within_the_limit(tmp_path: Path) -> None:
    result, lines = searched(tmp_path / "run", limit="macs<=31k", derive=6)
    trials = [line for line in lines if line["event"] == "trial"]
    assert len({line["architecture"] for line in trials}) == len(trials) == 6
    assert all(line["macs"] <= 31_000 for line in trials)
    assert result.score.value == max(line["score"] for line in trials) == lines[-1]["score"]
    assert lines[-1]["candidates"] == 6
    assert "16 images of val" in trials[0]["source"]
    epoch = next(line for line in lines if line["event"] == "epoch")
    assert {"reward", "entropy", "baseline"} <= epoch.keys()
    assert [len(row) for row in epoch["probabilities"]] == [5] * 6


def test_a_controller_that_draws_one_architecture_alone_gives_one_candidate(tmp_path: Path) -> None:
    config = config_of()
    with run_of(tmp_path / "run", config) as run:
        state = state_in(run, config)
        with torch.no_grad():
            for name, parameter in state.controller.named_parameters():
                parameter.fill_(0.0)
                if name.startswith("biases"):
                    parameter[3] = 1e3
        sharp = config_of(tanh=100.0)
        state.controller.sizes = sharp
        found = enas.candidates(sharp, state, run, paths.counting(config, tiny.digits()))
    assert found == [nasbench201.architecture(ALL)]


def test_where_no_draw_is_within_the_limit_one_at_random_is_derived(tmp_path: Path) -> None:
    smallest = paths.counting(config_of(), tiny.digits())(nasbench201.architecture(["none"] * 6)).macs
    result, lines = searched(tmp_path / "run", limit=f"macs<={smallest}", derive=1)
    assert result.cost.macs == smallest
    assert sum(line["event"] == "trial" for line in lines) == 1


def test_a_limit_that_nothing_is_within_is_refused_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="smallest"):
        searched(tmp_path / "run", limit="macs<=1")


# --- The command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", enas.ON_FAMILY)
def test_the_settings_of_each_family_are_settings(family: str) -> None:
    config = enas.Config(**enas.ON_FAMILY[family])
    assert all(getattr(enas.Config(), name) != value for name, value in enas.ON_FAMILY[family].items()), config


def test_the_command_takes_the_settings_of_the_space(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "enas", "--space", "nasbench201", "--print-config"]
    assert main([*words, "--data", "cifar10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"tanh = 2.5", "controller_units = 32", "epochs = 250", "derive = 100"} <= set(lines)
    assert main([*words, "--data", "digits", "--tanh", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"tanh = 3.0", "controller_units = 32", "epochs = 20"} <= set(lines)
