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
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from dartboard import networks
from dartboard.config import MOST_CHANNELS, MOST_EPOCHS, check_ranges, check_types
from dartboard.data import Data
from dartboard.errors import InputError
from dartboard.networks.layers import Noise, noises_of, renew
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.runs.timer import Clock
from dartboard.scoring.evaluate import kept_buffers
from dartboard.search import early_stopping, epoch_log, stop_rules, warm_start
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks import task_of
from dartboard.tasks.task import Batch, Sums, Task, in_double, pair, rest_of_epoch
from dartboard.training import cuda_graphs, from_scratch, loop, optimizers


@dataclass(frozen=True)
class Config:
    """Settings of a DARTS search. Defaults: the official code's CIFAR-10 search (quark0/darts, cnn/train_search.py)."""

    channels: int = 16
    """channels of the first cell's nodes (--init_channels 16)"""
    cells: int = 8
    """number of cells, two of them reductions (--layers 8)"""
    epochs: int = 50
    """passes over the training split (--epochs 50)"""
    schedule_epochs: int | None = None
    """epochs until the learning rate is at its end, where the search is to be gone on with; none: those it has"""
    batch_size: int = 64
    """images a batch, for the weights and for alpha alike (--batch_size 64)"""
    second_order: bool = False
    """the unrolled gradient of Eqs. 7 and 8 in place of first order (--unrolled)"""
    lr: float = 0.025
    """learning rate of the weights at the start (--learning_rate)"""
    lr_min: float = 0.001
    """learning rate of the weights at the end of the cosine (--learning_rate_min; the paper's text: 0)"""
    momentum: float = 0.9
    """momentum of the weights' SGD (--momentum)"""
    weight_decay: float = 3e-4
    """weight decay of the weights (--weight_decay)"""
    grad_clip: float = 5.0
    """largest global norm of the weights' gradient (--grad_clip)"""
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
    crop_padding: int = 4
    """pixels of padding before the random crop (official code)"""
    flip: bool = True
    """mirror half of the images (official code)"""
    cutout: int = 0
    """side of the square hole in pixels, 0 for none (--cutout is off in the published search)"""
    stop: str = ""
    """rules that say when to stop, such as skips:2,stable:10,eigenvalue,held-out (docs/early-stopping.md)"""
    stop_mode: Literal["stop", "report"] = "stop"
    """stop: end when the first rule fires, with its cell; report: go on, and tell what each would have kept"""
    supernet: Literal["fast", "plain"] = "fast"
    """how the supernet is computed: by the identities of networks/fast, or one module at a time; same function"""
    channels_last: bool = True
    """memory layout of images and weights: faster on CPU, same function up to rounding"""

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, channels="[1, inf)", epochs="[1, inf)", batch_size="[1, inf)")
        check_ranges(self, schedule_epochs="[1, inf)")
        check_ranges(self, channels=MOST_CHANNELS, epochs=MOST_EPOCHS, schedule_epochs=MOST_EPOCHS)
        check_ranges(self, lr="(0, inf)", grad_clip="(0, inf)", alpha_lr="(0, inf)", epsilon="(0, inf)")
        check_ranges(self, lr_min="[0, inf)", weight_decay="[0, inf)", alpha_weight_decay="[0, inf)")
        check_ranges(self, alpha_init="[0, inf)", crop_padding="[0, inf)", cutout="[0, inf)", momentum="[0, 1)")
        check_ranges(self, alpha_beta1="[0, 1)", alpha_beta2="[0, 1)")
        networks.check_cells(self.cells)
        stop_rules.parse(self.stop)


# --preset paper: where the paper's text differs from the official code.
PAPER = {"alpha_init": 0.0, "lr_min": 0.0}


@dataclass(frozen=True)
class Result:
    """What a search found, with its evidence: accuracies on the validation split, in [0, 1]."""

    architecture: Architecture
    alpha: dict[str, Tensor]
    supernet: nn.Module
    val_accuracy: float
    derived_val_accuracy: float


PARTS = {"w_optimizer": "w", "alpha_optimizer": "alpha_adam"}  # names in a checkpoint, where not those of the field


