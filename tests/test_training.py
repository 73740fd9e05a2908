"""Training from scratch: exact resume, schedules, what it reads, and that every setting changes something."""

import math
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tiny
from dartboard import train
from dartboard.config import Setup
from dartboard.data import Data, Split, load_data, normalise
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.formats import load_weights, published
from dartboard.networks.darts import Network, sized
from dartboard.runs.run import Run
from dartboard.scoring.cost import num_params
from dartboard.tasks.images import cross_entropy
from dartboard.testing.trainings import CASES, COLOURED, coloured

V2 = published()["DARTS_V2"].architecture


def fit(folder: Path, data: Data | None = None, **changes: Any) -> tuple[train.Score, Network]:
    """A tiny training of DARTS_V2 on the coloured images."""
    return tiny.fit(folder, V2, data=data or coloured(), **{**COLOURED, **changes})


def end(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    return tiny.history(folder), load_weights(folder / "weights.safetensors")


# --- Runs ------------------------------------------------------------------------------------------------------------

WAY = {"epochs": 2, "drop_path": 0.3, "cutout": 8, "flip": True, "color_jitter": 0.4, "hue_jitter": 0.2}


@pytest.mark.parametrize("stops", [[2], [3, 2]])
def test_a_training_that_was_stopped_and_gone_on_with_ends_as_one_that_was_not(
    tmp_path: Path, stops: list[int]
) -> None:
    """Six steps in two epochs of three."""
    score, _ = fit(tmp_path / "whole", **WAY)
    with pytest.raises(InterruptedRunError):
        fit(tmp_path / "cut", setup=Setup(device="cpu", budget=f"{stops[0]}steps"), **WAY)
    for steps in stops[1:]:
        with pytest.raises(InterruptedRunError):
            resume(tmp_path / "cut", steps)
    assert resume(tmp_path / "cut", None) == score
    (one, weights), (other, other_weights) = end(tmp_path / "whole"), end(tmp_path / "cut")
    assert one == other
    assert tiny.same_tensors(weights, other_weights)
    assert resume(tmp_path / "cut", None) == score  # once more: nothing is done, nothing is logged
    assert tiny.history(tmp_path / "cut") == one


def resume(folder: Path, steps: int | None) -> train.Score:
    with Run.open(folder, write=True) as run:
        run.limits.steps = steps
        config = train.Config(**run.settings)
        return train.fit(config, sized(V2, config, coloured()), coloured(), run)


def test_the_network_that_is_given_is_trained_from_weights_of_the_runs_seed(tmp_path: Path) -> None:
    found = []
    for name, seed, scale in (("one", 0, 1.0), ("other", 0, 5.0), ("third", 1, 1.0)):
        config = train.Config(**COLOURED)
        network = sized(V2, config, coloured())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter *= scale
        with Run.create(tmp_path / name, config, setup=Setup(seed=seed, device="cpu"), architecture=V2) as run:
            train.fit(config, network, coloured(), run)
        found.append(end(tmp_path / name)[1])
    assert tiny.same_tensors(found[0], found[1])
    assert not tiny.same_tensors(found[0], found[2])


@pytest.mark.usefixtures("global_rng")
def test_weights_drawn_anew_are_those_of_a_network_built_with_that_seed() -> None:
    torch.manual_seed(3)
    fresh = Network(V2, channels=4, cells=3, num_classes=4)
    other = Network(V2, channels=4, cells=3, num_classes=4)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.fill_(7)
    torch.manual_seed(3)
    train.redraw(other)
    for (name, tensor), (_, again) in zip(fresh.named_buffers(), other.named_buffers(), strict=True):
        assert torch.equal(tensor, again), name
    spread = {
        name: float(tensor.detach().std())
        for name, tensor in fresh.named_parameters()
        if tensor.dim() == 4 and tensor.numel() > 200
    }
    for name, tensor in other.named_parameters():
        assert not bool((tensor == 7).any()), name
        if name in spread:
            assert 0.7 < float(tensor.detach().std()) / spread[name] < 1.4


class Watched(Split):
    """Test images that tell when they are read."""

    reads: list[str]

    def __getattribute__(self, name: str) -> Any:
        if name == "images":
            super().__getattribute__("reads").append(name)
        return super().__getattribute__(name)

    def to(self, device: object) -> "Watched":
        return self

    def ahead(self, order: object) -> None:
        """A hint that looks at no image."""


def test_test_images_are_scored_once_an_epoch_and_decide_nothing(tmp_path: Path) -> None:
    data = coloured()
    watched = Watched(data.test.images, data.test.labels)
    object.__setattr__(watched, "reads", [])
    fit(tmp_path / "run", data=replace(data, test=watched), epochs=3)
    assert len(watched.reads) == 3
    other = replace(data, test=Split(data.test.images.flip(0), data.test.labels))
    fit(tmp_path / "other", data=other, epochs=3)
    assert tiny.same_tensors(end(tmp_path / "run")[1], end(tmp_path / "other")[1])
    lines, others = tiny.history(tmp_path / "run"), tiny.history(tmp_path / "other")
    assert [line["train_loss"] for line in lines[:3]] == [line["train_loss"] for line in others[:3]]
    assert [line["test_loss"] for line in lines[:3]] != [line["test_loss"] for line in others[:3]]


def test_the_result_is_the_last_epochs_and_training_sees_train_and_val_together(tmp_path: Path) -> None:
    score, network = fit(tmp_path / "run", epochs=2)
    *epochs, result = tiny.history(tmp_path / "run")
    assert (score.test_accuracy, score.test_loss) == (epochs[-1]["test_accuracy"], epochs[-1]["test_loss"])
    assert result["test_accuracy"] == score.test_accuracy
    assert epochs[0]["step"] == math.ceil(len(coloured().train_and_val()) / 16) == 3
    without_head = [p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary_head")]
    assert score.params == result["params"] == sum(without_head) < num_params(network)


def test_any_module_can_be_trained(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        module = nn.Sequential(nn.Flatten(), nn.Linear(1200, 4))
    config = train.Config(**COLOURED)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        assert train.fit(config, module, coloured(), run).params == 4804


def test_a_loss_that_is_no_number_stops_with_the_step_and_the_learning_rate(tmp_path: Path) -> None:
    with pytest.raises(CannotContinueError, match=r"train_loss is (nan|inf) at step \d+ \(learning rate 1e\+30\)"):
        fit(tmp_path / "run", lr=1e30, grad_clip=1e30, epochs=5)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--batch-size 4000 is more than the 40 images of training"):
        fit(tmp_path / "run", batch_size=4000)


# --- Schedules and the loss ------------------------------------------------------------------------------------------


def test_the_cosine_is_torchs_own_and_ends_where_it_should() -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 0.025)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50, eta_min=0.001)
    for epoch in range(50):
        assert train.cosine(0.025, 0.001, epoch, 50) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        scheduler.step()
    assert train.cosine(0.025, 0.001, 25, 50) == pytest.approx(0.013)
    assert train.cosine(0.025, 0.0, 50, 50) == pytest.approx(0.0)


def test_the_exponential_schedule_and_drop_path_have_their_closed_forms() -> None:
    config = train.Config(lr=0.1, lr_schedule="exponential", lr_factor=0.97, epochs=250, drop_path=0.2)
    assert [train.learning_rate(config, epoch) for epoch in (0, 1, 249)] == pytest.approx([0.1, 0.097, 0.1 * 0.97**249])
    assert [train.drop_path_chance(config, epoch) for epoch in (0, 125, 249)] == pytest.approx([0.0, 0.1, 0.1992])
    cosine = train.Config(epochs=600)
    assert [train.learning_rate(cosine, epoch) for epoch in (0, 300)] == pytest.approx([0.025, 0.0125])


def test_what_is_logged_is_the_schedule(tmp_path: Path) -> None:
    fit(tmp_path / "run", epochs=3, drop_path=0.3, lr=0.1)
    lines = tiny.history(tmp_path / "run")[:3]
    assert [line["drop_path"] for line in lines] == pytest.approx([0.0, 0.1, 0.2])
    assert [line["lr"] for line in lines] == pytest.approx([0.1, 0.075, 0.025])


def test_label_smoothing_is_the_mixture_with_the_uniform_distribution() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0])
    log = logits.double().log_softmax(1)
    target = 0.9 * nn.functional.one_hot(labels, 4) + 0.1 / 4
    expected = -(target * log).sum(1).mean()
    assert float(cross_entropy(logits, labels, 0.1)) == pytest.approx(float(expected), rel=1e-6)
    assert cross_entropy(logits.bfloat16(), labels).dtype == torch.float32
    assert cross_entropy(logits.double(), labels).dtype == torch.float64


