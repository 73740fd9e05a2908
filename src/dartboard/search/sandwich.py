"""A step in which several parts of one supernet learn from the same batch: their gradients are added up, and one step
of the optimizer follows. One backward pass after another, so that the memory is that of the largest part."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dartboard.runs.run import Run
from dartboard.search.supernets import State
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.task import Batch, Outcome, Task
from dartboard.training import from_scratch, loop


def soft_cross_entropy(logits: Tensor, teacher: Tensor) -> Tensor:
    """Mean over the batch of  -sum_c q_c log p_c  with q, p the softmax of both logits (B, classes); nothing is learned
    by the teacher."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits, teacher.detach().to(logits.dtype).softmax(1))


def learned(
    state: State, task: Task, run: Run, a: Architecture, batch: Batch, teacher: Tensor | None = None,
    weight: float = 1.0,
) -> Outcome:  # fmt: skip
    """Adds the gradient of the task's loss of a part of the supernet and, with this weight, of the cross entropy to a
    teacher's logits, if there is one."""
    outcome = task.loss(loop.model_of(run, state.supernet, a), batch)
    loss = outcome.loss
    if teacher is not None:
        loss = loss + weight * soft_cross_entropy(outcome.output.logits, teacher)
    loss.backward()  # type: ignore[no-untyped-call]
    return outcome


def learned_from_teacher(state: State, task: Task, run: Run, a: Architecture, batch: Batch, teacher: Tensor) -> Outcome:
    """Adds the gradient of the cross entropy to a teacher's logits; what is returned is the task's loss of it."""
    output = loop.model_of(run, state.supernet, a)(batch.x, None)
    soft_cross_entropy(output.logits, teacher).backward()  # type: ignore[no-untyped-call]
    return task.loss(lambda x, known: output._replace(logits=output.logits.detach()), batch)


def begin(state: State) -> None:
    """No gradients: what no part reaches is moved by neither momentum nor weight decay."""
    state.w_optimizer.zero_grad(set_to_none=True)


def end(state: State, lr: float, grad_clip: float) -> None:
    """The step of the optimizer with the gradients that were added up."""
    from_scratch.apply(state.w_optimizer, lr, grad_clip)


def mean_loss(outcomes: Sequence[Outcome]) -> Tensor:
    """The sums over the batch of what people are shown, on average over several parts."""
    return torch.stack([outcome.sums["loss"] for outcome in outcomes]).mean()
