"""A step waits for no GPU: nothing in it reads a tensor's value. Counted on the CPU, and on a GPU if there is one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from operator import methodcaller
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

import tiny
from dartboard.config import Setup
from dartboard.data import Data, Split
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.spaces.search_space import SearchSpace
from dartboard.tasks import images
from dartboard.training import loop

aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
ORDERS = pytest.mark.parametrize("second_order", [False, True], ids=["first order", "second order"])
SMALLEST = tiny.space_of("skip_connect")


class Reads(TorchDispatchMode):
    """Counts the operations that bring a value to the host, but for the steps that Adam counts on the host anyway."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in READS and not is_adams_step(args[0]):
            self.count += 1
        return func(*args, **(kwargs or {}))


ADAMS: list[torch.optim.Optimizer] = []


def is_adams_step(tensor: Tensor) -> bool:
    states = [state for adam in ADAMS for state in adam.state.values()]
    return any(state.get("step") is tensor for state in states)


@contextmanager
def reads_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Reads by operations, and those that leave no operation behind."""
    reads = Reads()
    for name in ("tolist", "numpy", "cpu"):
        original = getattr(Tensor, name)

        def counted(self: Tensor, *args: Any, original: Any = original, **kwargs: Any) -> Any:
            reads.count += 1
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Tensor, name, counted)
    begin = darts.begin

    def noting_adam(*args: Any) -> darts.State:
        state = begin(*args)
        ADAMS.append(state.alpha_optimizer)
        return state

    monkeypatch.setattr(darts, "begin", noting_adam)
    monkeypatch.setattr(loop, "LOG_EVERY", 1000)
    with reads:
        yield reads
    ADAMS.clear()
    monkeypatch.undo()


def with_train(times: int) -> Data:
    """The digits with every training image so many times: more steps an epoch, the same images to score."""
    data = tiny.digits()
    more = Split(data.train.images.repeat(times, 1, 1, 1), data.train.labels.repeat(times))
    return replace(data, train=more)


def search(folder: Path, data: Data, device: str = "cpu", space: SearchSpace = tiny.FEW, **changes: Any) -> None:
    config = darts.Config(**{**tiny.SEARCH, "cutout": 2, "flip": True, **changes})
    with Run.create(folder, config, setup=Setup(device=device)) as run:  # type: ignore[arg-type]
        darts.search(config, space, data, run)


def fit(folder: Path, data: Data, device: str = "cpu") -> None:
    setup = Setup(device=device)  # type: ignore[arg-type]
    tiny.fit(folder, tiny.FEW.sample(Random(0)), data=data, setup=setup, drop_path=0.3)


def added_reads(work: Callable[[Path, Data], None], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many more reads there are with three times as many steps."""
    counts = []
    for times in (1, 3):
        data = with_train(times)
        with reads_counted(monkeypatch) as reads:
            work(folder / str(times), data)
        counts.append(reads.count)
    assert counts[0] > 0  # the numbers of an epoch are read
    return counts[1] - counts[0]


@ORDERS
def test_no_step_of_a_search_reads_a_value(second_order: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert added_reads(partial(search, second_order=second_order), tmp_path, monkeypatch) == 0


def test_no_step_of_a_training_reads_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert added_reads(fit, tmp_path, monkeypatch) == 0


@pytest.mark.parametrize("read", [float, bool, methodcaller("tolist"), methodcaller("nonzero")])
def test_a_read_in_a_step_is_seen_by_these_tests(
    read: Callable[[Tensor], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = images.cross_entropy

    def reading(logits: Tensor, labels: Tensor, *more: Any) -> Tensor:
        loss = original(logits, labels, *more)
        read(loss.detach())
        return loss

    with monkeypatch.context() as patched:
        patched.setattr(images, "cross_entropy", reading)
        assert added_reads(partial(search, space=SMALLEST), tmp_path, monkeypatch) > 0


@pytest.mark.gpu
@ORDERS
def test_no_step_of_a_search_makes_the_host_wait_for_the_gpu(
    second_order: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    monkeypatch.setattr(loop, "LOG_EVERY", 1000)
    search(tmp_path / "warm", with_train(1), "cuda", second_order=second_order)
    counts = []
    for times in (2, 4):
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
            search(tmp_path / str(times), with_train(times), "cuda", second_order=second_order)
        counts.append(sum(event.count for event in profiled.key_averages() if event.key in WAITS))
    assert counts[0] == counts[1] > 0
