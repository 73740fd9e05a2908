"""Data from arrays, tensors and torch Datasets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from dartboard.data.splits import Collection, Split
from dartboard.errors import InputError

CHANNEL_COUNTS = (1, 2, 3, 4)


def from_arrays(images: Any, labels: Any, test: tuple[Any, Any] | None) -> Collection:
    """images: (N, H, W), (N, C, H, W) or (N, H, W, C), uint8 or float in [0, 1]; labels: (N,) integers from 0 on.

    Raises InputError for other shapes, kinds or ranges.
    """
    train = split_of(images, labels, "images")
    if test is not None and len(test) != 2:
        raise InputError("test must be a pair: (images, labels)")
    own_test = split_of(test[0], test[1], "test images") if test is not None else None
    return collect(train, own_test, "arrays")


def collect(train: Split, test: Split | None, name: str) -> Collection:
    num_classes = int(train.labels.max()) + 1
    missing = np.setdiff1d(np.arange(num_classes), train.labels.numpy())
    if len(missing):
        raise InputError(f"no image has the label {missing[0]}; number the classes 0 to K-1 without gaps")
    if num_classes < 2:
        raise InputError("all images have the label 0; there must be two classes or more")
    if test is not None and test.images.shape[1:] != train.images.shape[1:]:
        shapes = f"{tuple(test.images.shape[1:])} against {tuple(train.images.shape[1:])}"
        raise InputError(f"test images differ from the training images in (C, H, W): {shapes}; make them equal")
    if test is not None and int(test.labels.max()) >= num_classes:
        raise InputError(f"the test label {int(test.labels.max())} is none of the {num_classes} training classes")
    return Collection(name, train, tuple(str(c) for c in range(num_classes)), test=test)


def split_of(images: Any, labels: Any, what: str) -> Split:
    pixels = channels_first(as_bytes(as_tensor(images, what), what), what)
    numbers = as_tensor(labels, f"labels of the {what}")
    if numbers.ndim != 1 or numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
        raise InputError(f"the labels of the {what} must be one whole number an image, not {describe(numbers)}")
    if len(numbers) != len(pixels):
        raise InputError(f"{len(pixels)} {what} but {len(numbers)} labels; give one label an image")
    if not len(numbers):
        raise InputError(f"there are no {what}")
    if int(numbers.min()) < 0:
        raise InputError(f"the label {int(numbers.min())} is negative; number the classes 0 to K-1")
    return Split(pixels, numbers.to(torch.int64))


def as_tensor(values: Any, what: str) -> Tensor:
    """A tensor of our own on the CPU."""
    if isinstance(values, Tensor):
        return values.detach().cpu().clone()
    try:
        array = np.asarray(values)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
    except (TypeError, ValueError) as error:
        raise InputError(f"the {what} are no array of numbers: {str(error).splitlines()[0][:200]}") from error


def as_bytes(images: Tensor, what: str) -> Tensor:
    """uint8; floats must lie in [0, 1] and become round(255 x)."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise InputError(f"the {what} are {images.dtype}; give uint8, or floats in [0, 1]")
    if images.numel() and not bool(((images >= 0) & (images <= 1)).all()):
        raise InputError(f"the {what} are floats outside [0, 1]; divide them by their highest value, or give uint8")
    return images.to(torch.float64).mul(255).round().to(torch.uint8)


def channels_first(images: Tensor, what: str) -> Tensor:
    """(N, C, H, W) with square images. Of four sizes the second is read as channels where it can be (1 to 4)."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNEL_COUNTS and images.shape[3] in CHANNEL_COUNTS:
        images = images.permute(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in CHANNEL_COUNTS:
        raise InputError(f"the {what} have shape {tuple(images.shape)}; give (N, H, W), (N, C, H, W) or (N, H, W, C)")
    if images.shape[2] != images.shape[3] or not images.shape[2]:
        raise InputError(f"the {what} are {images.shape[2]}x{images.shape[3]} pixels; make them square")
    return images.contiguous()


def describe(values: Tensor) -> str:
    return f"{values.dtype} of shape {tuple(values.shape)}"


def from_dataset(dataset: "Dataset[Any]", test: Any) -> Collection:
    """A torch Dataset of (image, label): image a tensor, an array or a PIL image, all of one size.

    test: a second Dataset, or (images, labels), or None. Raises InputError.
    """
    own_test: Split | None = None
    if isinstance(test, tuple):
        own_test = split_of(test[0], test[1], "test images")
    elif test is not None:
        own_test = split_of(*gather(test), "test images")
    return collect(split_of(*gather(dataset), "images"), own_test, type(dataset).__name__)


def gather(dataset: Any) -> tuple[Tensor, Tensor]:
    if not hasattr(dataset, "__len__"):
        raise InputError("a Dataset without a length cannot be divided; give one with __len__ and __getitem__")
    images, labels = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, Sequence) or len(item) != 2:
            raise InputError(f"item {index} of the Dataset is no pair of image and label")
        images.append(image_tensor(item[0]))
        labels.append(int(item[1]))
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) != 1:
        found = f"{len(shapes)} shapes" if shapes else "nothing"
        raise InputError(f"the Dataset holds {found}; it must hold images of one size (resize them in its transform)")
    return torch.stack(images), torch.tensor(labels)


def image_tensor(image: Any) -> Tensor:
    """(C, H, W), or (H, W), or (H, W, C) as it comes; a PIL image in a mode of its own becomes RGB."""
    if isinstance(image, Image.Image):
        array = np.array(image if image.mode in ("L", "RGB") else image.convert("RGB"))
        return torch.from_numpy(array)
    return as_tensor(image, "images of the Dataset")
