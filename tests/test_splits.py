"""Three named splits: seeded, stratified, fixed where they must be."""

import numpy as np
import pytest
import torch

from cifar_files import write_cifar10, write_cifar100
from dartboard.data import Data, load_data
from dartboard.data.splits import mean_and_std, quotas
from dartboard.errors import InputError


def keys(split):
    """Every image and label of a split as bytes, in order."""
    return [
        image.numpy().tobytes() + bytes([int(label)]) for image, label in zip(split.images, split.labels, strict=True)
    ]


def same(one: Data, other: Data) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("train", "val", "test")]
    return all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in pairs)


def test_digits_are_the_1797_images_of_the_uci_test_set():
    data = load_data("digits")
    assert (len(data.train), len(data.val), len(data.test)) == (719, 719, 359)
    assert data.train.images.shape == (719, 3, 8, 8) and data.train.images.dtype == torch.uint8
    assert data.train.labels.dtype == torch.int64
    assert (data.num_classes, data.channels, data.image_size) == (10, 3, 8)
    whole = torch.cat([data.train.images, data.val.images, data.test.images])
    assert torch.equal(whole[:, 0], whole[:, 1]) and torch.equal(whole[:, 0], whole[:, 2])
    assert sorted(whole.unique().tolist()) == [round(v * 255 / 16) for v in range(17)]
    labels = torch.cat([data.train.labels, data.val.labels, data.test.labels])
    assert torch.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_splits_share_no_image_and_lose_none():
    data = load_data("digits")
    train, val, test = keys(data.train), keys(data.val), keys(data.test)
    assert not set(train) & set(val) and not set(train) & set(test) and not set(val) & set(test)
    assert len(set(train + val + test)) == 1797


def test_the_same_seed_gives_the_same_splits_bit_for_bit():
    one, other = load_data("digits", seed=3), load_data("digits", seed=3)
    assert same(one, other) and one.fingerprint == other.fingerprint


def test_the_splits_of_digits_are_the_same_for_ever():
    assert load_data("digits", seed=0).fingerprint == (
        "4a3684c21316c4f3680eec4220c0a34d5c1a28241e06307ebbde4abd451c22ed"
    ), "the seeded split changed: earlier runs cannot be resumed or compared"


def test_another_seed_gives_another_train_and_val_but_the_same_test():
    one, other = load_data("digits", seed=0), load_data("digits", seed=1)
    assert keys(one.train) != keys(other.train) and keys(one.val) != keys(other.val)
    assert keys(one.test) == keys(other.test)
    assert one.fingerprint != other.fingerprint


def test_every_split_has_every_class_in_proportion():
    data = load_data("digits", seed=5)
    whole = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    for split, share in ((data.train, 0.4), (data.val, 0.4), (data.test, 0.2)):
        counts = torch.bincount(split.labels, minlength=10).numpy()
        assert np.abs(counts - share * whole).max() < 2


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.8])
def test_val_fraction_is_the_share_of_the_training_images_that_becomes_val(share):
    data = load_data("digits", val_fraction=share)
    assert len(data.val) == round(1438 * share) and len(data.train) == 1438 - len(data.val)


def test_the_official_split_takes_the_halves_by_index_whatever_the_seed(tmp_path):
    write_cifar10(tmp_path)
    data = load_data("cifar10", data_dir=tmp_path, official_split=True, seed=0)
    files = [np.fromfile(tmp_path / f"cifar-10-batches-bin/data_batch_{i}.bin", np.uint8) for i in range(1, 6)]
    pixels = np.concatenate(files).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
    assert np.array_equal(data.train.images.numpy(), pixels[:100])
    assert np.array_equal(data.val.images.numpy(), pixels[100:])
    assert same(data, load_data("cifar10", data_dir=tmp_path, official_split=True, seed=7))


def test_max_images_takes_so_many_training_images_and_leaves_test_alone():
    data = load_data("digits", max_images=200)
    assert len(data.train) + len(data.val) == 200 and len(data.test) == 359
    assert torch.bincount(data.train_and_val().labels).tolist() == [20] * 10


def test_max_images_takes_the_first_of_each_class_by_index(tmp_path):
    write_cifar10(tmp_path)
    data = load_data("cifar10", data_dir=tmp_path, max_images=40, official_split=True)
    pixels = np.fromfile(tmp_path / "cifar-10-batches-bin/data_batch_1.bin", np.uint8).reshape(-1, 3073)[:, 1:]
    assert np.array_equal(data.train_and_val().images.numpy().reshape(40, -1), pixels)


