"""The equations of GDAS, what of the supernet a draw computes, and the steps of its search."""

import math
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tiny
from dartboard import networks, spaces
from dartboard.commands.dryrun import search_job
from dartboard.config import Setup
from dartboard.errors import CannotContinueError, InputError
from dartboard.methods import check_pair, darts, gdas
from dartboard.networks import nasbench201
from dartboard.networks.mixed_cell import MixedOperation
from dartboard.networks.rows import BARE
from dartboard.report.facts import read_facts
from dartboard.report.search_page import answer_tiles, search_curves
from dartboard.runs.run import Run
from dartboard.scoring.cost import count_module
from dartboard.search import relaxation
from dartboard.spaces.families import FAMILIES
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch
from dartboard.training import loop

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import gdas_bias

FAMILY_NAMES = ["darts", "nasbench201"]
UNDRAWN: tuple[gdas.Undrawn, ...] = ("scalars", "none")


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# --- The draw --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [10.0, 0.1])
def test_an_operation_is_drawn_as_often_as_the_softmax_of_alpha_says(tau: float) -> None:
    alpha, draws = torch.tensor([1.0, -0.5, 0.0, 2.0, -1.0], dtype=torch.float64), 20_000
    hard = gdas.hard_sample(alpha.expand(draws, -1), tau, seeded(0)).round()
    assert bool((hard.sum(dim=-1) == 1).all())
    found, expected = hard.sum(dim=0), draws * alpha.softmax(dim=-1)
    assert float(((found - expected) ** 2 / expected).sum()) < 18.47  # chi-square, 4 degrees of freedom, p = 0.001


def test_a_draw_has_the_value_one_and_the_gradient_of_its_relaxation() -> None:
    alpha = torch.randn(6, 5, generator=seeded(1), dtype=torch.float64).requires_grad_()
    noise, upstream = gdas.exponential(alpha, seeded(2)), torch.randn(6, 5, generator=seeded(3), dtype=torch.float64)
    soft = gdas.soft_sample(alpha, noise, 3.0)
    hard = gdas.straight_through(soft)
    assert torch.allclose(hard, F.one_hot((alpha.log_softmax(-1) - noise.log()).argmax(-1), 5).double(), atol=1e-15)
    (found,) = torch.autograd.grad(hard, alpha, upstream)
    # By hand: d soft_i / d alpha_k = soft_i (1[i = k] - soft_k) / tau, since a constant in a row changes nothing.
    p = soft.detach()
    assert torch.allclose(found, p * (upstream - (p * upstream).sum(-1, keepdim=True)) / 3.0, atol=1e-12)


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_a_draw_of_infinite_noise_or_none_is_repeated(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, drawn = (
        torch.zeros(2, 3),
        iter([torch.tensor([[bad, 1, 1], [1, 1, 1]]), torch.tensor([[1, 2, 3], [3, 1, 2.0]])]),
    )
    monkeypatch.setattr(gdas, "exponential", lambda like, generator: next(drawn))
    assert gdas.hard_sample(alpha, 1.0, seeded(0)).round().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_alpha_that_is_no_number_ends_the_search_and_does_not_draw_for_ever() -> None:
    with pytest.raises(CannotContinueError, match="--alpha-lr"):
        gdas.hard_sample(torch.full((2, 3), math.nan), 1.0, seeded(0))


def test_the_temperature_falls_linearly_and_goes_on_where_a_schedule_goes_on() -> None:
    config, place = gdas.Config(epochs=100), loop.Place()
    assert gdas.temperature(config, place, 0) == 10.0
    assert gdas.temperature(config, place, 99) == pytest.approx(0.1)
    steps = np.diff([gdas.temperature(config, place, epoch) for epoch in range(100)])
    assert np.allclose(steps, -0.1)
    assert gdas.temperature(gdas.Config(epochs=1), place, 0) == 10.0
    later = gdas.temperature(gdas.Config(epochs=50, schedule_epochs=100), loop.Place(epochs_before=50), 49)
    assert later == pytest.approx(0.1)
    with pytest.raises(InputError, match="--tau-min 2 is above --tau-max 1"):
        gdas.Config(tau_max=1.0, tau_min=2.0)


def test_a_space_whose_supernet_mixes_nothing_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"gdas needs a supernet that computes a mixture.*give darts, .*nasbench201"):
        check_pair("gdas", "nasbenchmacro")


# --- The authors' numbers --------------------------------------------------------------------------------------------


