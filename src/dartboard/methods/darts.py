"""DARTS: Differentiable Architecture Search (Liu, Simonyan, Yang; ICLR 2019, arXiv 1806.09055).

The search is relaxed: every edge of the cell computes all operations and mixes them by a softmax over parameters
alpha; alpha is learned by gradient descent on the validation loss, the weights w on the training loss (Eqs. 3, 4).

Algorithm 1 of the paper, as `search` runs it:
    create a mixed operation for each edge, with its alpha
    while not converged:
        1. update alpha by descending  grad_alpha L_val(w - xi grad_w L_train(w, alpha), alpha)   (xi = 0: first order)
        2. update w by descending      grad_w L_train(w, alpha)
    derive the final architecture from the learned alpha

Symbols: alpha, logits of the operations of each edge; w, weights of the supernet; xi, learning rate of the inner step
(here the weights' current one, as in the official code); w', the weights after that inner step; L_train and L_val,
the losses on a training and a validation batch.

Departures from the paper's text, all as in the official code, each with a field to undo it:
    1. alpha starts at 1e-3 times normal noise, the paper says zero                      (alpha_init; --preset paper)
    2. the learning rate of w falls to 0.001, the paper says to 0                         (lr_min; --preset paper)
Departures from the official code:
    3. BatchNorm's running statistics are restored after each update of alpha, and the supernet is scored with batch
       statistics as the paper says; the official code scores it with running statistics.
    4. The unrolled model is not a copy: the weights are moved in place and restored bit for bit.
    5. A validation batch is drawn afresh at each step without rebuilding a loader; same distribution.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.networks.layers import renew
from dartboard.runs.run import Run
from dartboard.runs.timer import Timer
from dartboard.scoring.evaluate import restored_buffers
from dartboard.search import cost_goals, early_stopping, relaxation, supernets
from dartboard.search.relaxation import Result, State
from dartboard.spaces.search_space import SearchSpace
from dartboard.tasks.task import Batch, Sums, Task, in_double, pair, rest_of_epoch
from dartboard.training import cuda_graphs, from_scratch, loop, optimizers


@dataclass(frozen=True)
class Config(relaxation.Settings):
    """Settings of a DARTS search. Defaults: the official code's CIFAR-10 search (quark0/darts, cnn/train_search.py),
    those of search/supernets.py and search/relaxation.py included."""

    second_order: bool = False
    """the unrolled gradient of Eqs. 7 and 8 in place of first order (--unrolled)"""
    alpha_lr: float = 3e-4
    """learning rate of alpha's Adam (--arch_learning_rate)"""
    alpha_beta1: float = 0.5
    """first beta of alpha's Adam (official code; paper section 3.1.1)"""
    alpha_beta2: float = 0.999
    """second beta of alpha's Adam (official code; paper section 3.1.1)"""
    alpha_weight_decay: float = 1e-3
    """weight decay of alpha (--arch_weight_decay)"""
    alpha_init: float = 1e-3
    """scale of the normal noise alpha starts from (official code; the paper's text: 0)"""
    epsilon: float = 0.01
    """numerator of the finite difference's step, divided by the norm of the vector (paper, footnote 2)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, alpha_lr="(0, inf)", alpha_beta1="[0, 1)", alpha_beta2="[0, 1)", epsilon="(0, inf)")
        check_ranges(self, alpha_weight_decay="[0, inf)", alpha_init="[0, inf)")


PAPER = {"alpha_init": 0.0, "lr_min": 0.0}  # --preset paper: the paper's text, if it differs from the official code
# alpha_lr is measured (LOG.md): at the paper's 3e-4 alpha hardly moves in the 240 steps that there are on the digits.
PRESETS = by_data(channels=4, cells=4, epochs=20, batch_size=64, cutout=0, alpha_lr=0.03)
CARRIED = {"weights": ("supernet", "w"), "alphas": ("alpha", "alpha_adam")}  # by --carry: names in a checkpoint
check = cost_goals.check  # of a limit, before anything runs
WORK = relaxation.WORK  # of an epoch: train goes through, in pairs with batches of val, and val is scored


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """Algorithm 1. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its interface (`choice_shapes`, `forward(x, choice)`, and for a warm
    start `head_prefix`). Raises InputError for a batch larger than a split, CannotContinueError if the loss is no
    longer finite.
    """
    watch, data, task = relaxation.watched_data(config, space, data, run)
    state = begin(config, space, data, run, supernet)
    alpha_step, weight_step = steps(config, state, task, run)
    timer = state.place.timer
    with supernets.at_work(config, state, task, run) as progress:
        relaxation.log_start(state, mixture, run)
        for epoch in early_stopping.epochs(config, watch, state.place, run):
            lr = supernets.learning_rate(config, state.place, epoch)
            for index in rest_of_epoch(task, run, epoch, state.place.step_in_epoch, state.place.step):
                with timer("data"):
                    train, val = pair(task, index, run, state.place.step, state.supernet)
                xi = lr * train.lr_scale
                renew(state.noises, state.place.step)
                # 1. update alpha by descending grad_alpha L_val(w - xi grad_w L_train(w, alpha), alpha)
                with timer("alpha"):
                    val_loss = alpha_step(*train[:2], *val[:2], xi)
                # 2. update w by descending grad_w L_train(w, alpha)
                with timer("weights"):
                    sums = weight_step(*train[:2], xi)
                state.place.advance(train.size, sums, lr, val_loss=val_loss)
                loop.note_step(run, state.place, progress)
                run.pulse(lambda: supernets.save(state, run), state.place.step)
            relaxation.finish_epoch(state, mixture, watch, task, data, run, lr, progress)
            state.place.next_epoch()
            supernets.save(state, run)
    # derive the final architecture from the learned alpha
    return relaxation.finish(state, mixture, watch, run)


# --- The equations -------------------------------------------------------------------------------------------------


def mixture(alpha: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 2: each edge mixes its operations by a softmax over its alpha. Shapes (E, O) in and out."""
    return {kind: logits.softmax(dim=-1) for kind, logits in alpha.items()}


