"""What a pass computes and keeps, counted, not timed: it must not grow unnoticed.

A number in BOUNDS is what was counted when it was last set. Where a change makes one smaller, set it to the new number,
which the failing test tells; where one grows, say in the commit why that is worth it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from dartboard import kernels
from dartboard.formats import published
from dartboard.networks.darts import Network, Supernet

VIEWS = ("view", "permute", "slice", "select", "expand", "alias", "detach", "unbind", "split", "transpose")

# Of a forward and backward pass: operations that compute (views aside), convolutions forward and backward, and bytes
# kept for backward. Supernet: C=4, 4 cells, batch 16, 16x16. Network: DARTS_V2, C=4, 4 cells, batch 2, 32x32, auxiliary
# head, drop path.
BOUNDS: dict[str, dict[str, int]] = {
    "supernet, plain": {"operations": 7251, "convolutions": 1430, "bytes": 66_018_112},
    "supernet, fast, edge by edge": {"operations": 10066, "convolutions": 2370, "bytes": 17_607_136},
    "supernet, fast, small maps": {"operations": 4495, "convolutions": 278, "bytes": 28_275_072},
    "network, plain": {"operations": 473, "convolutions": 114, "bytes": 4_864_016},
    "network, fast": {"operations": 473, "convolutions": 114, "bytes": 4_585_488},
}


COMPILED_BYTES = 17_133_312  # of the supernet by the compiled kernels


class Counting(TorchDispatchMode):
    """Counts the operations that torch dispatches."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def counted(work: Callable[[], Tensor]) -> dict[str, int]:
    """Operations, convolutions and bytes kept of work() and its backward."""
    pieces: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        pieces[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with Counting() as mode:
        with saved_tensors_hooks(note, lambda tensor: tensor):
            loss = work()
        loss.backward()  # type: ignore[no-untyped-call]
    computing = {name: count for name, count in mode.calls.items() if not name.strip("_").startswith(VIEWS)}
    convolutions = mode.calls["convolution"] + mode.calls["convolution_backward"]
    return {"operations": sum(computing.values()), "convolutions": convolutions, "bytes": sum(pieces.values())}


def supernet(form: str) -> Callable[[], Tensor]:
    net = Supernet(channels=4, cells=4, form=form).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(16, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    choice = {kind: torch.full(shape, 0.125, requires_grad=True) for kind, shape in net.choice_shapes().items()}
    return lambda: net(x, choice).square().sum()  # type: ignore[no-any-return]


def network(form: str) -> Callable[[], Tensor]:
    net = Network(published()["DARTS_V2"].architecture, channels=4, cells=4).to(memory_format=torch.channels_last)  # type: ignore
    x = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def work() -> Tensor:
        logits, auxiliary = net.logits(x, 0.2, torch.Generator().manual_seed(0), form)
        assert auxiliary is not None
        return logits.square().sum() + auxiliary.square().sum()

    return work


WORKS = {
    "supernet, plain": lambda: supernet("plain"),
    "supernet, fast, edge by edge": lambda: supernet("fast"),
    "supernet, fast, small maps": lambda: supernet("fast"),
    "network, plain": lambda: network("plain"),
    "network, fast": lambda: network("fast"),
}


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("name", list(WORKS))
def test_a_pass_computes_and_keeps_no_more_than_when_it_was_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARTBOARD_KERNELS", "0")  # what a compiled kernel does inside is not dispatched
    if name.endswith("edge by edge"):  # as of the paper's size
        monkeypatch.setattr("dartboard.networks.fast.mixed_cell.SMALL_WORK", 0)
    work = WORKS[name]()
    work()  # tables that are made once a process are made
    found = counted(work)
    grown = {what: number for what, number in found.items() if number > BOUNDS[name][what]}
    assert not grown, f"{name} grew: counted {found}, at most {BOUNDS[name]}; if it is worth it, set BOUNDS to what was"
    shrunk = {what: number for what, number in found.items() if number < 0.9 * BOUNDS[name][what]}
    assert not shrunk, f"{name} shrank: counted {found}; set BOUNDS to it, so that it stays so small"


@pytest.mark.usefixtures("global_rng")
@pytest.mark.skipif(not kernels.available(), reason=f"compiled kernels: {kernels.why_not()}")
def test_the_compiled_kernels_keep_no_more_for_backward_than_when_it_was_counted() -> None:
    """What they compute inside is not dispatched, what they keep is seen."""
    work = supernet("fast")
    work()
    kept = counted(work)["bytes"]
    assert 0.9 * COMPILED_BYTES < kept <= COMPILED_BYTES, f"counted {kept}; if it is worth it, set COMPILED_BYTES"
    assert 0.35 * BOUNDS["supernet, plain"]["bytes"] > COMPILED_BYTES


def test_the_fast_forms_compute_and_keep_less_than_the_plain_ones() -> None:
    for what in ("operations", "convolutions"):
        assert BOUNDS["supernet, fast, small maps"][what] < 0.75 * BOUNDS["supernet, plain"][what]
    assert BOUNDS["supernet, fast, edge by edge"]["bytes"] < 0.3 * BOUNDS["supernet, plain"]["bytes"]
    assert BOUNDS["network, fast"]["operations"] <= BOUNDS["network, plain"]["operations"]
    assert BOUNDS["network, fast"]["bytes"] < BOUNDS["network, plain"]["bytes"]


def test_an_operation_a_convolution_and_a_kept_tensor_more_are_counted() -> None:
    weight, x = torch.ones(1, 1, 1, 1, requires_grad=True), torch.ones(1, 1, 4, 4)
    once = counted(lambda: torch.conv2d(x, weight).sum())
    twice = counted(lambda: torch.conv2d(torch.conv2d(x, weight).exp(), weight).sum())
    assert (once["convolutions"], twice["convolutions"]) == (2, 4)
    assert twice["operations"] >= once["operations"] + 4  # exp and a convolution, each with its backward
    assert twice["bytes"] == once["bytes"] + 64  # exp keeps its result, which is also what the convolution keeps