@cache
def arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file if file[name].dtype.kind in "fi"}


def our_name(name: str) -> str:
    """cells.0.edges.1<-0.2.op.1.weight -> cells.0.edges.1<-0.2.1.weight"""
    return name.replace(".op.", ".")


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("form", ["plain", "fast"])
def test_a_given_draw_has_the_logits_and_gradients_of_the_authors_code(number: int, form: str, reference: Path) -> None:
    content = arrays(reference / "reference" / "nb201_supernet.npz")
    with torch.random.fork_rng():
        supernet = nasbench201.Supernet(channels=4, cells=5, form=form).double()
    state = {our_name(name[6:]): value for name, value in content.items() if name.startswith("state/")}
    supernet.load_state_dict(state)
    case = {name.removeprefix(f"gdas/{number}/"): value for name, value in content.items() if f"gdas/{number}" in name}
    alpha = content["alphas"].clone().requires_grad_()
    soft = gdas.soft_sample(alpha, case["exponential"], float(case["tau"]))
    hard = gdas.straight_through(soft)
    hard.retain_grad()
    choice = {"cell": gdas.rows(hard, (spaces.nasbench201.OPERATIONS,) * 6, "scalars")}
    logits = supernet(content["x"], choice)
    loss = F.cross_entropy(logits, content["y"])
    loss.backward()
    assert torch.equal(hard.argmax(-1, keepdim=True), case["index"])
    own = {name: tensor.grad for name, tensor in supernet.named_parameters()}
    found = {"gumbel": -case["exponential"].log(), "probs": soft, "hardwts": hard, "logits": logits, "loss": loss}
    found |= {"grad_hardwts": hard.grad, "grad_alphas": alpha.grad}  # type: ignore[dict-item]
    found |= {name: own[our_name(name[5:])] for name in case if name.startswith("grad/")}  # type: ignore[misc]
    assert found.keys() | {"exponential", "tau", "index"} == case.keys()
    for name, value in found.items():
        assert value.shape == case[name].shape
        assert float((value.detach() - case[name]).abs().max()) < 1e-8 * float(case[name].abs().max()), name


# --- What of the supernet is computed --------------------------------------------------------------------------------


