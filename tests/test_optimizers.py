"""The optimizers are torch's, bit for bit, hooks and checkpoints included, and import no compiler."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from dartboard.training import optimizers

PAIRS: list[tuple[Any, Any, dict[str, Any]]] = [
    (optimizers.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 3e-4}),
    (optimizers.SGD, torch.optim.SGD, {"lr": 0.1}),
    (optimizers.Adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.999), "weight_decay": 1e-3}),
]


def moved(cls: Any, settings: dict[str, Any], again: bool = False) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """Weights and state after five steps; one weight has a gradient in every second step only.

    again: after two steps, another optimizer goes on from the state of the first.
    """
    generator = torch.Generator().manual_seed(0)
    w = [torch.randn(5, 3, generator=generator).requires_grad_() for _ in range(3)]
    optimizer = cls(w, **settings)
    for number in range(5):
        if again and number == 2:
            state = optimizer.state_dict()
            optimizer = cls(w, **settings)
            optimizer.load_state_dict(state)
        optimizer.zero_grad(set_to_none=True)
        sum((t * t.sin()).sum() for t in (w if number % 2 else w[:2])).backward()
        optimizer.step()
    return [tensor.detach() for tensor in w], optimizer.state_dict()


@pytest.mark.parametrize(("ours", "theirs", "settings"), PAIRS)
@pytest.mark.parametrize("again", [False, True])
def test_steps_and_state_are_those_of_torch_bit_for_bit(
    ours: Any, theirs: Any, settings: dict[str, Any], again: bool
) -> None:
    (w, state), (w_too, state_too) = moved(ours, settings, again), moved(theirs, settings)
    assert all(torch.equal(one, other) for one, other in zip(w, w_too, strict=True))
    assert state["param_groups"] == state_too["param_groups"] and state["state"].keys() == state_too["state"].keys()
    for number, entry in state["state"].items():
        other = state_too["state"][number]
        assert entry.keys() == other.keys()
        for name, value in entry.items():
            assert torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]


def test_they_are_optimizers_with_hooks() -> None:
    seen: list[str] = []
    w = torch.ones(2, requires_grad=True)
    optimizer = optimizers.SGD([w], lr=0.5)
    assert isinstance(optimizer, torch.optim.SGD)
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    w.grad = torch.ones(2)
    optimizer.step()
    assert seen == ["before", "after"] and w.tolist() == [0.5, 0.5] and w.requires_grad


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_fused_step_is_the_plain_one_up_to_rounding_in_either_memory_layout(layout: Any) -> None:
    ends = []
    for make in (optimizers.momentum_sgd, torch.optim.SGD):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers = [torch.nn.Conv2d(4, 6, 3), torch.nn.Conv2d(6, 6, 3, groups=6), torch.nn.Conv2d(6, 2, 1)]
            net = torch.nn.Sequential(*layers).double().to(memory_format=layout)  # type: ignore[call-overload]
            x = torch.randn(3, 4, 9, 9).double().contiguous(memory_format=layout)
        optimizer = make(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
        ends.append(torch.cat([parameter.detach().flatten() for parameter in net.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("largest", [0.5, 1e9])
def test_gradients_are_clipped_as_torch_does_bit_for_bit(largest: float) -> None:
    generator = torch.Generator().manual_seed(0)
    w = [torch.zeros(size, requires_grad=True) for size in (3, 5, 1000)]
    for tensor in w:
        tensor.grad = torch.randn(tensor.shape, generator=generator)
    ours = [tensor.grad.clone() for tensor in w]  # type: ignore[union-attr]
    norm = torch.nn.utils.clip_grad_norm_(w, largest)
    assert torch.equal(optimizers.clip(ours, largest), norm)
    assert all(torch.equal(one, tensor.grad) for one, tensor in zip(ours, w, strict=True))  # type: ignore[arg-type]
    assert (float(norm) > largest) == (largest == 0.5)


PROGRAM = """
import sys, torch
from dartboard.training import optimizers
for make in (optimizers.SGD, optimizers.Adam):
    w = torch.ones(2, requires_grad=True)
    optimizer = make([w], lr=0.1)
    optimizer.zero_grad()
    w.sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_no_compiler_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_momentum_is_that_of_each_tensor_zero_where_it_was_never_moved_and_nothing_before_the_first_step():
    w = [torch.ones(shape, requires_grad=True) for shape in ((2,), (3, 1), (2,))]
    optimizer = optimizers.momentum_sgd(w, 0.1, 0.9, 0.0)
    assert optimizers.momentum_buffers(optimizer, w) == []
    (2 * w[0].sum() + 5 * w[2].sum()).backward()  # the second one is not reached
    optimizer.step()
    found = optimizers.momentum_buffers(optimizer, w)
    assert [buffer.tolist() for buffer in found] == [[2.0, 2.0], [[0.0], [0.0], [0.0]], [5.0, 5.0]]
    assert found[0] is optimizer.state[w[0]]["momentum_buffer"]
    assert next(buffer.tolist() for buffer in optimizers.momentum_buffers(optimizer, w[::-1])) == [5.0, 5.0]
    assert optimizers.momentum_buffers(optimizer, [w[1]]) == []


def test_gradients_are_zero_for_what_the_loss_does_not_reach():
    w = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
    assert [one.tolist() for one in optimizers.gradient((w[0] ** 2).sum(), w)] == [[2.0, 2.0], [0.0, 0.0, 0.0]]


def test_frozen_leaves_get_no_gradient_inside_and_are_as_before_afterwards():
    leaves = [torch.ones(2, requires_grad=True), torch.ones(2)]
    other = torch.ones(2, requires_grad=True)
    with optimizers.frozen(leaves):
        loss = (leaves[0] * other).sum()
        assert not leaves[0].requires_grad
    assert [leaf.requires_grad for leaf in leaves] == [True, False]
    assert torch.autograd.grad(loss, [other, leaves[0]], allow_unused=True)[1] is None


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_a_tensor_that_is_first_moved_after_others_moves_as_by_the_plain_step(momentum: float) -> None:
    """With shared weights, those off the path have no gradient; torch's fused step alone refuses that."""
    results = []
    for plain in (False, True):
        one, other = (torch.arange(4.0).add(offset).requires_grad_() for offset in (1.0, 9.0))
        made = optimizers.momentum_sgd([one, other], 0.1, momentum, 0.01)
        if plain:
            made = optimizers.SGD([one, other], 0.1, momentum=momentum, weight_decay=0.01, foreach=False)
        for reached in ((one,), (one, other), (other,)):
            made.zero_grad(set_to_none=True)
            for tensor in reached:
                tensor.grad = torch.full_like(tensor, 0.5)
            made.step()
        results.append([one.detach(), other.detach()])
    for fused, plain_ in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain_, rtol=1e-6, atol=0)