@dataclass
class State:
    """Everything that changes during the search, in a space that does not."""

    space: SearchSpace
    supernet: nn.Module
    alpha: dict[str, Tensor]
    w_optimizer: torch.optim.Optimizer
    alpha_optimizer: torch.optim.Optimizer
    place: loop.Place
    noises: list[Noise] = field(default_factory=list)

    def parts(self) -> dict[str, loop.Savable]:
        """What a checkpoint holds: every field that has tensors, by the names of PARTS."""
        return loop.parts_of(self, PARTS)


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """Algorithm 1. Begins, or goes on from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its interface (`choice_shapes`, `forward(x, choice)`).
    Raises InputError for a batch larger than a split, CannotContinueError where the loss is no longer finite.
    """
    task_of(config, data).check("train", "val")
    run.check_data(data)
    watch, data = early_stopping.begin(config, space, data, run)
    data = data.to(run.device)
    task = task_of(config, data)
    task.check("train")
    state = begin(config, space, data, run, supernet)
    alpha_step, weight_step = steps(config, state, task, run)
    num_steps, clock = len(task.order("train", run, 0)), state.place.clock
    parts = () if cuda_graphs.wanted(run.device) else (state.supernet, state.w_optimizer, state.alpha_optimizer)
    progress_ = run.progress(total_steps=config.epochs * num_steps, total_epochs=config.epochs)
    with run.guarded(), progress_ as progress, clock.watching(*parts), cuda_graphs.own_stream(run.device):
        if state.place.step == 0:
            epoch_log.log_start(run, tables(state), relaxed(state)[1], space)
        for epoch in early_stopping.epochs(config, watch, state.place, run):
            lr = learning_rate(config, state.place, epoch)
            for index in rest_of_epoch(task, run, epoch, state.place.step_in_epoch, state.place.step):
                with clock("data"):
                    train, val = pair(task, index, run, state.place.step, state.supernet)
                xi = lr * train.lr_scale
                renew(state.noises, state.place.step)
                # 1. update alpha by descending grad_alpha L_val(w - xi grad_w L_train(w, alpha), alpha)
                with clock("alpha"):
                    val_loss = alpha_step(*train[:2], *val[:2], xi)
                # 2. update w by descending grad_w L_train(w, alpha)
                with clock("weights"):
                    sums = weight_step(*train[:2], xi)
                state.place.advance(train.size, sums, lr, val_loss=val_loss)
                loop.note_step(run, state.place, progress)
                run.pulse(lambda: save(state, run), state.place.step)
            finish_epoch(state, task, data, watch, run, lr, progress)
            state.place.next_epoch()
            save(state, run)
    return finish(state, watch, run)


# --- The equations -------------------------------------------------------------------------------------------------