class Ones(nn.Module):
    """Ones in place of what an operation would bring, times `scale`."""

    def __init__(self, layer: nn.Module, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = layer, scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(self.layer(x), self.scale).detach()


class Relaxed:
    """A small supernet in double with a draw of alpha."""

    def __init__(self, family: str, undrawn: gdas.Undrawn) -> None:
        self.space = tiny.FEW if family == "darts" else spaces.SPACES[family]
        self.supernet: Any = tiny.supernet(self.space, form="plain").double()
        self.mixed = FAMILIES[family].mixed(self.space)
        shapes = self.supernet.choice_shapes().items()
        self.alpha = {
            kind: torch.randn(shape, generator=seeded(4), dtype=torch.float64).requires_grad_()
            for kind, shape in shapes
        }
        self.hard = {kind: gdas.hard_sample(table, 2.0, seeded(5)) for kind, table in self.alpha.items()}
        self.choice = {kind: gdas.rows(table, self.mixed[kind], undrawn) for kind, table in self.hard.items()}
        self.x = torch.randn(4, 3, 8, 8, generator=seeded(6), dtype=torch.float64)

    def loss(self, choice: Any) -> Tensor:
        return F.cross_entropy(self.supernet(self.x, choice), torch.tensor([1, 3, 0, 2]))

    def edges(self) -> Iterator[tuple[nn.ModuleList, int]]:
        """The operations of each edge of each cell, and the place of the drawn one."""
        for cell in self.supernet.cells:
            if isinstance(cell, nasbench201.MixedCell):
                lists: list[Any] = [cell.layers(number) for number in range(6)]
                kind = "cell"
            elif isinstance(cell, nasbench201.ResidualBlock):
                continue
            else:
                lists = [edge.ops for edge in cell.ops if isinstance(edge, MixedOperation)]
                kind = "reduce" if cell.reduction else "normal"
            yield from zip(lists, self.hard[kind].argmax(-1).tolist(), strict=True)


@pytest.mark.parametrize("undrawn", UNDRAWN)
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_draw_is_the_mixture_in_which_what_is_not_drawn_brings_a_constant_and_weighs_nothing(
    family: str, undrawn: gdas.Undrawn
) -> None:
    """The gradients in alpha are those of plain autograd through all weights of all edges: where the operations that
    are not drawn bring ones ("scalars": bare numbers), or nothing ("none")."""
    relaxed = Relaxed(family, undrawn)
    alpha = list(relaxed.alpha.values())
    loss = relaxed.loss(relaxed.choice)
    found = torch.autograd.grad(loss, alpha)
    for layers, place in relaxed.edges():
        for number in range(len(layers)):
            if number != place:
                layers[number] = Ones(layers[number], 1.0 if undrawn == "scalars" else 0.0)
    again = {kind: gdas.hard_sample(table, 2.0, seeded(5)) for kind, table in relaxed.alpha.items()}
    plain = relaxed.loss(again)
    assert torch.allclose(loss, plain, rtol=1e-12)
    for one, other in zip(found, torch.autograd.grad(plain, alpha), strict=True):
        assert float(one.abs().max()) > 0
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_bare_numbers_change_the_gradient_and_not_the_value(family: str) -> None:
    values, gradients = [], []
    for undrawn in UNDRAWN:
        relaxed = Relaxed(family, undrawn)
        values.append(relaxed.loss(relaxed.choice))
        gradients.append(torch.autograd.grad(values[-1], list(relaxed.alpha.values()))[0])
    assert torch.allclose(values[0], values[1], rtol=1e-12)
    assert not torch.allclose(gradients[0], gradients[1], rtol=0.01)


@pytest.mark.parametrize("undrawn", UNDRAWN)
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_only_what_is_drawn_is_computed_forward_and_backward(family: str, undrawn: gdas.Undrawn) -> None:
    relaxed, called = Relaxed(family, undrawn), []
    for layers, place in relaxed.edges():
        for number, layer in enumerate(layers):
            layer.register_forward_hook(lambda *_, drawn=number == place: called.append(drawn))
    relaxed.loss(relaxed.choice).backward()
    assert called == [True] * len(list(relaxed.edges()))
    for layers, place in relaxed.edges():
        for number, layer in enumerate(layers):
            assert all((weight.grad is not None) == (number == place) for weight in layer.parameters())
    names = {
        kind: [own[place] for own, place in zip(relaxed.mixed[kind], table.argmax(-1).tolist(), strict=True)]
        for kind, table in relaxed.hard.items()
    }
    path = count_module(relaxed.supernet.float(), 8, 3, names).macs
    choice = {kind: gdas.rows(table.float(), relaxed.mixed[kind], undrawn) for kind, table in relaxed.hard.items()}
    assert count_module(relaxed.supernet, 8, 3, choice).macs == path
    everything = count_module(relaxed.supernet, 8, 3, {kind: table.float() for kind, table in relaxed.hard.items()})
    assert path < everything.macs


def test_a_draw_costs_the_multiply_adds_of_the_cell_that_was_drawn(global_rng: None) -> None:
    space, supernet = spaces.SPACES["nasbench201"], nasbench201.Supernet(channels=4, cells=5)
    cell = space.sample(Random(3))
    choice = {"cell": [{name: torch.ones(()), BARE: torch.zeros(())} for _, name in cell.choices]}
    network = networks.module("nasbench201").inherit(supernet, cell)
    assert count_module(supernet, 8, 3, choice).macs == count_module(network, 8, 3).macs


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_dry_run_counts_one_operation_an_edge(name: str) -> None:
    data, setup = tiny.digits(), Setup(device="cpu")
    costs = [
        search_job({"method": method, "space": name}, setup, module.Config(channels=2, cells=3), data).cost
        for method, module in (("gdas", gdas), ("darts", darts))
    ]
    assert costs[0].params == costs[1].params
    assert costs[0].macs < 0.7 * costs[1].macs
    assert costs[0].map_values < 0.5 * costs[1].map_values


# --- The measured bias -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("global_rng")
def test_the_bias_is_measured_against_the_exact_gradient_of_the_expected_loss() -> None:
    with torch.random.fork_rng():
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        toy, alpha = gdas_bias.Toy(), torch.randn(2, 4).requires_grad_()
        truth = gdas_bias.exact(toy, alpha)
        torch.set_default_dtype(before)
    # The same by another identity: the sum of p * loss * grad log p over all architectures.
    found = torch.zeros_like(truth)
    for places in product(range(4), repeat=2):
        log_p = alpha.log_softmax(-1).gather(-1, torch.tensor(places)[:, None]).sum()
        (score,) = torch.autograd.grad(log_p, alpha)
        found += log_p.exp().detach() * gdas_bias.loss_of(toy, *places) * score
    assert torch.allclose(found, truth, atol=1e-12)
    mean = torch.stack([truth + 1.0, truth - 1.0])  # no bias, and a spread of sqrt(2 * 8) around the mean
    bias, error, cosine, length, spread = map(float, gdas_bias.line("x", "1", mean, truth).strip("| ").split(" | ")[2:])
    assert (bias, cosine, length) == (0.0, 1.0, 1.0)
    assert spread == pytest.approx(4 / float(truth.norm()), rel=0.01)
    assert error == pytest.approx(spread / 2**0.5, rel=0.01)


# --- The steps -------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_start(tmp_path: Path) -> Iterator[tuple[gdas.Config, relaxation.State, Any, Run]]:
    config, data = gdas.Config(**tiny.SEARCH), tiny.digits()
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method="gdas") as run:
        yield config, gdas.begin(config, tiny.FEW, data, run, None), task_of(config, data), run


