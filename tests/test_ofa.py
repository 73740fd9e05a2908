"""Once-for-All: its phases, a step against the authors' code, and what is refused."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from torch.nn import functional as F

from dartboard import Run
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.formats import mobile
from dartboard.methods import ofa
from dartboard.search import paths, sandwich, shrinking
from dartboard.spaces import mobilenet
from dartboard.tasks import task_of
from dartboard.testing import tiny
from mobile_names import filled, golden, names, ofa_plan

SPACE = mobilenet.SPACES["ofa-8"]
TINY = ofa.Config(
    channels=4, cells=4, epochs=6, batch_size=16, crop_padding=1, flip=False, scorings=3, recalibrate=20
)  # fmt: skip


# --- Phases -----------------------------------------------------------------------------------------------------------


def test_the_phases_have_the_epochs_of_the_authors_code_and_scale_in_proportion() -> None:
    assert shrinking.epochs_of(shrinking.PHASES, 605) == [180, 125, 25, 125, 25, 125]
    assert shrinking.epochs_of(shrinking.PHASES, 121) == [36, 25, 5, 25, 5, 25]
    for epochs in range(6, 200):
        found = shrinking.epochs_of(shrinking.PHASES, epochs)
        assert sum(found) == epochs and min(found) >= 1
        exact = [epochs * phase.share / 605 for phase in shrinking.PHASES]
        assert all(one == 1 or abs(one - other) < 2 for one, other in zip(found, exact, strict=True))


def test_every_epoch_lies_in_one_phase() -> None:
    found = [shrinking.at(shrinking.PHASES, 24, epoch) for epoch in range(24)]
    lengths = shrinking.epochs_of(shrinking.PHASES, 24)
    assert found == [(number, place, length) for number, length in enumerate(lengths) for place in range(length)]


def test_each_phase_opens_the_next_options_and_the_resolution_is_open_from_the_start() -> None:
    opened = [{one.name: one.options for one in shrinking.opened(SPACE, phase).choices} for phase in shrinking.PHASES]
    kernels, depths, expansions, resolutions = (
        [own[name] for own in opened]
        for name in ("stage.1.block.1.kernel", "stage.1.depth", "stage.1.block.1.expansion", "resolution")
    )
    assert kernels == [(7,)] + 5 * [(3, 5, 7)]
    assert depths == [(3,), (3,), (2, 3)] + 3 * [(1, 2, 3)]
    assert expansions == 4 * [(6,)] + [(4, 6), (3, 4, 6)]
    assert set(resolutions) == {(6, 8)}
    assert shrinking.opened(SPACE, shrinking.PHASES[-1]) == SPACE
    for phase in shrinking.PHASES:
        own = shrinking.opened(SPACE, phase)
        assert all(own.sample(Random(seed)) in SPACE for seed in range(5)) and own.largest() == SPACE.largest()


def test_the_networks_of_a_step_have_one_resolution_and_lie_in_their_phase(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", TINY, setup=Setup(device="cpu"), method="ofa") as run:
        for phase in shrinking.PHASES:
            for step in range(5):
                drawn = ofa.drawn(TINY, SPACE, phase, run, step)
                assert len(drawn) == phase.networks and len({one["resolution"] for one in drawn}) == 1
                assert all(one in shrinking.opened(SPACE, phase) for one in drawn)
                assert drawn == ofa.drawn(TINY, SPACE, phase, run, step)


def test_learning_rates_rise_at_first_in_long_phases_and_fall_as_a_cosine() -> None:
    kernel, depth = shrinking.PHASES[1], shrinking.PHASES[2]
    config = ofa.Config(lr=2.6, lr_min=0.0)
    rates = [ofa.learning_rate(config, kernel, place, 125) for place in range(125)]
    assert rates[:6] == pytest.approx([0.16, 0.32, 0.48, 0.64, 0.8, 0.96])
    assert rates[5:] == sorted(rates[5:], reverse=True) and rates[65] == pytest.approx(0.48)
    assert ofa.learning_rate(config, depth, 0, 25) == pytest.approx(0.08)


# --- A step -----------------------------------------------------------------------------------------------------------


def test_a_step_has_the_losses_and_summed_gradients_of_the_authors_code(reference: Path) -> None:
    config, tensors = golden(reference / "reference", "ofa_shrinking")
    net = filled(ofa_plan(config), tensors, True).train()
    teacher, losses = tensors["teacher_logits"], []
    own, first = dict(net.named_parameters()), {key for key in tensors if key.startswith("grad_first/")}
    assert first
    for number, subnet in enumerate(config["subnets"]):
        logits = net(tensors["x"], mobile.read_ofa(subnet, net.plan))
        hard = F.cross_entropy(logits, tensors["y"], label_smoothing=config["label_smoothing"])
        losses.append(hard + config["kd_ratio"] * sandwich.soft_cross_entropy(logits, teacher))
        losses[-1].backward()
        if number == 0:
            check(own, tensors, "grad_first/", net)
    assert torch.allclose(torch.stack(losses).detach(), tensors["loss"], rtol=1e-10)
    check(own, tensors, "grad/", net)
    theirs = dict(names(net, True))
    assert {theirs[name] for name, one in own.items() if one.grad is None} == set(config["grad_none"])


def check(own: dict[str, torch.nn.Parameter], tensors: dict[str, torch.Tensor], prefix: str, net: object) -> None:
    """Gradients as in the file; torch's own derivatives of h-swish hold a sixth in single precision."""
    for ours, theirs in names(net, True):  # type: ignore[arg-type]
        if ours in own and prefix + theirs in tensors:
            expected, found = tensors[prefix + theirs], own[ours].grad
            assert found is not None
            assert (found - expected).abs().max() <= 3e-8 * max(1.0, float(expected.abs().max())), ours


