"""The names of tensors of the authors' ENAS code (melodyguan/enas), and how their values become ours."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Turn = Callable[[Tensor], Tensor]


def kernel(found: Tensor) -> Tensor:
    """(k, k, in, out) as torch has it."""
    return found.permute(3, 2, 0, 1)


def depthwise(found: Tensor) -> Tensor:
    """(k, k, C, 1) as torch has it."""
    return found.permute(2, 3, 0, 1)


def as_it_is(found: Tensor) -> Tensor:
    return found


def norm(ours: str, theirs: str) -> Iterator[tuple[str, str, Turn]]:
    yield f"{ours}.weight", f"{theirs}/scale", as_it_is
    yield f"{ours}.bias", f"{theirs}/offset", as_it_is


def adjusted(ours: str, theirs: str, module: nn.Module) -> Iterator[tuple[str, str, Turn]]:
    """An input brought to a layer's width, halved or not; a factorized reduction."""
    if isinstance(module, nn.Sequential):
        yield f"{ours}.1.weight", f"{theirs}/w", kernel
        yield from norm(f"{ours}.2", f"{theirs}/bn")
    elif not isinstance(module, nn.Identity):
        for number in (1, 2):
            yield f"{ours}.conv_{number}.weight", f"{theirs}/path{number}_conv/w", kernel
        yield from norm(f"{ours}.bn", f"{theirs}/bn")


def golden(reference: Path, name: str) -> dict[str, Any]:
    with np.load(reference / "reference" / f"{name}.npz") as file:
        return {key: file[key] for key in file}


def tensor(found: Mapping[str, Any], name: str) -> Tensor:
    return torch.from_numpy(np.asarray(found[name]))


def filled(net: Any, names: list[tuple[str, str, Turn]], found: Mapping[str, Any], prefix: str) -> Any:
    """The net with the file's weights; every parameter gets one."""
    assert {ours for ours, *_ in names} == dict(net.named_parameters()).keys()
    state = net.state_dict()
    for ours, theirs, turn in names:
        state[ours] = turn(tensor(found, f"{prefix}{theirs}"))
        for statistic, name in (("running_mean", "moving_mean"), ("running_var", "moving_variance")):
            if theirs.endswith("/scale") and f"{prefix}{theirs[:-6]}/{name}" in found:
                state[ours.removesuffix("weight") + statistic] = tensor(found, f"{prefix}{theirs[:-6]}/{name}")
    net.load_state_dict(state)
    return net


def seeded(make: Callable[[], Any]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double()


def check_gradients(net: Any, names: list[tuple[str, str, Turn]], found: Mapping[str, Any], prefix: str) -> int:
    """Every gradient of the file is ours, and those that it lacks are none here; returns how many there are."""
    own, checked = dict(net.named_parameters()), 0
    for ours, theirs, turn in names:
        expected = turn(tensor(found, f"{prefix}{theirs}")) if f"{prefix}{theirs}" in found else None
        if own[ours].grad is None:
            assert expected is None or not expected.any(), ours
            continue
        assert expected is not None, ours
        torch.testing.assert_close(own[ours].grad, expected, rtol=1e-8, atol=1e-10, msg=ours)
        checked += 1
    return checked