def test_max_images_above_what_there_is_takes_all_and_says_so():
    data = load_data("digits", max_images=5000)
    assert len(data.train_and_val()) == 1438
    assert any("5000" in note for note in data.notes)


def test_a_folder_given_for_data_that_need_none_is_noted(tmp_path):
    assert load_data("digits", data_dir=tmp_path).notes == ("digits does not use data_dir",)


def test_max_images_too_few_for_the_classes_is_refused(tmp_path):
    write_cifar100(tmp_path)
    with pytest.raises(InputError, match="max_images 100 is too few"):
        load_data("cifar100", data_dir=tmp_path, max_images=100)
    with pytest.raises(InputError, match="max_images 10 is too few"):
        load_data("digits", max_images=10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_fraction": 0.0}, "val_fraction is 0.0"),
        ({"val_fraction": 1.0}, "val_fraction is 1.0"),
        ({"val_fraction": float("nan")}, "val_fraction is nan"),
        ({"val_fraction": 0.0001}, "no image is left for val"),
        ({"val_fraction": 0.9999}, "no image is left for train"),
        ({"val_fraction": 0.003}, "every split needs every class"),
        ({"max_images": 0}, "max_images is 0"),
        ({"max_images": -4}, "max_images is -4"),
    ],
)
def test_impossible_splits_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as caught:
        load_data("digits", **options)
    assert "\n" not in str(caught.value)


def test_mean_and_std_are_those_of_the_train_images_in_double():
    data = load_data("digits", seed=2)
    pixels = data.train.images.double() / 255
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert data.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), rel=1e-12)


def test_mean_and_std_know_nothing_of_the_test_images():
    images = np.random.RandomState(0).randint(0, 256, (40, 6, 6)).astype(np.uint8)
    labels = np.arange(40) % 2
    dark = load_data(images, labels, test=(np.zeros((4, 6, 6), np.uint8), [0, 1, 0, 1]))
    light = load_data(images, labels, test=(np.full((4, 6, 6), 255, np.uint8), [0, 1, 0, 1]))
    assert (dark.mean, dark.std) == (light.mean, light.std) and dark.fingerprint != light.fingerprint


def test_a_channel_that_is_constant_has_one_as_its_deviation():
    assert mean_and_std(torch.full((3, 1, 4, 4), 51, dtype=torch.uint8)) == ((0.2,), (1.0,))


def test_cifar_has_the_published_mean_and_std(tmp_path):
    write_cifar10(tmp_path)
    write_cifar100(tmp_path)
    ten, hundred = load_data("cifar10", data_dir=tmp_path), load_data("cifar100", data_dir=tmp_path)
    assert ten.mean == (0.49139968, 0.48215827, 0.44653124) and ten.std == (0.24703233, 0.24348505, 0.26158768)
    assert hundred.mean == (0.5071, 0.4867, 0.4408) and hundred.std == (0.2675, 0.2565, 0.2761)


def test_quotas_add_up_and_follow_the_counts():
    assert quotas(np.array([5, 5, 5]), 7).tolist() == [3, 2, 2]
    assert quotas(np.array([10, 0, 30]), 4).tolist() == [1, 0, 3]
    assert quotas(np.array([1, 2, 97]), 100).tolist() == [1, 2, 97]


def test_train_and_val_is_train_then_val():
    data = load_data("digits", max_images=100)
    whole = data.train_and_val()
    assert keys(whole) == keys(data.train) + keys(data.val)


def test_the_fingerprint_sees_one_changed_pixel_and_one_changed_label():
    images = np.random.RandomState(0).randint(0, 256, (60, 8, 8)).astype(np.uint8)
    labels = np.arange(60) % 3
    other_images, other_labels = images.copy(), labels.copy()
    other_images[17, 3, 3] ^= 1
    other_labels[[3, 4]] = other_labels[[4, 3]]
    marks = {load_data(images, labels).fingerprint, load_data(other_images, labels).fingerprint}
    assert len(marks | {load_data(images, other_labels).fingerprint}) == 3


def test_to_moves_every_split():
    data = load_data("digits", max_images=100).to("meta")
    assert {split.images.device.type for split in (data.train, data.val, data.test)} == {"meta"}
    assert {split.labels.device.type for split in (data.train, data.val, data.test)} == {"meta"}


def test_a_split_leaves_the_global_random_numbers_alone():
    before = np.random.get_state()[1].tolist()
    load_data("digits", seed=9)
    assert np.random.get_state()[1].tolist() == before