def test_a_step_is_clipped_by_the_global_norm_and_takes_the_learning_rate_it_is_given() -> None:
    w = [torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True), torch.ones(1, requires_grad=True)]
    optimizer = torch.optim.SGD(w, lr=123.0, momentum=0.9, weight_decay=0.5)
    train.step(3 * w[0].sum() + 4 * w[1].sum(), optimizer, 0.1, 1.0)
    norm = math.sqrt(9 + 9 + 16)
    assert w[0].tolist() == pytest.approx([-0.3 / norm] * 2, rel=1e-4)
    assert w[1].tolist() == pytest.approx([-0.4 / norm], rel=1e-4)
    assert w[2].tolist() == [1.0]  # what the loss does not reach is not decayed


def test_the_auxiliary_loss_is_added_with_its_weight(tmp_path: Path) -> None:
    """One step from the same weights: the change of the head is in proportion to the auxiliary weight."""
    moves = []
    for number, weight in enumerate((0.0, 0.1, 0.2)):
        settings = {"batch_size": 40, "auxiliary_weight": weight, "grad_clip": 1e9, "weight_decay": 0.0}
        fit(tmp_path / str(number), setup=Setup(device="cpu", precision="float64"), **settings)
        moves.append(load_weights(tmp_path / str(number) / "weights.safetensors")["auxiliary_head.classifier.weight"])
    assert torch.allclose(moves[2] - moves[0], 2 * (moves[1] - moves[0]))
    assert not torch.allclose(moves[1], moves[0])