def first_order_gradient(alpha: Sequence[Tensor], loss_val: Callable[[], Tensor]) -> tuple[list[Tensor], Tensor]:
    """Eq. 6 with xi = 0: grad_alpha L_val(w, alpha). Returns it with the loss."""
    loss = loss_val()
    return list(torch.autograd.grad(loss, alpha)), loss.detach()


def second_order_gradient(
    w: Sequence[Tensor], alpha: Sequence[Tensor], loss_train: Callable[[], Tensor], loss_val: Callable[[], Tensor],
    *, xi: float, momentum: float, weight_decay: float, buffers: Sequence[Tensor], epsilon: float,
) -> tuple[list[Tensor], Tensor]:  # fmt: skip
    """Eq. 7 with Eq. 8 in it: the gradient in alpha of L_val(w', alpha). Returns it with L_val(w', alpha).

    w, alpha: tensors that require gradients; buffers: SGD's momentum buffers of w, or empty; the two losses are
    computed again at each call, from the current w and alpha. w is moved in place and restored bit for bit.
    """
    original = [tensor.detach().clone() for tensor in w]
    # w' = w - xi * (momentum * buffer + grad_w L_train(w, alpha) + weight_decay * w): one step of the weights' SGD
    with optimizers.frozen(alpha):
        gradient = optimizers.gradient(loss_train(), w)
    move(w, original, sgd_direction(original, gradient, momentum, weight_decay, buffers), -xi)
    loss = loss_val()
    gradients = optimizers.gradient(loss, [*alpha, *w])
    # First term of Eq. 7: grad_alpha L_val(w', alpha); v = grad_w' L_val(w', alpha)
    direct, v = gradients[: len(alpha)], gradients[len(alpha) :]
    # Eq. 8: (grad_alpha L_train(w+, alpha) - grad_alpha L_train(w-, alpha)) / (2 R), with w+- = original w +- R v
    radius = finite_difference_radius(v, epsilon)
    with optimizers.frozen(w):
        move(w, original, v, radius)
        above = optimizers.gradient(loss_train(), alpha)
        move(w, original, v, -radius)
        below = optimizers.gradient(loss_train(), alpha)
    optimizers.restore(w, original)
    # Eq. 7: grad_alpha L_val(w', alpha) - xi * (the product of Eq. 8)
    product = [(plus - minus) / (2 * radius) for plus, minus in zip(above, below, strict=True)]
    return [first - xi * second for first, second in zip(direct, product, strict=True)], loss.detach()


def finite_difference_radius(v: Sequence[Tensor], epsilon: float) -> Tensor:
    """R = epsilon / ||v||, with one norm over all tensors (footnote 2 of the paper). Shape ()."""
    norm = in_double(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(v)))))
    return torch.where(norm > 0.0, epsilon / norm, epsilon).to(v[0].dtype)


