"""GDAS: Searching for a Robust Neural Architecture in Four GPU Hours (Dong, Yang; CVPR 2019, arXiv 1910.04465).

Each edge of the cell has parameters alpha, whose softmax is a distribution over its operations. Every pass draws one
operation an edge, by the Gumbel-max trick, and computes that one alone, so a step costs what a single architecture
costs. The draw is hard forward, and backward it is the softmax that it approximates, at a temperature tau that falls.

The search, as `search` runs it:
    create alpha, a logit for each operation of each edge
    for each epoch, at the next temperature, and each pair of a training and a validation batch:
        1. draw an operation an edge; update w by descending        grad_w L_train(w, draw)
        2. draw again; update alpha by descending, straight through, grad_alpha L_val(w, draw)
    derive the final architecture from softmax(alpha)

Symbols: alpha, logits of the operations of each edge, one table for all cells of a kind; w, weights of the supernet;
tau, the temperature; E, exponential noise, so that -log E is Gumbel noise; h, the hard weights of a draw.

Departures from the paper, as in the authors' code for NAS-Bench-201 (AutoDL-Projects), each with a field to undo it:
    1. the operations that are not drawn enter as bare numbers of value 0; the paper
       computes and adds the drawn one only                                       (undrawn; --preset paper)
    2. batches of 64; the code has 256 for the paper's own space                  (batch_size; --preset paper)
Departures from that code:
    3. In DARTS cells a node keeps its two strongest edges, each with its strongest operation other than `none`. The
       code takes the two strongest pairs of operation and edge, which can be one edge twice; a genotype here has two
       distinct predecessors. On NAS-Bench-201 both take the strongest operation of every edge.
    4. What is not drawn stands still. Under the torch of its time the code's gradients were zeros and not absent, so
       that momentum and weight decay moved it.
    5. The norm that is clipped is that of w alone; the code counts alpha's stale gradients in.
    6. The learning rate falls once an epoch, not at every batch.
    7. BatchNorm's running statistics are restored after each update of alpha, as in methods/darts.py, and the result
       is the last epoch's; the code keeps the best epoch's too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dartboard.config import check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.errors import CannotContinueError, InputError
from dartboard.networks.layers import renew
from dartboard.networks.rows import BARE, Row
from dartboard.runs.run import Run
from dartboard.runs.timer import Timer
from dartboard.scoring.evaluate import restored_buffers
from dartboard.search import cost_goals, early_stopping, relaxation, supernets
from dartboard.search.relaxation import Result, State
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace
from dartboard.tasks.task import Batch, Sums, Task, pair, rest_of_epoch
from dartboard.training import from_scratch, loop, optimizers

Undrawn = Literal["scalars", "none"]
MOST_DRAWS = 100  # of an operation an edge, if noise or relaxation is not finite
Drawn = dict[str, list[Row]]  # by kind of cell, of each edge: {the drawn operation: its weight}, and the bare number


@dataclass(frozen=True)
class Config(relaxation.Settings):
    """Settings of a GDAS search. Defaults: the authors' code on NAS-Bench-201 (AutoDL-Projects, exps/algos/GDAS.py with
    configs/nas-benchmark/algos/GDAS.config); 8 cells, as for DARTS (that code: 17 there, 6 for the paper's space)."""

    epochs: int = 250
    """passes over the training split (GDAS-NASNet-CIFAR.config: epochs)"""
    weight_decay: float = 5e-4
    """weight decay of the weights (GDAS.config: decay)"""
    nesterov: bool = True
    """Nesterov's momentum for the weights (GDAS.config: nesterov)"""
    alpha_lr: float = 3e-4
    """learning rate of alpha's Adam (--arch_learning_rate)"""
    alpha_beta1: float = 0.5
    """first beta of alpha's Adam (GDAS.py)"""
    alpha_beta2: float = 0.999
    """second beta of alpha's Adam (GDAS.py)"""
    alpha_weight_decay: float = 1e-3
    """weight decay of alpha (--arch_weight_decay)"""
    alpha_init: float = 1e-3
    """scale of the normal noise alpha starts from (the code's search_model_gdas.py)"""
    tau_max: float = 10.0
    """temperature of the first epoch (paper; --tau_max)"""
    tau_min: float = 0.1
    """temperature of the last epoch, to which it falls linearly (paper; --tau_min)"""
    undrawn: Undrawn = "scalars"
    """operations that are not drawn: bare numbers of value 0 that have gradients (the code), or none (the paper)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, alpha_lr="(0, inf)", alpha_beta1="[0, 1)", alpha_beta2="[0, 1)")
        check_ranges(self, alpha_weight_decay="[0, inf)", alpha_init="[0, inf)", tau_max="(0, inf)", tau_min="(0, inf)")
        if self.tau_min > self.tau_max:
            raise InputError(f"--tau-min {self.tau_min:g} is above --tau-max {self.tau_max:g}; the temperature falls")


PAPER = {"undrawn": "none", "batch_size": 256}  # --preset paper
PRESETS = by_data(channels=4, cells=4, epochs=20, batch_size=64, cutout=0, alpha_lr=0.03)
CARRIED = {"weights": ("supernet", "w"), "alphas": ("alpha", "alpha_adam")}  # by --carry: names in a checkpoint
check = cost_goals.check  # of a limit, before anything runs
WORK = relaxation.WORK  # of an epoch: train goes through, in pairs with batches of val, and val is scored


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its interface (`choice_shapes`, `forward(x, choice)`, and for a warm
    start `head_prefix`). Its validation accuracy is that of draws, a new one for each batch. Raises InputError for a
    batch larger than a split, CannotContinueError if the loss or alpha is no longer finite.
    """
    watch, data, task = relaxation.watched_data(config, space, data, run)
    state = begin(config, space, data, run, supernet)
    timer = state.place.timer
    with supernets.at_work(config, state, task, run) as progress:
        relaxation.log_start(state, mixture, run)
        for epoch in early_stopping.epochs(config, watch, state.place, run):
            lr, tau = supernets.learning_rate(config, state.place, epoch), temperature(config, state.place, epoch)
            for index in rest_of_epoch(task, run, epoch, state.place.step_in_epoch, state.place.step):
                with timer("data"):
                    train, val = pair(task, index, run, state.place.step, state.supernet)
                renew(state.noises, state.place.step)
                # 1. draw an operation an edge; update w by descending grad_w L_train(w, draw)
                with timer("weights"):
                    sums = update_weights(config, state, task, train, tau, run, lr * train.lr_scale)
                # 2. draw again; update alpha by descending, straight through, grad_alpha L_val(w, draw)
                with timer("alpha"):
                    val_loss = update_alpha(config, state, task, val, tau, run)
                state.place.advance(train.size, sums, lr, val_loss=val_loss)
                loop.note_step(run, state.place, progress)
                run.pulse(lambda: supernets.save(state, run), state.place.step)
            draw = scored_draws(state, tau, run)
            relaxation.finish_epoch(state, mixture, watch, task, data, run, lr, progress, draw=draw, tau=tau)
            state.place.next_epoch()
            supernets.save(state, run)
    # derive the final architecture from softmax(alpha)
    return relaxation.finish(state, mixture, watch, run)


# --- The equations -------------------------------------------------------------------------------------------------


def mixture(alpha: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How likely each operation is drawn: softmax(alpha). Shapes (E, O) in and out."""
    return {kind: logits.softmax(dim=-1) for kind, logits in alpha.items()}


def temperature(config: Config, place: loop.Place, epoch: int) -> float:
    """tau: linear in the epoch, from tau_max at the first of the schedule to tau_min at the last."""
    last = (config.schedule_epochs or place.epochs_before + config.epochs) - 1
    share = (place.epochs_before + epoch) / last if last else 0.0
    return config.tau_max - (config.tau_max - config.tau_min) * share


def soft_sample(alpha: Tensor, exponential: Tensor, tau: float) -> Tensor:
    """softmax((log softmax(alpha) - log E) / tau): the draw's relaxation. Shapes (E, O)."""
    return ((alpha.log_softmax(dim=-1) - exponential.log()) / tau).softmax(dim=-1)


def straight_through(soft: Tensor) -> Tensor:
    """h: 1 at the largest number of each row, 0 elsewhere; its gradient is that of `soft`. Shapes (E, O)."""
    hard = torch.zeros_like(soft).scatter(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return hard - soft.detach() + soft


def hard_sample(alpha: Tensor, tau: float, generator: torch.Generator) -> Tensor:
    """h of one draw, which is repeated if the noise or the relaxation is not finite. Shapes (E, O).

    Raises CannotContinueError if no draw is finite, since alpha is not.
    """
    for _ in range(MOST_DRAWS):
        noise = exponential(alpha, generator)
        soft = soft_sample(alpha, noise, tau)
        if bool((noise.log().isfinite() & soft.isfinite()).all()):
            return straight_through(soft)
    fault = f"alpha gives no finite draw at tau {tau:.3g}; the last checkpoint is intact"
    raise CannotContinueError(f"{fault}; start a new run with a smaller --alpha-lr or --lr")


def exponential(like: Tensor, generator: torch.Generator) -> Tensor:
    """E, drawn in double on the CPU, so that every device and number format draws the same."""
    noise = torch.empty(like.shape, dtype=torch.float64).exponential_(generator=generator)
    return noise.to(like.dtype).to(like.device)


def rows(hard: Tensor, operations: Sequence[Sequence[str]], undrawn: Undrawn) -> list[Row]:
    """What the supernet computes of h (E, O): of each edge the drawn operation, times its weight.

    scalars: plus the sum of the other weights, a bare number 0 whose gradient is the sum of what arrives at the map.
    """
    index = hard.argmax(dim=-1, keepdim=True)
    drawn, others = hard.gather(-1, index).squeeze(-1), hard.scatter(-1, index, 0.0).sum(dim=-1)
    names = [own[number] for own, number in zip(operations, index.squeeze(-1).tolist(), strict=True)]
    each = zip(names, drawn, others, strict=True)
    return [{name: weight, **({BARE: bare} if undrawn == "scalars" else {})} for name, weight, bare in each]


# --- The steps of the loop -----------------------------------------------------------------------------------------


def begin(config: Config, space: SearchSpace, data: Data, run: Run, supernet: nn.Module | None) -> State:
    """The supernet with its alpha and both optimizers, as at the start or as in the run's checkpoint."""
    supernet = supernets.placed(config, space, data, run, supernet)
    alpha = relaxation.initial_alpha(supernet, run, config.alpha_init)
    betas = (config.alpha_beta1, config.alpha_beta2)
    adam = optimizers.Adam(list(alpha.values()), config.alpha_lr, betas, weight_decay=config.alpha_weight_decay)
    sgd = optimizers.momentum_sgd(
        supernet.parameters(), config.lr, config.momentum, config.weight_decay,
        nesterov=config.nesterov and config.momentum > 0,
    )  # fmt: skip
    goals = cost_goals.goals_of(config, space, data, run, alpha)
    state = State(space, supernet, sgd, loop.Place(timer=Timer(run.device.type)), alpha, adam, goals)
    supernets.start(state, config, run, CARRIED)
    return state


def drawn(state: State, tau: float, generator: torch.Generator, undrawn: Undrawn = "none") -> Drawn:
    """One operation for every edge of every kind of cell, drawn by alpha as it stands."""
    mixed = FAMILIES[state.space.family].mixed(state.space)
    return {
        kind: rows(hard_sample(logits, tau, generator), mixed[kind], undrawn) for kind, logits in state.alpha.items()
    }


def update_weights(config: Config, state: State, task: Task, batch: Batch, tau: float, run: Run, lr: float) -> Sums:
    """Line 1 of the loop: one step of SGD on a training batch, of what was drawn. Returns the task's sums over it."""
    with torch.no_grad():
        choice = drawn(state, tau, run.generator("draw-weights", state.place.step))
    outcome = task.loss(loop.model_of(run, state.supernet, choice), batch)
    from_scratch.step(outcome.loss, state.w_optimizer, lr, config.grad_clip)
    return outcome.sums


def update_alpha(config: Config, state: State, task: Task, batch: Batch, tau: float, run: Run) -> Tensor:
    """Line 2 of the loop. Returns the validation loss; leaves w and the BatchNorm buffers as they were."""
    alpha = list(state.alpha.values())
    with restored_buffers(state.supernet), optimizers.frozen(state.w_optimizer.param_groups[0]["params"]):
        choice = drawn(state, tau, run.generator("draw-alpha", state.place.step), config.undrawn)
        loss = task.loss(loop.model_of(run, state.supernet, choice), batch).loss
        gradients = optimizers.gradient(loss, alpha)
    for tensor, gradient in zip(alpha, state.goals.added(gradients, state.alpha), strict=True):
        tensor.grad = gradient
    state.alpha_optimizer.step()
    return loss.detach()


def scored_draws(state: State, tau: float, run: Run) -> Callable[[], Drawn]:
    """What draws the choices by which an epoch is scored."""
    generator = run.generator("draw-scored", state.place.epoch)
    return torch.no_grad()(lambda: drawn(state, tau, generator))
