"""What a network computes, as an Output, whoever made it: plain tables of what the networks of a family can do."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dartboard.networks import blocks, family_of
from dartboard.networks.fast import fast_network
from dartboard.tasks.task import Output


def fast_cells(network: Any, x: Tensor, drop: Tensor | None) -> Output:
    logits, auxiliary = fast_network.logits(network, x, drop)
    return Output(logits, auxiliary=auxiliary)


# By family. OWN: those whose `Supernet` and `Network` have `output`; what the others give are logits and no more. FAST:
# how its `Network` computes fast; those that are not here have one form. DRAWN: the drop-path factors of a batch; the
# others drop nothing.
OWN = ("darts", "enas_micro", "nasnet")
FAST: Mapping[str, Callable[[Any, Tensor, Tensor | None], Output]] = {"darts": fast_cells}
DRAWN: Mapping[str, Callable[[Any, Tensor, float, torch.Generator | None], Tensor | None]] = {
    "darts": fast_network.drawn,
    "enas_micro": blocks.drawn,
    "nasnet": blocks.drawn,
}


def output(
    network: nn.Module, x: Tensor, *choice: object, state: Any = None, drop: Tensor | None = None, form: str = "plain"
) -> Output:
    """What a network computes of x, or a supernet of x and a choice; another module gives its logits and no more.

    state: hidden state of the batch before; drop: drop-path factors, as `drawn` gives them; form: "plain", module by
    module, or "fast", the same function, of a network whose family has a fast form.
    """
    family = family_of(network, "Supernet" if choice else "Network")
    if family not in OWN:
        return Output(network(x, *choice))
    if form == "fast" and family in FAST and not choice:
        return FAST[family](network, x, drop)
    found: Output = network.output(x, *choice, state=state, drop=drop)  # type: ignore[operator]
    return found


def drawn(network: nn.Module, x: Tensor, chance: float, generator: torch.Generator) -> Tensor | None:
    """The drop-path factors of a batch x, all in one draw; None if the network drops nothing."""
    family = family_of(network)
    return None if family is None or family not in DRAWN else DRAWN[family](network, x, chance, generator)


def is_recordable(network: nn.Module, form: str) -> bool:
    """Whether a training step of the network in this form does nothing but what a CUDA graph can replay."""
    return form == "fast" and family_of(network) in FAST


def auxiliary_head(network: nn.Module) -> nn.Module | None:
    """The second classifier, which only helps training; None for a network without one."""
    return dict(network.named_children()).get("auxiliary_head")