def test_weights_that_are_not_drawn_stay_bit_for_bit(
    at_start: tuple[gdas.Config, relaxation.State, Any, Run],
) -> None:
    config, state, task, run = at_start
    x, y = torch.randn(8, 3, 8, 8, generator=seeded(7)), torch.arange(8)
    for step in range(4):  # later ones meet momentum
        before = {name: weight.clone() for name, weight in state.supernet.named_parameters()}
        gdas.update_weights(config, state, task, Batch(x, y), 1.0, run, 0.1)
        drawn = gdas.drawn(state, 1.0, run.generator("draw-weights", step))
        state.place.step += 1
        cells: Any = state.supernet.cells
        wanted = {"stem", "classifier", "preprocess0", "preprocess1"}
        for name, weight in state.supernet.named_parameters():
            _, cell, part, edge, *rest = (
                name.split(".") if name.startswith("cells.") else ("", "", name.split(".")[0], "")
            )
            if part == "ops":
                kind = "reduce" if cells[int(cell)].reduction else "normal"
                own = cells[int(cell)].ops[int(edge)].operations[int(rest[1])]
                moves = own in drawn[kind][int(edge)]
            else:
                moves = part in wanted
            assert torch.equal(weight, before[name]) != moves, name


def test_a_step_of_alpha_leaves_the_weights_and_the_running_statistics_alone(
    at_start: tuple[gdas.Config, relaxation.State, Any, Run],
) -> None:
    config, state, task, run = at_start
    before = {name: value.clone() for name, value in state.supernet.state_dict().items()}
    alpha = {kind: table.detach().clone() for kind, table in state.alpha.items()}
    batch = Batch(torch.randn(8, 3, 8, 8, generator=seeded(8)), torch.arange(8))
    gdas.update_alpha(config, state, task, batch, 1.0, run)
    assert tiny.same_tensors(before, dict(state.supernet.state_dict()))
    assert all(not torch.equal(alpha[kind], table) for kind, table in state.alpha.items())
    assert all(weight.requires_grad and weight.grad is None for weight in state.supernet.parameters())


def test_the_weights_are_updated_before_alpha_and_each_update_draws_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("update_weights", "update_alpha"):
        own = getattr(gdas, name)
        monkeypatch.setattr(gdas, name, lambda *args, own=own, name=name: order.append(name) or own(*args))
    config = gdas.Config(**tiny.SEARCH)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method="gdas") as run:
        gdas.search(config, tiny.FEW, tiny.digits(), run)
        first = [run.generator(name, 0).initial_seed() for name in ("draw-weights", "draw-alpha", "draw-scored")]
    assert order == ["update_weights", "update_alpha"] * 2
    assert len(set(first)) == 3
    line = tiny.history(tmp_path / "run")[-2]
    assert line["tau"] == 10.0
    assert line.keys() >= {"alpha_normal", "alpha_reduce", "architecture", "val_accuracy", "derived_val_accuracy"}


def test_the_page_says_what_scored_the_supernet_and_draws_the_temperature(tmp_path: Path) -> None:
    config = gdas.Config(**{**tiny.SEARCH, "epochs": 2})
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method="gdas", space="nasbench201") as run:
        gdas.search(config, spaces.SPACES["nasbench201"], tiny.digits(), run)
    facts = read_facts(tmp_path / "run")
    assert answer_tiles(facts)[0][2] == "cells drawn by alpha, one a batch; chance 10 %"
    assert any("Temperature over epochs: tau from 10 to 0.1" in picture for picture in search_curves(facts))
