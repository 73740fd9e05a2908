"""The fast form of the mixed cell computes what the plain one does: each identity alone, then whole supernets."""

import copy
import gc
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dartboard import kernels
from dartboard.networks.darts import Supernet
from dartboard.networks.fast import mixed_cell
from dartboard.networks.layers import FactorizedReduce, operation
from dartboard.networks.mixed_cell import MixedCell
from dartboard.spaces import darts as space

TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}
compiler_needed = pytest.mark.skipif(not kernels.available(), reason=f"compiled kernels: {kernels.why_not()}")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def made(name: str, count: int, channels: int, stride: int = 1) -> list[nn.Module]:
    """`count` operations of a supernet, in double, each with its own weights."""
    return [operation(name, channels, stride, search=True).double() for _ in range(count)]


def test_depthwise_then_pointwise_is_one_dense_convolution(global_rng):
    depthwise, pointwise = nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False), nn.Conv2d(3, 3, 1, bias=False)
    depthwise, pointwise = depthwise.double(), pointwise.double()
    kernel = mixed_cell.composed(depthwise.weight, pointwise.weight)
    x = random(2, 3, 7, 7)
    torch.testing.assert_close(F.conv2d(x, kernel, padding=2), pointwise(depthwise(x)), **TOLERANCE)


@pytest.mark.parametrize("name", ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "sep_conv_7x7"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("small_work", [0, 10**6])
def test_every_way_to_convolve_gives_what_the_operations_give(name, stride, small_work, monkeypatch, global_rng):
    monkeypatch.setattr(mixed_cell, "SMALL_WORK", small_work)
    operations, weights, x = made(name, 3, 4, stride), random(3, seed=1), random(5, 4, 7, 7)
    wanted = torch.cat([w * op(x) for w, op in zip(weights, copy.deepcopy(operations), strict=True)], dim=1)
    found = mixed_cell.separable(F.relu(x), mixed_cell.rounds_of(operations), weights)
    torch.testing.assert_close(found, wanted, **TOLERANCE)


def test_the_strided_skips_of_all_edges_are_two_convolutions(global_rng):
    operations, weights = made("skip_connect", 3, 4, stride=2), random(3, seed=1)
    for side in (6, 7):
        x = random(5, 4, side, side)
        wanted = torch.cat([w * op(x) for w, op in zip(weights, operations, strict=True)], dim=1)
        assert all(isinstance(op, FactorizedReduce) for op in operations)
        torch.testing.assert_close(mixed_cell.factorized_reduce(F.relu(x), operations, weights), wanted, **TOLERANCE)


@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_3x3"])
def test_a_pool_with_its_norm_is_the_same_for_every_edge(name):
    operations, x = made(name, 3, 4), random(5, 4, 6, 6)
    found = mixed_cell.pooled(x, name == "max_pool_3x3", [op[1] for op in operations], 1)
    for op in made(name, 3, 4):
        torch.testing.assert_close(found, op(x), **TOLERANCE)


def test_a_norm_without_scale_times_a_weight_is_a_norm_with_that_scale():
    norms = [nn.BatchNorm2d(2, affine=False).double() for _ in range(3)]
    plain, weights, x = copy.deepcopy(norms), random(3, seed=1), random(4, 6, 5, 5)
    parts = zip(weights, plain, x.chunk(3, dim=1), strict=True)
    wanted = torch.cat([weight * norm(part) for weight, norm, part in parts], dim=1)
    torch.testing.assert_close(mixed_cell.normalised(x, norms, weights), wanted, **TOLERANCE)
    for norm, other in zip(norms, plain, strict=True):
        for buffer, expected in zip(norm.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(buffer, expected, **TOLERANCE)


def results(
    form: str, sizes: dict, image: int, layout: torch.memory_format, *, twice: bool = True
) -> dict[str, torch.Tensor]:
    """Logits, buffers, first- and (twice) second-order gradients of a supernet of fixed weights, in double."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = Supernet(**sizes, form=form).double().to(memory_format=layout)
    alpha = {kind: random(*shape, seed=7).requires_grad_() for kind, shape in net.choice_shapes().items()}
    logits = net(random(4, 3, image, image, seed=8), {kind: logits.softmax(-1) for kind, logits in alpha.items()})
    tensors = [*alpha.values(), *net.parameters()]
    unused = {"allow_unused": True, "materialize_grads": True}  # an edge may mix nothing but `none`
    first = torch.autograd.grad(logits.square().sum(), tensors, create_graph=twice, **unused)
    found = {"logits": logits, **{f"first {i}": g for i, g in enumerate(first)}}
    if twice:
        second = torch.autograd.grad(sum(g.square().sum() for g in first[:2]), list(alpha.values()), **unused)
        found |= {"second 0": second[0], "second 1": second[1]}
    return {name: tensor.detach() for name, tensor in found.items()} | dict(net.named_buffers())


SIZES = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([2, 4, 6]),
        "cells": st.sampled_from([3, 4]),
        "num_nodes": st.sampled_from([1, 2, 3]),
        "num_classes": st.just(3),
        "operations": st.sets(st.sampled_from([*space.OPERATIONS[1:], "conv_7x1_1x7", "sep_conv_7x7"]), min_size=1).map(
            lambda names: ("none", *(name for name in space.RECIPES if name in names))
        ),
    }
)


NAMES = [*space.OPERATIONS, "conv_7x1_1x7", "sep_conv_7x7"]


def restricted(num_nodes: int, count: int, seed: int) -> dict:
    """Sizes of a supernet in which each edge of each cell mixes `count` operations of its own."""
    drawn = Random(seed)
    offered = {
        kind: tuple(tuple(sorted(drawn.sample(NAMES, count), key=list(space.RECIPES).index)) for _ in edges)
        for kind, edges in dict.fromkeys(space.CELLS, space.edges(num_nodes)).items()
    }
    return {"channels": 2, "cells": 3, "num_nodes": num_nodes, "num_classes": 3, "operations": offered}


# One list of operations for every edge, or a list for each, of up to four nodes as in the paper.
ANY = st.one_of(SIZES, st.builds(restricted, st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6)))


def assert_alike(found: dict[str, torch.Tensor], plain: dict[str, torch.Tensor]) -> None:
    assert plain.keys() == found.keys()
    for name, wanted in plain.items():
        scale = max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(found[name] / scale, wanted / scale, **TOLERANCE, msg=name)


@settings(max_examples=12)
@given(sizes=ANY, image=st.sampled_from([4, 8, 9, 17]), last=st.booleans(), small=st.booleans())
def test_whole_supernets_in_torch_agree_in_outputs_buffers_and_gradients_of_both_orders(sizes, image, last, small):
    layout = torch.channels_last if last else torch.contiguous_format
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.SWITCH, "0")
        if not small:  # edge by edge
            patch.setattr(mixed_cell, "SMALL_WORK", 0)
        assert_alike(results("fast", sizes, image, layout), results("plain", sizes, image, layout))


@compiler_needed
@settings(max_examples=12)
@given(sizes=ANY, image=st.sampled_from([4, 8, 9, 17]), last=st.booleans())
def test_whole_supernets_in_compiled_kernels_agree_in_outputs_buffers_and_gradients(sizes, image, last):
    layout = torch.channels_last if last else torch.contiguous_format
    found = results("fast", sizes, image, layout, twice=False)
    assert_alike(found, results("plain", sizes, image, layout, twice=False))


# What nobody has written a fast form for: other sides of kernels, a pool without a norm.
UNUSUAL = {
    "depthwise9": ("relu", "depthwise9/", "pointwise", "norm"),
    "depthwise1": ("relu", "depthwise1/", "pointwise", "norm"),
    "bare_pool": ("max_pool3/",),
}


@pytest.mark.parametrize("switch", ["0", "1"])
@pytest.mark.parametrize("name", UNUSUAL)
def test_an_operation_without_a_fast_form_runs_plain_inside_the_fast_supernet(name, switch, monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, switch)
    monkeypatch.setitem(space.RECIPES, name, UNUSUAL[name])
    sizes = {"channels": 2, "cells": 3, "operations": ("none", name, "sep_conv_3x3")}
    assert_alike(*(results(form, sizes, 9, torch.channels_last, twice=False) for form in ("fast", "plain")))


@pytest.mark.parametrize("switch", ["0", "1"])
def test_in_evaluation_the_fast_supernet_reads_running_statistics_and_moves_none(switch, monkeypatch, global_rng):
    monkeypatch.setenv(kernels.SWITCH, switch)
    fast = Supernet(channels=2, cells=3, form="fast").double()
    mixture = {kind: random(*shape, seed=7).softmax(-1) for kind, shape in fast.choice_shapes().items()}
    fast(random(4, 3, 8, 8), mixture)
    plain = Supernet(channels=2, cells=3, form="plain").double().eval()
    plain.load_state_dict(fast.eval().state_dict())
    x = random(4, 3, 8, 8, seed=1)
    torch.testing.assert_close(fast(x, mixture), plain(x, mixture), rtol=0, atol=0)
    assert all(torch.equal(*pair) for pair in zip(fast.buffers(), plain.buffers(), strict=True))


def test_what_is_remembered_of_a_cell_holds_for_changed_weights_and_not_for_a_copy(global_rng):
    fast, plain = (Supernet(channels=2, cells=3, num_nodes=1, form=form) for form in ("fast", "plain"))
    choice = {kind: torch.full(shape, 0.2) for kind, shape in fast.choice_shapes().items()}
    x = random(4, 3, 8, 8)
    fast(x.float(), choice)
    copied = copy.deepcopy(fast)
    before = {name: tensor.clone() for name, tensor in copied.state_dict().items()}
    fast.double().load_state_dict(plain.double().state_dict())
    choice = {kind: weights.double() for kind, weights in choice.items()}
    torch.testing.assert_close(fast(x, choice), plain(x, choice), **TOLERANCE)
    for one, other in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)
    assert all(torch.equal(tensor, before[name]) for name, tensor in copied.state_dict().items())


def test_what_is_remembered_of_a_cell_goes_with_it():
    with torch.random.fork_rng():
        net = Supernet(channels=2, cells=3, num_nodes=1, form="fast")
    cells = [cell for cell in net.cells if isinstance(cell, MixedCell)]
    plans, count = [mixed_cell.plan(cell) for cell in cells], len(mixed_cell.PLANS)
    assert [len(plan) for plan in plans] == [3, 3, 3]
    del net, cells, plans
    gc.collect()
    assert len(mixed_cell.PLANS) <= count - 3


def test_a_discrete_choice_computes_only_what_it_names_in_the_fast_form(global_rng, monkeypatch):
    from random import Random

    net = Supernet(channels=2, cells=3, form="fast").double()
    monkeypatch.setattr("dartboard.networks.darts.mixed_cell", None)  # would fail if it were called
    assert isinstance(net.cells[0], MixedCell)
    assert net(random(2, 3, 8, 8), space.SPACE.sample(Random(0))).shape == (2, 10)