@cache
def uneven() -> Data:
    """Coloured images of four classes, half of them of the first one."""
    labels = np.repeat([0, 0, 0, 1, 2, 3], 10)[np.random.RandomState(1).permutation(60)]
    images = np.random.RandomState(0).randint(0, 256, (60, 20, 20, 3)).astype(np.uint8)
    return load_data(images, labels)


@pytest.mark.parametrize("form", ["fast", "plain"])
def test_label_smoothing_reaches_both_classifiers(form: str, tmp_path: Path) -> None:
    """One step from the same weights: smoothing moves a bias by lr times the change of the mean target, in closed form.

    The gradient of the loss in a classifier's bias is the mean of softmax - target.
    """
    labels = uneven().train_and_val().labels
    settings = {"batch_size": len(labels), "lr": 0.1, "grad_clip": 1e9, "weight_decay": 0.0, "auxiliary_weight": 0.5}
    ends = []
    for smoothing in (0.0, 0.3):
        folder = tmp_path / str(smoothing)
        setup = Setup(device="cpu", precision="float64")
        fit(folder, uneven(), setup=setup, label_smoothing=smoothing, network=form, **settings)
        ends.append(load_weights(folder / "weights.safetensors"))
    share = torch.bincount(labels, minlength=4).double() / len(labels)
    change = 0.1 * 0.3 * (0.25 - share)
    assert change.abs().max() > 0.005
    for name, weight in (("classifier.bias", 1.0), ("auxiliary_head.classifier.bias", 0.5)):
        torch.testing.assert_close(ends[1][name] - ends[0][name], weight * change, rtol=1e-9, atol=1e-12)


def test_what_is_logged_is_the_main_classifiers_loss_and_scores_are_not_smoothed(tmp_path: Path) -> None:
    """The first step's loss, whatever the second classifier weighs; the test loss is the plain cross entropy."""
    losses = []
    for number, weight in enumerate((0.0, 2.0)):
        fit(tmp_path / str(number), batch_size=40, auxiliary_weight=weight)
        losses.append(tiny.history(tmp_path / str(number))[0]["train_loss"])
    assert losses[0] == losses[1]
    score, network = fit(tmp_path / "smoothed", label_smoothing=0.5)
    data = coloured()
    with torch.no_grad():
        logits = network.eval()(normalise(data.test.images, data.mean, data.std))
    assert score.test_loss == pytest.approx(float(nn.functional.cross_entropy(logits, data.test.labels)), rel=1e-5)


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_fast_form_trains_as_the_plain_one_in_double(channels_last: bool, tmp_path: Path) -> None:
    """Nine steps with drop path and an auxiliary head: losses, accuracies and the last weights."""
    ends = []
    for form in ("plain", "fast"):
        setup = Setup(device="cpu", precision="float64")
        way = {"epochs": 3, "drop_path": 0.3, "network": form, "channels_last": channels_last}
        fit(tmp_path / form, setup=setup, **way)
        ends.append(end(tmp_path / form))
    (lines, weights), (fast_lines, fast_weights) = ends
    for line, other in zip(lines, fast_lines, strict=True):
        names = [name for name, value in line.items() if isinstance(value, int | float)]
        assert line.keys() == other.keys() and len(names) > 4
        assert [line[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-9)
    for name, tensor in weights.items():
        torch.testing.assert_close(fast_weights[name], tensor, rtol=1e-7, atol=1e-9, msg=name)


# --- Every setting ---------------------------------------------------------------------------------------------------

@cache
def base_end(more: tuple[tuple[str, Any], ...], folder: Path) -> list[dict[str, Any]]:
    fit(folder, **dict(more))
    return tiny.history(folder)


@pytest.mark.parametrize("field", [field.name for field in fields(train.Config)])
def test_every_setting_changes_something(field: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert field in CASES, f"a new setting: add a case to CASES that shows what {field} changes"
    value, more = CASES[field]
    assert {**COLOURED, **more}.get(field, getattr(train.Config(), field)) != value
    folder = tmp_path_factory.getbasetemp() / f"train-base-{len(str(more))}"
    before = base_end(tuple(more.items()), folder)
    fit(tmp_path / "run", **{**more, field: value})
    assert tiny.history(tmp_path / "run") != before


def test_no_case_is_left_of_a_setting_that_is_gone() -> None:
    assert CASES.keys() == {field.name for field in fields(train.Config)}
