"""The equations of DARTS against autograd, closed forms, brute force, and mutants that must be caught."""

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import tiny
from dartboard.methods import darts
from dartboard.networks.darts import Supernet
from dartboard.spaces import darts as space
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.task import Sums
from dartboard.training import loop, optimizers
from golden.make import HERE, Case
from test_golden import arrays

XI, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 3e-4


class Smooth:
    """A small net without corners: tanh layers mixed by softmax(alpha), two batches, in double."""

    def __init__(self) -> None:
        noise = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=noise, dtype=torch.float64)

        self.w = [0.5 * draw(3, 6, 4), 0.1 * draw(6), 0.5 * draw(2, 6)]
        self.alpha = [draw(3), 0.5 * draw(2)]
        for tensor in (*self.w, *self.alpha):
            tensor.requires_grad_()
        self.x = {split: draw(8, 4) for split in ("train", "val")}
        self.y = {split: draw(8, 2) for split in ("train", "val")}
        self.buffers = [0.1 * draw(*tensor.shape) for tensor in self.w]

    def loss(self, split: str, w: Sequence[Tensor] | None = None) -> Tensor:
        first, bias, last = self.w if w is None else w
        mixed = torch.einsum("o,ohi,bi->bh", self.alpha[0].softmax(0), first, self.x[split]) + bias
        gates = self.alpha[1].softmax(0)
        hidden = gates[0] * torch.tanh(mixed) + gates[1] * torch.sin(mixed)
        return ((hidden @ last.T - self.y[split]) ** 2).mean()

    def exact(self, buffers: Sequence[Tensor]) -> list[Tensor]:
        """Eq. 6 itself: grad_alpha of L_val(w - xi * direction(alpha), alpha), through the inner step, by autograd."""
        grads = torch.autograd.grad(self.loss("train"), self.w, create_graph=True)
        kept = buffers or [torch.zeros_like(tensor) for tensor in self.w]
        moved = [
            tensor.detach() - XI * (MOMENTUM * buffer + grad + WEIGHT_DECAY * tensor.detach())
            for tensor, grad, buffer in zip(self.w, grads, kept, strict=True)
        ]
        return list(torch.autograd.grad(self.loss("val", moved), self.alpha))

    def approximate(self, step: Callable[..., Any], buffers: Sequence[Tensor], epsilon: float) -> list[Tensor]:
        found: list[Tensor] = step(
            self.w,
            self.alpha,
            lambda: self.loss("train"),
            lambda: self.loss("val"),
            xi=XI,
            momentum=MOMENTUM,
            weight_decay=WEIGHT_DECAY,
            buffers=buffers,
            epsilon=epsilon,
        )[0]
        return found


