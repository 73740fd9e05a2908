"""CUDA graphs: a step is recorded once and replayed, so that a GPU never waits for its kernels to be launched.

`captured(step)` is the step with the same arguments and results. Its first calls run as they are: they make what the
step keeps (momentum, Adam's averages), and tune the convolutions. Then, for each kind of arguments, one call is
recorded: its tensors are copied into places that stay, numbers become tensors of shape () among them, and from then on
a call fills the places and replays. What cannot be recorded runs as before, after one line that says so.

A recording runs nothing, so the step's state does not move while it is recorded, and a failed one leaves it as it was.
`DARTBOARD_GRAPHS=0` in the environment switches recording off.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from dartboard.runs.allocator import out_of_memory

Result = TypeVar("Result")  # a tensor, a tuple of tensors, or tensors by name
Argument = Tensor | float
Key = tuple[Any, ...]
Recording = Callable[[], Any]  # runs a step on its places; its results are overwritten by the next call
WARM_UP = 3  # calls before one is recorded
RECORDING = threading.Lock()  # one recording at a time in a process


def wanted(device: torch.device) -> bool:
    return device.type == "cuda" and os.environ.get("DARTBOARD_GRAPHS", "1") != "0"


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """On a GPU the work inside goes to a stream of its own: it can be recorded, and runs beside other threads."""
    if device.type != "cuda":
        yield
        return
    outside, inside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    inside.wait_stream(outside)
    with torch.cuda.stream(inside):
        yield
    outside.wait_stream(inside)


def recorded_by_cuda(step: Callable[..., Any], places: Sequence[Tensor], pool: Any) -> Recording:
    """The step as a CUDA graph of the present stream, whose memory comes from a pool. Raises RuntimeError.

    Only this thread's calls are watched while it is recorded: those of other searches in the process continue.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    own = None if stream == torch.cuda.default_stream() else stream  # nothing can be recorded on the default stream
    with RECORDING, torch.cuda.graph(graph, pool=pool, stream=own, capture_error_mode="thread_local"):
        results = step(*places)

    def replay() -> Any:
        graph.replay()
        return results

    return replay


@dataclass
class Recorder:
    """Makes steps replayable. record: what records one; pool: of memory, shared by steps that run one after another."""

    record: Callable[[Callable[..., Any], Sequence[Tensor], Any], Recording] = recorded_by_cuda
    pool: Any = None
    broken: bool = field(default=False, init=False)

    def captured(self, step: Callable[..., Result]) -> Callable[..., Result]:
        """The step, recorded. Its arguments are tensors and numbers; what else it reads or moves lies in tensors."""
        calls: dict[Key, int] = {}
        recordings: dict[Key, tuple[list[Tensor], Recording]] = {}

        def call(*arguments: Argument) -> Result:
            key = tuple(kind(argument) for argument in arguments)
            if key not in recordings and (self.broken or calls.setdefault(key, 0) < WARM_UP):
                calls[key] = calls.get(key, 0) + 1
                return step(*places_for(arguments))
            if key not in recordings:
                places = places_for(arguments)
                recording = self.try_to_record(step, places)
                if recording is None:
                    return step(*places)
                recordings[key] = places, recording
            places, replay = recordings[key]
            fill(places, arguments)
            return copied(replay())  # type: ignore[no-any-return]

        return call

    def try_to_record(self, step: Callable[..., Any], places: Sequence[Tensor]) -> Recording | None:
        """None if it fails, with a line on stderr. Raises RuntimeError for want of memory."""
        try:
            return self.record(step, places, self.pool)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            self.broken = True
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            print(f"no CUDA graph of the step; it runs without one, slower: {reason}", file=sys.stderr, flush=True)
            return None


def recorder(device: torch.device) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """What makes the steps of one loop on a device replayable: `captured` of a Recorder; without graphs, nothing."""
    if not wanted(device):
        return lambda step: step
    return Recorder(pool=torch.cuda.graph_pool_handle()).captured


def kind(argument: Argument) -> Any:
    """What must be the same for a recording to be replayed: shape, number format and layout."""
    if isinstance(argument, Tensor):
        return tuple(argument.shape), argument.dtype, argument.stride()
    return float


def places_for(arguments: Sequence[Argument]) -> list[Tensor]:
    """Copies of the tensors, and numbers as float32 tensors of shape () on their device."""
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    return [
        torch.empty_like(argument).copy_(argument)
        if isinstance(argument, Tensor)
        else torch.full((), argument, dtype=torch.float32, device=device)
        for argument in arguments
    ]


def fill(places: Sequence[Tensor], arguments: Sequence[Argument]) -> None:
    for place, argument in zip(places, arguments, strict=True):
        place.copy_(argument) if isinstance(argument, Tensor) else place.fill_(argument)


def copied(results: Any) -> Any:
    """The results where the next replay does not overwrite them."""
    if isinstance(results, Mapping):
        return {name: result.clone() for name, result in results.items()}
    return results.clone() if isinstance(results, Tensor) else tuple(result.clone() for result in results)
