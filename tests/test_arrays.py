"""Data from arrays, tensors and torch Datasets."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from dartboard.data import load_data
from dartboard.errors import InputError

RNG = np.random.RandomState(0)
GREY = RNG.randint(0, 256, (30, 8, 8)).astype(np.uint8)
COLOUR = RNG.randint(0, 256, (30, 8, 8, 3)).astype(np.uint8)
LABELS = np.arange(30) % 3


class Pictures(Dataset):
    """Thirty PIL pictures of one mode, or arrays, of three classes."""

    def __init__(self, mode="RGB", sizes=(8,), pair=True):
        self.mode, self.sizes, self.pair = mode, sizes, pair

    def __len__(self):
        return 30

    def __getitem__(self, index):
        size = self.sizes[index % len(self.sizes)]
        image = Image.fromarray(COLOUR[index]).resize((size, size)).convert(self.mode)
        return (image, index % 3) if self.pair else image


def test_grey_images_have_one_channel():
    data = load_data(GREY, LABELS)
    assert data.channels == 1 and data.image_size == 8 and data.class_names == ("0", "1", "2")
    assert len(data.test) == 6 and len(data.train) == len(data.val) == 12


def test_channels_first_and_channels_last_give_the_same_data():
    last, first = load_data(COLOUR, LABELS), load_data(COLOUR.transpose(0, 3, 1, 2), LABELS)
    assert last.fingerprint == first.fingerprint and last.channels == 3


def test_tensors_lists_and_arrays_give_the_same_data():
    marks = {load_data(images, labels).fingerprint for images, labels in (
        (GREY, LABELS), (torch.from_numpy(GREY), torch.from_numpy(LABELS)), (GREY, LABELS.tolist()),
        (GREY, LABELS.astype(np.uint8)), (GREY.astype(np.float32) / 255, LABELS), (GREY / 255, LABELS.astype(">i4")),
    )}  # fmt: skip
    assert len(marks) == 1


def test_the_arrays_given_are_copied():
    images = GREY.copy()
    data = load_data(images, LABELS)
    before = data.train.images.clone()
    images[:] = 0
    assert torch.equal(data.train.images, before)


def test_own_test_images_are_the_test_split():
    data = load_data(GREY, LABELS, test=(GREY[:6] // 2, LABELS[:6]))
    assert torch.equal(data.test.images[:, 0], torch.from_numpy(GREY[:6] // 2)) and len(data.train_and_val()) == 30


def test_max_images_and_the_seed_work_on_arrays_too():
    assert len(load_data(GREY, LABELS, max_images=12).train_and_val()) == 12
    assert load_data(GREY, LABELS, seed=1).fingerprint != load_data(GREY, LABELS, seed=2).fingerprint


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (GREY, LABELS[:-1], "30 images but 29 labels"),
        (GREY, None, "images without labels"),
        (GREY[:0], LABELS[:0], "there are no images"),
        (GREY.astype(np.int64), LABELS, "give uint8, or floats"),
        (GREY.astype(np.float32), LABELS, "floats outside"),
        (np.full((30, 8, 8), np.nan), LABELS, "floats outside"),
        (GREY[:, :, :6], LABELS, "8x6 pixels; make them square"),
        (GREY.reshape(30, 64), LABELS, "have shape"),
        (np.zeros((30, 8, 8, 7), np.uint8), LABELS, "have shape"),
        (np.zeros((30, 0, 0), np.uint8), LABELS, "square"),
        (GREY, LABELS - 1, "negative"),
        (GREY, LABELS * 2, "no image has the label 1"),
        (GREY, LABELS * 0, "two classes"),
        (GREY, LABELS / 2, "one whole number per image"),
        (GREY, np.stack([LABELS, LABELS]), "one whole number per image"),
        (GREY, np.full(30, "cat"), "not an array of numbers"),
        ([["a", "b"], ["c"]], LABELS, "not an array of numbers"),
        (object(), LABELS, "not an array of numbers"),
        (GREY[:4], [0, 0, 0, 1], "every split needs every class"),
    ],
)
def test_arrays_that_are_no_data_are_refused_in_one_line(images, labels, message):
    with pytest.raises(InputError, match=message) as caught:
        load_data(images, labels)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ((COLOUR, LABELS), "test images differ"),
        ((GREY, LABELS + 1), "the test label 3 is none of the 3"),
        ((GREY, LABELS[:2]), "30 test images but 2 labels"),
        ((GREY[:2], [0, 1]), "test has no image of 1 of 3 classes"),
        ((GREY,), "must be a pair"),
    ],
)
def test_test_images_that_do_not_fit_are_refused(test, message):
    with pytest.raises(InputError, match=message):
        load_data(GREY, LABELS, test=test)


def test_labels_beside_a_name_are_refused():
    with pytest.raises(InputError, match="labels and test are for arrays"):
        load_data("digits", LABELS)


def test_a_tensor_dataset_gives_the_same_data_as_its_arrays():
    images = torch.from_numpy(COLOUR).permute(0, 3, 1, 2).contiguous()
    data = load_data(TensorDataset(images, torch.from_numpy(LABELS)))
    assert data.fingerprint == load_data(COLOUR, LABELS).fingerprint


def test_a_dataset_of_float_tensors_is_scaled_back():
    images = torch.from_numpy(COLOUR).permute(0, 3, 1, 2) / 255
    data = load_data(TensorDataset(images, torch.from_numpy(LABELS)))
    assert data.fingerprint == load_data(COLOUR, LABELS).fingerprint


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("P", 3), ("RGBA", 3), ("1", 3)])
def test_a_dataset_of_pictures_is_read_in_any_mode(mode, channels):
    data = load_data(Pictures(mode))
    assert data.channels == channels and data.name == "Pictures" and len(data.test) == 6


def test_a_dataset_of_pictures_can_bring_its_own_test_images():
    data = load_data(Pictures(), test=Pictures())
    assert len(data.test) == 30 and len(data.train_and_val()) == 30
    assert len(load_data(Pictures(), test=(COLOUR, LABELS)).test) == 30


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Pictures(sizes=(8, 9)), "2 shapes"),
        (Pictures(pair=False), "item 0 of the Dataset is not a pair"),
        (TensorDataset(torch.zeros(0, 3, 8, 8), torch.zeros(0)), "the Dataset holds nothing"),
        (Endless(), "without a length"),
    ],
)
def test_datasets_that_cannot_be_divided_are_refused(dataset, message):
    with pytest.raises(InputError, match=message):
        load_data(dataset)