def worst(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, relative to the largest number."""
    scale = max(float(tensor.abs().max()) for tensor in expected)
    return max(float((one - other).abs().max()) for one, other in zip(found, expected, strict=True)) / scale


def smooth_error(step: Callable[..., Any], epsilon: float, momentum: bool = True) -> float:
    net = Smooth()
    buffers = net.buffers if momentum else []
    return worst(net.approximate(step, buffers, epsilon), net.exact(buffers))


@pytest.mark.parametrize("momentum", [False, True])
def test_the_finite_difference_converges_to_the_exact_gradient_as_epsilon_squared(momentum: bool) -> None:
    errors = [smooth_error(darts.second_order_gradient, epsilon, momentum) for epsilon in (1.0, 0.1, 0.01, 0.001)]
    assert errors[-1] < 1e-8
    for large, small in pairwise(errors[:3]):
        assert 50 < large / small < 200  # central differences: a tenth of the step, a hundredth of the error


def test_the_correction_matters_so_that_the_comparison_can_fail() -> None:
    net = Smooth()
    first, _ = darts.first_order_gradient(net.alpha, lambda: net.loss("val"))
    assert worst(first, net.exact([])) > 1e-2


def test_the_first_order_gradient_is_autograds_and_second_order_with_xi_zero() -> None:
    net = Smooth()
    expected = torch.autograd.grad(net.loss("val"), net.alpha)
    found, loss = darts.first_order_gradient(net.alpha, lambda: net.loss("val"))
    assert worst(found, list(expected)) == 0.0
    assert loss == net.loss("val").detach()


# --- Mutants ---------------------------------------------------------------------------------------------------------

MUTANTS = {
    "perturbing around w'": (
        darts.second_order_gradient,
        "radius = finite_difference_radius(v, epsilon)",
        "radius = finite_difference_radius(v, epsilon); original = [tensor.detach().clone() for tensor in w]",
    ),
    "multiplying where 2R divides": (darts.second_order_gradient, "/ (2 * radius)", "/ 2.0 * radius"),
    "one norm per tensor": (
        darts.finite_difference_radius,
        "torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(v))))",
        "torch.stack(torch._foreach_norm(list(v))).sum()",
    ),
    "a step of its own for each tensor": (
        darts.move,
        "loop.add_scaled(w, direction, scale)",
        "loop.add_scaled(w, [d / d.norm() * direction[0].norm() for d in direction], scale)",
    ),
    "the other sign": (darts.second_order_gradient, "first - xi * second", "first + xi * second"),
    "forgetting momentum": (darts.sgd_direction, "alpha=momentum", "alpha=0.0"),
    "forgetting weight decay": (darts.sgd_direction, "grad + weight_decay * tensor", "grad + 0.0 * tensor"),
}


def mutant(function: Callable[..., Any], text: str, replacement: str) -> Callable[..., Any]:
    """second_order_gradient, run from a copy of the module's names with one function changed."""
    source = inspect.getsource(function)
    assert source.count(text) == 1, f"{text!r} is {source.count(text)} times in {function.__name__}"
    names = dict(vars(darts))
    for other in (darts.second_order_gradient, function):
        own = source.replace(text, replacement) if other is function else inspect.getsource(other)
        exec(compile(own, f"<mutant of {other.__name__}>", "exec"), names)
    changed: Callable[..., Any] = names["second_order_gradient"]
    return changed


def golden_error(step: Callable[..., Any]) -> float:
    """Error in the second-order gradient of a real, small supernet, against our golden file."""
    expected = arrays(HERE / "supernet.npz")
    found = Case().second_order(step)
    return max(worst([found[kind]], [torch.from_numpy(expected[f"second_order_{kind}"])]) for kind in found)


def test_a_copy_without_a_change_is_as_good_as_the_original() -> None:
    copy = mutant(darts.second_order_gradient, "direct, v =", "direct, v  =")
    assert smooth_error(copy, 0.01) == smooth_error(darts.second_order_gradient, 0.01) < 1e-5


@pytest.mark.parametrize("name", [name for name in MUTANTS if name != "one norm per tensor"])
def test_a_mutant_of_the_second_order_step_is_caught_by_the_exact_gradient(name: str) -> None:
    assert smooth_error(darts.second_order_gradient, 0.001) < 1e-8
    assert smooth_error(mutant(*MUTANTS[name]), 0.001) > 1e-6


@pytest.mark.parametrize("name", list(MUTANTS)[:3])
def test_a_mutant_of_the_second_order_step_is_caught_by_the_golden_file(name: str) -> None:
    """Another radius gives the same derivative as epsilon falls; at the official epsilon its last digits differ."""
    assert golden_error(mutant(*MUTANTS[name])) > 1e-7


def test_the_radius_has_one_norm_over_all_tensors() -> None:
    v = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert darts.finite_difference_radius(v, 0.01) == pytest.approx(0.01 / 5)


def test_a_vector_of_zeros_gives_no_division_by_zero() -> None:
    assert darts.finite_difference_radius([torch.zeros(2)], 0.01) == 0.01
    alpha, w = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    found, _ = darts.second_order_gradient(
        [w], [alpha], lambda: (w * alpha).sum(), lambda: (alpha**2).sum() + 0.0 * w.sum(),
        xi=0.1, momentum=0.0, weight_decay=0.0, buffers=[], epsilon=0.01,
    )  # fmt: skip
    assert found[0].tolist() == [2.0]


# --- The quadratic toy -----------------------------------------------------------------------------------------------


class Toy:
    """L_train = (w - A alpha)^2 / 2 and L_val = (w - t)^2 / 2 + (alpha - s)^2 * c / 2, in double.

    w has two tensors, alpha one. The inner optimum is w = A alpha, so the bilevel optimum solves
    (A'A + c) alpha = A't + c s. One inner step from w gives w' = w - xi (w - A alpha), and Eq. 7 in closed form is
    c (alpha - s) + xi A' (w' - t).
    """

    c = 0.1

    def __init__(self) -> None:
        noise = torch.Generator().manual_seed(1)
        self.a = torch.randn(5, 3, generator=noise, dtype=torch.float64)
        self.t, self.s = (torch.randn(n, generator=noise, dtype=torch.float64) for n in (5, 3))
        self.w = [torch.randn(n, generator=noise, dtype=torch.float64).requires_grad_() for n in (2, 3)]
        self.alpha = torch.randn(3, generator=noise, dtype=torch.float64).requires_grad_()

    def loss_train(self) -> Tensor:
        return 0.5 * ((torch.cat(self.w) - self.a @ self.alpha) ** 2).sum()

    def loss_val(self) -> Tensor:
        return 0.5 * ((torch.cat(self.w) - self.t) ** 2).sum() + 0.5 * self.c * ((self.alpha - self.s) ** 2).sum()

    def gradient(self, step: Callable[..., Any], xi: float = XI) -> list[Tensor]:
        found: list[Tensor] = step(
            self.w, [self.alpha], self.loss_train, self.loss_val,
            xi=xi, momentum=0.0, weight_decay=0.0, buffers=[], epsilon=0.01,
        )[0]  # fmt: skip
        return found

    @torch.no_grad()
    def closed_form(self, xi: float = XI) -> list[Tensor]:
        w = torch.cat(self.w)
        moved = w - xi * (w - self.a @ self.alpha)
        return [self.c * (self.alpha - self.s) + xi * self.a.T @ (moved - self.t)]

    def optimum(self) -> Tensor:
        return torch.linalg.solve(
            self.a.T @ self.a + self.c * torch.eye(3).double(), self.a.T @ self.t + self.c * self.s
        )

    def descend(self, second_order: bool, steps: int, xi: float = 1.0, rate: float = 0.1) -> Tensor:
        """Algorithm 1: an update of alpha, then one of w, alternating."""
        for _ in range(steps):
            if second_order:
                (grad,) = self.gradient(darts.second_order_gradient, xi)
            else:
                (grad,) = darts.first_order_gradient([self.alpha], self.loss_val)[0]
            w_grads = torch.autograd.grad(self.loss_train(), self.w)
            with torch.no_grad():
                self.alpha -= rate * grad
                for tensor, w_grad in zip(self.w, w_grads, strict=True):
                    tensor -= xi * w_grad
        return self.alpha.detach()


@pytest.mark.parametrize("xi", [1e-3, 0.05, 1.0])
def test_the_quadratic_toy_has_the_closed_form_of_equation_7(xi: float) -> None:
    toy = Toy()
    assert worst(toy.gradient(darts.second_order_gradient, xi), toy.closed_form(xi)) < 1e-9


def test_second_order_reaches_the_bilevel_optimum_and_first_order_does_not() -> None:
    optimum = Toy().optimum()
    assert float((Toy().descend(True, 500) - optimum).norm()) < 1e-6
    first = Toy().descend(False, 500, rate=1.0)
    assert float((first - optimum).norm()) > 0.1
    assert float((first - Toy().s).norm()) < 1e-6  # blind to w's answer, it minimises L_val's own alpha term


# --- What is restored, and the steps ---------------------------------------------------------------------------------


def small_state(**changes: Any) -> tuple[darts.Config, darts.State]:
    """A tiny supernet with its optimizers, as `begin` makes them."""
    config = darts.Config(channels=2, cells=3, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        supernet = Supernet(channels=2, cells=3, num_classes=3, operations=("none", "max_pool_3x3", "dil_conv_3x3"))
    noise = torch.Generator().manual_seed(1)
    alpha = {k: torch.randn(s, generator=noise).requires_grad_() for k, s in supernet.choice_shapes().items()}
    w_optimizer = torch.optim.SGD(supernet.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay)
    betas = (config.alpha_beta1, config.alpha_beta2)
    alpha_optimizer = torch.optim.Adam(
        alpha.values(), config.alpha_lr, betas=betas, weight_decay=config.alpha_weight_decay
    )
    return config, darts.State(space.SPACE, supernet.train(), w_optimizer, loop.Place(), alpha, alpha_optimizer)


def small_losses(state: darts.State) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    noise = torch.Generator().manual_seed(2)
    batches = [(torch.randn(4, 3, 8, 8, generator=noise), torch.tensor([0, 1, 2, 0])) for _ in range(2)]

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(state.supernet(x, darts.mixture(state.alpha)), y)

    return (lambda: loss(*batches[0])), (lambda: loss(*batches[1]))


@pytest.mark.parametrize("second_order", [False, True])
def test_an_update_of_alpha_restores_weights_and_buffers_bit_for_bit(second_order: bool) -> None:
    config, state = small_state(second_order=second_order)
    before = {name: tensor.clone() for name, tensor in state.supernet.state_dict().items()}
    alpha = {kind: tensor.detach().clone() for kind, tensor in state.alpha.items()}
    loss_train, loss_val = small_losses(state)
    darts.update_alpha(config, state, loss_train, loss_val, xi=0.5)
    after = state.supernet.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(not torch.equal(state.alpha[kind], tensor) for kind, tensor in alpha.items())
    assert all(parameter.grad is None for parameter in state.supernet.parameters())


@pytest.mark.parametrize("second_order", [False, True])
def test_the_losses_are_taken_at_w_or_at_the_moved_w_in_the_order_of_the_equations(second_order: bool) -> None:
    config, state = small_state(second_order=second_order)
    seen: list[tuple[str, bool]] = []
    first = next(state.supernet.parameters())
    original = first.detach().clone()
    loss_train, loss_val = small_losses(state)

    def watched(name: str, loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def call() -> Tensor:
            seen.append((name, torch.equal(first, original)))
            return loss()

        return call

    darts.update_alpha(config, state, watched("train", loss_train), watched("val", loss_val), xi=0.5)
    moved = [("train", True), ("val", False), ("train", False), ("train", False)]
    assert seen == (moved if second_order else [("val", True)])


def test_the_inner_step_is_that_of_torchs_sgd_with_momentum_and_weight_decay() -> None:
    net = Smooth()
    copies = [tensor.detach().clone().requires_grad_() for tensor in net.w]
    optimizer = torch.optim.SGD(copies, XI, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    for _ in range(2):  # at the second step there is momentum
        buffers = [optimizer.state[c]["momentum_buffer"].clone() for c in copies if c in optimizer.state]
        grads = torch.autograd.grad(net.loss("train", copies), copies)
        before = [tensor.detach().clone() for tensor in copies]
        direction = darts.sgd_direction(before, grads, MOMENTUM, WEIGHT_DECAY, buffers)
        moved = [tensor.detach().clone() for tensor in copies]
        darts.move(moved, before, direction, -XI)
        for tensor, grad in zip(copies, grads, strict=True):
            tensor.grad = grad
        optimizer.step()
        assert worst(moved, [tensor.detach() for tensor in copies]) < 1e-14


def test_alpha_is_moved_by_adam_with_the_configs_betas_and_weight_decay() -> None:
    """Two steps against Adam's formula (Kingma and Ba, Algorithm 1, weight decay added to the gradient)."""
    config, state = small_state(alpha_lr=0.1, alpha_beta1=0.3, alpha_beta2=0.8, alpha_weight_decay=0.2)
    loss_train, loss_val = small_losses(state)
    value = state.alpha["normal"].detach().double()
    mean, square = torch.zeros_like(value), torch.zeros_like(value)
    for step in (1, 2):
        gradient = darts.first_order_gradient(list(state.alpha.values()), loss_val)[0][0].double() + 0.2 * value
        mean, square = 0.3 * mean + 0.7 * gradient, 0.8 * square + 0.2 * gradient**2
        value = value - 0.1 * (mean / (1 - 0.3**step)) / ((square / (1 - 0.8**step)).sqrt() + 1e-8)
        darts.update_alpha(config, state, loss_train, loss_val, xi=0.0)
        assert torch.allclose(state.alpha["normal"].detach().double(), value, atol=1e-5)


def test_the_second_order_update_uses_the_optimizers_own_momentum() -> None:
    """After a step of the weights, the gradient is that of the function given the optimizer's buffers, not of none."""
    config, state = small_state(second_order=True, alpha_weight_decay=0.0)
    loss_train, loss_val = small_losses(state)
    loss_train().backward()  # type: ignore[no-untyped-call]
    state.w_optimizer.step()
    w, alpha = list(state.supernet.parameters()), list(state.alpha.values())
    given_buffers: list[Any] = []
    original = darts.second_order_gradient

    def spy(*args: Any, **kwargs: Any) -> Any:
        given_buffers.extend(kwargs["buffers"])
        return original(*args, **kwargs)

    names = {**vars(darts), "second_order_gradient": spy}
    exec(inspect.getsource(darts.update_alpha), names)
    names["update_alpha"](config, state, loss_train, loss_val, 0.1)
    assert len(given_buffers) == len(w)
    assert all(any(buffer is state.w_optimizer.state[p]["momentum_buffer"] for p in w) for buffer in given_buffers)
    assert all(tensor.grad is not None for tensor in alpha)


def test_the_inner_step_has_no_momentum_for_a_weight_that_was_never_moved() -> None:
    """Where one of two weights got no gradient before, the second-order gradient is that of its buffer zero."""
    config, state = small_state(second_order=True)
    loss_train, loss_val = small_losses(state)
    loss_train().backward()  # type: ignore[no-untyped-call]
    w = list(state.supernet.parameters())
    w[1].grad = None
    state.w_optimizer.step()
    buffers = optimizers.momentum_buffers(state.w_optimizer, w)
    assert len(buffers) == len(w) and not buffers[1].any() and all(buffer.any() for buffer in (buffers[0], buffers[2]))
    before = [tensor.detach().clone() for tensor in w]
    darts.update_alpha(config, state, loss_train, loss_val, xi=0.5)
    assert all(torch.equal(tensor, other) for tensor, other in zip(w, before, strict=True))
    assert all(alpha.grad is not None and alpha.grad.isfinite().all() for alpha in state.alpha.values())


def test_the_mixture_is_a_softmax_over_each_edge() -> None:
    weights = darts.mixture({"normal": torch.tensor([[0.0, math.log(3.0)], [1.0, 1.0]])})["normal"]
    assert torch.allclose(weights, torch.tensor([[0.25, 0.75], [0.5, 0.5]]))


# --- Derivation ------------------------------------------------------------------------------------------------------

OPERATIONS = ("none", "skip_connect", "sep_conv_3x3")


def brute_force(rows: list[list[float]], number: int) -> tuple[tuple[str, int], ...]:
    """Of all pairs of edges into node `number`, with all pairs of operations but none: the best by the stated rule.

    Strength of a pair of edges: that of the stronger, then of the weaker; an edge's is its operation's weight. Among
    equals the earlier predecessors, the lower operations.
    """
    candidates = []
    for first, second in combinations(range(number), 2):
        for one, other in product(range(1, len(OPERATIONS)), repeat=2):
            edges = sorted([(-rows[first][one], first), (-rows[second][other], second)])
            key = (tuple(strength for strength, _ in edges), tuple(pred for _, pred in edges), (one, other))
            candidates.append((key, ((OPERATIONS[one], first), (OPERATIONS[other], second))))
    return min(candidates)[1]


# Few different values, so that ties are common.
numbers = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5]) | st.floats(0.0, 1.0)
tables = st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=14, max_size=14)


@settings(max_examples=150)
@given(tables, tables)
@example([[0.2, 0.2, 0.2]] * 14, [[1.0, 0.0, 0.0]] * 14)
def test_derivation_is_brute_force_over_all_choices_ties_by_the_stated_rule(
    normal: list[list[float]], reduce: list[list[float]]
) -> None:
    found = space.derive({"normal": normal, "reduce": reduce}, OPERATIONS)
    for kind, rows in (("normal", normal), ("reduce", reduce)):
        first = 0
        for number in range(2, 6):
            assert found[f"{kind}.{number}"] == brute_force(rows[first : first + number], number)
            first += number
        assert found[f"{kind}.concat"] == (2, 3, 4, 5)


@given(tables)
def test_the_weight_of_none_decides_nothing(rows: list[list[float]]) -> None:
    changed = [[0.9 - first, *others] for first, *others in rows]
    assert derived(rows) == derived(changed)
    assert "none" not in str(derived(rows))


def derived(rows: list[list[float]]) -> Architecture:
    return space.derive({"normal": rows, "reduce": rows}, OPERATIONS)


def test_what_is_derived_lies_in_the_space() -> None:
    noise = torch.Generator().manual_seed(0)
    for _ in range(20):
        weights = {kind: torch.rand(14, 8, generator=noise).tolist() for kind in space.CELLS}
        assert space.derive(weights, space.OPERATIONS) in space.SPACE


def test_the_loop_updates_alpha_then_the_weights_at_every_step_with_xi_the_present_learning_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, float]] = []
    update_alpha, update_weights = darts.update_alpha, darts.update_weights

    def alpha(*args: Any, xi: float) -> Tensor:
        seen.append(("alpha", xi))
        return update_alpha(*args, xi=xi)

    def weights(*args: Any) -> Sums:
        seen.append(("w", args[-1]))
        return update_weights(*args)

    monkeypatch.setattr(darts, "update_alpha", alpha)
    monkeypatch.setattr(darts, "update_weights", weights)
    tiny.search(tmp_path / "run", epochs=2, lr=0.1, lr_min=0.0)
    assert seen == [("alpha", 0.1), ("w", 0.1)] * 2 + [("alpha", 0.05), ("w", 0.05)] * 2
