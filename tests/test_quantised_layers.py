"""The quantiser: how many values, which gradients, and that 32 bits change nothing."""

import pytest
import torch
from torch import Tensor, nn

from dartboard.export.folding import folded
from dartboard.networks import shufflenetv2 as networks
from dartboard.networks.quantised_layers import (
    FIRST_CLIP,
    LEAST_CLIP,
    QuantisedConv,
    quantised_activation,
    quantised_weight,
)
from dartboard.scoring.cost import count_module
from dartboard.spaces import SPACES
from dartboard.spaces import shufflenetv2 as space
from dartboard.testing import tiny
from dartboard.training.from_scratch import redraw

DTYPES = (torch.float32, torch.float64)


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def gradient(result: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    """Of the sum of the result times 1, 2, 3 ..."""
    weights = torch.arange(1.0, result.numel() + 1, dtype=result.dtype).view(result.shape)
    return torch.autograd.grad((weights * result).sum(), of)


# --- Weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_a_channel_has_at_most_2_to_the_bits_values_and_they_are_symmetric(bits: int, dtype: torch.dtype) -> None:
    weight = drawn(5, 60, 3, 3, dtype=dtype).sin()  # so many that no value is without a weight
    found = quantised_weight(weight, bits)
    for before, channel in zip(weight, found, strict=True):
        values = channel.unique()
        assert len(values) == (2 if bits == 1 else 2**bits - 1) <= 2**bits
        assert torch.equal(values, -values.flip(0))
        largest = before.abs().mean() if bits == 1 else before.abs().max()
        assert torch.allclose(values[-1], largest, rtol=1e-6)


def test_a_weight_goes_to_the_nearest_value_of_its_channel() -> None:
    weight = torch.tensor([[-1.0, -0.51, 0.3, 0.2], [0.0, 4.0, 1.9, 2.1]]).view(2, 4, 1, 1)
    found = quantised_weight(weight, 2).view(2, 4)
    assert found.tolist() == [[-1, -1, 0, 0], [0, 4, 0, 4]]
    thirds = quantised_weight(weight, 3).view(2, 4)
    assert torch.allclose(thirds, torch.tensor([[-1, -2 / 3, 1 / 3, 1 / 3], [0, 4, 4 / 3, 8 / 3]]))


def test_one_bit_is_the_sign_times_the_mean_magnitude_and_zero_has_a_sign() -> None:
    weight = torch.tensor([[-3.0, 0.0, 1.0, 4.0]]).view(1, 4, 1, 1)
    assert quantised_weight(weight, 1).flatten().tolist() == [-2, 2, 2, 2]


@pytest.mark.parametrize("bits", [1, 2, 4, 32])
def test_the_gradient_of_a_weight_is_that_of_its_quantised_value(bits: int) -> None:
    weight = drawn(3, 4, 1, 1).requires_grad_()
    (found,) = gradient(quantised_weight(weight, bits), weight)
    assert torch.equal(found.flatten(), torch.arange(1.0, 13.0, dtype=torch.float64))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_channel_of_zeros_stays_so(bits: int) -> None:
    found = quantised_weight(torch.zeros(2, 3, 1, 1), bits)
    assert torch.equal(found, torch.zeros_like(found))


# --- Activations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_a_map_has_exactly_2_to_the_bits_values_from_0_to_the_clip(bits: int, dtype: torch.dtype) -> None:
    clip = torch.tensor(1.5, dtype=dtype)
    found = quantised_activation(3 * drawn(2, 3, 8, 8, dtype=dtype), clip, bits)
    values = found.unique()
    assert len(values) == 2**bits
    assert torch.allclose(values, torch.linspace(0, 1.5, 2**bits, dtype=dtype), rtol=1e-6)


def test_the_gradient_of_an_input_is_1_inside_the_clip_and_0_outside_and_above_it_is_the_clips() -> None:
    x = torch.tensor([-2.0, -0.1, 0.1, 0.6, 1.4, 1.6, 9.0], dtype=torch.float64).requires_grad_()
    clip = torch.tensor(1.5, dtype=torch.float64).requires_grad_()
    of_x, of_clip = gradient(quantised_activation(x, clip, 2), x, clip)
    assert of_x.tolist() == [0, 0, 3, 4, 5, 0, 0]
    assert of_clip.item() == 6 + 7


def test_a_clip_that_is_learned_below_zero_stays_above_it() -> None:
    x, clip = drawn(20), torch.tensor(-1.0, dtype=torch.float64)
    found = quantised_activation(x, clip, 2)
    assert found.min() == 0 and torch.allclose(found.max(), torch.tensor(LEAST_CLIP, dtype=torch.float64))


# --- Layers and networks ----------------------------------------------------------------------------------------------


def conv_of(offered: tuple[tuple[int, int], ...], groups: int = 1) -> QuantisedConv:
    with tiny.seeded():
        return QuantisedConv(4, 4, 3, 1, groups, offered).double()


@pytest.mark.parametrize("groups", [1, 4])
def test_a_convolution_is_that_of_quantised_weights_and_inputs(groups: int) -> None:
    conv, x = conv_of(space.BITS, groups), drawn(2, 4, 5, 5)
    for bits in space.BITS:
        clip = torch.tensor(FIRST_CLIP, dtype=torch.float64)
        inner = quantised_activation(x, clip, bits[1])
        wanted = nn.functional.conv2d(inner, quantised_weight(conv.weight, bits[0]), padding=1, groups=groups)
        assert torch.equal(conv(x, 4, bits), wanted)


def test_a_slice_has_the_largest_magnitude_of_its_own_weights() -> None:
    conv, x = conv_of(((2, 4),)), drawn(2, 2, 5, 5)
    with torch.no_grad():
        conv.weight[:, 2:] *= 100
    own = quantised_weight(conv.weight[:3, :2], 2)
    inner = quantised_activation(x, torch.tensor(FIRST_CLIP, dtype=torch.float64), 4)
    assert torch.equal(conv(x, 3, (2, 4)), nn.functional.conv2d(inner, own, padding=1))


def test_32_bits_are_the_float_network_exactly() -> None:
    bits, plain = (
        tiny.supernet(SPACES[name], num_classes=3).double() for name in ("shufflenetv2-8-bits", "shufflenetv2-8")
    )
    plain.load_state_dict({name: bits.state_dict()[name] for name in plain.state_dict()})
    numbers, x = [0, 1, 2, 3, 3, 0], drawn(3, 3, 8, 8)
    as_float = space.from_numbers(numbers, bits=[space.FLOAT] * 6)
    logits = bits(x, as_float)
    assert torch.equal(logits, plain(x, space.from_numbers(numbers)))
    assert not torch.equal(logits, bits(x, space.from_numbers(numbers, bits=[(4, 4)] * 6)))
    with tiny.seeded():
        network = networks.inherit(bits, as_float)  # type: ignore[arg-type]
    assert not any("clips" in name for name in network.state_dict())


def test_clips_that_a_path_does_not_use_have_no_gradient() -> None:
    net = tiny.supernet(SPACES["shufflenetv2-8-bits"], num_classes=3).double()
    net(drawn(3, 3, 8, 8), space.from_numbers([0] * 6, bits=[(2, 4)] * 6)).sum().backward()
    clips = {name: clip.grad for name, clip in net.named_parameters() if ".clips." in name}
    used = {name for name, found in clips.items() if found is not None}
    assert (
        used == {name for name in clips if ".shuffle_3x3." in name and name.endswith("of_4")}
        and len(used) == 6 * 3 + 2 * 2
    )


def test_a_new_training_begins_with_the_first_clip() -> None:
    network = conv_of(((2, 4),))
    with torch.no_grad():
        network.clips.get_parameter("of_4").fill_(9.0)
    with tiny.seeded():
        redraw(network)
    assert network.clips.get_parameter("of_4").item() == FIRST_CLIP


def test_a_folded_network_computes_the_same_in_few_bits() -> None:
    architecture = space.from_numbers([0, 1, 2, 3, 3, 0], [0.6] * 6, [*space.BITS])
    with tiny.seeded():
        network = networks.Network(architecture, channels=2, num_classes=3).double()
        for parameter in network.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    x = drawn(8, 3, 8, 8)
    network(x)
    assert torch.allclose(folded(network)(x), network.eval()(x), rtol=0, atol=1e-9)


def test_bit_operations_of_a_float_network_are_1024_a_multiply_add() -> None:
    with tiny.seeded():
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
        cost = count_module(module, 8)
    assert cost.bitops == 1024 * cost.macs and cost.numbers.keys() == {"params", "macs", "memory_mb"}
