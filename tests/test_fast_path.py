"""The fast form of a path, and of a draw of one operation an edge, computes what the plain one does, and keeps less."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tiny
from dartboard import kernels
from dartboard.config import Setup
from dartboard.methods import gdas, method_module
from dartboard.networks import darts
from dartboard.networks.darts import Supernet
from dartboard.networks.fast import path
from dartboard.networks.fast.mixed_cell import twice_differentiable
from dartboard.networks.rows import BARE, Choice
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import recalibrate
from dartboard.search import supernets
from dartboard.spaces import darts as space
from test_counted_work import counted

pytestmark = [
    pytest.mark.usefixtures("global_rng", "one_thread"),  # maps are so small that threads would only wait
    pytest.mark.skipif(not kernels.available(), reason=f"compiled kernels: {kernels.why_not()}"),
]


LAYOUTS = (torch.contiguous_format, torch.channels_last)
UNKNOWN = ("conv_7x1_1x7", "noise", "sep_conv_7x7")  # the first two have no kernel


def supernet(form: str, dtype: torch.dtype = torch.float64, last: bool = True, **sizes: Any) -> Supernet:
    torch.manual_seed(5)
    net = Supernet(**{"channels": 2, "cells": 3, "num_classes": 3, **sizes}, form=form)
    return net.to(dtype=dtype, memory_format=LAYOUTS[last])  # type: ignore[call-overload, no-any-return]


def renewed(net: Supernet, first: Mapping[str, Tensor]) -> Supernet:
    """The network as it was made, which takes long: weights, statistics, no gradients."""
    net.zero_grad(set_to_none=True)
    net.load_state_dict(first)
    return net


def images(batch: int = 4, side: int = 9, seed: int = 8) -> Tensor:
    return torch.randn(batch, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawn(net: Supernet, seed: int, bare: bool) -> tuple[Choice, list[Tensor]]:
    """One operation an edge with a weight, and those weights (E, 2) by kind of cell, the bare numbers beside them."""
    rng, generator = Random(seed), torch.Generator().manual_seed(seed)
    dtype = next(net.parameters()).dtype
    weights = [
        torch.randn(len(rows), 2, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()
        for rows in net.mixed.values()
    ]
    choice = {
        kind: [
            {rng.choice(row): own[0], **({BARE: own[1]} if bare else {})} for row, own in zip(rows, table, strict=True)
        ]
        for (kind, rows), table in zip(net.mixed.items(), weights, strict=True)
    }
    return choice, weights


def results(net: Supernet, x: Tensor, choice: Choice, weights: list[Tensor]) -> dict[str, Tensor | None]:
    """Logits, gradients (None where there is none), buffers."""
    logits = net(x.to(next(net.parameters()).dtype), choice)
    logits.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    of_weights = {f"weights {number}": table.grad for number, table in enumerate(weights)}
    return {"logits": logits.detach(), **gradients, **of_weights, **dict(net.named_buffers())}


def assert_alike(found: Mapping[str, Tensor | None], plain: Mapping[str, Tensor | None]) -> None:
    assert found.keys() == plain.keys()
    for name, wanted in plain.items():
        one = found[name]
        assert (one is None) == (wanted is None), name
        if one is not None and wanted is not None:
            scale = max(1.0, float(wanted.abs().max()))
            assert one.shape == wanted.shape and float((one - wanted).abs().max()) <= 1e-10 * scale, name


@pytest.mark.parametrize("last", [False, True])
def test_paths_agree_in_outputs_gradients_and_statistics_and_what_is_not_on_them_has_no_gradient(last: bool) -> None:
    used = {kind: set[str]() for kind in space.CELLS}
    nets = [supernet(form, last=last) for form in ("plain", "fast")]
    first = copy.deepcopy(nets[0].state_dict())
    for seed in range(6):
        architecture = space.SPACE.sample(Random(seed))
        for kind, cell in darts.cells_of(architecture).items():
            used[kind] |= {name for node in cell.nodes for name, _ in node}
        plain, fast = (results(renewed(net, first), images(side=8 + seed % 3), architecture, []) for net in nets)
        assert_alike(fast, plain)
        assert None in fast.values()  # as in the plain form: of each operation that is not on the path
    assert all(names == set(space.OPERATIONS) - {"none"} for names in used.values())


@pytest.mark.parametrize("bare", [False, True])
def test_draws_agree_and_so_do_the_gradients_of_their_weights_and_bare_numbers(bare: bool) -> None:
    used = {kind: set[str]() for kind in space.CELLS}
    nets = [supernet(form) for form in ("plain", "fast")]
    first = copy.deepcopy(nets[0].state_dict())
    for seed in range(6):
        found = []
        for net in nets:
            choice, weights = drawn(net, seed, bare)
            found.append(results(renewed(net, first), images(), choice, weights))
            used = {kind: used[kind] | {name for row in rows for name in row} for kind, rows in choice.items()}  # type: ignore
        assert_alike(found[1], found[0])
    assert all(names - {BARE} == set(space.OPERATIONS) for names in used.values())


@pytest.mark.parametrize("name", [*space.OPERATIONS, *UNKNOWN])
def test_each_operation_agrees_on_all_edges_of_both_kinds_of_cell(name: str) -> None:
    found = []
    for form in ("plain", "fast"):
        net = supernet(form, cells=3, num_nodes=2, operations=("none", name) if name != "none" else ("none",))
        choice = {kind: [name] * len(rows) for kind, rows in net.mixed.items()}
        found.append(results(net, images(), choice, []))
    assert_alike(found[1], found[0])


@pytest.mark.parametrize("undrawn", ["scalars", "none"])
def test_the_gradient_of_alpha_straight_through_is_the_plain_forms(undrawn: gdas.Undrawn) -> None:
    found = []
    for form in ("plain", "fast"):
        net, generator = supernet(form), torch.Generator().manual_seed(3)
        alpha = {kind: torch.randn(*shape, dtype=torch.float64, generator=generator) for kind, shape in
                 net.choice_shapes().items()}  # fmt: skip
        choice = {
            kind: gdas.rows(gdas.hard_sample(logits.requires_grad_(), 2.0, generator), net.mixed[kind], undrawn)
            for kind, logits in alpha.items()
        }
        found.append(results(net, images(), choice, list(alpha.values())))
    assert_alike(found[1], found[0])
    assert all(float(found[1][f"weights {number}"].abs().max()) > 1e-3 for number in (0, 1))  # type: ignore[union-attr]


def test_frozen_weights_leave_the_gradient_of_the_weights_of_a_draw_as_it_was() -> None:
    net = supernet("fast")
    choice, weights = drawn(net, 1, True)
    whole = results(net, images(), choice, weights)
    net = supernet("fast").requires_grad_(False)
    choice, weights = drawn(net, 1, True)
    alone = results(net, images(), choice, weights)
    assert all(torch.equal(alone[f"weights {one}"], whole[f"weights {one}"]) for one in (0, 1))  # type: ignore[arg-type]
    assert all(parameter.grad is None for parameter in net.parameters())


def test_after_eval_a_path_is_computed_plainly_and_recalibrated_statistics_are_the_plain_forms() -> None:
    architecture, batches = space.SPACE.sample(Random(4)), [images(batch, seed=batch) for batch in (3, 5, 4)]
    plain, fast = supernet("plain"), supernet("fast")
    for net in (plain, fast):
        recalibrate(net, lambda x, net=net: net(x, architecture), batches)
    assert_alike(dict(fast.named_buffers()), dict(plain.named_buffers()))
    plain.eval().load_state_dict(fast.eval().state_dict())
    before = {name: buffer.clone() for name, buffer in fast.named_buffers()}
    assert torch.equal(fast(images(), architecture), plain(images(), architecture))
    assert all(torch.equal(buffer, before[name]) for name, buffer in fast.named_buffers())


@pytest.mark.slow
def test_in_float32_errors_against_double_are_no_larger_than_the_plain_forms() -> None:
    """The median over paths: in single ones a ReLU or a pool decides otherwise than in double, in whichever form."""
    errors: dict[str, list[float]] = {"plain": [], "fast": []}
    oracle, nets = supernet("plain"), {form: supernet(form, torch.float32) for form in errors}
    first = {name: tensor.to(oracle.state_dict()[name].dtype) for name, tensor in nets["fast"].state_dict().items()}
    for seed in range(12):
        architecture, x = space.SPACE.sample(Random(seed)), images(8, 12, seed).float()
        exact = gradients(renewed(oracle, first), x, architecture)
        for form, list_ in errors.items():
            found = gradients(renewed(nets[form], first), x, architecture)
            list_.append(float((found.double() - exact).norm() / exact.norm()))
    plain, fast = (torch.tensor(list_).median() for list_ in errors.values())
    assert fast < 1.1 * plain < 1e-3, errors  # a tenth more: at so few paths the median itself is as uncertain


def gradients(net: Supernet, x: Tensor, choice: Choice) -> Tensor:
    """Those of all weights on the path, in one vector."""
    net(x.to(next(net.parameters()).dtype), choice).square().sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters() if parameter.grad is not None])


def kept(form: str, seed: int, **sizes: Any) -> int:
    """Bytes of maps that a pass along a path keeps for backward: weights, which are there anyway, do not count."""
    net, x = supernet(form, torch.float32, channels=4, **sizes), images(8, 16).float()
    few = tiny.space_of(*FEW)
    choice = (few if sizes else space.SPACE).sample(Random(seed))
    pieces = {parameter.untyped_storage().data_ptr(): 0 for parameter in net.parameters()}

    def note(tensor: Tensor) -> Tensor:
        pieces.setdefault(tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes())
        held.append(tensor)
        return tensor

    held: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        net(x, choice).sum()
    return sum(pieces.values())


FEW = ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")


def test_a_path_keeps_at_most_seven_tenths_of_the_plain_form_for_backward() -> None:
    for seed in range(3):
        assert kept("fast", seed) < 0.7 * kept("plain", seed)


def test_what_a_path_keeps_does_not_grow_with_the_operations_that_could_have_been_on_it() -> None:
    some, all_ = (kept("fast", 2, operations=names) for names in (("none", *FEW), space.OPERATIONS))
    assert some == all_ > 0


def test_a_draw_computes_and_keeps_nothing_of_what_is_not_drawn() -> None:
    """With the same draw, two candidates an edge or eight: as many operations of torch, as many bytes."""
    found = []
    for operations in (("none", "sep_conv_3x3"), space.OPERATIONS):
        net = supernet("fast", torch.float32, operations=operations)
        one = torch.ones((), requires_grad=True)
        choice = {kind: [{"sep_conv_3x3": one}] * len(rows) for kind, rows in net.mixed.items()}
        x = images().float()
        found.append(counted(lambda net=net, x=x, choice=choice: net(x, choice).sum()))
    assert found[0] == found[1]


def test_second_derivatives_are_those_of_the_plain_cell_or_refused() -> None:
    net = supernet("fast", cells=3)
    choice, weights = drawn(net, 0, True)
    with twice_differentiable():
        found = second(net, choice, weights)
    plain = supernet("plain", cells=3)
    choice, weights = drawn(plain, 0, True)
    torch.testing.assert_close(found, second(plain, choice, weights), rtol=1e-9, atol=1e-9)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        second(net, *drawn(net, 0, True))


def second(net: nn.Module, choice: Choice, weights: list[Tensor]) -> Tensor:
    loss = F.cross_entropy(net(images(), choice), torch.tensor([0, 1, 2, 0]))
    first = torch.autograd.grad(loss, weights, create_graph=True)
    return torch.autograd.grad(sum(one.square().sum() for one in first), weights)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["spos", "random_search_ws", "enas"])
def test_the_form_of_a_supernet_is_a_setting_of_every_search_by_paths(
    method: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    original = path.path_cell
    monkeypatch.setattr(path, "path_cell", lambda *values: calls.append(1) or original(*values))
    config, data = method_module(method).Config(channels=2, cells=3), tiny.digits()
    x = torch.randn(4, data.channels, 8, 8)
    logits = []
    for form in ("fast", "plain"):
        with Run.create(tmp_path / form, replace(config, supernet=form), setup=Setup(device="cpu")) as run:
            net = supernets.placed(replace(config, supernet=form), space.SPACE, data, run)
        logits.append(net(x, space.SPACE.sample(Random(0))))
        assert len(calls) == 3  # the cells of the first, none of the second
    torch.testing.assert_close(*logits, rtol=1e-3, atol=1e-4)
    assert config.supernet == "fast" and copy.copy(config) == config