def mixture(alpha: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 2: each edge mixes its operations by a softmax over its alpha. Shapes (E, O) in and out."""
    return {kind: logits.softmax(dim=-1) for kind, logits in alpha.items()}


def first_order_gradient(alpha: Sequence[Tensor], loss_val: Callable[[], Tensor]) -> tuple[list[Tensor], Tensor]:
    """Eq. 6 with xi = 0: grad_alpha L_val(w, alpha). Returns it with the loss."""
    loss = loss_val()
    return list(torch.autograd.grad(loss, alpha)), loss.detach()


def second_order_gradient(
    w: Sequence[Tensor],
    alpha: Sequence[Tensor],
    loss_train: Callable[[], Tensor],
    loss_val: Callable[[], Tensor],
    *,
    xi: float,
    momentum: float,
    weight_decay: float,
    buffers: Sequence[Tensor],
    epsilon: float,
) -> tuple[list[Tensor], Tensor]:
    """Eq. 7 with Eq. 8 in it: the gradient in alpha of L_val(w', alpha). Returns it with L_val(w', alpha).

    w, alpha: tensors that require gradients; buffers: SGD's momentum buffers of w, or empty; the two losses are
    computed anew at each call, from what w and alpha then hold. w is moved in place and restored bit for bit.
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
    device, dtype = loop.prepare(run)
    if supernet is None:
        make = partial(networks.module(space.family).Supernet, channels=config.channels, cells=config.cells)
        make = partial(make, num_classes=data.num_classes, in_channels=data.channels, form=config.supernet)
        make = partial(make, operations=FAMILIES[space.family].mixed(space))
        supernet = loop.seeded(run, "weights", make)
    supernet = loop.place_module(supernet, device, dtype, config.channels_last).train()
    noise = run.generator("alpha", 0)
    alpha = {
        kind: (config.alpha_init * torch.randn(shape, generator=noise)).to(device, dtype).requires_grad_()
        for kind, shape in supernet.choice_shapes().items()  # type: ignore[operator]
    }
    w_optimizer = optimizers.momentum_sgd(supernet.parameters(), config.lr, config.momentum, config.weight_decay)
    betas = (config.alpha_beta1, config.alpha_beta2)
    adam = partial(optimizers.Adam, betas=betas, weight_decay=config.alpha_weight_decay)
    alpha_optimizer = adam(list(alpha.values()), config.alpha_lr, capturable=device.type == "cuda")
    place = loop.Place(clock=Clock(device.type))
    state = State(space, supernet, alpha, w_optimizer, alpha_optimizer, place, noises_of(supernet))
    if (checkpoint := run.load()) is not None:
        loop.restore(checkpoint, state.place, **state.parts())
    elif run.handover is not None:
        state.place.epochs_before = warm_start.epochs_before(run)
        warm_start.take_over(run, **state.parts())  # type: ignore[arg-type]
    learning_rate(config, state.place, config.epochs - 1)
    return state


def learning_rate(config: Config, place: loop.Place, epoch: int) -> float:
    """Of the weights: a cosine, per epoch as in the official code. Raises InputError past the schedule's end."""
    total = config.schedule_epochs or place.epochs_before + config.epochs
    if place.epochs_before + epoch >= total:
        raise InputError(f"--schedule-epochs {total} is less than the epochs of the search; give more")
    return from_scratch.cosine(config.lr, config.lr_min, place.epochs_before + epoch, total)


def save(state: State, run: Run) -> None:
    loop.save(run, state.place, **state.parts())


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
    with kept_buffers(state.supernet):
        if config.second_order:
            buffers = optimizers.momentum_buffers(state.w_optimizer, w)
            grads, loss = second_order_gradient(
                w,
                alpha,
                loss_train,
                loss_val,
                xi=xi,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                buffers=buffers,
                epsilon=config.epsilon,
            )
        else:
            with optimizers.frozen(w):
                grads, loss = first_order_gradient(alpha, loss_val)
    for tensor, grad in zip(alpha, grads, strict=True):
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
    """The loss of a batch at what w and alpha hold now."""
    return task.loss(loop.model_of(run, state.supernet, mixture(state.alpha)), batch).loss


def relaxed(state: State) -> tuple[dict[str, Tensor], Architecture]:
    """The mixture weights as they stand, and the architecture they would give (section 2.4; the family's own rule)."""
    family = FAMILIES[state.space.family]
    with torch.no_grad():
        weights = mixture(state.alpha)
    return weights, family.derive({kind: rows.tolist() for kind, rows in weights.items()}, family.mixed(state.space))


def tables(state: State) -> dict[str, Tensor]:
    """What each epoch's line holds of alpha, by kind of cell: edges x operations."""
    return {f"alpha_{kind}": logits for kind, logits in state.alpha.items()}


def finish_epoch(
    state: State, task: Task, data: Data, watch: early_stopping.Watch, run: Run, lr: float, progress: Progress
) -> None:
    """Scores the epoch, measures what the rules ask for, and writes its line."""
    place, (weights, architecture) = state.place, relaxed(state)
    with place.clock("scoring"):
        numbers = {"lr": lr, **place.means(task)}
        numbers |= epoch_log.scores(state.supernet, weights, architecture, task)
    with place.clock("stopping") if watch.rules else nullcontext():
        numbers |= early_stopping.readings(watch, place.epoch, state.supernet, state.alpha, mixture, data, run)
    epoch_log.log_epoch(run, place, numbers, progress, tables(state), architecture)


def finish(state: State, watch: early_stopping.Watch, run: Run) -> Result:
    architecture, numbers = epoch_log.write_result(run, relaxed(state)[1], watch)
    alpha = {kind: logits.detach() for kind, logits in state.alpha.items()}
    return Result(architecture, alpha, state.supernet, **numbers)
