"""Steps downhill: torch.optim's SGD and Adam without the compiler they import, clipping, what is left out of gradients.

The compiler costs every process two CPU seconds, and memory.

torch wraps some methods of every optimizer so that torch.compile leaves them alone, and those wrappers import it. What
they wrap is torch's own code, and is all that is used here: same steps bit for bit, same state.
"""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

Kind = TypeVar("Kind", bound=type[torch.optim.Optimizer])
WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def without_compiler(cls: Kind) -> Kind:
    """The class of optimizers whose methods are those of `cls` below torch's wrappers."""
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(cls, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(cls.step))
    return type(cls.__name__, (cls,), methods)  # type: ignore[return-value]


SGD = without_compiler(torch.optim.SGD)
Adam = without_compiler(torch.optim.Adam)


def momentum_sgd(
    parameters: Iterable[Tensor], lr: float, momentum: float, weight_decay: float, *, nesterov: bool = False
) -> torch.optim.SGD:
    """SGD with momentum; on a CPU all tensors in one call, a fifth of the time if they are many and small.

    The fused step needs gradients in the memory layout of their weights, which is what `backward` leaves behind. Not
    every tensor has to have one at every step: with shared weights, those off the path have none.
    """
    weights = list(parameters)
    fused = True if weights[0].device.type in ("cpu", "cuda") else None  # None: torch picks
    made = SGD(weights, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=fused)
    made.register_step_pre_hook(lambda optimizer, *_: fill_buffers(optimizer))
    return made


def fill_buffers(optimizer: torch.optim.Optimizer) -> None:
    """Zero momentum buffers for tensors that are updated for the first time when others were updated before.

    torch's fused step takes all buffers or none; from zero it makes what it makes of none.
    """
    moved = [tensor for group in optimizer.param_groups for tensor in group["params"] if tensor.grad is not None]
    fresh = [tensor for tensor in moved if optimizer.state[tensor].get("momentum_buffer") is None]
    if len(fresh) < len(moved):
        for tensor in fresh:
            optimizer.state[tensor]["momentum_buffer"] = torch.zeros_like(tensor)


@torch.no_grad()
def clip(gradients: Sequence[Tensor], largest: float) -> Tensor:
    """Scales the gradients in place so that their global norm is at most `largest`; returns the norm before, shape ().

    What torch.nn.utils.clip_grad_norm_ computes, bit for bit, with fewer calls; never read by the host.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    torch._foreach_mul_(list(gradients), torch.clamp(largest / (norm + 1e-6), max=1.0))
    return norm  # type: ignore[no-any-return]


def momentum_buffers(optimizer: torch.optim.Optimizer, w: Sequence[Tensor]) -> list[Tensor]:
    """SGD's momentum buffers of w, zero if a tensor was never moved; empty before the first step."""
    found = [optimizer.state[tensor].get("momentum_buffer") if tensor in optimizer.state else None for tensor in w]
    if all(buffer is None for buffer in found):
        return []
    return [torch.zeros_like(tensor) if buffer is None else buffer for buffer, tensor in zip(found, w, strict=True)]


@torch.no_grad()
def restore(w: Sequence[Tensor], original: Sequence[Tensor]) -> None:
    """w = original, in place and bit for bit."""
    torch._foreach_copy_(list(w), list(original))


def gradient(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Gradients, zero for what the loss does not depend on."""
    return list(torch.autograd.grad(loss, tensors, allow_unused=True, materialize_grads=True))


@contextmanager
def frozen(leaves: Sequence[Tensor]) -> Iterator[None]:
    """Inside, nothing is recorded for the gradient of these leaves: for a pass whose gradient in others is wanted."""
    before = [leaf.requires_grad for leaf in leaves]
    for leaf in leaves:
        leaf.requires_grad_(False)
    try:
        yield
    finally:
        for leaf, wanted in zip(leaves, before, strict=True):
            leaf.requires_grad_(wanted)
