"""BigNAS: what a step does, against autograd and the authors' of AttentiveNAS numbers; its schedule and selection."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from torch.nn import functional as F

from dartboard import Run
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data import Data
from dartboard.methods import bignas
from dartboard.scoring.cost import count
from dartboard.search import coarse_to_fine, paths, sandwich
from dartboard.spaces import mobilenet
from dartboard.spaces.mobilenet_plans import PLANS
from dartboard.spaces.search_space import Architecture
from dartboard.tasks import task_of
from dartboard.testing import tiny
from dartboard.training import loop

SPACE = mobilenet.SPACES["bignas-8"]
TINY = bignas.Config(
    channels=4, cells=4, epochs=1, batch_size=16, crop_padding=1, flip=False, coarse=3, fine=2, rounds=1, recalibrate=20
)  # fmt: skip


def made(tmp_path: Path, config: bignas.Config) -> tuple[Run, Data, paths.State]:
    """A run at its start, in double."""
    run = Run.create(tmp_path / "run", config, setup=Setup(device="cpu", precision="float64"), method="bignas")
    state, data, _ = paths.begin_as(
        lambda net, place: bignas.state_of(config, SPACE, net, place), config, SPACE, tiny.digits(), run, {}, None
    )
    return run, data, state


def test_a_step_adds_up_the_gradients_of_its_networks(tmp_path: Path) -> None:
    """One loss that holds all four, descended by hand, moves the weights to the same place."""
    config = replace(TINY, dropout=0.0, weight_decay=0.0, momentum=0.0, grad_clip=1e9, lr=0.1)
    run, data, state = made(tmp_path, config)
    task = task_of(config, data)
    batch = task.batch("train", torch.arange(16), run, 0, state.supernet)
    net = state.supernet
    before = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
    logits = net(batch.x, SPACE.largest())
    q = logits.detach().softmax(1)
    total = F.cross_entropy(logits, batch.y, label_smoothing=0.1)
    for a in bignas.drawn(config, SPACE, run, 0):
        total = total - (q * net(batch.x, a).log_softmax(1)).sum(1).mean()
    expected = torch.autograd.grad(total, list(net.parameters()), allow_unused=True)
    net.load_state_dict(before)
    with run:
        bignas.descend(config, state, task, run, paths.Minibatch(batch, 0.1))
    for (name, weight), gradient in zip(net.named_parameters(), expected, strict=True):
        moved = before[name] if gradient is None else before[name] - 0.1 * gradient
        assert torch.allclose(weight, moved, rtol=0, atol=1e-12), name


def test_the_smallest_and_so_many_at_random_learn_from_the_largest(tmp_path: Path) -> None:
    run, _, _ = made(tmp_path, TINY)
    with run:
        for sampled in (0, 2, 3):
            drawn = bignas.drawn(replace(TINY, sampled=sampled), SPACE, run, 5)
            assert len(drawn) == sampled + 1 and drawn[-1] == SPACE.smallest()
        assert bignas.drawn(TINY, SPACE, run, 5) == bignas.drawn(TINY, SPACE, run, 5)
        assert bignas.drawn(TINY, SPACE, run, 5) != bignas.drawn(TINY, SPACE, run, 6)


def test_the_cross_entropy_to_a_teacher_is_its_definition_and_moves_no_teacher() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    student.requires_grad_(), teacher.requires_grad_()
    loss = sandwich.soft_cross_entropy(student, teacher)
    assert torch.allclose(loss, -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean())
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None and torch.allclose(student.grad, (student.softmax(1) - teacher.softmax(1)) / 5)


def test_the_learning_rate_falls_by_its_factor_to_a_constant_ending() -> None:
    def rates(config: bignas.Config) -> list[float]:
        return [bignas.learning_rate(config, loop.Place(epoch=epoch)) for epoch in (0, 12, 24, 400)]

    found = rates(bignas.Config())
    assert found == pytest.approx([0.025, 0.025 * 0.97**5, 0.025 * 0.97**10, 0.00125])
    assert rates(bignas.Config(lr_min=0.0))[-1] == pytest.approx(0.025 * 0.97 ** (400 / 2.4))


def test_blocks_with_a_shortcut_begin_as_that_shortcut(tmp_path: Path) -> None:
    run, _, state = made(tmp_path, TINY)
    with run:
        ends = state.supernet.residual_ends()
        assert len(ends) == sum(stage.depths[-1] for stage in PLANS["bignas-8"].stages)
        assert all(norm.weight.abs().max() == 0 for norm in ends)


# --- Selection --------------------------------------------------------------------------------------------------------


def test_the_grid_sets_all_choices_of_a_sort_alike() -> None:
    found = coarse_to_fine.grid(SPACE)
    architectures = [architecture for architecture, _ in found]
    assert len(set(architectures)) == len(found) and SPACE.smallest() in architectures
    assert SPACE.largest() in architectures and all(one in SPACE for one in architectures)
    for architecture, levels in found:
        assert [architecture[f"stage.{stage}.depth"] for stage in (1, 2, 3)] == 3 * [
            (1, 2, 3)[round(2 * levels["depth"])]
        ]


def test_skeletons_are_the_largest_of_the_grid_within_the_limit() -> None:
    costs = {one: count(one).macs for one, _ in coarse_to_fine.grid(SPACE)}
    within = sorted((macs for macs in costs.values() if macs <= 500_000), reverse=True)
    found = coarse_to_fine.skeletons(SPACE, lambda a: costs[a] <= 500_000, costs.__getitem__, 4)
    assert [costs[one] for one in found] == within[:4]


def test_changes_are_new_and_within_the_limit() -> None:
    parents = [SPACE.smallest()]

    def fit(architecture: Architecture) -> bool:
        return architecture["stage.1.kernel"] == 3

    found = list(coarse_to_fine.refinements(SPACE, parents, parents, fit, 0.2, 20, Random(0)))
    assert len(set(found)) == len(found) == 20 and SPACE.smallest() not in found
    assert all(fit(one) and one in SPACE for one in found)


def test_no_network_over_the_limit_is_scored_and_the_best_is_the_result(tmp_path: Path) -> None:
    config = replace(TINY, limit="macs<=150k", coarse=4, fine=4)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method="bignas") as run:
        result = bignas.search(config, SPACE, tiny.digits(), run)
        trials = [line for line in run.metrics() if line["event"] == "trial"]
    scores = {json.dumps(line["architecture"]): line["score"] for line in trials}
    assert len(scores) == len(trials) > 4
    assert all(line["macs"] <= 150_000 for line in trials)
    assert result.score.value == max(scores.values()) and result.cost.macs <= 150_000


# --- Wrong input ------------------------------------------------------------------------------------------------------


def test_another_number_of_stages_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "bignas", "--space", "bignas-8", "--data", "digits", "--out", str(tmp_path / "run")]
    assert main([*words, "--cells", "7"]) == 2
    assert "--cells 7: these networks have 4 stages; give --cells 4" in capsys.readouterr().err


def test_a_limit_that_nothing_is_within_is_refused_with_the_smallest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "bignas", "--space", "bignas-8", "--data", "digits", "--out", str(tmp_path / "run")]
    assert main([*words, "--limit", "macs<=1K"]) == 2
    smallest = count(SPACE.smallest(), channels=8, cells=4, num_classes=10, image_size=8).macs
    assert f"{smallest:,} multiply-adds" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
