"""Colour jitter against slow oracles: PIL for brightness, contrast and saturation, colorsys for hue."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from dartboard.data.color import blend, color_jitter, grey, turn_hue
from dartboard.errors import InputError


def images(num: int = 6, side: int = 5) -> Tensor:
    """Random colours, with black, white, grey, and pure ones among them."""
    drawn = torch.randint(0, 256, (num, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    corners = torch.tensor([[0, 0, 0], [255, 255, 255], [128, 128, 128], [255, 0, 0], [0, 255, 255]], dtype=torch.uint8)
    drawn[:, :, 0, :] = corners.T[None]
    return drawn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(x: Tensor) -> Image.Image:
    return Image.fromarray(x.permute(1, 2, 0).numpy())


def as_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def slow(x: Tensor, brightness: float, contrast: float, saturation: float, turn: float) -> Tensor:
    """One image (3, H, W), by PIL, then pixel by pixel by colorsys."""
    image = ImageEnhance.Brightness(picture(x)).enhance(brightness)
    image = ImageEnhance.Contrast(image).enhance(contrast)
    image = ImageEnhance.Color(image).enhance(saturation)
    out = as_tensor(image).float() / 255
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            hue, spread, value = colorsys.rgb_to_hsv(*out[:, row, column].tolist())
            out[:, row, column] = torch.tensor(colorsys.hsv_to_rgb((hue + turn) % 1.0, spread, value))
    return out * 255


def test_every_image_is_recoloured_as_the_slow_oracle_does_it() -> None:
    x, strength, hue = images(), 0.4, 0.2
    again = generator(3)
    factors = [torch.rand(len(x), 1, 1, 1, generator=again).flatten() for _ in range(4)]
    found = color_jitter(x, strength, hue, generator(3))
    assert found.dtype == torch.uint8
    for number, image in enumerate(x):
        brightness, contrast, saturation = (1 + strength * (2 * float(f[number]) - 1) for f in factors[:3])
        turn = (2 * float(factors[3][number]) - 1) * hue
        expected = slow(image, brightness, contrast, saturation, turn)
        # PIL cuts to whole levels after each of its three steps; a turned hue can stretch that a little.
        assert float((found[number].float() - expected).abs().max()) <= 6.0
        assert float((found[number].float() - expected).abs().mean()) <= 2.0


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 1 / 3, 0.5])
def test_a_turn_of_the_hue_is_that_of_colorsys_pixel_by_pixel(turn: float) -> None:
    x = images().double() / 255
    found = turn_hue(x, torch.full((len(x), 1, 1, 1), turn, dtype=torch.float64))
    for pixel, recoloured in zip(
        x.permute(0, 2, 3, 1).reshape(-1, 3), found.permute(0, 2, 3, 1).reshape(-1, 3), strict=True
    ):
        hue, spread, value = colorsys.rgb_to_hsv(*pixel.tolist())
        assert recoloured.tolist() == pytest.approx(colorsys.hsv_to_rgb((hue + turn) % 1.0, spread, value), abs=1e-9)


def test_a_third_of_a_turn_brings_red_to_green_and_grey_stays() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    assert turn_hue(red, torch.full((1, 1, 1, 1), 1 / 3)).flatten().tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)
    dull = torch.full((1, 3, 1, 1), 0.4)
    assert turn_hue(dull, torch.full((1, 1, 1, 1), 0.3)).flatten().tolist() == pytest.approx([0.4] * 3)


def test_grey_is_pils_and_a_blend_is_clipped() -> None:
    x = images()
    for image, found in zip(x, grey(x.float()), strict=True):
        expected = torch.from_numpy(np.array(picture(image).convert("L"))).float()
        assert float((found[0] - expected).abs().max()) <= 1.0
    one, zero = torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)
    assert blend(one, zero, torch.tensor(1.5)).max() == 1.0
    assert blend(zero, one, torch.tensor(1.5)).min() == 0.0


def test_at_zero_nothing_changes_and_nothing_is_drawn() -> None:
    x, own = images(), generator()
    assert color_jitter(x, 0.0, 0.0, own) is x
    assert torch.equal(own.get_state(), generator().get_state())


def test_with_hue_alone_brightness_stays_and_with_strength_alone_grey_stays_grey() -> None:
    x = images()
    turned = color_jitter(x, 0.0, 0.5, generator())
    assert torch.equal(turned.amax(1), x.amax(1))
    assert not torch.equal(turned, x)
    dull = x[:, :1].expand(-1, 3, -1, -1)
    recoloured = color_jitter(dull, 0.9, 0.5, generator())
    assert int((recoloured.amax(1).int() - recoloured.amin(1).int()).max()) <= 1
    assert not torch.equal(recoloured, dull)


def test_images_are_recoloured_each_on_its_own_and_by_the_generator_alone() -> None:
    same = images()[:1].expand(6, -1, -1, -1)
    found = color_jitter(same, 0.4, 0.2, generator())
    assert len({image.numpy().tobytes() for image in found}) == 6
    assert torch.equal(found, color_jitter(same, 0.4, 0.2, generator()))
    assert not torch.equal(found, color_jitter(same, 0.4, 0.2, generator(1)))


def test_images_without_three_channels_are_refused() -> None:
    with pytest.raises(InputError, match="needs 3 channels, these images have 1"):
        color_jitter(images()[:, :1], 0.4, 0.0, generator())
