"""Where the time of an epoch goes: seconds by name, without making the host wait for a GPU.

On a GPU the moments are CUDA events in the stream of the work, read when the numbers of the steps are read; elsewhere
they are the host's clock (on mps, too, which works behind the host's back: there the parts say little).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Moment = Any  # seconds, or a torch.cuda.Event
STEPS = ("alpha", "weights")  # the parts in which networks learn


@dataclass
class Timer:
    """spent: seconds by the names of the parts, a part inside of another as "outer/inner"."""

    device: str = "cpu"
    spent: dict[str, float] = field(default_factory=dict)
    _open: list[tuple[str, Moment]] = field(default_factory=list, init=False)
    _unread: list[tuple[str, Moment, Moment]] = field(default_factory=list, init=False)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Around a part of the work."""
        self.start(name)
        try:
            yield
        finally:
            self.stop()

    def start(self, name: str) -> None:
        outer = f"{self._open[-1][0]}/" if self._open else ""
        self._open.append((outer + name, self.now()))

    def stop(self) -> None:
        """Ends the part started last."""
        name, start = self._open.pop()
        self._unread.append((name, start, self.now()))

    def now(self) -> Moment:
        """This moment of the device's work; None while a graph is recorded, which happens outside of time."""
        if self.device != "cuda":
            return time.perf_counter()
        if torch.cuda.is_current_stream_capturing():
            return None
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def read(self) -> None:
        """Adds up the parts that the device has finished. Waits for nothing."""
        unread, self._unread = self._unread, []
        for name, start, end in unread:
            if start is None or end is None:
                continue
            if isinstance(start, float):
                self.spent[name] = self.spent.get(name, 0.0) + end - start
            elif end.query():
                self.spent[name] = self.spent.get(name, 0.0) + start.elapsed_time(end) / 1000.0
            else:
                self._unread.append((name, start, end))

    def seconds(self) -> dict[str, float]:
        """Seconds of every outermost part as NAME_s; of the steps forward_s, backward_s, optimizers_s where known.

        backward_s is what the steps do besides: backward passes, clipping, and moving weights to where a gradient is
        taken.
        """
        self.read()
        found = {f"{name}_s": spent for name, spent in self.spent.items() if "/" not in name}
        inner = {
            part: sum(self.spent.get(f"{step}/{part}", 0.0) for step in STEPS) for part in ("forward", "optimizer")
        }
        if all(inner.values()):
            steps = sum(self.spent.get(step, 0.0) for step in STEPS)
            found["forward_s"], found["optimizers_s"] = inner["forward"], inner["optimizer"]
            found["backward_s"] = max(0.0, steps - sum(inner.values()))
        return found

    @contextmanager
    def watching(self, *parts: nn.Module | torch.optim.Optimizer) -> Iterator[None]:
        """Tells the calls of modules, as "forward", and of optimizers apart from what is around them."""
        hooks = []
        for part in parts:
            if isinstance(part, nn.Module):
                hooks.append(part.register_forward_pre_hook(lambda *_: self.start("forward")))
                hooks.append(part.register_forward_hook(lambda *_: self.stop(), always_call=True))
            else:
                hooks.append(part.register_step_pre_hook(lambda *_: self.start("optimizer")))
                hooks.append(part.register_step_post_hook(lambda *_: self.stop()))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