def sgd_direction(
    w: Sequence[Tensor], grads: Sequence[Tensor], momentum: float, weight_decay: float, buffers: Sequence[Tensor]
) -> list[Tensor]:
    """momentum * buffer + gradient + weight_decay * w: what one step of SGD subtracts, but for the learning rate."""
    direction = [grad + weight_decay * tensor for grad, tensor in zip(grads, w, strict=True)]
    return list(torch._foreach_add(direction, list(buffers), alpha=momentum)) if buffers else direction


@torch.no_grad()
def move(w: Sequence[Tensor], original: Sequence[Tensor], direction: Sequence[Tensor], scale: float | Tensor) -> None:
    """w = original + scale * direction, in place."""
    optimizers.restore(w, original)
    loop.add_scaled(w, direction, scale)


# --- The steps of the loop -----------------------------------------------------------------------------------------


def begin(config: Config, space: SearchSpace, data: Data, run: Run, supernet: nn.Module | None) -> State:
    """The supernet with its alpha and both optimizers, as at the start or as in the run's checkpoint."""
    supernet = supernets.placed(config, space, data, run, supernet)
    alpha = relaxation.initial_alpha(supernet, run, config.alpha_init)
    betas = (config.alpha_beta1, config.alpha_beta2)
    adam = partial(optimizers.Adam, betas=betas, weight_decay=config.alpha_weight_decay)
    alpha_optimizer = adam(list(alpha.values()), config.alpha_lr, capturable=run.device.type == "cuda")
    place = loop.Place(timer=Timer(run.device.type))
    goals = cost_goals.goals_of(config, space, data, run, alpha)
    state = State(space, supernet, supernets.sgd(config, supernet), place, alpha, alpha_optimizer, goals)
    supernets.start(state, config, run, CARRIED)
    return state


def steps(config: Config, state: State, task: Task, run: Run) -> tuple[Callable[..., Tensor], Callable[..., Sums]]:
    """Both lines of the loop as functions of batches, x and y each, and of the learning rate."""

    def alpha_step(x_train: Tensor, y_train: Tensor, x_val: Tensor, y_val: Tensor, lr: float) -> Tensor:
        loss_train = partial(loss_of, state, task, Batch(x_train, y_train), run)
        loss_val = partial(loss_of, state, task, Batch(x_val, y_val), run)
        return update_alpha(config, state, loss_train, loss_val, xi=lr)

    def weight_step(x: Tensor, y: Tensor, lr: float) -> Sums:
        return update_weights(config, state, task, Batch(x, y), run, lr)

    replayable = cuda_graphs.recorder(run.device)
    return replayable(alpha_step), replayable(weight_step)


def update_alpha(
    config: Config, state: State, loss_train: Callable[[], Tensor], loss_val: Callable[[], Tensor], xi: float
) -> Tensor:
    """Line 1 of the loop. Returns the validation loss; leaves w and the BatchNorm buffers as they were."""
    alpha, w = list(state.alpha.values()), state.w_optimizer.param_groups[0]["params"]
    with restored_buffers(state.supernet):
        if config.second_order:
            buffers = optimizers.momentum_buffers(state.w_optimizer, w)
            grads, loss = second_order_gradient(
                w, alpha, loss_train, loss_val, xi=xi, momentum=config.momentum, weight_decay=config.weight_decay,
                buffers=buffers, epsilon=config.epsilon,
            )  # fmt: skip
        else:
            with optimizers.frozen(w):
                grads, loss = first_order_gradient(alpha, loss_val)
    for tensor, grad in zip(alpha, state.goals.added(grads, state.alpha), strict=True):
        tensor.grad = grad
    state.alpha_optimizer.step()
    return loss


def update_weights(config: Config, state: State, task: Task, batch: Batch, run: Run, lr: float) -> Sums:
    """Line 2 of the loop: one step of SGD on a training batch. Returns the task's sums over it."""
    weights = {kind: weights.detach() for kind, weights in mixture(state.alpha).items()}
    outcome = task.loss(loop.model_of(run, state.supernet, weights), batch)
    from_scratch.step(outcome.loss, state.w_optimizer, lr, config.grad_clip)
    return outcome.sums


def loss_of(state: State, task: Task, batch: Batch, run: Run) -> Tensor:
    """The loss of a batch at the current w and alpha."""
    return task.loss(loop.model_of(run, state.supernet, mixture(state.alpha)), batch).loss
