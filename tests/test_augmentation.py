"""Batched augmentation against a slow oracle that treats one image after the other."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dartboard.data import Augmentation, augment, epoch_batches, normalise
from dartboard.errors import InputError

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def images(batch=7, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, 3, size, size), generator=generator, dtype=torch.uint8)


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def draws(high, batch, rng):
    return torch.randint(high, (batch,), generator=rng).tolist()


def oracle(batch, augmentation, rng):
    """The same numbers in the same order: flips, rows, columns; then the rows and the columns of the holes."""
    count, _, height, width = batch.shape
    p, side = augmentation.crop_padding, augmentation.cutout
    flips = draws(2, count, rng) if augmentation.flip else [0] * count
    tops = draws(2 * p + 1, count, rng) if p else [0] * count
    lefts = draws(2 * p + 1, count, rng) if p else [0] * count
    middles = list(zip(draws(height, count, rng), draws(width, count, rng), strict=True)) if side else []
    results = []
    for i, image in enumerate(batch.numpy()):
        padded = np.pad(image, ((0, 0), (p, p), (p, p)))
        crop = padded[:, tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
        crop = crop[:, :, ::-1] if flips[i] else crop
        scaled = crop.astype(np.float32) / np.float32(255)
        mean = np.array(augmentation.mean, np.float32)[:, None, None]
        result = (scaled - mean) / np.array(augmentation.std, np.float32)[:, None, None]
        if side:
            y, x = middles[i][0] - side // 2, middles[i][1] - side // 2
            for row in range(y, y + side):
                for column in range(x, x + side):
                    if 0 <= row < height and 0 <= column < width:
                        result[:, row, column] = 0
        results.append(result)
    return torch.from_numpy(np.stack(results))


@pytest.mark.parametrize("size", [5, 8, 32])
@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("cutout", [0, 1, 2, 3, 16, 40])
def test_the_batched_form_equals_the_slow_one(size, padding, flip, cutout):
    augmentation = Augmentation(padding, flip, cutout, MEAN, STD)
    batch = images(size=size)
    assert torch.equal(augment(batch, augmentation, generator()), oracle(batch, augmentation, generator()))


def test_without_options_it_only_normalises():
    batch = images()
    plain = Augmentation(0, False, 0, MEAN, STD)
    rng = generator()
    before = rng.get_state()
    assert torch.equal(augment(batch, plain, rng), normalise(batch, MEAN, STD))
    assert torch.equal(before, rng.get_state())


@pytest.mark.parametrize("options", [(1, False, 0), (0, True, 0), (0, False, 3)])
def test_each_option_changes_something(options):
    batch = images(batch=32)
    changed = augment(batch, Augmentation(*options, MEAN, STD), generator())
    assert not torch.equal(changed, normalise(batch, MEAN, STD))


def test_the_images_given_are_not_changed():
    batch = images()
    before = batch.clone()
    augment(batch, Augmentation(2, True, 4, MEAN, STD), generator())
    assert torch.equal(batch, before)


def test_the_same_generator_state_gives_the_same_batch_and_another_gives_another():
    batch, augmentation = images(batch=32), Augmentation(4, True, 4, MEAN, STD)
    one, same = (augment(batch, augmentation, generator(5)) for _ in range(2))
    assert torch.equal(one, same) and not torch.equal(one, augment(batch, augmentation, generator(6)))


def test_padding_is_black_before_normalising():
    white = torch.full((64, 3, 4, 4), 255, dtype=torch.uint8)
    result = augment(white, Augmentation(2, False, 0, MEAN, STD), generator())
    black = normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), MEAN, STD).flatten()
    light = normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), MEAN, STD).flatten()
    for channel in range(3):
        assert set(result[:, channel].unique().tolist()) == {black[channel].item(), light[channel].item()}


def test_shifts_flips_and_holes_are_uniform():
    count = 20_000
    batch = torch.zeros(count, 1, 3, 3, dtype=torch.uint8)
    batch[:, 0, 1, 1] = 255
    moved = augment(batch, Augmentation(1, False, 0, (0.0,), (1.0,)), generator()).sum((0, 1)) / count
    assert (moved - 1 / 9).abs().max() < 0.01
    batch[:, 0, 1, 1], batch[:, 0, 1, 0] = 0, 255
    mirrored = augment(batch, Augmentation(0, True, 0, (0.0,), (1.0,)), generator()).sum((0, 1)) / count
    assert abs(mirrored[1, 0].item() - 0.5) < 0.02 and abs(mirrored[1, 2].item() - 0.5) < 0.02
    pierced = augment(torch.ones_like(batch), Augmentation(0, False, 1, (0.0,), (1.0,)), generator())
    holes = (pierced == 0).float().mean((0, 1))
    assert (holes - 1 / 9).abs().max() < 0.01


def test_a_hole_covers_side_times_side_pixels_where_no_border_clips_it():
    white = torch.full((500, 1, 16, 16), 255, dtype=torch.uint8)
    for side in (1, 2, 3, 4):
        areas = (augment(white, Augmentation(0, False, side, (0.0,), (1.0,)), generator()) == 0).sum((1, 2, 3))
        assert areas.max() == side * side and areas.min() >= ((side + 1) // 2) ** 2


def test_channels_last_images_stay_channels_last():
    batch, augmentation = images(), Augmentation(2, True, 3, MEAN, STD)
    result = augment(batch.to(memory_format=torch.channels_last), augmentation, generator())
    assert result.is_contiguous(memory_format=torch.channels_last)
    plain = augment(batch, augmentation, generator())
    assert plain.is_contiguous() and torch.equal(plain, result)


@pytest.mark.gpu
def test_a_cpu_generator_gives_the_same_batch_on_the_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    batch, augmentation = images(batch=32, size=32), Augmentation(4, True, 16, MEAN, STD)
    on_gpu = augment(batch.cuda(), augmentation, generator())
    assert on_gpu.is_cuda
    assert torch.allclose(on_gpu.cpu(), augment(batch, augmentation, generator()), rtol=0, atol=1e-6)
    rng = torch.Generator("cuda").manual_seed(0)
    assert augment(batch.cuda(), augmentation, rng).is_cuda and epoch_batches(10, 4, rng)[0].is_cuda


@pytest.mark.parametrize("options", [(-1, False, 0), (0, False, -2)])
def test_negative_pixels_are_refused(options):
    with pytest.raises(InputError, match="give 0 or more pixels"):
        Augmentation(*options, MEAN, STD)


def test_an_epoch_sees_every_image_once_in_another_order_each_time():
    rng = generator()
    one, other = epoch_batches(23, 5, rng), epoch_batches(23, 5, rng)
    assert [len(piece) for piece in one] == [5, 5, 5, 5, 3]
    assert torch.cat(one).sort().values.tolist() == list(range(23))
    assert torch.cat(one).tolist() != torch.cat(other).tolist()
    again = epoch_batches(23, 5, generator())
    assert torch.cat(one).tolist() == torch.cat(again).tolist()


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [(21, 5, [5, 5, 5, 6]), (6, 5, [6]), (5, 5, [5]), (1, 5, [1]), (3, 1, [1, 1, 1]), (4, 9, [4])],
)
def test_a_single_left_over_image_joins_the_batch_before(count, size, lengths):
    assert [len(piece) for piece in epoch_batches(count, size, generator())] == lengths


@pytest.mark.parametrize(("count", "size"), [(0, 4), (4, 0), (4, -1)])
def test_impossible_batches_are_refused(count, size):
    with pytest.raises(InputError, match="both must be 1 or more"):
        epoch_batches(count, size, generator())


VIEWS = {"view", "expand", "unsqueeze", "select", "slice", "unbind", "split", "alias", "_unsafe_view", "detach"}


class Launches(TorchDispatchMode):
    """The names of what is computed; views cost nothing."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.split(".")[0]
        self.names += [] if name in VIEWS else [name]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("cutout", "most"), [(0, 18), (16, 32)])
def test_a_batch_is_one_gather_and_a_chain_that_does_not_grow(cutout, most):
    batch, augmentation = images(batch=64, size=32), Augmentation(4, True, cutout, MEAN, STD)
    augment(batch, augmentation, generator())  # makes what is kept for the next ones
    with Launches() as launches:
        augment(batch, augmentation, generator())
    assert len(launches.names) <= most and launches.names.count("index_select") == 1 and "index" not in launches.names
