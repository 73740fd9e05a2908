"""The fast form of elastic mobile networks computes what the plain one does, with all gradients and statistics."""

from pathlib import Path
from random import Random

import pytest
import torch
from torch.nn import functional as F

from dartboard import kernels
from dartboard.config import Setup
from dartboard.kernels import channelwise
from dartboard.methods import method_module
from dartboard.networks.mobilenet import Supernet
from dartboard.runs.run import Run
from dartboard.search import supernets
from dartboard.spaces import mobilenet as space
from dartboard.testing import tiny

pytestmark = [
    pytest.mark.usefixtures("global_rng"),
    pytest.mark.skipif(not kernels.available(), reason=f"compiled kernels: {kernels.why_not()}"),
]


def both(plan: str, last: bool) -> tuple[Supernet, Supernet]:
    """The same weights in the two forms, in double."""
    made = [Supernet(plan=plan, channels=8, num_classes=3, form=form).double() for form in ("plain", "fast")]
    made[1].load_state_dict(made[0].state_dict())
    layout = torch.channels_last if last else torch.contiguous_format
    return made[0].to(memory_format=layout), made[1].to(memory_format=layout)  # type: ignore[call-overload]


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("plan", ["ofa-8", "bignas-8", "ofa-32", "bignas-32"])
def test_logits_gradients_and_statistics_of_the_two_forms_agree(plan: str, last: bool) -> None:
    plain, fast = both(plan, last)
    x, y = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    elastic, rng = space.SPACES[plan], Random(3)
    for architecture in (elastic.largest(), elastic.sample(rng), elastic.sample(rng), elastic.smallest()):
        found = []
        for net in (plain, fast):
            net.zero_grad(set_to_none=True)
            logits = net(x, architecture)
            F.cross_entropy(logits, y).backward()  # type: ignore[no-untyped-call]
            gradients = {name: one.grad for name, one in net.named_parameters() if one.grad is not None}
            found.append({"logits": logits.detach(), **gradients, **dict(net.named_buffers())})
        assert found[0].keys() == found[1].keys()
        for name, wanted in found[0].items():
            torch.testing.assert_close(found[1][name], wanted, rtol=1e-10, atol=1e-10, msg=name)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", channelwise.SIDES)
@pytest.mark.parametrize(("channels", "size"), [(5, (1, 2)), (8, (4, 4)), (24, (9, 6)), (40, (7, 8))])
def test_compiled_gradients_of_a_depthwise_convolution_are_torchs(
    channels: int, size: tuple[int, int], side: int, stride: int
) -> None:
    x = torch.randn(3, channels, *size, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    kernel = torch.randn(channels, 1, side, side, dtype=torch.float64, requires_grad=True)
    results = [F.conv2d(x, kernel, None, stride, side // 2, 1, channels), channelwise.depthwise(x, kernel, stride)]
    gradient = torch.randn_like(results[0])
    wanted, found = (torch.autograd.grad(result, (x, kernel), gradient) for result in results)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


def test_the_same_threads_give_the_same_bits() -> None:
    x = torch.randn(6, 24, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    kernel, before = torch.randn(24, 1, 5, 5, requires_grad=True), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        all_found = [torch.autograd.grad(channelwise.depthwise(x, kernel, 1).square().sum(), kernel) for _ in range(4)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one[0], all_found[0][0]) for one in all_found)


@pytest.mark.parametrize("method", ["bignas", "ofa"])
def test_the_form_is_a_setting_and_reaches_the_depthwise_convolutions(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[int]()
    original = channelwise.depthwise
    monkeypatch.setattr(channelwise, "depthwise", lambda x, *rest: calls.append(len(x)) or original(x, *rest))
    elastic, data = space.SPACES[f"{method}-8"], tiny.digits()
    x = torch.randn(2, data.channels, 8, 8).to(memory_format=torch.channels_last)
    large = [block for block in space.net_of(elastic.largest(), 8).blocks if block.kernel > 3]
    for form, expected in (("plain", 0), ("fast", len(large))):
        config = method_module(method).Config(channels=8, cells=4, supernet=form)
        with Run.create(tmp_path / form, config, setup=Setup(device="cpu")) as run:
            supernet = supernets.placed(config, elastic, data, run)
        supernet(x, elastic.largest())
        assert len(calls) == expected
        supernet(x, elastic.smallest())  # of kernels of 3
        assert len(calls) == expected
    assert large and method_module(method).Config(channels=8, cells=4).supernet == "fast"