def test_the_first_phase_has_no_teacher_and_the_second_has_a_copy_of_the_network_that_stays(tmp_path: Path) -> None:
    config = replace(TINY, label_smoothing=0.0, momentum=0.0, weight_decay=0.0, grad_clip=1e9)
    data = tiny.digits()
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu", precision="float64"), method="ofa") as run:
        state, data, task = paths.begin_as(
            lambda net, place: ofa.state_of(config, SPACE, net, place), config, SPACE, data, run, {}, None
        )
        assert isinstance(task, type(task_of(config, data)))
        batch = task.batch("train", torch.arange(16), run, 0, state.supernet)
        before = [one.clone() for one in state.teacher.parameters()]
        ofa.descend(config, state, task, run, shrinking.PHASES[0], paths.Minibatch(batch, 0.1))
        moved = [one.detach().clone() for one in state.supernet.parameters()]
        assert all(torch.equal(one, other) for one, other in zip(before, state.teacher.parameters(), strict=True))
        ofa.enter(config, SPACE, state, shrinking.PHASES[1])
        assert all(torch.equal(one, other) for one, other in zip(moved, state.teacher.parameters(), strict=True))
        ofa.descend(config, state, task, run, shrinking.PHASES[1], paths.Minibatch(batch, 0.1))
        assert all(torch.equal(one, other) for one, other in zip(moved, state.teacher.parameters(), strict=True))
        assert any(not torch.equal(one, other) for one, other in zip(moved, state.supernet.parameters(), strict=True))


# --- Wrong input ------------------------------------------------------------------------------------------------------

WORDS = ["search", "ofa", "--space", "ofa-8", "--data", "digits"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--epochs", "5"], "--epochs 5: there are 6 phases, give 6 epochs or more"),
        (["--last-phase", "shrink"], "--last-phase is 'shrink'; give one of full, kernel, depth 1"),
        (["--schedule-epochs", "9"], "not for ofa: each of its phases has a schedule; leave it out"),
        (["--cells", "6"], "these networks have 4 stages; give --cells 4"),
        (["--last-phase", "kernel", "--limit", "macs<=300K"], "give a --limit above that"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--out", str(tmp_path / "run"), *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()
